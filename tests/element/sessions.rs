// SPDX-License-Identifier: MPL-2.0

//! Sessions that were disconnected without an end, and resumed.

use gst::prelude::*;
use gstwmspush::wmhttp::HResult;
use gstwmspush::wmhttp::server::Received;
use publishing_point::{Event, Fault, MidBody, Push, Refuse, When};

use crate::recovery::{assert_whole, count, ended, faulty, push, requests};
use crate::rig::{LONG, Pipeline, Point, fixture};
use crate::wire::with_header_of;

const AUDIO: &str = "audio_ffmpeg_p3200.asf";

/// Plays until the PushStart of this number has brought data, and disconnects.
fn play_and_leave(pipeline: &Pipeline, point: &Point, push_start: u64) {
    pipeline.play();
    let streams = |pushes: &[&Push]| {
        let Some(push) = pushes.last() else {
            return false;
        };
        push.receiving && push.push_starts == push_start && push.data_packets >= 3 * push_start
    };
    point.handle.wait_for_pushes(streams, LONG).expect("data");
    pipeline.pipeline.set_state(gst::State::Ready).unwrap();
    pipeline.messages_until("WMT_CLOSED");
}

/// Returns the letters of the packets of a push, with `$D` folded.
fn letters(push: &Push) -> String {
    let mut letters = String::new();
    for packet in &push.received {
        let letter = match packet {
            Received::Header(_) => 'H',
            Received::StreamChange(_) => 'C',
            Received::Data(_) => 'D',
            Received::EndOfStream(HResult::S_FALSE) => '1',
            Received::EndOfStream(_) => '0',
            Received::Filler(_) => 'F',
        };
        if !(letter == 'D' && letters.ends_with('D')) {
            letters.push(letter);
        }
    }
    letters
}

/// `Disconnect`, and `Connect` within five minutes: one session, one push-id, one `$H`.
#[test]
fn a_disconnected_session_is_resumed() {
    let point = Point::new();
    let pipeline = push(&point.location(), "");
    for run in 0..3 {
        pipeline.play();
        // Waits for more than the first packet, whose header may be incomplete.
        let streams = |pushes: &[&Push]| {
            let push = pushes[0];
            push.receiving && push.push_starts == run + 1 && push.data_packets > 3 * run
        };
        let streams = |pushes: &[&Push]| pushes.len() == 1 && streams(pushes);
        point.handle.wait_for_pushes(streams, LONG).expect("data");
        if run < 2 {
            pipeline.pipeline.set_state(gst::State::Ready).unwrap();
        }
    }
    let messages = pipeline.messages_until("EOS");
    assert_eq!(count(&messages, "ERROR"), 0, "{messages:#?}");
    assert_eq!(count(&messages, "WARNING"), 0, "{messages:#?}");
    assert_eq!(
        requests(&point),
        ["setup new", "start known", "start known", "start known"]
    );
    let push = ended(&point, 1).remove(0);
    let headers = push
        .received
        .iter()
        .filter(|packet| !matches!(packet, Received::Data(_)));
    assert_eq!(headers.count(), 2, "$H and $E");
}

/// A server that has discarded the session gets a new one, without a message to the application.
#[test]
fn an_expired_session_is_followed_by_a_new_one() {
    let point = faulty(vec![(When::PushStart(1), Fault::Refuse(Refuse::new(400)))]);
    let pipeline = push(&point.location(), "");
    pipeline.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    point.handle.wait_for(data, LONG).expect("data");
    pipeline.pipeline.set_state(gst::State::Ready).unwrap();
    pipeline.messages_until("WMT_CLOSED");
    let messages = pipeline.run();
    assert_eq!(count(&messages, "ERROR"), 0, "{messages:#?}");
    assert_eq!(count(&messages, "WARNING"), 0, "{messages:#?}");
    assert_eq!(count(&messages, "WMT_OPENED"), 1, "{messages:#?}");
    assert_eq!(
        requests(&point),
        [
            "setup new",
            "start known",
            "start known",
            "setup new",
            "start known"
        ]
    );
    assert_whole(&ended(&point, 2)[1]);
}

/// Also in a session that was resumed after a loss, a file that restarts is another entry.
#[test]
fn a_file_that_restarts_after_a_loss_is_an_entry() {
    let point = faulty(vec![(
        When::PushStart(0),
        Fault::AfterPackets(9, MidBody::Reset),
    )]);
    let file = fixture("av_asfmux_p1500_streamable.asf");
    let pipeline = Pipeline::new(&format!(
        "concat name=c ! wmspushsink name=sink location={} filesrc location={file} ! c. \
         filesrc location={file} ! c.",
        point.location()
    ));
    let messages = pipeline.run();
    assert_eq!(count(&messages, "ERROR"), 0, "{messages:#?}");
    assert_eq!(
        requests(&point),
        ["setup new", "start known", "start known"]
    );
    assert_eq!(letters(&ended(&point, 1)[0]), "HD1CD0");
}

