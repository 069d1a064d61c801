// SPDX-License-Identifier: MPL-2.0

//! The replay buffer: content that was sent, and that another connection may have to send again.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Error;
use super::queue::{Content, packet_cost};
use crate::asf::{DataPacket, FileHeader, KeyFrames};
use crate::wmhttp::HResult;

/// Time in which a server may demand authentication for a PushStart, refuse it, or read a `$C`. At most
/// [`REFUSABLE_BYTES`] of the stream are kept for that.
const REFUSABLE_TIME: Duration = Duration::from_secs(5);
const REFUSABLE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes sent after which the kernel is queried for acknowledgements. Memory that is kept longer has left the
/// processor's caches when it is used again.
const UNKNOWN_BYTES: usize = 256 * 1024;

/// Slack that `sent` may keep allocated: `FEW` entries, or `ROOMY` times its length.
const FEW: usize = 16;
const ROOMY: usize = 8;

/// Sent content that the peer has not acknowledged or may still refuse, and content that is to be sent again.
///
/// Positions are bytes of PushStart bodies since the session began, as
/// [`SessionCounters::body_bytes`](crate::wmhttp::SessionCounters::body_bytes) counts them.
pub(super) struct ReplayBuffer {
    /// In order. Acknowledged content is at the front, and is only kept while the PushStart may be refused.
    sent: VecDeque<Sent>,
    /// Entries of `sent` that are acknowledged.
    acknowledged: usize,
    /// Content to be sent again, in order.
    again: VecDeque<Content>,
    freed: Freed,
    /// The time at which the current PushStart, or a `$C` in it, was sent, as long as it may be refused.
    refusable: Option<Instant>,
    /// All content since the PushStart is in `sent`.
    whole: bool,
    /// The time at which the last `$C` of the current PushStart was acknowledged.
    changed: Option<Instant>,
    last_acknowledgement: Instant,
    refusable_bytes: usize,
    /// The position at which the current body begins.
    begins_at: u64,
    /// Bytes of data in `sent`.
    bytes: usize,
    /// The value of `bytes` at the last call of [`acknowledge`](Self::acknowledge).
    bytes_at_last: usize,
    /// The peer's knowledge of the current playlist entry, and its knowledge before the current PushStart.
    peer: PeerState,
    before: PeerState,
}

/// The parts of the current playlist entry that the peer has acknowledged.
#[derive(Clone, Debug, Default)]
struct PeerState {
    header: Option<FileHeader>,
    data: bool,
}

/// Acknowledged content that is no longer needed.
#[derive(Default)]
pub(super) struct Freed {
    /// Buffers that the writer frees.
    pub(super) buffers: Vec<Bytes>,
    /// Cost of acknowledged packets that the queue still counts.
    pub(super) cost: usize,
    gives_back: bool,
}

struct Sent {
    piece: Piece,
    /// The position behind its last byte.
    ends_at: u64,
}

/// Sent content, in few bytes: the buffer may have thousands of these, and few are ever sent again.
enum Piece {
    /// The `$H` that its PushStart sends by itself.
    Opening(Box<FileHeader>),
    Header(Box<FileHeader>),
    DataUnit(Bytes),
    EndOfStream(HResult),
}

impl Piece {
    fn of(content: Content) -> Self {
        match content {
            Content::Header(header) => Self::Header(Box::new(header)),
            Content::DataUnit(packet) => Self::DataUnit(packet.into_bytes()),
            Content::EndOfStream(reason) => Self::EndOfStream(reason),
        }
    }

    fn into_content(self) -> Content {
        match self {
            Self::Opening(header) | Self::Header(header) => Content::Header(*header),
            Self::DataUnit(bytes) => Content::DataUnit(DataPacket::parse(bytes)),
            Self::EndOfStream(reason) => Content::EndOfStream(reason),
        }
    }

    fn opens(&self) -> bool {
        matches!(self, Self::Opening(_))
    }

