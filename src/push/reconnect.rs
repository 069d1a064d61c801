// SPDX-License-Identifier: MPL-2.0

//! What follows the loss of a connection: plain state, without a clock.
//!
//! | loss | before a push was accepted | after |
//! |---|---|---|
//! | reset, close, stall, no answer, unreachable | final, unless `retry-first-connect` | the same session, or a new one |
//! | a resumed session refused, or lost before the connection was good | | a new session at once, and no resumption until a connection is good |
//! | 403, 408, 409, 423, 425, 429, 5xx | final, unless `retry-first-connect` | a new session |
//! | 404, 410 | final | a new session |
//! | connection refused, without a proxy | final, unless `retry-first-connect` | a new session: the server has restarted |
//! | no Windows Media server, a player's answer, other statuses, bad input | final | final |
//!
//! A connection is good after [`GOOD`] of streaming with acknowledged data. Only that ends a loss: the wait between two
//! attempts doubles, and `reconnect-timeout` runs, from the first loss until then.

use std::io::ErrorKind;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::Error;
use super::backoff::Backoff;
use crate::wmhttp;

/// How long a connection has to stream, with acknowledged data, until it is good.
pub(super) const GOOD: Duration = Duration::from_secs(10);

/// How long a server may take to refuse a PushStart that resumes a session. It says nothing when it does not refuse.
const PROBATION: Duration = Duration::from_millis(250);

/// A server that does not know a session may take its first data, and close then: what it closes on within this time was
/// not received.
const EARLY: Duration = Duration::from_secs(1);

/// Longest `Retry-After` that is honoured.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// Longest time, beyond `reconnect-timeout`, that an attempt may take, and longest stall of a connection that is not good.
const OVERTIME: Duration = Duration::from_secs(5);

/// What the application wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// Longest time without a good connection; zero: never reconnect; [`Duration::MAX`]: no limit.
    pub(super) timeout: Duration,
    /// Whether a first connection that cannot be made is tried again.
    pub(super) retry_first: bool,
    /// Whether a session may be resumed.
    pub(super) resume: bool,
    /// Whether a proxy stands in front of the server.
    pub(super) proxied: bool,
}

/// The state between the losses of a connection.
#[derive(Debug)]
pub(super) struct Reconnect {
    policy: Policy,
    history: History,
    resumption: Resumption,
    loss: Option<OpenLoss>,
    connection: Connection,
}

/// How far the push has come in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum History {
    New,
    /// PushSetup has succeeded.
    Opened,
    /// The peer has acknowledged data, and did not refuse the stream at once.
    Accepted,
}

/// Whether sessions can be resumed at this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resumption {
    Untried,
    /// One has ended before its connection was good.
    Failed,
}

/// A loss that no good connection has ended.
#[derive(Debug)]
struct OpenLoss {
    /// When the first connection was lost, later by the time in which there was nothing to send.
    since: Instant,
    backoff: Backoff,
    /// Connections that the peer ended after it had received data.
    short_lived: u32,
    told: Told,
}

/// What the application knows of an open loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// That the connection is lost.
    Lost,
    /// That it stands again.
    Recovered,
    /// That it stood again, and was lost again. It is told of nothing but attempts until a connection is good.
    LostAgain,
}

/// The current connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    kind: Kind,
    /// When a PushStart was sent over it.
    started: Option<Instant>,
    /// When the peer first acknowledged data of that.
    delivered: Option<Instant>,
    /// When the last PushStart was sent, if it goes on without `$H`.
    goes_on_since: Option<Instant>,
    probation: Probation,
    good: bool,
}

/// Which session a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A new one.
    New,
    /// One that the server should know.
    Resumed,
    /// One whose PushStart comes so long after PushSetup that the server may have forgotten it (3.2.6.2).
    Late,
}

/// Whether the server has had its time to refuse a PushStart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probation {
    /// The PushStart has no connection yet.
    Ahead,
    /// It has until then.
    Until(Instant),
    Over,
}

/// How a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Trying again would not help.
    Final,
    /// The connection is gone, and the server may know the session.
    Connection,
    /// The server has refused or forgotten the session.
    Session,
}

/// What to do after a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether the server has refused the current PushStart, so that all of it is to be sent again.
    pub(super) refused: bool,
    /// The next attempt; `None`: the push has failed.
    pub(super) attempt: Option<Attempt>,
    /// The server has ended each connection since the first loss after it had received data.
    pub(super) repeated: bool,
}

/// The next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// From 1, for the current loss.
    pub(super) number: u32,
    /// How long to wait.
    pub(super) delay: Duration,
    /// Which session it is for.
    pub(super) kind: Kind,
    /// Whether the application hears of it.
    pub(super) told: bool,
}

impl Connection {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            started: None,
            delivered: None,
            goes_on_since: None,
            probation: Probation::Ahead,
            good: false,
        }
    }

    /// Returns whether the server may have forgotten the session.
    fn may_be_forgotten(&self) -> bool {
        self.kind != Kind::New && !self.good
    }
}

