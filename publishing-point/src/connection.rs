// SPDX-License-Identifier: MPL-2.0

//! One connection of a client: reading, writing and closing.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderMap, HeaderValue};
use http::{Method, Request, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Control;
use super::admission::{SetupRate, Ticket};
use super::shared::PointState;
use super::wire::{self, BadHead};
use wmspush_proto::wmhttp::server::Reply;

/// Time limit for sending a small response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a response for which a client gets another second.
const BYTES_PER_SECOND: usize = 64 * 1024;

/// Largest body of a PushSetup, in bytes.
const MAX_SETUP_BODY: u64 = 4096;

/// Time for the client to read an early response before the connection closes.
const LINGER: Duration = Duration::from_secs(1);

/// The state of a connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Request,
    Close,
}

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) input: BytesMut,
    pub(super) shared: Arc<PointState>,
    pub(super) control: watch::Receiver<Control>,
    pub(super) ticket: Ticket,
    pub(super) setups: SetupRate,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, shared: Arc<PointState>, ticket: Ticket) -> Self {
        let control = shared.control.subscribe();
        Self {
            stream,
            input: BytesMut::new(),
            shared,
            control,
            ticket,
            setups: SetupRate::new(),
        }
    }

    pub(super) async fn run(mut self) {
        // Responses are small, and clients wait for them.
        let _ = self.stream.set_nodelay(true);
        let mut limit = self.shared.settings.head_timeout;
        while let Ok(Next::Request) = self.serve(limit).await {
            limit = self.shared.settings.timeouts.inactivity;
        }
    }

    /// Reads the head of a request. `None` if the client has closed the connection or is too slow, or at a
    /// disconnection.
    pub(super) async fn read_head(
        &mut self,
        limit: Duration,
    ) -> io::Result<Option<(Request<()>, Bytes)>> {
        let head_timeout = self.shared.settings.head_timeout;
        let mut deadline = self.shared.now().saturating_add(limit);
        loop {
            match wire::take_head(&mut self.input) {
                Ok(Some(head)) => return Ok(Some(head)),
                Ok(None) => {}
                Err(bad) => return self.refuse_head(bad).await,
            }
            let began = !self.input.is_empty();
            tokio::select! {
                read = self.stream.read_buf(&mut self.input) => if read? == 0 {
                    return Ok(None);
                },
                () = self.shared.sleep_until(Some(deadline)) => return match began {
                    true => self.refuse_head(BadHead::TooSlow).await,
                    false => Ok(None),
                },
                _ = self.control.changed() => if self.stopping() {
                    return Ok(None);
                },
            }
            if !began {
                deadline = self.shared.now().saturating_add(head_timeout);
            }
        }
    }

    /// Answers bytes that are not served as a request.
    async fn refuse_head(&mut self, bad: BadHead) -> io::Result<Option<(Request<()>, Bytes)>> {
        let status = bad.status();
        self.shared.refused("", status, bad);
        let reply = Reply::last(status);
        self.respond(&Request::new(()), "", reply).await?;
        Ok(None)
    }

    /// Reads the body of a PushSetup; `None` if it is too large or too slow.
    pub(super) async fn setup_body(&mut self, length: u64) -> io::Result<Option<Bytes>> {
        if length > MAX_SETUP_BODY {
            return Ok(None);
        }
        let length = length as usize;
        let timeout = self.shared.settings.head_timeout;
        let deadline = self.shared.now().saturating_add(timeout);
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

    pub(super) async fn respond(
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
        if request.method() == Method::HEAD {
            // Its fields describe the body that GET would return.
            reply.response.body_mut().clear();
        }
        let bytes = wire::response_bytes(
            request.version(),
            reason,
            &reply.response,
            SystemTime::now(),
        );
        let written = self.stream.write_all(&bytes);
        tokio::time::timeout(response_timeout(bytes.len()), written).await??;
        if close {
            self.linger().await;
            return Ok(Next::Close);
        }
        Ok(Next::Request)
    }

    /// Closes after the client has had time to read the response. Closing with unread input would reset the connection,
    /// and the response would be lost.
    pub(super) async fn linger(&mut self) {
        let _ = self.stream.shutdown().await;
        let _ = tokio::time::timeout(LINGER, self.discard(u64::MAX)).await;
    }

    /// Reads and ignores input until the client closes the connection or the publishing point stops.
    pub(super) async fn silence(&mut self) -> io::Result<Next> {
        self.discard(u64::MAX).await?;
        Ok(Next::Close)
    }

    /// Discards this number of bytes from the client.
    pub(super) async fn discard(&mut self, mut bytes: u64) -> io::Result<()> {
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

    /// Drains an unwanted body on a connection that stays open, within the time limit for bodies.
    pub(super) async fn pass(&mut self, next: Next, length: u64) -> io::Result<Next> {
        if next == Next::Close {
            return Ok(next);
        }
        let limit = self.shared.settings.timeouts.idle;
        match tokio::time::timeout(limit, self.discard(length)).await {
            Ok(passed) => passed.map(|()| Next::Request),
            Err(_) => Ok(Next::Close),
        }
    }

    pub(super) async fn stopped(&mut self) {
        while !self.stopping() && self.control.changed().await.is_ok() {}
    }

    pub(super) fn stopping(&mut self) -> bool {
        self.control.borrow_and_update().stopping
    }
}

/// Returns the time limit for sending a response of this size.
fn response_timeout(bytes: usize) -> Duration {
    RESPONSE_TIMEOUT + Duration::from_secs((bytes / BYTES_PER_SECOND) as u64)
}

fn connection_option(headers: &HeaderMap, option: &str) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_response_has_more_time() {
        assert_eq!(response_timeout(1000), RESPONSE_TIMEOUT);
        assert_eq!(
            response_timeout(1 << 20),
            RESPONSE_TIMEOUT + Duration::from_secs(16)
        );
    }
}
