// SPDX-License-Identifier: MPL-2.0

//! The transport for `http`: requests and responses straight on a socket.
//!
//! Where nothing is encrypted there is nothing between a packet and the socket: as many pieces as wait go into one
//! `writev`, from where upstream has put them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;

use super::body::{self, BodyReceiver, BodySender};
use super::connect::{connect, lost};
use super::socket::Socket;
use super::transport::{Exchange, Progress, RESPONSE_BODY_TIMEOUT, Transport};
use super::wire::Wire;
use super::{Error, Settings};
use crate::wmhttp::{BadResponse, Body, Request, Response, ResponseReader, Stage};

/// Pieces that go into one `writev`: 64 packets with their framing headers.
const MOST_PIECES: usize = 128;

/// Bytes of a response that are read at once.
const READ: usize = 2048;

/// Most bytes that are looked for on a connection that is gone.
const MAX_UNREAD: usize = 16 * 1024;

/// Sends requests over TCP.
pub(super) struct HttpTransport {
    line: Line,
    /// Where the connection goes: the server, or a proxy.
    peer: Option<Url>,
    stall_timeout: Duration,
    progress: mpsc::UnboundedSender<Progress>,
}

impl HttpTransport {
    /// A transport that tells `progress` how connecting goes.
    pub(super) fn new(settings: &Settings, progress: mpsc::UnboundedSender<Progress>) -> Self {
        Self {
            line: Line::default(),
            peer: None,
            stall_timeout: settings.stall_timeout,
            progress,
        }
    }

    /// Closes the connection, if there is one.
    pub(super) fn leave(&mut self) {
        if self.peer.take().is_some() {
            *self.line.lock() = LineState::default();
        }
    }

    /// A new connection to `peer`.
    fn connect(&self, peer: Url) -> impl Future<Output = Result<Arc<TcpStream>, Error>> + use<> {
        let line = self.line.clone();
        let progress = self.progress.clone();
        async move {
            let host = peer.host();
            let host = host.ok_or_else(|| Error::Unresolvable("the URL has no host".to_owned()))?;
            let port = peer.port_or_known_default().unwrap_or(80);
            let resolved = || {
                let _ = progress.send(Progress::Resolved);
            };
            let stream = connect(&host, port, None, resolved).await?;
            let stream = line.connected(stream);
            let _ = progress.send(Progress::Connected);
            Ok(stream)
        }
    }
}

impl Transport for HttpTransport {
    fn connection_stands(&self) -> bool {
        self.line.standing().is_some()
    }

    fn round_trip_time(&self) -> Option<Duration> {
        self.line.lock().wire.round_trip_time()
    }

    fn acknowledged(&self, _: Option<u64>) -> Option<u64> {
        self.line.lock().wire.acknowledged()
    }

    fn unacknowledged(&self) -> Option<usize> {
        self.line.lock().wire.unacknowledged()
    }

    fn was_reset(&self, body_bytes: u64) -> bool {
        self.line.lock().wire.was_reset(Some(body_bytes))
    }

    fn start(&mut self, request: Request) -> Exchange {
        let (sending, body) = Sending::new(&request);
        let peer = request.proxy.unwrap_or(request.url);
        let last = self.peer.replace(peer.clone());
        let reusable = !request.fresh && last.is_some_and(|last| last.origin() == peer.origin());
        let standing = self.line.standing().filter(|_| reusable);
        self.line.lock().wire.begin_body();
        let connecting = self.connect(peer);
        let line = self.line.clone();
        let stall_timeout = self.stall_timeout;
        let response = async move {
            let stream = match standing {
                Some(stream) => stream,
                None => Box::pin(connecting).await?,
            };
            exchange(&line, &stream, sending, stall_timeout).await
        };
        Exchange {
            response: Box::pin(response),
            body: body.map(Arc::new),
        }
    }
}

/// The connection: between two requests, during one, or after its loss.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<LineState>>);

#[derive(Default)]
struct LineState {
    /// Unless it is lost.
    stream: Option<Arc<TcpStream>>,
    wire: Wire,
}

impl Line {
    /// The connection, if the next request can go over it.
    fn standing(&self) -> Option<Arc<TcpStream>> {
        let state = self.lock();
        state.stream.clone().filter(|_| state.wire.is_idle())
    }

    fn connected(&self, stream: TcpStream) -> Arc<TcpStream> {
        let stream = Arc::new(stream);
        let mut state = self.lock();
        state.wire.connected(Some(Socket::of(stream.clone())));
        state.stream = Some(stream.clone());
        stream
    }

    /// Begins a request: unless it ends well, the connection is gone.
    fn exchange(&self) -> Exchanging<'_> {
        Exchanging(self)
    }

    fn lock(&self) -> MutexGuard<'_, LineState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Exchanging<'a>(&'a Line);

impl Exchanging<'_> {
    /// The connection is there for the next request.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Exchanging<'_> {
    fn drop(&mut self) {
        let mut line = self.0.lock();
        line.stream = None;
        line.wire.close();
    }
}

