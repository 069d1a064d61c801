// SPDX-License-Identifier: MPL-2.0

//! The two requests: 3.1.4.1.1 Sending the PushSetup Request and 3.1.4.2.1 Sending the PushStart Request.

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONNECTION;

use super::access::Authorized;
use super::{Event, Handshake, Last, PushSession, Queued, Start, State, Then, Transmit};
use crate::asf::FileHeader;
use crate::wmhttp::Secrets;
use crate::wmhttp::budget::{LengthRemaining, UNKNOWN_CONTENT_LENGTH, least_content_length};
use crate::wmhttp::message::{Body, Request};
use crate::wmhttp::packet::{END_OF_STREAM_SIZE, PacketId};

impl PushSession {
    /// 3.1.4.1.1 Sending the PushSetup Request
    pub(super) fn send_push_setup(&mut self, then: Then, fresh: bool) {
        self.queue_request(Body::PushSetup(self.config.setup.to_bytes()), fresh);
        self.state = State::PushSetupSent {
            then,
            handshake: Handshake::No,
        };
    }

    /// Sends a PushStart that begins with the current header.
    pub(super) fn send_first_push_start(&mut self) {
        let Some(header) = self.header.clone() else {
            return;
        };
        self.send_push_start(None, false);
        let taken = self.send_packet(PacketId::Header, None, header.as_bytes().clone());
        debug_assert!(taken, "a PushStart has room for its header");
    }

    /// Sends a PushStart that continues the last one.
    pub(super) fn send_next_push_start(&mut self, last: Last) {
        self.send_push_start(Some(last), false);
    }

    /// Does the same on a new connection, after the last one was lost.
    pub(super) fn send_resuming_push_start(&mut self) {
        self.send_push_start(Some(Last::Data), true);
    }

    /// 3.1.4.2.1 Sending the PushStart Request
    fn send_push_start(&mut self, goes_on: Option<Last>, fresh: bool) {
        let content_length = self.content_length();
        self.length_remaining = LengthRemaining::new(content_length);
        self.counters.push_starts = self.counters.push_starts.saturating_add(1);
        self.queue_request(Body::PushStart { content_length }, fresh);
        self.start = Start {
            header: self.header.clone(),
            goes_on,
        };
        self.state = State::PushStartInProgress {
            last: goes_on.unwrap_or(Last::Header),
        };
        self.events.push_back(Event::PushStartSent {
            begins_at: self.counters.body_bytes,
            header: self.header.clone().filter(|_| goes_on.is_none()),
        });
    }

    /// Queues a request. With `fresh` it needs a new connection, so state that is bound to the last one is dropped.
    fn queue_request(&mut self, body: Body, fresh: bool) {
        if fresh {
            self.access.connection_lost();
        }
        self.queued.push_back(Queued::Request { body, fresh });
    }

    /// Returns a request with its authorization, or the blocking step before it.
    pub(super) fn request(&mut self, body: Body, fresh: bool) -> Transmit {
        match self.access.authorize(&body, &mut *self.entropy) {
            Authorized::Blocking(role, step) => {
                self.queued.push_front(Queued::Request { body, fresh });
                Transmit::Compute(role, step)
            }
            Authorized::Fields { fields, leg1 } => {
                let body = match leg1 {
                    true => self.open_handshake(body),
                    false => body,
                };
                let target = self.access.target();
                let mut request =
                    Request::new(target, &self.config.user_agent, &self.cookies, body);
                if !fields.is_empty() {
                    // NTLM is bound to the connection, which HTTP/1.0 closes without this field (3.1.4.1.1 Sending the
                    // PushSetup Request).
                    request
                        .headers
                        .insert(CONNECTION, HeaderValue::from_static("Keep-Alive"));
                }
                request.headers.extend(fields);
                request.secrets = Secrets::new(&request.headers, self.access.credentials());
                if self.access.is_at_home() {
                    request.secrets = request.secrets.and_extra(&self.config.extra_headers);
                    request.headers.extend(self.config.extra_headers.clone());
                }
                request.fresh = fresh;
                Transmit::Request(Box::new(request))
            }
        }
    }

    /// Returns the body of a request that opens a handshake: a PushSetup has none then.
    fn open_handshake(&mut self, body: Body) -> Body {
        match (body, &mut self.state) {
            (Body::PushSetup(_), State::PushSetupSent { handshake, .. }) => {
                *handshake = Handshake::Opening;
                Body::PushSetup(Bytes::new())
            }
            (body, _) => body,
        }
    }

    fn content_length(&self) -> u64 {
        let mut least = least_content_length(self.largest.packet, self.largest.header);
        if self.silent {
            // Each body begins with `$H`, and has to have room for more: a packet, or the end of an entry and a `$C`.
            let more = PacketId::Header
                .size_with(self.largest.header)
                .saturating_add(END_OF_STREAM_SIZE);
            least = least.saturating_add(more as u64);
        }
        let bitrate = self.header.as_ref().map_or(0, FileHeader::maximum_bitrate);
        let minute = u64::from(bitrate) * 60 / 8;
        let wanted = match self.config.content_length {
            Some(length) => length,
            None if self.using_proxy && minute > 0 => minute,
            None => UNKNOWN_CONTENT_LENGTH,
        };
        wanted.clamp(least, UNKNOWN_CONTENT_LENGTH)
    }
}
