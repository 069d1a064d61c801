// SPDX-License-Identifier: MPL-2.0

//! A server in memory, in virtual time. A script determines the fate of each connection.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::StatusCode;
use tokio::time::{Instant, Sleep, sleep};
use url::Url;

use crate::push::Error;
use crate::push::client::Connector;
use crate::push::exchange::Opening;
use crate::push::line::Link;
use crate::wmhttp::server::{
    Points, PushRequest, Received, ReceivingSession, Reply, Sessions, Timeouts,
};
use crate::wmhttp::{HResult, PushId};

/// Latency of a connection and of a response.
const LATENCY: Duration = Duration::from_millis(20);

/// Minimum duration of a PushStart whose body is long enough: until it can no longer count as refused.
const LEAST: Duration = Duration::from_secs(10);

/// The event that ends a PushStart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its connection is reset.
    Reset,
    /// Its connection is closed.
    Close,
    /// The server refuses with this status, and the session is over.
    Refuse(u16),
    /// The server stops reading.
    Silence,
    /// The connection is reset, and the server has forgotten the session.
    Forget,
    /// The connection is reset, and the server is unreachable for this time.
    Outage(Duration),
    /// The server resets the connection at the end of the stream, without having read it.
    NoEnd,
}

/// The server's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Data packets, each counted once.
    pub(super) packets: u64,
    /// Data packets that had been received before.
    pub(super) again: u64,
    /// Sessions that began.
    pub(super) sessions: u64,
    pub(super) push_starts: u64,
    /// Bodies that were complete.
    pub(super) bodies: u64,
    pub(super) losses: u64,
    /// Sessions that ended with `$E`.
    pub(super) ends: u64,
}

/// The server's state and its script.
pub(super) struct Server {
    script: Box<dyn FnMut() -> (Duration, Fate) + Send>,
    /// Returns the number in a data packet; numbers begin at 1.
    number: fn(&[u8]) -> u64,
    pub(super) seen: Seen,
    sessions: Sessions,
    start: Instant,
    newest: u64,
    /// The time and the kind of the next scripted event.
    next: (Instant, Fate),
    away_until: Option<Instant>,
}

type Locked = Arc<Mutex<Server>>;

impl Server {
    /// A server whose `script` returns the time until the next event, and the event.
    pub(super) fn new(
        mut script: impl FnMut() -> (Duration, Fate) + Send + 'static,
        number: fn(&[u8]) -> u64,
    ) -> Locked {
        let (after, fate) = script();
        Arc::new(Mutex::new(Self {
            script: Box::new(script),
            number,
            seen: Seen::default(),
            sessions: Sessions::new(Timeouts::default(), Points::Any),
            start: Instant::now(),
            newest: 0,
            next: (Instant::now() + after, fate),
            away_until: None,
        }))
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn strike(&mut self) {
        let (after, fate) = (self.script)();
        self.next = (Instant::now() + after, fate);
        self.seen.losses += 1;
    }

    fn set_up(&mut self, request: &PushRequest, body: &[u8]) -> Reply {
        let mut number = self.seen.sessions;
        let mut push_id = || {
            number += 1;
            PushId::new(&number.to_string()).unwrap()
        };
        let now = self.now();
        let accepted = self
            .sessions
            .push_setup(request, body, &mut push_id, now)
            .unwrap();
        self.seen.sessions += 1;
        accepted.reply
    }

    fn note(&mut self, received: &Received) {
        match received {
            Received::Data(packet) => {
                let number = (self.number)(packet);
                let new = number > self.newest;
                self.newest = self.newest.max(number);
                *(if new {
                    &mut self.seen.packets
                } else {
                    &mut self.seen.again
                }) += 1;
            }
            Received::EndOfStream(HResult::S_OK) => self.seen.ends += 1,
            _ => {}
        }
    }
}

/// A connector to a [`Server`].
pub(super) struct Memory(pub(super) Locked);

impl Connector for Memory {
    type Link = MemoryLink;

