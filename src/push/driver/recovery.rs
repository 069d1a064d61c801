// SPDX-License-Identifier: MPL-2.0

//! Another connection after the loss of one.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::{Instant, sleep};

use super::{Driver, Entry};
use crate::push::backoff::Backoff;
use crate::push::client::Connector;
use crate::push::entropy::SystemEntropy;
use crate::push::exchange::Exchange;
use crate::push::queue::Content;
use crate::push::shared::Shared;
use crate::push::{Error, Failure, Phase, SessionState, WmtStatus};
use crate::wmhttp::{self, Entropy};

/// How long a server may take to refuse a PushStart, and with it a session that is taken up again: it says nothing when
/// it does not.
const PROBATION: Duration = Duration::from_millis(250);

/// How often a connection may go without a word before that is taken for a refusal.
const MOST_BROKEN: u8 = 1;

/// Where the connection stands between its losses.
#[derive(Default)]
pub(super) struct Recovery {
    /// When the connection was lost; not since: it stands, or has never stood.
    lost: Option<Instant>,
    backoff: Backoff,
    /// The last session is tried again, and the server has not had its time to refuse.
    resuming: Resuming,
    /// The server does not know the session any more.
    forgotten: bool,
    /// Resumptions in sequence whose connection went without a word: a refusal, or another loss.
    broken: u8,
    /// The end of the stream has arrived, and the connection went without a word. It goes once more.
    end_arrived: bool,
    /// When PushSetup last succeeded.
    configured: Option<Instant>,
    /// When the last PushStart was sent, or its connection made.
    started: Option<Instant>,
}

/// How a push goes on after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovered {
    /// On another connection.
    Again,
    /// Not at all: it had come to its end.
    Over,
}

/// How far the resumption of a session has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Resuming {
    #[default]
    No,
    /// There is no connection yet.
    Connecting,
    /// The server may refuse until then before anybody hears of the connection.
    Probation(Instant),
    /// It is told that the session goes on; a refusal until then still means that it is forgotten.
    Told(Instant),
}

impl Recovery {
    /// Whether a lost connection is being made again.
    pub(super) fn is_under_way(&self) -> bool {
        self.lost.is_some()
    }

    /// PushSetup has succeeded.
    pub(super) fn configured(&mut self) {
        self.configured = Some(Instant::now());
    }

    /// Whether the server has its time to refuse the session: what is sent now it may take and throw away.
    pub(super) fn holds_content(&self) -> bool {
        matches!(self.resuming, Resuming::Connecting | Resuming::Probation(_))
    }

    /// When the server has had its time to refuse the session.
    pub(super) fn probation(&self) -> Option<Instant> {
        match self.resuming {
            Resuming::Probation(until) => Some(until),
            _ => None,
        }
    }

    /// Something has arrived on a connection that stands: the next loss is a new one.
    pub(super) fn prove(&mut self) {
        if self.lost.is_none() {
            self.backoff = Backoff::default();
        }
    }

    /// Whether the connection went as soon as a PushStart was there. When that was to go on with a session, the server
    /// has most likely thrown away whatever its system has taken.
    fn is_early(&self, error: &Error) -> bool {
        let recent = self.started.is_some_and(|then| then.elapsed() < PROBATION);
        recent && is_close(error)
    }

    /// Whether this is how a server says that it does not know the session that was tried again.
    fn is_refusal(&mut self, error: &Error) -> bool {
        if matches!(error, Error::Protocol(wmhttp::Error::Forgotten)) {
            return true;
        }
        let said = matches!(error, Error::Protocol(_) | Error::BadResponse(_));
        let closed = is_close(error);
        match self.resuming {
            Resuming::No | Resuming::Connecting => false,
            Resuming::Told(until) => said && Instant::now() < until,
            Resuming::Probation(_) if closed => {
                self.broken += 1;
                // The session of a connection that was left is tried once.
                self.broken > MOST_BROKEN || self.lost.is_none()
            }
            Resuming::Probation(_) => said,
        }
    }
}

impl<C: Connector> Driver<C> {
    /// Begins with the session of the `last` connection, or with a new one.
    pub(super) async fn begin(&mut self, last: Option<Arc<Shared>>) {
        self.shared
            .reporter
            .status(WmtStatus::Locating, SessionState::Connecting);
        self.enter(Phase::Resolve);
        let kept = match last {
            Some(last) => last.take_session().await,
            None => None,
        };
        if let Some((session, header)) = kept.and_then(|kept| kept.take(&self.settings.session)) {
            tracing::info!("Taking the session up again");
            self.session = session;
            self.ledger.take_up(header.clone());
            if self.session.resume(header) {
                self.recovery.resuming = Resuming::Connecting;
                return;
            }
        }
        self.shared.counters.reset();
        self.session.configure_server();
    }