    fn cost(&self) -> usize {
        match self {
            Self::DataUnit(bytes) => packet_cost(bytes.len()),
            Self::Opening(_) | Self::Header(_) | Self::EndOfStream(_) => 0,
        }
    }

    /// Returns the bytes of data.
    fn bytes(&self) -> usize {
        match self {
            Self::DataUnit(bytes) => bytes.len(),
            Self::Opening(_) | Self::Header(_) | Self::EndOfStream(_) => 0,
        }
    }
}

impl ReplayBuffer {
    /// An empty buffer. While a PushStart may be refused, it keeps acknowledged content of at most an eighth of `limit`
    /// bytes; 0: no limit.
    pub(super) fn new(limit: usize) -> Self {
        let part = if limit == 0 { usize::MAX } else { limit / 8 };
        Self {
            sent: VecDeque::new(),
            acknowledged: 0,
            again: VecDeque::new(),
            freed: Freed::default(),
            refusable: None,
            whole: false,
            changed: None,
            last_acknowledgement: Instant::now(),
            refusable_bytes: REFUSABLE_BYTES.min(part),
            begins_at: 0,
            bytes: 0,
            bytes_at_last: 0,
            peer: PeerState::default(),
            before: PeerState::default(),
        }
    }

    /// Records a PushStart, with a `$H` that ends at `ends_at` if there is a header. Everything before is acknowledged.
    pub(super) fn push_start(&mut self, begins_at: u64, header: Option<(FileHeader, u64)>) {
        self.mark_acknowledged(self.sent.len());
        self.forget_acknowledged();
        self.begins_at = begins_at;
        self.before = self.peer.clone();
        (self.refusable, self.whole) = (Some(Instant::now()), true);
        self.changed = None;
        if let Some((header, ends_at)) = header {
            let piece = Piece::Opening(Box::new(header));
            self.sent.push_back(Sent { piece, ends_at });
        }
    }

    /// Keeps content that was sent and ends at `ends_at`.
    pub(super) fn keep(&mut self, content: Content, ends_at: u64) {
        let piece = Piece::of(content);
        if matches!(piece, Piece::Header(_)) {
            self.keep_from_here();
        }
        self.bytes += piece.bytes();
        self.sent.push_back(Sent { piece, ends_at });
        if let Some(since) = self.refusable
            && (self.bytes > self.refusable_bytes || since.elapsed() > REFUSABLE_TIME)
        {
            (self.refusable, self.whole) = (None, false);
            self.forget_acknowledged();
        }
    }

    /// Keeps content behind a `$C`, as behind a PushStart: a server that ends the connection soon may not have read the
    /// `$C`.
    fn keep_from_here(&mut self) {
        if self.refusable.is_none() {
            self.before = self.peer.clone();
        }
        self.refusable = Some(Instant::now());
    }

    /// Returns whether the server may not have read the last `$C`, although its kernel has acknowledged it:
    /// acknowledgements of data behind it have spanned less than [`REFUSABLE_TIME`].
    pub(super) fn has_young_header(&self) -> bool {
        let age = |since: Instant| self.last_acknowledgement.saturating_duration_since(since);
        self.changed
            .is_some_and(|since| age(since) <= REFUSABLE_TIME)
    }

    /// Records that the peer has acknowledged `body_bytes` of the current body.
    pub(super) fn acknowledge(&mut self, body_bytes: u64) {
        let position = self.begins_at.saturating_add(body_bytes);
        let under_way = self.sent.iter().skip(self.acknowledged);
        let more = under_way
            .take_while(|sent| sent.ends_at <= position)
            .count();
        if more > 0 {
            self.last_acknowledgement = Instant::now();
        }
        self.mark_acknowledged(self.acknowledged + more);
        if self.refusable.is_none() {
            self.forget_acknowledged();
        }
        self.bytes_at_last = self.bytes;
    }

