// SPDX-License-Identifier: MPL-2.0

//! Headers that are items, and headers that are not.

use super::*;

#[test]
fn a_later_header_waits_for_its_first_packet() {
    let next = header(P, 50, &[stream_properties()]);
    let mut reader = started(&live());
    push(&mut reader, &[next.as_bytes(), &packet(2)[..99]]);
    assert_eq!(items(&mut reader), []);
    assert_eq!(reader.header(), Some(&live()));
    push(&mut reader, &[&packet(2)[99..], &packet(3)]);
    assert_eq!(
        items(&mut reader),
        [Item::Header(next.clone()), unit(2), unit(3)]
    );
    assert_eq!(reader.header(), Some(&next));
}

#[test]
fn a_later_header_without_packets_is_dropped_at_the_end() {
    let next = header(P, 50 + 100, &[]);
    let mut reader = started(&live());
    push(&mut reader, &[next.as_bytes()]);
    assert_eq!(items(&mut reader), []);
    let bytes = next.as_bytes().len() as u64;
    assert_eq!(
        reader.finish(),
        Ok(Some(Skipped {
            bytes,
            reason: SkipReason::RewrittenHeader
        }))
    );
    assert_eq!(reader.finish(), Ok(None));
}

#[test]
fn an_equal_header_is_ignored_while_times_continue() {
    let mut reader = started(&live());
    push(&mut reader, &[live().as_bytes(), &packet(2)]);
    assert_eq!(items(&mut reader), [unit(2)]);
    reader.stream_header(live().as_bytes().clone()).unwrap();
    push(&mut reader, &[&packet(2), &packet(1)]);
    assert_eq!(items(&mut reader), [unit(2), unit(1)]);
    assert_eq!(reader.finish(), Ok(None));
}

/// The same file again: a loop, or a playlist that has it twice
#[test]
fn an_equal_header_is_a_new_entry_when_times_restart() {
    for size in [50, 50 + 200] {
        let header = header(P, size, &[]);
        let mut reader = started(&header);
        let file = [header.as_bytes(), &packet(1)[..], &packet(2)].concat();
        push(&mut reader, &[&packet(2), &file, &file]);
        let again = || [Item::Header(header.clone()), unit(1), unit(2)];
        let expected = [vec![unit(2)], [again(), again()].concat()].concat();
        assert_eq!(items(&mut reader), expected);
        push(&mut reader, &[header.as_bytes()]);
        assert_eq!((items(&mut reader), reader.finish()), (vec![], Ok(None)));
    }
}

#[test]
fn a_repeated_header_from_caps_is_a_new_entry_too() {
    let mut reader = started(&live());
    push(&mut reader, &[&packet(2)]);
    reader.restart();
    reader.stream_header(live().as_bytes().clone()).unwrap();
    push(&mut reader, &[&packet(1)]);
    assert_eq!(items(&mut reader), [unit(2), Item::Header(live()), unit(1)]);
}

/// A packet without a Send Time decides nothing
#[test]
fn an_equal_header_waits_for_a_timed_packet() {
    let mut opaque = packet(0);
    opaque[0] = 0x92;
    let mut reader = started(&live());
    push(&mut reader, &[live().as_bytes(), &opaque, &packet(1)]);
    let opaque = Item::DataUnit(DataPacket::parse(opaque.into()));
    assert_eq!(items(&mut reader), [opaque, Item::Header(live()), unit(1)]);
}

#[test]
fn a_header_with_different_fields_is_a_new_entry() {
    let written = live();
    let numbers: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes[30 + 40] ^= 1, // File Size
        |bytes| bytes[30 + 48] ^= 1, // Creation Date
        |bytes| bytes[30 + 56] ^= 1, // Data Packets Count
        |bytes| bytes[30 + 64] ^= 1, // Play Duration
        |bytes| bytes[30 + 88] ^= 1, // Broadcast Flag
    ];
    for change in numbers {
        let mut bytes = written.as_bytes().to_vec();
        change(&mut bytes);
        let next = FileHeader::parse(bytes.into()).unwrap();
        let mut reader = started(&written);
        push(&mut reader, &[next.as_bytes(), &packet(1)]);
        push(&mut reader, &[written.as_bytes(), &packet(1)]);
        let expected = [
            Item::Header(next),
            unit(1),
            Item::Header(written.clone()),
            unit(1),
        ];
        assert_eq!(items(&mut reader), expected);
    }
}

/// avmux_asf in a playlist: its rewritten header, then the next file, whose header may be equal
#[test]
fn a_rewritten_header_before_the_same_file_is_ignored() {
    let rewritten = header(P, 50 + 100, &[]);
    let mut reader = started(&live());
    push(
        &mut reader,
        &[rewritten.as_bytes(), live().as_bytes(), &packet(1)],
    );
    let bytes = rewritten.as_bytes().len() as u64;
    let dropped = skipped(bytes, SkipReason::RewrittenHeader);
    assert_eq!(items(&mut reader), [dropped, Item::Header(live()), unit(1)]);
}

