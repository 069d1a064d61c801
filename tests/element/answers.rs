// SPDX-License-Identifier: MPL-2.0

//! Responses to PushStart: challenges before, within and after its body, and invalid responses.

use gst::prelude::*;
use gstwmspush::auth::Credentials;
use gstwmspush::push::WriterSink;
use gstwmspush::wmhttp::{AccessConfig, SessionConfig};
use publishing_point::When;

use crate::access::{
    ALICE, AUDIO, AUDIO_VIDEO, BASIC, DIGEST, authorizations, challenge, errors, token, with_faults,
};
use crate::rig::{LONG, Pipeline, Point, fixture};
use crate::wire::{ACCEPTED, Server, connect, letters, session, write};

const STALE: &str = r#"Digest realm="WMS", nonce="n2", qop="auth", stale=true"#;

/// 3.1.5.2: C-231, C-235, C-236: PushStart is sent again, without loss of the data before the response.
#[test]
fn a_push_start_with_a_stale_nonce_is_repeated() {
    let point = with_faults(vec![
        (When::PushSetup(0), challenge(DIGEST)),
        (When::PushStart(0), challenge(STALE)),
    ]);
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} ! wmspushsink name=sink location={} {ALICE}",
        fixture(AUDIO_VIDEO),
        point.location()
    ));
    let messages = pipeline.run();
    assert_eq!(errors(&messages), [""; 0]);
    let push = point.ended();
    assert_eq!((push.data_packets, push.push_starts), (27, 1));
    let reference = Point::new();
    Pipeline::file(AUDIO_VIDEO, &reference.location(), "").run();
    assert_eq!(push.received, reference.ended().received);
    let [_, _, first, second] = &authorizations(&point)[..] else {
        panic!("{}", point.handle.requests().len())
    };
    assert!(first.as_ref().unwrap().contains("n1"), "{first:?}");
    assert!(second.as_ref().unwrap().contains("n2"), "{second:?}");
}

