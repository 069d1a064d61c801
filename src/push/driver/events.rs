// SPDX-License-Identifier: MPL-2.0

//! Events for the driver from the exchange, the session and blocking tasks.

use std::io;

use tokio::time::Instant;

use super::{BlockingTask, Driver};
use crate::auth::{Role, Scheme};
use crate::push::blocking;
use crate::push::client::Connector;
use crate::push::connector::Milestone;
use crate::push::exchange::{Exchange, Progress};
use crate::push::{Error, Phase};
use crate::wmhttp::{CredentialsWanted, Event, Response};

impl<C: Connector> Driver<C> {
    /// Handles a step in making a connection.
    pub(super) fn handle_milestone(&mut self, milestone: Milestone) {
        match (milestone, self.phase) {
            (Milestone::Resolved, Phase::Resolve) => {
                self.shared.lifecycle.connecting();
                self.enter(Phase::Connect);
            }
            (Milestone::Securing, Phase::Connect) => self.enter(Phase::Tls),
            _ => {}
        }
    }

    fn take_milestones(&mut self) {
        while let Ok(milestone) = self.milestones.try_recv() {
            self.handle_milestone(milestone);
        }
    }

    /// Handles the connection, the response or the loss of the connection. `None`: the exchange accepts more content.
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

    pub(super) fn handle_connected(&mut self) {
        self.take_milestones();
        if !self
            .client
            .exchange()
            .is_some_and(Exchange::is_through_tunnel)
        {
            self.shared.counters.connected();
        }
        self.acks.begin();
        if self.client.exchange().is_some_and(Exchange::is_streaming) {
            self.policy.started(Instant::now());
        }
        self.response_due = None;
        if self.session.awaits_response() {
            self.expect_response();
        }
        if matches!(self.phase, Phase::Resolve | Phase::Connect | Phase::Tls) {
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
        self.take_milestones();
        self.response_due = None;
        self.take_acknowledgements();
        if is_silence(&error) && (self.handle_silence() || self.handle_stale_connection()) {
            return Ok(());
        }
        Err(error)
    }

    /// Returns whether the server has closed a kept connection without reading the PushSetup on it. Servers that do not
    /// announce the end of a connection close it while the next request is on its way.
    fn handle_stale_connection(&mut self) -> bool {
        let unproven = self.client.exchange().is_some_and(Exchange::is_unproven);
        let repeated = unproven && self.session.repeat_push_setup();
        if repeated {
            self.client.abandon();
        }
        repeated
    }

    /// Returns whether the server has acknowledged the whole body and merely sent no response to it.
    fn handle_silence(&mut self) -> bool {
        let silent = !self.replay.awaits_acknowledgement() && self.session.handle_silence();
        if silent {
            self.client.abandon();
        }
        silent
    }

    pub(super) fn handle_blocking(&mut self, result: Option<BlockingTask>) -> Result<(), Error> {
        self.blocking = None;
        match result {
            Some(BlockingTask::Credentials(role, credentials)) => {
                let provided = self.session.provide(role, credentials);
                if provided.is_err() && role == Role::Proxy {
                    self.phase = Phase::Proxy;
                }
                provided?;
            }
            Some(BlockingTask::Computed(role, result)) => self.session.computed(role, result),
            None => return Err(Error::NoResources("a thread ended early".to_owned())),
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
            return Ok(());
        }
        Err(self.expired())
    }

    pub(super) fn report_events(&mut self) -> Result<(), Error> {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::ServerConfigured { server } => self.handle_configured(server),
                Event::PushStartSent { begins_at, header } => {
                    self.shared.counters.push_started();
                    self.check_session_age();
                    self.policy.push_start(header.is_none(), Instant::now());
                    if header.is_some() {
                        self.shared.lifecycle.started();
                    }
                    let ends_at = self.session.counters().body_bytes;
                    let header = header.map(|header| (header, ends_at));
                    self.replay.push_start(begins_at, header);
                }
                Event::PushStartRepeated => {
                    tracing::debug!("Sending PushStart again");
                    let reclaimed = self.replay.repeat()?;
                    self.shared.queue.reclaim(reclaimed);
                }
                Event::Authenticating => self.enter(Phase::Authenticate),
                Event::CredentialsWanted(wanted) => self.ask(wanted)?,
                Event::PushStartCompleted | Event::SessionEnded => tracing::debug!(?event, "Event"),
            }
        }
        Ok(())
    }

    fn handle_configured(&mut self, server: String) {
        tracing::info!(%server, "Publishing point set up");
        self.configured = Some(Instant::now());
        self.policy.configured();
        let scheme = self.session.authentication();
        let authentication = scheme.map_or("", Scheme::as_str);
        self.shared.counters.configured(server, authentication);
        if !self.session.is_streaming() {
            self.policy.accepted_setup();
            // There is no PushStart that could be refused, so the connection has recovered.
            if !self.replay.is_pending() {
                self.end_recovery();
            }
        }
        self.shared.lifecycle.opened(false);
        self.enter(Phase::Start);
    }

    /// Asks the application for credentials, without a time limit.
    fn ask(&mut self, wanted: CredentialsWanted) -> Result<(), Error> {
        let callback = self.shared.lifecycle.notifier().callback().clone();
        self.wait_for(blocking::run(move || {
            let credentials = callback.acquire_credentials(&wanted);
            BlockingTask::Credentials(wanted.role, credentials)
        }))
    }

    /// Continues when a task is done.
    pub(super) fn wait_for(
        &mut self,
        task: io::Result<blocking::Task<BlockingTask>>,
    ) -> Result<(), Error> {
        self.blocking = Some(task.map_err(|error| Error::NoResources(error.to_string()))?);
        Ok(())
    }
}

/// Returns whether no response was received, rather than a bad one.
fn is_silence(error: &Error) -> bool {
    !matches!(error, Error::BadResponse(_))
}
