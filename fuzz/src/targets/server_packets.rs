// SPDX-License-Identifier: MPL-2.0

//! Any bytes in any split as the input of a server on one connection: requests, and bodies of packets.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};
use wmspush_proto::wmhttp::PushId;
use wmspush_proto::wmhttp::server::{
    Points, PushRequest, ReceivingSession, Refusal, RequestKind, Sessions, Timeouts, violations,
};

/// The bytes of a client, and the positions of splits.
#[derive(Arbitrary)]
struct Input<'a> {
    cuts: Vec<u16>,
    bytes: &'a [u8],
}

/// The outcome does not depend on the split.
pub fn run(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let whole = receive([input.bytes]);
    assert_eq!(receive(input.bytes.chunks(1)), whole);
    let cuts = input.cuts.iter().take(64);
    let mut at: Vec<_> = cuts
        .map(|&cut| usize::from(cut) % (input.bytes.len() + 1))
        .collect();
    at.extend([0, input.bytes.len()]);
    at.sort();
    let cut = at
        .windows(2)
        .map(|pair| input.bytes.get(pair[0]..pair[1]).unwrap_or_default());
    assert_eq!(receive(cut), whole);
}

/// Returns a log of the connection.
fn receive<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut connection = Connection::new();
    for part in parts {
        connection.input.extend_from_slice(part);
        while connection.step() {}
    }
    connection.log
}

struct Connection {
    sessions: Sessions,
    input: BytesMut,
    state: State,
    log: Vec<String>,
}

enum State {
    /// The next bytes are a request.
    Idle,
    /// The next bytes are the body of a PushSetup.
    Setup(PushRequest),
    /// The next bytes are packets.
    Receiving(ReceivingSession),
    /// The connection was closed.
    Closed,
}

impl Connection {
    fn new() -> Self {
        let points = ["/live", "/template"].map(str::to_owned).into();
        Self {
            sessions: Sessions::new(Timeouts::default(), Points::Listed(points)),
            input: BytesMut::new(),
            state: State::Idle,
            log: Vec::new(),
        }
    }

    /// Takes one step. Returns whether another may be possible.
    fn step(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Idle => self.take_head(),
            State::Setup(request) => self.take_setup(request),
            State::Receiving(session) => self.take_packet(session),
            State::Closed => {
                self.input.clear();
                false
            }
        }
    }

    fn take_head(&mut self) -> bool {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut fields);
        let (size, head) = match head.parse(&self.input) {
            Ok(httparse::Status::Complete(size)) => match request(&head) {
                Some(head) => (size, head),
                None => return self.close("bad head"),
            },
            Ok(httparse::Status::Partial) => {
                self.state = State::Idle;
                return false;
            }
            Err(_) => return self.close("bad head"),
        };
        let _ = self.input.split_to(size);
        for violation in violations(&head) {
            self.log.push(violation.to_string());
        }
        match PushRequest::new(&head) {
            Ok(request) => self.begin(request),
            Err(refusal) => {
                let reply = refusal.reply(&head);
                self.log.push(format!("{:?}", reply.response));
                self.refuse(&refusal)
            }
        }
    }

    fn begin(&mut self, request: PushRequest) -> bool {
        match request.kind() {
            RequestKind::PushSetup if request.content_length() > 4096 => {
                return self.close("a large body");
            }
            RequestKind::PushSetup => self.state = State::Setup(request),
            RequestKind::PushStart => match self.sessions.push_start(&request, Duration::ZERO) {
                Ok(session) => self.state = State::Receiving(session),
                Err(refusal) => return self.refuse(&refusal),
            },
        }
        true
    }

    fn take_setup(&mut self, request: PushRequest) -> bool {
        let size = request.content_length() as usize;
        if self.input.len() < size {
            self.state = State::Setup(request);
            return false;
        }
        let body = self.input.split_to(size);
        let mut number = 4710;
        let mut push_id = || {
            number += 1;
            PushId::new(&number.to_string()).unwrap()
        };
        let accepted = self
            .sessions
            .push_setup(&request, &body, &mut push_id, Duration::ZERO);
        match accepted {
            Ok(accepted) => {
                self.log.push(format!("{:?}", accepted.reply.response));
                self.state = State::Idle;
                true
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn take_packet(&mut self, mut session: ReceivingSession) -> bool {
        let received = session.receive(&mut self.input, Duration::ZERO);
        for violation in session.take_violations() {
            self.log.push(violation.to_string());
        }
        match received {
            Ok(Some(received)) => self.log.push(format!("{received:?}")),
            Ok(None) if session.has_ended() => {
                let deleted = self.sessions.end(session);
                return self.close(&format!("{deleted:?}"));
            }
            Ok(None) if session.is_complete() => {
                let reply = self.sessions.complete(session, Duration::ZERO);
                self.log.push(format!("{:?}", reply.response));
                self.state = State::Idle;
                return true;
            }
            Ok(None) => {
                assert!(self.input.len() < 65_540, "no packet needs more");
                self.state = State::Receiving(session);
                return false;
            }
            Err(error) => {
                self.sessions.end(session);
                return self.close(&error.to_string());
            }
        }
        self.state = State::Receiving(session);
        true
    }

    fn refuse(&mut self, refusal: &Refusal) -> bool {
        self.close(&refusal.to_string())
    }

    fn close(&mut self, why: &str) -> bool {
        self.log.push(why.to_owned());
        self.state = State::Closed;
        true
    }
}

/// Converts a request like the publishing point does.
fn request(head: &httparse::Request<'_, '_>) -> Option<Request<()>> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method?.as_bytes()).ok()?;
    *request.uri_mut() = Uri::try_from(head.path?).ok()?;
    *request.version_mut() = match head.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(field.value).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}
