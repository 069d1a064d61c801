// SPDX-License-Identifier: MPL-2.0

//! A connection with TLS, which maps acknowledged bytes to plaintext.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Link, MAX_UNREAD, TcpLine};

/// Bytes of plaintext that are encrypted at once: eight records of the largest size.
const MAX_ENCRYPTED: usize = 128 * 1024;

/// TLS over TCP.
///
/// The kernel counts encrypted bytes. Whenever all of them have been handed to it, a mark records the corresponding
/// count of plaintext bytes.
pub(in crate::push) struct TlsLine {
    stream: TlsStream<TcpLine>,
    written: u64,
    marks: VecDeque<Mark>,
    /// Plaintext bytes acknowledged, by the last mark that was reached.
    acknowledged: u64,
}

/// A position in both streams. Everything before it has been handed to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    plaintext: u64,
    encrypted: u64,
}

impl TlsLine {
    /// Performs the handshake with `server` over `line`.
    ///
    /// # Errors
    ///
    /// The connection's I/O errors. Errors of rustls are wrapped in them.
    pub(in crate::push) async fn connect(
        config: Arc<ClientConfig>,
        server: ServerName<'static>,
        line: TcpLine,
    ) -> io::Result<Self> {
        let limit = |connection: &mut rustls::ClientConnection| {
            connection.set_buffer_limit(Some(MAX_ENCRYPTED));
        };
        let connecting = TlsConnector::from(config).connect_with(server, line, limit);
        Ok(Self {
            stream: connecting.await?,
            written: 0,
            marks: VecDeque::new(),
            acknowledged: 0,
        })
    }

    fn tcp(&self) -> &TcpLine {
        self.stream.get_ref().0
    }

    fn mark(&mut self) {
        let marked = self
            .marks
            .back()
            .map_or(self.acknowledged, |mark| mark.plaintext);
        if self.written > marked {
            self.marks.push_back(Mark {
                plaintext: self.written,
                encrypted: self.tcp().written,
            });
        }
    }

    /// Decrypts `bytes` that were read from the socket, and returns the plaintext.
    fn decrypt(&mut self, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (_, session) = self.stream.get_mut();
        let mut plaintext = Vec::new();
        loop {
            let state = session
                .process_new_packets()
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            let ready = state.plaintext_bytes_to_read();
            if ready > 0 {
                let start = plaintext.len();
                plaintext.resize(start + ready, 0);
                let target = plaintext.get_mut(start..).unwrap_or_default();
                io::Read::read_exact(&mut session.reader(), target)?;
            }
            if bytes.is_empty() || session.read_tls(&mut bytes)? == 0 {
                return Ok(plaintext);
            }
        }
    }
}

impl Link for TlsLine {
    fn poll_read(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, pieces))?;
        self.written += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.mark();
        Poll::Ready(Ok(()))
    }

    fn unread(&mut self) -> Vec<u8> {
        let encrypted = self.tcp().socket().unread(MAX_UNREAD);
        self.decrypt(&encrypted).unwrap_or_default()
    }

    fn is_idle(&mut self) -> bool {
        if self.tcp().socket().is_idle() {
            return true;
        }
        // Servers send session tickets without a request.
        let unread = self.unread();
        unread.is_empty() && self.tcp().socket().is_idle()
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn acknowledged(&mut self) -> u64 {
        let (line, session) = self.stream.get_mut();
        let encrypted = line.acknowledged();
        if encrypted == line.written && !session.wants_write() {
            self.marks.clear();
            self.acknowledged = self.written;
        }
        while let Some(mark) = self
            .marks
            .front()
            .filter(|mark| mark.encrypted <= encrypted)
        {
            self.acknowledged = mark.plaintext;
            self.marks.pop_front();
        }
        self.acknowledged
    }

    fn has_unacknowledged(&self) -> bool {
        self.tcp().has_unacknowledged()
    }

    fn was_reset(&self) -> bool {
        self.tcp().was_reset()
    }

    fn round_trip_time(&self) -> Option<Duration> {
        self.tcp().round_trip_time()
    }

    fn close(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        // The alert is lost if the kernel's buffer is full; the FIN still follows.
        let _ = Pin::new(&mut self.stream).poll_shutdown(&mut cx);
        self.stream.get_mut().0.close();
    }
}
