// SPDX-License-Identifier: MPL-2.0

//! Bytes on TCP: heads as the publishing point received them, and connections as a plain socket sees them.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstwmspush::asf::{Item, Reader};
use gstwmspush::push::{
    self, Connection, Leaky, Limits, Phase, Status, StatusCallback, WriterSink,
};
use gstwmspush::wmhttp::SessionConfig;
use gstwmspush::wmhttp::server::Received;
use publishing_point::{Fault, Settings, When};

use crate::rig::{LONG, Pipeline, Point, fixture_bytes};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";
const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

pub const ACCEPTED: &str =
    "HTTP/1.1 204 No Content\r\nServer: Cougar/9.5\r\nSet-Cookie: push-id=4711\r\n\r\n";

/// A server whose sockets the test controls.
pub struct Server(TcpListener);

impl Server {
    pub fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub fn location(&self) -> String {
        format!("http://{}/live", self.0.local_addr().unwrap())
    }

    pub fn accept(&self) -> Socket {
        let deadline = Instant::now() + LONG;
        let stream = loop {
            match self.next_connection() {
                Some(stream) => break stream,
                None => assert!(Instant::now() < deadline, "no connection"),
            }
            std::thread::yield_now();
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Socket(stream)
    }

    /// Returns a pending connection.
    pub fn next_connection(&self) -> Option<TcpStream> {
        self.0.set_nonblocking(true).unwrap();
        match self.0.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                None
            }
        }
    }
}

pub struct Socket(TcpStream);

impl Socket {
    /// Reads a request up to its empty line.
    pub fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.exactly(1)[0]);
        }
        String::from_utf8(head).unwrap()
    }

    pub fn exactly(&mut self, bytes: usize) -> Vec<u8> {
        let mut buffer = vec![0; bytes];
        self.0.read_exact(&mut buffer).unwrap();
        buffer
    }

    /// Reads until the client closes the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        rest
    }

    pub fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    pub fn is_silent(&mut self) -> bool {
        self.0
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let read = self.0.peek(&mut [0]);
        self.0.set_read_timeout(Some(LONG)).unwrap();
        read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }
}

/// Returns the PacketIDs of a body, with repeated `$D` folded.
pub fn letters(mut body: &[u8]) -> String {
    let mut letters = String::new();
    while let [b'$', id, low, high, rest @ ..] = body {
        let letter = char::from(*id);
        if !(letter == 'D' && letters.ends_with('D')) {
            letters.push(letter);
        }
        body = &rest[u16::from_le_bytes([*low, *high]).into()..];
    }
    assert!(body.is_empty(), "{} bytes are no packet", body.len());
    letters
}

/// Returns a request as old encoders write it: names in Title-Case, one space, in this order.
fn expected(kind: &str, length: usize, push_id: &str, point: &Point) -> String {
    let user_agent = format!(
        "WMEncoder/12.0 GStreamer/{}.{}.{} wmspushsink/{}",
        gst::version().0,
        gst::version().1,
        gst::version().2,
        env!("CARGO_PKG_VERSION")
    );
    [
        "POST /live HTTP/1.1".to_owned(),
        format!("Content-Type: application/x-wms-{kind}"),
        "X-Accept-Authentication: Negotiate, NTLM, Digest".to_owned(),
        format!("User-Agent: {user_agent}"),
        format!("Content-Length: {length}"),
        "Cache-Control: no-cache".to_owned(),
        format!("Cookie: push-id={push_id}"),
        format!("Host: {}", point.handle.local_addr()),
        String::new(),
        String::new(),
    ]
    .join("\r\n")
}

/// 2.2.2.1, 2.2.2.2, 3.1.4.1.1, 3.1.4.2.1: both complete heads, without chunked coding and without fields of a response
/// or a proxy: C-002, C-005, C-009…C-012, C-016…C-022, C-029, C-071, C-080…C-086, C-089…C-091, C-112…C-115, C-119,
/// C-121…C-124, C-126, C-127.
/// C-112…C-115, C-119, C-121…C-124, C-126, C-127.
#[test]
fn requests_stand_on_the_wire_as_an_encoder_writes_them() {
    let point = Point::new();
    Pipeline::file(AUDIO, &point.location(), "auto-destroy=true").run();
    let requests = point.handle.requests();
    let head = |number: usize| std::str::from_utf8(&requests[number].head).unwrap();
    assert_eq!(head(0), expected("pushsetup", 16, "0", &point));
    assert_eq!(requests[0].body, "AutoDestroy: 1\r\n");
    let push_id = requests[1].field("cookie").unwrap();
    let push_id = push_id.strip_prefix("push-id=").unwrap();
    assert_ne!(push_id, "0");
    let start = expected("pushstart", 2_147_483_647, push_id, &point);
    assert_eq!(head(1), start);
    assert_eq!(requests.len(), 2);
}

