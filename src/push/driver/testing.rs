// SPDX-License-Identifier: MPL-2.0

//! A server in memory, on the clock of the runtime: what happens to a connection is in a script.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::push::Error;
use crate::push::body::{self, BodyReceiver};
use crate::push::transport::{Exchange, Progress, Transport};
use crate::wmhttp::server::{
    Points, PushRequest, Received, ReceivingSession, Reply, Sessions, Timeouts,
};
use crate::wmhttp::{Body, HResult, PushId, Request, Response};

/// How long it takes to the server.
const LATENCY: Duration = Duration::from_millis(20);

/// How long each PushStart lasts, if its body does: until nobody can take it for refused any more.
const LEAST: Duration = Duration::from_secs(10);

/// What becomes of a PushStart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its connection is reset.
    Reset,
    /// Its connection is closed.
    Close,
    /// An early answer, with which the session is over.
    Refuse(u16),
    /// Nothing is read any more.
    Silence,
    /// A reset, and a server that has forgotten the session.
    Forget,
    /// A reset, and nobody there for so long.
    Outage(Duration),
    /// The end of the stream is met with a reset, and not taken for one.
    NoEnd,
}

/// What came, and what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Data packets, each counted once.
    pub(super) packets: u64,
    /// Data packets that had come before.
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

/// The server and the way to it.
pub(super) struct Server {
    script: Box<dyn FnMut() -> (Duration, Fate) + Send>,
    /// The number in a data packet; they begin at 1.
    number: fn(&[u8]) -> u64,
    pub(super) seen: Seen,
    sessions: Sessions,
    start: Instant,
    newest: u64,
    /// When the script strikes next, and how.
    next: (Instant, Fate),
    away_until: Option<Instant>,
    stands: bool,
    /// Bytes of the current body.
    arrived: u64,
}

type Locked = Arc<Mutex<Server>>;

impl Server {
    /// A server whose connections fare as `script` says: after so long, that.
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
            stands: false,
            arrived: 0,
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

/// The way to a [`Server`].
pub(super) struct Memory {
    pub(super) server: Locked,
    pub(super) progress: mpsc::UnboundedSender<Progress>,
}

impl Transport for Memory {
    fn connection_stands(&self) -> bool {
        self.server.lock().unwrap().stands
    }

    fn acknowledged(&self, _: Option<u64>) -> Option<u64> {
        Some(self.server.lock().unwrap().arrived)
    }

    fn round_trip_time(&self) -> Option<Duration> {
        None
    }

    fn unacknowledged(&self) -> Option<usize> {
        Some(0)
    }

    fn was_reset(&self, _: u64) -> bool {
        false
    }

    fn start(&mut self, request: Request) -> Exchange {
        let (sender, receiver) = body::channel();
        let body = matches!(request.body, Body::PushStart { .. }).then_some(Arc::new(sender));
        self.server.lock().unwrap().arrived = 0;
        let (server, progress) = (self.server.clone(), self.progress.clone());
        let response = async move {
            connect(&server, &progress).await?;
            exchange(&server, &request, receiver).await
        };
        Exchange {
            response: Box::pin(response),
            body,
        }
    }
}

async fn connect(server: &Locked, progress: &mpsc::UnboundedSender<Progress>) -> Result<(), Error> {
    if server.lock().unwrap().stands {
        return Ok(());
    }
    let _ = progress.send(Progress::Resolved);
    sleep(LATENCY).await;
    let mut locked = server.lock().unwrap();
    if locked
        .away_until
        .is_some_and(|until| until > Instant::now())
    {
        return Err(Error::CannotConnect {
            kind: std::io::ErrorKind::ConnectionRefused,
            message: "refused".to_owned(),
        });
    }
    locked.stands = true;
    let _ = progress.send(Progress::Connected);
    Ok(())
}

async fn exchange(
    server: &Locked,
    request: &Request,
    body: BodyReceiver,
) -> Result<Response, Error> {
    sleep(LATENCY).await;
    let head = head(request);
    let parsed = PushRequest::new(&head).unwrap();
    let reply = match &request.body {
        Body::Connect => panic!("there is no proxy"),
        Body::PushSetup(body) => {
            let mut server = server.lock().unwrap();
            let now = server.now();
            server.sessions.handle_timeout(now);
            server.set_up(&parsed, body)
        }
        Body::PushStart { .. } => {
            let started = {
                let mut server = server.lock().unwrap();
                let now = server.now();
                server.sessions.handle_timeout(now);
                server.seen.push_starts += 1;
                server.sessions.push_start(&parsed, now)
            };
            match started {
                Ok(session) => {
                    let session = Some(session);
                    let server = server.clone();
                    Receiving { server, session }.receive(body).await?
                }
                Err(refusal) => refusal.reply(&head),
            }
        }
    };
    Ok(response(reply))
}

/// A PushStart whose body comes. Whoever drops it has lost the connection.
struct Receiving {
    server: Locked,
    session: Option<ReceivingSession>,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let mut server = self.server.lock().unwrap();
            server.stands = false;
            server.sessions.lost(session);
        }
    }
}

