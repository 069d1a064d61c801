// SPDX-License-Identifier: MPL-2.0

use super::*;
use crate::asf::format::Format;
use crate::asf::guid::Guid;
use crate::asf::testing::{header, object, stream_properties};

mod entries;

pub(super) const P: u32 = 100;

pub(super) fn live() -> FileHeader {
    header(P, 50, &[])
}

pub(super) fn packet(seed: u8) -> Vec<u8> {
    let mut bytes = vec![0x00, 0x5D, seed, 0, 0, 0, 0, 0, 0x81, seed, 0, 0, 0, 0, 0];
    bytes.resize(P as usize, seed);
    bytes
}

pub(super) fn unit(seed: u8) -> Item {
    Item::DataUnit(DataPacket::parse(packet(seed).into()))
}

pub(super) fn skipped(bytes: u64, reason: SkipReason) -> Item {
    Item::Skipped(Skipped { bytes, reason })
}

pub(super) fn push(reader: &mut Reader, parts: &[&[u8]]) {
    parts
        .iter()
        .for_each(|part| reader.push(Bytes::copy_from_slice(part)));
}

pub(super) fn items(reader: &mut Reader) -> Vec<Item> {
    std::iter::from_fn(|| reader.next_item().unwrap()).collect()
}

/// Returns a reader that has read this header and one packet.
pub(super) fn started(header: &FileHeader) -> Reader {
    let mut reader = Reader::new();
    push(&mut reader, &[header.as_bytes(), &packet(1)]);
    assert_eq!(items(&mut reader), [Item::Header(header.clone()), unit(1)]);
    reader
}

#[test]
fn the_first_header_is_an_item_at_once() {
    let mut reader = Reader::new();
    push(&mut reader, &[live().as_bytes()]);
    assert_eq!(reader.header(), None);
    assert_eq!(items(&mut reader), [Item::Header(live())]);
    assert_eq!(reader.header(), Some(&live()));
}

#[test]
fn a_packet_inside_a_buffer_is_a_slice_of_it() {
    let bytes = Bytes::from([live().as_bytes(), &packet(1)[..], &packet(2)].concat());
    let mut reader = Reader::new();
    reader.push(bytes.clone());
    let header_len = live().as_bytes().len();
    let found: Vec<_> = items(&mut reader)
        .iter()
        .map(|item| match item {
            Item::Header(header) => header.as_bytes().as_ptr(),
            Item::DataUnit(packet) => packet.as_bytes().as_ptr(),
            Item::Skipped(_) => std::ptr::null(),
        })
        .collect();
    let at = |offset| bytes.slice(offset..).as_ptr();
    assert_eq!(found, [at(0), at(header_len), at(header_len + P as usize)]);
}

#[test]
fn objects_after_the_announced_packets_are_skipped() {
    let stored = header(P, 50 + 100, &[]);
    let mut reader = started(&stored);
    let unknown = Guid::new(1, 2, 3, 4);
    let [index, other] = [object(Guid::SIMPLE_INDEX, &[0; 70]), object(unknown, &[])];
    push(
        &mut reader,
        &[&index, &other, live().as_bytes(), &packet(2)],
    );
    let expected = [
        skipped(94, SkipReason::TopLevelObject(Guid::SIMPLE_INDEX)),
        skipped(24, SkipReason::TopLevelObject(unknown)),
        Item::Header(live()),
        unit(2),
    ];
    assert_eq!(items(&mut reader), expected);
}

/// ASF 3.2 File Properties Object: Broadcast Flag
#[test]
fn counts_in_a_broadcast_are_ignored() {
    let mut bytes = header(P, 50 + 100, &[]).as_bytes().to_vec();
    bytes[30 + 88] |= 1;
    let stale = FileHeader::parse(bytes.into()).unwrap();
    let mut reader = started(&stale);
    let index = object(Guid::SIMPLE_INDEX, &[0; 70]);
    push(&mut reader, &[&packet(2), &packet(3), &index]);
    let skipped = skipped(94, SkipReason::TopLevelObject(Guid::SIMPLE_INDEX));
    assert_eq!(items(&mut reader), [unit(2), unit(3), skipped]);
    assert_eq!(reader.exceeded_count(), None);
}

