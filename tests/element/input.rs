// SPDX-License-Identifier: MPL-2.0

//! Input in any form results in the same output.

use gst::prelude::*;
use gstwmspush::asf::{FileHeader, Item, Reader};
use gstwmspush::wmhttp::HResult;
use gstwmspush::wmhttp::server::Received;

use crate::harness::{Harness, expected, live};
use crate::rig::{LONG, Pipeline, Point, fixture_bytes};

const VALID: [&str; 10] = [
    "audio_chunks_avmux_p3200.bin",
    "audio_ffmpeg_p3200.asf",
    "audio_many_tags_ffmpeg_p3200.asf",
    "av_asfmux_p1500_streamable.asf",
    "av_header_rewrite_avmux_p3200.bin",
    "av_index_asfmux_p4800.asf",
    "av_index_ffmpeg_p3200.asf",
    "av_index_trailing_ffmpeg_p3200_pipe.asf",
    "video_1000h_asfmux_p1500_streamable.asf",
    "video_asfmux_p3200_streamable.asf",
];

/// C-043, C-044, C-057
#[test]
fn every_valid_file_is_received() {
    for name in VALID {
        let point = Point::new();
        let pipeline = Pipeline::file(name, &point.location(), "");
        assert!(
            !pipeline.run().iter().any(|line| line.starts_with("ERROR")),
            "{name}"
        );
        assert_eq!(point.ended().received, expected(name), "{name}");
    }
}

/// Boundaries of buffers have no meaning, and caps are optional.
#[test]
fn any_split_gives_the_same_bytes_on_the_wire() {
    let name = "av_index_asfmux_p4800.asf";
    for size in [1, 7, 4096, usize::MAX] {
        for caps in [false, true] {
            let mut harness = Harness::new();
            harness.event(gst::event::StreamStart::new("test"));
            if caps {
                harness.caps(None);
            }
            harness.segment_at(0);
            harness.push(&fixture_bytes(name), size);
            assert_eq!(harness.end().received, expected(name), "{size}");
        }
    }
}

#[test]
fn buffer_lists_are_equal_to_buffers() {
    for name in [
        "av_asfmux_p1500_streamable.asf",
        "av_index_asfmux_p4800.asf",
    ] {
        for size in [700, 1500, 4800] {
            let mut harness = Harness::new();
            harness.event(gst::event::StreamStart::new("test"));
            harness.segment_at(0);
            harness.push_lists(&fixture_bytes(name), size);
            assert_eq!(harness.end().received, expected(name), "{name} {size}");
        }
    }
}

/// asfmux puts the header into the caps and sends it as a buffer as well. A late joiner at a tee gets it in the caps
/// only.
#[test]
fn the_header_in_the_caps_is_sent_once() {
    let name = "av_asfmux_p1500_streamable.asf";
    let bytes = fixture_bytes(name);
    let mut reader = Reader::new();
    reader.push(bytes.clone().into());
    let Ok(Some(Item::Header(header))) = reader.next_item() else {
        panic!("no header")
    };
    let size = header.as_bytes().len();
    for first in [0, size] {
        let mut harness = Harness::new();
        harness.event(gst::event::StreamStart::new("test"));
        harness.caps(Some(&bytes[..size]));
        harness.start(gst::Format::Time);
        harness.push(&bytes[first..], 1500);
        assert_eq!(harness.end().received, expected(name), "{first}");
    }
}

/// `concat` delivers one file after the other, each with a segment that continues where the last one ended.
#[test]
fn a_second_file_is_the_next_playlist_entry() {
    let point = Point::new();
    let [first, second] = [
        "av_index_ffmpeg_p3200.asf",
        "av_asfmux_p1500_streamable.asf",
    ];
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} ! c. filesrc location={} ! c. concat name=c ! wmspushsink name=sink sync=false location={}",
        crate::rig::fixture(first),
        crate::rig::fixture(second),
        point.location()
    ));
    pipeline.run();
    let mut all = expected(first);
    all.pop();
    let mut entry = expected(second);
    let Received::Header(header) = entry.remove(0) else {
        panic!("no header")
    };
    all.extend([
        Received::EndOfStream(HResult::S_FALSE),
        Received::StreamChange(header),
    ]);
    all.extend(entry);
    assert_eq!(point.ended().received, all);
}

