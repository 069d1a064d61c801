// SPDX-License-Identifier: MPL-2.0

use gst::prelude::*;

use crate::rig::{Pipeline, Point};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";

/// The order in which an application sees a push that goes well, each message once.
/// C-131, C-172, C-218
#[test]
fn a_push_is_told_from_connecting_to_closed() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    let messages = pipeline.run();
    assert_eq!(
        messages,
        [
            "PROGRESS connect Start",
            "WMT_LOCATING disconnected→connecting S_OK",
            "PROGRESS connect Continue",
            "WMT_CONNECTING connecting→connecting S_OK",
            "PROGRESS connect Continue",
            "PROGRESS connect Continue",
            "WMT_OPENED connecting→connected S_OK",
            "PROGRESS connect Complete",
            "WMT_STARTED connected→streaming S_OK",
            "WMT_END_OF_STREAMING streaming→ending S_OK",
            "WMT_STOPPED ending→ended S_OK",
            "WMT_CLOSED ended→ended S_OK",
            "EOS",
        ]
    );
    assert_eq!(pipeline.messages_left(), [""; 0]);
}

/// Every field is there in every message, with the type that it will always have.
#[test]
fn status_messages_are_flat_and_typed() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    pipeline.play();
    let bus = pipeline.pipeline.bus().unwrap();
    let wanted = [gst::MessageType::Element, gst::MessageType::Eos];
    let mut count = 0;
    while let Some(message) = bus.timed_pop_filtered(gst::ClockTime::from_seconds(30), &wanted) {
        let gst::MessageView::Element(element) = message.view() else {
            break;
        };
        let status = element.structure().unwrap();
        for field in [
            "state",
            "previous-state",
            "wmt-status-name",
            "hresult-name",
            "location",
            "reason",
            "http-reason",
            "hint",
        ] {
            status.get::<&str>(field).unwrap();
        }
        for field in ["hresult", "attempt", "retry-in", "http-status-code"] {
            status.get::<u32>(field).unwrap();
        }
        for field in ["packets-dropped", "running-time"] {
            status.get::<u64>(field).unwrap();
        }
        status.get::<i32>("wmt-status").unwrap();
        status.get::<bool>("resumed").unwrap();
        count += 1;
    }
    assert_eq!(count, 7);
}

/// EOS comes when the server can have everything, not when it was queued.
#[test]
fn eos_comes_after_the_last_byte() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    pipeline.run();
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    let push = point.ended();
    assert_eq!(stats.get::<u64>("packets-sent").unwrap(), push.data_packets);
    assert_eq!(stats.get::<u64>("queued-time").unwrap(), 0);
    assert_eq!(push.end, Some(gstwmspush::wmhttp::HResult::S_OK));
}

/// Without a state change a push that was not even tried is not told of.
#[test]
fn a_disconnection_cancels_progress() {
    use gstwmspush::publishing_point::{Fault, Settings, When};

    let faults = vec![(When::EveryPushSetup, Fault::Silent)];
    let point = Point::with(Settings {
        faults,
        ..Settings::default()
    });
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    pipeline.play();
    let mut messages = pipeline.messages_until("WMT_CONNECTING");
    // The bus is emptied on the way to NULL.
    let _ = pipeline.pipeline.set_state(gst::State::Ready);
    messages.extend(pipeline.messages_until("WMT_CLOSED"));
    let ends = messages
        .iter()
        .filter(|line| line.starts_with("PROGRESS") && !line.ends_with("Continue"));
    assert_eq!(
        ends.collect::<Vec<_>>(),
        ["PROGRESS connect Start", "PROGRESS connect Canceled"]
    );
    assert_eq!(
        messages.last().unwrap(),
        "WMT_CLOSED connecting→disconnected S_OK"
    );
    assert_eq!(pipeline.messages_left(), [""; 0]);
}

#[test]
fn session_state_notifies() {
    use std::sync::{Arc, Mutex};

    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    let seen = Arc::new(Mutex::new(Vec::new()));
    pipeline.sink.connect_notify(Some("session-state"), {
        let seen = seen.clone();
        move |sink, _| {
            let state = sink.property_value("session-state");
            seen.lock()
                .unwrap()
                .push(state.get::<gstwmspush::SessionState>().unwrap());
        }
    });
    pipeline.run();
    use gstwmspush::SessionState::{Connected, Connecting, Ended, Ending, Streaming};
    // The handler reads the newest state, which may be later than the one that it is told of.
    let order = [Connecting, Connected, Streaming, Ending, Ended];
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), order.len(), "{seen:?}");
    let place = |state| order.iter().position(|&other| other == state);
    let is_late = |(&seen, told)| place(seen) >= place(told);
    assert!(seen.iter().zip(order).all(is_late), "{seen:?}");
    assert_eq!(seen.last(), Some(&Ended));
}
