// SPDX-License-Identifier: MPL-2.0

//! What a connection tells goes to the bus, and what it asks to the application.

use glib::prelude::*;
use gst::subclass::prelude::*;

use super::CredentialFlags;
use super::bus::{self, Report};
use super::signals::ACQUIRE_CREDENTIALS;
use crate::auth::{Credentials, Role};
use crate::push::{Phase, Status, StatusCallback, WmtStatus};
use crate::wmhttp::{CredentialsWanted, HResult};

/// The user and password that a handler of `acquire-credentials` answers.
fn credentials(answer: &gst::StructureRef) -> Option<Credentials> {
    let user = answer.get::<String>("user").ok()?;
    let password = answer.get::<String>("password").unwrap_or_default();
    Some(Credentials::new(user, password))
}

/// What the connection reports goes on the bus.
pub(super) struct Callback(pub(super) glib::WeakRef<super::WmsPushSink>);

impl StatusCallback for Callback {
    fn on_phase(&self, phase: Phase) {
        let Some(element) = self.0.upgrade() else {
            return;
        };
        let imp = element.imp();
        let text = match phase {
            Phase::Resolve => "Resolving the server's name",
            Phase::Connect => "Connecting to the server",
            Phase::Setup => "Setting up the publishing point",
            Phase::Authenticate => "Authenticating",
            Phase::Tls | Phase::Proxy | Phase::Start | Phase::Push | Phase::End => return,
        };
        if imp.is_connecting() {
            bus::post_progress(imp, gst::ProgressType::Continue, text);
        }
    }

    fn on_status(&self, status: &Status) {
        let Some(element) = self.0.upgrade() else {
            return;
        };
        let imp = element.imp();
        imp.set_session_state(status.state.into());
        let failure = status.failure.as_deref();
        match (status.status, failure) {
            (WmtStatus::ReconnectStart | WmtStatus::Closed, Some(failure)) => {
                bus::post_status_warning(imp, status, failure);
                bus::post_status(imp, &Report::of_status(status));
            }
            (_, Some(failure)) => {
                bus::post_status(imp, &Report::of_status(status));
                bus::post_failure(imp, status, failure);
                imp.end_progress(gst::ProgressType::Error, "Cannot connect");
            }
            (_, None) => bus::post_status(imp, &Report::of_status(status)),
        }
        match status.status {
            WmtStatus::Opened => imp.end_progress(gst::ProgressType::Complete, "Connected"),
            WmtStatus::ReconnectEnd if !status.resumed => imp.request_key_frame(),
            _ => {}
        }
    }

    fn on_packets_dropped(&self, total: u64) {
        if let Some(element) = self.0.upgrade() {
            let imp = element.imp();
            bus::post_dropped(imp, imp.session_state(), total);
        }
    }

    fn acquire_credentials(&self, wanted: &CredentialsWanted) -> Option<Credentials> {
        acquire_credentials(&self.0, wanted)
    }
}

/// A probe changes nothing: it only asks for credentials.
pub(super) struct ProbeCallback(pub(super) glib::WeakRef<super::WmsPushSink>);

impl StatusCallback for ProbeCallback {
    fn on_phase(&self, _: Phase) {}

    fn on_status(&self, _: &Status) {}

    fn acquire_credentials(&self, wanted: &CredentialsWanted) -> Option<Credentials> {
        acquire_credentials(&self.0, wanted)
    }
}

/// Emits the signal.
fn acquire_credentials(
    element: &glib::WeakRef<super::WmsPushSink>,
    wanted: &CredentialsWanted,
) -> Option<Credentials> {
    let element = element.upgrade()?;
    let request = &wanted.request;
    let mut flags = CredentialFlags::empty();
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
