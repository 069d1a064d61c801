// SPDX-License-Identifier: MPL-2.0

//! Streams as their producers deliver them: what the reader makes of each, however it is split.

use std::path::Path;

use bytes::Bytes;
use wmspush_proto::asf::{
    AbsurdTimes, Bitrates, Error, Guid, Item, KeyFrames, Reader, SkipReason, Skipped, StreamType,
    TimeWatch,
};

fn fixture(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .into()
}

/// All items of a stream, and what is left at its end
type Outcome = (Vec<Item>, Result<Vec<Skipped>, Error>);

/// Reads `bytes` in buffers of `split` bytes.
fn read(bytes: &Bytes, split: usize) -> Outcome {
    let mut reader = Reader::new();
    let mut items = Vec::new();
    for start in (0..bytes.len()).step_by(split) {
        reader.push(bytes.slice(start..bytes.len().min(start + split)));
        loop {
            match reader.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.finish(), Err(error.clone()));
                    return (items, Err(error));
                }
            }
        }
    }
    let rest = std::iter::from_fn(|| reader.finish().transpose()).collect();
    (items, rest)
}

/// Reads a fixture in several splits, which have to agree.
fn read_fixture(name: &str) -> Outcome {
    let bytes = fixture(name);
    let whole = read(&bytes, bytes.len());
    for split in [1, 7, 4096] {
        assert_eq!(
            read(&bytes, split),
            whole,
            "{name} in buffers of {split} bytes"
        );
    }
    whole
}

/// A short form of an outcome: `H759/3200` a header of 759 + 50 bytes for packets of 3200, `21` packets,
/// `!` in front of a damaged one, and what was skipped
fn summary(name: &str) -> String {
    let (items, rest) = read_fixture(name);
    let mut words: Vec<String> = Vec::new();
    let mut packets = 0;
    for item in &items {
        if let (Item::DataUnit(packet), Some(word)) = (item, words.last_mut())
            && packet.defect().is_none()
            && packets > 0
        {
            packets += 1;
            *word = packets.to_string();
            continue;
        }
        packets = 0;
        words.push(match item {
            Item::Header(header) => {
                format!("H{}/{}", header.as_bytes().len() - 50, header.packet_size())
            }
            Item::DataUnit(packet) => match packet.defect() {
                None => {
                    packets = 1;
                    "1".into()
                }
                Some(defect) => format!("!({defect})"),
            },
            Item::Skipped(skipped) => short(skipped),
        });
    }
    match rest {
        Ok(rest) => words.extend(rest.iter().map(|skipped| format!("end {}", short(skipped)))),
        Err(error) => words.push(format!("error: {error}")),
    }
    words.join(", ")
}

fn short(skipped: &Skipped) -> String {
    format!("{} {}", skipped.bytes, skipped.reason)
}

#[test]
fn asfmux_streamable_has_one_header_and_packets() {
    assert_eq!(summary("av_asfmux_p1500_streamable.asf"), "H595/1500, 27");
    assert_eq!(summary("video_asfmux_p3200_streamable.asf"), "H401/3200, 7");
    assert_eq!(
        summary("video_1000h_asfmux_p1500_streamable.asf"),
        "H401/1500, 13"
    );
}

#[test]
fn an_index_behind_a_stored_file_is_skipped() {
    assert_eq!(
        summary("av_index_asfmux_p4800.asf"),
        "H595/4800, 9, 104 top-level object Simple Index"
    );
    assert_eq!(
        summary("av_index_ffmpeg_p3200.asf"),
        "H759/3200, 21, 104 top-level object Simple Index"
    );
    assert_eq!(summary("audio_ffmpeg_p3200.asf"), "H494/3200, 7");
}

#[test]
fn a_header_of_many_tags_is_read() {
    assert_eq!(
        summary("audio_many_tags_ffmpeg_p3200.asf"),
        "H38474/3200, 7"
    );
}

#[test]
fn ffmpeg_ends_a_pipe_with_a_chunk_that_is_no_asf() {
    assert_eq!(
        summary("av_index_trailing_ffmpeg_p3200_pipe.asf"),
        "H759/3200, 21, 104 top-level object Simple Index, end 12 part of a data packet"
    );
}

#[test]
fn avmux_writes_its_header_again_at_the_end() {
    assert_eq!(
        summary("av_header_rewrite_avmux_p3200.bin"),
        "H759/3200, 13, 104 top-level object Simple Index, end 809 a rewritten header without packets"
    );
}

