// SPDX-License-Identifier: MPL-2.0

use std::time::{Duration, Instant};

use gst::prelude::*;
use gstwmspush::wmhttp::server::Received;
use publishing_point::{Closer, Event, Fault, MidBody, Settings, When};

use crate::rig::{LONG, Pipeline, Point, long_file, socket_with_full_backlog};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

fn stalling() -> Point {
    let faults = vec![(When::EveryPushStart, Fault::AfterPackets(3, MidBody::Stall))];
    Point::with(Settings {
        faults,
        ..Settings::default()
    })
}

/// No state change waits for the network.
fn assert_stops_at_once(pipeline: &Pipeline, phase: &str) {
    let begun = Instant::now();
    pipeline.pipeline.set_state(gst::State::Null).unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(100), "{phase}: {took:?}");
}

#[test]
fn null_comes_at_once_while_connecting() {
    let socket = socket_with_full_backlog();
    let pipeline = Pipeline::file(AUDIO_VIDEO, &format!("http://{}/live", socket.address), "");
    pipeline.play();
    pipeline.messages_until("WMT_CONNECTING");
    assert_stops_at_once(&pipeline, "connecting");
}

#[test]
fn null_comes_at_once_while_the_server_is_silent() {
    let faults = vec![(When::EveryPushSetup, Fault::Silent)];
    let point = Point::with(Settings {
        faults,
        ..Settings::default()
    });
    let pipeline = Pipeline::file(AUDIO_VIDEO, &point.location(), "");
    pipeline.play();
    pipeline.messages_until("WMT_CONNECTING");
    assert_stops_at_once(&pipeline, "setup");
}

#[test]
fn null_comes_at_once_before_the_first_data() {
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "appsrc ! wmspushsink name=sink location={}",
        point.location()
    ));
    pipeline.play();
    pipeline.messages_until("WMT_OPENED");
    assert_stops_at_once(&pipeline, "connected");
}

/// GStreamer takes a failed start back from READY to READY or to NULL.
#[test]
fn a_stop_after_a_failed_start_disconnects() {
    let point = Point::new();
    let description = format!(
        "appsrc ! wmspushsink name=sink location={}",
        point.location()
    );
    let pipeline = Pipeline::new(&description);
    for state in [gst::State::Ready, gst::State::Null] {
        pipeline.play();
        pipeline.messages_until("WMT_OPENED");
        pipeline.sink.abort_state();
        pipeline.sink.set_state(state).unwrap();
        let session = pipeline.sink.property_value("session-state");
        let session = session.serialize().unwrap();
        assert_eq!(session, "disconnected");
        pipeline.pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn null_comes_at_once_between_two_packets() {
    let point = Point::new();
    let pipeline = Pipeline::paced(AUDIO_VIDEO, &point.location());
    pipeline.play();
    pipeline.messages_until("WMT_STARTED");
    assert_stops_at_once(&pipeline, "streaming");
    let closed = point
        .handle
        .wait_for(|event| matches!(event, Event::Closed { .. }), LONG);
    assert!(
        matches!(
            closed,
            Some(Event::Closed {
                by: Closer::Client,
                ..
            })
        ),
        "no $E: {closed:?}"
    );
    let pushes = point.handle.pushes();
    assert!(
        !pushes[0]
            .received
            .iter()
            .any(|packet| matches!(packet, Received::EndOfStream(_)))
    );
}

#[test]
fn null_comes_at_once_while_the_server_takes_nothing() {
    let point = stalling();
    let path = long_file(40_000_000);
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} blocksize=65536 ! wmspushsink name=sink sync=false location={}",
        point.location()
    ));
    pipeline.play();
    wait_until_full(&pipeline);
    assert_stops_at_once(&pipeline, "stalled");
}

#[test]
fn null_comes_at_once_while_the_end_is_awaited() {
    let point = stalling();
    let path = long_file(12_000_000);
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} blocksize=65536 ! wmspushsink name=sink sync=false eos-timeout=60000 location={}",
        point.location()
    ));
    pipeline.play();
    let queued = || stats(&pipeline).get::<u32>("queued-bytes").unwrap();
    wait_for("the end of the file", || {
        pipeline
            .pipeline
            .query_position::<gst::format::Bytes>()
            .is_some()
            && queued() > 0
    });
    assert_stops_at_once(&pipeline, "ending");
}

fn stats(pipeline: &Pipeline) -> gst::Structure {
    pipeline.sink.property("stats")
}

/// Waits until the queue is full, so that the streaming thread is blocked.
fn wait_until_full(pipeline: &Pipeline) {
    let queued = || stats(pipeline).get::<u32>("queued-bytes").unwrap();
    wait_for("a full queue", || queued() > 8 * 1024 * 1024 - 10_000);
}

/// Polls, because the element does not notify its level.
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "no {what}");
        std::thread::yield_now();
    }
}

