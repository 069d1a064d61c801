// SPDX-License-Identifier: MPL-2.0

//! A client and a server that are connected by function calls.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wmspush_proto::asf::{FileHeader, Item, Reader};
use wmspush_proto::wmhttp::server::{
    Points, PushRequest, Received, ReceivingSession, RequestKind, Sessions, Timeouts, violations,
};
use wmspush_proto::wmhttp::{
    Body, Event, HResult, PushId, PushSession, Request, SessionConfig, Transmit,
};

pub use super::messages::{Fixed, Offered, config, head, response};

/// Returns the header and the data packets of a fixture.
pub fn fixture(name: &str) -> Vec<Offered> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut reader = Reader::new();
    reader.push(std::fs::read(path).unwrap().into());
    let items = std::iter::from_fn(|| reader.next_item().unwrap());
    items
        .filter_map(|item| match item {
            Item::Header(header) => Some(Offered::Header(header)),
            Item::DataUnit(packet) => Some(Offered::Data(packet)),
            Item::Skipped(_) => None,
        })
        .collect()
}

/// Returns the header of a fixture.
pub fn first_header(name: &str) -> FileHeader {
    match fixture(name).swap_remove(0) {
        Offered::Header(header) => header,
        other => panic!("{other:?}"),
    }
}

pub struct Pair {
    pub client: PushSession,
    pub events: Vec<Event>,
    pub received: Vec<Received>,
    /// Violations and errors that either half reports about the other.
    pub violations: Vec<String>,
    /// Bytes of each PushStart body: sent, and announced.
    pub bodies: Vec<(u64, u64)>,
    pub closed: bool,
    /// Number of tunnels that the proxy has opened.
    pub tunnels: u32,
    /// True if the server answers complete bodies. Otherwise it ends the session without a response.
    pub answers_bodies: bool,
    waiting: VecDeque<Offered>,
    sessions: Sessions,
    receiving: Option<ReceivingSession>,
    /// True if a complete body was not answered.
    unanswered: bool,
    input: BytesMut,
    now: Duration,
}

impl Pair {
    pub fn new(config: SessionConfig) -> Self {
        let mut client = PushSession::new(config, Fixed);
        client.configure_server();
        Self {
            client,
            events: Vec::new(),
            received: Vec::new(),
            violations: Vec::new(),
            bodies: Vec::new(),
            closed: false,
            tunnels: 0,
            answers_bodies: true,
            waiting: VecDeque::new(),
            sessions: Sessions::new(Timeouts::default(), Points::Any),
            receiving: None,
            unanswered: false,
            input: BytesMut::new(),
            now: Duration::ZERO,
        }
    }

    /// Runs a whole session.
    pub fn run(config: SessionConfig, content: impl IntoIterator<Item = Offered>) -> Self {
        let mut pair = Self::new(config);
        pair.push(content);
        pair.push([Offered::End]);
        pair
    }

    /// Offers content, and offers held content again until all of it is accepted.
    pub fn push(&mut self, content: impl IntoIterator<Item = Offered>) {
        self.waiting.extend(content);
        self.transmit();
        while let Some(content) = self.waiting.pop_front() {
            if let Some(held) = content.offer_to(&mut self.client) {
                self.waiting.push_front(held);
                assert!(!self.closed, "content is held after the end");
            }
            self.transmit();
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.client.poll_transmit() {
            match transmit {
                Transmit::Request(request) => self.request(&request),
                Transmit::Body(bytes) => self.body(&bytes),
                Transmit::Compute(..) => panic!("nothing is authenticated here"),
                Transmit::Close(bytes) => {
                    self.closed = true;
                    if !bytes.is_empty() {
                        self.body(&bytes);
                    }
                }
            }
        }
        self.events
            .extend(std::iter::from_fn(|| self.client.poll_event()));
        if std::mem::take(&mut self.unanswered) {
            assert!(self.client.handle_silence(), "the body is complete");
            self.transmit();
        }
    }

    fn request(&mut self, request: &Request) {
        if request.body == Body::Connect {
            self.tunnels += 1;
            return self.respond(&http::Response::new(Bytes::new()));
        }
        assert!(self.bodies.len() < 1000, "there is no end");
        let head = head(request);
        self.violations
            .extend(violations(&head).iter().map(ToString::to_string));
        let parsed = PushRequest::new(&head).expect("the server can work with the request");
        match (&request.body, parsed.kind()) {
            (Body::PushSetup(body), RequestKind::PushSetup) => {
                assert_eq!(body.len() as u64, parsed.content_length());
                let mut push_id = || PushId::new("4124758405").unwrap();
                let accepted = self
                    .sessions
                    .push_setup(&parsed, body, &mut push_id, self.now)
                    .unwrap();
                self.respond(&accepted.reply.response);
            }
            (Body::PushStart { content_length }, RequestKind::PushStart) => {
                assert_eq!(*content_length, parsed.content_length());
                self.bodies.push((0, *content_length));
                self.receiving = Some(self.sessions.push_start(&parsed, self.now).unwrap());
            }
            (body, kind) => panic!("{body:?} came as {kind:?}"),
        }
    }

    fn body(&mut self, bytes: &Bytes) {
        self.bodies.last_mut().expect("a body has a request").0 += bytes.len() as u64;
        self.input.extend_from_slice(bytes);
        let mut session = self.receiving.take().expect("a body is being received");
        while let Some(received) = session.receive(&mut self.input, self.now).unwrap() {
            self.received.push(received);
        }
        self.violations.extend(
            session
                .take_violations()
                .map(|violation| violation.to_string()),
        );
        if session.has_ended() {
            self.sessions.end(session);
        } else if session.is_complete() && !self.answers_bodies {
            self.sessions.end(session);
            self.unanswered = true;
        } else if session.is_complete() {
            let reply = self.sessions.complete(session, self.now);
            self.respond(&reply.response);
        } else {
            self.receiving = Some(session);
        }
    }

    fn respond(&mut self, reply: &http::Response<Bytes>) {
        self.client.handle_response(&response(reply)).unwrap();
    }

    /// Returns the PacketIDs of the received packets. Fillers and repeated data are folded.
    pub fn letters(&self) -> String {
        let mut letters = String::new();
        for received in &self.received {
            let letter = match received {
                Received::Header(_) => 'H',
                Received::StreamChange(_) => 'C',
                Received::Data(_) => 'D',
                Received::EndOfStream(HResult::S_FALSE) => '1',
                Received::EndOfStream(_) => '0',
                Received::Filler(_) => 'F',
            };
            if !(matches!(letter, 'D' | 'F') && letters.ends_with(letter)) {
                letters.push(letter);
            }
        }
        letters
    }

    /// Returns the received data packets.
    pub fn data(&self) -> Vec<Bytes> {
        let data = |received: &Received| match received {
            Received::Data(packet) => Some(packet.clone()),
            _ => None,
        };
        self.received.iter().filter_map(data).collect()
    }
}