impl Reconnect {
    /// The state before the first connection.
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            history: History::New,
            resumption: Resumption::Untried,
            loss: None,
            connection: Connection::new(Kind::New),
        }
    }

    /// A connection is going to be made.
    pub(super) fn connecting(&mut self, kind: Kind) {
        self.connection = Connection::new(kind);
    }

    /// PushSetup has succeeded.
    pub(super) fn configured(&mut self) {
        self.history = self.history.max(History::Opened);
    }

    /// The server has taken the session by a PushSetup, and the first PushStart of the session is still to come.
    pub(super) fn accepted_setup(&mut self) {
        self.connection.kind = Kind::New;
    }

    /// A PushStart comes long after its PushSetup.
    pub(super) fn late(&mut self) {
        if self.connection.kind == Kind::New {
            self.connection.kind = Kind::Late;
        }
    }

    /// A PushStart is sent, with `$H` unless it `goes_on`.
    pub(super) fn push_start(&mut self, goes_on: bool, now: Instant) {
        self.connection.goes_on_since = goes_on.then_some(now);
    }

    /// When the first PushStart of this connection was sent.
    pub(super) fn streams_since(&self) -> Option<Instant> {
        self.connection.started
    }

    /// A PushStart is sent over a connection that stands.
    pub(super) fn started(&mut self, now: Instant) {
        let connection = &mut self.connection;
        connection.started.get_or_insert(now);
        connection.goes_on_since = connection.goes_on_since.map(|_| now);
        if connection.probation == Probation::Ahead {
            connection.probation = Probation::Until(now + PROBATION);
        }
    }

    /// Returns whether content has to wait: a server that is about to refuse a resumption takes content and drops it.
    pub(super) fn holds_content(&self) -> bool {
        let connection = &self.connection;
        connection.kind == Kind::Resumed && connection.probation != Probation::Over
    }

    /// When the server has had its time to refuse the PushStart.
    pub(super) fn probation(&self) -> Option<Instant> {
        match self.connection.probation {
            Probation::Until(until) => Some(until),
            Probation::Ahead | Probation::Over => None,
        }
    }

    /// Returns whether the server has accepted a push in this run.
    pub(super) fn has_accepted(&self) -> bool {
        self.history == History::Accepted
    }

    /// The server has not refused the PushStart.
    pub(super) fn end_probation(&mut self) {
        self.connection.probation = Probation::Over;
        self.history = self.history.max(History::Opened);
    }

    /// The peer has acknowledged data. Returns the attempt that has led to a good connection if the application does not
    /// know of it.
    pub(super) fn acknowledged(&mut self, now: Instant) -> Option<u32> {
        let connection = &mut self.connection;
        let started = connection.started?;
        connection.delivered.get_or_insert(now);
        let age = now.saturating_duration_since(started);
        if age >= PROBATION {
            self.history = History::Accepted;
        }
        if age < GOOD || std::mem::replace(&mut connection.good, true) {
            return None;
        }
        self.resumption = Resumption::Untried;
        let loss = self.loss.take()?;
        (loss.told != Told::Recovered).then(|| loss.backoff.attempts())
    }

    /// The connection stands again. Returns the attempt that has led to it if the application is to know.
    pub(super) fn recovered(&mut self) -> Option<u32> {
        let loss = self.loss.as_mut()?;
        if loss.told != Told::Lost {
            return None;
        }
        loss.told = Told::Recovered;
        Some(loss.backoff.attempts())
    }

    /// Until when a connection that is being made has to stand.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let loss = self.loss.as_ref()?;
        loss.since
            .checked_add(self.policy.timeout.saturating_add(OVERTIME))
    }

    /// Longest stall of the current connection, where the application's limit is `limit`.
    pub(super) fn stall_limit(&self, limit: Duration) -> Duration {
        match self.deadline() {
            Some(_) if !self.connection.good => limit.min(OVERTIME),
            _ => limit,
        }
    }

    /// For `waited`, there was nothing to send, and no connection was made.
    pub(super) fn idled(&mut self, waited: Duration) {
        if let Some(loss) = &mut self.loss {
            loss.since += waited;
        }
    }

    /// A connection was lost, or could not be made. With a `young_header` the server may not have read the header in force,
    /// and gets it in a new session. `random` spreads the attempts of encoders that have lost the same
    /// server.
    pub(super) fn lost(
        &mut self,
        error: &Error,
        young_header: bool,
        now: Instant,
        random: u8,
    ) -> Verdict {
        let resumed = self.connection.may_be_forgotten();
        let loss = self.classify(error, resumed);
        if loss == Loss::Connection && self.connection.delivered.is_some() {
            // A server that had refused the push would have said so.
            self.history = History::Accepted;
        }
        let stood = self.connection.started.is_some();
        if resumed && stood {
            self.resumption = Resumption::Failed;
        }
        let refused = (loss == Loss::Session && stood) || self.is_early(error, now);
        let kind = match (loss, self.resumption, self.policy.resume) {
            (Loss::Connection, Resumption::Untried, true) if !young_header => Kind::Resumed,
            _ => Kind::New,
        };
        let attempt = match loss {
            Loss::Final => None,
            // The server has only said that it does not know the session.
            Loss::Session if resumed && stood => Some(self.at_once(now)),
            _ => self.next_attempt(error, kind, now, random),
        };
        Verdict {
            refused,
            attempt,
            repeated: self.count_short_lived(error),
        }
    }

    fn classify(&self, error: &Error, resumed: bool) -> Loss {
        match error {
            Error::Reset
            | Error::Closed
            | Error::Broken { .. }
            | Error::Stalled(_)
            | Error::ConnectTimeout(_)
            | Error::ResponseTimeout(_)
            | Error::Unresolvable(_)
            | Error::Tls(_)
            | Error::LateChallenge
            | Error::NoResources(_) => Loss::Connection,
            // Some receivers look at no push-id, and would take data for a stream whose header they have not received.
            Error::CannotConnect { kind, .. } => match kind {
                ErrorKind::ConnectionRefused if !self.policy.proxied => Loss::Session,
                _ => Loss::Connection,
            },
            Error::Protocol(wmhttp::Error::Forgotten) => Loss::Session,
            Error::Protocol(_) | Error::BadResponse(_) if resumed => Loss::Session,
            Error::Protocol(wmhttp::Error::Refused { status, .. }) => self.classify_status(*status),
            Error::Protocol(_)
            | Error::BadResponse(_)
            | Error::DrainTimeout(_)
            | Error::Input(_) => Loss::Final,
        }
    }

    /// The server keeps no session for which it sends a status (3.2.4.1, 3.2.6.1); a gateway only knows its own connection.
    fn classify_status(&self, status: StatusCode) -> Loss {
        match status.as_u16() {
            502 | 504 => Loss::Connection,
            403 | 408 | 409 | 423 | 425 | 429 | 500..=599 => Loss::Session,
            404 | 410 if self.history == History::Accepted => Loss::Session,
            _ => Loss::Final,
        }
    }

    /// Returns whether the server has most likely dropped what its system acknowledged: it has ended the connection soon after
    /// a PushStart without `$H`, or after the first data of a session that it does not know.
    fn is_early(&self, error: &Error, now: Instant) -> bool {
        let connection = &self.connection;
        let Some(since) = connection.goes_on_since else {
            return false;
        };
        let (since, early) = match connection
            .delivered
            .filter(|_| connection.may_be_forgotten())
        {
            Some(delivered) => (delivered.max(since), EARLY),
            None => (since, PROBATION),
        };
        is_end(error) && now.saturating_duration_since(since) < early
    }

    /// Begins a new session after a resumption that was refused.
    fn at_once(&mut self, now: Instant) -> Attempt {
        let told = self.loss.is_none() && self.history > History::New;
        let loss = self.open_loss(now);
        if told {
            loss.backoff.count();
        }
        let number = loss.backoff.attempts().max(1);
        Attempt {
            number,
            delay: Duration::ZERO,
            kind: Kind::New,
            told,
        }
    }

    fn next_attempt(
        &mut self,
        error: &Error,
        kind: Kind,
        now: Instant,
        random: u8,
    ) -> Option<Attempt> {
        let allowed = self.history > History::New || self.policy.retry_first;
        if !allowed || self.policy.timeout.is_zero() {
            return None;
        }
        let timeout = self.policy.timeout;
        let loss = self.open_loss(now);
        let elapsed = now.saturating_duration_since(loss.since);
        let left = timeout.saturating_sub(elapsed);
        if left.is_zero() {
            return None;
        }
        let wait = loss.backoff.next(random);
        let asked = error.retry_after().unwrap_or_default();
        let delay = wait.max(asked.min(LONGEST_RETRY_AFTER)).min(left);
        Some(Attempt {
            number: loss.backoff.attempts(),
            delay,
            kind,
            told: true,
        })
    }

    fn open_loss(&mut self, now: Instant) -> &mut OpenLoss {
        let loss = self.loss.get_or_insert_with(|| OpenLoss {
            since: now,
            backoff: Backoff::default(),
            short_lived: 0,
            told: Told::Lost,
        });
        if loss.told == Told::Recovered {
            loss.told = Told::LostAgain;
        }
        loss
    }

    /// Counts connections that the peer has ended early, and returns whether they are more than one.
    fn count_short_lived(&mut self, error: &Error) -> bool {
        let delivered = self.connection.delivered.is_some() && !self.connection.good;
        let Some(loss) = &mut self.loss else {
            return false;
        };
        if delivered && is_end(error) {
            loss.short_lived += 1;
        }
        loss.short_lived > 1
    }
}

/// Returns whether the peer has ended the connection without a response.
pub(super) fn is_end(error: &Error) -> bool {
    matches!(error, Error::Closed | Error::Reset)
}

#[cfg(test)]
mod tests;