impl Receiving {
    async fn receive(mut self, mut body: BodyReceiver) -> Result<Reply, Error> {
        let mut input = BytesMut::new();
        let (until, fate) = self.server.lock().unwrap().next;
        let until = until.max(Instant::now() + LEAST);
        loop {
            let Ok(chunk) = timeout_at(until, poll_fn(|cx| body.poll_receive(cx))).await else {
                return match self.strike(fate) {
                    Some(outcome) => outcome,
                    None => std::future::pending().await,
                };
            };
            let Some(chunk) = chunk else {
                return Err(Error::Closed);
            };
            input.extend_from_slice(&chunk);
            let Some(session) = &mut self.session else {
                continue;
            };
            let mut server = self.server.lock().unwrap();
            server.arrived += chunk.len() as u64;
            let now = server.now();
            while let Some(received) = session.receive(&mut input, now).unwrap() {
                server.note(&received);
            }
            if session.has_ended() {
                server.stands = false;
                let session = self.session.take().unwrap();
                if fate == Fate::NoEnd {
                    server.sessions.lost(session);
                    return Err(Error::Reset);
                }
                server.sessions.end(session);
            } else if session.is_complete() {
                server.seen.bodies += 1;
                let session = self.session.take().unwrap();
                return Ok(server.sessions.complete(session, now));
            }
        }
    }

    /// What the client gets to see of its fate; `None`: nothing.
    fn strike(&mut self, fate: Fate) -> Option<Result<Reply, Error>> {
        let mut server = self.server.lock().unwrap();
        server.strike();
        if let Fate::Outage(time) = fate {
            server.away_until = Some(Instant::now() + time);
        }
        if let Fate::Forget | Fate::Refuse(_) = fate {
            server.stands = false;
            server.sessions.end(self.session.take()?);
        }
        match fate {
            Fate::Reset | Fate::Outage(_) | Fate::Forget => Some(Err(Error::Reset)),
            Fate::Close => Some(Err(Error::Closed)),
            Fate::Refuse(status) => {
                let status = StatusCode::from_u16(status).unwrap();
                Some(Ok(Reply::last(status)))
            }
            Fate::Silence | Fate::NoEnd => None,
        }
    }
}

fn head(request: &Request) -> http::Request<()> {
    let mut head = http::Request::new(());
    *head.method_mut() = Request::METHOD;
    *head.uri_mut() = request.url.path().parse().unwrap();
    *head.headers_mut() = request.headers.clone();
    let host = request.url.authority().parse().unwrap();
    head.headers_mut().insert(http::header::HOST, host);
    head
}

fn response(reply: Reply) -> Response {
    let (parts, body) = reply.response.into_parts();
    Response {
        status: parts.status,
        reason: String::new(),
        headers: parts.headers,
        body,
    }
}
