// SPDX-License-Identifier: MPL-2.0

//! The result of the action `probe`.

use super::{MessageFields, Origin, nanoseconds, words};
use crate::push::{Failure, Phase, Probe};
use crate::sink::location::SettingsError;
use crate::wmhttp::HResult;

/// Returns the result of the action `probe`.
pub(in crate::sink) fn probe(
    origin: Origin<'_>,
    outcome: Result<Probe, Failure>,
) -> gst::Structure {
    let probed = outcome.as_ref().ok().cloned().unwrap_or_default();
    let failure = outcome.err();
    let fields = failure
        .as_ref()
        .map_or_else(MessageFields::default, |failure| {
            MessageFields::default().with_failure(failure)
        });
    let text = failure.as_ref().map(|failure| words(origin, failure).0);
    probe_structure(
        origin,
        &probed,
        &fields,
        text.as_deref().unwrap_or_default(),
    )
    .field("phase", failure.map_or("", |failure| failure.phase.name()))
    .build()
}

/// Returns the result of the action `probe` from the facts that the element's own connection has. `lost` is the failure
/// for which that connection is reconnecting.
pub(in crate::sink) fn probe_known(
    origin: Origin<'_>,
    server: &Probe,
    lost: Option<&Failure>,
) -> gst::Structure {
    let fields = lost.map_or_else(MessageFields::default, |failure| {
        MessageFields::default().with_failure(failure)
    });
    let text = lost.map_or_else(String::new, |failure| words(origin, failure).0);
    probe_structure(origin, server, &fields, &text)
        .field("phase", lost.map_or("", |failure| failure.phase.name()))
        .build()
}

/// Returns the result of the action `probe` for unusable settings.
pub(in crate::sink) fn probe_settings_error(
    origin: Origin<'_>,
    error: &SettingsError,
) -> gst::Structure {
    let fields = MessageFields::of_settings(error);
    let text = format!("Cannot push: {error}.");
    probe_structure(origin, &Probe::default(), &fields, &text)
        .field("phase", Phase::Setup.name())
        .build()
}

fn probe_structure(
    origin: Origin<'_>,
    probed: &Probe,
    fields: &MessageFields<'_>,
    error: &str,
) -> gst::structure::Builder {
    let hresult = fields.hresult.unwrap_or(HResult::S_OK);
    let (http_status, http_reason) = fields.http_status.unwrap_or_default();
    gst::Structure::builder("wmspushsink-probe")
        .field("ok", error.is_empty())
        .field("location", origin.location)
        .field("server", &probed.server)
        .field("authentication", probed.authentication)
        .field("rtt", nanoseconds(probed.round_trip_time))
        .field("error", error)
        .field("hresult", hresult.0)
        .field("hresult-name", hresult.name())
        .field("reason", fields.reason)
        .field("http-status-code", u32::from(http_status))
        .field("http-reason", http_reason)
        .field("hint", fields.hint.as_ref())
}