/// Sends a request, and takes its response, which may come first.
async fn exchange(
    line: &Line,
    stream: &TcpStream,
    mut sending: Sending,
    stall_timeout: Duration,
) -> Result<Response, Error> {
    let exchanging = line.exchange();
    if sending.body.is_some() {
        line.lock().wire.body_begins_behind(sending.head_len());
    }
    let mut reader = ResponseReader::new();
    poll_fn(|cx| {
        // What the server says counts before what it does not take.
        if let Poll::Ready(read) = poll_read(cx, stream, &mut reader, Stage::Body) {
            return Poll::Ready(read.map_err(|loss| loss.error(stall_timeout)));
        }
        let sent = sending.poll_send(cx, |cx, pieces| poll_write(cx, stream, pieces));
        let Poll::Ready(Err(error)) = sent else {
            return Poll::Pending;
        };
        let unread = line.lock().wire.unread(MAX_UNREAD);
        Poll::Ready(match reader.push(&unread) {
            Ok(Stage::Body | Stage::Complete) => Ok(()),
            Ok(Stage::Head) | Err(_) => Err(lost(&error, stall_timeout)),
        })
    })
    .await?;
    // A response that comes while the body flows has to stop it at once.
    let sent = sending.is_complete();
    if sent {
        let rest = poll_fn(|cx| poll_read(cx, stream, &mut reader, Stage::Complete));
        // As much as there is of it.
        let _ = timeout(RESPONSE_BODY_TIMEOUT, rest).await;
    }
    let (response, reusable) = reader.finish().ok_or(Error::Closed)?;
    if sent && reusable {
        exchanging.keep();
    }
    Ok(response)
}

/// Why there is no response.
enum Loss {
    Socket(io::Error),
    Closed,
    Bad(BadResponse),
}

impl Loss {
    fn error(self, stall_timeout: Duration) -> Error {
        match self {
            Self::Socket(error) => lost(&error, stall_timeout),
            Self::Closed => Error::Closed,
            Self::Bad(error) => Error::BadResponse(error.to_string()),
        }
    }
}

/// Reads until the response has come as far as `wanted`.
fn poll_read(
    cx: &mut Context<'_>,
    stream: &TcpStream,
    reader: &mut ResponseReader,
    wanted: Stage,
) -> Poll<Result<(), Loss>> {
    let mut stage = reader.push(&[]).map_err(Loss::Bad)?;
    let mut bytes = [0; READ];
    while stage < wanted {
        ready!(stream.poll_read_ready(cx)).map_err(Loss::Socket)?;
        let read = match stream.try_read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            read => read.map_err(Loss::Socket)?,
        };
        if read == 0 {
            return Poll::Ready(reader.end().then_some(()).ok_or(Loss::Closed));
        }
        let read = bytes.get(..read).unwrap_or_default();
        stage = reader.push(read).map_err(Loss::Bad)?;
    }
    Poll::Ready(Ok(()))
}

fn poll_write(
    cx: &mut Context<'_>,
    stream: &TcpStream,
    pieces: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    loop {
        match stream.try_write_vectored(pieces) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                ready!(stream.poll_write_ready(cx))?;
            }
            written => return Poll::Ready(written),
        }
    }
}

/// A request on its way into a socket.
struct Sending {
    /// The head, and a body that is there by now.
    front: VecDeque<Bytes>,
    /// The body that comes, and how much of it there is still to be written.
    body: Option<BodyReceiver>,
    remaining: u64,
}

impl Sending {
    fn new(request: &Request) -> (Self, Option<BodySender>) {
        let mut front = VecDeque::from([request.head()]);
        let (body, sender, remaining) = match &request.body {
            Body::PushSetup(bytes) => {
                front.extend(Some(bytes.clone()).filter(|bytes| !bytes.is_empty()));
                (None, None, 0)
            }
            Body::PushStart { content_length } => {
                let (sender, receiver) = body::channel();
                (Some(receiver), Some(sender), *content_length)
            }
        };
        let sending = Self {
            front,
            body,
            remaining,
        };
        (sending, sender)
    }

    /// Bytes in front of the body.
    fn head_len(&self) -> usize {
        self.front.iter().map(Bytes::len).sum()
    }

    /// Whether all of it is written.
    fn is_complete(&self) -> bool {
        self.front.is_empty() && self.remaining == 0
    }

    /// Writes for as long as there is something, and room for it.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut nothing = VecDeque::new();
            let chunks = match self.body.as_mut().map(|body| body.poll_chunks(cx)) {
                Some(Poll::Ready(Some(chunks))) => chunks,
                // It has come to its end, or there is none.
                _ if self.front.is_empty() => return Poll::Pending,
                _ => &mut nothing,
            };
            let mut pieces = [IoSlice::new(&[]); MOST_PIECES];
            let waiting = self.front.iter().chain(chunks.iter());
            let filled = pieces.iter_mut().zip(waiting);
            let count = filled
                .map(|(piece, bytes)| *piece = IoSlice::new(bytes))
                .count();
            let written = ready!(write(cx, pieces.get(..count).unwrap_or_default()))?;
            let of_body = written - take(&mut self.front, written);
            take(chunks, of_body);
            self.remaining = self.remaining.saturating_sub(of_body as u64);
        }
    }
}

/// Takes up to `most` bytes off the front; how many there were.
fn take(chunks: &mut VecDeque<Bytes>, most: usize) -> usize {
    let mut left = most;
    while let Some(chunk) = chunks.front_mut() {
        if left < chunk.len() {
            chunk.advance(left);
            return most;
        }
        left -= chunk.len();
        chunks.pop_front();
    }
    most - left
}

#[cfg(test)]
mod tests;
