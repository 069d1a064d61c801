// SPDX-License-Identifier: MPL-2.0

//! Bodies of PushStart's default size.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use gstwmspush::asf::{DataPacket, FileHeader, Item, Reader};
use gstwmspush::push::{Connection, Phase, Settings, Status, StatusCallback, WriterSink};
use gstwmspush::wmhttp::{SessionConfig, UNKNOWN_CONTENT_LENGTH};
use publishing_point::{PublishingPoint, Settings as PointSettings};

use crate::process::Process;
use crate::{AUDIO_VIDEO, LONG, alone, fixture};

/// Large packets are fast.
const PACKET_SIZE: u32 = 60_000;

/// Allowed growth of the process from the first body to the last, in KiB.
const TOLERANCE: u64 = 8 * 1024;

struct Drops(Arc<AtomicU64>);

impl StatusCallback for Drops {
    fn on_phase(&self, _: Phase) {}

    fn on_status(&self, status: &Status) {
        assert!(status.failure.is_none(), "{status:?}");
    }

    fn on_packets_dropped(&self, total: u64) {
        self.0.store(total, Ordering::Relaxed);
    }
}

/// Returns the header of a fixture, for packets of this size.
fn header() -> FileHeader {
    const FILE_PROPERTIES: [u8; 4] = [0xA1, 0xDC, 0xAB, 0x8C];
    const PACKET_SIZES: std::ops::Range<usize> = 92..100;
    let mut reader = Reader::new();
    reader.push(std::fs::read(fixture(AUDIO_VIDEO)).unwrap().into());
    let Some(Item::Header(header)) = reader.next_item().unwrap() else {
        panic!("no header");
    };
    let mut bytes = header.as_bytes().to_vec();
    let mut windows = bytes.windows(FILE_PROPERTIES.len());
    let at = windows.position(|bytes| bytes == FILE_PROPERTIES).unwrap();
    let size = PACKET_SIZE.to_le_bytes();
    bytes[at..][PACKET_SIZES].copy_from_slice(&[size, size].concat());
    FileHeader::parse(bytes.into()).unwrap()
}

fn settings(location: &str) -> Settings {
    let session = SessionConfig::new(location.parse().unwrap(), "WMEncoder/12.0 test/1");
    Settings {
        timeout: LONG,
        stall_timeout: LONG,
        ..Settings::new(session)
    }
}

#[test]
fn bodies_of_the_default_size_follow_one_another() {
    let _alone = alone();
    let point = PublishingPoint::bind(PointSettings::default()).unwrap();
    let point = point.spawn().unwrap();
    let drops = Arc::<AtomicU64>::default();
    let connection = Connection::connect(settings(&point.url("live")), Drops(drops.clone()));
    let connection = connection.unwrap();
    connection.on_header(&header()).unwrap();
    let mut bytes = vec![0xEE; PACKET_SIZE as usize];
    bytes[..15].copy_from_slice(&[0x00, 0x5D, 0, 0, 0, 0, 0, 0, 0x82, 1, 0, 0, 0, 0, 0]);
    let packet = DataPacket::parse(Bytes::from(bytes));
    assert!(packet.defect().is_none());

    // Two bodies, and the beginning of a third.
    let packets = 2 * UNKNOWN_CONTENT_LENGTH / u64::from(PACKET_SIZE) + 100;
    let mut warm = None;
    for number in 0..packets {
        connection.on_data_unit(packet.clone()).unwrap();
        if number == packets / 4 {
            warm = Some(Process::now());
        }
    }
    connection.on_end_writing(LONG).unwrap();
    let stats = connection.stats();
    assert_eq!((stats.push_starts, stats.connects), (3, 1));
    assert_eq!(stats.packets_sent, packets);
    assert_eq!(
        (stats.packets_dropped, drops.load(Ordering::Relaxed)),
        (0, 0)
    );
    let over = |pushes: &[&publishing_point::Push]| pushes[0].over;
    let push = point.wait_for_pushes(over, LONG).unwrap().remove(0);
    assert_eq!((push.push_starts, push.data_packets), (3, packets));
    assert!(stats.bytes_sent > u64::from(u32::MAX), "more than 32 bits");
    warm.unwrap().assert_not_grown(TOLERANCE);
}