#[test]
fn avmux_asf_stream_has_chunks_with_a_header_and_packets_in_them() {
    assert_eq!(
        summary("audio_chunks_avmux_p3200.bin"),
        "H494/3200, 3, 12 chunk $E"
    );
}

#[test]
fn a_second_file_in_the_same_stream_is_a_new_header() {
    assert_eq!(
        summary("concat_asfmux_p1000_ffmpeg_p3200.bin"),
        "H374/1000, 20, H494/3200, 7"
    );
}

#[test]
fn the_same_file_twice_in_a_stream_is_two_entries() {
    assert_eq!(
        summary("concat_same_file_ffmpeg_p3200.bin"),
        "H494/3200, 11, H494/3200, 11"
    );
}

#[test]
fn a_file_in_a_loop_is_an_entry_each_time() {
    for (name, headers, packets) in [
        ("audio_ffmpeg_p3200.asf", 3, 21),
        ("av_index_asfmux_p4800.asf", 3, 27),
        ("av_asfmux_p1500_streamable.asf", 3, 81),
        ("video_1000h_asfmux_p1500_streamable.asf", 3, 39),
        ("av_header_rewrite_avmux_p3200.bin", 3, 39),
        ("audio_chunks_avmux_p3200.bin", 3, 9),
    ] {
        let bytes = Bytes::from(fixture(name).repeat(3));
        let (items, rest) = read(&bytes, 4096);
        let count = |is: fn(&Item) -> bool| items.iter().filter(|item| is(item)).count();
        let found = (
            count(|item| matches!(item, Item::Header(_))),
            count(|item| matches!(item, Item::DataUnit(_))),
        );
        assert_eq!(found, (headers, packets), "{name}");
        assert!(rest.is_ok(), "{name}");
    }
}

/// asfmux has three packets with 64 payloads here, and one with eleven
#[test]
fn packets_with_64_payloads_become_two_each() {
    let name = "audio_64_payloads_asfmux_p20000.asf";
    assert_eq!(summary(name), "H374/20000, 7");
    let items = read_fixture(name).0;
    let packets = items.iter().filter_map(|item| match item {
        Item::DataUnit(packet) => Some(packet),
        _ => None,
    });
    let told: Vec<_> = packets
        .map(|packet| (packet.as_bytes()[12] & 0x3f, packet.send_time().unwrap()))
        .collect();
    let [first, second, third, last] = [0, 2925, 5851, 8777];
    let expected = [
        (32, first),
        (32, first),
        (32, second),
        (32, second),
        (32, third),
        (32, third),
        (11, last),
    ];
    assert_eq!(told, expected);
}

#[test]
fn headers_tell_what_the_producer_wrote() {
    let header = |name| match read_fixture(name).0.into_iter().next() {
        Some(Item::Header(header)) => header,
        other => panic!("{name}: {other:?}"),
    };
    let asfmux = header("av_asfmux_p1500_streamable.asf");
    assert!(asfmux.is_broadcast());
    assert_eq!(
        (
            asfmux.data_packets(),
            asfmux.preroll(),
            asfmux.maximum_bitrate()
        ),
        (None, 5000, 0)
    );
    assert_eq!(asfmux.stream_count(), 2);
    let ffmpeg = header("audio_ffmpeg_p3200.asf");
    assert!(!ffmpeg.is_broadcast());
    assert_eq!(
        (
            ffmpeg.data_packets(),
            ffmpeg.preroll(),
            ffmpeg.stream_count()
        ),
        (Some(7), 3100, 1)
    );
    let avmux = header("av_header_rewrite_avmux_p3200.bin");
    assert!(!avmux.is_broadcast());
    assert_eq!(avmux.data_packets(), None);
}

#[test]
fn send_times_do_not_go_back_and_start_where_the_producer_starts() {
    for (name, first) in [
        ("av_asfmux_p1500_streamable.asf", 0),
        ("video_1000h_asfmux_p1500_streamable.asf", 3_600_000_000),
        ("audio_ffmpeg_p3200.asf", 0),
        ("av_index_ffmpeg_p3200.asf", 0),
    ] {
        let times: Vec<_> = read_fixture(name)
            .0
            .iter()
            .filter_map(|item| match item {
                Item::DataUnit(packet) => Some(packet.send_time().unwrap()),
                _ => None,
            })
            .collect();
        assert_eq!(times[0], first, "{name}");
        assert!(times.is_sorted(), "{name}: {times:?}");
    }
}

