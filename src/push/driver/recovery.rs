// SPDX-License-Identifier: MPL-2.0

//! Another connection after the loss of one, as the policy has it.

use tokio::time::{Instant, sleep};

use super::{Driver, Entry, Parked};
use crate::auth::Role;
use crate::push::client::Connector;
use crate::push::entropy::SystemEntropy;
use crate::push::exchange::Exchange;
use crate::push::reconnect::{Attempt, Kind, is_end};
use crate::push::{Circumstances, Error, Failure, Phase};
use crate::wmhttp::{self, Entropy};

/// How a push goes on after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovered {
    /// On another connection.
    Again,
    /// Not at all: it had come to its end.
    Over,
}

impl<C: Connector> Driver<C> {
    /// Begins with the session that `last` has left, or with a new one.
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
            tracing::info!("Taking the session up again");
            self.session = session;
            self.replay.take_up(header.clone());
            if self.session.resume(header) {
                self.policy.connecting(Kind::Resumed);
                return;
            }
        }
        self.shared.counters.reset();
        self.session.configure_server();
    }

    /// After an error: prepares another connection, and waits until it is time for it.
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
        if self.phase == Phase::End && !self.replay.waits() && self.shared.queue.is_empty() {
            if !is_end(&failure.error) || !self.session.is_resumable() {
                // Nothing is left that could be sent better.
                return Err(failure);
            }
            // The peer's system has the end. Whether the server has, it tells when it gets the end again.
            self.end_repeated = true;
            self.replay.repeat_end();
        }
        self.wait(failure, attempt).await;
        self.reconnect(attempt.kind);
        Ok(Recovered::Again)
    }

    /// Reports the attempt, and waits until it is time for it.
    async fn wait(&mut self, failure: Failure, attempt: Attempt) {
        let Attempt { number, delay, .. } = attempt;
        tracing::info!(
            phase = failure.phase.name(),
            attempt = number,
            ?delay,
            "Lost: {failure}"
        );
        if attempt.told {
            let awaits_data = self.awaits_data() && self.shared.queue.is_empty();
            let lifecycle = &self.shared.lifecycle;
            lifecycle.lost(failure, number, delay, awaits_data);
        }
        self.shared.lifecycle.notifier().spawn();
        sleep(delay).await;
        // Servers close idle sessions: the driver waits for data before it reconnects, but not before its first connection.
        if self.awaits_data() {
            let begun = Instant::now();
            self.shared.queue.filled(0).await;
            self.policy.idled(begun.elapsed());
        }
    }

    /// Returns whether the next attempt is made when there is data.
    fn awaits_data(&self) -> bool {
        !self.replay.waits() && self.shared.lifecycle.was_opened()
    }

    /// Returns whether the server has the whole stream, as far as can be known.
    fn is_complete(&mut self, refused: bool, error: &Error) -> bool {
        if refused
            && self.replay.comes_to_its_end()
            && !self.replay.is_worth_a_session(self.entry.gate.key_frames())
        {
            // The server knows the session no more because it has received the end.
            let lost = self.replay.give_up();
            self.shared.counters.lost(lost);
            return true;
        }
        let acknowledged = self.phase == Phase::End && !self.replay.waits() && is_end(error);
        if acknowledged && self.end_repeated {
            tracing::info!("The peer acknowledged the end of the stream twice: {error}");
            return true;
        }
        false
    }

    /// Drops what is under way.
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

    /// Begins another connection: with the session as it is, where the server may still know it, or with a new one.
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

    /// A PushStart is sent. When that comes long after PushSetup, the server may have forgotten the session by then
    /// (3.2.6.2).
    pub(super) fn expect_forgetting(&mut self) {
        let patience = self.session.idle_timeout();
        let late = |then: Instant| then.elapsed() > patience;
        if self.configured.take().is_some_and(late) {
            self.policy.late();
        }
    }

    /// The server has not refused the PushStart.
    pub(super) fn end_probation(&mut self) {
        self.policy.end_probation();
        self.shared.counters.opened();
        self.end_recovery();
        self.shared.lifecycle.opened(self.session.has_resumed());
        self.enter(Phase::Push);
    }

    /// The session goes on, or another one has begun.
    pub(super) fn end_recovery(&mut self) {
        if let Some(attempt) = self.policy.recovered() {
            self.tell_recovered(attempt);
        }
    }

    pub(super) fn tell_recovered(&mut self, attempt: u32) {
        let resumed = self.session.has_resumed();
        tracing::info!(attempt, resumed, "Connected again");
        self.shared.counters.reconnected();
        self.shared.lifecycle.recovered(attempt, resumed);
    }

    /// The error in the phase that it belongs to. While a connection is being made, that is the proxy's if there is one.
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

    /// The error in `phase`, with its circumstances.
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
