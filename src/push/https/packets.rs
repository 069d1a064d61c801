// SPDX-License-Identifier: MPL-2.0

//! The body of a PushStart as reqwest takes it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use super::gate::Gate;
use crate::push::body::{self, BodyReceiver, BodySender, notify_when_written};

/// The packets, as they come.
struct PacketSource {
    receiver: BodyReceiver,
    /// Bytes of the body that have not been handed over.
    remaining: u64,
    opening: Opening,
}

/// The first chunk goes alone: when it is written, the gate learns where in the connection the body begins.
enum Opening {
    Wanted(Gate),
    Written(Pin<Box<dyn Future<Output = ()> + Send>>),
    Done,
}

impl PacketSource {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Opening::Written(written) = &mut self.opening {
            ready!(written.as_mut().poll(cx));
            self.opening = Opening::Done;
        }
        let Some(chunk) = ready!(self.receiver.poll_receive(cx)) else {
            return Poll::Ready(None);
        };
        self.remaining = self.remaining.saturating_sub(chunk.len() as u64);
        match std::mem::replace(&mut self.opening, Opening::Done) {
            Opening::Wanted(gate) => {
                let size = chunk.len();
                let (chunk, written) = notify_when_written(chunk);
                self.opening = Opening::Written(Box::pin(async move {
                    written.await;
                    gate.wire().body_written(size as u64);
                }));
                Poll::Ready(Some(chunk))
            }
            _ => Poll::Ready(Some(chunk)),
        }
    }
}

/// The body of a PushStart. Clones have the same source: it outlives an attempt that found no connection.
#[derive(Clone)]
pub(super) struct Packets(Arc<Mutex<PacketSource>>);

impl Packets {
    /// A body of so many bytes, and where they come in. `gate` is told where in its connection the body begins.
    pub(super) fn new(content_length: u64, gate: Gate) -> (Self, BodySender) {
        let (sender, receiver) = body::channel();
        let source = PacketSource {
            receiver,
            remaining: content_length,
            opening: Opening::Wanted(gate),
        };
        (Self(Arc::new(Mutex::new(source))), sender)
    }

    /// Whether all of it has been handed over.
    pub(super) fn is_complete(&self) -> bool {
        self.lock().remaining == 0
    }

    fn lock(&self) -> MutexGuard<'_, PacketSource> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Packets {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.lock().poll_next(cx).map(|chunk| chunk.map(Ok))
    }
}
