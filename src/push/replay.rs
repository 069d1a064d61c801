// SPDX-License-Identifier: MPL-2.0

//! What was sent and may have to be sent again.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Error;
use super::queue::{Content, packet_cost};
use crate::asf::{DataPacket, FileHeader, KeyFrames};
use crate::wmhttp::HResult;

/// How long a server may take to demand authentication for a PushStart, or to refuse it, or to read a `$C`, and how much
/// of the stream is kept for that.
const REFUSABLE_TIME: Duration = Duration::from_secs(5);
const REFUSABLE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes sent after which the kernel is asked for acknowledgements: what is kept longer has left the processor's caches
/// when its memory is used again.
const UNKNOWN_BYTES: usize = 256 * 1024;

/// Slack that `sent` may keep allocated: `FEW` entries, or `ROOMY` times its length.
const FEW: usize = 16;
const ROOMY: usize = 8;

/// Sent content: as far as the peer has not acknowledged it, or may still refuse it; and what is to be sent again.
///
/// Positions are bytes of PushStart bodies since the session began, as
/// [`Counters::body_bytes`](crate::wmhttp::Counters::body_bytes) counts them.
pub(super) struct ReplayBuffer {
    /// In order. Acknowledged content is at the front, and only there while the PushStart may be refused.
    sent: VecDeque<Sent>,
    /// Entries of `sent` that are acknowledged.
    acknowledged: usize,
    /// What is to be sent again.
    again: VecDeque<Content>,
    freed: Freed,
    /// When the current PushStart, or a `$C` in it, was sent, for as long as it may be refused.
    refusable: Option<Instant>,
    /// Everything since the PushStart is there.
    whole: bool,
    /// When the last `$C` of the current PushStart was acknowledged.
    changed: Option<Instant>,
    last_acknowledgement: Instant,
    refusable_bytes: usize,
    /// Where the current body begins.
    begins_at: u64,
    /// Bytes of data in `sent`, and their number when [`acknowledge`](Self::acknowledge) was last called.
    bytes: usize,
    bytes_at_last: usize,
    /// What the peer has, and what it had before the current PushStart.
    peer: Peer,
    before: Peer,
}

/// What the peer has of the current playlist entry.
#[derive(Clone, Debug, Default)]
struct Peer {
    header: Option<FileHeader>,
    data: bool,
}

/// Acknowledged content that is not needed any more.
#[derive(Default)]
pub(super) struct Freed {
    /// Buffers, where the writer frees them.
    pub(super) buffers: Vec<Bytes>,
    /// What the acknowledged packets cost that the queue counts still.
    pub(super) cost: usize,
    gives_back: bool,
}

struct Sent {
    piece: Piece,
    /// Behind its last byte.
    ends_at: u64,
}

/// Content that was sent. There may be thousands of it, and little is ever sent again.
enum Piece {
    /// `$H`, which its PushStart brings along.
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

