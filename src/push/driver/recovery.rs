// SPDX-License-Identifier: MPL-2.0

//! Recovery: another connection after a loss, as the policy decides.

use tokio::time::{Instant, sleep};

use super::{Driver, Entry, Parked};
use crate::auth::Role;
use crate::push::client::Connector;
use crate::push::entropy::SystemEntropy;
use crate::push::exchange::Exchange;
use crate::push::reconnect::{Attempt, Kind, is_end};
use crate::push::{Circumstances, Error, Failure, Phase};
use crate::wmhttp::{self, Entropy};

/// The result of recovering from an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovered {
    /// The push continues over another connection.
    Again,
    /// The push is over: the server has the end of the stream.
    Over,
}

impl<C: Connector> Driver<C> {
    /// Begins with the session that `last` has parked, or with a new one.
    pub(super) async fn begin(&mut self, last: Option<Parked>) {
        self.shared.lifecycle.begin();
        self.enter(Phase::Resolve);
        self.shared.lifecycle.notifier().spawn();
        let parked = match last {
            Some(last) => last.await.ok().flatten(),
            None => None,
        };
        let session = parked.and_then(|parked| parked.take(&self.settings.session));
        if let Some((session, header)) = session.filter(|_| self.settings.resume) {
            tracing::info!("Resuming the parked session");
            self.session = session;
            self.replay.continue_session(header.clone());
            if self.session.resume(header) {
                self.policy.connecting(Kind::Resumed);
                return;
            }
        }
        self.shared.counters.reset();
        self.session.configure_server();
    }

    /// Prepares another connection after an error, and waits until it is due.
    ///
    /// # Errors
    ///
    /// The failure that ends the push.
    pub(super) async fn recover(&mut self, error: Error) -> Result<Recovered, Failure> {
        self.take_acknowledgements();
        let mut failure = self.failure(error);
        let verdict = self.policy.lost(
            &failure.error,
            self.replay.has_young_header(),
            Instant::now(),
            random_byte(),
        );
        failure.circumstances.accepted = self.policy.has_accepted();
        failure.circumstances.repeated = verdict.repeated;
        self.leave_connection();
        let reclaimed = self.replay.lose_connection(verdict.refused);
        self.shared.queue.reclaim(reclaimed);
        if self.is_complete(verdict.refused, &failure.error) {
            return Ok(Recovered::Over);
        }
        let Some(attempt) = verdict.attempt else {
            return Err(failure);
        };
        if self.phase == Phase::End && !self.replay.is_pending() && self.shared.queue.is_empty() {
            if !is_end(&failure.error) || !self.session.is_resumable() {
                // All content was sent, so another connection has nothing to add.
                return Err(failure);
            }
            // The peer's kernel has acknowledged the end. The server's reaction to a second end shows whether it has
            // read it.
            self.end_repeated = true;
            self.replay.resend_end();
        }
        self.wait(failure, attempt).await;
        self.reconnect(attempt.kind);
        Ok(Recovered::Again)
    }

    /// Reports the attempt, and waits until it is due.
    async fn wait(&mut self, failure: Failure, attempt: Attempt) {
        let Attempt { number, delay, .. } = attempt;
        tracing::info!(
            phase = failure.phase.name(),
            attempt = number,
            ?delay,
            "Lost the connection: {failure}"
        );
        if attempt.reported {
            let awaits_data = self.awaits_data() && self.shared.queue.is_empty();
            let lifecycle = &self.shared.lifecycle;
            lifecycle.lost(failure, number, delay, awaits_data);
        }
        self.shared.lifecycle.notifier().spawn();
        sleep(delay).await;
        // Servers close idle sessions, so the driver waits for data before it reconnects. A first connection does not
        // wait.
        if self.awaits_data() {
            let begun = Instant::now();
            self.shared.queue.filled(0).await;
            self.policy.idled(begun.elapsed());
        }
    }

    /// Returns whether the next attempt waits for data.
    fn awaits_data(&self) -> bool {
        !self.replay.is_pending() && self.shared.lifecycle.was_opened()
    }

