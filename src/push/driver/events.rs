// SPDX-License-Identifier: MPL-2.0

//! What comes back to the driver: from the transport, from the session, and from threads that may block.

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::{Asked, Driver};
use crate::auth::Role;
use crate::push::transport::{Progress, Transport};
use crate::push::{Error, Phase, SessionState, WmtStatus};
use crate::wmhttp::{CredentialsWanted, Event, Response};

impl<T: Transport> Driver<T> {
    /// What happened to the connection while nobody asked.
    pub(super) fn take_progress(&mut self) {
        while let Ok(progress) = self.progress.try_recv() {
            self.handle_progress(progress);
        }
    }

    pub(super) fn handle_progress(&mut self, progress: Progress) {
        match (progress, self.phase) {
            (Progress::Resolved, Phase::Resolve) => {
                if !std::mem::replace(&mut self.connecting_told, true) {
                    let reporter = &self.shared.reporter;
                    reporter.status(WmtStatus::Connecting, SessionState::Connecting);
                }
                self.enter(Phase::Connect);
            }
            (Progress::Connected, _) => {
                self.shared.counters.connected();
                self.connecting = false;
                self.begin_probation();
                let waits = self.session.awaits_response();
                self.response_due = waits.then(|| Instant::now() + self.settings.timeout);
                if matches!(self.phase, Phase::Resolve | Phase::Connect) {
                    self.enter(Phase::Setup);
                }
            }
            (Progress::Resolved, _) => {}
        }
    }

    /// The response, or the loss of the connection.
    pub(super) fn handle_outcome(&mut self, outcome: Result<Response, Error>) -> Result<(), Error> {
        self.response_due = None;
        self.take_acknowledgements();
        // Drops the body with it, which ends the request if it still flows.
        self.exchange = None;
        let response = match outcome {
            Ok(response) => response,
            Err(error) if is_silence(&error) && self.handle_silence() => return Ok(()),
            Err(error) => return Err(error),
        };
        tracing::debug!(status = response.status.as_u16(), reason = %response.reason, "Response");
        Ok(self.session.handle_response(&response)?)
    }

    /// Whether the server only has nothing to say to a body that it has got.
    pub(super) fn handle_silence(&mut self) -> bool {
        let arrived = self.outbox.is_empty() && !self.ledger.awaits_acknowledgement();
        arrived && self.session.handle_silence()
    }

    pub(super) fn handle_asked(&mut self, asked: Option<Asked>) -> Result<(), Error> {
        self.asked = None;
        match asked {
            Some(Asked::Credentials(role, credentials)) => {
                let provided = self.session.provide(role, credentials);
                if provided.is_err() && role == Role::Proxy {
                    self.phase = Phase::Proxy;
                }
                provided?;
            }
            Some(Asked::Computed(role, result)) => self.session.computed(role, result),
            None => return Err(Error::Lost("asking for credentials has failed".to_owned())),
        }
        Ok(())
    }

    pub(super) fn handle_expiry(&mut self) -> Result<(), Error> {
        self.take_acknowledgements();
        if self.handle_silence() {
            self.response_due = None;
            self.exchange = None;
            return Ok(());
        }
        Err(self.expired())
    }

    pub(super) fn report_events(&mut self) -> Result<(), Error> {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::ServerConfigured { server } => {
                    tracing::info!(%server, "Publishing point is set up");
                    self.end_recovery();
                    self.recovery.configured();
                    self.shared.opened(server);
                    self.enter(Phase::Start);
                }
                Event::PushStartSent { begins_at, header } => {
                    self.shared.counters.push_started();
                    self.expect_forgetting();
                    let ends_at = self.session.counters().body_bytes;
                    let header = header.map(|header| (header, ends_at));
                    self.ledger.push_start(begins_at, header);
                    if self.entry.header.is_some() {
                        self.start();
                    }
                }
                Event::PushStartRepeated => {
                    tracing::debug!("PushStart goes again");
                    self.outbox.clear();
                    let held = self.held.take().map(|held| (held.content, held.again));
                    self.ledger.repeat(held)?;
                }
                Event::Authenticating => self.enter(Phase::Authenticate),
                Event::CredentialsWanted(wanted) => self.ask(wanted),
                Event::PushStartCompleted | Event::SessionEnded => tracing::debug!(?event, "Event"),
            }
        }
        Ok(())
    }

    /// Asks the application, for as long as it takes.
    pub(super) fn ask(&mut self, wanted: CredentialsWanted) {
        let shared = self.shared.clone();
        self.asked = Some(spawn_blocking(move || {
            let credentials = shared.reporter.acquire_credentials(&wanted);
            Asked::Credentials(wanted.role, credentials)
        }));
    }
}

/// Whether there was no answer, rather than one that is none.
fn is_silence(error: &Error) -> bool {
    !matches!(error, Error::BadResponse(_))
}