    /// Returns acknowledged content that is no longer needed. With `gives_back`, buffers are collected for the writer;
    /// otherwise they are freed here.
    pub(super) fn freed(&mut self, gives_back: bool) -> &mut Freed {
        self.freed.gives_back = gives_back;
        if !gives_back {
            self.freed.buffers = Vec::new();
        }
        &mut self.freed
    }

    /// Returns whether [`UNKNOWN_BYTES`] were sent since the kernel was last queried for acknowledgements.
    pub(super) fn is_query_due(&self) -> bool {
        let unknown = self.bytes.saturating_sub(self.bytes_at_last);
        self.awaits_acknowledgement() && unknown >= UNKNOWN_BYTES
    }

    /// Returns the position at which the body of the current PushStart begins.
    pub(super) fn begins_at(&self) -> u64 {
        self.begins_at
    }

    /// Returns whether some content is not acknowledged.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.acknowledged < self.sent.len()
    }

    /// Schedules everything behind `$H` to be sent again, because the server demands authentication for the current
    /// PushStart. The repeated PushStart sends its `$H` by itself.
    ///
    /// Returns the cost of the acknowledged part.
    ///
    /// # Errors
    ///
    /// [`Error::LateChallenge`] if the beginning of the body is no longer kept.
    pub(super) fn repeat(&mut self) -> Result<usize, Error> {
        if !self.whole {
            return Err(Error::LateChallenge);
        }
        self.peer = self.before.clone();
        Ok(self.take_back(|sent| !sent.piece.opens()))
    }

    /// Schedules content to be sent again after a lost connection, and returns the cost of its acknowledged part.
    ///
    /// That is all unacknowledged content. If the last header is young, it includes that header and all content behind
    /// it. If the server has `refused` the current PushStart, it includes all content of the PushStart that is still
    /// kept.
    pub(super) fn lose_connection(&mut self, refused: bool) -> usize {
        // After that time the PushStart was accepted, whether or not anything was sent since.
        let young = |since: Instant| since.elapsed() <= REFUSABLE_TIME;
        if refused && self.refusable.is_some_and(young) {
            self.peer = self.before.clone();
        } else if self.has_young_header() {
            self.forget_entries_before();
        } else {
            self.forget_acknowledged();
        }
        (self.refusable, self.changed) = (None, None);
        self.take_back(|_| true)
    }

    /// Forgets acknowledged content in front of the last acknowledged header.
    fn forget_entries_before(&mut self) {
        let is_header = |sent: &Sent| matches!(sent.piece, Piece::Header(_));
        let header = self.sent.range(..self.acknowledged).rposition(is_header);
        let kept = self.acknowledged - header.unwrap_or(self.acknowledged);
        self.forget(self.acknowledged - kept);
        self.acknowledged = kept;
    }

    /// Puts sent content in front of the content that is to be sent again already.
    fn take_back(&mut self, again: impl Fn(&Sent) -> bool) -> usize {
        let acknowledged = self.sent.iter().take(self.acknowledged);
        let cost = acknowledged.map(|sent| sent.piece.cost()).sum();
        let sent = std::mem::take(&mut self.sent).into_iter().filter(again);
        let mut first: VecDeque<_> = sent.map(|sent| sent.piece.into_content()).collect();
        first.append(&mut self.again);
        self.again = first;
        (self.acknowledged, self.bytes, self.bytes_at_last) = (0, 0, 0);
        cost
    }

    /// Returns the next content to be sent again.
    pub(super) fn next(&mut self) -> Option<Content> {
        self.again.pop_front()
    }

    /// Puts content that was not sent back to the front.
    pub(super) fn put_back(&mut self, content: Content) {
        self.again.push_front(content);
    }

    /// Frees the cost of a data packet of `len` bytes that was dropped instead of being sent again.
    pub(super) fn drop_packet(&mut self, len: usize) {
        self.freed.cost += packet_cost(len);
    }

    /// Continues a parked session whose last header was `header`.
    pub(super) fn continue_session(&mut self, header: Option<FileHeader>) {
        self.peer = PeerState { header, data: true };
    }

    /// Returns whether there is content to be sent again.
    pub(super) fn is_pending(&self) -> bool {
        !self.again.is_empty()
    }

    /// Returns whether viewers of a new session could decode any of the content to be sent again: a header, or data at
    /// which decoding can begin.
    pub(super) fn is_worth_a_session(&self, key_frames: KeyFrames) -> bool {
        self.again.iter().any(|content| match content {
            Content::Header(_) => true,
            Content::DataUnit(packet) => key_frames.begins_in(packet),
            Content::EndOfStream(_) => false,
        })
    }

    /// Schedules the end of the stream to be sent again, though it was acknowledged.
    pub(super) fn resend_end(&mut self) {
        self.again.push_back(Content::EndOfStream(HResult::S_OK));
    }

    /// Returns whether the end of the stream is to be sent again.
    pub(super) fn ends_the_stream(&self) -> bool {
        matches!(self.again.back(), Some(Content::EndOfStream(_)))
    }

    /// Drops everything, and returns the number of data packets that the peer has not acknowledged.
    pub(super) fn give_up(&mut self) -> u64 {
        let unacknowledged = self.sent.iter().skip(self.acknowledged);
        let unacknowledged = unacknowledged.filter(|sent| matches!(sent.piece, Piece::DataUnit(_)));
        let again = self.again.iter().filter(|content| content.is_packet());
        let lost = unacknowledged.count() + again.count();
        self.sent.clear();
        self.again.clear();
        (self.acknowledged, self.bytes, self.bytes_at_last) = (0, 0, 0);
        lost as u64
    }

    /// Returns whether the content to be sent again begins with a header.
    pub(super) fn begins_with_header(&self) -> bool {
        matches!(self.again.front(), Some(Content::Header(_)))
    }

    /// Returns the last header that the peer has acknowledged.
    pub(super) fn header(&self) -> Option<&FileHeader> {
        self.peer.header.as_ref()
    }

    /// Returns whether the peer has acknowledged data behind that header, which a new session would lack.
    pub(super) fn has_gap(&self) -> bool {
        self.peer.data
    }

    /// Marks the first `count` entries of `sent` as acknowledged.
    fn mark_acknowledged(&mut self, count: usize) {
        for sent in self.sent.range(self.acknowledged..count) {
            if matches!(sent.piece, Piece::Header(_)) {
                self.changed = Some(self.last_acknowledgement);
            }
            match &sent.piece {
                Piece::Opening(header) | Piece::Header(header) => {
                    self.peer = PeerState {
                        header: Some(FileHeader::clone(header)),
                        data: false,
                    };
                }
                Piece::DataUnit(bytes) => {
                    self.peer.data = true;
                    self.freed.cost += packet_cost(bytes.len());
                }
                Piece::EndOfStream(_) => {}
            }
        }
        self.acknowledged = count;
    }

    fn forget_acknowledged(&mut self) {
        self.forget(self.acknowledged);
        self.acknowledged = 0;
    }

    /// Forgets the first `count` entries of `sent`.
    fn forget(&mut self, count: usize) {
        for sent in self.sent.drain(..count) {
            self.bytes -= sent.piece.bytes();
            if self.freed.gives_back
                && let Piece::DataUnit(bytes) = sent.piece
            {
                self.freed.buffers.push(bytes);
            }
        }
        self.bytes_at_last = self.bytes_at_last.min(self.bytes);
        // The first seconds of a PushStart fill the buffer; later it needs much less.
        if self.sent.capacity() / ROOMY > self.sent.len().max(FEW) {
            self.sent.shrink_to(2 * self.sent.len().max(FEW));
        }
    }
}

#[cfg(test)]
mod tests;
