// SPDX-License-Identifier: MPL-2.0

//! One connection to a server or a proxy, encrypted or not.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::socket::{Socket, TcpCounters};

#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
pub(super) use tls::TlsLine;

/// Limit on the unsent bytes in the kernel's send buffer: about a second of the stream of a usual encoder.
const MAX_UNSENT: u32 = 64 * 1024;

/// Limit on the bytes read from a broken connection.
const MAX_UNREAD: usize = 16 * 1024;

/// The operations of a connection that an exchange uses. Positions count the bytes written with
/// [`poll_write`](Self::poll_write).
pub(super) trait Link: Send + 'static {
    /// Reads into `bytes`. Returns 0 at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes as much of `pieces` as fits. Accepted bytes may be buffered until [`poll_flush`](Self::poll_flush) is
    /// ready.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Hands buffered bytes to the kernel.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Returns received bytes that were not read, at most 16 KiB. Works after the connection has broken.
    fn unread(&mut self) -> Vec<u8>;

    /// Returns whether the connection stands and the peer has sent nothing unrequested.
    fn is_idle(&mut self) -> bool;

    /// Returns the bytes accepted so far.
    fn written(&self) -> u64;

    /// Returns the bytes that the peer has acknowledged, or those that the kernel has accepted where it does not report
    /// that.
    fn acknowledged(&mut self) -> u64;

    /// Returns whether the kernel has unacknowledged bytes; false where it does not report that.
    fn has_unacknowledged(&self) -> bool;

    /// Returns whether the peer has reset the connection.
    fn was_reset(&self) -> bool;

    /// Returns the round-trip time; `None` where the kernel does not report it.
    fn round_trip_time(&self) -> Option<Duration>;

    /// Sends the end of the stream to the peer (close_notify and FIN), without waiting.
    fn close(&mut self);
}

/// A connection.
pub(super) enum Line {
    /// TCP.
    Plain(TcpLine),
    /// TLS over TCP.
    #[cfg(feature = "tls")]
    Tls(Box<TlsLine>),
}

impl Line {
    /// A line over a new TCP connection.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self::Plain(TcpLine::new(stream))
    }

    fn link(&self) -> &dyn Link {
        match self {
            Self::Plain(line) => line,
            #[cfg(feature = "tls")]
            Self::Tls(line) => &**line,
        }
    }

    fn link_mut(&mut self) -> &mut dyn Link {
        match self {
            Self::Plain(line) => line,
            #[cfg(feature = "tls")]
            Self::Tls(line) => &mut **line,
        }
    }
}

impl Link for Line {
    fn poll_read(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        self.link_mut().poll_read(cx, bytes)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.link_mut().poll_write(cx, pieces)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link_mut().poll_flush(cx)
    }

    fn unread(&mut self) -> Vec<u8> {
        self.link_mut().unread()
    }

    fn is_idle(&mut self) -> bool {
        self.link_mut().is_idle()
    }

    fn written(&self) -> u64 {
        self.link().written()
    }

    fn acknowledged(&mut self) -> u64 {
        self.link_mut().acknowledged()
    }

    fn has_unacknowledged(&self) -> bool {
        self.link().has_unacknowledged()
    }

    fn was_reset(&self) -> bool {
        self.link().was_reset()
    }

    fn round_trip_time(&self) -> Option<Duration> {
        self.link().round_trip_time()
    }

    fn close(&mut self) {
        self.link_mut().close();
    }
}

/// A TCP connection that counts what is written to it.
pub(super) struct TcpLine {
    stream: TcpStream,
    written: u64,
    /// The kernel's count of acknowledged bytes before the first byte was written.
    base: u64,
}

impl TcpLine {
    fn new(stream: TcpStream) -> Self {
        let socket = Socket::of(&stream);
        socket.limit_unsent(MAX_UNSENT);
        Self {
            base: socket
                .counters()
                .map_or(0, |counters| counters.acknowledged),
            written: 0,
            stream,
        }
    }

    fn socket(&self) -> Socket<'_> {
        Socket::of(&self.stream)
    }

    fn counters(&self) -> Option<TcpCounters> {
        self.socket().counters()
    }
}

impl Link for TcpLine {
    fn poll_read(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.try_read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.stream.poll_read_ready(cx))?;
                }
                read => return Poll::Ready(read),
            }
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.try_write_vectored(pieces) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.stream.poll_write_ready(cx))?;
                }
                written => {
                    self.written += *written.as_ref().unwrap_or(&0) as u64;
                    return Poll::Ready(written);
                }
            }
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn unread(&mut self) -> Vec<u8> {
        self.socket().unread(MAX_UNREAD)
    }

    fn is_idle(&mut self) -> bool {
        self.socket().is_idle()
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn acknowledged(&mut self) -> u64 {
        let acknowledged = self.counters().map(|counters| counters.acknowledged);
        acknowledged.map_or(self.written, |bytes| {
            bytes.saturating_sub(self.base).min(self.written)
        })
    }

    fn has_unacknowledged(&self) -> bool {
        let acknowledged = self.counters().map(|counters| counters.acknowledged);
        acknowledged.is_some_and(|bytes| bytes.saturating_sub(self.base) < self.written)
    }

    fn was_reset(&self) -> bool {
        self.socket().was_reset() || self.counters().is_some_and(|counters| counters.over)
    }

    fn round_trip_time(&self) -> Option<Duration> {
        self.counters().map(|counters| counters.round_trip_time)
    }

    fn close(&mut self) {
        self.socket().close();
    }
}

/// The transport for TLS.
impl AsyncRead for TcpLine {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TcpLine {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Link::poll_write(&mut *self, cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Link::poll_write(&mut *self, cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
