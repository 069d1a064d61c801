// SPDX-License-Identifier: MPL-2.0

//! Invariants of every file header, and the smallest one.

use wmspush_proto::asf::{Bitrates, FileHeader, MAX_HEADER_IN_H};

const HEADER: [u8; 16] = [
    0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, 0xa6, 0xd9, 0x00, 0xaa, 0x00, 0x62, 0xce, 0x6c,
];
const DATA: [u8; 16] = [
    0x36, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, 0xa6, 0xd9, 0x00, 0xaa, 0x00, 0x62, 0xce, 0x6c,
];
const FILE: [u8; 16] = [
    0xa1, 0xdc, 0xab, 0x8c, 0x47, 0xa9, 0xcf, 0x11, 0x8e, 0xe4, 0x00, 0xc0, 0x0c, 0x20, 0x53, 0x65,
];
const STREAM: [u8; 16] = [
    0x91, 0x07, 0xdc, 0xb7, 0xb7, 0xa9, 0xcf, 0x11, 0x8e, 0xe6, 0x00, 0xc0, 0x0c, 0x20, 0x53, 0x65,
];

const SIGNATURE: [u8; 16] = [
    0xfc, 0xb3, 0x11, 0x22, 0x23, 0xbd, 0xd2, 0x11, 0xb4, 0xb7, 0x00, 0xa0, 0xc9, 0x55, 0xfc, 0x6e,
];

/// Returns an object with this body.
pub fn object(guid: &[u8; 16], body: &[u8]) -> Vec<u8> {
    [guid, &(24 + body.len() as u64).to_le_bytes()[..], body].concat()
}

/// Returns the smallest file header.
pub fn file_header(packet_size: u32, data_size: u64, tag: u8) -> Vec<u8> {
    let mut file = object(&FILE, &[tag; 80]);
    file[92..96].copy_from_slice(&packet_size.to_le_bytes());
    file[96..100].copy_from_slice(&packet_size.to_le_bytes());
    let children = [file, object(&STREAM, &[0; 54])].concat();
    let header = object(&HEADER, &[&[2, 0, 0, 0, 1, 2][..], &children].concat());
    [
        &header,
        &DATA[..],
        &data_size.to_le_bytes(),
        &[tag; 16],
        &[0; 8],
        &[1, 1],
    ]
    .concat()
}

/// Each derived header is valid, and deriving it again changes nothing.
pub fn holds_for(header: &FileHeader) {
    let live = header.to_live();
    assert_eq!(live.to_live(), live);
    assert!(live.is_broadcast());
    for bitrates in [Bitrates::default(), some_bitrates()] {
        use_bitrates(header, &live, &bitrates);
    }
    assert_eq!(
        FileHeader::parse(live.as_bytes().clone()).as_ref(),
        Ok(&live)
    );
    let streams = header.streams();
    assert!(streams.is_sorted_by(|a, b| a.number < b.number));
    assert!(
        streams
            .iter()
            .all(|stream| (1..128).contains(&stream.number))
    );
    let recorded = header.for_recording(3, 1000);
    assert_eq!(recorded.data_packets(), Some(3));
    for limit in [0, 400, 1000, MAX_HEADER_IN_H] {
        if let Ok((less, shed)) = header.shed_to(limit) {
            assert!(less.as_bytes().len() <= limit);
            assert_eq!(shed.is_empty(), less == *header);
            assert_eq!(less.stream_count(), header.stream_count());
            assert_eq!(FileHeader::parse(less.as_bytes().clone()), Ok(less));
        }
    }
}

fn some_bitrates() -> Bitrates {
    Bitrates {
        total: Some(300_000),
        streams: [(1, 200_000), (9, 1)].into(),
    }
}

/// A live header with bit rates is `live` with at most one object more, and without a signature, which would be
/// invalid.
fn use_bitrates(header: &FileHeader, live: &FileHeader, bitrates: &Bitrates) {
    let with = header.to_live_with(bitrates);
    assert_eq!(with.to_live_with(bitrates), with);
    assert_eq!(with.to_live(), with);
    assert_eq!(live.to_live_with(bitrates), with);
    assert_eq!(with.streams(), header.streams());
    let (before, after) = (live.as_bytes(), with.as_bytes());
    if with == *live || !before.windows(16).any(|guid| guid == SIGNATURE) {
        let grown = after.len() - before.len();
        assert!(grown == 0 || grown >= 26 + 6 && (grown - 26).is_multiple_of(6));
    }
    if header.maximum_bitrate() != 0 {
        assert_eq!(with.maximum_bitrate(), header.maximum_bitrate());
    }
    assert_eq!(FileHeader::parse(with.as_bytes().clone()), Ok(with));
}
