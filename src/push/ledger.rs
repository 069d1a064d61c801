// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::Error;
use super::queue::Content;
use crate::asf::{DataPacket, FileHeader, KeyFrames};
use crate::wmhttp::HResult;

/// How long a server may take to refuse a PushStart for want of authentication, and how much may be on its way by then.
const LONGEST: Duration = Duration::from_secs(5);
const MOST: usize = 4 * 1024 * 1024;

/// How much may be sent before it is asked what has arrived: what is kept for longer has left the processor's caches
/// when its memory is used again.
const LONG: usize = 256 * 1024;

/// So many pieces, or so many times as many as there are, may have room that is not used.
const FEW: usize = 16;
const ROOMY: usize = 8;

/// What was sent: as far as the peer may lack it, or may still refuse it.
///
/// Positions are bytes of PushStart bodies since the session began, as
/// [`Counters::body_bytes`](crate::wmhttp::Counters::body_bytes) counts them.
#[derive(Default)]
pub(super) struct Ledger {
    /// In order. What has arrived is at the front, and only there while the PushStart may be refused.
    sent: VecDeque<Sent>,
    /// So many of `sent` have arrived.
    arrived: usize,
    /// What goes next: so many pieces that were sent before, and then new ones.
    waiting: VecDeque<Content>,
    again: usize,
    /// What nobody needs any more, where it is to be given back.
    released: Vec<Bytes>,
    gives_back: bool,
    /// When the current PushStart was sent, for as long as it may be refused.
    refusable: Option<Instant>,
    /// Where its body begins.
    begins_at: u64,
    /// Bytes of data in `sent`, and when [`acknowledge`](Self::acknowledge) was last called.
    bytes: usize,
    bytes_at_last: usize,
    /// What the peer has: the last header, and whether data of that entry.
    peer: Peer,
    /// The same before the current PushStart.
    before: Peer,
}

/// Content, and whether it was sent before.
type Again = (Content, bool);

struct Sent {
    piece: Piece,
    /// Behind its last byte.
    ends_at: u64,
}

/// Content that was sent. There may be hundreds of it, and few ever go again.
enum Piece {
    /// `$H`, which its PushStart brings by itself.
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

    /// Bytes of data.
    fn bytes(&self) -> usize {
        match self {
            Self::DataUnit(bytes) => bytes.len(),
            Self::Opening(_) | Self::Header(_) | Self::EndOfStream(_) => 0,
        }
    }
}

/// What has arrived of the current playlist entry.
#[derive(Clone, Debug, Default)]
struct Peer {
    header: Option<FileHeader>,
    data: bool,
}

impl Ledger {
    /// A PushStart was sent, with `$H` if there is a header, which ends at `ends_at`. All before it has arrived.
    pub(super) fn push_start(&mut self, begins_at: u64, header: Option<(FileHeader, u64)>) {
        self.arrive(self.sent.len());
        self.sent.clear();
        self.arrived = 0;
        (self.bytes, self.bytes_at_last) = (0, 0);
        self.begins_at = begins_at;
        self.before = self.peer.clone();
        self.refusable = Some(Instant::now());
        if let Some((header, ends_at)) = header {
            let piece = Piece::Opening(Box::new(header));
            self.sent.push_back(Sent { piece, ends_at });
        }
    }

    /// Keeps content that the session has taken, and that ends at `ends_at`.
    pub(super) fn keep(&mut self, content: Content, ends_at: u64) {
        let piece = Piece::of(content);
        self.bytes += piece.bytes();
        self.sent.push_back(Sent { piece, ends_at });
        if let Some(since) = self.refusable
            && (self.bytes > MOST || since.elapsed() > LONGEST)
        {
            self.refusable = None;
            self.forget_arrived();
        }
    }

    /// So many bytes of the current body have arrived; `None`: that cannot be known, and nothing is sent twice.
    ///
    /// Returns whether anything has arrived since it was last called.
    pub(super) fn acknowledge(&mut self, body_bytes: Option<u64>) -> bool {
        let position = body_bytes.map_or(u64::MAX, |bytes| self.begins_at.saturating_add(bytes));
        let on_the_way = self.sent.iter().skip(self.arrived);
        let more = on_the_way
            .take_while(|sent| sent.ends_at <= position)
            .count();
        self.arrive(self.arrived + more);
        if self.refusable.is_none() {
            self.forget_arrived();
        }
        self.bytes_at_last = self.bytes;
        more > 0
    }

    /// What nobody needs any more is freed elsewhere, or here and at once.
    pub(super) fn give_back(&mut self, gives_back: bool) {
        self.gives_back = gives_back;
        if !gives_back {
            self.released = Vec::new();
        }
    }

    /// What is to be freed elsewhere.
    pub(super) fn released(&mut self) -> &mut Vec<Bytes> {
        &mut self.released
    }

