// SPDX-License-Identifier: MPL-2.0

//! Timeouts, and acknowledgements by the peer.

use std::time::Duration;

use tokio::time::Instant;

use super::Driver;
use crate::push::client::Connector;
use crate::push::exchange::Exchange;
use crate::push::{Error, Failure, Phase, TlsError};

use super::Outcome;

/// Longest interval between two queries of the kernel, which does not report acknowledgements by itself.
const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(100);

/// Shortest interval, while the writer is blocked until the peer acknowledges data.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// The delivery of the current body.
pub(super) struct AckTracker {
    /// Bytes that the peer has acknowledged.
    acknowledged: u64,
    /// The time at which `acknowledged` last rose, or delivery began. Bytes that the kernel accepts are no progress: it
    /// accepts some after a cable is pulled.
    progressed: Instant,
    /// The time of the next query.
    pub(super) due: Instant,
    /// Interval while the writer is blocked
    hurried: Option<Duration>,
}

impl AckTracker {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            acknowledged: 0,
            progressed: now,
            due: now,
            hurried: None,
        }
    }

    /// Restarts the stall timeout.
    pub(super) fn begin(&mut self) {
        self.progressed = Instant::now();
    }

    /// Starts another body.
    pub(super) fn restart(&mut self) {
        self.acknowledged = 0;
        self.begin();
    }

    /// Records `acknowledged` bytes, and returns whether they are more than before.
    fn update(&mut self, acknowledged: u64) -> bool {
        let now = Instant::now();
        self.due = now + self.hurried.unwrap_or(ACKNOWLEDGEMENT_INTERVAL);
        let before = std::mem::replace(&mut self.acknowledged, acknowledged);
        let progress = acknowledged > before;
        if progress {
            self.progressed = now;
        }
        progress
    }

    /// Sets the time of the next query. While the writer is blocked, that is after one round trip; the interval doubles
    /// with each query that finds no progress.
    fn pace(&mut self, blocked: bool, progress: bool, round_trip_time: Duration) {
        let interval = match self.hurried {
            Some(last) if !progress => last * 2,
            _ => round_trip_time,
        };
        let interval = interval.clamp(SHORTEST_INTERVAL, ACKNOWLEDGEMENT_INTERVAL);
        self.hurried = blocked.then_some(interval);
        self.due = Instant::now() + self.hurried.unwrap_or(ACKNOWLEDGEMENT_INTERVAL);
    }
}

impl<C: Connector> Driver<C> {
    /// Returns the time at which the current wait times out.
    pub(super) fn due(&mut self) -> Option<Instant> {
        if self.is_delivering() {
            let limit = self.policy.stall_limit(self.settings.stall_timeout);
            return self.acks.progressed.checked_add(limit);
        }
        if self.session.awaits_response() && self.response_due.is_none() {
            self.expect_response();
        }
        let deadline = self.policy.deadline().filter(|_| self.is_attempting());
        match (self.response_due, deadline) {
            (Some(response), Some(deadline)) => Some(response.min(deadline)),
            (response, _) => response,
        }
    }

    /// Starts the timeout of a response or a connection.
    pub(super) fn expect_response(&mut self) {
        self.response_due = Instant::now().checked_add(self.settings.timeout);
    }

    /// Returns whether a connection is being made or a response awaited.
    fn is_attempting(&self) -> bool {
        let exchange = self.client.exchange();
        exchange.is_some_and(|exchange| !exchange.is_streaming())
    }

    /// Returns whether a connection has content that the peer has not acknowledged.
    pub(super) fn is_delivering(&self) -> bool {
        self.client.exchange().is_some_and(|exchange| {
            let waits = exchange.waiting() > 0 || self.replay.awaits_acknowledgement();
            exchange.is_streaming() && waits
        })
    }

