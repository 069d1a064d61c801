// SPDX-License-Identifier: MPL-2.0

//! One connection of a client, request by request.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, HeaderMap, HeaderValue};
use http::{Request, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::faults::{self, Fault, Instead, MidBody, Refuse};
use super::handle::lock;
use super::recorder::Recorder;
use super::shared::{Shared, random_push_id};
use super::{Closer, Control, Event, wire};
use crate::wmhttp::server::{
    PushRequest, ReceivingSession, Refusal, Reply, RequestKind, violations,
};

/// How long the head of a request may take, and the body of a PushSetup.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest body of a PushSetup.
const MAX_SETUP_BODY: u64 = 4096;

/// How long an early response may take to be read before the connection goes.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes to read at a time.
const READ: usize = 64 * 1024;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

pub(super) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    shared: Arc<Shared>,
    control: watch::Receiver<Control>,
}

/// How the reception of a body ended.
enum Outcome {
    Complete,
    EndOfStream,
    Closed(Closer),
    Refuse(Closer, Reply),
    Fault(MidBody),
}

impl Connection {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        let control = shared.control.subscribe();
        Self {
            stream,
            input: BytesMut::new(),
            shared,
            control,
        }
    }

    pub(super) async fn run(mut self) {
        // Responses are small, and waited for.
        let _ = self.stream.set_nodelay(true);
        let mut limit = HEAD_TIMEOUT;
        while let Ok(Next::Request) = self.serve(limit).await {
            limit = self.shared.settings.timeouts.inactivity;
        }
    }

    /// One request and its response. `limit` is how long the client may take to begin.
    async fn serve(&mut self, limit: Duration) -> io::Result<Next> {
        let Some((request, head)) = self.read_head(limit).await? else {
            return Ok(Next::Close);
        };
        self.shared.request_seen(head.clone());
        let point = request.uri().path().to_owned();
        self.shared.violations(&point, violations(&request));
        let parsed = match PushRequest::new(&request) {
            Ok(parsed) => parsed,
            Err(refusal) => return self.refuse(&request, &refusal).await,
        };
        let faults = lock(&self.shared.script).next(parsed.kind());
        if let Some(instead) = faults::instead(&faults, &request) {
            return self.do_instead(&request, &parsed, instead).await;
        }
        if expects_continue(&request) {
            self.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await?;
        }
        match parsed.kind() {
            RequestKind::PushSetup => self.push_setup(&request, &parsed, &head, &faults).await,
            RequestKind::PushStart => self.push_start(&request, &parsed, &faults).await,
        }
    }

    /// `None` when the client is gone, or takes too long, or the publishing point stops.
    async fn read_head(&mut self, limit: Duration) -> io::Result<Option<(Request<()>, Bytes)>> {
        let mut deadline = self.shared.now().saturating_add(limit);
        loop {
            match wire::take_head(&mut self.input) {
                Ok(Some(head)) => return Ok(Some(head)),
                Ok(None) => {}
                Err(wire::BadHead) => {
                    let reply = Reply::last(StatusCode::BAD_REQUEST);
                    self.respond(&Request::new(()), "", reply).await?;
                    return Ok(None);
                }
            }
            let began = !self.input.is_empty();
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => if read? == 0 {
                    return Ok(None);
                },
                () = self.shared.sleep_until(Some(deadline)) => return Ok(None),
                _ = self.control.changed() => if self.stopping() {
                    return Ok(None);
                },
            }
            if !began {
                deadline = self.shared.now().saturating_add(HEAD_TIMEOUT);
            }
        }
    }

    async fn push_setup(
        &mut self,
        request: &Request<()>,
        parsed: &PushRequest,
        head: &Bytes,
        faults: &[Fault],
    ) -> io::Result<Next> {
        let Some(body) = self.setup_body(parsed.content_length()).await? else {
            let reply = Reply::last(StatusCode::PAYLOAD_TOO_LARGE);
            return self.respond(request, "", reply).await;
        };
        self.shared.body_seen(head, &body);
        let set_up = lock(&self.shared.sessions).push_setup(
            parsed,
            &body,
            &mut random_push_id,
            self.shared.now(),
        );
        let reply = match set_up {
            Ok(accepted) => {
                let (point, user_agent) = (parsed.point(), parsed.user_agent());
                self.shared.setup_accepted(accepted.key, point, user_agent);
                let mut reply = accepted.reply;
                faults::spoil(faults, &mut reply);
                reply
            }
            Err(refusal) => {
                self.shared.refused(parsed.point(), &refusal);
                // The body was read: the connection can stay.
                Reply {
                    close: false,
                    ..refusal.reply(request)
                }
            }
        };
        self.respond(request, "", reply).await
    }

    /// `None` when it is too large, or too slow.
    async fn setup_body(&mut self, length: u64) -> io::Result<Option<Bytes>> {
        if length > MAX_SETUP_BODY {
            return Ok(None);
        }
        let length = length as usize;
        let deadline = self.shared.now().saturating_add(HEAD_TIMEOUT);
        while self.input.len() < length {
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                },
                () = self.shared.sleep_until(Some(deadline)) => return Ok(None),
            }
        }
        Ok(Some(self.input.split_to(length).freeze()))
    }

    async fn push_start(
        &mut self,
        request: &Request<()>,
        parsed: &PushRequest,
        faults: &[Fault],
    ) -> io::Result<Next> {
        let started = lock(&self.shared.sessions).push_start(parsed, self.shared.now());
        let mut session = match started {
            Ok(session) => session,
            Err(refusal) => return self.refuse(request, &refusal).await,
        };
        self.shared.push_started(&session);
        let mut recorder = self.shared.take_recorder(session.key());
        let outcome = self
            .receive(&mut session, &mut recorder, faults::mid_body(faults))
            .await;
        self.shared
            .keep_recorder(session.key(), session.point(), recorder);
        match outcome {
            Outcome::Complete => self.complete(request, session, faults).await,
            Outcome::EndOfStream => {
                self.end(session, Closer::EndOfStream);
                self.after_end(request, faults).await
            }
            Outcome::Closed(closer) => {
                self.lose(session, closer);
                Ok(Next::Close)
            }
            Outcome::Refuse(closer, reply) => {
                self.end(session, closer);
                self.respond(request, "", reply).await
            }
            Outcome::Fault(fault) => {
                let success = session.success();
                self.lose(session, Closer::Fault);
                self.break_off(request, fault, success).await
            }
        }
    }

    /// The packets of one body.
    async fn receive(
        &mut self,
        session: &mut ReceivingSession,
        recorder: &mut Option<Recorder>,
        fault: Option<(u64, MidBody)>,
    ) -> Outcome {
        let mut packets = 0;
        loop {
            loop {
                if let Some((after, fault)) = &fault
                    && packets >= *after
                {
                    return Outcome::Fault(fault.clone());
                }
                match session.receive(&mut self.input, self.shared.now()) {
                    Ok(Some(received)) => {
                        packets += 1;
                        self.shared.received(session, recorder, &received);
                    }
                    Ok(None) => break,
                    Err(error) => return self.bad_packet(session, error),
                }
            }
            if session.has_ended() {
                return Outcome::EndOfStream;
            }
            if session.is_complete() {
                return Outcome::Complete;
            }
            if let Some(outcome) = self.read_body(session).await {
                return outcome;
            }
        }
    }

    /// Waits for more of the body, for the Idle-Timeout, or for the word to stop.
    async fn read_body(&mut self, session: &ReceivingSession) -> Option<Outcome> {
        self.input.reserve(READ);
        tokio::select! {
            read = self.stream.read_buf(&mut self.input) => match read {
                Ok(0) => Some(Outcome::Closed(Closer::Client)),
                Ok(_) => None,
                Err(_) => Some(Outcome::Closed(Closer::Reset)),
            },
            () = self.shared.sleep_until(Some(session.next_timeout())) => session
                .handle_timeout(self.shared.now())
                .map(|reply| Outcome::Refuse(Closer::IdleTimeout, reply)),
            _ = self.control.changed() => {
                let status = self.control.borrow_and_update().status;
                Some(Outcome::Refuse(Closer::Server, session.refuse(status)))
            }
        }
    }

    fn bad_packet(&self, session: &ReceivingSession, error: crate::wmhttp::Error) -> Outcome {
        self.shared
            .refused(session.point(), &Refusal::Malformed(error));
        Outcome::Refuse(Closer::BadPacket, session.refuse(StatusCode::BAD_REQUEST))
    }

    /// 3.2.5.2.1 Sending a PushStart Response
    async fn complete(
        &mut self,
        request: &Request<()>,
        session: ReceivingSession,
        faults: &[Fault],
    ) -> io::Result<Next> {
        let (key, point) = (session.key(), session.point().to_owned());
        let mut reply = lock(&self.shared.sessions).complete(session, self.shared.now());
        let complete = Event::BodyComplete {
            session: key,
            point,
        };
        self.shared.push_stopped(key, complete);
        faults::spoil(faults, &mut reply);
        self.respond(request, "", reply).await
    }

    /// The session is over, by the client or by the server.
    fn end(&self, session: ReceivingSession, by: Closer) {
        let event = closed(&session, by);
        let key = session.key();
        let deleted = lock(&self.shared.sessions).end(session);
        self.shared.push_stopped(key, event);
        self.shared.deleted(deleted);
    }

    /// 3.2.7.1: the session stays, and may be resumed.
    fn lose(&self, session: ReceivingSession, by: Closer) {
        let event = closed(&session, by);
        let key = session.key();
        lock(&self.shared.sessions).lost(session);
        self.shared.push_stopped(key, event);
    }

    /// 3.2.5.5: nothing more is owed after the final `$E`, unless a fault wants it.
    async fn after_end(&mut self, request: &Request<()>, faults: &[Fault]) -> io::Result<Next> {
        match faults::after_end(faults) {
            None => Ok(Next::Close),
            Some(Some(refuse)) => {
                let reply = refuse.reply();
                self.respond(request, &refuse.reason, reply).await?;
                self.silence().await
            }
            Some(None) => self.silence().await,
        }
    }

    async fn break_off(
        &mut self,
        request: &Request<()>,
        fault: MidBody,
        success: Reply,
    ) -> io::Result<Next> {
        match fault {
            MidBody::Respond(refuse) => {
                let refuse = Refuse {
                    close: true,
                    ..refuse
                };
                let reply = refuse.reply();
                self.respond(request, &refuse.reason, reply).await
            }
            MidBody::Success => {
                let reply = Reply {
                    close: true,
                    ..success
                };
                self.respond(request, "", reply).await
            }
            MidBody::Close => {
                self.linger().await;
                Ok(Next::Close)
            }
            MidBody::Reset => {
                self.stream.set_zero_linger()?;
                Ok(Next::Close)
            }
            MidBody::Stall => {
                self.stopped().await;
                Ok(Next::Close)
            }
        }
    }

    async fn refuse(&mut self, request: &Request<()>, refusal: &Refusal) -> io::Result<Next> {
        self.shared.refused(request.uri().path(), refusal);
        self.respond(request, "", refusal.reply(request)).await
    }

    async fn do_instead(
        &mut self,
        request: &Request<()>,
        parsed: &PushRequest,
        instead: Instead,
    ) -> io::Result<Next> {
        let (reply, reason) = match instead {
            Instead::Nothing => return self.silence().await,
            Instead::Bytes(bytes) => {
                self.stream.write_all(bytes).await?;
                self.linger().await;
                return Ok(Next::Close);
            }
            Instead::Reply(reply, reason) => (reply, reason),
        };
        if parsed.kind() == RequestKind::PushSetup {
            self.setup_body(parsed.content_length()).await?;
            return self.respond(request, &reason, reply).await;
        }
        // The body of a PushStart comes after the answer, if it still comes.
        let next = self.respond(request, &reason, reply).await?;
        if next == Next::Request {
            self.discard(parsed.content_length()).await?;
        }
        Ok(next)
    }

    async fn respond(
        &mut self,
        request: &Request<()>,
        reason: &str,
        mut reply: Reply,
    ) -> io::Result<Next> {
        let asked = |option| connection_option(request.headers(), option);
        let old = request.version() == Version::HTTP_10;
        let close = reply.close || asked("close") || (old && !asked("keep-alive"));
        let headers = reply.response.headers_mut();
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        } else if old {
            headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        }
        let bytes = wire::response_bytes(
            request.version(),
            reason,
            &reply.response,
            SystemTime::now(),
        );
        self.stream.write_all(&bytes).await?;
        if close {
            self.linger().await;
            return Ok(Next::Close);
        }
        Ok(Next::Request)
    }

    /// Closes so that the response arrives: closing over unread bytes would reset the connection and take it along.
    async fn linger(&mut self) {
        let _ = self.stream.shutdown().await;
        let _ = tokio::time::timeout(LINGER, self.discard(u64::MAX)).await;
    }

    /// Reads on, and answers nothing, until the client goes or the publishing point stops.
    async fn silence(&mut self) -> io::Result<Next> {
        self.discard(u64::MAX).await?;
        Ok(Next::Close)
    }

    /// Throws so many bytes of the client's away.
    async fn discard(&mut self, mut bytes: u64) -> io::Result<()> {
        loop {
            let taken = self
                .input
                .len()
                .min(usize::try_from(bytes).unwrap_or(usize::MAX));
            drop(self.input.split_to(taken));
            bytes -= taken as u64;
            if bytes == 0 {
                return Ok(());
            }
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => if read? == 0 {
                    return Ok(());
                },
                _ = self.control.changed() => if self.stopping() {
                    return Ok(());
                },
            }
        }
    }

    async fn stopped(&mut self) {
        while !self.stopping() && self.control.changed().await.is_ok() {}
    }

    fn stopping(&mut self) -> bool {
        self.control.borrow_and_update().stopping
    }
}

fn closed(session: &ReceivingSession, by: Closer) -> Event {
    Event::Closed {
        session: session.key(),
        point: session.point().to_owned(),
        by,
    }
}

fn expects_continue(request: &Request<()>) -> bool {
    let expect = request.headers().get(EXPECT);
    request.version() == Version::HTTP_11
        && expect.is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn connection_option(headers: &HeaderMap, option: &str) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(option))
}
