// SPDX-License-Identifier: MPL-2.0

//! Pushes after a lost connection: 3.2.7.1.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use gst::prelude::*;
#[cfg(target_os = "linux")]
use gstwmspush::asf::{Item, Reader};
use gstwmspush::wmhttp::server::Timeouts;
use publishing_point::{Event, Fault, MidBody, Push, Refuse, RequestSeen, Settings, When};

use crate::harness::expected;
#[cfg(target_os = "linux")]
use crate::harness::unpadded;
use crate::rig::{LONG, Pipeline, Point, fixture, long_file};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

pub fn faulty(faults: Vec<(When, Fault)>) -> Point {
    Point::with(Settings {
        faults,
        ..Settings::default()
    })
}

/// Pushes a file in real time, or unpaced.
pub fn push(location: &str, properties: &str) -> Pipeline {
    let path = fixture(AUDIO_VIDEO);
    Pipeline::new(&format!(
        "filesrc location={path} ! wmspushsink name=sink location={location} {properties}"
    ))
}

pub fn stats(pipeline: &Pipeline) -> gst::Structure {
    pipeline.sink.property("stats")
}

pub fn count(messages: &[String], begin: &str) -> usize {
    messages
        .iter()
        .filter(|line| line.starts_with(begin))
        .count()
}

/// Returns the kinds of the requests: setup with or without a push-id, start with or without one.
pub fn requests(point: &Point) -> Vec<String> {
    let kind = |request: &RequestSeen| {
        let head = String::from_utf8_lossy(&request.head).into_owned();
        let kind = if head.contains("x-wms-pushsetup") {
            "setup"
        } else {
            "start"
        };
        let new = head.contains("Cookie: push-id=0\r\n");
        format!("{kind} {}", if new { "new" } else { "known" })
    };
    point.handle.requests().iter().map(kind).collect()
}

pub fn ended(point: &Point, sessions: usize) -> Vec<Push> {
    let over =
        |pushes: &[&Push]| pushes.len() == sessions && pushes.last().is_some_and(|push| push.over);
    point
        .handle
        .wait_for_pushes(over, LONG)
        .expect("all sessions, and the last is over")
}

/// Asserts that everything was received, once, in one session.
pub fn assert_whole(push: &Push) {
    let content = expected(AUDIO_VIDEO);
    assert_eq!(push.received, content, "{} packets", push.data_packets);
}

#[test]
fn a_lost_connection_is_resumed_without_loss() {
    for what in [MidBody::Reset, MidBody::Close] {
        let faults = vec![(When::PushStart(0), Fault::AfterPackets(9, what.clone()))];
        let point = faulty(faults);
        let pipeline = push(&point.location(), "");
        let messages = pipeline.run();
        assert_eq!(
            count(&messages, "WARNING RESOURCE/Write push connection-"),
            1
        );
        assert_eq!(
            count(&messages, "WMT_RECONNECT_START streaming→reconnecting"),
            1,
            "{messages:#?}"
        );
        assert_eq!(
            count(&messages, "WMT_RECONNECT_END reconnecting→streaming S_OK"),
            1
        );
        assert_eq!(count(&messages, "ERROR"), 0);
        assert_eq!(
            requests(&point),
            ["setup new", "start known", "start known"],
            "{what:?}"
        );
        assert_whole(&ended(&point, 1)[0]);
        let stats = stats(&pipeline);
        assert_eq!(stats.get::<u32>("reconnects"), Ok(1));
        assert_eq!(stats.get::<u64>("packets-dropped"), Ok(0));
        assert_eq!(stats.get::<u64>("packets-sent"), Ok(27));
    }
}