#[test]
fn packets_beyond_the_announced_count_are_items() {
    let stale = header(P, 50 + 100, &[]);
    let mut reader = started(&stale);
    assert_eq!(reader.exceeded_count(), None);
    push(&mut reader, &[&packet(2), &packet(3)]);
    let index = object(Guid::SIMPLE_INDEX, &[0; 70]);
    push(&mut reader, &[&index, &packet(4), live().as_bytes()]);
    let index = skipped(94, SkipReason::TopLevelObject(Guid::SIMPLE_INDEX));
    assert_eq!(items(&mut reader), [unit(2), unit(3), index, unit(4)]);
    assert_eq!(reader.exceeded_count(), Some(1));
    push(&mut reader, &[&packet(5)]);
    assert_eq!(items(&mut reader), [Item::Header(live()), unit(5)]);
    assert_eq!(reader.exceeded_count(), None);
}

/// Only its flags resemble those of a packet
#[test]
fn an_unknown_object_after_the_packets_is_not_a_packet() {
    let guid = Guid::new(0x0808_5D10, 2, 3, 4);
    let mut reader = started(&header(P, 50 + 100, &[]));
    push(&mut reader, &[&object(guid, &[7; 200]), &packet(2)]);
    let object = skipped(224, SkipReason::TopLevelObject(guid));
    assert_eq!(items(&mut reader), [object, unit(2)]);
    let mut reader = started(&header(P, 50 + 100, &[]));
    push(&mut reader, &[&packet(2)[..99]]);
    assert_eq!(items(&mut reader), []);
    let rest = Skipped {
        bytes: 99,
        reason: SkipReason::TrailingData,
    };
    assert_eq!(reader.finish(), Ok(Some(rest)));
}

#[test]
fn an_object_may_come_before_the_last_announced_packet() {
    let mut reader = started(&header(P, 50 + 300, &[]));
    let index = object(Guid::SIMPLE_INDEX, &[0; 70]);
    push(&mut reader, &[&index, &packet(2)]);
    let index = skipped(94, SkipReason::TopLevelObject(Guid::SIMPLE_INDEX));
    assert_eq!(items(&mut reader), [index, unit(2)]);
}

#[test]
fn a_large_object_is_not_buffered() {
    let mut reader = started(&live());
    let mut index = object(Guid::INDEX, &[]);
    index[16..24].copy_from_slice(&(1u64 << 40).to_le_bytes());
    push(&mut reader, &[&index, &[0; 5000]]);
    assert_eq!(items(&mut reader), []);
    assert!(reader.queue.len() < 30, "less than a header");
    let reason = SkipReason::TopLevelObject(Guid::INDEX);
    assert_eq!(
        reader.finish(),
        Ok(Some(Skipped {
            bytes: 5024,
            reason
        }))
    );
}

#[test]
fn trailing_data_is_skipped_up_to_a_file_header() {
    let mut reader = started(&header(P, 50 + 100, &[]));
    push(&mut reader, &[&[0; 300], live().as_bytes(), &packet(2)]);
    let reason = SkipReason::TrailingData;
    let expected = [
        skipped(24, reason),
        skipped(276, reason),
        Item::Header(live()),
        unit(2),
    ];
    assert_eq!(items(&mut reader), expected);
    assert_eq!(reader.finish(), Ok(None));
}

#[test]
fn trailing_data_is_counted_until_the_next_start() {
    let mut reader = started(&header(P, 50 + 100, &[]));
    push(&mut reader, &[&[0; 300]]);
    let reason = SkipReason::TrailingData;
    assert_eq!(items(&mut reader), [skipped(24, reason)]);
    reader.restart();
    push(&mut reader, &[&packet(2)]);
    assert_eq!(items(&mut reader), [skipped(276, reason), unit(2)]);
}

