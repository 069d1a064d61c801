// SPDX-License-Identifier: MPL-2.0

//! The actions `end-session` and `disconnect`: the push ends, and the pipeline continues.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstwmspush::SessionState;
use gstwmspush::wmhttp::HResult;
use publishing_point::{Closer, Event, Fault, Settings, When};

use crate::rig::{LONG, Pipeline, Point, fixture_bytes};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";

/// Returns a pipeline with an endless tone.
fn live(point: &Point) -> Pipeline {
    Pipeline::new(&format!(
        "audiotestsrc is-live=true ! avenc_wmav2 ! asfmux streamable=true ! wmspushsink name=sink location={}",
        point.location()
    ))
}

/// Returns a pipeline that the test feeds.
fn fed(point: &Point) -> Pipeline {
    Pipeline::new(&format!(
        "appsrc name=source ! wmspushsink name=sink sync=false location={}",
        point.location()
    ))
}

fn feed(pipeline: &Pipeline, bytes: Vec<u8>) {
    let buffer = gst::Buffer::from_slice(bytes);
    let fed = source(pipeline).emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
    assert_eq!(fed, gst::FlowReturn::Ok);
}

fn end_feeding(pipeline: &Pipeline) {
    let ended = source(pipeline).emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    assert_eq!(ended, gst::FlowReturn::Ok);
}

fn source(pipeline: &Pipeline) -> gst::Element {
    pipeline.pipeline.by_name("source").unwrap()
}

fn call(pipeline: &Pipeline, action: &str) -> bool {
    pipeline.sink.emit_by_name(action, &[])
}

fn state(pipeline: &Pipeline) -> SessionState {
    let value = pipeline.sink.property_value("session-state");
    value.get().unwrap()
}

fn wait_for_data(point: &Point) {
    let data = |event: &Event| matches!(event, Event::Data { .. });
    point.handle.wait_for(data, LONG).expect("data");
}

fn assert_no_error(messages: &[String]) {
    let bad = |line: &&String| line.starts_with("ERROR") || line.starts_with("WARNING");
    assert_eq!(messages.iter().find(bad), None);
}

/// Asserts that the sink still accepts buffers, and EOS without waiting for the network.
fn assert_goes_on(pipeline: &Pipeline) {
    let (arrived, arrivals) = mpsc::channel();
    let pad = pipeline.sink.static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        // Fails only after the test has ended.
        let _ = arrived.send(());
        gst::PadProbeReturn::Ok
    });
    for _ in 0..3 {
        arrivals.recv_timeout(LONG).expect("a buffer");
    }
    assert_eos_at_once(pipeline);
}

fn assert_eos_at_once(pipeline: &Pipeline) {
    let begun = Instant::now();
    assert!(pipeline.pipeline.send_event(gst::event::Eos::new()));
    let messages = pipeline.messages_until("EOS");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(messages, ["EOS"]);
}

/// `IWMWriterPushSink::EndSession`
#[test]
fn end_session_ends_the_push_but_not_the_pipeline() {
    let point = Point::new();
    let pipeline = live(&point);
    pipeline.play();
    wait_for_data(&point);
    assert!(call(&pipeline, "end-session"));
    let messages = pipeline.messages_until("WMT_CLOSED");
    assert_no_error(&messages);
    assert_eq!(
        messages[messages.len() - 3..],
        [
            "WMT_END_OF_STREAMING streaming→ending S_OK",
            "WMT_STOPPED ending→ended S_OK",
            "WMT_CLOSED ended→ended S_OK",
        ]
    );
    let push = point.ended();
    assert_eq!(push.end, Some(HResult::S_OK));
    assert!(!call(&pipeline, "end-session") && !call(&pipeline, "disconnect"));
    assert_goes_on(&pipeline);
    assert_eq!(state(&pipeline), SessionState::Ended);
    assert_eq!(point.ended().data_packets, push.data_packets);
}

/// `IWMWriterPushSink::Disconnect`
#[test]
fn disconnect_ends_the_connection_but_not_the_pipeline() {
    let point = Point::new();
    let pipeline = live(&point);
    pipeline.play();
    wait_for_data(&point);
    assert!(call(&pipeline, "disconnect"));
    let messages = pipeline.messages_until("WMT_CLOSED");
    assert_no_error(&messages);
    assert_eq!(
        messages.last().unwrap(),
        "WMT_CLOSED streaming→disconnected S_OK"
    );
    let closed = |event: &Event| matches!(event, Event::Closed { .. });
    let closed = point.handle.wait_for(closed, LONG);
    let by_client = Closer::Client;
    assert!(
        matches!(closed, Some(Event::Closed { by, .. }) if by == by_client),
        "{closed:?}"
    );
    assert_eq!(point.handle.pushes()[0].end, None);
    assert!(!call(&pipeline, "disconnect") && !call(&pipeline, "end-session"));
    assert_goes_on(&pipeline);
    assert_eq!(state(&pipeline), SessionState::Disconnected);
    assert_eq!(point.handle.requests().len(), 2, "no further request");
}