/// A refusal with or without a response: a new session begins at once, with a key frame.
#[test]
fn a_forgotten_session_is_followed_by_a_new_one() {
    for status in [400, 404, 408] {
        let faults = vec![
            (When::PushStart(0), Fault::AfterPackets(9, MidBody::Reset)),
            (When::PushStart(1), Fault::Refuse(Refuse::new(status))),
        ];
        let point = faulty(faults);
        let pipeline = push(&point.location(), "");
        let begun = Instant::now();
        let messages = pipeline.run();
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(count(&messages, "ERROR"), 0, "{messages:#?}");
        assert_eq!(count(&messages, "WMT_RECONNECT_END"), 1);
        assert_eq!(
            requests(&point),
            [
                "setup new",
                "start known",
                "start known",
                "setup new",
                "start known"
            ],
            "{status}"
        );
        let pushes = ended(&point, 2);
        let all = expected(AUDIO_VIDEO);
        let (first, second) = (&pushes[0].received, &pushes[1].received);
        assert_eq!(*first, all[..first.len()], "{status}");
        assert_eq!(second[0], all[0], "$H");
        assert_eq!(second[1..], all[all.len() - second.len() + 1..]);
        let dropped = stats(&pipeline).get::<u64>("packets-dropped").unwrap();
        let missing = (all.len() + 1 - first.len() - second.len()) as u64;
        // One more packet may have been written to a socket that is no longer read.
        assert!(
            (dropped..=dropped + 1).contains(&missing),
            "{dropped} of {missing}"
        );
        let told = count(&messages, "WARNING RESOURCE/Write push packets-dropped");
        assert_eq!(told > 0, dropped > 0);
    }
}

/// An early temporary status counts as a loss.
#[test]
fn temporary_statuses_are_retried() {
    for status in [403, 408, 409, 429, 500, 503] {
        let refuse = Fault::AfterPackets(5, MidBody::Respond(Refuse::new(status)));
        let point = faulty(vec![(When::PushStart(0), refuse)]);
        let messages = push(&point.location(), "sync=false").run();
        assert_eq!(count(&messages, "ERROR"), 0, "{status}: {messages:#?}");
        assert_eq!(
            count(&messages, "WMT_RECONNECT_END"),
            1,
            "{status}: {messages:#?}"
        );
    }
}

#[test]
fn statuses_that_are_final_are_an_error() {
    for status in [400, 404, 410] {
        let refuse = Fault::AfterPackets(5, MidBody::Respond(Refuse::new(status)));
        let point = faulty(vec![(When::PushStart(0), refuse)]);
        let (_, messages) = push(&point.location(), "sync=false").fail();
        assert_eq!(
            count(&messages, "WMT_RECONNECT"),
            0,
            "{status}: {messages:#?}"
        );
    }
}

/// A server that is unreachable for a while.
#[test]
fn a_server_that_returns_is_reconnected() {
    let point = faulty(vec![
        (When::PushStart(0), Fault::AfterPackets(5, MidBody::Reset)),
        (When::Request(2), Fault::Refuse(Refuse::new(503))),
        (When::Request(3), Fault::Refuse(Refuse::new(503))),
    ]);
    let pipeline = push(&point.location(), "");
    let messages = pipeline.run();
    assert_eq!(count(&messages, "ERROR"), 0, "{messages:#?}");
    assert_eq!(count(&messages, "WMT_RECONNECT_START"), 2, "one an attempt");
    assert_eq!(count(&messages, "WMT_RECONNECT_END"), 1);
}

/// A refused connection means a restarted server without sessions. Some receivers would not report that, and would
/// accept data without a header.
#[test]
fn a_restarted_server_gets_a_new_session() {
    let reset = Fault::AfterPackets(9, MidBody::Reset);
    let first = faulty(vec![(When::PushStart(0), reset)]);
    let pipeline = push(&first.location(), "");
    pipeline.play();
    let mut messages = pipeline.messages_until("WMT_RECONNECT_START");
    let listen = first.handle.local_addr();
    drop(first);
    // An attempt has met a closed port.
    messages.extend(pipeline.messages_until("WMT_RECONNECT_START"));
    let second = Point::with(Settings {
        listen,
        ..Settings::default()
    });
    messages.extend(pipeline.messages_until("EOS"));
    assert_eq!(count(&messages, "ERROR"), 0, "{messages:#?}");
    assert_eq!(count(&messages, "WMT_RECONNECT_END"), 1, "{messages:#?}");
    assert_eq!(requests(&second), ["setup new", "start known"]);
    let received = &ended(&second, 1)[0].received;
    assert_eq!(received[0], expected(AUDIO_VIDEO)[0], "$H");
}

/// The second encoder is refused, and does not affect the first.
#[test]
fn a_second_encoder_is_refused() {
    let point = Point::new();
    let first = push(&point.location(), "");
    first.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    point.handle.wait_for(data, LONG).expect("data");
    let (_, messages) = push(&point.location(), "").fail();
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/Busy setup refused NS_E_BUSY"
    );
    let messages = first.messages_until("EOS");
    assert_eq!(count(&messages, "WARNING"), 0, "{messages:#?}");
    assert_whole(&point.ended());
}