#[test]
fn a_few_bytes_after_the_data_object_are_trailing_data() {
    let mut reader = started(&header(P, 50 + 100, &[]));
    push(&mut reader, &[&[0; 12]]);
    assert_eq!(items(&mut reader), []);
    assert_eq!(
        reader.finish(),
        Ok(Some(Skipped {
            bytes: 12,
            reason: SkipReason::TrailingData
        }))
    );
}

#[test]
fn the_rest_of_a_data_object_is_skipped() {
    let mut reader = started(&header(P, 50 + 130, &[]));
    push(&mut reader, &[&packet(2)[..30], &object(Guid::INDEX, &[])]);
    let index = skipped(24, SkipReason::TopLevelObject(Guid::INDEX));
    assert_eq!(
        items(&mut reader),
        [skipped(30, SkipReason::PartialPacket), index]
    );
}

#[test]
fn packets_follow_an_object_in_a_stream_of_unknown_length() {
    for guid in &Guid::TOP_LEVEL[2..] {
        let mut reader = started(&live());
        push(&mut reader, &[&object(*guid, &[9; 8]), &packet(2)]);
        assert_eq!(
            items(&mut reader),
            [skipped(32, SkipReason::TopLevelObject(*guid)), unit(2)]
        );
    }
    let mut reader = started(&live());
    let head = live().as_bytes().slice(live().as_bytes().len() - 50..);
    push(&mut reader, &[&head, &packet(2)]);
    let data = SkipReason::TopLevelObject(Guid::DATA);
    assert!(data.is_loss());
    assert_eq!(items(&mut reader), [skipped(50, data), unit(2)]);
}

#[test]
fn a_packet_that_resembles_an_object_is_a_packet() {
    let mut bytes = packet(2);
    bytes[..15].copy_from_slice(&Guid::INDEX.as_bytes()[..15]);
    let mut reader = started(&live());
    for byte in &bytes {
        push(&mut reader, &[&[*byte]]);
    }
    assert_eq!(
        items(&mut reader),
        [Item::DataUnit(DataPacket::parse(bytes.into()))]
    );
}

#[test]
fn a_restart_drops_incomplete_packets_and_keeps_the_header() {
    let mut reader = started(&header(P, 50 + 200, &[]));
    push(&mut reader, &[&packet(2)[..99]]);
    reader.restart();
    push(&mut reader, &[&packet(3), &packet(4), &packet(5)]);
    assert_eq!(
        items(&mut reader),
        [
            skipped(99, SkipReason::PartialPacket),
            unit(3),
            unit(4),
            unit(5)
        ]
    );
}

#[test]
fn a_restart_before_any_header_starts_over() {
    let mut reader = Reader::new();
    push(&mut reader, &[&live().as_bytes()[..200]]);
    reader.restart();
    push(&mut reader, &[live().as_bytes()]);
    assert_eq!(
        items(&mut reader),
        [
            skipped(200, SkipReason::PartialHeader),
            Item::Header(live())
        ]
    );
}

#[test]
fn rewinding_to_the_middle_drops_all_until_the_next_start() {
    let mut reader = started(&live());
    push(&mut reader, &[&packet(2)[..10]]);
    reader.rewind(70);
    push(&mut reader, &[&packet(3), &packet(4)]);
    reader.rewind(300);
    push(&mut reader, &[live().as_bytes()]);
    assert_eq!(
        items(&mut reader),
        [
            skipped(10, SkipReason::PartialPacket),
            skipped(200, SkipReason::RewrittenHeader)
        ]
    );
    reader.restart();
    push(&mut reader, &[&packet(5)]);
    let bytes = live().as_bytes().len() as u64;
    assert_eq!(
        items(&mut reader),
        [skipped(bytes, SkipReason::RewrittenHeader), unit(5)]
    );
}

