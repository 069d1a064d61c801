// SPDX-License-Identifier: MPL-2.0

//! The result of a verification: of the action `verify`, as a message, and as a WARNING.

use super::{MessageFields, Origin, SessionState, nanoseconds, post_warning};
use crate::push::{NotOnAir, Phase, Verified};
use crate::sink::location::SettingsError;

/// Returns the result of the action `verify`.
pub(in crate::sink) fn verified(origin: Origin<'_>, verified: &Verified) -> gst::Structure {
    let fault = verified.fault.as_ref();
    let error = fault.map_or_else(String::new, |fault| sentence(origin, fault));
    let hint = fault.map_or_else(String::new, NotOnAir::hint);
    structure("wmspushsink-verify", origin, verified, &error, &hint)
}

/// Returns the result of the action `verify` for unusable settings.
pub(in crate::sink) fn verify_settings_error(
    origin: Origin<'_>,
    error: &SettingsError,
) -> gst::Structure {
    let text = format!("Cannot verify: {error}.");
    structure(
        "wmspushsink-verify",
        origin,
        &Verified::default(),
        &text,
        error.hint(),
    )
}

/// Posts the element message `wmspushsink-verified`, with the same fields.
pub(in crate::sink) fn post_verified(origin: Origin<'_>, found: &Verified) {
    let mut structure = verified(origin, found);
    structure.set_name("wmspushsink-verified");
    let message = gst::message::Element::builder(structure);
    origin.post(message.src(origin.element).build());
}

/// Posts WARNING for a push that viewers no longer see.
pub(in crate::sink) fn post_not_on_air(origin: Origin<'_>, state: SessionState, fault: &NotOnAir) {
    let hint = fault.hint();
    let fields = MessageFields {
        state,
        previous_state: state,
        reason: "not-on-air",
        hint: hint.as_str().into(),
        ..MessageFields::default()
    };
    let error = glib::Error::new(gst::ResourceError::Read, &sentence(origin, fault));
    post_warning(origin, error, &hint, &fields, Phase::Push);
}

fn sentence(origin: Origin<'_>, fault: &NotOnAir) -> String {
    format!("Viewers cannot see {}: {fault}.", origin.location)
}

fn structure(
    name: &str,
    origin: Origin<'_>,
    verified: &Verified,
    error: &str,
    hint: &str,
) -> gst::Structure {
    let first_packet = verified.first_packet.unwrap_or_default();
    gst::Structure::builder(name)
        .field("ok", error.is_empty())
        .field("location", origin.location)
        .field("header-matches", verified.header_matches)
        .field("first-packet", nanoseconds(first_packet))
        .field("packets", verified.packets)
        .field("behind", nanoseconds(verified.behind))
        .field("error", error)
        .field("hint", hint)
        .build()
}
