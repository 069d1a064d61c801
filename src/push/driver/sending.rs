// SPDX-License-Identifier: MPL-2.0

//! From the queue through the session into the transport.

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::{Asked, Driver, Entry, Held};
use crate::push::client::Connector;
use crate::push::exchange::Exchange;
use crate::push::queue::Content;
use crate::push::{Error, Phase};
use crate::wmhttp::{Body, Offer, Transmit};

/// Bytes of content that are taken at once.
const BATCH: usize = 128 * 1024;

/// Bytes of a body that may wait inside a transport: few, so that the queue stays the place where things wait; in a flood
/// enough to keep the socket busy.
const MOST: usize = 16 * 1024;
const MOST_IN_A_FLOOD: usize = 256 * 1024;

impl<C: Connector> Driver<C> {
    /// Hands what is there to the exchange, as far as there is room; returns the last bytes when it is them.
    pub(super) fn send_waiting(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            self.offer_held();
            self.report_events()?;
            if let Some(last) = self.transmit() {
                return Ok(Some(last));
            }
            if !self.takes_content() {
                return Ok(None);
            }
            let Some((content, again)) = self.ledger.next() else {
                return Ok(None);
            };
            self.held = Some(Held { content, again });
        }
    }

    pub(super) fn takes_content(&self) -> bool {
        let idle = self.asked.is_none() && self.held.is_none() && !self.is_full();
        idle && self.session.is_ready() && !self.recovery.holds_content()
    }

    /// Returns whether enough waits in the exchange.
    pub(super) fn is_full(&self) -> bool {
        let waiting = self.client.exchange().map_or(0, Exchange::waiting);
        waiting >= self.most_in_exchange()
    }

    /// Takes as much out of the queue as finds room in the transport.
    pub(super) fn take_content(&mut self) {
        if self.ledger.is_long() {
            self.take_acknowledgements();
        }
        let taken = self.shared.queue.take(BATCH, self.ledger.waiting());
        self.flow.take(taken);
        self.release();
    }

    /// No portion has come: takes what is there.
    pub(super) fn ebb(&mut self) {
        self.flow.ebb();
        self.take_content();
    }

    /// What has arrived goes back to the writer if that is about to come, and is freed otherwise.
    fn release(&mut self) {
        if self.flow.is_flood() {
            self.ledger.give_back(true);
            self.shared.queue.give_back(self.ledger.released());
        } else {
            self.free();
        }
    }

    pub(super) fn free(&mut self) {
        self.ledger.give_back(false);
        self.shared.queue.keep_nothing();
    }

    fn offer_held(&mut self) {
        let Some(Held { content, again }) = self.held.take() else {
            return;
        };
        if self.entry.skips(&content) {
            self.shared.dropped(1);
            return;
        }
        let streaming = self.session.is_streaming();
        let held = match content.clone() {
            Content::Header(header) => {
                held(self.session.start_streaming(header)).map(Content::Header)
            }
            Content::DataUnit(packet) => {
                held(self.session.data_unit(packet)).map(Content::DataUnit)
            }
            Content::EndOfStream(reason) => {
                self.enter(Phase::End);
                self.shared.ending();
                held(self.session.end_of_stream(reason)).map(Content::EndOfStream)
            }
        };
        match held {
            Some(content) => self.held = Some(Held { content, again }),
            None => self.taken(content, again, streaming),
        }
    }

    /// The session has taken content; `streaming` if it was by then.
    fn taken(&mut self, content: Content, again: bool, streaming: bool) {
        if !self.is_delivering() {
            self.delivered_at = Instant::now();
        }
        match &content {
            Content::Header(header) => self.entry = Entry::of(header),
            Content::DataUnit(_) => {
                self.enter(Phase::Push);
                if again {
                    self.shared.counters.replayed(1);
                }
                self.start();
            }
            Content::EndOfStream(_) => {}
        }
        // What opens a PushStart is told with it.
        let opens = matches!(content, Content::Header(_)) && !streaming;
        if !opens {
            let ends_at = self.session.counters().body_bytes;
            self.ledger.keep(content, ends_at);
        }
    }

    /// Tells that it is streaming, once.
    pub(super) fn start(&mut self) {
        if !self.started {
            self.started = self.shared.started();
        }
    }

    /// Takes what the session wants sent; returns the last bytes when it is them.
    fn transmit(&mut self) -> Option<Bytes> {
        while self.asked.is_none() && self.session.has_transmits() {
            let connects = self.session.owes_request() && !self.client.is_connected();
            if connects {
                self.session.connection_lost();
            }
            match self.session.poll_transmit()? {
                Transmit::Request(request) => {
                    tracing::debug!(url = %request.url, body = ?request.body, "Request");
                    // A PushStart is waited for only until it has a connection.
                    let waits = connects || matches!(request.body, Body::PushSetup(_));
                    self.response_due = waits.then(|| Instant::now() + self.settings.timeout);
                    self.delivered = (0, 0);
                    self.client.start(&request);
                }
                Transmit::Body(piece) => self.send_body(piece),
                Transmit::Close(last) => return Some(last),
                Transmit::Compute(role, step) => {
                    self.asked = Some(spawn_blocking(move || Asked::Computed(role, step.run())));
                }
            }
        }
        None
    }

    fn send_body(&mut self, piece: Bytes) {
        if let Some(exchange) = self.client.exchange_mut() {
            exchange.push(piece);
        }
    }

    pub(super) fn most_in_exchange(&self) -> usize {
        if self.flow.is_flood() {
            MOST_IN_A_FLOOD
        } else {
            MOST
        }
    }
}

fn held<C>(offer: Offer<C>) -> Option<C> {
    match offer {
        Offer::Held(content) => Some(content),
        Offer::Taken => None,
    }
}
