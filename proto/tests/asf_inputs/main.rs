// SPDX-License-Identifier: MPL-2.0

//! Streams as their producers deliver them: what the reader makes of each, however it is split.

mod contents;
mod damaged;

use std::path::Path;

use bytes::Bytes;
use wmspush_proto::asf::{Error, Item, Reader, SkipReason, Skipped};

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
fn ffmpeg_ends_a_pipe_with_a_foreign_chunk() {
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
fn avmux_asf_stream_has_chunks_of_header_and_packets() {
    assert_eq!(
        summary("audio_chunks_avmux_p3200.bin"),
        "H494/3200, 3, 12 chunk $E"
    );
}

#[test]
fn a_second_file_in_a_stream_is_a_new_header() {
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
fn packets_with_64_payloads_are_split_without_empty_ones() {
    let name = "audio_64_payloads_asfmux_p20000.asf";
    assert_eq!(summary(name), "H374/20000, 5");
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
        (63, second),
        (63, third),
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
fn send_times_never_go_back_and_keep_their_start() {
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