/// A flush from an application or a source unblocks the element.
#[test]
fn a_flush_unblocks() {
    let point = stalling();
    let path = long_file(40_000_000);
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} blocksize=65536 ! wmspushsink name=sink sync=false location={}",
        point.location()
    ));
    pipeline.play();
    wait_until_full(&pipeline);
    let pad = pipeline.sink.static_pad("sink").unwrap();
    let begun = Instant::now();
    assert!(pad.send_event(gst::event::FlushStart::new()));
    assert!(pad.send_event(gst::event::FlushStop::new(true)));
    assert!(
        begun.elapsed() < Duration::from_millis(100),
        "{:?}",
        begun.elapsed()
    );
}

/// Pausing loses no packet, neither one that is not due nor one that waits for space.
#[test]
fn pausing_loses_nothing() {
    let point = Point::new();
    let pipeline = Pipeline::paced(AUDIO_VIDEO, &point.location());
    pipeline.play();
    for _ in 0..4 {
        let data = |event: &Event| matches!(event, Event::Data { .. });
        point.handle.wait_for(data, LONG).expect("data");
        pipeline.pipeline.set_state(gst::State::Paused).unwrap();
        let (paused, ..) = pipeline.pipeline.state(gst::ClockTime::from_seconds(30));
        paused.unwrap();
        pipeline.play();
    }
    pipeline.messages_until("EOS");
    assert_eq!(point.ended().data_packets, 27);
}

/// Nothing is sent in PAUSED, and no burst follows it, because the running time stopped.
#[test]
fn the_schedule_stands_still_in_paused() {
    let point = Point::new();
    let pipeline = Pipeline::paced(AUDIO_VIDEO, &point.location());
    let begun = Instant::now();
    pipeline.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    for _ in 0..4 {
        point.handle.wait_for(data, LONG).expect("data");
    }
    pipeline.pipeline.set_state(gst::State::Paused).unwrap();
    let pause = Duration::from_millis(1500);
    // Data in flight at the state change may still arrive; then no more.
    while point
        .handle
        .wait_for(data, Duration::from_millis(300))
        .is_some()
    {}
    assert_eq!(point.handle.wait_for(data, pause), None);
    pipeline.play();
    pipeline.messages_until("EOS");
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(2600) + pause, "{took:?}");
    assert_eq!(point.ended().data_packets, 27);
}

/// Another READY→PLAYING is another session with the whole stream.
#[test]
fn an_element_can_be_used_again() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO_VIDEO, &point.location(), "");
    for _ in 0..3 {
        pipeline.run();
        pipeline.pipeline.set_state(gst::State::Ready).unwrap();
        assert_eq!(stats(&pipeline).get::<u64>("packets-sent"), Ok(27));
    }
    let all = |pushes: &[&_]| {
        pushes.len() == 3
            && pushes
                .iter()
                .all(|push: &&publishing_point::Push| push.over)
    };
    let pushes = point
        .handle
        .wait_for_pushes(all, LONG)
        .expect("three pushes");
    assert!(
        pushes
            .windows(2)
            .all(|pair| pair[0].received == pair[1].received)
    );
}

/// asfmux queries that; "yes" would make it rewrite its header at the end.
#[test]
fn the_element_cannot_be_seeked() {
    let pipeline = Pipeline::new("appsrc ! wmspushsink name=sink location=http://127.0.0.1:9/");
    let pad = pipeline.sink.static_pad("sink").unwrap();
    for format in [gst::Format::Bytes, gst::Format::Time] {
        let mut query = gst::query::Seeking::new(format);
        assert!(pad.query(&mut query));
        assert!(!query.result().0);
    }
}

/// A failure that follows another one is not reported again.
#[test]
fn a_failed_element_can_be_used_again() {
    let faults = vec![(When::PushSetup(0), Fault::Silent)];
    let point = Point::with(Settings {
        faults,
        ..Settings::default()
    });
    let pipeline = Pipeline::file(AUDIO_VIDEO, &point.location(), "timeout=200");
    pipeline.fail();
    pipeline.pipeline.set_state(gst::State::Null).unwrap();
    let messages = pipeline.run();
    assert!(
        !messages.iter().any(|line| line.starts_with("ERROR")),
        "{messages:#?}"
    );
}

/// The number of threads does not depend on the number of elements.
#[cfg(target_os = "linux")]
#[test]
fn connections_have_no_threads_of_their_own() {
    let point = Point::new();
    let pipelines: Vec<_> = (0..8)
        .map(|number| {
            let location = point.handle.url(&format!("live{number}"));
            let pipeline = Pipeline::new(&format!(
                "appsrc ! wmspushsink name=sink location={location}"
            ));
            pipeline.play();
            pipeline
        })
        .collect();
    for pipeline in &pipelines {
        pipeline.messages_until("WMT_OPENED");
    }
    let name = |task: std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).unwrap_or_default()
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let threads = tasks
        .map(|task| name(task.unwrap()))
        .filter(|name| name.trim() == "wmhttp")
        .count();
    // Resolver threads of other tests that run now have the same name.
    assert!((1..4).contains(&threads), "{threads}");
}
