// SPDX-License-Identifier: MPL-2.0

//! Starts, stops and restarts, pads that come and go, and lost connections.

use std::time::Duration;

use gst::prelude::*;
use publishing_point::{Fault, MidBody, Refuse, When};

use super::recording::decode;
use super::rig::{Pipeline, Point};

const LIVE: &str = "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 ! wmspushbin name=bin \
                    audiotestsrc is-live=true ! bin.";

#[test]
fn each_run_records_from_0() {
    let point = Point::new("runs");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=60 ! video/x-raw,width=160,height=120 ! wmspushbin name=bin sync=false \
         audiotestsrc num-buffers=90 ! bin.",
    );
    for _ in 0..3 {
        assert_eq!(pipeline.run(), [""; 0]);
        let (video, audio) = decode(&point.recording());
        assert!(audio[0].first() == 0 && video[0].first() < 60, "{video:?}");
        assert_eq!(video[0].buffers.len(), 60);
        pipeline.pipeline.set_state(gst::State::Ready).unwrap();
    }
}

#[test]
fn a_pipeline_starts_and_stops_300_times() {
    let point = Point::new("often");
    let pipeline = Pipeline::new(&point, LIVE);
    for number in 0..300 {
        pipeline.play();
        if number % 10 == 0 {
            point.data(2);
        }
        let state = match number % 3 {
            0 => gst::State::Ready,
            _ => gst::State::Null,
        };
        pipeline.pipeline.set_state(state).unwrap();
    }
    let bin = pipeline.bin.downcast_ref::<gst::Bin>().unwrap();
    assert_eq!(bin.children().len(), 1, "the sink alone is left");
}

/// An ERROR while the bin is on its way to PAUSED makes GStreamer stop it from READY.
#[test]
fn a_stop_after_a_failed_start_removes_all_elements() {
    let refuse = Fault::Refuse(Refuse::new(404));
    let point = Point::with_faults("failed", vec![(When::EveryPushSetup, refuse)]);
    let pipeline = Pipeline::new(&point, LIVE);
    let bin = pipeline.bin.downcast_ref::<gst::Bin>().unwrap();
    for state in [gst::State::Ready, gst::State::Null] {
        pipeline.play();
        pipeline.error();
        pipeline.pipeline.set_state(state).unwrap();
        assert_eq!(bin.children().len(), 1, "the sink alone is left");
    }
}

#[test]
fn a_push_succeeds_after_a_failed_start() {
    let refuse = Fault::Refuse(Refuse::new(404));
    let point = Point::with_faults("mended", vec![(When::PushSetup(0), refuse)]);
    let pipeline = Pipeline::new(&point, LIVE);
    pipeline.play();
    pipeline.error();
    pipeline.stop();
    pipeline.play();
    point.data(10);
}

/// Neither the network nor a blocked stream delays a stop.
#[test]
fn a_stop_does_not_wait() {
    let point = Point::new("stop");
    let pipeline = Pipeline::new(&point, LIVE);
    for packets in [0, 5] {
        let stops = (0..3).map(|_| {
            pipeline.play();
            point.data(packets);
            let started = std::time::Instant::now();
            pipeline.stop();
            started.elapsed()
        });
        // The fastest of three, because other processes may delay one.
        let fastest = stops.min().expect("three");
        assert!(fastest < Duration::from_millis(100), "{fastest:?}");
    }
}

#[test]
fn eos_while_live_ends_the_push() {
    let point = Point::new("eos");
    let pipeline = Pipeline::new(&point, LIVE);
    pipeline.play();
    point.data(10);
    pipeline.pipeline.send_event(gst::event::Eos::new());
    assert_eq!(pipeline.wait_for_eos(), [""; 0]);
    let (video, audio) = decode(&point.recording());
    assert_eq!((video.len(), audio.len()), (1, 1));
}

#[test]
fn pads_come_and_go_while_it_plays() {
    let point = Point::new("pads");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 ! wmspushbin name=bin",
    );
    pipeline.play();
    point.data(20);
    let description = "audiotestsrc is-live=true ! capsfilter caps=audio/x-raw,channels=2";
    let source = gst::parse::bin_from_description(description, true).unwrap();
    pipeline.pipeline.add(&source).unwrap();
    let pad = pipeline.bin.request_pad_simple("audio_%u").unwrap();
    source.static_pad("src").unwrap().link(&pad).unwrap();
    source.sync_state_with_parent().unwrap();
    point.header();
    point.data(60);
    let blocked = source.static_pad("src").unwrap();
    blocked.add_probe(gst::PadProbeType::BLOCK_DOWNSTREAM, |_, _| {
        gst::PadProbeReturn::Ok
    });
    blocked.unlink(&pad).unwrap();
    pipeline.bin.release_request_pad(&pad);
    source.set_state(gst::State::Null).unwrap();
    pipeline.pipeline.remove(&source).unwrap();
    point.data(60);
    pipeline.pipeline.send_event(gst::event::Eos::new());
    assert_eq!(pipeline.wait_for_eos(), [""; 0]);
    let (video, audio) = decode(&point.recording());
    assert_eq!((video.len(), audio.len()), (1, 0));
    let (video, audio) = decode(&point.recording());
    assert_eq!((video.len(), audio.len()), (1, 1));
    // The encoder's own next one may be 2 s away.
    assert!(
        video[0].first() < 1000,
        "a key frame at once: {}",
        video[0].first()
    );
    assert!(video[0].last() > audio[0].last(), "the picture goes on");
}

