// SPDX-License-Identifier: MPL-2.0

//! A gate in front of a connector: it decides when a new connection may be made.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Extensions;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpInfo};
use tokio::sync::mpsc;
use tower_layer::Layer;
use tower_service::Service;

use super::socket::{Delivery, Socket};
use super::transport::Progress;

type BoxError = Box<dyn StdError + Send + Sync>;

/// How long a connect without permission waits for the pooled connection to win the race.
const GATE_TIMEOUT: Duration = Duration::from_millis(500);

/// Bytes that may wait in the system: about a second of what encoders of this protocol make.
const MAX_UNSENT: u32 = 64 * 1024;

/// Lets a connection be made only with permission.
#[derive(Clone)]
pub(super) struct Gate {
    progress: mpsc::UnboundedSender<Progress>,
    shared: Arc<GateState>,
}

#[derive(Default)]
struct GateState {
    permitted: AtomicBool,
    /// A connection was made and, as far as is known, not closed.
    stands: AtomicBool,
    /// Its socket, where it can be found; that of a lost connection until there is another.
    socket: Mutex<Option<Socket>>,
    /// Where the body of the current PushStart is in what is written.
    mark: Mutex<Mark>,
}

/// A place in a body, and in what the system has been given of its connection.
#[derive(Clone, Copy, Debug, Default)]
enum Mark {
    /// Nothing of the body is written.
    #[default]
    Before,
    /// So many bytes of the body were written when so many were in all, by the system's count.
    At { body: u64, written: u64 },
    /// The system does not tell.
    Unknown,
}

impl Gate {
    pub(super) fn new(progress: mpsc::UnboundedSender<Progress>) -> Self {
        Self {
            progress,
            shared: Arc::default(),
        }
    }

    /// Allows the next connect.
    pub(super) fn permit(&self) {
        self.shared.permitted.store(true, Ordering::Release);
    }

    /// Begins an exchange on the connection.
    pub(super) fn exchange(&self) -> Exchanging<'_> {
        Exchanging(self)
    }

    /// Whether the last connection can still be used, as far as is known.
    pub(super) fn connection_stands(&self) -> bool {
        let closed = |socket: &Option<Socket>| socket.as_ref().is_some_and(Socket::is_closed);
        self.shared.stands.load(Ordering::Acquire) && !closed(&self.socket())
    }

    /// Bytes on their way to the peer, or lost on it, where the system tells.
    pub(super) fn unacknowledged(&self) -> Option<usize> {
        self.socket().as_ref().and_then(Socket::unacknowledged)
    }

    /// Another body begins.
    pub(super) fn begin_body(&self) {
        *self.mark() = Mark::Before;
    }

    /// The body has been written to behind its first `body` bytes, and no further.
    pub(super) fn body_written(&self, body: u64) {
        let written = self.socket().as_ref().and_then(Socket::written);
        *self.mark() = match written {
            Some(written) => Mark::At { body, written },
            None => Mark::Unknown,
        };
    }

    /// Whether all that was handed to the connection is in the system's hands: it has room for more.
    pub(super) fn is_flushed(&self) -> bool {
        let delivery = self.socket().as_ref().and_then(Socket::delivery);
        delivery.is_some_and(|delivery| delivery.unsent < MAX_UNSENT)
    }

    /// Bytes of the body that have arrived, where the system tells.
    pub(super) fn acknowledged(&self) -> Option<u64> {
        let delivery = self.socket().as_ref().and_then(Socket::delivery)?;
        match *self.mark() {
            Mark::Before => Some(0),
            Mark::At { body, written } => {
                Some((body + delivery.acknowledged).saturating_sub(written))
            }
            Mark::Unknown => None,
        }
    }

    /// How long it takes to the peer and back, where the system tells.
    pub(super) fn round_trip_time(&self) -> Option<Duration> {
        let delivery = self.socket().as_ref().and_then(Socket::delivery)?;
        Some(delivery.round_trip_time)
    }

    /// Whether the peer has reset the connection since it was last asked, after a body of so many bytes.
    ///
    /// Whoever meets the reset first takes its error away. What stays is that nobody has acknowledged the end of the
    /// stream, which counts as one more byte.
    pub(super) fn was_reset(&self, body_bytes: Option<u64>) -> bool {
        let socket = self.socket();
        let Some(socket) = socket.as_ref() else {
            return false;
        };
        let end = match (*self.mark(), body_bytes) {
            (Mark::At { body, written }, Some(size)) => {
                Some((written + size + 1).saturating_sub(body))
            }
            _ => None,
        };
        let broken = |delivery: Delivery| {
            delivery.over && end.is_some_and(|end| delivery.acknowledged < end)
        };
        socket.was_reset() || socket.delivery().is_some_and(broken)
    }

    /// What has come in that nobody has read, up to `limit` bytes. It is taken out.
    pub(super) fn unread(&self, limit: usize) -> Vec<u8> {
        let socket = self.socket();
        socket
            .as_ref()
            .map(|socket| socket.unread(limit))
            .unwrap_or_default()
    }

    fn take_permit(&self) -> bool {
        self.shared.permitted.swap(false, Ordering::AcqRel)
    }

    fn connected(&self, connection: &Connected) {
        let mut extensions = Extensions::new();
        connection.get_extras(&mut extensions);
        let ends = extensions.get::<HttpInfo>();
        let socket = ends.and_then(|ends| Socket::find(ends.local_addr(), ends.remote_addr()));
        if let Some(socket) = &socket {
            socket.limit_unsent(MAX_UNSENT);
        }
        *self.socket() = socket;
        self.shared.stands.store(true, Ordering::Release);
        let _ = self.progress.send(Progress::Connected);
    }

    fn mark(&self) -> MutexGuard<'_, Mark> {
        self.shared
            .mark
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn socket(&self) -> MutexGuard<'_, Option<Socket>> {
        self.shared
            .socket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exchange under way: unless it ends well, its connection is gone.
pub(super) struct Exchanging<'a>(&'a Gate);

impl Exchanging<'_> {
    /// The connection is there for the next one.
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Exchanging<'_> {
    fn drop(&mut self) {
        self.0.shared.stands.store(false, Ordering::Release);
    }
}

impl<S> Layer<S> for Gate {
    type Service = GatedConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        GatedConnector {
            gate: self.clone(),
            connector,
        }
    }
}

#[derive(Clone)]
pub(super) struct GatedConnector<S> {
    gate: Gate,
    connector: S,
}

impl<S, R> Service<R> for GatedConnector<S>
where
    S: Service<R, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Response: Connection + Send,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let gate = self.gate.clone();
        if !gate.take_permit() {
            return Box::pin(async {
                tokio::time::sleep(GATE_TIMEOUT).await;
                Err(GateClosed.into())
            });
        }
        let connecting = self.connector.call(request);
        Box::pin(async move {
            let connection = connecting.await?;
            gate.connected(&connection.connected());
            Ok(connection)
        })
    }
}

/// The pooled connection was gone and nobody allowed a new one.
#[derive(Debug)]
pub(super) struct GateClosed;

impl fmt::Display for GateClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is gone")
    }
}

impl StdError for GateClosed {}