/// 2.2.2.1.1: C-022, C-024, C-025, C-027, C-080, C-084, C-092, C-094: non-ASCII names are sent as percent-encoded
/// UTF-8.
#[test]
fn non_ascii_names_are_percent_encoded() {
    let point = Point::new();
    let location = point.handle.url("日本 1");
    let pipeline = Pipeline::file(AUDIO, &point.location(), "template-url=/ä/日本");
    pipeline.sink.set_property("location", location);
    pipeline.run();
    let setup = &point.handle.requests()[0];
    let head = std::str::from_utf8(&setup.head).unwrap();
    assert!(
        head.starts_with("POST /%E6%97%A5%E6%9C%AC%201 HTTP/1.1\r\n"),
        "{head}"
    );
    let body = "Template-URL: \"/%C3%A4/%E6%97%A5%E6%9C%AC\"\r\nAutoDestroy: 0\r\n";
    assert_eq!(setup.body, body);
    assert_eq!(
        setup.field("content-length"),
        Some(&*body.len().to_string())
    );
}

/// 2.2.2.1.1, RFC 3986 section 3.3: C-026: illegal characters of a path are encoded as well.
#[test]
fn a_template_has_no_characters_that_a_path_cannot_have() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    pipeline.sink.set_property("template-url", "/a|b^c[d]%");
    pipeline.run();
    let body = "Template-URL: \"/a%7Cb%5Ec%5Bd%5D%25\"\r\nAutoDestroy: 0\r\n";
    assert_eq!(point.handle.requests()[0].body, body);
}

/// 3.1.4.1, 3.1.4.2, 3.1.4.4, 3.1.5.1: C-006, C-073, C-106, C-128, C-168, C-170, C-217: one connection from PushSetup
/// to the end, which the client closes after `$E`; `$H` directly follows the head.
#[test]
fn a_session_is_one_connection_and_closes_it() {
    let server = Server::new();
    let pipeline = Pipeline::file(AUDIO_VIDEO, &server.location(), "");
    pipeline.play();
    let mut socket = server.accept();
    let setup = socket.head();
    assert!(setup.contains("x-wms-pushsetup") && socket.is_silent());
    socket.say(ACCEPTED);
    let start = socket.head();
    assert!(start.contains("x-wms-pushstart"));
    assert!(start.contains("Cookie: push-id=4711\r\n"));
    let body = socket.rest();
    assert_eq!(letters(&body), "HDE");
    assert!(body.ends_with(b"$E\x04\0\0\0\0\0"));
    pipeline.messages_until("EOS");
    assert!(server.next_connection().is_none());
}

/// 1.4, 2.2.1, 3.1.4.2.1: C-001, C-007, C-110: if the response explicitly or implicitly closes the connection,
/// PushStart is sent to the same URL on another one.
#[test]
fn push_start_opens_another_connection_when_the_first_was_closed() {
    for answer in [
        ACCEPTED.replace("Server:", "Connection: close\r\nServer:"),
        ACCEPTED.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        let server = Server::new();
        let pipeline = Pipeline::file(AUDIO_VIDEO, &server.location(), "");
        pipeline.play();
        let mut first = server.accept();
        first.head();
        first.say(&answer);
        assert!(first.rest().is_empty());
        drop(first);
        let mut second = server.accept();
        let head = second.head();
        assert!(head.starts_with("POST /live HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Cookie: push-id=4711\r\n"), "{head}");
        assert_eq!(letters(&second.rest()), "HDE");
        pipeline.messages_until("EOS");
    }
}

/// 2.2.1, RFC 2616 section 10.1: C-007: a provisional response is not the response.
#[test]
fn provisional_responses_are_passed_over() {
    let server = Server::new();
    let pipeline = Pipeline::file(AUDIO_VIDEO, &server.location(), "");
    pipeline.play();
    let mut socket = server.accept();
    socket.head();
    socket.say("HTTP/1.1 100 Continue\r\n\r\n");
    socket.say(ACCEPTED);
    socket.head();
    socket.say("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(letters(&socket.rest()), "HDE");
    let messages = pipeline.messages_until("EOS");
    assert!(!messages.iter().any(|line| line.starts_with("ERROR")));
}

struct Quiet;

impl StatusCallback for Quiet {
    fn on_phase(&self, _: Phase) {}
    fn on_status(&self, _: &Status) {}
}

pub fn session(location: &str, content_length: u64) -> SessionConfig {
    SessionConfig {
        content_length: Some(content_length),
        remove_padding: true,
        ..SessionConfig::new(location.parse().unwrap(), "WMEncoder/12.0")
    }
}

pub fn connect(session: SessionConfig) -> Connection {
    let settings = push::Settings {
        timeout: LONG,
        stall_timeout: LONG,
        limits: Limits {
            bytes: 1 << 20,
            time: Duration::ZERO,
            leaky: Leaky::No,
        },
        ..push::Settings::new(session)
    };
    Connection::connect(settings, Quiet).unwrap()
}

pub fn write(connection: &Connection, name: &str) {
    let mut reader = Reader::new();
    reader.push(fixture_bytes(name).into());
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Header(header) => drop(connection.on_header(&header).unwrap()),
            Item::DataUnit(packet) => connection.on_data_unit(packet).unwrap(),
            Item::Skipped(_) => {}
        }
    }
}

