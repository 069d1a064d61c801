// SPDX-License-Identifier: MPL-2.0

//! One request and its response.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::admission::Use;
use super::connection::{Connection, Next};
use super::faults::{self, Fault, MidBody};
use super::lock::lock;
use super::recording::Recording;
use super::shared::random_push_id;
use super::wire::{MAX_PATH, point_of};
use super::{Closer, Event};
use wmspush_proto::wmhttp::server::{
    BadBody, PushRequest, ReceivingSession, Refusal, Reply, RequestKind, violations,
};

/// Bytes to read at a time.
const READ: usize = 64 * 1024;

/// The end of the reception of a body.
enum Outcome {
    Complete,
    EndOfStream,
    Closed(Closer),
    Refuse(Closer, Reply),
    Fault(MidBody),
}

impl Connection {
    /// Serves one request. The client has to begin it within `limit`.
    pub(super) async fn serve(&mut self, limit: Duration) -> io::Result<Next> {
        let Some((request, head)) = self.read_head(limit).await? else {
            return Ok(Next::Close);
        };
        if !self.ticket.change(Use::Idle) {
            return Ok(Next::Close);
        }
        if request.uri().path().len() > MAX_PATH {
            let status = StatusCode::URI_TOO_LONG;
            return self
                .refuse_with(&request, status, "the path is too long")
                .await;
        }
        self.shared.request_seen(head.clone());
        if let Some(next) = self.watch(&request).await? {
            return Ok(next);
        }
        let point = point_of(&request);
        self.shared.violations(&point, violations(&request));
        let parsed = match PushRequest::new(&request) {
            Ok(parsed) => parsed,
            Err(refusal) => return self.refuse(&request, &refusal).await,
        };
        let faults = lock(&self.shared.script).next(parsed.kind());
        if let Some((fault, instead)) = faults::instead(&faults, &request) {
            self.shared.strikes(&point, fault);
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

    async fn push_setup(
        &mut self,
        request: &Request<()>,
        parsed: &PushRequest,
        head: &Bytes,
        faults: &[Fault],
    ) -> io::Result<Next> {
        if !self.setups.take(self.shared.now()) {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let reason = "too many PushSetups without a PushStart on one connection";
            return self.refuse_with(request, status, reason).await;
        }
        let Some(body) = self.setup_body(parsed.content_length()).await? else {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            let reason = "the body of PushSetup is too large or too slow";
            return self.refuse_with(request, status, reason).await;
        };
        self.shared.body_seen(head, &body);
        let Some(reply) = self.set_up(request, parsed, &body, faults) else {
            return Ok(Next::Close);
        };
        self.respond(request, "", reply).await
    }

    /// Returns the reply to a PushSetup; `None` if the connection was evicted.
    fn set_up(
        &mut self,
        request: &Request<()>,
        parsed: &PushRequest,
        body: &[u8],
        faults: &[Fault],
    ) -> Option<Reply> {
        let (point, now) = (parsed.point(), self.shared.now());
        let set_up = lock(&self.shared.sessions).push_setup(parsed, body, &mut random_push_id, now);
        match set_up {
            Ok(accepted) => {
                let user_agent = parsed.user_agent();
                self.shared.setup_accepted(accepted.key, point, user_agent);
                self.shared.shed_sessions(accepted.key, self.ticket.peer);
                let mut reply = accepted.reply;
                self.spoil(point, faults, &mut reply);
                self.ticket.change(Use::Setup).then_some(reply)
            }
            Err(refusal) => {
                self.shared.refused(point, refusal.status(), &refusal);
                // The body was read, so the connection can stay open.
                Some(Reply {
                    close: matches!(refusal, Refusal::Redirected(_)),
                    ..refusal.reply(request)
                })
            }
        }
    }

    async fn push_start(
        &mut self,
        request: &Request<()>,
        parsed: &PushRequest,
        faults: &[Fault],
    ) -> io::Result<Next> {
        if !self.ticket.change(Use::Push) {
            return Ok(Next::Close);
        }
        let started = lock(&self.shared.sessions).push_start(parsed, self.shared.now());
        let mut session = match started {
            Ok(session) => session,
            Err(refusal) => return self.refuse_start(request, parsed, &refusal).await,
        };
        self.setups.reset();
        self.shared.push_started(&session);
        let mut recording = self.shared.take_recording(session.key());
        let outcome = self
            .receive(&mut session, &mut recording, faults::mid_body(faults))
            .await;
        self.shared
            .keep_recording(session.key(), session.point(), recording);
        self.conclude(request, session, faults, outcome).await
    }

    /// Sends the response that follows the reception of a body.
    async fn conclude(
        &mut self,
        request: &Request<()>,
        session: ReceivingSession,
        faults: &[Fault],
        outcome: Outcome,
    ) -> io::Result<Next> {
        match outcome {
            Outcome::Complete => self.complete(request, session, faults).await,
            Outcome::EndOfStream => {
                let success = session.success();
                self.end(session, Closer::EndOfStream);
                self.after_end(request, faults, success).await
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

    /// Refuses a PushStart. Its body is drained if the connection stays open.
    async fn refuse_start(
        &mut self,
        request: &Request<()>,
        parsed: &PushRequest,
        refusal: &Refusal,
    ) -> io::Result<Next> {
        self.ticket.change(Use::Idle);
        let next = self.refuse(request, refusal).await?;
        self.pass(next, parsed.content_length()).await
    }

    /// Receives the packets of one body.
    async fn receive(
        &mut self,
        session: &mut ReceivingSession,
        recording: &mut Recording,
        mut fault: Option<(u64, MidBody)>,
    ) -> Outcome {
        let mut packets = 0;
        let mut pause = Duration::ZERO;
        loop {
            loop {
                if let Some((_, fault)) = fault.take_if(|(after, _)| packets >= *after) {
                    match self.strike(session.point(), fault).await {
                        Ok(slow) => pause = slow,
                        Err(fault) => return Outcome::Fault(fault),
                    }
                }
                match session.receive(&mut self.input, self.shared.now()) {
                    Ok(Some(received)) => {
                        packets += 1;
                        self.shared.received(session, recording, &received);
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
            if !pause.is_zero() {
                sleep(pause).await;
            }
            if let Some(outcome) = self.read_body(session).await {
                return outcome;
            }
        }
    }

    /// Applies a fault during a body. Returns the pause before each further read, or the fault if it ends the body.
    async fn strike(&mut self, point: &str, fault: MidBody) -> Result<Duration, MidBody> {
        let what = format!("{fault} in the middle");
        self.shared.strikes(point, what);
        match fault {
            MidBody::Slow(pause) => Ok(pause),
            MidBody::HalfClose => {
                // Fails only for a connection that is lost, which the next read reports.
                drop(self.stream.shutdown().await);
                Ok(Duration::ZERO)
            }
            fault => Err(fault),
        }
    }

    /// Waits for more of the body, for the Idle-Timeout, or for a disconnection.
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
            () = self.shared.displaced(session.key()) => {
                let reply = Reply::last(StatusCode::CONFLICT);
                Some(Outcome::Refuse(Closer::Displaced, reply))
            }
            _ = self.control.changed() => {
                let status = self.control.borrow_and_update().status;
                Some(Outcome::Refuse(Closer::Server, Reply::last(status)))
            }
        }
    }

    fn bad_packet(&self, session: &ReceivingSession, error: BadBody) -> Outcome {
        let status = StatusCode::BAD_REQUEST;
        self.shared.refused(session.point(), status, error);
        Outcome::Refuse(Closer::BadPacket, Reply::last(status))
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
        self.spoil(&point_of(request), faults, &mut reply);
        self.respond(request, "", reply).await
    }

    /// Ends the session, on behalf of the client or of the server.
    fn end(&self, session: ReceivingSession, by: Closer) {
        let event = closed(&session, by);
        let key = session.key();
        let deleted = lock(&self.shared.sessions).end(session);
        self.shared.push_stopped(key, event);
        self.shared.deleted(deleted);
    }

    /// 3.2.7.1 TCP Connection Is Disconnected: keeps the session, which the client may resume.
    fn lose(&self, session: ReceivingSession, by: Closer) {
        let event = closed(&session, by);
        let key = session.key();
        lock(&self.shared.sessions).lost(session);
        self.shared.push_stopped(key, event);
    }

    /// Refuses a request with an unread body.
    pub(super) async fn refuse_with(
        &mut self,
        request: &Request<()>,
        status: StatusCode,
        reason: &str,
    ) -> io::Result<Next> {
        self.shared.refused(&point_of(request), status, reason);
        self.respond(request, "", Reply::last(status)).await
    }

    async fn refuse(&mut self, request: &Request<()>, refusal: &Refusal) -> io::Result<Next> {
        self.shared
            .refused(&point_of(request), refusal.status(), refusal);
        self.respond(request, "", refusal.reply(request)).await
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
