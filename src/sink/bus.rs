// SPDX-License-Identifier: MPL-2.0

//! From what happens in a push to what applications see on the bus: the one place that decides it.

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::SessionState;
use super::imp::WmsPushSink;
use super::location::SettingsError;
use super::log::CAT;
use crate::push::{self, Failure, Phase, Status, WmtStatus};
use crate::wmhttp::{self, HResult};

/// The fields that every message of the element carries, under the same names and with the same types.
#[derive(Clone, Debug, Default)]
pub(super) struct Report<'a> {
    pub(super) state: SessionState,
    pub(super) previous_state: SessionState,
    /// A WARNING has none.
    pub(super) status: Option<WmtStatus>,
    pub(super) hresult: Option<HResult>,
    pub(super) reason: &'a str,
    pub(super) http_status: Option<(u16, &'a str)>,
    pub(super) hint: &'a str,
}

impl<'a> Report<'a> {
    pub(super) fn of_status(status: &'a Status) -> Self {
        let report = Self {
            state: status.state.into(),
            previous_state: status.previous_state.into(),
            status: Some(status.status),
            hresult: Some(status.hresult),
            ..Self::default()
        };
        status
            .failure
            .as_deref()
            .map_or(report.clone(), |failure| report.with_failure(failure))
    }

    pub(super) fn with_failure(self, failure: &'a Failure) -> Self {
        Self {
            hresult: Some(failure.hresult()),
            reason: failure.reason(),
            http_status: failure
                .http_status()
                .map(|(status, reason)| (status.as_u16(), reason)),
            hint: failure.hint(),
            ..self
        }
    }

    pub(super) fn of_settings(error: &SettingsError) -> Self {
        Self {
            state: SessionState::Failed,
            status: Some(WmtStatus::Error),
            hresult: Some(error.hresult()),
            reason: "settings",
            hint: error.hint(),
            ..Self::default()
        }
    }

    fn structure(&self, name: &str, imp: &WmsPushSink) -> gst::structure::Builder {
        let hresult = self.hresult.unwrap_or(HResult::S_OK);
        let (http_status, http_reason) = self.http_status.unwrap_or_default();
        let running_time = imp.obj().current_running_time();
        gst::Structure::builder(name)
            .field("state", nick(self.state))
            .field("previous-state", nick(self.previous_state))
            .field_if_some("wmt-status", self.status.map(|status| status as i32))
            .field_if_some("wmt-status-name", self.status.map(WmtStatus::name))
            .field("hresult", hresult.0)
            .field("hresult-name", hresult.name())
            .field("location", imp.shown_location())
            .field("reason", self.reason)
            .field("attempt", 0u32)
            .field("retry-in", 0u32)
            .field("http-status-code", u32::from(http_status))
            .field("http-reason", http_reason)
            .field("hint", self.hint)
            .field("resumed", false)
            .field("packets-dropped", 0u64)
            .field(
                "running-time",
                running_time.map_or(0, gst::ClockTime::nseconds),
            )
    }

    fn details(&self, name: &str, phase: Phase, imp: &WmsPushSink) -> gst::Structure {
        self.structure(name, imp)
            .field("phase", phase.name())
            .build()
    }
}

/// `wmspushsink-status`, one per change.
pub(super) fn post_status(imp: &WmsPushSink, report: &Report<'_>) {
    let structure = report.structure("wmspushsink-status", imp).build();
    post(
        imp,
        gst::message::Element::builder(structure)
            .src(&*imp.obj())
            .build(),
    );
}

/// PROGRESS with the code `connect`.
pub(super) fn post_progress(imp: &WmsPushSink, type_: gst::ProgressType, text: &str) {
    gst::debug!(CAT, imp = imp, "Progress {type_:?}: {text}");
    post(
        imp,
        gst::message::Progress::builder(type_, "connect", text)
            .src(&*imp.obj())
            .build(),
    );
}

/// ERROR for a push that has failed.
pub(super) fn post_failure(imp: &WmsPushSink, status: &Status, failure: &Failure) {
    let (text, debug) = words(imp, failure);
    let details = Report::of_status(status).details("wmspushsink-error", failure.phase, imp);
    let message = gst::message::Error::builder_from_error(gerror(failure, &text));
    gst::error!(CAT, imp = imp, "{text} {debug}");
    post(
        imp,
        message
            .debug(&debug)
            .details(details)
            .src(&*imp.obj())
            .build(),
    );
}

/// WARNING for an end that did not go out in time.
pub(super) fn post_not_drained(imp: &WmsPushSink, state: SessionState, failure: &Failure) {
    let (text, debug) = words(imp, failure);
    let report = Report {
        state,
        previous_state: state,
        ..Report::default()
    };
    post_warning(
        imp,
        gerror(failure, &text),
        &debug,
        &report.with_failure(failure),
        failure.phase,
    );
}

