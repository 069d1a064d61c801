// SPDX-License-Identifier: MPL-2.0

//! The stream of one push, for all its viewers.
//!
//! A ring of bounded size holds the latest packets for any number of viewers. Late viewers start at the most recent
//! packet where decoding can begin. Viewers that fall behind the ring are disconnected. While there are no viewers, the
//! ring drops packets before that point, because many pushes have few viewers. The push never waits for a viewer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::watch;

use super::lock::lock;
use wmspush_proto::asf::{DataPacket, FileHeader, KeyFrames};
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{Received, SessionKey};

/// Size of a ring in bytes, at most.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Memory of a packet in bytes, besides its content.
const OVERHEAD: usize = 64;

/// Packets below this size in bytes are copied, because keeping their receive buffer would cost more memory.
const COPIED: usize = 4 * 1024;

/// An ASF data packet without its padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) bytes: Bytes,
    /// Number of the packet in its playlist entry.
    pub(super) number: u32,
}

impl Packet {
    /// Trims the packet for a late joiner, as the first packet of its stream.
    fn joined_by(self, key_frames: KeyFrames) -> Self {
        if self.number == 0 {
            return self;
        }
        let bytes = key_frames.join_at(&DataPacket::parse(self.bytes));
        Self { bytes, ..self }
    }
}

/// A playlist entry: its ASF file header starts it.
#[derive(Clone, Debug)]
pub(super) struct PlaylistEntry {
    pub(super) number: u32,
    pub(super) header: FileHeader,
}

/// The next step of a viewer.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Packet(Packet),
    /// The next playlist entry begins.
    Change(PlaylistEntry),
    /// The stream has ended.
    End(HResult),
    /// No packet is available: wait for [`Relay::moved`].
    Wait,
    /// The viewer has fallen behind the ring.
    Lost,
}

#[derive(Debug)]
enum Item {
    Packet(Packet),
    Change(PlaylistEntry),
}

/// The position of a viewer in the stream.
#[derive(Debug)]
pub(super) struct Cursor {
    /// Number of the entry whose header the viewer has.
    entry: u32,
    /// Position of the next item; `None` before the first packet where decoding can begin.
    next: Option<u64>,
    /// True until the viewer has its first packet.
    joins: bool,
    /// While it exists, the ring keeps the packets that the viewer has not read.
    _watching: Arc<()>,
}

/// The stream of one session, from its first packet on.
#[derive(Debug)]
pub(super) struct Relay {
    session: SessionKey,
    ring: Mutex<Ring>,
    moved: watch::Sender<()>,
}

#[derive(Debug)]
struct Ring {
    entry: PlaylistEntry,
    key_frames: KeyFrames,
    packets: u32,
    items: VecDeque<Item>,
    /// Position of the first item in the ring, counted from the start of the stream.
    first: u64,
    bytes: usize,
    /// Position of the most recent packet at which a viewer can start.
    start: Option<u64>,
    end: Option<HResult>,
    /// Cloned by each cursor, so that its count is the number of viewers.
    watching: Arc<()>,
}

impl Relay {
    /// Creates a stream that starts with this header; `None` if it is not an ASF file header.
    pub(super) fn new(session: SessionKey, header: &Bytes) -> Option<Self> {
        let header = live(header)?;
        Some(Self {
            session,
            ring: Mutex::new(Ring {
                key_frames: KeyFrames::of(&header),
                entry: PlaylistEntry { number: 1, header },
                packets: 0,
                items: VecDeque::new(),
                first: 0,
                bytes: 0,
                start: None,
                end: None,
                watching: Arc::new(()),
            }),
            moved: watch::Sender::new(()),
        })
    }

    pub(super) fn session(&self) -> SessionKey {
        self.session
    }

    /// Returns the current playlist entry.
    pub(super) fn entry(&self) -> PlaylistEntry {
        lock(&self.ring).entry.clone()
    }

    /// Adds a received packet. Never waits.
    pub(super) fn publish(&self, received: &Received) {
        let mut ring = lock(&self.ring);
        match received {
            Received::Data(packet) => ring.push_packet(packet),
            Received::Header(header) | Received::StreamChange(header) => ring.change(header),
            Received::EndOfStream(_) | Received::Filler(_) => return,
        }
        drop(ring);
        self.moved.send_replace(());
    }

    /// Ends the stream.
    pub(super) fn end(&self, reason: HResult) {
        lock(&self.ring).end = Some(reason);
        self.moved.send_replace(());
    }

