// SPDX-License-Identifier: MPL-2.0

//! The contents of the headers and packets of each producer.

use std::path::Path;

use wmspush_proto::asf::{AbsurdTimes, Bitrates, Item, KeyFrames, StreamType, TimeWatch};

use crate::read_fixture;

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
fn only_streams_shifted_by_1000_hours_have_absurd_times() {
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
fn many_tags_are_shed_for_a_small_receiver() {
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
fn known_bit_rates_are_filled_in() {
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
