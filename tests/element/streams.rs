// SPDX-License-Identifier: MPL-2.0

//! Effects of upstream elements on a stream: wrapping, parsing, tags, gaps, seeks, switching, and late branches.

use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use gst::prelude::*;
use gstwmspush::asf::{DataPacket, FileHeader, KeyFrames};
use gstwmspush::wmhttp::HResult;
use gstwmspush::wmhttp::server::Received;
use publishing_point::{Event, Push};

use crate::harness::{Harness, expected, unpadded};
use crate::recovery::ended;
use crate::rig::{LONG, Pipeline, Point, fixture, fixture_bytes};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// Packets before the late branch joins: behind the first key frame and in front of the next.
const JOINS_BEHIND: usize = 10;

/// Returns a live video source with a key frame every two seconds, in small packets.
fn live_video(packet_size: u32) -> String {
    format!(
        "videotestsrc is-live=true pattern=ball ! video/x-raw,width=64,height=48,framerate=20/1 \
         ! avenc_wmv2 gop-size=40 ! identity single-segment=true \
         ! asfmux streamable=true packet-size={packet_size}"
    )
}

fn tag(rate: u32, codec: &str) -> gst::Event {
    let mut tags = gst::TagList::new();
    let append = gst::TagMergeMode::Append;
    let to = tags.make_mut();
    to.add::<gst::tags::NominalBitrate>(&rate, append);
    match codec {
        "audio" => to.add::<gst::tags::AudioCodec>(&codec, append),
        "video" => to.add::<gst::tags::VideoCodec>(&codec, append),
        _ => to.add::<gst::tags::Title>(&codec, append),
    }
    gst::event::Tag::new(tags)
}

/// Records all buffers that enter the pad `sink` of this element.
fn buffers_into(element: &gst::Element) -> Arc<Mutex<Vec<Bytes>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let pad = element.static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer() {
            let map = buffer.map_readable().unwrap();
            record.lock().unwrap().push(Bytes::copy_from_slice(&map));
        }
        gst::PadProbeReturn::Ok
    });
    seen
}

/// A message for each buffer that passes a pad.
fn passing(pad: &gst::Pad) -> mpsc::Receiver<()> {
    let (sender, passed) = mpsc::channel();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        // The test may have seen enough.
        let _ = sender.send(());
        gst::PadProbeReturn::Ok
    });
    passed
}

fn header(push: &Push) -> FileHeader {
    FileHeader::parse(push.headers().next().unwrap().clone()).unwrap()
}

/// Returns the packets of a file whose header was in the caps only, from packet `first` on.
fn joined(first: usize) -> Vec<Received> {
    let bytes = fixture_bytes(AUDIO_VIDEO);
    let size = bytes.len() % 1500;
    let mut harness = Harness::new();
    harness.event(gst::event::StreamStart::new("test"));
    harness.caps(Some(&bytes[..size]));
    harness.start(gst::Format::Time);
    harness.push(&bytes[size + first * 1500..], 1500);
    harness.end().received
}

#[test]
fn tags_provide_bit_rates_that_the_header_lacks() {
    let mut harness = Harness::new();
    harness.start(gst::Format::Time);
    harness.event(tag(999, "a title"));
    harness.event(tag(200_000, "video"));
    harness.push(&fixture_bytes(AUDIO_VIDEO), 1500);
    let push = harness.end();
    assert_eq!(push.received[1..], expected(AUDIO_VIDEO)[1..]);
    // The audio stream's 48,000 bit/s are in its format.
    assert_eq!(header(&push).maximum_bitrate(), 248_000);
    assert_eq!(header(&push).as_bytes().len(), 595 + 50 + 38);
}