fn unauthorized(field: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\r\nServer: Cougar/9.5\r\nWWW-Authenticate: {field}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn as_alice(session: SessionConfig) -> SessionConfig {
    let access = AccessConfig {
        credentials: Some(Credentials::new("alice", "s3cret")),
        ..AccessConfig::default()
    };
    SessionConfig { access, ..session }
}

/// 3.1.5.1, 3.1.5.2: C-232, C-235: if a part of the body is unsent, the client closes the connection, though the server
/// keeps it. PushStart follows on a new connection and begins with `$H` again.
#[test]
fn a_challenge_within_a_body_closes_the_connection() {
    let server = Server::new();
    let connection = connect(as_alice(session(&server.location(), 1_000_000)));
    write(&connection, AUDIO_VIDEO);
    let mut first = server.accept();
    first.head();
    first.say(ACCEPTED);
    first.head();
    let begun = first.exactly(100);
    first.say(&unauthorized(DIGEST));
    let sent = [begun, first.rest()].concat();
    let mut second = server.accept();
    let head = second.head();
    assert!(
        head.contains("\r\nContent-Type: application/x-wms-pushstart\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nAuthorization: Digest "), "{head}");
    assert!(head.contains("\r\nCookie: push-id=4711\r\n"), "{head}");
    let end = std::thread::spawn(move || connection.on_end_writing(LONG));
    let all = second.rest();
    assert_eq!(letters(&all), "HDE");
    assert_eq!(all[..sent.len()], sent);
    end.join().unwrap().unwrap();
}

/// 3.1.5.2: C-233, C-234, C-236: if all of the body was sent, the connection stays. The packet that did not fit into
/// the body follows the others.
#[test]
fn a_challenge_after_a_full_body_keeps_the_connection() {
    let server = Server::new();
    let connection = connect(as_alice(session(&server.location(), 16_000)));
    write(&connection, AUDIO_VIDEO);
    let end = std::thread::spawn(move || connection.on_end_writing(LONG));
    let mut socket = server.accept();
    socket.head();
    socket.say(ACCEPTED);
    socket.head();
    let body = socket.exactly(16_000);
    assert_eq!(letters(&body), "HDF");
    assert!(socket.is_silent());
    socket.say(&unauthorized(DIGEST));
    let head = socket.head();
    assert!(head.contains("\r\nAuthorization: Digest "), "{head}");
    assert_eq!(socket.exactly(16_000), body, "all of it again");
    socket.say(ACCEPTED);
    socket.head();
    let next = socket.exactly(16_000);
    assert_eq!(letters(&next), "DF");
    socket.say(&unauthorized(STALE));
    let head = socket.head();
    assert!(head.contains("nonce=\"n2\""), "{head}");
    assert_eq!(socket.exactly(16_000), next, "all of it again, without $H");
    socket.say(ACCEPTED);
    socket.head();
    assert_eq!(letters(&socket.rest()), "DE");
    end.join().unwrap().unwrap();
    assert!(server.next_connection().is_none());
}

/// Receivers that end with the body: they close the connection or send no response.
#[test]
fn a_body_without_a_response_starts_a_new_session() {
    for closes in [true, false] {
        let server = Server::new();
        let location = server.location();
        let properties = "content-length=16000 timeout=300";
        let pipeline = Pipeline::file(AUDIO_VIDEO, &location, properties);
        pipeline.play();
        let mut data = Vec::new();
        let mut silent = Vec::new();
        for expected in ["HDF", "HDF", "HDE"] {
            let mut socket = server.accept();
            let head = socket.head();
            assert!(head.contains("\r\nCookie: push-id=0\r\n"), "{head}");
            socket.say(ACCEPTED);
            socket.head();
            let body = if expected.ends_with('E') {
                socket.rest()
            } else {
                socket.exactly(16_000)
            };
            assert_eq!(letters(&body), expected);
            data.extend(packets(&body));
            if !closes {
                silent.push(socket);
            }
        }
        let messages = pipeline.messages_until("EOS");
        assert_eq!(errors(&messages), [""; 0]);
        let reference = Point::new();
        Pipeline::file(AUDIO_VIDEO, &reference.location(), "").run();
        let expected: Vec<_> = reference.ended().data().map(|data| data.to_vec()).collect();
        assert_eq!(data, expected);
    }
}

/// Returns the payloads of `$D`.
fn packets(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let [b'$', id, low, high, rest @ ..] = body {
        let (payload, rest) = rest.split_at(u16::from_le_bytes([*low, *high]).into());
        if *id == b'D' {
            packets.push(payload.to_vec());
        }
        body = rest;
    }
    packets
}

/// 3.1.5.2: C-230: bytes that are not HTTP are a response, but an invalid one.
#[test]
fn a_response_that_is_not_http_is_an_error() {
    let server = Server::new();
    let pipeline = Pipeline::file(AUDIO_VIDEO, &server.location(), "content-length=16000");
    pipeline.play();
    let mut socket = server.accept();
    socket.head();
    socket.say(ACCEPTED);
    socket.head();
    socket.exactly(16_000);
    socket.say("this is no HTTP\r\n\r\n");
    let messages = pipeline.messages_until("ERROR");
    let error = errors(&messages)[0];
    assert!(
        error.ends_with("bad-response NS_E_BAD_SYNTAX_IN_SERVER_RESPONSE"),
        "{error}"
    );
}

/// A stream that ended before its challenge was received is sent again, completely, with authentication.
#[test]
fn a_challenge_that_crosses_the_end_is_answered() {
    let point = with_faults(vec![(When::PushStart(0), challenge(BASIC))]);
    let properties = format!("{ALICE} allow-cleartext-auth=true");
    let pipeline = Pipeline::file(AUDIO, &point.location(), &properties);
    let messages = pipeline.run();
    assert_eq!(errors(&messages), [""; 0]);
    assert_eq!(point.ended().data_packets, 7);
    assert_eq!(authorizations(&point), [None, None, Some(token())]);
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("packets-sent"), Ok(7));
    // The challenge may be received a moment before the last packet is sent.
    assert!(stats.get::<u64>("packets-replayed").unwrap() <= 7);
    let once = |name: &str| {
        messages
            .iter()
            .filter(|line| line.starts_with(name))
            .count()
    };
    assert_eq!(
        (once("WMT_STARTED"), once("WMT_END_OF_STREAMING")),
        (1, 1),
        "{messages:#?}"
    );
}
