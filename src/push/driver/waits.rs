// SPDX-License-Identifier: MPL-2.0

//! How long things may take, and what the peer has acknowledged.

use std::time::Duration;

use tokio::time::Instant;

use super::Driver;
use crate::push::client::Connector;
use crate::push::exchange::Exchange;
use crate::push::{Error, Failure, Phase, TlsError};

use super::Outcome;

/// Interval at which the kernel is asked for acknowledgements: it does not report them by itself.
const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(100);

/// How far the current body has come.
pub(super) struct Delivery {
    /// Bytes that the peer has acknowledged.
    acknowledged: u64,
    /// When they last rose, or delivery began. What the kernel takes is no progress: it takes some when a cable is pulled.
    progressed: Instant,
    /// When the kernel is asked again.
    pub(super) due: Instant,
}

impl Delivery {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            acknowledged: 0,
            progressed: now,
            due: now,
        }
    }

    /// Something begins to be delivered.
    pub(super) fn begin(&mut self) {
        self.progressed = Instant::now();
    }

    /// Another body begins.
    pub(super) fn restart(&mut self) {
        self.acknowledged = 0;
        self.begin();
    }

    /// Returns whether more is acknowledged than before.
    fn update(&mut self, acknowledged: u64) -> bool {
        let now = Instant::now();
        self.due = now + ACKNOWLEDGEMENT_INTERVAL;
        let before = std::mem::replace(&mut self.acknowledged, acknowledged);
        let progress = acknowledged > before;
        if progress {
            self.progressed = now;
        }
        progress
    }
}

impl<C: Connector> Driver<C> {
    /// When the current wait is over.
    pub(super) fn due(&mut self) -> Option<Instant> {
        if self.is_delivering() {
            let limit = self.policy.stall_limit(self.settings.stall_timeout);
            return self.delivery.progressed.checked_add(limit);
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

    /// A response, or a connection, has to be there in time.
    pub(super) fn expect_response(&mut self) {
        self.response_due = Instant::now().checked_add(self.settings.timeout);
    }

    /// Returns whether a connection is being made, or a response awaited.
    fn is_attempting(&self) -> bool {
        let exchange = self.client.exchange();
        exchange.is_some_and(|exchange| !exchange.is_streaming())
    }

    /// Returns whether there is content that the peer has not acknowledged, and a connection for it.
    pub(super) fn is_delivering(&self) -> bool {
        self.client.exchange().is_some_and(|exchange| {
            let waits = exchange.waiting() > 0 || self.replay.awaits_acknowledgement();
            exchange.is_streaming() && waits
        })
    }

    /// Why a wait is over without a result.
    pub(super) fn expired(&self) -> Error {
        if self.is_delivering() {
            return Error::Stalled(self.policy.stall_limit(self.settings.stall_timeout));
        }
        let overdue = self.response_due.is_some_and(|due| due <= Instant::now());
        if let Some(loss) = self.shared.lifecycle.retry().last_loss.filter(|_| !overdue) {
            return loss.error.clone();
        }
        let exchange = self.client.exchange();
        let connecting = exchange.is_some_and(Exchange::is_connecting);
        let in_tunnel = connecting && exchange.is_some_and(Exchange::is_through_tunnel);
        match self.phase {
            Phase::Tls => Error::Tls(TlsError::Timeout(self.settings.timeout)),
            _ if in_tunnel => Error::Tls(TlsError::Timeout(self.settings.timeout)),
            Phase::Resolve | Phase::Connect => Error::ConnectTimeout(self.settings.timeout),
            _ if connecting => Error::ConnectTimeout(self.settings.timeout),
            _ => Error::ResponseTimeout(self.settings.timeout),
        }
    }

    /// Bytes of the current PushStart's body so far.
    fn body_bytes(&self) -> u64 {
        let all = self.session.counters().body_bytes;
        all.saturating_sub(self.replay.begins_at())
    }

    /// Takes in what the peer has acknowledged.
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
        if self.delivery.update(acknowledged)
            && let Some(attempt) = self.policy.acknowledged(Instant::now())
        {
            self.tell_recovered(attempt);
        }
    }

    /// The announced end was not sent within `timeout`. Where the connection was lost, that is why; where nothing was ever
    /// sent, the push has failed.
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
        let error = Error::DrainTimeout(timeout);
        if !lifecycle.was_opened() {
            return Outcome::Failed(self.failure_in(Phase::Setup, error));
        }
        let failure = self.failure_in(Phase::End, error);
        if self.session.counters().push_starts == 0 {
            Outcome::Failed(failure)
        } else {
            Outcome::Undrained(failure)
        }
    }
}