/// There is no connection to end.
#[test]
fn actions_without_a_connection_are_false() {
    let point = Point::new();
    let pipeline = fed(&point);
    for state in [gst::State::Null, gst::State::Ready] {
        pipeline.sink.set_state(state).unwrap();
        assert!(!call(&pipeline, "end-session") && !call(&pipeline, "disconnect"));
    }
    assert_eq!(pipeline.messages_left(), [""; 0]);
}

/// A session without a stream has no `$E` either.
#[test]
fn end_session_before_any_data_closes() {
    let point = Point::new();
    let pipeline = fed(&point);
    pipeline.play();
    pipeline.messages_until("WMT_OPENED");
    assert!(call(&pipeline, "end-session"));
    assert_no_error(&pipeline.messages_until("WMT_CLOSED"));
    feed(&pipeline, fixture_bytes(AUDIO));
    end_feeding(&pipeline);
    assert_no_error(&pipeline.messages_until("EOS"));
    assert_eq!(point.handle.requests().len(), 1);
}

/// Input after the end is ignored, and so is missing input.
#[test]
fn input_after_disconnect_cannot_fail() {
    for bytes in [None, Some(fixture_bytes("malformed_random_64k.bin"))] {
        let point = Point::new();
        let pipeline = fed(&point);
        pipeline.play();
        pipeline.messages_until("WMT_OPENED");
        assert!(call(&pipeline, "disconnect"));
        // Another thread may be delivering a message, and delivers WMT_CLOSED after it.
        assert_no_error(&pipeline.messages_until("WMT_CLOSED"));
        if let Some(bytes) = bytes {
            feed(&pipeline, bytes);
        }
        end_feeding(&pipeline);
        assert_no_error(&pipeline.messages_until("EOS"));
        assert_eq!(state(&pipeline), SessionState::Disconnected);
    }
}

/// PROGRESS ends without an ERROR.
#[test]
fn disconnect_cancels_connecting() {
    let point = Point::with(Settings {
        faults: vec![(When::EveryPushSetup, Fault::Silent)],
        ..Settings::default()
    });
    let pipeline = fed(&point);
    pipeline.play();
    pipeline.messages_until("WMT_CONNECTING");
    assert!(call(&pipeline, "disconnect"));
    let messages = pipeline.messages_until("WMT_CLOSED");
    assert!(messages.contains(&"PROGRESS connect Canceled".to_owned()));
    end_feeding(&pipeline);
    let messages = pipeline.messages_until("EOS");
    assert_eq!(messages, ["EOS"]);
}

/// The thread that notifies a change may call actions.
#[test]
fn actions_may_be_called_by_a_handler_of_notify() {
    for action in ["end-session", "disconnect"] {
        let point = Point::new();
        let pipeline = fed(&point);
        pipeline
            .sink
            .connect_notify(Some("session-state"), move |sink, _| {
                let state = sink.property_value("session-state");
                if state.get::<SessionState>().unwrap() == SessionState::Streaming {
                    assert!(sink.emit_by_name::<bool>(action, &[]));
                }
            });
        pipeline.play();
        feed(&pipeline, fixture_bytes(AUDIO));
        assert_no_error(&pipeline.messages_until("WMT_CLOSED"));
        end_feeding(&pipeline);
        assert_no_error(&pipeline.messages_until("EOS"));
    }
}

/// The end has the same timeout as EOS: the server reads nothing.
#[test]
fn end_session_is_bounded_by_eos_timeout() {
    let point = Point::with(Settings {
        faults: vec![(When::EveryPushSetup, Fault::Silent)],
        ..Settings::default()
    });
    let pipeline = fed(&point);
    pipeline.sink.set_property("eos-timeout", 200u32);
    pipeline.play();
    pipeline.messages_until("WMT_CONNECTING");
    let begun = Instant::now();
    assert!(call(&pipeline, "end-session") && call(&pipeline, "end-session"));
    assert!(begun.elapsed() < Duration::from_millis(100));
    let messages = pipeline.messages_until("ERROR");
    assert!(
        messages
            .last()
            .unwrap()
            .starts_with("ERROR RESOURCE/OpenWrite setup response-timeout")
    );
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(!call(&pipeline, "end-session"));
}