/// 3.1.4.3, 3.1.5.2: C-122, C-142, C-146, C-151, C-217, C-243: each body has the length of its head, nothing follows it
/// before the response, and the next PushStart is on the same connection.
#[test]
fn bodies_end_where_their_heads_say() {
    let server = Server::new();
    let connection = connect(session(&server.location(), 16_000));
    write(&connection, AUDIO_VIDEO);
    let end = std::thread::spawn(move || connection.on_end_writing(LONG));
    let mut socket = server.accept();
    socket.head();
    socket.say(ACCEPTED);
    for expected in ["HDF", "DF"] {
        let head = socket.head();
        assert!(head.contains("Content-Length: 16000\r\n"), "{head}");
        assert_eq!(letters(&socket.exactly(16_000)), expected);
        assert!(socket.is_silent());
        socket.say(ACCEPTED);
    }
    socket.head();
    assert_eq!(letters(&socket.rest()), "DE");
    end.join().unwrap().unwrap();
    assert!(server.next_connection().is_none());
}

/// 3.1.5.2: C-230
#[test]
fn a_push_start_response_must_be_http() {
    let point = Point::with(Settings {
        faults: vec![(When::EveryPushStart, Fault::Garbage)],
        ..Settings::default()
    });
    // In real time, so that the response is received long before the end.
    let pipeline = Pipeline::paced(AUDIO_VIDEO, &point.location());
    let (_, messages) = pipeline.fail();
    let error = messages.last().unwrap();
    assert!(
        error.ends_with("bad-response NS_E_BAD_SYNTAX_IN_SERVER_RESPONSE"),
        "{error}"
    );
}

/// 3.1.7.1: C-251
#[test]
fn a_connection_lost_before_the_response_is_an_error() {
    let server = Server::new();
    let pipeline = Pipeline::file(AUDIO, &server.location(), "");
    pipeline.play();
    let mut socket = server.accept();
    socket.head();
    socket.say("HTTP/1.1 204 No");
    drop(socket);
    let messages = pipeline.messages_until("ERROR");
    let error = messages.last().unwrap();
    assert!(
        error.starts_with("ERROR RESOURCE/OpenWrite setup connection-"),
        "{error}"
    );
}

/// 3.1.4.1, 3.1.4.4: C-072, C-171: nothing of the last session is kept.
#[test]
fn the_next_session_asks_for_a_push_id_again() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO, &point.location(), "");
    for _ in 0..2 {
        pipeline.run();
        pipeline.pipeline.set_state(gst::State::Ready).unwrap();
    }
    let requests = point.handle.requests();
    let cookies: Vec<_> = requests
        .iter()
        .map(|request| request.field("cookie"))
        .collect();
    assert_eq!(cookies[0], Some("push-id=0"));
    assert_eq!(cookies[2], Some("push-id=0"));
    assert_ne!(cookies[1], cookies[3]);
}

/// Returns the fixture with a Padding Object of bytes `filler` that makes its header `size` bytes long.
pub fn with_header_of(size: usize, filler: u8) -> Vec<u8> {
    const PADDING: [u8; 16] = [
        0x74, 0xD4, 0x06, 0x18, 0xDF, 0xCA, 0x09, 0x45, 0xA4, 0xBA, 0x9A, 0xAB, 0xCB, 0x96, 0xAA,
        0xE8,
    ];
    let bytes = fixture_bytes(AUDIO);
    let objects = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
    let padding = size - 50 - objects;
    let mut long = bytes[..objects].to_vec();
    long.extend_from_slice(&PADDING);
    long.extend_from_slice(&(padding as u64).to_le_bytes());
    long.resize(size - 50, filler);
    long[16..24].copy_from_slice(&(size as u64 - 50).to_le_bytes());
    long.extend_from_slice(&bytes[objects..]);
    long
}

/// 2.2.3.2, 2.2.3.6: C-039, C-058: the largest header that fits `$H` is sent completely, one byte more is not; `$C`
/// holds four bytes less.
#[test]
fn headers_up_to_the_size_of_a_packet_are_sent() {
    let sizes = |first: usize, second: usize| {
        let path = format!(
            "{}/headers_{first}_{second}_{}.asf",
            env!("CARGO_TARGET_TMPDIR"),
            std::process::id()
        );
        let both = [with_header_of(first, 0), with_header_of(second, 1)].concat();
        std::fs::write(&path, both).unwrap();
        let point = Point::new();
        Pipeline::new(&format!(
            "filesrc location={path} ! wmspushsink name=sink sync=false location={}",
            point.location()
        ))
        .run();
        let push = point.ended();
        let packets = push.received.iter();
        packets
            .filter_map(|packet| match packet {
                Received::Header(header) => Some(('H', header.len())),
                Received::StreamChange(header) => Some(('C', header.len())),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(65_531, 65_527), [('H', 65_531), ('C', 65_527)]);
    let [('H', first), ('C', second)] = sizes(65_532, 65_528)[..] else {
        panic!("not $H and $C")
    };
    assert!(first < 1_000 && second < 1_000, "{first} {second}");
}