/// WARNING for input that was left out.
pub(super) fn post_input_warning(imp: &WmsPushSink, state: SessionState, text: &str) {
    let report = Report {
        state,
        previous_state: state,
        reason: "input",
        hresult: Some(HResult::NS_E_INVALID_DATA),
        ..Report::default()
    };
    let error = glib::Error::new(gst::StreamError::Format, text);
    post_warning(imp, error, "", &report, Phase::Push);
}

/// ERROR for settings that cannot be used.
pub(super) fn post_settings_error(imp: &WmsPushSink, error: &SettingsError) {
    let text = format!("Cannot push: {error}.");
    let report = Report::of_settings(error);
    post_status(imp, &report);
    let details = report.details("wmspushsink-error", Phase::Setup, imp);
    let message = gst::message::Error::builder(gst::ResourceError::Settings, &text);
    gst::error!(CAT, imp = imp, "{text}");
    post(
        imp,
        message
            .debug(error.hint())
            .details(details)
            .src(&*imp.obj())
            .build(),
    );
}

fn post_warning(
    imp: &WmsPushSink,
    error: glib::Error,
    debug: &str,
    report: &Report<'_>,
    phase: Phase,
) {
    let details = report.details("wmspushsink-warning", phase, imp);
    gst::warning!(CAT, imp = imp, "{error} {debug}");
    let message = gst::message::Warning::builder_from_error(error);
    post(
        imp,
        message
            .debug(debug)
            .details(details)
            .src(&*imp.obj())
            .build(),
    );
}

/// What the user reads, and what stands behind it.
fn words(imp: &WmsPushSink, failure: &Failure) -> (String, String) {
    let location = imp.shown_location();
    let text = match failure.phase {
        Phase::Start | Phase::Push | Phase::End => {
            format!("The push to {location} has failed: {failure}.")
        }
        _ => format!("Cannot push to {location}: {failure}."),
    };
    let (phase, hresult, hint) = (failure.phase.name(), failure.hresult(), failure.hint());
    let debug = format!("{hint} (phase {phase}, {hresult}: {})", hresult.meaning());
    (text, debug.trim_start().to_owned())
}

/// The error domain and code of a failure.
fn gerror(failure: &Failure, text: &str) -> glib::Error {
    match &failure.error {
        push::Error::Input(error) if error.is_wrong_type() => {
            glib::Error::new(gst::StreamError::WrongType, text)
        }
        push::Error::Input(_) => glib::Error::new(gst::StreamError::Format, text),
        _ => glib::Error::new(resource_error(failure), text),
    }
}

fn resource_error(failure: &Failure) -> gst::ResourceError {
    use gst::ResourceError as Code;
    let other = match failure.phase {
        Phase::Start | Phase::Push | Phase::End => Code::Write,
        _ => Code::OpenWrite,
    };
    match &failure.error {
        push::Error::Unresolvable(_) if failure.phase != Phase::Proxy => Code::NotFound,
        push::Error::ConnectTimeout(_) if failure.phase == Phase::Resolve => Code::NotFound,
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

fn post(imp: &WmsPushSink, message: gst::Message) {
    if imp.obj().post_message(message).is_err() {
        gst::debug!(CAT, imp = imp, "Nobody is there for a message");
    }
}

impl From<push::SessionState> for SessionState {
    fn from(state: push::SessionState) -> Self {
        match state {
            push::SessionState::Disconnected => Self::Disconnected,
            push::SessionState::Connecting => Self::Connecting,
            push::SessionState::Connected => Self::Connected,
            push::SessionState::Streaming => Self::Streaming,
            push::SessionState::Ending => Self::Ending,
            push::SessionState::Ended => Self::Ended,
            push::SessionState::Failed => Self::Failed,
        }
    }
}

/// The property `stats`.
pub(super) fn stats(imp: &WmsPushSink, stats: &push::Stats) -> gst::Structure {
    let nanoseconds =
        |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    gst::Structure::builder("wmspushsink-stats")
        .field("state", nick(stats.state.into()))
        .field("location", imp.shown_location())
        .field("server", &stats.server)
        .field("bytes-sent", stats.bytes_sent)
        .field("bytes-acked", 0u64)
        .field("packets-sent", stats.packets_sent)
        .field("packets-dropped", 0u64)
        .field("packets-replayed", stats.packets_replayed)
        .field("padding-removed", stats.padding_removed)
        .field(
            "queued-bytes",
            u32::try_from(stats.queued_bytes).unwrap_or(u32::MAX),
        )
        .field("queued-time", nanoseconds(stats.queued_time))
        .field("connects", stats.connects)
        .field("reconnects", 0u32)
        .field("push-starts", stats.push_starts)
        .field("rtt", 0u64)
        .field("bitrate", stats.bitrate)
        .field("uptime", nanoseconds(stats.uptime))
        .build()
}