/// A seek by bytes may end in the middle of a packet.
#[test]
fn a_stream_joined_within_a_packet_continues_with_the_next() {
    let size = live().as_bytes().len() as u64;
    let file = [packet(2), packet(3), packet(4)].concat();
    for (at, left) in [(size, 0), (size + 1, 99), (size + 100, 0), (size + 150, 50)] {
        let mut reader = started(&live());
        reader.restart();
        reader.join(at);
        let from = (at - size) as usize;
        push(&mut reader, &[&file[from..]]);
        let mut items = items(&mut reader);
        if left > 0 {
            assert_eq!(items.remove(0), skipped(left, SkipReason::Unaligned));
        }
        let first = from.div_ceil(100) as u8 + 2;
        assert_eq!(items, (first..=4).map(unit).collect::<Vec<_>>(), "{at}");
    }
}

#[test]
fn an_end_before_a_complete_header_is_the_wrong_type() {
    let mut reader = Reader::new();
    assert_eq!(reader.finish(), Err(Error::Incomplete { bytes: 0 }));
    push(&mut reader, &[&live().as_bytes()[..200]]);
    assert_eq!(items(&mut reader), []);
    assert_eq!(reader.finish(), Err(Error::Incomplete { bytes: 200 }));
}

#[test]
fn a_failed_reader_keeps_its_error_and_no_bytes() {
    let mut reader = Reader::new();
    push(&mut reader, &[b"0&no", &[0; Format::START]]);
    let error = Error::NotAsf {
        offset: 2,
        found: b'n',
        format: Format::of(b"0&no"),
    };
    assert_eq!(reader.next_item(), Err(error.clone()));
    push(&mut reader, &[live().as_bytes()]);
    reader.restart();
    reader.rewind(7);
    assert_eq!(reader.next_item(), Err(error.clone()));
    assert_eq!(reader.next_item(), Err(error.clone()));
    assert_eq!(reader.finish(), Err(error));
    assert!(reader.input.is_empty());
    assert_eq!(reader.queue.len(), 0);
}

#[test]
fn input_that_is_not_asf_is_named() {
    let page = b"<!DOCTYPE html><title>404</title>";
    let error = Error::NotAsf {
        offset: 0,
        found: b'<',
        format: Some(Format::Html),
    };
    let ends: [fn(&mut Reader); 4] = [
        |reader| reader.push(vec![b' '; Format::START].into()),
        Reader::restart,
        |reader| reader.rewind(0),
        |reader| drop(reader.stream_header(live().as_bytes().clone())),
    ];
    for end in ends {
        let mut reader = Reader::new();
        push(&mut reader, &[page]);
        assert_eq!(reader.next_item(), Ok(None));
        end(&mut reader);
        assert_eq!(reader.next_item(), Err(error.clone()));
    }
    let mut reader = Reader::new();
    push(&mut reader, &[page]);
    assert_eq!(reader.next_item(), Ok(None));
    assert_eq!(reader.finish(), Err(error));
}

#[test]
fn a_hostile_header_size_is_refused_before_buffering() {
    let mut bytes = live().as_bytes()[..24].to_vec();
    bytes[16..24].copy_from_slice(&(1u64 << 40).to_le_bytes());
    let mut reader = Reader::new();
    push(&mut reader, &[&bytes]);
    assert!(matches!(
        reader.next_item(),
        Err(Error::HeaderTooLarge { .. })
    ));
}

#[test]
fn partial_packets_and_headers_are_reported_at_the_end() {
    let mut reader = started(&live());
    push(&mut reader, &[&packet(2)[..50]]);
    assert_eq!(items(&mut reader), []);
    assert_eq!(
        reader.finish(),
        Ok(Some(Skipped {
            bytes: 50,
            reason: SkipReason::PartialPacket
        }))
    );
    let mut reader = started(&live());
    push(&mut reader, &[&header(P, 51, &[]).as_bytes()[..50]]);
    assert_eq!(items(&mut reader), []);
    assert_eq!(
        reader.finish(),
        Ok(Some(Skipped {
            bytes: 50,
            reason: SkipReason::PartialHeader
        }))
    );
}

#[test]
fn a_header_may_come_before_the_last_announced_packet() {
    let next = header(P, 50, &[stream_properties()]);
    let mut reader = started(&header(P, 50 + 300, &[]));
    push(&mut reader, &[next.as_bytes(), &packet(2)]);
    assert_eq!(items(&mut reader), [Item::Header(next), unit(2)]);
}
