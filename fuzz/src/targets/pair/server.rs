// SPDX-License-Identifier: MPL-2.0

//! The server half, and the connection to it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wmspush_proto::asf::FileHeader;
use wmspush_proto::wmhttp::server::{
    Points, PushRequest, Received, ReceivingSession, Reply, RequestKind, SessionKey, Sessions,
    Timeouts, violations,
};
use wmspush_proto::wmhttp::{Body, PushId, Request, Response};

use super::super::messages::{head, response};
use super::challenge;
use super::content::Writer;

/// Bytes or a request on the way to the server.
pub enum InFlight {
    Request(Box<Request>),
    Body(Bytes),
}

pub struct Server {
    sessions: Sessions,
    input: BytesMut,
    receiving: Option<ReceivingSession>,
    /// The session of the last PushSetup, and whether its `$H` was received.
    current: Option<(SessionKey, bool)>,
    /// The last push-id, which is a number.
    last_push_id: u32,
    is_silent: bool,
    /// False if padding must not be reported as a violation of the client.
    minds_padding: bool,
    /// True after the end of an entry and before the next. Data would be out of order.
    pub between_entries: bool,
    pub challenge_next: bool,
    pub replies: VecDeque<Response>,
    pub has_ended: bool,
}

impl Server {
    pub fn new(is_silent: bool, minds_padding: bool) -> Self {
        Self {
            sessions: Sessions::new(Timeouts::default(), Points::Any),
            input: BytesMut::new(),
            receiving: None,
            current: None,
            last_push_id: 0,
            is_silent,
            minds_padding,
            between_entries: false,
            challenge_next: false,
            replies: VecDeque::new(),
            has_ended: false,
        }
    }

    pub fn receive(&mut self, unit: InFlight, writer: &mut Writer) {
        match unit {
            InFlight::Request(request) => self.request(&request),
            InFlight::Body(bytes) => self.body(&bytes, writer),
        }
    }

    fn request(&mut self, request: &Request) {
        assert!(
            self.receiving.is_none(),
            "a request in the middle of a body"
        );
        let head = head(request);
        assert_eq!(violations(&head), []);
        let parsed = PushRequest::new(&head).expect("the server can work with the request");
        match (&request.body, parsed.kind()) {
            (Body::PushSetup(body), RequestKind::PushSetup) => {
                assert_eq!(body.len() as u64, parsed.content_length());
                self.push_setup(&parsed, body);
            }
            (Body::PushStart { content_length }, RequestKind::PushStart) => {
                assert_eq!(*content_length, parsed.content_length());
                let is_authorised = head.headers().contains_key(http::header::AUTHORIZATION);
                if std::mem::take(&mut self.challenge_next) && !is_authorised {
                    self.replies.push_back(challenge());
                    return;
                }
                let session = self.sessions.push_start(&parsed, Duration::ZERO);
                self.receiving = Some(session.expect("the session is known"));
            }
            (body, kind) => panic!("{body:?} came as {kind:?}"),
        }
    }

    fn push_setup(&mut self, parsed: &PushRequest, body: &Bytes) {
        let mut push_id = || {
            self.last_push_id += 1;
            PushId::new(&self.last_push_id.to_string()).unwrap()
        };
        let accepted = self
            .sessions
            .push_setup(parsed, body, &mut push_id, Duration::ZERO)
            .expect("the session is new or known");
        if self.current.is_none_or(|(key, _)| key != accepted.key) {
            self.current = Some((accepted.key, false));
        }
        self.reply(&accepted.reply);
    }

    fn body(&mut self, bytes: &Bytes, writer: &mut Writer) {
        // There is none after a challenge.
        let Some(mut session) = self.receiving.take() else {
            return;
        };
        self.input.extend_from_slice(bytes);
        while let Some(received) = session.receive(&mut self.input, Duration::ZERO).unwrap() {
            writer.arrived(&received);
            self.between_entries = match received {
                Received::EndOfStream(_) => true,
                Received::Filler(_) => self.between_entries,
                _ => false,
            };
            if matches!(received, Received::Header(_)) {
                self.current = Some((session.key(), true));
            }
        }
        let violations: Vec<_> = session.take_violations().collect();
        assert!(
            violations.is_empty() || !self.minds_padding,
            "{violations:?}"
        );
        if session.has_ended() {
            self.sessions.end(session);
            self.has_ended = true;
        } else if !session.is_complete() {
            self.receiving = Some(session);
        } else if self.is_silent {
            self.sessions.end(session);
            self.current = None;
        } else {
            let reply = self.sessions.complete(session, Duration::ZERO);
            self.reply(&reply);
        }
    }

    fn reply(&mut self, reply: &Reply) {
        self.replies.push_back(response(&reply.response));
    }

    /// Handles a connection loss.
    pub fn lose(&mut self) {
        self.input.clear();
        self.replies.clear();
        if let Some(session) = self.receiving.take() {
            self.sessions.lost(session);
        }
    }

    /// Returns whether no bytes are on the way and no body is in progress.
    pub fn is_idle(&self) -> bool {
        self.receiving.is_none() && self.replies.is_empty()
    }

    /// Returns whether there is a session to resume.
    pub fn knows_session(&self) -> bool {
        self.current.is_some()
    }

    /// Returns the header that was received in the current session.
    pub fn known_header(&self, writer: &Writer) -> Option<FileHeader> {
        let (_, has_header) = self.current?;
        writer.header_in_force().filter(|_| has_header)
    }
}
