// SPDX-License-Identifier: MPL-2.0

//! Messages on the bus. This module alone decides which event of a push becomes which message, and its fields.

mod probed;
mod verified;
mod warnings;

use std::borrow::Cow;
use std::time::Duration;

use gst::prelude::*;

use super::location::SettingsError;
use super::log::CAT;
use super::{SessionState, WmsPushSink};
use crate::push::{self, Failure, Phase, Status, WmtStatus};
use crate::wmhttp::{self, HResult};

pub(super) use probed::{probe, probe_known, probe_settings_error};
pub(super) use verified::{post_not_on_air, post_verified, verified, verify_settings_error};
pub(super) use warnings::{InputFault, post_falling_behind, post_input_fault, post_no_input};

/// The origin of messages: an element, and the location that it pushes to.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) element: &'a WmsPushSink,
    /// The location without credentials.
    pub(super) location: &'a str,
}

impl Origin<'_> {
    fn post(self, message: gst::Message) {
        if self.element.post_message(message).is_err() {
            gst::debug!(
                CAT,
                obj = self.element,
                "The element has no bus for a message"
            );
        }
    }
}

/// The fields that every message of the element carries, under the same names and with the same types.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageFields<'a> {
    pub(super) state: SessionState,
    pub(super) previous_state: SessionState,
    /// `None` in a WARNING that belongs to no status.
    pub(super) status: Option<WmtStatus>,
    pub(super) hresult: Option<HResult>,
    pub(super) reason: &'a str,
    pub(super) http_status: Option<(u16, &'a str)>,
    pub(super) hint: Cow<'a, str>,
    pub(super) attempt: u32,
    /// Wait before the next attempt, in milliseconds.
    pub(super) retry_in: u32,
    pub(super) resumed: bool,
    pub(super) packets_dropped: u64,
}

impl<'a> MessageFields<'a> {
    pub(super) fn of_status(status: &'a Status) -> Self {
        let fields = Self {
            state: status.state.into(),
            previous_state: status.previous_state.into(),
            status: Some(status.status),
            attempt: status.attempt,
            retry_in: milliseconds(status.retry_in),
            resumed: status.resumed,
            packets_dropped: status.packets_dropped,
            ..Self::default()
        };
        status
            .failure
            .as_deref()
            .map_or(fields.clone(), |failure| fields.with_failure(failure))
    }

    pub(super) fn with_failure(self, failure: &'a Failure) -> Self {
        Self {
            hresult: Some(failure.hresult()),
            reason: failure.reason(),
            http_status: failure
                .http_status()
                .map(|(status, reason)| (status.as_u16(), reason)),
            hint: failure.hint().into(),
            ..self
        }
    }

    pub(super) fn of_settings(error: &SettingsError) -> Self {
        Self {
            state: SessionState::Failed,
            status: Some(WmtStatus::Error),
            hresult: Some(error.hresult()),
            reason: "settings",
            hint: error.hint().into(),
            ..Self::default()
        }
    }

    fn structure(&self, name: &str, origin: Origin<'_>) -> gst::structure::Builder {
        let hresult = self.hresult.unwrap_or(HResult::S_OK);
        let (http_status, http_reason) = self.http_status.unwrap_or_default();
        let running_time = origin.element.current_running_time();
        gst::Structure::builder(name)
            .field("state", nick(self.state))
            .field("previous-state", nick(self.previous_state))
            .field_if_some("wmt-status", self.status.map(|status| status as i32))
            .field_if_some("wmt-status-name", self.status.map(WmtStatus::name))
            .field("hresult", hresult.0)
            .field("hresult-name", hresult.name())
            .field("location", origin.location)
            .field("reason", self.reason)
            .field("attempt", self.attempt)
            .field("retry-in", self.retry_in)
            .field("http-status-code", u32::from(http_status))
            .field("http-reason", http_reason)
            .field("hint", self.hint.as_ref())
            .field("resumed", self.resumed)
            .field("packets-dropped", self.packets_dropped)
            .field(
                "running-time",
                running_time.map_or(0, gst::ClockTime::nseconds),
            )
    }

    fn details(&self, name: &str, phase: Phase, origin: Origin<'_>) -> gst::Structure {
        self.structure(name, origin)
            .field("phase", phase.name())
            .build()
    }
}

/// Posts the element message `wmspushsink-status`, one for each change of status.
pub(super) fn post_status(origin: Origin<'_>, fields: &MessageFields<'_>) {
    let structure = fields.structure("wmspushsink-status", origin).build();
    origin.post(
        gst::message::Element::builder(structure)
            .src(origin.element)
            .build(),
    );
}

/// Posts PROGRESS with the code `connect`.
pub(super) fn post_progress(origin: Origin<'_>, type_: gst::ProgressType, text: &str) {
    gst::debug!(CAT, obj = origin.element, "Progress {type_:?}: {text}");
    origin.post(
        gst::message::Progress::builder(type_, "connect", text)
            .src(origin.element)
            .build(),
    );
}