    /// Returns whether the server has the whole stream, as far as the connection showed.
    fn is_complete(&mut self, refused: bool, error: &Error) -> bool {
        if refused
            && self.replay.ends_the_stream()
            && !self.replay.is_worth_a_session(self.entry.gate.key_frames())
        {
            // The server no longer knows the session because it has received the end.
            let lost = self.replay.give_up();
            self.shared.counters.lost(lost);
            return true;
        }
        let acknowledged = self.phase == Phase::End && !self.replay.is_pending() && is_end(error);
        if acknowledged && self.end_repeated {
            tracing::info!("The peer acknowledged the end of the stream twice: {error}");
            return true;
        }
        false
    }

    /// Drops the request and the blocking task under way.
    fn leave_connection(&mut self) {
        let connecting =
            |exchange: &Exchange<C::Link>| exchange.is_push_start() && exchange.is_connecting();
        if self.client.exchange().is_some_and(connecting) {
            self.shared.counters.push_start_unsent();
        }
        self.client.abandon();
        self.blocking = None;
        self.response_due = None;
        self.shared.queue.put_back(&mut self.taken);
    }

    /// Begins another connection: with the same session if the server may still know it, or with a new one.
    fn reconnect(&mut self, kind: Kind) {
        self.enter(Phase::Resolve);
        let header = self.replay.header().cloned();
        if kind == Kind::Resumed && self.session.resume(header.clone()) {
            self.policy.connecting(Kind::Resumed);
            return;
        }
        self.policy.connecting(Kind::New);
        let begun = self.entry.header.is_some() && !self.replay.begins_with_header();
        let header = header.filter(|_| begun);
        if let Some(header) = &header {
            self.entry = Entry::of(header);
            if self.replay.has_gap() {
                self.entry.gate.close();
            }
        }
        self.session.restart(header);
    }

    /// Tells the policy if a PushStart is sent so long after PushSetup that the server may have discarded the session
    /// (3.2.6.2 Inactivity-Timeout Timer Expires).
    pub(super) fn check_session_age(&mut self) {
        let idle_timeout = self.session.idle_timeout();
        let late = |then: Instant| then.elapsed() > idle_timeout;
        if self.configured.take().is_some_and(late) {
            self.policy.late();
        }
    }

    /// The server's time to refuse the PushStart has passed.
    pub(super) fn end_probation(&mut self) {
        self.policy.end_probation();
        self.shared.counters.opened();
        self.end_recovery();
        self.shared.lifecycle.opened(self.session.has_resumed());
        self.enter(Phase::Push);
    }

    /// The session continues, or a new one has begun.
    pub(super) fn end_recovery(&mut self) {
        if let Some(attempt) = self.policy.recovered() {
            self.report_recovered(attempt);
        }
    }

    pub(super) fn report_recovered(&mut self, attempt: u32) {
        let resumed = self.session.has_resumed();
        tracing::info!(attempt, resumed, "Reconnected");
        self.shared.counters.reconnected();
        self.shared.lifecycle.recovered(attempt, resumed);
    }

    /// Returns the failure with the phase that `error` belongs to. While a connection to a proxy is being made, that is
    /// [`Phase::Proxy`].
    pub(super) fn failure(&self, error: Error) -> Failure {
        let proxied = self.settings.session.access.proxy.is_some();
        let phase = match (&error, self.phase) {
            (Error::Tls(_), _) => Phase::Tls,
            (
                Error::Protocol(
                    wmhttp::Error::Refused {
                        role: Role::Proxy, ..
                    }
                    | wmhttp::Error::Denied {
                        role: Role::Proxy, ..
                    },
                ),
                _,
            ) => Phase::Proxy,
            (_, Phase::Resolve | Phase::Connect) if proxied => Phase::Proxy,
            _ if self.client.exchange().is_some_and(Exchange::is_connect) => Phase::Proxy,
            (_, phase) => phase,
        };
        self.failure_in(phase, error)
    }

    /// Returns the failure in `phase`, with its circumstances.
    pub(super) fn failure_in(&self, phase: Phase, error: Error) -> Failure {
        let mut circumstances = Circumstances::of(&self.settings);
        if let Some(way) = self.client.destination() {
            circumstances.lead_to(&self.settings, &way.server, way.proxy.as_ref());
        }
        circumstances.accepted = self.policy.has_accepted();
        circumstances.attempts = self.shared.lifecycle.retry().attempt;
        Failure {
            phase,
            error,
            circumstances: Box::new(circumstances),
        }
    }
}

fn random_byte() -> u8 {
    let mut random = [0];
    SystemEntropy.random(&mut random);
    let [byte] = random;
    byte
}
