// SPDX-License-Identifier: MPL-2.0

//! One request and its response, polled by the driver.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::{Sleep, sleep};

use super::Error;
use super::line::Link;
use crate::wmhttp::{BadResponse, Body, Request, Response, ResponseReader, Secrets, Stage};

/// Limit on the pieces of one `writev`: 64 packets with their framing headers.
const MAX_PIECES: usize = 128;

/// Size in bytes of one read of a response.
const READ: usize = 2048;

/// Limit on the reads of one poll. A peer that sends without end, such as interim responses, must not keep the network
/// thread, nor the timeouts of its own exchange, waiting.
const MAX_READS: usize = 32;

/// Timeout for the body of a response. Servers that announce no length and keep the connection open send none.
const RESPONSE_BODY_TIMEOUT: Duration = Duration::from_millis(300);

/// A connection that is being made.
pub(super) type Opening<L> = Pin<Box<dyn Future<Output = Result<L, Error>> + Send>>;

/// A request under way. Dropping it closes its connection.
pub(super) struct Exchange<L> {
    connection: LinkState<L>,
    is_push_start: bool,
    /// The request is a CONNECT to a proxy.
    is_connect: bool,
    /// The unwritten rest of the head, followed by the body.
    pieces: VecDeque<Bytes>,
    /// Bytes in `pieces`.
    waiting: usize,
    /// Bytes of the body that are not written yet.
    remaining: u64,
    head_len: u64,
    /// The position on the line at which the body begins.
    body_begins_at: u64,
    reader: ResponseReader,
    /// Secrets to remove from the response.
    secrets: Secrets,
    /// The timeout for the body of the response.
    body_due: Option<Pin<Box<Sleep>>>,
    reusable: bool,
    /// The connection is kept from an earlier request, and the peer has sent nothing since.
    unproven: bool,
    /// The connection is a tunnel that was made by an earlier CONNECT.
    through_tunnel: bool,
}

enum LinkState<L> {
    Opening(Opening<L>),
    Open(L),
}

/// An event of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The connection stands.
    Connected,
    /// The response was received. The body of the request may still be incomplete.
    Response(Response),
}

impl<L: Link> Exchange<L> {
    /// A request over an existing connection.
    pub(super) fn over(link: L, request: &Request) -> Self {
        let mut exchange = Self {
            unproven: true,
            ..Self::new(LinkState::Open(link), request)
        };
        exchange.begin();
        exchange
    }

    /// A request over a connection that is being made.
    pub(super) fn opening(opening: Opening<L>, request: &Request) -> Self {
        Self::new(LinkState::Opening(opening), request)
    }

    /// A request over a TLS handshake under way in a tunnel.
    pub(super) fn through_tunnel(opening: Opening<L>, request: &Request) -> Self {
        Self {
            through_tunnel: true,
            ..Self::opening(opening, request)
        }
    }

    fn new(connection: LinkState<L>, request: &Request) -> Self {
        let head = request.head();
        let head_len = head.len() as u64;
        let mut pieces = VecDeque::from([head]);
        let remaining = match &request.body {
            Body::PushSetup(bytes) => {
                pieces.extend(Some(bytes.clone()).filter(|bytes| !bytes.is_empty()));
                0
            }
            Body::PushStart { content_length } => *content_length,
            Body::Connect => 0,
        };
        let reader = match &request.body {
            Body::Connect => ResponseReader::to_connect(),
            _ => ResponseReader::new(),
        };
        Self {
            connection,
            is_push_start: matches!(request.body, Body::PushStart { .. }),
            is_connect: matches!(request.body, Body::Connect),
            waiting: pieces.iter().map(Bytes::len).sum(),
            pieces,
            remaining,
            head_len,
            body_begins_at: 0,
            reader,
            secrets: request.secrets.clone(),
            body_due: None,
            reusable: false,
            unproven: false,
            through_tunnel: false,
        }
    }

    fn begin(&mut self) {
        if let LinkState::Open(link) = &self.connection {
            self.body_begins_at = link.written() + self.head_len;
        }
    }

    /// Returns whether the request is a PushStart.
    pub(super) fn is_push_start(&self) -> bool {
        self.is_push_start
    }