    fn connect(&self, _: &Url) -> Opening<MemoryLink> {
        let server = self.0.clone();
        Box::pin(async move {
            sleep(LATENCY).await;
            let away = server.lock().unwrap().away_until;
            if away.is_some_and(|until| until > Instant::now()) {
                return Err(Error::CannotConnect {
                    kind: ErrorKind::ConnectionRefused,
                    message: "refused".to_owned(),
                });
            }
            Ok(MemoryLink::new(server))
        })
    }

    fn secure(&self, opening: Opening<MemoryLink>, _: &Url) -> Opening<MemoryLink> {
        opening
    }
}

/// A connection to a [`Server`], which reads everything at once.
pub(super) struct MemoryLink {
    server: Locked,
    input: BytesMut,
    talk: Talk,
    output: BytesMut,
    /// The time at which the output is readable, or the scripted event happens.
    timer: Pin<Box<Sleep>>,
    written: u64,
    reader: Option<Waker>,
}

/// The server's state of a connection.
enum Talk {
    Head,
    SetupBody(Box<PushRequest>, usize),
    PushStart(Option<ReceivingSession>, Fate),
    Silent,
    Over(Option<ErrorKind>),
}

impl MemoryLink {
    fn new(server: Locked) -> Self {
        Self {
            server,
            input: BytesMut::new(),
            talk: Talk::Head,
            output: BytesMut::new(),
            timer: Box::pin(sleep(Duration::ZERO)),
            written: 0,
            reader: None,
        }
    }

    /// Reads the input. Returns false if more is needed first.
    fn read(&mut self) -> bool {
        match &mut self.talk {
            Talk::Head => self.read_head(),
            Talk::SetupBody(request, length) if self.input.len() >= *length => {
                let body = self.input.split_to(*length);
                let reply = {
                    let mut server = self.server.lock().unwrap();
                    let now = server.now();
                    server.sessions.handle_timeout(now);
                    server.set_up(request, &body)
                };
                self.answer(&reply);
                self.talk = Talk::Head;
                true
            }
            Talk::PushStart(Some(_), _) => self.read_body(),
            _ => false,
        }
    }

    fn read_head(&mut self) -> bool {
        let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return false;
        };
        let head = parse(&self.input.split_to(end + 4));
        let request = PushRequest::new(&head).unwrap();
        let field = |name| head.headers().get(name).unwrap().to_str().unwrap();
        if field("content-type").contains("setup") {
            let length = field("content-length").parse().unwrap();
            self.talk = Talk::SetupBody(Box::new(request), length);
            return true;
        }
        let (started, (until, fate)) = {
            let mut server = self.server.lock().unwrap();
            let now = server.now();
            server.sessions.handle_timeout(now);
            server.seen.push_starts += 1;
            (server.sessions.push_start(&request, now), server.next)
        };
        match started {
            Ok(session) => {
                self.timer = Box::pin(tokio::time::sleep_until(until.max(Instant::now() + LEAST)));
                self.talk = Talk::PushStart(Some(session), fate);
            }
            Err(refusal) => self.answer(&refusal.reply(&head)),
        }
        true
    }

    fn read_body(&mut self) -> bool {
        let Talk::PushStart(receiving, fate) = &mut self.talk else {
            return false;
        };
        let (Some(session), fate) = (receiving.as_mut(), *fate) else {
            return false;
        };
        let mut server = self.server.lock().unwrap();
        let now = server.now();
        while let Some(received) = session.receive(&mut self.input, now).unwrap() {
            server.note(&received);
        }
        if session.has_ended() {
            let session = receiving.take().unwrap();
            if fate == Fate::NoEnd {
                server.sessions.lost(session);
                self.talk = Talk::Over(Some(ErrorKind::ConnectionReset));
            } else {
                server.sessions.end(session);
            }
        } else if session.is_complete() {
            server.seen.bodies += 1;
            let session = receiving.take().unwrap();
            let reply = server.sessions.complete(session, now);
            drop(server);
            self.talk = Talk::Head;
            self.answer(&reply);
        }
        false
    }