/// Posts ERROR for a failed push.
pub(super) fn post_failure(origin: Origin<'_>, status: &Status, failure: &Failure) {
    let (text, debug) = words(origin, failure);
    let fields = MessageFields::of_status(status).with_failure(failure);
    let details = fields.details("wmspushsink-error", failure.phase, origin);
    let message = gst::message::Error::builder_from_error(gerror(failure, status.status, &text));
    gst::error!(CAT, obj = origin.element, "{text} {debug}");
    origin.post(
        message
            .debug(&debug)
            .details(details)
            .src(origin.element)
            .build(),
    );
}

/// Posts ERROR if the system grants no thread or descriptor.
pub(super) fn post_no_resources(origin: Origin<'_>, error: &std::io::Error) {
    let error = push::Error::NoResources(error.to_string());
    let failure = Failure::new(Phase::Setup, error);
    let status = Status {
        status: WmtStatus::Opened,
        state: push::SessionState::Failed,
        previous_state: push::SessionState::Disconnected,
        failure: None,
        attempt: 0,
        retry_in: Duration::ZERO,
        awaits_data: false,
        resumed: false,
        packets_dropped: 0,
    };
    post_status(
        origin,
        &MessageFields::of_status(&status).with_failure(&failure),
    );
    post_failure(origin, &status, &failure);
}

/// Posts WARNING for a lost connection that will be retried, and for an end that was not sent in time.
pub(super) fn post_status_warning(origin: Origin<'_>, status: &Status, failure: &Failure) {
    let (mut text, debug) = words(origin, failure);
    if status.status == WmtStatus::ReconnectStart {
        text = reconnecting(origin.location, status, failure);
    }
    let error = gerror(failure, status.status, &text);
    post_warning(
        origin,
        error,
        &debug,
        &MessageFields::of_status(status),
        failure.phase,
    );
}

fn reconnecting(location: &str, status: &Status, failure: &Failure) -> String {
    let attempt = status.attempt;
    let wait = match status.retry_in {
        wait if status.awaits_data => {
            format!(
                "in {:.1} s, or later, when there is data",
                wait.as_secs_f64()
            )
        }
        Duration::ZERO => "now".to_owned(),
        wait => format!("in {:.1} s", wait.as_secs_f64()),
    };
    if let Some(refusal) = failure.refusal(location) {
        return format!("{refusal} Trying again {wait} (attempt {attempt}).");
    }
    match status.previous_state {
        push::SessionState::Connecting => format!(
            "Cannot connect to {location}: {failure}. Trying again {wait} (attempt {attempt})."
        ),
        _ => format!(
            "Lost the connection to {location}: {failure}. Reconnecting {wait} (attempt {attempt})."
        ),
    }
}

/// Posts WARNING for dropped data packets, `total` of them so far.
pub(super) fn post_dropped(origin: Origin<'_>, state: SessionState, total: u64) {
    const HINT: &str = "The network or the server takes less than the bit rate of the stream, or was unreachable: lower the \
         bit rate, or raise max-size-bytes and max-size-time.";
    let packets = data_packets(total);
    let text = format!(
        "Dropped {packets} of the push to {} so far.",
        origin.location
    );
    post_drops(origin, state, total, &text, HINT);
}

/// Posts WARNING for `skipped` data packets in front of the key frame of a new session; `total` were dropped so far.
pub(super) fn post_skipped(origin: Origin<'_>, state: SessionState, skipped: u64, total: u64) {
    const HINT: &str = "Players cannot decode data before a key frame. More frequent key frames make the gap shorter.";
    let packets = data_packets(skipped);
    let text = format!("Skipped {packets} up to the next key frame, because a new session began.");
    post_drops(origin, state, total, &text, HINT);
}

fn data_packets(count: u64) -> String {
    match count {
        1 => "1 data packet".to_owned(),
        count => format!("{count} data packets"),
    }
}

fn post_drops(origin: Origin<'_>, state: SessionState, total: u64, text: &str, hint: &str) {
    let fields = MessageFields {
        state,
        previous_state: state,
        reason: "packets-dropped",
        packets_dropped: total,
        hresult: Some(HResult::NS_E_NET_WRITE),
        hint: hint.into(),
        ..MessageFields::default()
    };
    let error = glib::Error::new(gst::ResourceError::Write, text);
    post_warning(origin, error, hint, &fields, Phase::Push);
}

/// Posts the statistics as an element message.
pub(super) fn post_stats(origin: Origin<'_>, structure: gst::Structure) {
    let message = gst::message::Element::builder(structure);
    origin.post(message.src(origin.element).build());
}

/// Posts WARNING for input that is not sent.
fn post_input_warning(origin: Origin<'_>, state: SessionState, text: &str, hint: &str) {
    let fields = MessageFields {
        state,
        previous_state: state,
        reason: "input",
        hresult: Some(HResult::NS_E_INVALID_DATA),
        hint: hint.into(),
        ..MessageFields::default()
    };
    let error = glib::Error::new(gst::StreamError::Format, text);
    post_warning(origin, error, hint, &fields, Phase::Push);
}