/// Two files in one stream of bytes, as from `cat`.
/// C-038, C-102, C-167, C-180, C-183
#[test]
fn a_header_within_the_bytes_is_the_next_playlist_entry() {
    let name = "concat_asfmux_p1000_ffmpeg_p3200.bin";
    let point = Point::new();
    Pipeline::file(name, &point.location(), "").run();
    let received = point.ended().received;
    assert!(
        received
            .iter()
            .any(|packet| matches!(packet, Received::StreamChange(_)))
    );
    assert_eq!(received, expected(name));
}

/// avmux_asf seeks back to the beginning at the end of its file, to write the header again.
#[test]
fn a_rewritten_header_is_not_sent() {
    let name = "audio_ffmpeg_p3200.asf";
    let bytes = fixture_bytes(name);
    let mut harness = Harness::new();
    harness.event(gst::event::StreamStart::new("test"));
    harness.segment_at(0);
    harness.push(&bytes, 3200);
    harness.segment_at(0);
    harness.push(&bytes[..494], 494);
    assert_eq!(harness.end().received, expected(name));

    // asfmux rewrites parts of its header only.
    let mut harness = Harness::new();
    harness.event(gst::event::StreamStart::new("test"));
    harness.segment_at(0);
    harness.push(&bytes, 3200);
    harness.segment_at(70);
    harness.push(&[0xff; 64], 64);
    harness.segment_at(16);
    harness.push(&[0xff; 32], 32);
    assert_eq!(harness.end().received, expected(name));
}

/// After a flush the stream continues at a packet boundary, without another header.
#[test]
fn a_flush_drops_a_partial_packet_but_no_sent_data() {
    let name = "av_asfmux_p1500_streamable.asf";
    let bytes = fixture_bytes(name);
    let header = bytes.len() % 1500;
    let mut harness = Harness::new();
    harness.start(gst::Format::Time);
    harness.push(&bytes[..header + 1500 * 10 + 700], usize::MAX);
    harness.wait_until_sent(10);
    harness.event(gst::event::FlushStart::new());
    harness.event(gst::event::FlushStop::new(true));
    harness.start(gst::Format::Time);
    harness.push(&bytes[header + 1500 * 20..], 1500);
    let mut wanted = expected(name);
    wanted.drain(1 + 10..1 + 20);
    assert_eq!(harness.end().received, wanted);
}

/// 2.2.3.3: after the server has padded a packet with zeros, it has every payload, which the recording's decoder finds.
/// C-044
#[test]
fn padding_is_removed_unless_disabled() {
    let name = "video_asfmux_p3200_streamable.asf";
    let point = Point::new();
    let pipeline = Pipeline::file(name, &point.location(), "remove-padding=false");
    pipeline.run();
    let push = point.ended();
    assert!(push.data().all(|packet| packet.len() == 3200));
    let removed = |pipeline: &Pipeline| {
        pipeline
            .sink
            .property::<gst::Structure>("stats")
            .get::<u64>("padding-removed")
            .unwrap()
    };
    assert_eq!(removed(&pipeline), 0);

    let point = Point::new();
    let pipeline = Pipeline::file(name, &point.location(), "");
    pipeline.run();
    let sent: u64 = point.ended().data().map(|packet| packet.len() as u64).sum();
    assert!(removed(&pipeline) > 0);
    assert_eq!(sent + removed(&pipeline), push.data_bytes);
}

#[test]
fn a_header_can_be_sent_unchanged() {
    let name = "audio_ffmpeg_p3200.asf";
    let point = Point::new();
    Pipeline::file(name, &point.location(), "live-header=false").run();
    let push = point.ended();
    let header = push.headers().next().unwrap();
    assert_eq!(header, &fixture_bytes(name)[..header.len()]);

    let point = Point::new();
    Pipeline::file(name, &point.location(), "").run();
    let live = FileHeader::parse(point.ended().headers().next().unwrap().clone()).unwrap();
    assert!(live.is_broadcast());
    assert_eq!(live.data_packets(), None);
}