/// asfmux and avmux_asf send the tags of their streams in separate lists, before anything else.
#[test]
fn the_bit_rates_of_encoders_reach_the_server() {
    let video =
        "videotestsrc num-buffers=30 ! avenc_wmv2 bitrate=150000 ! identity single-segment=true";
    let audio = "audiotestsrc num-buffers=40 ! avenc_wmav2 bitrate=64000";
    for (producer, total) in [
        (format!("{video} ! asfmux"), 150_000),
        (format!("{video} ! asfmux name=m {audio} ! m. m."), 214_000),
        (format!("{video} ! m. {audio} ! asfmux name=m"), 214_000),
    ] {
        let point = Point::new();
        let location = point.location();
        let pipeline = Pipeline::new(&format!(
            "{producer} ! wmspushsink name=sink sync=false location={location}"
        ));
        pipeline.run();
        assert_eq!(header(&point.ended()).maximum_bitrate(), total);
    }
}

#[test]
fn tags_and_gaps_within_the_stream_change_nothing() {
    let bytes = fixture_bytes(AUDIO_VIDEO);
    let mut harness = Harness::new();
    harness.start(gst::Format::Time);
    for (number, chunk) in bytes.chunks(4000).enumerate() {
        let time = gst::ClockTime::from_mseconds(number as u64 * 10);
        harness.event(tag(number as u32, "video"));
        harness.event(gst::event::Gap::builder(time).build());
        harness.push(chunk, 4000);
    }
    assert_eq!(harness.end().received, expected(AUDIO_VIDEO));
}

/// asfparse sends the file header in two buffers, and index objects as well.
#[test]
fn the_output_of_asfparse_is_received() {
    for name in [
        AUDIO_VIDEO,
        "audio_ffmpeg_p3200.asf",
        "av_index_asfmux_p4800.asf",
        "av_index_ffmpeg_p3200.asf",
        "video_1000h_asfmux_p1500_streamable.asf",
    ] {
        let point = Point::new();
        let pipeline = Pipeline::new(&format!(
            "filesrc location={} ! asfparse ! wmspushsink name=sink sync=false location={}",
            fixture(name),
            point.location()
        ));
        let messages = pipeline.run();
        let warned = messages.iter().any(|line| line.starts_with("WARNING"));
        assert_eq!(warned, name.contains("1000h"), "{name}: {messages:#?}");
        assert_eq!(point.ended().received, expected(name), "{name}");
    }
}

/// avmux_asf_stream wraps header and packets in the chunks of a pulled stream, and sends no caps event.
#[test]
fn the_output_of_avmux_asf_stream_is_unwrapped() {
    let video = "videotestsrc num-buffers=30 ! avenc_msmpeg4 ! identity single-segment=true ! m.";
    let audio = "audiotestsrc num-buffers=100 ! avenc_wmav2 ! m. avmux_asf_stream name=m";
    for (producer, streams) in [(audio.to_owned(), 1), (format!("{video} {audio}"), 2)] {
        let point = Point::new();
        let location = point.location();
        let pipeline = Pipeline::new(&format!(
            "{producer} ! wmspushsink name=sink sync=false location={location}"
        ));
        let seen = buffers_into(&pipeline.sink);
        pipeline.run();
        let push = point.ended();
        assert_eq!(header(&push).stream_count(), streams);
        let seen = seen.lock().unwrap();
        // The first chunk has the header, the last one is `$E`. 12 bytes precede each packet.
        let packets: Vec<_> = seen[1..seen.len() - 1]
            .iter()
            .map(|chunk| unpadded(&DataPacket::parse(chunk.slice(12..))))
            .collect();
        assert!(packets.len() > 3, "{}", packets.len());
        assert_eq!(push.data().cloned().collect::<Vec<_>>(), packets);
    }
}

/// Its Send Times restart. The flush cuts no packet.
#[test]
fn a_flushing_seek_to_the_start_begins_another_entry() {
    let name = "av_index_ffmpeg_p3200.asf";
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} blocksize=1000 ! wmspushsink name=sink location={}",
        fixture(name),
        point.location()
    ));
    pipeline.play();
    for _ in 0..6 {
        let data = |event: &Event| matches!(event, Event::Data { .. });
        point.handle.wait_for(data, LONG).expect("data");
    }
    let start = gst::format::Bytes::from_u64(0);
    pipeline
        .pipeline
        .seek_simple(gst::SeekFlags::FLUSH, start)
        .unwrap();
    let messages = pipeline.messages_until("EOS");
    assert!(!messages.iter().any(|line| line.starts_with("ERROR")));
    let received = point.ended().received;
    let all = expected(name);
    let Received::Header(header) = &all[0] else {
        panic!("{:?}", all[0]);
    };
    let entry = [
        Received::EndOfStream(HResult::S_FALSE),
        Received::StreamChange(header.clone()),
    ];
    let again = received.len() - (entry.len() + all.len() - 1);
    assert!((1 + 6..all.len() - 1).contains(&again), "{again}");
    assert_eq!(received[..again], all[..again]);
    assert_eq!(received[again..again + 2], entry);
    assert_eq!(received[again + 2..], all[1..]);
}

