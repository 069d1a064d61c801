// SPDX-License-Identifier: MPL-2.0

//! What the driver needs from HTTP, and nothing about how it is done.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::body::BodySender;
use crate::wmhttp::{Request, Response};

/// How long the body of a response may take: servers that announce none, and leave the connection open, send none.
pub(super) const RESPONSE_BODY_TIMEOUT: Duration = Duration::from_millis(300);

/// Sends requests, one after the other, over one connection for as long as it lasts.
pub(super) trait Transport: Send + Sync {
    /// Whether the next request can go on the connection of the last.
    fn connection_stands(&self) -> bool;

    /// Bytes that have arrived of the body of the current PushStart, where that can be known.
    ///
    /// `handed_over` is how many there are by now, when none of them waits in the transport.
    fn acknowledged(&self, handed_over: Option<u64>) -> Option<u64>;

    /// How long it takes to the peer and back, where that can be known.
    fn round_trip_time(&self) -> Option<Duration>;

    /// Bytes that were written and that the peer has not acknowledged, where that can be known.
    fn unacknowledged(&self) -> Option<usize>;

    /// Whether the peer has reset the connection since it was last asked, after a body of so many bytes, as far as can
    /// be known.
    fn was_reset(&self, body_bytes: u64) -> bool;

    /// Begins a request. The one before it must be over, or dropped.
    fn start(&mut self, request: Request) -> Exchange;
}

/// A request on its way. Dropping it closes the connection unless the response was there and the body complete.
pub(super) struct Exchange {
    /// The response, which may come while the body still flows; or the loss of the connection.
    pub(super) response: Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>,
    /// Takes the body of a PushStart.
    pub(super) body: Option<Arc<BodySender>>,
}

/// What happens before a request can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The server's addresses are known.
    Resolved,
    /// The connection stands.
    Connected,
}