/// No packet is sent, the error describes the input, and nothing crashes.
#[test]
fn malformed_input_is_one_error() {
    for (name, error) in [
        (
            "malformed_header_truncated_ffmpeg.asf",
            "STREAM/WrongType start not-asf ASF_E_NOHEADEROBJECT",
        ),
        (
            "malformed_header_size_2e40_ffmpeg.asf",
            "STREAM/Format start malformed-asf ASF_E_HEADERSIZE",
        ),
        (
            "malformed_header_size_20_ffmpeg.asf",
            "STREAM/Format start malformed-asf ASF_E_INVALIDHEADER",
        ),
        (
            "malformed_wrong_header_guid_ffmpeg.asf",
            "STREAM/WrongType start not-asf ASF_E_NOHEADEROBJECT",
        ),
        (
            "malformed_no_file_properties_ffmpeg.asf",
            "STREAM/Format start malformed-asf ASF_E_NOFILEPROPS",
        ),
        (
            "malformed_min_ne_max_packet_ffmpeg.asf",
            "STREAM/Format start malformed-asf ASF_E_UNKNOWNPACKETSIZE",
        ),
        (
            "malformed_packet_size_0_ffmpeg.asf",
            "STREAM/Format start malformed-asf ASF_E_PACKETCONTENTTOOLARGE",
        ),
        (
            "malformed_packet_size_max_ffmpeg.asf",
            "STREAM/Format start malformed-asf ASF_E_PACKETCONTENTTOOLARGE",
        ),
        (
            "malformed_wrong_data_guid_ffmpeg.asf",
            "STREAM/Format start malformed-asf ASF_E_NODATAOBJECT",
        ),
        (
            "malformed_random_64k.bin",
            "STREAM/WrongType start not-asf ASF_E_NOHEADEROBJECT",
        ),
    ] {
        let point = Point::new();
        let pipeline = Pipeline::file(name, &point.location(), "");
        // The session is set up before the input is parsed, so that the phase is always the same.
        let _ = pipeline.pipeline.set_state(gst::State::Paused);
        pipeline.messages_until("WMT_OPENED");
        let (details, messages) = pipeline.fail();
        assert_eq!(
            messages.last().unwrap(),
            &format!("ERROR {error}"),
            "{name}"
        );
        assert_eq!(details.get::<&str>("state"), Ok("failed"));
        assert_eq!(
            pipeline
                .messages_left()
                .iter()
                .filter(|line| line.starts_with("ERROR"))
                .count(),
            0
        );
        assert!(
            point
                .handle
                .pushes()
                .iter()
                .all(|push| push.received.is_empty()),
            "{name}"
        );
    }
}

#[test]
fn no_input_at_all_is_an_error() {
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "filesrc location=/dev/null ! wmspushsink name=sink location={}",
        point.location()
    ));
    let (_, messages) = pipeline.fail();
    assert!(
        messages
            .last()
            .unwrap()
            .starts_with("ERROR STREAM/WrongType"),
        "{messages:#?}"
    );
}

/// A damaged packet is sent unchanged, with a WARNING as for a partial one.
#[test]
fn damage_after_good_packets_does_not_end_the_push() {
    for (name, packets, reason) in [
        (
            "malformed_packet2_prop_flags_00_ffmpeg.asf",
            7,
            "malformed-packet",
        ),
        (
            "malformed_packet2_padding_gt_packet_ffmpeg.asf",
            7,
            "malformed-packet",
        ),
        ("malformed_last_packet_truncated_ffmpeg.asf", 3, "input"),
    ] {
        let point = Point::new();
        let pipeline = Pipeline::file(name, &point.location(), "");
        let messages = pipeline.run();
        let warnings: Vec<_> = messages
            .iter()
            .filter(|line| line.starts_with("WARNING"))
            .collect();
        let warning = format!("WARNING STREAM/Format push {reason} NS_E_INVALID_DATA");
        assert_eq!(warnings, [&warning], "{messages:#?}");
        let push = point.ended();
        assert_eq!(push.received, expected(name));
        assert_eq!(push.data_packets, packets, "{name}");
    }
}

