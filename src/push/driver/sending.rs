// SPDX-License-Identifier: MPL-2.0

//! Content on its way from the queue through the session into the exchange.

use bytes::Bytes;
use tokio::time::Instant;

use super::{BlockingTask, Driver, Entry};
use crate::asf::FileHeader;
use crate::push::client::Connector;
use crate::push::exchange::Exchange;
use crate::push::queue::Content;
use crate::push::{Error, Phase, blocking};
use crate::wmhttp::{Body, Offer, Request, Transmit};

/// Bytes of a body that may wait in an exchange: few, because content in the queue can still be dropped.
const MOST: usize = 16 * 1024;

/// The same in a flood: enough to keep the socket busy.
const MOST_IN_A_FLOOD: usize = 256 * 1024;

/// Content that is offered to the session.
struct Offered {
    content: Content,
    /// The content was sent before.
    again: bool,
}

impl<C: Connector> Driver<C> {
    /// Fills the exchange with content as far as it has room. Returns the last bytes of the stream when they are due.
    pub(super) fn send_waiting(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            self.report_events()?;
            if let Some(last) = self.transmit()? {
                return Ok(Some(last));
            }
            if !self.takes_content() {
                return Ok(None);
            }
            let Some(offered) = self.next_content() else {
                return Ok(None);
            };
            if !self.offer(offered) {
                // The session has queued something to be sent first, or waits for a response.
                if !self.session.has_transmits() {
                    return Ok(None);
                }
            }
        }
    }

    pub(super) fn takes_content(&self) -> bool {
        let idle = self.blocking.is_none() && !self.is_full();
        idle && self.session.is_ready() && !self.policy.holds_content()
    }

    fn next_content(&mut self) -> Option<Offered> {
        if let Some(content) = self.replay.next() {
            return Some(Offered {
                content,
                again: true,
            });
        }
        let content = self.taken.pop_front()?;
        Some(Offered {
            content,
            again: false,
        })
    }

    /// Returns whether the exchange has no room for more content.
    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Returns the bytes for which the exchange has room.
    fn room(&self) -> usize {
        let waiting = self.client.exchange().map_or(0, Exchange::waiting);
        self.most_in_exchange().saturating_sub(waiting)
    }

    pub(super) fn most_in_exchange(&self) -> usize {
        if self.batching.is_flood() {
            MOST_IN_A_FLOOD
        } else {
            MOST
        }
    }

    /// Takes as much content from the queue as the exchange has room for.
    pub(super) fn take_content(&mut self) {
        if self.replay.is_query_due() {
            self.take_acknowledgements();
        }
        if !self.replay.is_pending() {
            let taken = self.shared.queue.take(self.room(), &mut self.taken);
            self.batching.take(taken);
        }
        self.release();
    }

    /// Takes what is queued, because no batch was complete in time.
    pub(super) fn take_incomplete_batch(&mut self) {
        self.batching.batch_timed_out();
        self.take_content();
    }

    /// Gives acknowledged buffers back to the writer in a flood, when it will call again at once. Otherwise frees them
    /// here.
    fn release(&mut self) {
        if self.batching.is_flood() {
            let freed = self.replay.freed(true);
            self.shared.queue.give_back(&mut freed.buffers);
            self.shared.queue.release(std::mem::take(&mut freed.cost));
        } else {
            self.free();
        }
    }

    pub(super) fn free(&mut self) {
        let freed = self.replay.freed(false);
        self.shared.queue.release(std::mem::take(&mut freed.cost));
        self.shared.queue.free_returned();
    }

    /// Offers content to the session. Returns false if the session does not accept it now, and puts it back.
    fn offer(&mut self, offered: Offered) -> bool {
        if self.drop_gated(&offered) {
            return true;
        }
        let streaming = self.session.is_streaming();
        let held = match offered.content.clone() {
            Content::Header(header) if !offered.again && self.continues_behind(&header) => None,
            Content::Header(header) => {
                held(self.session.start_streaming(header)).map(Content::Header)
            }
            Content::DataUnit(packet) => {
                held(self.session.data_unit(packet)).map(Content::DataUnit)
            }
            Content::EndOfStream(reason) => {
                self.enter(Phase::End);
                self.shared.lifecycle.ending();
                held(self.session.end_of_stream(reason)).map(Content::EndOfStream)
            }
        };
        match held {
            Some(content) if offered.again => self.replay.put_back(content),
            Some(content) => self.taken.push_front(content),
            None => {
                self.sent(offered, streaming);
                return true;
            }
        }
        false
    }

    /// Returns whether `header` is the application's first one and equals that of a resumed session.
    fn continues_behind(&self, header: &FileHeader) -> bool {
        let first = self.entry.header.is_none();
        first && self.session.is_streaming() && self.session.is_in_force(header)
    }

    /// Drops a data packet in front of the key frame with which a new session begins. Returns whether it did.
    fn drop_gated(&mut self, offered: &Offered) -> bool {
        let Content::DataUnit(packet) = &offered.content else {
            return false;
        };
        if self.entry.gate.admit(packet) {
            return false;
        }
        self.shared.counters.gated(offered.again);
        self.replay.drop_packet(packet.len());
        true
    }

    /// Records content that the session has accepted. `streaming`: a PushStart was under way before.
    fn sent(&mut self, offered: Offered, streaming: bool) {
        if !self.is_delivering() {
            self.acks.begin();
        }
        let Offered { content, again } = offered;
        match &content {
            Content::Header(header) => {
                self.entry = Entry::of(header);
                self.shared.on_air.sent_header(header);
            }
            Content::DataUnit(packet) => {
                self.shared.on_air.sent_packet(packet);
                self.enter(Phase::Push);
                if again {
                    self.shared.counters.replayed(1);
                }
            }
            Content::EndOfStream(_) => {}
        }
        // A header that opens a PushStart is recorded by the event of that PushStart.
        let opens = matches!(content, Content::Header(_)) && !streaming;
        if !opens {
            let ends_at = self.session.counters().body_bytes;
            self.replay.keep(content, ends_at);
        }
    }

    /// Hands the session's requests and bodies to the client. Returns the last bytes of the stream when they are due.
    fn transmit(&mut self) -> Result<Option<Bytes>, Error> {
        while self.blocking.is_none() && self.session.has_transmits() {
            let connects = self.session.owes_request() && !self.client.is_connected();
            if connects {
                self.session.connection_lost();
            }
            let Some(transmit) = self.session.poll_transmit() else {
                break;
            };
            match transmit {
                Transmit::Request(request) => self.start(&request, connects),
                Transmit::Body(piece) => {
                    if let Some(exchange) = self.client.exchange_mut() {
                        exchange.push(piece);
                    }
                }
                Transmit::Close(last) => return Ok(Some(last)),
                Transmit::Compute(role, step) => {
                    let wrap = move |result| BlockingTask::Computed(role, result);
                    self.wait_for(blocking::run_step(step, wrap))?;
                }
            }
        }
        Ok(None)
    }

    fn start(&mut self, request: &Request, connects: bool) {
        tracing::debug!(url = request.shown_url(), body = ?request.body, "Request");
        let is_push_start = matches!(request.body, Body::PushStart { .. });
        self.response_due = None;
        // The response to a PushStart follows its complete body: only the connection has a time limit now.
        if connects || !is_push_start {
            self.expect_response();
        }
        self.acks.restart();
        self.client.start(request);
        if self.client.exchange().is_some_and(Exchange::is_streaming) {
            self.policy.started(Instant::now());
        }
    }
}

fn held<C>(offer: Offer<C>) -> Option<C> {
    match offer {
        Offer::Held(content) => Some(content),
        Offer::Taken => None,
    }
}