/// avmux_asf goes back to byte 0 with a BYTES segment before it writes its header again
#[test]
fn avmux_going_back_to_the_start_adds_no_entry() {
    let bytes = fixture("av_header_rewrite_avmux_p3200.bin");
    let mut reader = Reader::new();
    reader.push(bytes.slice(..bytes.len() - 809));
    reader.rewind(0);
    reader.push(bytes.slice(bytes.len() - 809..));
    let items: Vec<_> = std::iter::from_fn(|| reader.next_item().unwrap()).collect();
    assert_eq!(
        items
            .iter()
            .filter(|item| matches!(item, Item::Header(_)))
            .count(),
        1
    );
    let rest = reader.finish().unwrap().unwrap();
    assert_eq!(
        rest,
        Skipped {
            bytes: 809,
            reason: SkipReason::RewrittenHeader
        }
    );
    assert!(!rest.reason.is_loss());
}

/// asfparse sends Header Object and Data Object head in two buffers, then a packet in each
#[test]
fn packets_in_buffers_of_their_own_are_not_copied() {
    let bytes = fixture("av_index_asfmux_p4800.asf");
    let mut reader = Reader::new();
    let mut at = 0;
    let mut sent = Vec::new();
    for len in [595, 50].into_iter().chain([4800; 9]) {
        let buffer = bytes.slice(at..at + len);
        sent.push(buffer.as_ptr());
        reader.push(buffer);
        at += len;
    }
    let packets: Vec<_> = std::iter::from_fn(|| reader.next_item().unwrap())
        .filter_map(|item| match item {
            Item::DataUnit(packet) => Some(packet.as_bytes().as_ptr()),
            _ => None,
        })
        .collect();
    assert_eq!(packets, sent[2..]);
}

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

/// The names of all fixtures that a producer has written
fn valid_fixtures() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let names = std::fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| !name.starts_with("malformed") && !name.ends_with(".md"))
        .filter(|name| name.ends_with(".asf") || name.ends_with(".bin"))
        .collect()
}

/// libav's video encoders shift by 1000 hours. All data of the other stream comes first, then that at 1000 hours.
#[test]
fn only_streams_with_a_shift_of_1000_hours_have_absurd_times() {
    for name in valid_fixtures() {
        let mut watch = TimeWatch::new();
        let mut found = Vec::new();
        for item in read_fixture(&name).0 {
            match item {
                Item::Header(_) => watch.new_entry(),
                Item::DataUnit(packet) => found.extend(watch.observe(&packet)),
                Item::Skipped(_) => {}
            }
        }
        if name == "video_1000h_asfmux_p1500_streamable.asf" {
            let at = 3_600_000_000;
            assert_eq!(found, [AbsurdTimes::Beginning { at }]);
            continue;
        }
        if name != "av_1000h_asfmux_p1500_streamable.asf" {
            assert_eq!(found, [], "{name}");
            continue;
        }
        let [times @ AbsurdTimes::SendTime { from, to }] = found[..] else {
            panic!("{found:?}");
        };
        assert!(from < 10_000 && to >= 3_600_000_000, "{times}");
        assert!(times.is_libav_shift(), "{times}");
    }
}

#[test]
fn every_header_is_made_live_once() {
    for name in valid_fixtures() {
        for item in read_fixture(&name).0 {
            let Item::Header(header) = item else {
                continue;
            };
            let live = header.to_live();
            assert!(
                live.is_broadcast() && live.data_packets().is_none(),
                "{name}"
            );
            assert_eq!(live.as_bytes().len(), header.as_bytes().len(), "{name}");
            // kagamin2 takes these bytes for the end of the header: Total Data Packets' last two, and Reserved.
            let end = live
                .as_bytes()
                .windows(4)
                .position(|bytes| bytes == [0, 0, 1, 1]);
            assert_eq!(end, Some(live.as_bytes().len() - 4), "{name}");
            assert_eq!(live.to_live(), live, "{name}");
            let recorded = live.for_recording(7, 3000);
            assert_eq!(recorded.data_packets(), Some(7), "{name}");
            assert_eq!(recorded.to_live(), live, "{name}");
        }
    }
}