/// A picture in the metadata makes a header too large for `$H`.
/// C-058
#[test]
fn an_overlong_header_loses_optional_objects() {
    let bytes = fixture_bytes("audio_ffmpeg_p3200.asf");
    let mut reader = Reader::new();
    reader.push(bytes.clone().into());
    let Ok(Some(Item::Header(header))) = reader.next_item() else {
        panic!("no header")
    };
    let header_object = header.as_bytes().len() - 50;
    // A Padding Object of 70,000 bytes as the last child of the Header Object.
    let mut long = bytes[..header_object].to_vec();
    let padding_guid = [
        0x74, 0xd4, 0x06, 0x18, 0xdf, 0xca, 0x09, 0x45, 0xa4, 0xba, 0x9a, 0xab, 0xcb, 0x96, 0xaa,
        0xe8,
    ];
    long.extend_from_slice(&padding_guid);
    long.extend_from_slice(&70_000u64.to_le_bytes());
    long.resize(header_object + 70_000, 0);
    let size = long.len() as u64;
    long[16..24].copy_from_slice(&size.to_le_bytes());
    long.extend_from_slice(&bytes[header_object..]);

    let mut harness = Harness::new();
    let bus = gst::Bus::new();
    harness.harness.element().unwrap().set_bus(Some(&bus));
    harness.event(gst::event::StreamStart::new("test"));
    harness.segment_at(0);
    harness.push(&long, 4096);
    let timeout = gst::ClockTime::try_from(LONG).unwrap();
    let warning = bus
        .timed_pop_filtered(timeout, &[gst::MessageType::Warning])
        .unwrap();
    let gst::MessageView::Warning(warning) = warning.view() else {
        panic!("no WARNING")
    };
    assert!(
        warning.error().message().contains("adding"),
        "{}",
        warning.error().message()
    );
    let push = harness.end();
    assert_eq!(push.headers().next().unwrap().len(), live(&header).len());
    assert_eq!(push.received[1..], expected("audio_ffmpeg_p3200.asf")[1..]);
}

/// D8: other formats can be linked, and are rejected by name before any byte is sent.
#[test]
fn other_formats_are_linked_and_rejected_by_name() {
    for (upstream, format) in [
        ("videotestsrc", "raw video"),
        ("audiotestsrc", "raw audio"),
        ("videotestsrc is-live=true", "raw video"),
        (
            "fakesrc sizetype=fixed ! video/x-wmv,wmvversion=2",
            "Windows Media Video without a container",
        ),
        (
            "fakesrc sizetype=fixed ! video/quicktime",
            "MP4 or QuickTime",
        ),
        (
            "fakesrc sizetype=fixed ! video/x-matroska",
            "Matroska or WebM",
        ),
    ] {
        let point = Point::new();
        let pipeline = Pipeline::new(&format!(
            "{upstream} ! wmspushsink name=sink location={}",
            point.location()
        ));
        let bus = pipeline.pipeline.bus().unwrap();
        let _ = pipeline.pipeline.set_state(gst::State::Playing);
        let timeout = gst::ClockTime::try_from(LONG).unwrap();
        let message = bus.timed_pop_filtered(timeout, &[gst::MessageType::Error]);
        let message = message.expect("an ERROR");
        let gst::MessageView::Error(error) = message.view() else {
            panic!("no ERROR")
        };
        let text = error.error().message().to_owned();
        assert!(text.starts_with("Cannot push to "), "{text}");
        assert!(
            text.ends_with(&format!(": input is {format}, not ASF.")),
            "{text}"
        );
        assert!(error.error().matches(gst::StreamError::WrongType), "{text}");
        let hint = error.details().unwrap().get::<String>("hint").unwrap();
        assert!(hint.contains("! wmspushbin "), "{hint}");
    }
}