    /// Whether so much has been sent since it was last known what has arrived that it is worth a question.
    pub(super) fn is_long(&self) -> bool {
        let unknown = self.bytes.saturating_sub(self.bytes_at_last);
        self.arrived < self.sent.len() && unknown >= LONG
    }

    /// Where the body of the current PushStart begins.
    pub(super) fn begins_at(&self) -> u64 {
        self.begins_at
    }

    /// Whether something is on its way.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.arrived < self.sent.len()
    }

    /// The PushStart goes again, and brings its `$H` along: so does all else behind it, and then `held`.
    ///
    /// # Errors
    ///
    /// When that is not there any more.
    pub(super) fn repeat(&mut self, held: Option<Again>) -> Result<(), Error> {
        if self.refusable.is_none() {
            return Err(Error::LateChallenge);
        }
        self.peer = self.before.clone();
        self.take_back(held, |sent| !sent.piece.opens());
        Ok(())
    }

    /// The current PushStart was refused: all of it goes again, as far as it is still there, and then `held`.
    pub(super) fn refuse(&mut self, held: Option<Again>) {
        // After so long it was taken, whether or not anything was sent since then.
        if self.refusable.is_none_or(|since| since.elapsed() > LONGEST) {
            return self.lose_connection(held);
        }
        self.peer = self.before.clone();
        self.take_back(held, |_| true);
    }

    /// The connection is lost: what has not arrived goes again, and then `held`.
    pub(super) fn lose_connection(&mut self, held: Option<Again>) {
        self.forget_arrived();
        self.refusable = None;
        self.take_back(held, |_| true);
    }

    /// Puts what was sent in front of `held` and what was to go again anyway.
    fn take_back(&mut self, held: Option<Again>, again: impl Fn(&Sent) -> bool) {
        let sent = std::mem::take(&mut self.sent).into_iter().filter(again);
        let mut waiting: VecDeque<_> = sent.map(|sent| sent.piece.into_content()).collect();
        self.again += waiting.len();
        if let Some((content, again)) = held {
            self.again += usize::from(again);
            waiting.push_back(content);
        }
        waiting.append(&mut self.waiting);
        self.waiting = waiting;
        (self.arrived, self.bytes, self.bytes_at_last) = (0, 0, 0);
    }

    /// The next content to go again, or for the first time; whether it was sent before.
    pub(super) fn next(&mut self) -> Option<Again> {
        let content = self.waiting.pop_front()?;
        let again = self.again > 0;
        self.again -= usize::from(again);
        Some((content, again))
    }

    /// Where something new is put, that goes when all of that has gone.
    pub(super) fn waiting(&mut self) -> &mut VecDeque<Content> {
        &mut self.waiting
    }

    /// The session is one that was left behind this header.
    pub(super) fn take_up(&mut self, header: Option<FileHeader>) {
        self.peer = Peer { header, data: true };
    }

    /// Whether something waits to go again.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a new session could show anything of what waits to go again: a header, or data that decoding can begin
    /// with.
    pub(super) fn is_worth_a_session(&self, key_frames: &KeyFrames) -> bool {
        self.waiting.iter().any(|content| match content {
            Content::Header(_) => true,
            Content::DataUnit(packet) => key_frames.begins_in(packet),
            Content::EndOfStream(_) => false,
        })
    }

    /// The end of the stream goes again, though it has arrived.
    pub(super) fn repeat_end(&mut self) {
        self.waiting.push_back(Content::EndOfStream(HResult::S_OK));
        self.again = self.waiting.len();
    }

    /// Whether the end of the stream waits to go again.
    pub(super) fn comes_to_its_end(&self) -> bool {
        matches!(self.waiting.back(), Some(Content::EndOfStream(_)))
    }

    /// Nothing goes again. Returns how many data packets that are.
    pub(super) fn give_up(&mut self) -> u64 {
        let data = |content: &&Content| matches!(content, Content::DataUnit(_));
        let given_up = self.waiting.iter().filter(data).count();
        self.waiting.clear();
        self.again = 0;
        given_up as u64
    }

    /// Whether the current PushStart begins with `$H`.
    pub(super) fn opens(&self) -> bool {
        self.sent.front().is_some_and(|sent| sent.piece.opens())
    }

    /// Whether what goes again begins with a header.
    pub(super) fn begins_with_header(&self) -> bool {
        matches!(self.waiting.front(), Some(Content::Header(_)))
    }

    /// The last header that the peer has.
    pub(super) fn header(&self) -> Option<&FileHeader> {
        self.peer.header.as_ref()
    }

    /// Whether the peer has data that a new session would not get again.
    pub(super) fn has_gap(&self) -> bool {
        self.peer.data
    }

    /// The first `count` of what was sent have arrived.
    fn arrive(&mut self, count: usize) {
        for sent in self.sent.range(self.arrived..count) {
            match &sent.piece {
                Piece::Opening(header) | Piece::Header(header) => {
                    self.peer = Peer {
                        header: Some(FileHeader::clone(header)),
                        data: false,
                    };
                }
                Piece::DataUnit(_) => self.peer.data = true,
                Piece::EndOfStream(_) => {}
            }
        }
        self.arrived = count;
    }

    fn forget_arrived(&mut self) {
        for sent in self.sent.drain(..self.arrived) {
            self.bytes -= sent.piece.bytes();
            if self.gives_back
                && let Piece::DataUnit(bytes) = sent.piece
            {
                self.released.push(bytes);
            }
        }
        self.arrived = 0;
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
    fn sent() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.push_start(0, Some((testing::header(100, 50, &[]), 10)));
        for number in 1..=3 {
            ledger.keep(data(number), 10 + 100 * u64::from(number));
        }
        ledger
    }

    /// What goes again: `H`, or the number of a packet; with `'` if for the first time.
    fn again(ledger: &mut Ledger) -> Vec<String> {
        let name = |(content, again): Again| {
            let name = match content {
                Content::Header(_) => "H".to_owned(),
                Content::DataUnit(packet) => packet.as_bytes()[0].to_string(),
                Content::EndOfStream(_) => "E".to_owned(),
            };
            if again { name } else { name + "'" }
        };
        std::iter::from_fn(|| ledger.next()).map(name).collect()
    }

    #[test]
    fn what_has_not_arrived_whole_goes_again() {
        for (arrived, expected) in [
            (0, &["H", "1", "2", "3", "4'"][..]),
            (10, &["1", "2", "3", "4'"]),
            (209, &["2", "3", "4'"]),
            (210, &["3", "4'"]),
            (1000, &["4'"]),
        ] {
            let mut ledger = sent();
            assert_eq!(ledger.acknowledge(Some(arrived)), arrived > 0);
            ledger.lose_connection(Some((data(4), false)));
            assert_eq!(ledger.header().is_some(), arrived > 0);
            assert_eq!(ledger.has_gap(), arrived > 10);
            assert_eq!(again(&mut ledger), expected, "{arrived}");
        }
    }

    /// Where nothing is known, nothing is sent twice.
    #[test]
    fn without_acknowledgements_everything_has_arrived() {
        let mut ledger = sent();
        ledger.acknowledge(None);
        ledger.lose_connection(None);
        assert!(!ledger.waits());
    }

    /// The session sends `$H` by itself when a PushStart goes again, and not when another session begins.
    #[test]
    fn a_refused_push_start_goes_again_whatever_has_arrived() {
        let mut ledger = sent();
        ledger.acknowledge(Some(1000));
        ledger.repeat(None).unwrap();
        assert_eq!(again(&mut ledger), ["1", "2", "3"]);
        let mut ledger = sent();
        ledger.acknowledge(Some(1000));
        ledger.refuse(Some((data(4), false)));
        assert!(ledger.begins_with_header() && !ledger.has_gap());
        assert_eq!(again(&mut ledger), ["H", "1", "2", "3", "4'"]);
    }

    #[test]
    fn what_was_sent_for_long_cannot_be_refused_any_more() {
        let mut ledger = sent();
        for number in 4..=255u8 {
            let many = DataPacket::parse(vec![number; 65_000].into());
            ledger.keep(
                Content::DataUnit(many),
                310 + 65_000 * u64::from(number - 3),
            );
        }
        assert!(ledger.repeat(None).is_err());
        ledger.acknowledge(Some(310));
        ledger.refuse(None);
        assert_eq!(again(&mut ledger).first().map(String::as_str), Some("4"));
    }

    /// 3.2.5.2.1: the response to a body says that all of it has arrived.
    #[test]
    fn another_push_start_means_that_the_last_one_arrived() {
        let mut ledger = sent();
        ledger.push_start(310, None);
        assert!(ledger.header().is_some() && ledger.has_gap());
        ledger.keep(data(4), 410);
        assert!(!ledger.acknowledge(Some(99)));
        assert!(ledger.acknowledge(Some(100)));
        ledger.lose_connection(None);
        assert!(!ledger.waits());
    }

    /// Seconds of a stream are kept, of each of many sinks.
    #[test]
    fn what_was_sent_takes_little_memory() {
        assert!(size_of::<Sent>() <= 48, "{}", size_of::<Sent>());
        let mut ledger = sent();
        for number in 0..200u64 {
            ledger.keep(data(1), 410 + 100 * number);
        }
        ledger.refusable = None;
        ledger.acknowledge(Some(1_000_000));
        assert!(ledger.sent.is_empty() && ledger.sent.capacity() <= 2 * FEW);
    }
}