#[test]
fn eos_after_the_last_pad_ends_the_push() {
    let point = Point::new("no-pads");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc is-live=true name=source ! wmspushbin name=bin",
    );
    pipeline.play();
    point.data(60);
    let source = pipeline.element("source");
    source.set_state(gst::State::Null).unwrap();
    let pad = pipeline.bin.static_pad("video_0").unwrap();
    source.unlink(&pipeline.bin);
    pipeline.bin.release_request_pad(&pad);
    assert!(pipeline.bin.send_event(gst::event::Eos::new()));
    assert_eq!(pipeline.wait_for_eos(), [""; 0]);
    let (video, _) = decode(&point.recording());
    assert!(video[0].buffers.len() >= 5, "{:?}", video[0]);
}

/// After a new session the picture is back with the next frame.
#[test]
fn a_new_session_begins_with_a_key_frame() {
    let reset = Fault::AfterPackets(60, MidBody::Reset);
    let point = Point::with_faults("session", vec![(When::PushStart(0), reset)]);
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc is-live=true pattern=snow ! video/x-raw,width=160,height=120,framerate=25/1 \
         ! wmspushbin name=bin resume=false key-frame-interval=60000 leaky=downstream max-size-time=200000000",
    );
    pipeline.play();
    point.header();
    point.header();
    point.data(300);
    pipeline.pipeline.send_event(gst::event::Eos::new());
    pipeline.wait_for_eos();
    // The publishing point keeps the lost session for a minute.
    let (video, _) = decode(&point.recording());
    assert!(video[0].buffers.len() > 10, "{video:?}");
    assert!(video[0].longest_gap() <= 80, "{}", video[0].longest_gap());
}

#[test]
fn an_error_of_the_sink_is_one_error() {
    let point = Point::new("refused-connection");
    let pipeline = Pipeline::new(&point, LIVE);
    pipeline
        .bin
        .set_property("location", "http://127.0.0.1:9/live");
    pipeline.play();
    let message = pipeline.message(&[gst::MessageType::Error]);
    assert_eq!(
        message.src().map(|source| source.name()).as_deref(),
        Some("sink")
    );
    let gst::MessageView::Error(error) = message.view() else {
        unreachable!()
    };
    assert!(error.error().matches(gst::ResourceError::OpenWrite));
    assert!(
        error
            .details()
            .is_some_and(|details| details.has_field("hint"))
    );
}

/// A live pipeline has the latency of its sources, not the length of a queue.
#[test]
fn latency_is_that_of_the_sources() {
    let point = Point::new("latency");
    let pipeline = Pipeline::new(&point, LIVE);
    pipeline.play();
    point.data(5);
    let mut query = gst::query::Latency::new();
    assert!(pipeline.bin.query(&mut query));
    let (live, minimum, maximum) = query.result();
    assert!(live);
    assert!(
        (gst::ClockTime::from_mseconds(40)..gst::ClockTime::from_mseconds(200)).contains(&minimum),
        "{minimum}"
    );
    assert!(
        maximum.is_none_or(|maximum| maximum >= minimum),
        "{maximum:?}"
    );
}

/// The encoders reject times that go back: a flushing seek gets new encoders, and a new header.
#[test]
fn a_seek_continues_with_both_streams() {
    let point = Point::new("seek");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=300 ! video/x-raw,width=160,height=120,framerate=30/1 ! wmspushbin name=bin \
         audiotestsrc num-buffers=440 ! audio/x-raw,rate=44100,channels=2 ! bin.",
    );
    pipeline.play();
    point.data(20);
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
    pipeline
        .pipeline
        .seek_simple(flags, gst::ClockTime::from_seconds(8))
        .unwrap();
    point.header();
    assert_eq!(pipeline.wait_for_eos(), [""; 0]);
    // Neither stream goes on before both are flushed.
    let _before = point.recording();
    let (video, audio) = decode(&point.recording());
    assert!(video[0].buffers.len() >= 100, "{video:?}");
    assert!(audio[0].last() > 1800, "{}", audio[0].last());
    assert!(video[0].first().abs_diff(audio[0].first()) < 150);
}

/// Sound of a segment at double rate is played in half the time, as the pictures are.
#[test]
fn a_double_rate_keeps_sound_with_the_picture() {
    let point = Point::new("rate");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc ! video/x-raw,width=160,height=120,framerate=30/1 ! wmspushbin name=bin sync=false \
         audiotestsrc ! audio/x-raw,rate=44100,channels=2 ! bin.",
    );
    pipeline.pipeline.set_state(gst::State::Paused).unwrap();
    pipeline.message(&[gst::MessageType::AsyncDone]);
    let (set, end) = (gst::SeekType::Set, gst::ClockTime::from_seconds(4));
    let flush = gst::SeekFlags::FLUSH;
    let sought = pipeline
        .pipeline
        .seek(2.0, flush, set, gst::ClockTime::ZERO, set, end);
    sought.unwrap();
    assert_eq!(pipeline.run(), [""; 0]);
    let _before = point.recording();
    let (video, audio) = decode(&point.recording());
    for stream in [&video[0], &audio[0]] {
        assert!((1850..2100).contains(&stream.last()), "{}", stream.last());
    }
}

/// A source that pauses with the pipeline is not missed.
#[test]
fn a_pause_is_no_gap() {
    let point = Point::new("pause");
    let pipeline = Pipeline::new(&point, LIVE);
    pipeline.play();
    point.data(20);
    let _ = pipeline.pipeline.set_state(gst::State::Paused);
    // Longer than the time after which a gap is filled.
    std::thread::sleep(Duration::from_millis(2500));
    pipeline.play();
    point.data(20);
    pipeline.pipeline.send_event(gst::event::Eos::new());
    assert_eq!(pipeline.wait_for_eos(), [""; 0]);
    let (video, audio) = decode(&point.recording());
    assert!(video[0].longest_gap() <= 200 && audio[0].longest_gap() <= 200);
}