    /// Returns whether the request asks a proxy for a tunnel.
    pub(super) fn is_connect(&self) -> bool {
        self.is_connect
    }

    /// Returns whether the request still waits for its connection.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.connection, LinkState::Opening(_))
    }

    /// Returns whether the request is a PushStart and has its connection.
    pub(super) fn is_streaming(&self) -> bool {
        self.is_push_start && !self.is_connecting()
    }

    /// Returns whether the request goes through a tunnel that was made before.
    pub(super) fn is_through_tunnel(&self) -> bool {
        self.through_tunnel
    }

    /// Appends bytes of the body.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.waiting += piece.len();
        self.pieces.push_back(piece);
    }

    /// Returns the bytes that the connection has not accepted yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the bytes of the body that the connection has accepted.
    pub(super) fn written(&self) -> u64 {
        match &self.connection {
            LinkState::Opening(_) => 0,
            LinkState::Open(link) => link.written().saturating_sub(self.body_begins_at),
        }
    }

    /// Returns the bytes of the body that the peer has acknowledged.
    pub(super) fn acknowledged(&mut self) -> u64 {
        match &mut self.connection {
            LinkState::Opening(_) => 0,
            LinkState::Open(link) => link.acknowledged().saturating_sub(self.body_begins_at),
        }
    }

    /// Returns whether the kernel has unacknowledged bytes.
    pub(super) fn has_unacknowledged(&self) -> bool {
        matches!(&self.connection, LinkState::Open(link) if link.has_unacknowledged())
    }

    /// Returns whether the peer has reset the connection.
    pub(super) fn was_reset(&self) -> bool {
        matches!(&self.connection, LinkState::Open(link) if link.was_reset())
    }

    /// Returns the round-trip time; `None` where the kernel does not report it.
    pub(super) fn round_trip_time(&self) -> Option<Duration> {
        match &self.connection {
            LinkState::Opening(_) => None,
            LinkState::Open(link) => link.round_trip_time(),
        }
    }

    /// Returns whether the peer may have closed a kept connection before it read the request (RFC 9112 section 9.3.1
    /// Retrying Requests).
    pub(super) fn is_unproven(&self) -> bool {
        self.unproven
    }

    /// Returns the connection if it can be reused. Call it after [`Progress::Response`].
    pub(super) fn into_idle(self) -> Option<L> {
        match self.connection {
            LinkState::Open(link) if self.reusable => Some(link),
            _ => None,
        }
    }

    /// Closes the connection so that the peer sees a complete stream.
    pub(super) fn close(mut self) {
        if let LinkState::Open(link) = &mut self.connection {
            link.close();
        }
    }

    /// Sends, and waits for an event. Returns `None` as soon as at most `room` bytes wait.
    ///
    /// # Errors
    ///
    /// The failure of the connection, or of the response.
    pub(super) async fn progress_or_room(
        &mut self,
        room: Option<usize>,
    ) -> Result<Option<Progress>, Error> {
        poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(progress) => Poll::Ready(progress.map(Some)),
            Poll::Pending if room.is_some_and(|room| self.waiting <= room) => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Sends, and waits until the kernel has accepted everything. Returns an event that happens before that.
    ///
    /// # Errors
    ///
    /// As [`progress_or_room`](Self::progress_or_room).
    pub(super) async fn flush(&mut self) -> Result<Option<Progress>, Error> {
        poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(progress) => Poll::Ready(progress.map(Some)),
            Poll::Pending if self.is_flushed(cx) => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn is_flushed(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.connection {
            LinkState::Open(link) if self.pieces.is_empty() => link.poll_flush(cx).is_ready(),
            _ => false,
        }
    }

    /// Sends what fits. The response is read first, because it may refuse the rest of the body.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Progress, Error>> {
        if let LinkState::Opening(opening) = &mut self.connection {
            let link = ready!(opening.as_mut().poll(cx))?;
            self.connection = LinkState::Open(link);
            self.begin();
            return Poll::Ready(Ok(Progress::Connected));
        }
        if let Poll::Ready(read) = self.poll_response(cx) {
            return Poll::Ready(read.map(Progress::Response));
        }
        match ready!(self.poll_send(cx)) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(self.early_response(&error).map(Progress::Response)),
        }
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, Error>> {
        let mut stage = self.reader.push(&[]).map_err(bad)?;
        let mut reads = 0..MAX_READS;
        while stage < self.wanted() {
            let LinkState::Open(link) = &mut self.connection else {
                return Poll::Pending;
            };
            let mut bytes = [0; READ];
            let read = match reads.next() {
                Some(_) => link.poll_read(cx, &mut bytes),
                None => again(cx),
            };
            match read {
                Poll::Ready(Ok(read)) if read > 0 => {
                    self.unproven = false;
                    let read = bytes.get(..read).unwrap_or_default();
                    match self.reader.push(read) {
                        Ok(next) => stage = next,
                        Err(_) if stage == Stage::Body => break,
                        Err(error) => return Poll::Ready(Err(bad(error))),
                    }
                }
                Poll::Ready(end) => {
                    if self.reader.end() || stage == Stage::Body {
                        break;
                    }
                    let error = end.err().map_or(Error::Closed, |error| lost(&error));
                    return Poll::Ready(Err(error));
                }
                Poll::Pending if stage == Stage::Body && self.is_body_overdue(cx) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(self.finish().ok_or(Error::Closed))
    }

    /// Returns the part of the response that is needed. While the body flows, the head is enough, because it stops the
    /// body at once.
    fn wanted(&self) -> Stage {
        if self.is_complete() {
            Stage::Complete
        } else {
            Stage::Body
        }
    }

    fn is_complete(&self) -> bool {
        self.pieces.is_empty() && self.remaining == 0
    }

    fn is_body_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let due = self
            .body_due
            .get_or_insert_with(|| Box::pin(sleep(RESPONSE_BODY_TIMEOUT)));
        due.as_mut().poll(cx).is_ready()
    }

    fn finish(&mut self) -> Option<Response> {
        let (response, reusable) = std::mem::take(&mut self.reader).finish()?;
        self.reusable = reusable && self.is_complete();
        Some(response.redacted(&self.secrets))
    }

    /// Returns a response that was received before the connection broke with `error`.
    fn early_response(&mut self, error: &io::Error) -> Result<Response, Error> {
        let unread = match &mut self.connection {
            LinkState::Open(link) => link.unread(),
            LinkState::Opening(_) => Vec::new(),
        };
        self.unproven &= unread.is_empty();
        match self.reader.push(&unread) {
            Ok(Stage::Body | Stage::Complete) => self.finish().ok_or(Error::Closed),
            Ok(Stage::Head) | Err(_) => Err(lost(error)),
        }
    }

    /// Writes until nothing is left or the socket is full.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let LinkState::Open(link) = &mut self.connection else {
            return Poll::Pending;
        };
        loop {
            ready!(link.poll_flush(cx))?;
            if self.pieces.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let mut slices = [IoSlice::new(&[]); MAX_PIECES];
            let filled = slices.iter_mut().zip(&self.pieces);
            let count = filled
                .map(|(slice, piece)| *slice = IoSlice::new(piece))
                .count();
            let slices = slices.get(..count).unwrap_or_default();
            let before = link.written();
            let written = ready!(link.poll_write(cx, slices))?;
            let of_body = link
                .written()
                .saturating_sub(self.body_begins_at.max(before));
            self.remaining = self.remaining.saturating_sub(of_body);
            self.waiting -= written;
            consume(&mut self.pieces, written);
        }
    }
}

/// Has the task polled again, after the others.
fn again<T>(cx: &mut Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Removes `count` bytes from the front.
fn consume(pieces: &mut VecDeque<Bytes>, mut count: usize) {
    while let Some(piece) = pieces.front_mut() {
        if count < piece.len() {
            piece.advance(count);
            return;
        }
        count -= piece.len();
        pieces.pop_front();
    }
}

fn bad(error: BadResponse) -> Error {
    Error::BadResponse(error.to_string())
}

/// Returns the error for a broken connection.
pub(super) fn lost(error: &io::Error) -> Error {
    match error.kind() {
        // A broken pipe is a reset after the peer has closed its side.
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Error::Reset
        }
        ErrorKind::UnexpectedEof => Error::Closed,
        kind => Error::Broken {
            kind,
            message: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests;
