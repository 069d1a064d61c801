// SPDX-License-Identifier: MPL-2.0

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use wmspush_proto::asf::{DataPacket, FileHeader, KeyFrames, Reader};

use crate::invariants::header::{file_header, holds_for};
use crate::invariants::packet::keeps_its_payloads;
use crate::invariants::payloads::payloads;
use crate::splits::chunk;

/// File headers of fixtures
const HEADERS: [(&[u8], usize); 3] = [
    (
        include_bytes!("../fixtures/av_asfmux_p1500_streamable.asf"),
        645,
    ),
    (include_bytes!("../fixtures/av_index_ffmpeg_p3200.asf"), 809),
    (
        include_bytes!("../fixtures/audio_many_tags_ffmpeg_p3200.asf"),
        38_524,
    ),
];

fn read_all(bytes: &[u8]) {
    let mut reader = Reader::new();
    bytes
        .chunks(97)
        .for_each(|part| reader.push(Bytes::copy_from_slice(part)));
    // The smallest item is an empty chunk.
    let most = 4 + bytes.len() / 4;
    let mut seen = 0;
    while let Ok(Some(_)) = reader.next_item() {
        seen += 1;
        assert!(seen <= most, "too many items");
    }
    let _ = reader.finish();
}

/// Returns the rule for a header whose stream 1 is its video, and for one without video
fn key_frames() -> [KeyFrames; 2] {
    let [(file, len), ..] = HEADERS;
    [&file[..len], &file_header(100, 50, 1)].map(|bytes| {
        let header = FileHeader::parse(Bytes::copy_from_slice(bytes));
        KeyFrames::of(&header.unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..600), size in 24u32..80, known in 0u64..400) {
        read_all(&bytes);
        read_all(&[b"$H", &bytes[..]].concat());
        let header = file_header(size, known, 1);
        read_all(&[chunk(b'H', 12, &header), bytes.clone()].concat());
        read_all(&[header, bytes].concat());
    }

    #[test]
    fn a_header_with_any_bytes_changed_is_read_or_refused(
        which in any::<Index>(),
        changes in prop::collection::vec((0usize..700, prop_oneof![any::<u8>(), Just(0), Just(0xFF)]), 1..6),
    ) {
        let (file, len) = which.get(&HEADERS);
        let mut bytes = file[..*len].to_vec();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        read_all(&bytes);
        if let Ok(header) = FileHeader::parse(bytes.into()) {
            holds_for(&header);
        }
    }

    #[test]
    fn key_frames_begin_only_at_payloads_marked_as_such(
        start in prop_oneof![Just(vec![]), Just(vec![0x82, 0, 0])],
        types in any::<u8>(),
        property in prop_oneof![5 => Just(0x5Du8), 1 => any::<u8>()],
        rest in prop::collection::vec(prop_oneof![Just(0u8), Just(0x81), 0u8..12, any::<u8>()], 0..120),
    ) {
        let bytes = [start, vec![types, property], rest].concat();
        let packet = DataPacket::parse(bytes.clone().into());
        let [video, audio] = key_frames();
        prop_assert!(audio.begins_in(&packet));
        let begins = packet.send_time().is_some_and(|_| {
            payloads(&bytes).unwrap().iter().any(|payload| {
                payload.stream == 0x81 && (payload.offset == 0 || payload.replicated.len() == 1)
            })
        });
        prop_assert_eq!(video.begins_in(&packet), begins);
    }

    #[test]
    fn any_bytes_as_a_packet_are_kept(
        start in prop_oneof![Just(vec![]), Just(vec![0x82, 0, 0])],
        types in any::<u8>(),
        property in prop_oneof![3 => Just(0x5Du8), 1 => any::<u8>()],
        rest in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..12], 0..120),
    ) {
        let bytes = [start, vec![types, property], rest].concat();
        keeps_its_payloads(&bytes);
    }
}
