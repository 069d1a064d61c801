// SPDX-License-Identifier: MPL-2.0

//! How long things may take, and what has arrived.

use std::time::Duration;

use tokio::time::Instant;

use super::Driver;
use crate::push::client::Connector;
use crate::push::exchange::Exchange;
use crate::push::{Error, Phase};

/// How often the system is asked what has arrived: nothing tells when it has.
const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(100);

impl<C: Connector> Driver<C> {
    /// When the current wait is over.
    pub(super) fn due(&mut self) -> Option<Instant> {
        if self.is_delivering() {
            return Some(self.delivered_at + self.settings.stall_timeout);
        }
        if self.session.awaits_response() && self.response_due.is_none() {
            self.response_due = Some(Instant::now() + self.settings.timeout);
        }
        self.response_due
    }

    /// Returns whether there is content that the peer has not acknowledged, and a connection for it.
    pub(super) fn is_delivering(&self) -> bool {
        let exchange = self.client.exchange();
        exchange.is_some_and(|exchange| {
            let waits = exchange.waiting() > 0 || self.ledger.awaits_acknowledgement();
            exchange.is_push_start() && !exchange.is_connecting() && waits
        })
    }

    pub(super) fn expired(&self) -> Error {
        let exchange = self.client.exchange();
        match self.phase {
            Phase::Resolve | Phase::Connect => Error::ConnectTimeout(self.settings.timeout),
            _ if self.is_delivering() => Error::Stalled(self.settings.stall_timeout),
            _ if exchange.is_some_and(Exchange::is_connecting) => {
                Error::ConnectTimeout(self.settings.timeout)
            }
            _ => Error::ResponseTimeout(self.settings.timeout),
        }
    }

    /// Bytes of the current PushStart's body so far.
    fn body_bytes(&self) -> u64 {
        let all = self.session.counters().body_bytes;
        all.saturating_sub(self.ledger.begins_at())
    }

    /// Takes in what the peer has acknowledged.
    pub(super) fn take_acknowledgements(&mut self) {
        self.acknowledgement_due = Instant::now() + ACKNOWLEDGEMENT_INTERVAL;
        let exchange = self.client.exchange_mut();
        let Some(exchange) = exchange.filter(|exchange| exchange.is_push_start()) else {
            return;
        };
        let delivered = (exchange.acknowledged(), exchange.written());
        let round_trip_time = exchange.round_trip_time().unwrap_or_default();
        let acknowledged = delivered.0.min(self.body_bytes());
        let counters = &self.shared.counters;
        counters.delivered(delivered.1, acknowledged, round_trip_time);
        if self.ledger.acknowledge(Some(acknowledged)) {
            self.recovery.prove();
        }
        if delivered != std::mem::replace(&mut self.delivered, delivered) {
            self.delivered_at = Instant::now();
        }
    }
}