#[test]
fn a_header_of_many_tags_is_shed_for_a_small_receiver() {
    let Some(Item::Header(header)) = read_fixture("audio_many_tags_ffmpeg_p3200.asf")
        .0
        .into_iter()
        .next()
    else {
        panic!("no header");
    };
    let (less, shed) = header.shed_to(8192).unwrap();
    assert!(less.as_bytes().len() <= 8192);
    assert_eq!(
        shed.iter().map(|object| object.name).collect::<Vec<_>>(),
        ["Extended Content Description"]
    );
    assert_eq!(less.stream_count(), 1);
}

#[test]
fn streams_are_those_that_the_producer_has_written() {
    use StreamType::{Audio, Video};
    for (name, expected) in [
        (
            "av_asfmux_p1500_streamable.asf",
            &[(1, Video), (2, Audio)][..],
        ),
        ("av_index_ffmpeg_p3200.asf", &[(1, Video), (2, Audio)]),
        ("audio_ffmpeg_p3200.asf", &[(1, Audio)]),
        ("video_asfmux_p3200_streamable.asf", &[(1, Video)]),
    ] {
        let items = read_fixture(name).0;
        let Some(Item::Header(header)) = items.first() else {
            panic!("{name}: no header");
        };
        let streams: Vec<_> = header.streams();
        let found: Vec<_> = streams
            .iter()
            .map(|stream| (stream.number, stream.stream_type))
            .collect();
        assert_eq!(found, expected, "{name}");
        assert!(streams.iter().all(|stream| stream.direct), "{name}");
    }
}

/// Packets at which decoding can begin, by their number: those where ffprobe finds the key frames, too
#[test]
fn key_frames_begin_where_the_producer_has_put_them() {
    for (name, expected) in [
        ("av_asfmux_p1500_streamable.asf", &[0, 12, 21][..]),
        ("video_asfmux_p3200_streamable.asf", &[0, 3, 5]),
        ("video_1000h_asfmux_p1500_streamable.asf", &[0, 7, 10]),
        ("av_index_asfmux_p4800.asf", &[0, 3, 6]),
        ("av_index_ffmpeg_p3200.asf", &[0, 7, 15]),
        ("av_header_rewrite_avmux_p3200.bin", &[0, 5, 9]),
        ("audio_ffmpeg_p3200.asf", &[0, 1, 2, 3, 4, 5, 6]),
    ] {
        let items = read_fixture(name).0;
        let Some(Item::Header(header)) = items.first() else {
            panic!("{name}: no header");
        };
        let key_frames = KeyFrames::of(header);
        let found: Vec<_> = items
            .iter()
            .filter_map(|item| match item {
                Item::DataUnit(packet) => Some(key_frames.begins_in(packet)),
                _ => None,
            })
            .enumerate()
            .filter_map(|(number, begins)| begins.then_some(number))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

/// asfmux writes no bit rate at all; FFmpeg writes the total, or 0xFFFFFFFF for variable bit rates
#[test]
fn bit_rates_are_filled_in_as_far_as_they_are_known() {
    let given = Bitrates {
        total: Some(200_000),
        ..Bitrates::default()
    };
    for (name, bitrates, maximum, grown) in [
        ("av_asfmux_p1500_streamable.asf", Bitrates::default(), 0, 0),
        ("av_asfmux_p1500_streamable.asf", given.clone(), 200_000, 38),
        (
            "video_asfmux_p3200_streamable.asf",
            given.clone(),
            200_000,
            32,
        ),
        ("audio_ffmpeg_p3200.asf", Bitrates::default(), 48_000, 32),
        ("audio_mp3_vbr_ffmpeg_p3200.asf", Bitrates::default(), 0, 0),
        ("audio_mp3_vbr_ffmpeg_p3200.asf", given, 200_000, 32),
        (
            "av_index_ffmpeg_p3200.asf",
            Bitrates::default(),
            168_000,
            38,
        ),
    ] {
        let items = read_fixture(name).0;
        let Some(Item::Header(header)) = items.first() else {
            panic!("{name}: no header");
        };
        let live = header.to_live_with(&bitrates);
        let found = live.as_bytes().len() - header.as_bytes().len();
        assert_eq!((live.maximum_bitrate(), found), (maximum, grown), "{name}");
    }
}