/// Posts ERROR for unusable settings.
pub(super) fn post_settings_error(origin: Origin<'_>, error: &SettingsError) {
    let text = format!("Cannot push: {error}.");
    let fields = MessageFields::of_settings(error);
    post_status(origin, &fields);
    let details = fields.details("wmspushsink-error", Phase::Setup, origin);
    let message = gst::message::Error::builder(gst::ResourceError::Settings, &text);
    gst::error!(CAT, obj = origin.element, "{text}");
    origin.post(
        message
            .debug(error.hint())
            .details(details)
            .src(origin.element)
            .build(),
    );
}

fn post_warning(
    origin: Origin<'_>,
    error: glib::Error,
    debug: &str,
    fields: &MessageFields<'_>,
    phase: Phase,
) {
    let details = fields.details("wmspushsink-warning", phase, origin);
    gst::warning!(CAT, obj = origin.element, "{error} {debug}");
    let message = gst::message::Warning::builder_from_error(error);
    origin.post(
        message
            .debug(debug)
            .details(details)
            .src(origin.element)
            .build(),
    );
}

/// Returns the text and the debug string of a message.
fn words(origin: Origin<'_>, failure: &Failure) -> (String, String) {
    let text = failure.sentence(origin.location);
    let (phase, hresult, hint) = (failure.phase.name(), failure.hresult(), failure.hint());
    let debug = format!("{hint} (phase {phase}, {hresult}: {})", hresult.meaning());
    (text, debug)
}

/// Returns the error domain and code for a failure that is reported with `status`.
fn gerror(failure: &Failure, status: WmtStatus, text: &str) -> glib::Error {
    match &failure.error {
        push::Error::Input(error) if error.is_wrong_type() => {
            glib::Error::new(gst::StreamError::WrongType, text)
        }
        push::Error::Input(_) => glib::Error::new(gst::StreamError::Format, text),
        _ => glib::Error::new(resource_error(failure, status), text),
    }
}

fn resource_error(failure: &Failure, status: WmtStatus) -> gst::ResourceError {
    use gst::ResourceError as Code;
    // After the push was opened, any failure to reconnect counts as a loss.
    let lost = matches!(status, WmtStatus::Error | WmtStatus::ReconnectStart);
    let other = match failure.phase {
        Phase::Start | Phase::Push | Phase::End => Code::Write,
        _ if lost => Code::Write,
        _ => Code::OpenWrite,
    };
    match &failure.error {
        push::Error::Unresolvable(_) if failure.phase != Phase::Proxy && !lost => Code::NotFound,
        push::Error::ConnectTimeout(_) if failure.phase == Phase::Resolve && !lost => {
            Code::NotFound
        }
        push::Error::Protocol(
            wmhttp::Error::Refused { status, .. } | wmhttp::Error::Denied { status, .. },
        ) => match status.as_u16() {
            401 | 403 | 407 => Code::NotAuthorized,
            404 | 410 => Code::NotFound,
            409 | 423 | 503 => Code::Busy,
            _ => other,
        },
        _ => other,
    }
}

fn nick(state: SessionState) -> String {
    let value = state.to_value();
    glib::EnumValue::from_value(&value)
        .map_or_else(String::new, |(_, value)| value.nick().to_owned())
}

impl From<push::SessionState> for SessionState {
    fn from(state: push::SessionState) -> Self {
        match state {
            push::SessionState::Disconnected => Self::Disconnected,
            push::SessionState::Connecting => Self::Connecting,
            push::SessionState::Connected => Self::Connected,
            push::SessionState::Streaming => Self::Streaming,
            push::SessionState::Reconnecting => Self::Reconnecting,
            push::SessionState::Ending => Self::Ending,
            push::SessionState::Ended => Self::Ended,
            push::SessionState::Failed => Self::Failed,
        }
    }
}

/// Returns the value of the property `stats`.
pub(super) fn stats(origin: Origin<'_>, stats: &push::Stats) -> gst::Structure {
    let loss = stats.last_loss.as_deref();
    gst::Structure::builder("wmspushsink-stats")
        .field("state", nick(stats.state.into()))
        .field("location", origin.location)
        .field("server", &stats.server)
        .field("bytes-sent", stats.bytes_sent)
        .field("bytes-acked", stats.bytes_acked)
        .field("packets-sent", stats.packets_sent)
        .field("packets-dropped", stats.packets_dropped)
        .field("packets-replayed", stats.packets_replayed)
        .field("packets-lost", stats.packets_lost)
        .field("padding-removed", stats.padding_removed)
        .field(
            "queued-bytes",
            u32::try_from(stats.queued_bytes).unwrap_or(u32::MAX),
        )
        .field("queued-time", nanoseconds(stats.queued_time))
        .field("connects", stats.connects)
        .field("reconnects", stats.reconnects)
        .field("push-starts", stats.push_starts)
        .field("rtt", nanoseconds(stats.round_trip_time))
        .field("bitrate", stats.bitrate)
        .field("uptime", nanoseconds(stats.uptime))
        .field("attempt", stats.attempt)
        .field("retry-in", milliseconds(stats.retry_in))
        .field(
            "last-error",
            loss.map_or_else(String::new, ToString::to_string),
        )
        .field("last-reason", loss.map_or("", Failure::reason))
        .field("behind", nanoseconds(stats.behind))
        .build()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