/// An application that loops by seeking at EOS: each round is a complete push of its own, also from the middle of the
/// file.
#[test]
fn a_flushing_seek_at_eos_begins_another_push() {
    let name = "audio_ffmpeg_p3200.asf";
    let all = expected(name);
    let size = fixture_bytes(name).len() as u64;
    for properties in ["", "sync=false"] {
        let point = Point::new();
        let pipeline = Pipeline::file(name, &point.location(), properties);
        pipeline.play();
        // The second time from the middle of the file.
        for (round, start) in [(1, 0), (2, size - 2 * 3200)] {
            let messages = pipeline.messages_until("EOS");
            assert!(!messages.iter().any(|line| line.starts_with("ERROR")));
            assert!(ended(&point, round)[round - 1].received == all);
            let start = gst::format::Bytes::from_u64(start);
            let flush = gst::SeekFlags::FLUSH;
            pipeline.pipeline.seek_simple(flush, start).unwrap();
        }
        pipeline.messages_until("EOS");
        let received = ended(&point, 3).remove(2).received;
        assert_eq!(received[0], all[0], "the header");
        assert_eq!(
            received[1..],
            all[all.len() - 3..],
            "two packets and the end"
        );
    }
}

/// The header of the other input is in caps, without a buffer of its own and without a STREAM_START.
/// C-038
#[test]
fn switching_to_another_muxer_is_the_next_playlist_entry() {
    let point = Point::new();
    let (one, other) = (live_video(300), live_video(400));
    let pipeline = Pipeline::new(&format!(
        "input-selector name=s sync-streams=false ! wmspushsink name=sink location={}  {one} ! s.sink_0  {other} ! s.sink_1",
        point.location()
    ));
    pipeline.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    point.handle.wait_for(data, LONG).expect("data");
    let selector = pipeline.pipeline.by_name("s").unwrap();
    let active = selector.property::<gst::Pad>("active-pad");
    let next = selector.pads().into_iter();
    let next = next
        .filter(|pad| pad.direction() == gst::PadDirection::Sink)
        .find(|pad| *pad != active);
    let next = next.expect("another pad");
    passing(&next)
        .recv_timeout(LONG)
        .expect("data of the other");
    selector.set_property("active-pad", next);
    let changed = |pushes: &[&Push]| {
        pushes.iter().any(|push| {
            let received = &push.received;
            matches!(
                &received[..],
                [
                    ..,
                    Received::StreamChange(_),
                    Received::Data(_),
                    Received::Data(_)
                ]
            )
        })
    };
    point.handle.wait_for_pushes(changed, LONG).expect("$C");
    pipeline.pipeline.send_event(gst::event::Eos::new());
    pipeline.messages_until("EOS");
    let push = point.ended();
    let headers: Vec<_> = push
        .headers()
        .map(|header| FileHeader::parse(header.clone()).unwrap())
        .collect();
    let sizes: Vec<_> = headers.iter().map(FileHeader::packet_size).collect();
    let mut sorted = sizes.clone();
    sorted.sort();
    assert_eq!(sorted, [300, 400]);
    let change = push
        .received
        .iter()
        .position(|packet| matches!(packet, Received::StreamChange(_)))
        .unwrap();
    assert_eq!(
        push.received[change - 1],
        Received::EndOfStream(HResult::S_FALSE)
    );
    let Received::Data(first) = &push.received[change + 1] else {
        panic!("no packet behind $C")
    };
    assert!(KeyFrames::of(&headers[1]).begins_in(&DataPacket::parse(first.clone())));
}

