// SPDX-License-Identifier: MPL-2.0

//! Input that is damaged, cut off or no ASF.

use bytes::Bytes;
use wmspush_proto::asf::{Error, Guid, Item, SkipReason};

use crate::{read, read_fixture, summary};

#[test]
fn malformed_headers_are_errors_and_no_items() {
    for (name, expected) in [
        (
            "header_size_2e40",
            Error::HeaderTooLarge {
                size: 1 << 40,
                limit: 16 << 20,
            },
        ),
        ("header_size_20", Error::HeaderTooSmall { size: 20 }),
        ("no_file_properties", Error::NoFileProperties),
        (
            "min_ne_max_packet",
            Error::PacketSizesDiffer {
                minimum: 1600,
                maximum: 3200,
            },
        ),
        ("packet_size_0", Error::PacketSize { size: 0 }),
        ("packet_size_max", Error::PacketSize { size: u32::MAX }),
    ] {
        assert!(!expected.is_wrong_type());
        let outcome = read_fixture(&format!("malformed_{name}_ffmpeg.asf"));
        assert_eq!(outcome, (vec![], Err(expected)), "{name}");
    }
    let (items, rest) = read_fixture("malformed_wrong_data_guid_ffmpeg.asf");
    assert!(items.is_empty());
    let error = rest.unwrap_err();
    assert!(
        matches!(error, Error::NotDataObject { found } if found != Guid::DATA),
        "{error}"
    );
    assert!(!error.is_wrong_type());
}

#[test]
fn foreign_and_cut_input_is_the_wrong_type() {
    for name in [
        "header_truncated_ffmpeg.asf",
        "wrong_header_guid_ffmpeg.asf",
        "random_64k.bin",
    ] {
        let (items, rest) = read_fixture(&format!("malformed_{name}"));
        assert!(items.is_empty(), "{name}");
        let error = rest.unwrap_err();
        assert!(error.is_wrong_type(), "{name}: {error}");
    }
    assert_eq!(
        read(&Bytes::new(), 1),
        (vec![], Err(Error::Incomplete { bytes: 0 }))
    );
}

/// Files of other muxers, pages of servers, and raw video
#[test]
fn an_error_names_the_format_that_is_there() {
    let mut packets = [[0x11; 188]; 20];
    packets.iter_mut().for_each(|packet| packet[0] = 0x47);
    for (start, text) in [
        (
            &b"\0\0\0\x20ftypisom"[..],
            "input is MP4 or QuickTime, not ASF",
        ),
        (
            b"\x1A\x45\xDF\xA3\x9F",
            "input is Matroska or WebM, not ASF",
        ),
        (
            packets.as_flattened(),
            "input is an MPEG transport stream, not ASF",
        ),
        (b"<html>Not Found</html>", "input is an HTML page, not ASF"),
        (
            b"[Reference]\r\nRef1=http://a/b",
            "input is a Windows Media metafile, not ASF",
        ),
        (
            b"\x10\x80\x10\x80",
            "input is not ASF: it begins with 10 80 10 80",
        ),
        (b"", "input is empty"),
    ] {
        let whole = Bytes::copy_from_slice(start);
        let (items, rest) = read(&whole, 4096);
        let error = rest.unwrap_err();
        assert_eq!((items, error.to_string()), (vec![], text.into()));
        assert!(error.is_wrong_type() && !error.hint().is_empty());
        let long = Bytes::from([start, &[0x5A; 4096]].concat());
        for bytes in [whole, long.slice(..if start.is_empty() { 0 } else { 4096 })] {
            assert_eq!(read(&bytes, 1), read(&bytes, 4096));
        }
    }
}

#[test]
fn a_damaged_packet_among_good_ones_is_kept_whole() {
    assert_eq!(
        summary("malformed_packet2_prop_flags_00_ffmpeg.asf"),
        "H494/3200, 2, !(stream number length type is 0, not 1), 4"
    );
    assert_eq!(
        summary("malformed_packet2_padding_gt_packet_ffmpeg.asf"),
        "H494/3200, 2, !(padding length 65535 is over the 3187 bytes behind the payload parsing information), 4"
    );
    for name in ["prop_flags_00", "padding_gt_packet"] {
        let items = read_fixture(&format!("malformed_packet2_{name}_ffmpeg.asf")).0;
        let damaged = items.iter().find_map(|item| match item {
            Item::DataUnit(packet) if packet.defect().is_some() => Some(packet),
            _ => None,
        });
        let damaged = damaged.unwrap();
        assert_eq!(damaged.len(), 3200);
        assert_eq!(damaged.without_padding().body, damaged.as_bytes());
    }
}

#[test]
fn a_cut_last_packet_is_reported_at_the_end() {
    assert_eq!(
        summary("malformed_last_packet_truncated_ffmpeg.asf"),
        "H494/3200, 3, end 1600 part of a data packet"
    );
    assert!(SkipReason::PartialPacket.is_loss());
}