    /// After an error: does what has to be done before the connection can be made again, and waits until it is time.
    ///
    /// # Errors
    ///
    /// The failure that ends the push.
    pub(super) async fn recover(&mut self, error: Error) -> Result<Recovered, Failure> {
        let early = self.recovery.is_early(&error) && !self.ledger.opens();
        let refused = self.recovery.is_refusal(&error);
        let failure = self.failure(error);
        let held = self.leave_connection();
        if refused {
            self.ledger.refuse(held);
            tracing::info!("The server does not take the session up again: {failure}");
            self.recovery.forgotten = true;
            if self.ledger.comes_to_its_end()
                && !self.ledger.is_worth_a_session(&self.entry.key_frames)
            {
                // The server knows the session no more because it has got the end of it.
                let dropped = self.ledger.give_up();
                self.shared.dropped(dropped);
                return Ok(Recovered::Over);
            }
            if self.shared.was_opened() && !self.recovery.is_under_way() {
                self.recovery.lost = Some(Instant::now());
                self.shared.lost(failure, 1, Duration::ZERO);
            }
            self.reconnect();
            return Ok(Recovered::Again);
        }
        if self.has_arrived(&failure, held.is_some())
            && std::mem::replace(&mut self.recovery.end_arrived, true)
        {
            tracing::info!("The end has arrived again: {failure}");
            return Ok(Recovered::Over);
        }
        let ended = is_end_of_session(&failure.error);
        self.recovery.forgotten |= ended;
        if ended || early {
            self.ledger.refuse(held);
        } else {
            self.ledger.lose_connection(held);
            self.recovery.forgotten |= self.has_restarted(&failure.error);
        }
        if self.phase == Phase::End && !self.ledger.waits() {
            if !is_close(&failure.error) || !self.session.is_resumable() {
                // Nothing is left that could be sent better.
                return Err(failure);
            }
            // The peer's system has got the end; whether the server has, it will tell when it gets it again.
            self.ledger.repeat_end();
        }
        let delay = self.next_delay(&failure)?;
        sleep(delay).await;
        // A server may drop whoever sends nothing: there is time until there is something.
        if !self.ledger.waits() {
            self.shared.queue.filled(0).await;
        }
        self.reconnect();
        Ok(Recovered::Again)
    }

    /// Whether the connection went without a word when all of the stream had arrived, up to its end.
    fn has_arrived(&self, failure: &Failure, holds: bool) -> bool {
        let waits = holds || self.ledger.waits() || self.ledger.awaits_acknowledgement();
        self.phase == Phase::End && !waits && is_close(&failure.error)
    }

    /// Whether the server was gone altogether, and its sessions with it. Some receivers look at no push-id when they are
    /// there again, and would take data for a stream whose header they have never got.
    fn has_restarted(&self, error: &Error) -> bool {
        let refused = matches!(
            error,
            Error::CannotConnect {
                kind: ErrorKind::ConnectionRefused,
                ..
            }
        );
        refused && self.settings.session.access.proxy.is_none()
    }

    /// How long to wait before the next attempt, which is told of when it is the first.
    fn next_delay(&mut self, failure: &Failure) -> Result<Duration, Failure> {
        let allowed = self.shared.was_opened() || self.settings.retry_first_connect;
        let patience = self.settings.reconnect_timeout;
        if !allowed || patience.is_zero() || !failure.may_heal() {
            return Err(failure.clone());
        }
        let now = Instant::now();
        let first = self.recovery.lost.is_none();
        let lost = *self.recovery.lost.get_or_insert(now);
        let mut random = [0];
        SystemEntropy.random(&mut random);
        let wait = self.recovery.backoff.next(random[0]);
        let delay = wait.max(failure.retry_after().unwrap_or_default());
        if now.saturating_duration_since(lost).saturating_add(delay) > patience {
            return Err(failure.clone());
        }
        let attempt = self.recovery.backoff.attempts();
        if first {
            self.shared.lost(failure.clone(), attempt, delay);
        } else {
            tracing::info!(attempt, ?delay, "Still no connection: {failure}");
        }
        Ok(delay)
    }