/// Data before the first key frame, which is in packet 12, cannot be decoded.
#[test]
fn a_joined_stream_begins_at_a_key_frame() {
    let all = expected(AUDIO_VIDEO);
    assert_eq!(joined(0), all);
    for (first, begin) in [(1, 12), (12, 12), (13, 21)] {
        let received = joined(first);
        assert_eq!(received[0], all[0]);
        assert_eq!(received[1..], all[1 + begin..], "{first}");
    }
}

/// Behind a header in the stream every packet is sent.
#[test]
fn a_stream_with_its_own_header_is_sent_completely() {
    let bytes = fixture_bytes(AUDIO_VIDEO);
    let size = bytes.len() % 1500;
    for caps in [None, Some(&bytes[..size])] {
        let mut harness = Harness::new();
        harness.event(gst::event::StreamStart::new("test"));
        harness.caps(caps);
        harness.start(gst::Format::Time);
        harness.push(&bytes[..size], size);
        harness.push(&bytes[size + 1500..], 1500);
        let mut all = expected(AUDIO_VIDEO);
        all.remove(1);
        assert_eq!(harness.end().received, all);
    }
}

/// A muxer that marks no key frames must not block the stream forever.
#[test]
fn the_wait_for_a_key_frame_has_a_bound() {
    let bytes = fixture_bytes(AUDIO_VIDEO);
    let size = bytes.len() % 1500;
    let later = |ms: u32| {
        // Send Time is behind the flags and two lengths of two bytes.
        let mut packet = bytes[size + 1500..][..1500].to_vec();
        packet[6..10].copy_from_slice(&ms.to_le_bytes());
        packet
    };
    let mut harness = Harness::new();
    harness.event(gst::event::StreamStart::new("test"));
    harness.caps(Some(&bytes[..size]));
    harness.start(gst::Format::Time);
    for ms in [u32::MAX - 999, 0, 29_000, 29_001, 29_002] {
        harness.push(&later(ms), 1500);
    }
    let push = harness.end();
    let sent = [29_001, 29_002].map(|ms| unpadded(&DataPacket::parse(later(ms).into())));
    assert_eq!(push.data().cloned().collect::<Vec<_>>(), sent);
}

/// A branch that is linked to a running tee gets its header in caps, and packets from the middle on.
#[test]
fn a_branch_that_joins_late_begins_at_a_key_frame() {
    let point = Point::new();
    let video = live_video(300);
    let pipeline = Pipeline::new(&format!(
        "{video} ! tee name=t ! queue name=first ! fakesink async=false  \
         queue name=q ! wmspushsink name=sink async=false location={}",
        point.location()
    ));
    let queue = pipeline.pipeline.by_name("q").unwrap();
    let seen = buffers_into(&queue);
    let first = pipeline.pipeline.by_name("first").unwrap();
    let passed = passing(&first.static_pad("sink").unwrap());
    pipeline.play();
    // Between two key frames.
    for _ in 0..JOINS_BEHIND {
        passed.recv_timeout(LONG).expect("data");
    }
    let tee = pipeline.pipeline.by_name("t").unwrap();
    tee.link(&queue).unwrap();
    for _ in 0..5 {
        let data = |event: &Event| matches!(event, Event::Data { .. });
        point.handle.wait_for(data, LONG).expect("data");
    }
    pipeline.pipeline.send_event(gst::event::Eos::new());
    pipeline.messages_until("EOS");
    let push = point.ended();
    let key_frames = KeyFrames::of(&header(&push));
    let seen: Vec<_> = seen
        .lock()
        .unwrap()
        .drain(..)
        .map(DataPacket::parse)
        .collect();
    let first = seen.iter().position(|packet| key_frames.begins_in(packet));
    let first = first.expect("a key frame");
    assert!(first > 0, "joined at a key frame");
    let wanted: Vec<_> = seen[first..].iter().map(unpadded).collect();
    assert_eq!(push.data().cloned().collect::<Vec<_>>(), wanted);
}
