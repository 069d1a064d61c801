// SPDX-License-Identifier: MPL-2.0

//! What comes back to the driver: from the transport, from the session, and from threads that may block.

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::{Asked, Driver};
use crate::auth::Role;
use crate::push::client::Connector;
use crate::push::exchange::Progress;
use crate::push::{Error, Phase, SessionState, WmtStatus};
use crate::wmhttp::{CredentialsWanted, Event, Response};

impl<C: Connector> Driver<C> {
    /// The addresses of the server are known.
    pub(super) fn handle_resolved(&mut self) {
        if self.phase != Phase::Resolve {
            return;
        }
        if !std::mem::replace(&mut self.connecting_told, true) {
            let reporter = &self.shared.reporter;
            reporter.status(WmtStatus::Connecting, SessionState::Connecting);
        }
        self.enter(Phase::Connect);
    }

    /// The connection, the response, or the loss of the connection; `None`: the exchange takes more.
    pub(super) fn handle_progress(
        &mut self,
        progress: Result<Option<Progress>, Error>,
    ) -> Result<(), Error> {
        match progress {
            Ok(None) => Ok(()),
            Ok(Some(Progress::Connected)) => {
                self.handle_connected();
                Ok(())
            }
            Ok(Some(Progress::Response(response))) => self.handle_response(&response),
            Err(error) => self.handle_loss(error),
        }
    }

    fn handle_connected(&mut self) {
        while self.resolved.try_recv().is_ok() {
            self.handle_resolved();
        }
        self.shared.counters.connected();
        self.delivered_at = Instant::now();
        self.begin_probation();
        let waits = self.session.awaits_response();
        self.response_due = waits.then(|| Instant::now() + self.settings.timeout);
        if matches!(self.phase, Phase::Resolve | Phase::Connect) {
            self.enter(Phase::Setup);
        }
    }

    pub(super) fn handle_response(&mut self, response: &Response) -> Result<(), Error> {
        tracing::debug!(status = response.status.as_u16(), reason = %response.reason, "Response");
        self.response_due = None;
        self.take_acknowledgements();
        self.client.finish();
        Ok(self.session.handle_response(response)?)
    }

    fn handle_loss(&mut self, error: Error) -> Result<(), Error> {
        while self.resolved.try_recv().is_ok() {
            self.handle_resolved();
        }
        self.response_due = None;
        self.take_acknowledgements();
        self.client.abandon();
        if is_silence(&error) && self.handle_silence() {
            return Ok(());
        }
        Err(error)
    }

    /// Whether the server only has nothing to say to a body that it has got.
    pub(super) fn handle_silence(&mut self) -> bool {
        !self.ledger.awaits_acknowledgement() && self.session.handle_silence()
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
            None => return Err(Error::NoResources("a thread has ended early".to_owned())),
        }
        Ok(())
    }

    pub(super) fn handle_expiry(&mut self) -> Result<(), Error> {
        self.take_acknowledgements();
        if self.due().is_none_or(|due| due > Instant::now()) {
            return Ok(());
        }
        if self.handle_silence() {
            self.response_due = None;
            self.client.abandon();
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