#[test]
fn a_header_from_caps_is_an_item_once() {
    let mut reader = Reader::new();
    reader.stream_header(live().as_bytes().clone()).unwrap();
    push(&mut reader, &[live().as_bytes(), &packet(1)]);
    assert_eq!(items(&mut reader), [Item::Header(live()), unit(1)]);
}

#[test]
fn another_header_from_caps_drops_an_incomplete_packet() {
    let next = header(P, 50, &[stream_properties()]);
    let mut reader = started(&live());
    push(&mut reader, &[&packet(2)[..40]]);
    reader.stream_header(live().as_bytes().clone()).unwrap();
    push(&mut reader, &[&packet(2)[40..], &packet(3)[..1]]);
    reader.stream_header(next.as_bytes().clone()).unwrap();
    push(&mut reader, &[&packet(4)]);
    let expected = [
        unit(2),
        skipped(1, SkipReason::PartialPacket),
        Item::Header(next),
        unit(4),
    ];
    assert_eq!(items(&mut reader), expected);
}

#[test]
fn rewinding_to_the_last_header_before_a_packet_changes_nothing() {
    let next = header(P, 50, &[stream_properties()]);
    let mut reader = started(&live());
    reader.stream_header(next.as_bytes().clone()).unwrap();
    reader.stream_header(live().as_bytes().clone()).unwrap();
    push(&mut reader, &[&packet(2)]);
    let dropped = skipped(next.as_bytes().len() as u64, SkipReason::RewrittenHeader);
    assert_eq!(items(&mut reader), [dropped, unit(2)]);
}

#[test]
fn a_bad_header_from_caps_changes_nothing() {
    let mut reader = started(&live());
    assert!(reader.stream_header(Bytes::from_static(b"no")).is_err());
    push(&mut reader, &[&packet(2)]);
    assert_eq!(items(&mut reader), [unit(2)]);
}

#[test]
fn a_restart_keeps_a_pending_header_from_caps_only() {
    let next = header(P, 50, &[stream_properties()]);
    let mut reader = started(&live());
    reader.stream_header(next.as_bytes().clone()).unwrap();
    reader.restart();
    push(&mut reader, &[&packet(2)]);
    assert_eq!(items(&mut reader), [Item::Header(next.clone()), unit(2)]);
    let mut reader = started(&live());
    push(&mut reader, &[next.as_bytes()]);
    reader.restart();
    push(&mut reader, &[&packet(2)]);
    let dropped = skipped(next.as_bytes().len() as u64, SkipReason::RewrittenHeader);
    assert_eq!(items(&mut reader), [dropped, unit(2)]);
}

#[test]
fn rewinding_to_the_start_is_a_new_entry_with_packets() {
    let next = header(P, 50 + 100, &[]);
    let mut reader = started(&live());
    reader.rewind(0);
    push(&mut reader, &[next.as_bytes()]);
    assert_eq!(items(&mut reader), []);
    push(&mut reader, &[&packet(2)]);
    assert_eq!(items(&mut reader), [Item::Header(next), unit(2)]);
}

#[test]
fn a_header_from_caps_only_means_a_joined_stream() {
    let next = header(P, 50, &[stream_properties()]);
    let mut reader = Reader::new();
    reader.stream_header(live().as_bytes().clone()).unwrap();
    push(&mut reader, &[&packet(1)]);
    assert_eq!(items(&mut reader), [Item::Header(live()), unit(1)]);
    assert!(reader.is_joined());
    push(&mut reader, &[live().as_bytes()]);
    assert_eq!(items(&mut reader), []);
    assert!(!reader.is_joined());
    // The first packets belong to the old header, and the next header differs.
    reader.stream_header(next.as_bytes().clone()).unwrap();
    assert_eq!(items(&mut reader), []);
    assert!(!reader.is_joined());
    push(&mut reader, &[&packet(2)]);
    assert_eq!(items(&mut reader), [Item::Header(next.clone()), unit(2)]);
    assert!(reader.is_joined());
}

#[test]
fn a_header_from_caps_and_stream_means_no_join() {
    let next = header(P, 50, &[stream_properties()]);
    let mut reader = started(&live());
    assert!(!reader.is_joined());
    reader.stream_header(next.as_bytes().clone()).unwrap();
    push(&mut reader, &[next.as_bytes(), &packet(2)]);
    assert_eq!(items(&mut reader), [Item::Header(next), unit(2)]);
    assert!(!reader.is_joined());
}