    /// Nothing is under way any more. What the session has not taken yet is returned.
    fn leave_connection(&mut self) -> Option<(Content, bool)> {
        self.take_acknowledgements();
        let exchange = self.client.exchange();
        if exchange.is_some_and(|exchange| exchange.is_push_start() && exchange.is_connecting()) {
            self.shared.counters.push_start_unsent();
        }
        self.client.abandon();
        self.asked = None;
        self.response_due = None;
        self.recovery.resuming = Resuming::No;
        let held = self.held.take();
        held.map(|held| (held.content, held.again))
    }

    /// Begins another connection: with the session as it is, where the server may still know it, or with a new one.
    fn reconnect(&mut self) {
        self.enter(Phase::Resolve);
        let age = self.recovery.lost.map(|lost| lost.elapsed());
        let kept = age.is_some_and(|age| age < self.session.idle_timeout());
        let header = self.ledger.header().cloned();
        if kept && !self.recovery.forgotten && self.session.resume(header.clone()) {
            self.recovery.resuming = Resuming::Connecting;
            return;
        }
        self.recovery.forgotten = true;
        let begun = self.entry.header.is_some() && !self.ledger.begins_with_header();
        let header = header.filter(|_| begun);
        if let Some(header) = &header {
            self.entry = Entry::of(header);
            self.entry.awaits_key_frame = self.ledger.has_gap();
        }
        self.session.restart(header);
    }

    /// There is a connection: from now on the server can refuse the session.
    pub(super) fn begin_probation(&mut self) {
        self.recovery.started = Some(Instant::now());
        let streams = self.client.exchange().is_some_and(Exchange::is_push_start);
        if self.recovery.resuming == Resuming::Connecting && streams {
            self.recovery.resuming = Resuming::Probation(Instant::now() + PROBATION);
        }
    }

    /// A PushStart is sent. When that comes long after PushSetup, the server may have forgotten the session by then
    /// (3.2.6.2), as it may have one that is tried again.
    pub(super) fn expect_forgetting(&mut self) {
        self.recovery.started = Some(Instant::now());
        let patience = self.session.idle_timeout();
        let late = self
            .recovery
            .configured
            .take()
            .is_some_and(|then| then.elapsed() > patience);
        if late && self.recovery.resuming == Resuming::No {
            let until = Instant::now() + self.settings.timeout;
            self.recovery.resuming = Resuming::Told(until);
        }
    }

    /// The server has not refused the session.
    pub(super) fn end_probation(&mut self) {
        let until = Instant::now() + self.settings.timeout;
        self.end_recovery();
        self.recovery.resuming = Resuming::Told(until);
        let server = self.shared.counters.stats().server;
        self.shared.opened(server);
        self.enter(Phase::Push);
    }

    /// The session goes on, or another one.
    pub(super) fn end_recovery(&mut self) {
        self.recovery.resuming = Resuming::No;
        self.recovery.broken = 0;
        if self.recovery.lost.take().is_some() {
            let attempts = self.recovery.backoff.attempts();
            let resumed = self.session.has_resumed() && !self.recovery.forgotten;
            self.shared.recovered(attempts, resumed);
        }
        self.recovery.forgotten = false;
    }

    /// The error in the phase that it belongs to: where there is a proxy, it is the proxy that is connected to.
    pub(super) fn failure(&self, error: Error) -> Failure {
        let proxied = self.settings.session.access.proxy.is_some();
        let phase = match (&error, self.phase) {
            (Error::Tls(_), _) => Phase::Tls,
            (Error::Protocol(wmhttp::Error::Refused { status, .. }), _)
            | (Error::Protocol(wmhttp::Error::Denied { status, .. }), _)
                if *status == StatusCode::PROXY_AUTHENTICATION_REQUIRED =>
            {
                Phase::Proxy
            }
            (_, Phase::Resolve | Phase::Connect) if proxied => Phase::Proxy,
            (_, phase) => phase,
        };
        Failure { phase, error }
    }
}

/// Whether the connection went without a word.
fn is_close(error: &Error) -> bool {
    matches!(error, Error::Closed | Error::Reset)
}

/// Whether it is the server itself that says no: it keeps no session of which it says so (3.2.4.1, 3.2.6.1). A gateway
/// only speaks of its own connection.
fn is_end_of_session(error: &Error) -> bool {
    match error {
        Error::Protocol(wmhttp::Error::Refused { status, .. }) => !matches!(
            *status,
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
        ),
        _ => false,
    }
}