/// A server that closes soon after a `$C` may not have read it. The entry continues in a new session, with its header.
#[test]
fn an_entry_that_may_be_unread_is_sent_again() {
    for what in [MidBody::Close, MidBody::Reset] {
        let point = faulty(vec![(When::PushStart(0), Fault::AfterPackets(29, what))]);
        let file = fixture("av_asfmux_p1500_streamable.asf");
        let pipeline = Pipeline::new(&format!(
            "concat name=c ! wmspushsink name=sink location={} filesrc location={file} ! c. filesrc location={file} ! c.",
            point.location()
        ));
        let messages = pipeline.run();
        assert_eq!(count(&messages, "ERROR"), 0, "{messages:#?}");
        let pushes = ended(&point, 2);
        assert_eq!(
            letters(&pushes[1]),
            "HD0",
            "{messages:#?} {}",
            letters(&pushes[0])
        );
        assert_eq!(pushes[1].data_packets, 27);
    }
}

/// Another file has another header, which begins another entry of the same session.
#[test]
fn a_changed_header_is_sent_as_a_stream_change() {
    let point = Point::new();
    let path = fixture("av_asfmux_p1500_streamable.asf");
    let pipeline = Pipeline::new(&format!(
        "filesrc name=file location={path} ! wmspushsink name=sink location={}",
        point.location()
    ));
    play_and_leave(&pipeline, &point, 1);
    let file = pipeline.pipeline.by_name("file").unwrap();
    file.set_property("location", fixture(AUDIO));
    let messages = pipeline.run();
    assert_eq!(count(&messages, "WARNING"), 0, "{messages:#?}");
    assert_eq!(
        requests(&point),
        ["setup new", "start known", "start known"]
    );
    assert_eq!(letters(&ended(&point, 1)[0]), "HD1CD0");
}

/// 2.2.3.2, 2.2.3.6: `$H` holds four bytes more than `$C`, but the header in force needs neither.
#[test]
fn an_unchanged_header_is_resumed_at_any_size_of_h() {
    let path = format!(
        "{}/resumed_header_{}.asf",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    std::fs::write(&path, with_header_of(65_530, 0)).unwrap();
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} ! wmspushsink name=sink location={}",
        point.location()
    ));
    play_and_leave(&pipeline, &point, 1);
    play_and_leave(&pipeline, &point, 2);
    let messages = pipeline.run();
    assert_eq!(count(&messages, "WARNING"), 0, "{messages:#?}");
    let push = ended(&point, 1).remove(0);
    assert_eq!(letters(&push), "HD0");
    let [Received::Header(header), ..] = &push.received[..] else {
        panic!("no header")
    };
    assert_eq!(header.len(), 65_530);
    std::fs::remove_file(path).unwrap();
}

/// A session of one publishing point is not resumed at another.
#[test]
fn another_location_is_another_session() {
    let point = Point::new();
    let pipeline = push(&point.location(), "");
    play_and_leave(&pipeline, &point, 1);
    pipeline
        .sink
        .set_property("location", point.handle.url("other"));
    pipeline.run();
    assert_eq!(
        requests(&point),
        ["setup new", "start known", "setup new", "start known"]
    );
    let pushes = ended(&point, 2);
    assert_eq!(pushes[1].point, "/other");
    assert_whole(&pushes[1]);
}

/// NULL closes the connection, but keeps the session.
#[test]
fn a_session_outlives_null() {
    let point = Point::new();
    let pipeline = push(&point.location(), "");
    play_and_leave(&pipeline, &point, 1);
    pipeline.pipeline.set_state(gst::State::Null).unwrap();
    pipeline.run();
    assert_eq!(
        requests(&point),
        ["setup new", "start known", "start known"]
    );
}

/// Statistics continue in a resumed session, and are reset in a new one.
#[test]
fn statistics_continue_with_the_session() {
    let point = Point::new();
    let pipeline = push(&point.location(), "");
    play_and_leave(&pipeline, &point, 1);
    pipeline.run();
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert!(stats.get::<u64>("packets-sent").unwrap() > 27);
    assert_eq!(stats.get::<u32>("connects"), Ok(2));
    pipeline.pipeline.set_state(gst::State::Ready).unwrap();
    pipeline.run();
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("packets-sent"), Ok(27));
}