    /// Adds a viewer. Returns its cursor, and the entry whose header it has to get first.
    pub(super) fn join(&self) -> (Cursor, PlaylistEntry) {
        let ring = lock(&self.ring);
        let before_all = (ring.packets == 0).then(|| ring.end_place());
        let cursor = Cursor {
            entry: ring.entry.number,
            next: ring.start.or(before_all),
            joins: true,
            _watching: ring.watching.clone(),
        };
        (cursor, ring.entry.clone())
    }

    /// Returns the next step of a viewer.
    pub(super) fn take(&self, cursor: &mut Cursor) -> Step {
        lock(&self.ring).take(cursor)
    }

    /// Returns whether the viewer has fallen behind the ring.
    pub(super) fn has_lost(&self, cursor: &Cursor) -> bool {
        cursor
            .next
            .is_some_and(|next| next < lock(&self.ring).first)
    }

    /// Changes whenever a step may be available.
    pub(super) fn moved(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }
}

impl Ring {
    fn push_packet(&mut self, packet: &Bytes) {
        let packet = DataPacket::parse(packet.clone());
        let begins = self.packets == 0 || self.key_frames.begins_in(&packet);
        if begins {
            self.start = Some(self.end_place());
        }
        let number = self.packets;
        self.packets = self.packets.wrapping_add(1);
        let bytes = stored(&packet);
        self.push(Item::Packet(Packet { bytes, number }));
        if begins && Arc::strong_count(&self.watching) == 1 {
            self.drop_to_start();
        }
    }

    /// Drops the items before the position at which a new viewer starts.
    fn drop_to_start(&mut self) {
        while self.start.is_some_and(|start| self.first < start)
            && let Some(oldest) = self.items.pop_front()
        {
            self.bytes -= oldest.cost();
            self.first += 1;
        }
    }

    /// Starts the next entry. A repeated header is ignored, because a client sends it again after a connection loss.
    fn change(&mut self, header: &Bytes) {
        let Some(header) = live(header) else {
            return;
        };
        if header == self.entry.header {
            return;
        }
        self.key_frames = KeyFrames::of(&header);
        self.entry = PlaylistEntry {
            number: self.entry.number.wrapping_add(1),
            header,
        };
        self.packets = 0;
        self.start = None;
        self.push(Item::Change(self.entry.clone()));
    }

    fn push(&mut self, item: Item) {
        self.bytes += item.cost();
        self.items.push_back(item);
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.items.pop_front()
        {
            self.bytes -= oldest.cost();
            self.first += 1;
        }
        self.start = self.start.filter(|start| *start >= self.first);
    }

    /// Returns the position of the next item.
    fn end_place(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    fn take(&self, cursor: &mut Cursor) -> Step {
        let Some(next) = cursor.next.or(self.start) else {
            return self.end.map_or(Step::Wait, Step::End);
        };
        let joins = cursor.next.is_none();
        cursor.next = Some(next);
        if joins && cursor.entry != self.entry.number {
            cursor.entry = self.entry.number;
            return Step::Change(self.entry.clone());
        }
        let Some(place) = next.checked_sub(self.first) else {
            return Step::Lost;
        };
        let Some(item) = self.items.get(place as usize) else {
            return self.end.map_or(Step::Wait, Step::End);
        };
        cursor.next = Some(next + 1);
        match item {
            Item::Packet(packet) if cursor.joins => {
                cursor.joins = false;
                Step::Packet(packet.clone().joined_by(self.key_frames))
            }
            Item::Packet(packet) => Step::Packet(packet.clone()),
            Item::Change(entry) => {
                // The entry is read from its start.
                cursor.joins = false;
                cursor.entry = entry.number;
                Step::Change(entry.clone())
            }
        }
    }
}

impl Item {
    fn cost(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Packet(packet) => packet.bytes.len(),
                Self::Change(entry) => entry.header.as_bytes().len(),
            }
    }
}

fn live(header: &Bytes) -> Option<FileHeader> {
    FileHeader::parse(header.clone())
        .ok()
        .map(|header| header.to_live())
}

