// SPDX-License-Identifier: MPL-2.0

//! What one push brings, for everybody who watches it.
//!
//! The latest packets are in one ring of bounded size, for any number of viewers. Late viewers start at the latest packet
//! where decoding can begin. Viewers behind the ring's end are disconnected. Without a viewer the ring has nothing that is
//! older than that packet: many pushes have few viewers. The push never waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::watch;

use super::lock::lock;
use wmspush_proto::asf::{DataPacket, FileHeader, KeyFrames};
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{Received, SessionKey};

/// Most bytes that lie in one ring.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What a packet costs beside its bytes.
const OVERHEAD: usize = 64;

/// A packet below this size is copied: the buffer that it came in would cost more than its bytes.
const COPIED: usize = 4 * 1024;

/// An ASF data packet without its padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) bytes: Bytes,
    /// Its number in the playlist entry.
    pub(super) number: u32,
}

impl Packet {
    /// As the first that somebody gets of an entry that has begun before.
    fn joined_by(self, key_frames: KeyFrames) -> Self {
        if self.number == 0 {
            return self;
        }
        let bytes = key_frames.join_at(&DataPacket::parse(self.bytes));
        Self { bytes, ..self }
    }
}

/// A playlist entry: where it begins there is an ASF file header.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) number: u32,
    pub(super) header: FileHeader,
}

/// One step of a viewer.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Packet(Packet),
    /// Another playlist entry begins.
    Change(Entry),
    /// Nothing more comes.
    End(HResult),
    /// Something may come: see [`Relay::moved`].
    Wait,
    /// The ring has gone on without the viewer.
    Lost,
}

#[derive(Debug)]
enum Item {
    Packet(Packet),
    Change(Entry),
}

/// How far a viewer is.
#[derive(Debug)]
pub(super) struct Cursor {
    /// The entry whose header it has.
    entry: u32,
    /// Where it reads on; `None` before the first packet where decoding can begin.
    next: Option<u64>,
    /// Whether it has had no packet yet.
    joins: bool,
    /// Keeps what the viewer has not seen yet in the ring.
    _watching: Arc<()>,
}

/// The stream of one session, as it goes on.
#[derive(Debug)]
pub(super) struct Relay {
    session: SessionKey,
    ring: Mutex<Ring>,
    moved: watch::Sender<()>,
}

#[derive(Debug)]
struct Ring {
    entry: Entry,
    key_frames: KeyFrames,
    packets: u32,
    items: VecDeque<Item>,
    /// The place of the first item, counted from the first that ever was.
    first: u64,
    bytes: usize,
    /// The latest place where a viewer can begin.
    start: Option<u64>,
    end: Option<HResult>,
    /// Each cursor has a clone.
    watching: Arc<()>,
}

impl Relay {
    /// A stream that begins with this header; `None` when that is no ASF file header.
    pub(super) fn new(session: SessionKey, header: &Bytes) -> Option<Self> {
        let header = live(header)?;
        Some(Self {
            session,
            ring: Mutex::new(Ring {
                key_frames: KeyFrames::of(&header),
                entry: Entry { number: 1, header },
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

    /// The playlist entry that is being pushed.
    pub(super) fn entry(&self) -> Entry {
        lock(&self.ring).entry.clone()
    }

    /// Takes in what was pushed. Never waits.
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

    /// Nothing more is pushed.
    pub(super) fn end(&self, reason: HResult) {
        lock(&self.ring).end = Some(reason);
        self.moved.send_replace(());
    }

    /// Another viewer, and the entry whose header it begins with.
    pub(super) fn join(&self) -> (Cursor, Entry) {
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

    /// What `cursor` sees next.
    pub(super) fn take(&self, cursor: &mut Cursor) -> Step {
        lock(&self.ring).take(cursor)
    }

    /// Whether what `cursor` would see next is not there any more.
    pub(super) fn has_lost(&self, cursor: &Cursor) -> bool {
        cursor
            .next
            .is_some_and(|next| next < lock(&self.ring).first)
    }

    /// Changes whenever there may be something to take.
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

    /// Drops the items that a viewer that joins now does not get.
    fn drop_to_start(&mut self) {
        while self.start.is_some_and(|start| self.first < start)
            && let Some(oldest) = self.items.pop_front()
        {
            self.bytes -= oldest.cost();
            self.first += 1;
        }
    }

    /// The next entry; a header that is the same again is one that a client repeats after a loss.
    fn change(&mut self, header: &Bytes) {
        let Some(header) = live(header) else {
            return;
        };
        if header == self.entry.header {
            return;
        }
        self.key_frames = KeyFrames::of(&header);
        self.entry = Entry {
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

    /// The place of the next item.
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
                // From its beginning on.
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

/// The packet as it lies in the ring: without padding, which some encoders leave in.
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

    /// A packet of one video payload, of this size.
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
    fn what_lies_in_the_ring_keeps_no_large_buffer_alive() {
        let relay = relay();
        let buffer = Bytes::from(vec![0; 65_536]);
        relay.publish(&Received::Data(buffer.slice(..100)));
        assert!(buffer.is_unique());
        relay.publish(&Received::Data(buffer.slice(..COPIED)));
        assert!(!buffer.is_unique(), "a large packet is not copied");
    }
}
