// SPDX-License-Identifier: MPL-2.0

//! A connection as the system sees it: what has arrived of the body that goes over it.

use std::time::Duration;

use super::socket::{Delivery, Socket};

/// Bytes that may wait in the system: about a second of what encoders of this protocol make.
const MAX_UNSENT: u32 = 64 * 1024;

/// What is known of a connection, and of a lost one until there is another.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Where it can be found.
    socket: Option<Socket>,
    mark: Mark,
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

impl Wire {
    /// Another connection stands.
    pub(super) fn connected(&mut self, socket: Option<Socket>) {
        if let Some(socket) = &socket {
            socket.limit_unsent(MAX_UNSENT);
        }
        self.socket = socket;
    }

    /// Whether it stands, and nothing has come that nobody has asked for.
    pub(super) fn is_idle(&self) -> bool {
        self.socket.as_ref().is_some_and(Socket::is_idle)
    }

    /// Nothing more goes over it.
    pub(super) fn close(&self) {
        if let Some(socket) = &self.socket {
            socket.close();
        }
    }

    /// Bytes on their way to the peer, or lost on it, where the system tells.
    pub(super) fn unacknowledged(&self) -> Option<usize> {
        self.socket.as_ref().and_then(Socket::unacknowledged)
    }

    /// Another body begins, at a place that is not known yet.
    pub(super) fn begin_body(&mut self) {
        self.mark = Mark::Before;
    }

    /// Another body begins, so many bytes behind what has been written.
    pub(super) fn body_begins_behind(&mut self, bytes: usize) {
        self.mark = match self.written() {
            Some(written) => Mark::At {
                body: 0,
                written: written + bytes as u64,
            },
            None => Mark::Unknown,
        };
    }

    /// Bytes of the body that have arrived, where the system tells.
    pub(super) fn acknowledged(&self) -> Option<u64> {
        let delivery = self.delivery()?;
        match self.mark {
            Mark::Before => Some(0),
            Mark::At { body, written } => {
                Some((body + delivery.acknowledged).saturating_sub(written))
            }
            Mark::Unknown => None,
        }
    }

    /// How long it takes to the peer and back, where the system tells.
    pub(super) fn round_trip_time(&self) -> Option<Duration> {
        self.delivery().map(|delivery| delivery.round_trip_time)
    }

    /// Whether the peer has reset the connection since it was last asked, after a body of so many bytes.
    ///
    /// Whoever meets the reset first takes its error away. What stays is that nobody has acknowledged the end of the
    /// stream, which counts as one more byte.
    pub(super) fn was_reset(&self, body_bytes: Option<u64>) -> bool {
        let Some(socket) = &self.socket else {
            return false;
        };
        let end = match (self.mark, body_bytes) {
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
        self.socket
            .as_ref()
            .map(|socket| socket.unread(limit))
            .unwrap_or_default()
    }

    fn written(&self) -> Option<u64> {
        self.socket.as_ref().and_then(Socket::written)
    }

    fn delivery(&self) -> Option<Delivery> {
        self.socket.as_ref().and_then(Socket::delivery)
    }
}

/// For a connection that belongs to somebody else.
#[cfg(feature = "tls")]
impl Wire {
    /// Whether the peer has closed it, or reset it, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        self.socket.as_ref().is_some_and(Socket::is_closed)
    }

    /// The body has been written to behind its first `body` bytes, and no further.
    pub(super) fn body_written(&mut self, body: u64) {
        self.mark = match self.written() {
            Some(written) => Mark::At { body, written },
            None => Mark::Unknown,
        };
    }

    /// Whether all that was handed to the connection is in the system's hands: it has room for more.
    pub(super) fn is_flushed(&self) -> bool {
        self.delivery()
            .is_some_and(|delivery| delivery.unsent < MAX_UNSENT)
    }
}
