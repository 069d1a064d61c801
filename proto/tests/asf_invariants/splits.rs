// SPDX-License-Identifier: MPL-2.0

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use wmspush_proto::asf::Item;

use crate::invariants::header::{file_header, object};
use crate::invariants::reader::{Step, is_the_same_in_any_split, run};

const INDEX: [u8; 16] = [
    0x90, 0x08, 0x00, 0x33, 0xb1, 0xe5, 0xcf, 0x11, 0x89, 0xf4, 0x00, 0xa0, 0xc9, 0x03, 0x49, 0xcb,
];

/// Starts of input that is not ASF, or is not recognised yet
const STARTS: [&[u8]; 5] = [b"<html>", b"\0\0\0\x20ftyp", b"\x30\x26\xb2", b"$", b""];

/// A part of a stream
#[derive(Debug, Clone)]
enum Part {
    /// A file header, with the number of packets that it announces, if any
    Header {
        packet_size: u32,
        packets: Option<u8>,
        tag: u8,
    },
    /// This many packets of the last header's size, with byte values from here on
    Packets(u8, u8),
    Index(u8),
    /// Bytes that begin like an object
    Lookalike(u8),
    Junk(Vec<u8>),
    Restart,
    Rewind(u64),
    StreamHeader(u32, u8),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let size = || prop_oneof![Just(24u32), Just(40), Just(100)];
    let header = (size(), prop::option::of(0u8..4), 0u8..3)
        .prop_map(|(packet_size, packets, tag)| Part::Header {
            packet_size,
            packets,
            tag,
        })
        .boxed();
    let part = prop_oneof![
        4 => header.clone(),
        8 => (0u8..5, any::<u8>()).prop_map(|(count, seed)| Part::Packets(count, seed)),
        2 => (0u8..50).prop_map(Part::Index),
        1 => (1u8..16).prop_map(Part::Lookalike),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Part::Junk),
        1 => Just(Part::Restart),
        1 => prop_oneof![Just(0u64), Just(70)].prop_map(Part::Rewind),
        1 => (size(), 0u8..3).prop_map(|(size, tag)| Part::StreamHeader(size, tag)),
    ];
    (header, prop::collection::vec(part, 0..12)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

/// Returns the steps of a stream, with adjacent bytes in one step.
fn steps(parts: &[Part]) -> Vec<Step> {
    let mut size = 24;
    let mut steps = Vec::new();
    for part in parts {
        let bytes = match part {
            Part::Header {
                packet_size,
                packets,
                tag,
            } => {
                size = *packet_size;
                let data_size =
                    50 + packets.map_or(0, |packets| u64::from(packets) * u64::from(size));
                file_header(size, data_size, *tag)
            }
            Part::Packets(count, seed) => (0..usize::from(*count) * size as usize)
                .map(|at| seed.wrapping_add(at as u8) & 0x7f)
                .collect(),
            Part::Index(len) => object(&INDEX, &vec![0; usize::from(*len)]),
            Part::Lookalike(len) => INDEX[..usize::from(*len)].to_vec(),
            Part::Junk(bytes) => bytes.clone(),
            Part::Restart => {
                steps.push(Step::Restart);
                continue;
            }
            Part::Rewind(to) => {
                steps.push(Step::Rewind(*to));
                continue;
            }
            Part::StreamHeader(packet_size, tag) => {
                size = *packet_size;
                steps.push(Step::StreamHeader(file_header(size, 50, *tag)));
                continue;
            }
        };
        match steps.last_mut() {
            Some(Step::Bytes(last)) => last.extend(bytes),
            _ => steps.push(Step::Bytes(bytes)),
        }
    }
    steps
}

/// Returns a chunk of a pulled stream, with an MMS data packet.
pub fn chunk(id: u8, af_flags: u8, payload: &[u8]) -> Vec<u8> {
    let size = (payload.len() as u16 + 8).to_le_bytes();
    let head = [&[b'$', id][..], &size, &[1, 0, 0, 0, 0, af_flags], &size];
    [&head.concat(), payload].concat()
}

/// Generates chunks of a stream, with other events between them.
fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let size = || prop_oneof![Just(24u32), Just(40)];
    let header = || {
        (size(), 0u8..3, prop::collection::vec(any::<Index>(), 0..3)).prop_map(
            |(size, tag, mut cuts)| {
                let header = file_header(size, 50, tag);
                let mut at: Vec<_> = cuts.drain(..).map(|cut| cut.index(header.len())).collect();
                at.extend([0, header.len()]);
                at.sort();
                let piece = |pair: &[usize]| {
                    let flags = if pair[0] == 0 { 4 } else { 0 };
                    chunk(b'H', flags, &header[pair[0]..pair[1]])
                };
                at.windows(2).flat_map(piece).collect::<Vec<_>>()
            },
        )
    };
    let part = prop_oneof![
        2 => header(),
        8 => prop::collection::vec(any::<u8>(), 0..45).prop_map(|bytes| chunk(b'D', 0, &bytes)),
        1 => (b'A'..=b'Z', prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(id, bytes)| chunk(id, 12, &bytes)),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ];
    (header(), prop::collection::vec(part, 0..12)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn items_do_not_depend_on_the_split(parts in parts(), cuts in prop::collection::vec(any::<Index>(), 0..20)) {
        let steps = steps(&parts);
        is_the_same_in_any_split(&steps, |len| cuts.iter().map(|cut| cut.index(len + 1)).collect());
    }

    #[test]
    fn items_in_chunks_do_not_depend_on_the_split(
        parts in chunks(),
        restart in prop::option::of(any::<Index>()),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let restart = restart.map(|restart| restart.index(parts.len()));
        let mut steps: Vec<_> = parts.into_iter().map(Step::Bytes).collect();
        if let Some(restart) = restart {
            steps.insert(restart, Step::Restart);
        }
        is_the_same_in_any_split(&steps, |len| cuts.iter().map(|cut| cut.index(len + 1)).collect());
    }

    /// A stream in chunks has the same items as without them
    #[test]
    fn a_stream_in_chunks_has_the_same_items(
        entries in prop::collection::vec((24u32..200, 1u8..6, any::<u8>()), 1..5),
        piece in 1usize..400,
        split in 1usize..300,
    ) {
        let (mut bare, mut wrapped) = (Vec::new(), Vec::new());
        for (number, (size, count, seed)) in entries.iter().enumerate() {
            let header = file_header(*size, 50, number as u8);
            for (number, part) in header.chunks(piece).enumerate() {
                wrapped.extend(chunk(b'H', if number == 0 { 4 } else { 0 }, part));
            }
            bare.extend(header);
            for number in 0..*count {
                let packet = vec![seed.wrapping_add(number) & 0x0f; *size as usize];
                wrapped.extend(chunk(b'D', 0, &packet));
                bare.extend(packet);
            }
        }
        let all = |stream: Vec<u8>| {
            run(&[Step::Bytes(stream)], true, |bytes| bytes.chunks(split).map(Bytes::copy_from_slice).collect())
        };
        prop_assert_eq!(all(wrapped), all(bare));
    }

    /// Each byte is in an item, in skipped input, or in an ignored header
    #[test]
    fn packets_are_returned_unchanged(
        entries in prop::collection::vec((24u32..200, any::<bool>(), 1u8..6, any::<u8>()), 1..5),
        split in 1usize..300,
    ) {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (number, (size, known, count, seed)) in entries.iter().enumerate() {
            let data = if *known { 50 + u64::from(*count) * u64::from(*size) } else { 50 };
            let header = file_header(*size, data, number as u8);
            expected.push(header.clone());
            stream.extend(header);
            for number in 0..*count {
                let packet = vec![seed.wrapping_add(number) & 0x0f; *size as usize];
                stream.extend(&packet);
                expected.push(packet);
            }
        }
        let steps = [Step::Bytes(stream)];
        let (items, rest) = run(&steps, true, |bytes| bytes.chunks(split).map(Bytes::copy_from_slice).collect());
        let found: Vec<_> = items.iter().map(|item| match item {
            Item::Header(header) => header.as_bytes().to_vec(),
            Item::DataUnit(packet) => packet.as_bytes().to_vec(),
            Item::Skipped(skipped) => panic!("{skipped}"),
        }).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(rest, Ok(vec![]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Foreign input is recognised after a fixed number of bytes
    #[test]
    fn foreign_input_does_not_depend_on_the_split(
        start in prop::sample::select(&STARTS[..]),
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..1200), 0u8..4), 1..4),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let mut steps = vec![Step::Bytes(start.to_vec())];
        for (bytes, then) in parts {
            steps.push(Step::Bytes(bytes));
            match then {
                0 => steps.push(Step::Restart),
                1 => steps.push(Step::StreamHeader(file_header(40, 50, 0))),
                _ => {}
            }
        }
        is_the_same_in_any_split(&steps, |len| cuts.iter().map(|cut| cut.index(len + 1)).collect());
    }
}
