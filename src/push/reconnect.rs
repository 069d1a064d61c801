// SPDX-License-Identifier: MPL-2.0

//! The reconnection policy: decides what follows the loss of a connection. Plain state, without a clock.
//!
//! | loss | before a push was accepted | after |
//! |---|---|---|
//! | reset, close, stall, no answer, unreachable | final, unless `retry-first-connect` | the same session, or a new one |
//! | a resumed session refused, or lost before the connection was good | | a new session at once, and no resumption until a connection is good |
//! | 403, 408, 409, 423, 425, 429, 5xx but 501 and 505 | final, unless `retry-first-connect` | a new session |
//! | 404, 410 | final | a new session |
//! | connection refused, without a proxy | final, unless `retry-first-connect` | a new session: the server has restarted |
//! | no Windows Media server, a player's answer, other statuses, bad input | final | final |
//!
//! A connection is good after [`GOOD`] of streaming with acknowledged data. Only a good connection ends a loss. From
//! the first loss until then, the wait between attempts doubles, and `reconnect-timeout` runs.

use std::io::ErrorKind;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::Error;
use super::backoff::Backoff;
use crate::wmhttp;

/// Streaming time, with acknowledged data, after which a connection is good.
pub(super) const GOOD: Duration = Duration::from_secs(10);

/// Time in which a server may refuse a PushStart that resumes a session. A server that accepts it sends no response.
const PROBATION: Duration = Duration::from_millis(250);

/// A server that does not know a session may read its first data and close the connection. Data that was acknowledged
/// within this time before the close counts as not received.
const EARLY: Duration = Duration::from_secs(1);

/// Upper bound on an honoured `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// Time beyond `reconnect-timeout` that an attempt may take, and the stall timeout of a connection that is not good.
const OVERTIME: Duration = Duration::from_secs(5);

/// The application's settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    /// Limit on the time without a good connection; zero: never reconnect; [`Duration::MAX`]: no limit.
    pub(super) timeout: Duration,
    /// Retries a first connection that fails.
    pub(super) retry_first: bool,
    /// Allows resuming a session.
    pub(super) resume: bool,
    /// A proxy is in front of the server.
    pub(super) proxied: bool,
}

/// The state of the policy across connections.
#[derive(Debug)]
pub(super) struct Reconnect {
    policy: Policy,
    history: History,
    resumption: Resumption,
    loss: Option<OpenLoss>,
    connection: ConnectionRecord,
}

/// The furthest stage that the push has reached since it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum History {
    New,
    /// PushSetup has succeeded.
    Opened,
    /// The peer has acknowledged data, and the server did not refuse the stream at once.
    Accepted,
}

/// The experience with resuming sessions at this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resumption {
    Untried,
    /// A resumed session ended before its connection was good.
    Failed,
}

/// A loss that no good connection has ended yet.
#[derive(Debug)]
struct OpenLoss {
    /// The time of the first loss, plus the time spent waiting for data.
    since: Instant,
    backoff: Backoff,
    /// Connections that the peer ended after it had received data.
    short_lived: u32,
    last_report: LastReport,
}

/// The last report about an open loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastReport {
    /// The connection is lost.
    Lost,
    /// The connection stands again.
    Recovered,
    /// The connection stood again and was lost again. Until a connection is good, only attempts are reported.
    LostAgain,
}

/// The current connection.
#[derive(Clone, Copy, Debug)]
struct ConnectionRecord {
    kind: Kind,
    /// The time at which the first PushStart was sent over this connection.
    started: Option<Instant>,
    /// The time at which the peer first acknowledged data of it.
    delivered: Option<Instant>,
    /// The time at which the last PushStart was sent, if it had no `$H`.
    continued_since: Option<Instant>,
    probation: Probation,
    good: bool,
}

/// The session that a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A new session.
    New,
    /// A session that the server should know.
    Resumed,
    /// A session whose PushStart is sent so long after PushSetup that the server may have discarded it (3.2.6.2
    /// Inactivity-Timeout Timer Expires).
    Late,
}

/// The time that a server has to refuse a PushStart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probation {
    /// The PushStart has no connection yet.
    Ahead,
    /// The server may refuse until then.
    Until(Instant),
    Over,
}

/// The kind of a loss, which determines the next session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Reconnecting would not help.
    Final,
    /// The connection was lost, and the server may still know the session.
    Connection,
    /// The server has refused or discarded the session.
    Session,
}

/// The decision after a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The server has refused the current PushStart: all of it is to be sent again.
    pub(super) refused: bool,
    /// The next attempt; `None`: the push has failed.
    pub(super) attempt: Option<Attempt>,
    /// The server has ended each connection since the first loss after it had received data.
    pub(super) repeated: bool,
}

/// The next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Counts from 1 for each loss.
    pub(super) number: u32,
    /// Wait before the attempt.
    pub(super) delay: Duration,
    /// The session that the attempt is for.
    pub(super) kind: Kind,
    /// The attempt is reported to the application.
    pub(super) reported: bool,
}

impl ConnectionRecord {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            started: None,
            delivered: None,
            continued_since: None,
            probation: Probation::Ahead,
            good: false,
        }
    }

    /// Returns whether the server may have discarded the session.
    fn may_be_forgotten(&self) -> bool {
        self.kind != Kind::New && !self.good
    }
}