    /// Returns the error of the wait that timed out.
    pub(super) fn expired(&self) -> Error {
        if self.is_delivering() {
            return Error::Stalled(self.policy.stall_limit(self.settings.stall_timeout));
        }
        let overdue = self.response_due.is_some_and(|due| due <= Instant::now());
        if let Some(loss) = self.shared.lifecycle.retry().last_loss.filter(|_| !overdue) {
            return loss.error.clone();
        }
        self.unanswered(self.settings.timeout)
    }

    /// Returns the error of a wait before PushSetup has succeeded that took longer than `limit`.
    fn unanswered(&self, limit: Duration) -> Error {
        let exchange = self.client.exchange();
        let connecting = exchange.is_some_and(Exchange::is_connecting);
        let in_tunnel = connecting && exchange.is_some_and(Exchange::is_through_tunnel);
        match self.phase {
            Phase::Tls => Error::Tls(TlsError::Timeout(limit)),
            _ if in_tunnel => Error::Tls(TlsError::Timeout(limit)),
            Phase::Resolve | Phase::Connect => Error::ConnectTimeout(limit),
            _ if connecting => Error::ConnectTimeout(limit),
            _ => Error::ResponseTimeout(limit),
        }
    }

    /// Returns the bytes of the current PushStart's body so far.
    fn body_bytes(&self) -> u64 {
        let all = self.session.counters().body_bytes;
        all.saturating_sub(self.replay.begins_at())
    }

    /// Queries the acknowledged bytes, and updates the replay buffer, the statistics and the policy.
    pub(super) fn take_acknowledgements(&mut self) {
        let body_bytes = self.body_bytes();
        let exchange = self.client.exchange_mut();
        let Some(exchange) = exchange.filter(|exchange| exchange.is_streaming()) else {
            return;
        };
        let written = exchange.written();
        let acknowledged = exchange.acknowledged().min(body_bytes);
        let round_trip_time = exchange.round_trip_time().unwrap_or_default();
        let counters = &self.shared.counters;
        counters.delivered(written, acknowledged, round_trip_time);
        self.replay.acknowledge(acknowledged);
        if self.acks.update(acknowledged)
            && let Some(attempt) = self.policy.acknowledged(Instant::now())
        {
            self.report_recovered(attempt);
        }
    }

    /// Records acknowledgements, frees their memory, and sets the time of the next query.
    pub(super) fn poll_acknowledgements(&mut self) {
        let before = self.acks.acknowledged;
        self.take_acknowledgements();
        self.free();
        let exchange = self.client.exchange();
        let round_trip_time = exchange.and_then(Exchange::round_trip_time);
        let progress = self.acks.acknowledged > before;
        let blocked = self.shared.queue.is_blocked();
        self.acks
            .pace(blocked, progress, round_trip_time.unwrap_or_default());
    }

    /// Returns the outcome if the announced end was not sent within `timeout`. If the connection was lost, its loss is
    /// the failure. If nothing was ever sent, the push has failed, before PushSetup has succeeded by what it waits for.
    pub(super) fn undrained(&self, timeout: Duration) -> Outcome {
        let lifecycle = &self.shared.lifecycle;
        let last_loss = lifecycle.retry().last_loss;
        if let Some(failure) = last_loss.filter(|_| lifecycle.is_reconnecting()) {
            let mut failure = Failure::clone(&failure);
            failure.circumstances.attempts = lifecycle.retry().attempt;
            failure.circumstances.drained_for = Some(timeout);
            failure.circumstances.never_opened = !lifecycle.was_opened();
            return Outcome::Failed(failure);
        }
        if !lifecycle.was_opened() {
            let error = match self.blocking {
                Some(_) => Error::LoginTimeout(timeout),
                None => self.unanswered(timeout),
            };
            let mut failure = self.failure(error);
            failure.circumstances.at_end = true;
            return Outcome::Failed(failure);
        }
        let failure = self.failure_in(Phase::End, Error::DrainTimeout(timeout));
        if self.session.counters().push_starts == 0 {
            Outcome::Failed(failure)
        } else {
            Outcome::Undrained(failure)
        }
    }
}