    fn answer(&mut self, reply: &Reply) {
        let (parts, body) = reply.response.clone().into_parts();
        let mut head = format!("HTTP/1.1 {} Reason\r\n", parts.status.as_u16());
        for (name, value) in &parts.headers {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
        if !parts.headers.contains_key("content-length") {
            head += &format!("content-length: {}\r\n", body.len());
        }
        self.output.extend_from_slice(head.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        self.output.extend_from_slice(&body);
        self.timer = Box::pin(sleep(LATENCY));
    }

    /// Applies the scripted event.
    fn strike(&mut self) {
        let Talk::PushStart(session, fate) = std::mem::replace(&mut self.talk, Talk::Silent) else {
            return;
        };
        let server = self.server.clone();
        let mut server = server.lock().unwrap();
        server.strike();
        if let Fate::Outage(time) = fate {
            server.away_until = Some(Instant::now() + time);
        }
        let session = session.unwrap();
        match fate {
            Fate::Forget | Fate::Refuse(_) => drop(server.sessions.end(session)),
            _ => server.sessions.lost(session),
        }
        drop(server);
        match fate {
            Fate::Reset | Fate::Outage(_) | Fate::Forget => {
                self.talk = Talk::Over(Some(ErrorKind::ConnectionReset));
            }
            Fate::Close => self.talk = Talk::Over(None),
            Fate::Refuse(status) => {
                self.answer(&Reply::last(StatusCode::from_u16(status).unwrap()));
            }
            Fate::Silence | Fate::NoEnd => {}
        }
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        if let Talk::PushStart(session, _) = &mut self.talk
            && let Some(session) = session.take()
        {
            self.server.lock().unwrap().sessions.lost(session);
        }
    }
}

impl Link for MemoryLink {
    fn poll_read(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reader = Some(cx.waker().clone());
        loop {
            if !self.output.is_empty() {
                ready!(self.timer.as_mut().poll(cx));
                let count = bytes.len().min(self.output.len());
                bytes[..count].copy_from_slice(&self.output[..count]);
                self.output.advance(count);
                return Poll::Ready(Ok(count));
            }
            match &self.talk {
                Talk::Over(None) => return Poll::Ready(Ok(0)),
                Talk::Over(Some(kind)) => return Poll::Ready(Err((*kind).into())),
                Talk::PushStart(Some(_), _) => {
                    ready!(self.timer.as_mut().poll(cx));
                    self.strike();
                }
                _ => return Poll::Pending,
            }
        }
    }

    fn poll_write(
        &mut self,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &self.talk {
            Talk::Silent => return Poll::Pending,
            Talk::Over(_) => return Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
            _ => {}
        }
        let count = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        pieces
            .iter()
            .for_each(|piece| self.input.extend_from_slice(piece));
        self.written += count as u64;
        while self.read() {}
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn unread(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn is_idle(&mut self) -> bool {
        matches!(self.talk, Talk::Head) && self.output.is_empty()
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn acknowledged(&mut self) -> u64 {
        self.written
    }

    fn has_unacknowledged(&self) -> bool {
        false
    }

    fn was_reset(&self) -> bool {
        matches!(self.talk, Talk::Over(Some(_)))
    }

    fn round_trip_time(&self) -> Option<Duration> {
        None
    }

    fn close(&mut self) {}
}

fn parse(head: &[u8]) -> http::Request<()> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Request::new(&mut fields);
    parsed.parse(head).unwrap();
    let mut request = http::Request::builder()
        .method(parsed.method.unwrap())
        .uri(parsed.path.unwrap());
    for field in parsed.headers.iter() {
        request = request.header(field.name, field.value);
    }
    request.body(()).unwrap()
}