impl Reconnect {
    /// A policy before the first connection.
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            history: History::New,
            resumption: Resumption::Untried,
            loss: None,
            connection: ConnectionRecord::new(Kind::New),
        }
    }

    /// Starts a new connection for a session of `kind`.
    pub(super) fn connecting(&mut self, kind: Kind) {
        self.connection = ConnectionRecord::new(kind);
    }

    /// Records that PushSetup has succeeded.
    pub(super) fn configured(&mut self) {
        self.history = self.history.max(History::Opened);
    }

    /// Records that PushSetup was accepted and the first PushStart of the session is still to come.
    pub(super) fn accepted_setup(&mut self) {
        self.connection.kind = Kind::New;
    }

    /// Records that a PushStart is sent long after its PushSetup.
    pub(super) fn late(&mut self) {
        if self.connection.kind == Kind::New {
            self.connection.kind = Kind::Late;
        }
    }

    /// Records a PushStart, with `$H` unless it `continues`.
    pub(super) fn push_start(&mut self, continues: bool, now: Instant) {
        self.connection.continued_since = continues.then_some(now);
    }

    /// Returns the time at which the first PushStart of this connection was sent.
    pub(super) fn streams_since(&self) -> Option<Instant> {
        self.connection.started
    }

    /// Records a PushStart over an established connection.
    pub(super) fn started(&mut self, now: Instant) {
        let connection = &mut self.connection;
        connection.started.get_or_insert(now);
        connection.continued_since = connection.continued_since.map(|_| now);
        if connection.probation == Probation::Ahead {
            connection.probation = Probation::Until(now + PROBATION);
        }
    }

    /// Returns whether content is held back: a server that is about to refuse a resumption would read and drop it.
    pub(super) fn holds_content(&self) -> bool {
        let connection = &self.connection;
        connection.kind == Kind::Resumed && connection.probation != Probation::Over
    }

    /// Returns the time at which the server can no longer refuse the PushStart.
    pub(super) fn probation(&self) -> Option<Instant> {
        match self.connection.probation {
            Probation::Until(until) => Some(until),
            Probation::Ahead | Probation::Over => None,
        }
    }

    /// Returns whether the server has accepted a push since the start.
    pub(super) fn has_accepted(&self) -> bool {
        self.history == History::Accepted
    }

    /// Records that the server has not refused the PushStart.
    pub(super) fn end_probation(&mut self) {
        self.connection.probation = Probation::Over;
        self.history = self.history.max(History::Opened);
    }

    /// Records acknowledged data. Returns the number of the attempt that has led to a good connection if no report of
    /// that is out.
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
        (loss.last_report != LastReport::Recovered).then(|| loss.backoff.attempts())
    }

    /// Records that the connection stands again. Returns the number of the attempt that has led to it if that is to be
    /// reported.
    pub(super) fn recovered(&mut self) -> Option<u32> {
        let loss = self.loss.as_mut()?;
        if loss.last_report != LastReport::Lost {
            return None;
        }
        loss.last_report = LastReport::Recovered;
        Some(loss.backoff.attempts())
    }

    /// Returns the time by which a connection that is being made has to stand.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let loss = self.loss.as_ref()?;
        loss.since
            .checked_add(self.policy.timeout.saturating_add(OVERTIME))
    }

    /// Returns the stall timeout of the current connection; `limit` is the application's.
    pub(super) fn stall_limit(&self, limit: Duration) -> Duration {
        match self.deadline() {
            Some(_) if !self.connection.good => limit.min(OVERTIME),
            _ => limit,
        }
    }

    /// Extends the loss by `waited`, in which no connection was attempted because there was nothing to send.
    pub(super) fn idled(&mut self, waited: Duration) {
        if let Some(loss) = &mut self.loss {
            loss.since += waited;
        }
    }

    /// Decides what follows a lost or failed connection.
    ///
    /// With a `young_header` the server may not have read the header in force, which a new session sends again.
    /// `random` spreads the attempts of encoders that have lost the same server.
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
            // A server that refuses a push sends a response.
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
            // The refusal only means that the server does not know the session.
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
            // Some receivers ignore the push-id and would accept data without the header that they need.
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
            | Error::LoginTimeout(_)
            | Error::Input(_) => Loss::Final,
        }
    }

    /// Classifies a status. The server discards a session for which it sends a status (3.2.4.1 Administrative
    /// Disconnect, 3.2.6.1 Idle-Timeout Timer Expires); a gateway's status is about its own connection.
    fn classify_status(&self, status: StatusCode) -> Loss {
        match status.as_u16() {
            502 | 504 | 511 => Loss::Connection,
            // The server supports neither the method nor the HTTP version of a push.
            501 | 505 => Loss::Final,
            403 | 408 | 409 | 423 | 425 | 429 | 500..=599 => Loss::Session,
            404 | 410 if self.history == History::Accepted => Loss::Session,
            _ => Loss::Final,
        }
    }

    /// Returns whether the server has most likely dropped data that its kernel acknowledged: it has ended the
    /// connection soon after a PushStart without `$H`, or after the first data of a session that it does not know.
    fn is_early(&self, error: &Error, now: Instant) -> bool {
        let connection = &self.connection;
        let Some(since) = connection.continued_since else {
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

    /// Begins a new session, without a wait, after a refused resumption.
    fn at_once(&mut self, now: Instant) -> Attempt {
        let reported = self.loss.is_none() && self.history > History::New;
        let loss = self.open_loss(now);
        if reported {
            loss.backoff.count();
        }
        let number = loss.backoff.attempts().max(1);
        Attempt {
            number,
            delay: Duration::ZERO,
            kind: Kind::New,
            reported,
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
            reported: true,
        })
    }

    fn open_loss(&mut self, now: Instant) -> &mut OpenLoss {
        let loss = self.loss.get_or_insert_with(|| OpenLoss {
            since: now,
            backoff: Backoff::default(),
            short_lived: 0,
            last_report: LastReport::Lost,
        });
        if loss.last_report == LastReport::Recovered {
            loss.last_report = LastReport::LostAgain;
        }
        loss
    }

    /// Counts connections that the peer ended before they were good, and returns whether there was more than one.
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
