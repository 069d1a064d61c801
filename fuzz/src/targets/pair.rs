// SPDX-License-Identifier: MPL-2.0

//! Both halves of the protocol over a connection that is slow, lost and refused.

use std::collections::VecDeque;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use wmspush_proto::auth::Credentials;
use wmspush_proto::wmhttp::{AccessConfig, Event, PushSession, Response, SessionConfig, Transmit};

use super::messages::{Fixed, config};
use content::Writer;
use server::{InFlight, Server};

mod content;
mod server;

/// Turns for bringing all remaining content to the server, at most.
const MOST_TURNS: usize = 20_000;

#[derive(Arbitrary, Debug)]
struct Schedule {
    content_length: Option<u16>,
    remove_padding: bool,
    /// True if the server ends a session after a complete body, without a response.
    is_silent: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// The writer has a data packet with this many bytes of padding.
    Data { padding: u8 },
    /// The writer has a new header.
    Header,
    /// This number of bytes reaches the server.
    Deliver(u16),
    /// The server's response reaches the client.
    Answer,
    /// The server demands authentication of the next PushStart.
    Challenge,
    /// The connection is lost with all bytes in flight. The client knows which content was received, except for
    /// `unknown` packets of an unfinished entry.
    Lose { unknown: u8, restart: bool },
}

/// In the end the server has received all content in order, byte for byte.
pub fn run(input: &[u8]) {
    let Ok(schedule) = Schedule::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let mut pair = Pair::new(&schedule);
    pair.writer.write_header();
    for step in schedule.steps.iter().take(200) {
        pair.step(step);
    }
    pair.finish();
}

struct Pair {
    client: PushSession,
    writer: Writer,
    wire: VecDeque<InFlight>,
    server: Server,
    is_silent: bool,
    /// True if the client has closed the connection.
    closed: bool,
}

impl Pair {
    fn new(schedule: &Schedule) -> Self {
        let access = AccessConfig {
            credentials: Some(Credentials::new("alice", "secret".to_owned())),
            cleartext_basic: true,
            ..AccessConfig::default()
        };
        let config = SessionConfig {
            content_length: schedule.content_length.map(u64::from),
            remove_padding: schedule.remove_padding,
            access,
            ..config()
        };
        let mut client = PushSession::new(config, Fixed);
        client.configure_server();
        Self {
            client,
            writer: Writer::new(schedule.remove_padding),
            wire: VecDeque::new(),
            server: Server::new(schedule.is_silent, schedule.remove_padding),
            is_silent: schedule.is_silent,
            closed: false,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Data { padding } => self.writer.write_data(padding),
            Step::Header => self.writer.write_header(),
            Step::Deliver(bytes) => self.deliver(bytes.into()),
            Step::Answer => self.answer(),
            Step::Challenge => self.server.challenge_next = true,
            Step::Lose { unknown, restart } => self.lose(unknown.into(), restart),
        }
        self.offer();
    }

    /// Offers content to the client until it holds some, and polls its outputs.
    fn offer(&mut self) {
        self.poll();
        while let Some(content) = self.writer.next() {
            let taken = content.offer_to(&mut self.client).is_none();
            if taken {
                self.writer.taken();
            }
            self.poll();
            if !taken {
                return;
            }
        }
    }

    fn poll(&mut self) {
        while let Some(transmit) = self.client.poll_transmit() {
            match transmit {
                Transmit::Request(request) => self.wire.push_back(InFlight::Request(request)),
                Transmit::Body(bytes) => self.wire.push_back(InFlight::Body(bytes)),
                Transmit::Close(bytes) => {
                    self.wire.push_back(InFlight::Body(bytes));
                    self.closed = true;
                }
                Transmit::Compute(..) => panic!("no scheme here takes its time"),
            }
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::PushStartSent { .. } => self.writer.push_start_sent(),
                Event::PushStartRepeated => self.writer.push_start_repeated(),
                Event::CredentialsWanted(wanted) => panic!("they were good: {wanted:?}"),
                _ => {}
            }
        }
    }

    /// Delivers this number of bytes to the server. A request counts as one.
    fn deliver(&mut self, mut bytes: usize) {
        while bytes > 0
            && let Some(unit) = self.wire.pop_front()
        {
            let InFlight::Body(mut body) = unit else {
                self.server.receive(unit, &mut self.writer);
                bytes -= 1;
                continue;
            };
            let part = body.split_to(body.len().min(bytes));
            bytes -= part.len();
            if !body.is_empty() {
                self.wire.push_front(InFlight::Body(body));
            }
            self.server.receive(InFlight::Body(part), &mut self.writer);
        }
    }

    /// Delivers the server's response, or its silence, to the client.
    fn answer(&mut self) {
        if let Some(reply) = self.server.replies.pop_front() {
            let handled = self.client.handle_response(&reply);
            assert_eq!(handled, Ok(()), "{:?}", self.client);
            // The rest of a refused body is not sent.
            if reply.status == StatusCode::UNAUTHORIZED {
                self.wire.clear();
            }
        } else if self.is_silent && self.wire.is_empty() && self.server.is_idle() {
            self.client.handle_silence();
        }
        self.poll();
    }

    fn lose(&mut self, unknown: usize, restart: bool) {
        if self.server.has_ended {
            return;
        }
        self.wire.clear();
        self.server.lose();
        self.client.connection_lost();
        self.closed = false;
        let known = self.server.known_header(&self.writer);
        let unknown = if self.server.between_entries {
            0
        } else {
            unknown
        };
        self.writer.go_back(unknown, known.is_some());
        let resumed = !restart && self.server.knows_session() && self.client.resume(known.clone());
        if !resumed {
            self.writer.go_back(0, true);
            self.client.restart(self.writer.header_in_force());
        }
        self.poll();
    }

    /// Delivers all remaining content to the server.
    fn finish(&mut self) {
        self.writer.end();
        for _ in 0..MOST_TURNS {
            self.offer();
            self.deliver(usize::MAX);
            self.answer();
            if self.server.has_ended {
                assert!(self.closed);
                self.writer.has_all_arrived();
                return;
            }
        }
        panic!("there is no end: {:?}", self.client);
    }
}

/// Returns a 401 of a server that has accepted no part of the body.
fn challenge() -> Response {
    let mut headers = HeaderMap::new();
    let basic = HeaderValue::from_static("Basic realm=\"x\"");
    headers.insert(http::header::WWW_AUTHENTICATE, basic);
    Response {
        status: StatusCode::UNAUTHORIZED,
        reason: String::new(),
        headers,
        body: Bytes::new(),
    }
}
