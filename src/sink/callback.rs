// SPDX-License-Identifier: MPL-2.0

//! The callback of a connection: posts its reports on the bus, and asks the application for credentials.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use glib::prelude::*;
use glib::subclass::prelude::ObjectSubclassIsExt;
use gst::prelude::*;

use super::bus::{self, MessageFields, Origin};
use super::location::split_user;
use super::signals::ACQUIRE_CREDENTIALS;
use super::{CredentialFlags, WmsPushSink};
use crate::auth::{Credentials, Role};
use crate::push::{Phase, Status, StatusCallback, WmtStatus};
use crate::sink::log::CAT;
use crate::wmhttp::{CredentialsWanted, HResult};

/// Returns the user and password in the answer of an `acquire-credentials` handler.
fn credentials(answer: &gst::StructureRef) -> Option<Credentials> {
    let user = answer.get::<String>("user").ok()?;
    let (user, beside) = split_user(&user);
    let password = answer.get::<String>("password").ok();
    let password = password.unwrap_or_else(|| beside.unwrap_or_default().to_owned());
    Some(Credentials::new(user, password))
}

/// The reports of one connection of an element.
pub(super) struct Callback {
    element: glib::WeakRef<WmsPushSink>,
    /// The location of this connection, without credentials.
    location: String,
    /// PROGRESS `connect` was started and has not ended.
    in_progress: AtomicBool,
}

impl Callback {
    /// A callback for a connection whose PROGRESS has started.
    pub(super) fn new(element: &WmsPushSink, location: String) -> Self {
        Self {
            element: element.downgrade(),
            location,
            in_progress: AtomicBool::new(true),
        }
    }

    /// Calls `report` as long as the element exists.
    fn with_origin(&self, report: impl FnOnce(Origin<'_>)) {
        if let Some(element) = self.element.upgrade() {
            report(Origin {
                element: &element,
                location: &self.location,
            });
        }
    }

    fn end_progress(&self, origin: Origin<'_>, type_: gst::ProgressType, text: &str) {
        if self.in_progress.swap(false, Ordering::AcqRel) {
            bus::post_progress(origin, type_, text);
        }
    }

    fn report(&self, origin: Origin<'_>, status: &Status) {
        let failure = status.failure.as_deref();
        match (status.status, failure) {
            (WmtStatus::ReconnectStart, Some(failure)) => {
                if status.previous_state != status.state {
                    bus::post_status_warning(origin, status, failure);
                }
                bus::post_status(origin, &MessageFields::of_status(status));
            }
            (WmtStatus::Closed, Some(failure)) => {
                bus::post_status_warning(origin, status, failure);
                self.end_progress(origin, gst::ProgressType::Canceled, "Disconnected");
                bus::post_status(origin, &MessageFields::of_status(status));
            }
            (_, Some(failure)) => {
                bus::post_status(origin, &MessageFields::of_status(status));
                bus::post_failure(origin, status, failure);
                self.end_progress(origin, gst::ProgressType::Error, "Cannot connect");
            }
            (WmtStatus::Closed, None) => {
                self.end_progress(origin, gst::ProgressType::Canceled, "Disconnected");
                bus::post_status(origin, &MessageFields::of_status(status));
            }
            (_, None) => bus::post_status(origin, &MessageFields::of_status(status)),
        }
        match status.status {
            WmtStatus::Opened => {
                self.end_progress(origin, gst::ProgressType::Complete, "Connected")
            }
            WmtStatus::ReconnectEnd if !status.resumed => request_key_frame(origin.element),
            _ => {}
        }
    }
}

impl StatusCallback for Callback {
    fn on_phase(&self, phase: Phase) {
        let text = match phase {
            Phase::Resolve => "Resolving the server's name",
            Phase::Connect => "Connecting to the server",
            Phase::Setup => "Setting up the publishing point",
            Phase::Authenticate => "Authenticating",
            Phase::Tls | Phase::Proxy | Phase::Start | Phase::Push | Phase::End => return,
        };
        if self.in_progress.load(Ordering::Acquire) {
            self.with_origin(|origin| {
                bus::post_progress(origin, gst::ProgressType::Continue, text);
            });
        }
    }