/// After `reconnect-timeout` the loss is an ERROR, with the failure of the last attempt.
#[test]
fn an_absent_server_is_an_error_within_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/live", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        assert!(stream.read(&mut bytes).unwrap() > 0);
        let accepted = "HTTP/1.1 204 No Content\r\nServer: Cougar/9.5\r\n\r\n";
        stream.write_all(accepted.as_bytes()).unwrap();
        assert!(stream.read(&mut bytes).unwrap() > 0);
    });
    let pipeline = push(&location, "reconnect-timeout=1000");
    pipeline.play();
    let mut messages = pipeline.messages_until("WMT_RECONNECT_START");
    let begun = Instant::now();
    server.join().unwrap();
    messages.extend(pipeline.messages_until("ERROR"));
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/Write connect connection-refused NS_E_PUSH_CANNOTCONNECT"
    );
    assert_eq!(count(&messages, "ERROR"), 1);
}

/// A first connection is only retried if that is enabled.
#[test]
fn a_first_connection_is_retried_on_demand() {
    let faults = || vec![(When::PushSetup(0), Fault::Refuse(Refuse::new(503)))];
    let point = faulty(faults());
    let (_, messages) = push(&point.location(), "").fail();
    assert_eq!(count(&messages, "WMT_RECONNECT"), 0);
    let point = faulty(faults());
    let messages = push(&point.location(), "retry-first-connect=true").run();
    let expected = [
        "PROGRESS connect Start",
        "WMT_RECONNECT_START connecting→reconnecting NS_E_SERVER_UNAVAILABLE",
        "WMT_RECONNECT_END reconnecting→connected S_OK",
        "WMT_OPENED connected→connected S_OK",
        "PROGRESS connect Complete",
        "WMT_STARTED connected→streaming S_OK",
    ];
    let seen: Vec<_> = messages
        .iter()
        .filter(|line| expected.contains(&line.as_str()))
        .collect();
    assert_eq!(seen, expected, "{messages:#?}");
}

/// 3.2.6.1: servers close idle sessions. PLAYING begins a new session, without an error.
#[test]
fn an_overlong_pause_is_followed_by_a_new_session() {
    let point = Point::with(Settings {
        timeouts: Timeouts {
            idle: Duration::from_secs(1),
            ..Timeouts::default()
        },
        ..Settings::default()
    });
    let pipeline = push(&point.location(), "");
    pipeline.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    point.handle.wait_for(data, LONG).expect("data");
    pipeline.pipeline.set_state(gst::State::Paused).unwrap();
    let deleted = |event: &Event| matches!(event, Event::SessionDeleted { .. });
    point
        .handle
        .wait_for(deleted, LONG)
        .expect("the server's patience ends");
    let mut messages = pipeline.messages_until("WMT_RECONNECT_START");
    pipeline.play();
    messages.extend(pipeline.messages_until("EOS"));
    assert_eq!(count(&messages, "ERROR"), 0, "{messages:#?}");
    assert_eq!(count(&messages, "WMT_RECONNECT_START"), 1, "{messages:#?}");
    assert_eq!(count(&messages, "WMT_RECONNECT_END"), 1, "{messages:#?}");
    assert!(ended(&point, 2)[1].data_packets > 0);
}

