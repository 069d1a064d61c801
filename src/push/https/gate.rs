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

use super::descriptors::find;
use crate::push::socket::Socket;
use crate::push::transport::Progress;
use crate::push::wire::Wire;

type BoxError = Box<dyn StdError + Send + Sync>;

/// How long a connect without permission waits for the pooled connection to win the race.
const GATE_TIMEOUT: Duration = Duration::from_millis(500);

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
    wire: Mutex<Wire>,
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
        self.shared.stands.load(Ordering::Acquire) && !self.wire().is_closed()
    }

    /// What the system knows of the connection.
    pub(super) fn wire(&self) -> MutexGuard<'_, Wire> {
        self.shared
            .wire
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn take_permit(&self) -> bool {
        self.shared.permitted.swap(false, Ordering::AcqRel)
    }

    fn connected(&self, connection: &Connected) {
        let mut extensions = Extensions::new();
        connection.get_extras(&mut extensions);
        let ends = extensions.get::<HttpInfo>();
        let socket = ends.and_then(|ends| find(ends.local_addr(), ends.remote_addr()));
        self.wire().connected(socket.map(Socket::duplicate));
        self.shared.stands.store(true, Ordering::Release);
        let _ = self.progress.send(Progress::Connected);
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