    fn on_status(&self, status: &Status) {
        self.with_origin(|origin| {
            if status.state != status.previous_state {
                origin.element.notify("session-state");
            }
            self.report(origin, status);
        });
    }

    fn on_packets_dropped(&self, total: u64) {
        self.with_origin(|origin| {
            let state = origin.element.property("session-state");
            bus::post_dropped(origin, state, total);
        });
    }

    fn on_packets_skipped(&self, skipped: u64, total: u64) {
        self.with_origin(|origin| {
            let state = origin.element.property("session-state");
            bus::post_skipped(origin, state, skipped, total);
        });
    }

    fn on_falling_behind(&self, behind: Duration) {
        self.with_origin(|origin| {
            let state = origin.element.property("session-state");
            bus::post_falling_behind(origin, state, behind);
        });
    }

    fn spawn(&self, task: Box<dyn FnOnce() + Send>) -> bool {
        let Some(element) = self.element.upgrade() else {
            return false;
        };
        element.call_async(move |element| {
            // The driver may report before the thread that begins it has stored the connection.
            element.imp().wait_for_connection();
            task();
        });
        true
    }

    fn acquire_credentials(&self, wanted: &CredentialsWanted) -> Option<Credentials> {
        acquire_credentials(&self.element, wanted, CredentialFlags::empty())
    }
}

/// Requests a key frame from upstream, because viewers of a new session cannot decode data before one.
fn request_key_frame(element: &WmsPushSink) {
    // The same structure as that of gst_video_event_new_upstream_force_key_unit.
    let structure = gst::Structure::builder("GstForceKeyUnit")
        .field("running-time", gst::ClockTime::NONE)
        .field("all-headers", false)
        .field("count", 0u32)
        .build();
    let event = gst::event::CustomUpstream::new(structure);
    let pad = element.static_pad("sink");
    let pushed = pad.is_some_and(|pad| pad.push_event(event));
    gst::debug!(
        CAT,
        obj = element,
        "Requested a key frame from upstream: {pushed}"
    );
}

/// The callback of a probe, which posts nothing.
pub(super) struct ProbeCallback(pub(super) glib::WeakRef<WmsPushSink>);

impl StatusCallback for ProbeCallback {
    fn on_phase(&self, _: Phase) {}

    fn on_status(&self, _: &Status) {}

    fn acquire_credentials(&self, wanted: &CredentialsWanted) -> Option<Credentials> {
        acquire_credentials(&self.0, wanted, CredentialFlags::empty())
    }
}

/// Asks the application for credentials of a viewer.
pub(super) fn acquire_viewer_credentials(
    element: &glib::WeakRef<WmsPushSink>,
    wanted: &CredentialsWanted,
) -> Option<Credentials> {
    acquire_credentials(element, wanted, CredentialFlags::VIEWER)
}

/// Emits the signal.
fn acquire_credentials(
    element: &glib::WeakRef<WmsPushSink>,
    wanted: &CredentialsWanted,
    mut flags: CredentialFlags,
) -> Option<Credentials> {
    let element = element.upgrade()?;
    let request = &wanted.request;
    flags.set(CredentialFlags::PROXY, wanted.role == Role::Proxy);
    flags.set(CredentialFlags::CLEAR_TEXT, request.clear_text);
    let hresult = match &request.previous_user {
        Some(_) => HResult::from_status(wanted.role.status()),
        None => HResult::S_OK,
    };
    let answer = element.emit_by_name::<Option<gst::Structure>>(
        ACQUIRE_CREDENTIALS,
        &[
            &request.realm,
            &wanted.site,
            &request.previous_user,
            &flags,
            &hresult.0,
        ],
    );
    answer.as_deref().and_then(credentials)
}