/// If the peer's TCP has acknowledged a part of a packet, the whole packet is sent again, and none before it.
#[cfg(target_os = "linux")]
#[test]
fn unacknowledged_data_is_sent_again_from_a_packet_boundary() {
    let path = long_file(20_000_000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/live", listener.local_addr().unwrap());
    let (full, is_full) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        head(&stream);
        let accepted =
            "HTTP/1.1 204 No Content\r\nServer: Cougar/9.5\r\nSet-Cookie: push-id=4711\r\n\r\n";
        (&stream).write_all(accepted.as_bytes()).unwrap();
        head(&stream);
        (&stream).read_exact(&mut [0; 100_000]).unwrap();
        is_full.recv_timeout(LONG).unwrap();
        // Closing the connection resets it, because received bytes are unread.
        let arrived = 100_000 + stream.peek(&mut vec![0; 16_000_000]).unwrap();
        drop(stream);
        let (stream, _) = listener.accept().unwrap();
        assert!(head(&stream).contains("Cookie: push-id=4711\r\n"));
        let mut rest = Vec::new();
        (&stream).read_to_end(&mut rest).unwrap();
        (arrived, rest)
    });
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} blocksize=65536 ! wmspushsink name=sink sync=false max-size-time=0 \
         max-size-bytes=1000000 location={location}"
    ));
    pipeline.play();
    let begun = Instant::now();
    while stats(&pipeline).get::<u32>("queued-bytes").unwrap() < 990_000 {
        assert!(begun.elapsed() < LONG, "the queue is never full");
        std::thread::yield_now();
    }
    full.send(()).unwrap();
    let messages = pipeline.messages_until("EOS");
    assert_eq!(count(&messages, "WMT_RECONNECT_END"), 1, "{messages:#?}");
    assert!(stats(&pipeline).get::<u64>("packets-replayed").unwrap() > 0);
    let (arrived, rest) = server.join().unwrap();
    let packets = framed(&path);
    let cut = packets
        .iter()
        .scan(0, |end, packet| {
            *end += packet.len();
            Some(*end)
        })
        .take_while(|end| *end <= arrived)
        .count();
    assert!(
        rest == packets[cut..].concat(),
        "from packet {cut} of {}",
        packets.len()
    );
}

/// Returns the packets of a file as they are sent, from `$H` to `$E`.
#[cfg(target_os = "linux")]
fn framed(path: &str) -> Vec<Vec<u8>> {
    let mut reader = Reader::new();
    reader.push(std::fs::read(path).unwrap().into());
    let items = std::iter::from_fn(|| reader.next_item().unwrap());
    let packet = |item| match item {
        Item::Header(header) => Some((b'H', header.to_live().as_bytes().to_vec())),
        Item::DataUnit(packet) => Some((b'D', unpadded(&packet).to_vec())),
        Item::Skipped(_) => None,
    };
    let frame = |(letter, payload): (u8, Vec<u8>)| {
        let size = u16::try_from(payload.len()).unwrap().to_le_bytes();
        [&[b'$', letter][..], &size, &payload].concat()
    };
    let packets = items.filter_map(packet).map(frame);
    packets.chain([b"$E\x04\0\0\0\0\0".to_vec()]).collect()
}

/// Reads the head of a request, and nothing behind it.
#[cfg(target_os = "linux")]
fn head(stream: &std::net::TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let mut stream = stream;
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// No state change waits for the network, nor between two attempts.
#[test]
fn null_comes_at_once_while_reconnecting() {
    let reset = Fault::AfterPackets(3, MidBody::Reset);
    let point = faulty(vec![(When::PushStart(0), reset)]);
    let pipeline = push(&point.location(), "");
    point.handle.set_faults(vec![
        (When::PushStart(0), Fault::AfterPackets(3, MidBody::Reset)),
        (When::Request(2), Fault::Refuse(Refuse::new(503))),
        (When::Request(3), Fault::Silent),
    ]);
    pipeline.play();
    pipeline.messages_until("WMT_RECONNECT_START");
    let begun = Instant::now();
    pipeline.pipeline.set_state(gst::State::Null).unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(100),
        "{:?}",
        begun.elapsed()
    );
    let state: gstwmspush::SessionState =
        pipeline.sink.property_value("session-state").get().unwrap();
    assert_eq!(state, gstwmspush::SessionState::Disconnected);
}

/// An unreachable server does not block the other branches of a `tee`.
#[test]
fn a_leaky_element_never_blocks() {
    for leaky in ["upstream", "downstream"] {
        let stall = Fault::AfterPackets(3, MidBody::Stall);
        let point = faulty(vec![(When::EveryPushStart, stall)]);
        let path = long_file(20_000_000);
        let pipeline = Pipeline::new(&format!(
            "filesrc location={path} blocksize=65536 ! wmspushsink name=sink sync=false leaky={leaky} \
             max-size-bytes=1000000 eos-timeout=300 location={}",
            point.location()
        ));
        let begun = Instant::now();
        let messages = pipeline.run();
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        let dropped = "WARNING RESOURCE/Write push packets-dropped NS_E_NET_WRITE";
        assert!(count(&messages, dropped) > 0, "{leaky}: {messages:#?}");
        assert!(stats(&pipeline).get::<u64>("packets-dropped").unwrap() > 1000);
    }
}