    /// Bytes of data.
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
            peer: Peer::default(),
            before: Peer::default(),
        }
    }

    /// A PushStart was sent, with `$H` if there is a header, which ends at `ends_at`. Everything before is acknowledged.
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

    /// Keeps content that was sent, and that ends at `ends_at`.
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

    /// Keeps what is behind a `$C`, as behind a PushStart: a server that ends the connection soon may not have read it.
    fn keep_from_here(&mut self) {
        if self.refusable.is_none() {
            self.before = self.peer.clone();
        }
        self.refusable = Some(Instant::now());
    }

    /// Returns whether the server may not have read the last `$C`, although its system has acknowledged it: data behind it
    /// was not acknowledged for long enough.
    pub(super) fn has_young_header(&self) -> bool {
        let age = |since: Instant| self.last_acknowledgement.saturating_duration_since(since);
        self.changed
            .is_some_and(|since| age(since) <= REFUSABLE_TIME)
    }

    /// The peer has acknowledged `body_bytes` of the current body.
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

    /// What is not needed any more. `gives_back` tells whether the writer is to free the buffers.
    pub(super) fn freed(&mut self, gives_back: bool) -> &mut Freed {
        self.freed.gives_back = gives_back;
        if !gives_back {
            self.freed.buffers = Vec::new();
        }
        &mut self.freed
    }

    /// Returns whether so much was sent since the last acknowledgement that it is time to ask for another.
    pub(super) fn is_long(&self) -> bool {
        let unknown = self.bytes.saturating_sub(self.bytes_at_last);
        self.awaits_acknowledgement() && unknown >= UNKNOWN_BYTES
    }

    /// Where the body of the current PushStart begins.
    pub(super) fn begins_at(&self) -> u64 {
        self.begins_at
    }

    /// Returns whether something is not acknowledged.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.acknowledged < self.sent.len()
    }

    /// The server demands authentication for the current PushStart, which brings its `$H` along when it is sent again:
    /// everything behind that is to be sent again.
    ///
    /// Returns what the acknowledged part of that costs.
    ///
    /// # Errors
    ///
    /// [`Error::LateChallenge`], when that is not there any more.
    pub(super) fn repeat(&mut self) -> Result<usize, Error> {
        if !self.whole {
            return Err(Error::LateChallenge);
        }
        self.peer = self.before.clone();
        Ok(self.take_back(|sent| !sent.piece.opens()))
    }

    /// The connection is lost. What the peer has not acknowledged is to be sent again; a young header and what is behind it,
    /// too; if the server has `refused` the current PushStart, all of it, as far as it is still there. Returns what the acknowledged part of that costs.
    pub(super) fn lose_connection(&mut self, refused: bool) -> usize {
        // After that time it was taken, whether or not anything was sent since then.
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

    /// Keeps the last header that was acknowledged, and what is behind it, if that is still there.
    fn forget_entries_before(&mut self) {
        let is_header = |sent: &Sent| matches!(sent.piece, Piece::Header(_));
        let header = self.sent.range(..self.acknowledged).rposition(is_header);
        let kept = self.acknowledged - header.unwrap_or(self.acknowledged);
        self.forget(self.acknowledged - kept);
        self.acknowledged = kept;
    }

    /// Puts what was sent in front of what is to be sent again anyway.
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

    /// The next content to be sent again.
    pub(super) fn next(&mut self) -> Option<Content> {
        self.again.pop_front()
    }

    /// Puts content that could not be sent back to the front.
    pub(super) fn put_back(&mut self, content: Content) {
        self.again.push_front(content);
    }

    /// Drops a data packet that was to be sent again.
    pub(super) fn drop_packet(&mut self, len: usize) {
        self.freed.cost += packet_cost(len);
    }

    /// The session is one that was left behind this header.
    pub(super) fn take_up(&mut self, header: Option<FileHeader>) {
        self.peer = Peer { header, data: true };
    }

    /// Returns whether something is to be sent again.
    pub(super) fn waits(&self) -> bool {
        !self.again.is_empty()
    }

    /// Returns whether viewers of a new session would see anything of what is to be sent again: a header, or data at which
    /// decoding can begin.
    pub(super) fn is_worth_a_session(&self, key_frames: KeyFrames) -> bool {
        self.again.iter().any(|content| match content {
            Content::Header(_) => true,
            Content::DataUnit(packet) => key_frames.begins_in(packet),
            Content::EndOfStream(_) => false,
        })
    }

    /// The end of the stream is to be sent again, though it was acknowledged.
    pub(super) fn repeat_end(&mut self) {
        self.again.push_back(Content::EndOfStream(HResult::S_OK));
    }

    /// Returns whether the end of the stream is to be sent again.
    pub(super) fn comes_to_its_end(&self) -> bool {
        matches!(self.again.back(), Some(Content::EndOfStream(_)))
    }

    /// Drops everything, and returns how many data packets the peer has not acknowledged.
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

    /// Returns whether what is to be sent again begins with a header.
    pub(super) fn begins_with_header(&self) -> bool {
        matches!(self.again.front(), Some(Content::Header(_)))
    }

    /// The last header that the peer has.
    pub(super) fn header(&self) -> Option<&FileHeader> {
        self.peer.header.as_ref()
    }

    /// Returns whether the peer has data behind that header, which a new session would not get again.
    pub(super) fn has_gap(&self) -> bool {
        self.peer.data
    }

    /// The first `count` of what was sent are acknowledged.
    fn mark_acknowledged(&mut self, count: usize) {
        for sent in self.sent.range(self.acknowledged..count) {
            if matches!(sent.piece, Piece::Header(_)) {
                self.changed = Some(self.last_acknowledgement);
            }
            match &sent.piece {
                Piece::Opening(header) | Piece::Header(header) => {
                    self.peer = Peer {
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

    /// Forgets the first `count` of what was sent.
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
        // The first seconds are kept whole, and later much less.
        if self.sent.capacity() / ROOMY > self.sent.len().max(FEW) {
            self.sent.shrink_to(2 * self.sent.len().max(FEW));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asf::testing;

    fn data(number: u8) -> Content {
        Content::DataUnit(DataPacket::parse(vec![number; 100].into()))
    }

    /// A PushStart with `$H` of 10 bytes, and three packets of 100 bytes behind it.
    fn sent() -> ReplayBuffer {
        let mut replay = ReplayBuffer::new(0);
        replay.push_start(0, Some((testing::header(100, 50, &[]), 10)));
        for number in 1..=3 {
            replay.keep(data(number), 10 + 100 * u64::from(number));
        }
        replay
    }

    /// What is to be sent again: `H`, or the number of a packet.
    fn again(replay: &mut ReplayBuffer) -> Vec<String> {
        let name = |content| match content {
            Content::Header(_) => "H".to_owned(),
            Content::DataUnit(packet) => packet.as_bytes()[0].to_string(),
            Content::EndOfStream(_) => "E".to_owned(),
        };
        std::iter::from_fn(|| replay.next()).map(name).collect()
    }

    #[test]
    fn what_has_not_arrived_whole_goes_again() {
        for (arrived, expected) in [
            (0, &["H", "1", "2", "3"][..]),
            (10, &["1", "2", "3"]),
            (209, &["2", "3"]),
            (210, &["3"]),
            (1000, &[]),
        ] {
            let mut replay = sent();
            replay.acknowledge(arrived);
            replay.lose_connection(false);
            assert_eq!(replay.header().is_some(), arrived > 0);
            assert_eq!(replay.has_gap(), arrived > 10);
            assert_eq!(again(&mut replay), expected, "{arrived}");
        }
    }

    /// The session sends `$H` by itself when a PushStart goes again, and not when another session begins.
    #[test]
    fn a_refused_push_start_goes_again_whatever_has_arrived() {
        let mut replay = sent();
        replay.acknowledge(1000);
        replay.repeat().unwrap();
        assert_eq!(again(&mut replay), ["1", "2", "3"]);
        let mut replay = sent();
        replay.acknowledge(1000);
        replay.lose_connection(true);
        assert!(replay.begins_with_header() && !replay.has_gap());
        assert_eq!(again(&mut replay), ["H", "1", "2", "3"]);
    }

    #[test]
    fn what_was_sent_for_long_cannot_be_refused_any_more() {
        let mut replay = sent();
        for number in 4..=255u8 {
            let many = DataPacket::parse(vec![number; 65_000].into());
            replay.keep(
                Content::DataUnit(many),
                310 + 65_000 * u64::from(number - 3),
            );
        }
        assert!(replay.repeat().is_err());
        replay.acknowledge(310);
        replay.lose_connection(true);
        assert_eq!(again(&mut replay).first().map(String::as_str), Some("4"));
    }

    /// A server that ends the connection soon after a `$C` may not have read it.
    #[test]
    fn what_is_behind_a_young_header_goes_again() {
        for (acknowledged, young) in [(310, false), (320, true), (420, true)] {
            let mut replay = sent();
            replay.keep(Content::Header(testing::header(100, 50, &[])), 320);
            replay.keep(data(4), 420);
            replay.acknowledge(acknowledged);
            assert_eq!(replay.has_young_header(), young, "{acknowledged}");
            replay.lose_connection(false);
            assert_eq!(again(&mut replay), ["H", "4"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_is_young_until_data_behind_it_is_acknowledged_for_long() {
        let mut replay = sent();
        replay.acknowledge(310);
        for number in 4..=20 {
            tokio::time::advance(Duration::from_secs(1)).await;
            replay.keep(data(number), 10 + 100 * u64::from(number));
        }
        assert!(replay.repeat().is_err());
        replay.keep(Content::Header(testing::header(100, 50, &[])), 2020);
        replay.keep(data(21), 2120);
        replay.acknowledge(2120);
        // A late challenge finds no more of the body than that.
        assert!(replay.has_young_header() && replay.repeat().is_err());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(replay.has_young_header(), "nothing was acknowledged since");
        replay.keep(data(22), 2220);
        replay.acknowledge(2220);
        assert!(!replay.has_young_header());
    }

    /// 3.2.5.2.1: the response to a body says that all of it has arrived.
    #[test]
    fn another_push_start_means_that_the_last_one_arrived() {
        let mut replay = sent();
        replay.push_start(310, None);
        assert!(replay.header().is_some() && replay.has_gap());
        replay.keep(data(4), 410);
        replay.acknowledge(99);
        assert!(replay.awaits_acknowledgement());
        replay.acknowledge(100);
        assert!(!replay.awaits_acknowledgement());
        replay.lose_connection(false);
        assert!(!replay.waits());
    }

    /// Seconds of a stream are kept, of each of many sinks.
    #[test]
    fn what_was_sent_takes_little_memory() {
        assert!(size_of::<Sent>() <= 48, "{}", size_of::<Sent>());
        let mut replay = sent();
        for number in 0..200u64 {
            replay.keep(data(1), 410 + 100 * number);
        }
        replay.refusable = None;
        replay.acknowledge(1_000_000);
        assert!(replay.sent.is_empty() && replay.sent.capacity() <= 2 * FEW);
    }
}