/// Returns the packet without padding, which some encoders leave in, for the ring.
fn stored(packet: &DataPacket) -> Bytes {
    let unpadded = packet.without_padding();
    if unpadded.removed > 0 {
        [unpadded.head.as_slice(), &unpadded.body].concat().into()
    } else if packet.len() < COPIED {
        Bytes::copy_from_slice(packet.as_bytes())
    } else {
        packet.as_bytes().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wmspush_proto::asf::Guid;
    use wmspush_proto::asf::testing::{header, stream_of};

    /// Returns a packet with one video payload of this size.
    fn packet(key_frame: bool, size: usize) -> Received {
        let stream = if key_frame { 0x81 } else { 0x01 };
        let mut bytes = vec![0x00, 0x5D, 7, 0, 0, 0, 9, 0, stream, 5, 0, 0, 0, 0, 0];
        bytes.resize(size, 0xEE);
        Received::Data(bytes.into())
    }

    fn relay() -> Relay {
        let video = stream_of(1, Guid::VIDEO_MEDIA, &[]);
        let header = header(60_000, 50, &[video]);
        let session = wmspush_proto::wmhttp::server::SessionKey::default();
        Relay::new(session, header.as_bytes()).unwrap()
    }

    fn number(step: &Step) -> Option<u32> {
        match step {
            Step::Packet(packet) => Some(packet.number),
            _ => None,
        }
    }

    #[test]
    fn a_ring_is_bounded_and_drops_its_slowest_viewers() {
        let relay = relay();
        let (mut cursor, _) = relay.join();
        for _ in 0..1000 {
            relay.publish(&packet(true, 60_000));
        }
        assert!(lock(&relay.ring).bytes <= MAX_BYTES);
        assert!(relay.has_lost(&cursor));
        assert!(matches!(relay.take(&mut cursor), Step::Lost));
        let (mut cursor, _) = relay.join();
        assert_eq!(number(&relay.take(&mut cursor)), Some(999));
    }

    #[test]
    fn a_viewer_behind_an_evicted_key_frame_waits_for_another() {
        let relay = relay();
        relay.publish(&packet(true, 60_000));
        for _ in 0..1000 {
            relay.publish(&packet(false, 60_000));
        }
        let (mut cursor, _) = relay.join();
        assert!(matches!(relay.take(&mut cursor), Step::Wait));
        relay.publish(&packet(false, 100));
        assert!(matches!(relay.take(&mut cursor), Step::Wait));
        relay.publish(&packet(true, 100));
        relay.publish(&packet(false, 100));
        assert_eq!(number(&relay.take(&mut cursor)), Some(1002));
        assert_eq!(number(&relay.take(&mut cursor)), Some(1003));
        assert!(matches!(relay.take(&mut cursor), Step::Wait));
        relay.end(HResult::S_OK);
        assert!(matches!(relay.take(&mut cursor), Step::End(HResult::S_OK)));
    }

    #[test]
    fn a_ring_without_viewers_begins_at_the_latest_key_frame() {
        let relay = relay();
        let publish = || {
            relay.publish(&packet(true, 1000));
            for _ in 0..9 {
                relay.publish(&packet(false, 1000));
            }
        };
        let items = || lock(&relay.ring).items.len();
        publish();
        publish();
        assert_eq!(items(), 10);
        let (mut cursor, _) = relay.join();
        publish();
        publish();
        assert_eq!(items(), 30);
        for expected in 10..40 {
            assert_eq!(number(&relay.take(&mut cursor)), Some(expected));
        }
        drop(cursor);
        publish();
        assert_eq!(items(), 10);
        assert_eq!(lock(&relay.ring).bytes, 10 * (1000 + OVERHEAD));
    }

    #[test]
    fn a_viewer_of_another_entry_gets_the_new_header_first() {
        let relay = relay();
        relay.publish(&packet(true, 60_000));
        for _ in 0..1000 {
            relay.publish(&packet(false, 60_000));
        }
        let (mut cursor, _) = relay.join();
        let next = header(1500, 50, &[]);
        relay.publish(&Received::StreamChange(next.as_bytes().clone()));
        relay.publish(&packet(true, 100));
        let Step::Change(entry) = relay.take(&mut cursor) else {
            panic!();
        };
        assert_eq!((entry.number, entry.header.packet_size()), (2, 1500));
        assert_eq!(number(&relay.take(&mut cursor)), Some(0));
    }

    #[test]
    fn packets_in_the_ring_keep_no_large_buffer_alive() {
        let relay = relay();
        let buffer = Bytes::from(vec![0; 65_536]);
        relay.publish(&Received::Data(buffer.slice(..100)));
        assert!(buffer.is_unique());
        relay.publish(&Received::Data(buffer.slice(..COPIED)));
        assert!(!buffer.is_unique(), "a large packet is not copied");
    }
}
