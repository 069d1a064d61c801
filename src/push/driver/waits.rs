// SPDX-License-Identifier: MPL-2.0

//! How long things may take, and what has arrived.

use std::time::Duration;

use tokio::time::Instant;

use super::Driver;
use crate::push::transport::Transport;
use crate::push::{Error, Phase};

/// How often the system is asked what has arrived: nothing tells when it has.
const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(100);

impl<T: Transport> Driver<T> {
    /// When the current wait is over.
    pub(super) fn due(&mut self) -> Option<Instant> {
        if let Some(since) = self.stuck_since() {
            return Some(since + self.settings.stall_timeout);
        }
        if self.session.awaits_response() && self.response_due.is_none() {
            self.response_due = Some(Instant::now() + self.settings.timeout);
        }
        self.response_due
    }

    /// Since when nothing goes on, though there is something to send.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        match (self.outbox.stuck_since(), self.unacknowledged_since) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    pub(super) fn expired(&self) -> Error {
        match self.phase {
            Phase::Resolve | Phase::Connect => Error::ConnectTimeout(self.settings.timeout),
            _ if self.stuck_since().is_some() => Error::Stalled(self.settings.stall_timeout),
            _ if !self.session.awaits_response() => Error::ConnectTimeout(self.settings.timeout),
            _ => Error::ResponseTimeout(self.settings.timeout),
        }
    }

    /// Bytes of the current PushStart's body so far.
    pub(super) fn body_bytes(&self) -> u64 {
        let all = self.session.counters().body_bytes;
        all.saturating_sub(self.ledger.begins_at())
    }

    /// Whether the transport has taken all that the session has made, and passed it on.
    fn is_handed_over(&self) -> bool {
        let body = self
            .exchange
            .as_ref()
            .and_then(|exchange| exchange.body.as_ref());
        let passed_on = body.is_some_and(|body| body.is_empty());
        passed_on && self.outbox.is_empty() && !self.session.has_transmits()
    }

    /// What has arrived, as far as the system tells.
    pub(super) fn take_acknowledgements(&mut self) {
        self.acknowledgement_due = Instant::now() + ACKNOWLEDGEMENT_INTERVAL;
        if self.exchange.is_none() || !self.streams {
            return;
        }
        // The end of the stream counts as one byte more.
        let all = self.body_bytes();
        let handed_over = self.is_handed_over().then_some(all);
        let acknowledged = self.transport.acknowledged(handed_over);
        let acknowledged = acknowledged.map(|bytes| bytes.min(all));
        let progress = self.ledger.acknowledge(acknowledged);
        let round_trip_time = self.transport.round_trip_time().unwrap_or_default();
        let counters = &self.shared.counters;
        counters.acknowledged(acknowledged.unwrap_or_default(), round_trip_time);
        if progress || !self.ledger.awaits_acknowledgement() {
            self.unacknowledged_since = None;
        }
        if self.ledger.awaits_acknowledgement() {
            self.unacknowledged_since.get_or_insert_with(Instant::now);
        }
        if progress {
            self.recovery.prove();
            self.outbox.go_on();
        }
    }
}
