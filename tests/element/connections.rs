// SPDX-License-Identifier: MPL-2.0

//! Servers that close connections in other situations than a Windows Media server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use gst::prelude::*;
use publishing_point::{Fault, MidBody, Refuse, Settings, When};

use crate::rig::{LONG, Pipeline, Point, fixture_bytes};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";

/// `$E` with S_OK
const END: [u8; 8] = [0x24, 0x45, 4, 0, 0, 0, 0, 0];

/// Starts a server that handles each connection with the next of `scripts`, and sends the bytes that it received.
fn serve<const N: usize>(
    scripts: [fn(TcpStream) -> Vec<u8>; N],
) -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/live", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    thread::spawn(move || {
        for script in scripts {
            let (stream, _) = listener.accept().unwrap();
            sender.send(script(stream)).unwrap();
        }
    });
    (location, received)
}

fn head(reader: &mut impl BufRead) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && reader.read_until(b'\n', &mut head).unwrap() > 0 {}
    head
}

fn answer(stream: TcpStream, response: &str) -> Vec<u8> {
    let head = head(&mut BufReader::new(&stream));
    (&stream).write_all(response.as_bytes()).unwrap();
    head
}

/// Reads to the end of the connection, which the client closes.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

fn assert_streams(location: &str, received: &mpsc::Receiver<Vec<u8>>) {
    let pipeline = Pipeline::file(AUDIO, location, "");
    let messages = pipeline.run();
    assert!(
        !messages.iter().any(|line| line.starts_with("ERROR")),
        "{messages:#?}"
    );
    let setup = received.recv_timeout(LONG).unwrap();
    assert!(
        setup.starts_with(b"POST /live HTTP/1.1\r\nContent-Type: application/x-wms-pushsetup\r\n")
    );
    let start = received.recv_timeout(LONG).unwrap();
    assert!(
        start.starts_with(b"POST /live HTTP/1.1\r\nContent-Type: application/x-wms-pushstart\r\n")
    );
    assert!(start.ends_with(&END));
    assert_two_connections(&pipeline);
}

fn assert_two_connections(pipeline: &Pipeline) {
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u32>("connects"), Ok(2));
}

/// 3.1.4.2.1: "If the TCP connection … was closed, the client MUST establish a new TCP connection": C-110
#[test]
fn a_server_may_close_after_push_setup() {
    let (location, received) = serve([
        |stream| {
            let response =
                "HTTP/1.1 204 No Content\r\nServer: Cougar/9.5\r\nConnection: close\r\n\r\n";
            answer(stream, response)
        },
        rest,
    ]);
    assert_streams(&location, &received);
}

/// RFC 9112 section 9.3.1 Retrying Requests: the server closes while the next request is on its way.
#[test]
fn a_kept_connection_that_closes_has_its_setup_repeated() {
    let (location, received) = serve([
        |stream| {
            let response = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"y\", \
                            qop=\"auth\"\r\nContent-Length: 0\r\n\r\n";
            let mut reader = BufReader::new(&stream);
            head(&mut reader);
            (&stream).write_all(response.as_bytes()).unwrap();
            head(&mut reader)
        },
        |stream| {
            let response = "HTTP/1.1 204 No Content\r\nServer: Cougar/9.5\r\n\r\n";
            let setup = answer(stream.try_clone().unwrap(), response);
            [setup, rest(stream)].concat()
        },
    ]);
    let pipeline = Pipeline::file(AUDIO, &location, "user-id=alice user-pw=wonderland");
    let messages = pipeline.run();
    let unwanted = |line: &String| line.starts_with("ERROR") || line.starts_with("WARNING");
    assert!(!messages.iter().any(unwanted), "{messages:#?}");
    for _ in 0..2 {
        let connection = received.recv_timeout(LONG).unwrap();
        let text = String::from_utf8_lossy(&connection).into_owned();
        assert!(text.contains("x-wms-pushsetup\r\n"), "{text}");
        assert!(
            text.contains("Authorization: Digest username=\"alice\""),
            "{text}"
        );
    }
    assert_two_connections(&pipeline);
}

/// Without `Connection: close`, as after a timeout between the two requests.
#[test]
fn a_server_may_close_without_announcing_it() {
    let (location, received) = serve([
        |stream| {
            let response = "HTTP/1.1 204 No Content\r\nServer: Cougar/9.5\r\n\r\n";
            answer(stream, response)
        },
        rest,
    ]);
    let pipeline = Pipeline::new(&format!(
        "appsrc name=source ! wmspushsink name=sink sync=false location={location}"
    ));
    pipeline.play();
    pipeline.messages_until("WMT_OPENED");
    // The connection is closed before there is data.
    assert!(received.recv_timeout(LONG).unwrap().starts_with(b"POST "));
    let source = pipeline.pipeline.by_name("source").unwrap();
    let buffer = gst::Buffer::from_slice(fixture_bytes(AUDIO));
    let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
    assert_eq!(pushed, gst::FlowReturn::Ok);
    let ended = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    assert_eq!(ended, gst::FlowReturn::Ok);
    pipeline.messages_until("EOS");
    assert!(received.recv_timeout(LONG).unwrap().ends_with(&END));
    assert_two_connections(&pipeline);
}

/// A close does not confirm `$E` while the stream is unread. Only on Linux the element can see that.
#[cfg(target_os = "linux")]
#[test]
fn data_that_a_server_did_not_read_is_lost() {
    let (location, received) = serve([|stream| {
        let setup = head_alone(&stream);
        let accepted = b"HTTP/1.1 204 No Content\r\nServer: Cougar/9.5\r\n\r\n";
        (&stream).write_all(accepted).unwrap();
        head_alone(&stream);
        let mut unread = vec![0; 1 << 16];
        while !unread.ends_with(&END) {
            unread.resize(1 << 16, 0);
            let size = stream.peek(&mut unread).unwrap();
            unread.truncate(size);
        }
        // Closing now causes a reset. If the server had closed its own side first, and the client had answered in time,
        // the difference would not be visible.
        setup
    }]);
    let (_, messages) = Pipeline::file(AUDIO, &location, "reconnect-timeout=0").fail();
    let error = messages.last().unwrap();
    assert!(
        error.starts_with("ERROR RESOURCE/Write end connection-"),
        "{error}"
    );
    assert!(received.recv_timeout(LONG).is_ok());
}

/// Reads a head, and nothing behind it.
#[cfg(target_os = "linux")]
fn head_alone(stream: &TcpStream) -> Vec<u8> {
    head(&mut BufReader::with_capacity(1, stream))
}

/// C-001: the protocol also works over HTTP/1.0.
#[test]
fn a_server_may_speak_http_1_0() {
    let (location, received) = serve([
        |stream| {
            answer(
                stream,
                "HTTP/1.0 204 No Content\r\nServer: Cougar/9.5\r\n\r\n",
            )
        },
        rest,
    ]);
    assert_streams(&location, &received);
}

/// A body that is neither announced nor sent is not awaited.
#[test]
fn a_response_may_lack_its_length() {
    let (location, received) = serve([
        |stream| {
            let response = "HTTP/1.1 200 OK\r\nServer: Cougar/9.5\r\n\r\n";
            let request = head(&mut BufReader::new(&stream));
            (&stream).write_all(response.as_bytes()).unwrap();
            thread::spawn(|| rest(stream));
            request
        },
        rest,
    ]);
    assert_streams(&location, &received);
}

/// Fields that are missing in the responses of usable receivers (decision D-5).
#[test]
fn a_server_may_omit_optional_fields() {
    for fault in [
        Fault::Status200,
        Fault::Without(http::header::PRAGMA),
        Fault::Without(http::header::CACHE_CONTROL),
        Fault::AfterEnd(None),
        Fault::AfterEnd(Some(Refuse::new(422))),
    ] {
        let point = Point::with(Settings {
            faults: vec![(When::Always, fault.clone())],
            ..Settings::default()
        });
        // In real time, so that a refusal of the PushStart would be received before the end.
        let messages = Pipeline::file(AUDIO, &point.location(), "sync=true").run();
        assert!(
            !messages.iter().any(|line| line.starts_with("ERROR")),
            "{fault:?}: {messages:#?}"
        );
        assert_eq!(point.handle.pushes()[0].data_packets, 7, "{fault:?}");
    }
}

/// A stream that ended before its refusal was received was not accepted.
#[test]
fn a_refusal_that_crosses_the_end_is_an_error() {
    for (fault, error) in [
        (
            Fault::Refuse(Refuse::new(404)),
            "ERROR RESOURCE/NotFound end refused NS_E_INVALID_PUSH_PUBLISHING_POINT",
        ),
        (
            Fault::Refuse(Refuse::new(422)),
            "ERROR RESOURCE/Write end refused NS_E_REFUSED_BY_SERVER",
        ),
        // Only a proxy sends this for a server that closes.
        (
            Fault::AfterEnd(Some(Refuse::new(502))),
            "ERROR RESOURCE/Write end refused NS_E_ERROR_FROM_PROXY",
        ),
        (
            Fault::AfterPackets(2, MidBody::Respond(Refuse::new(409))),
            "ERROR RESOURCE/Busy end refused NS_E_BUSY",
        ),
    ] {
        let point = Point::with(Settings {
            faults: vec![(When::EveryPushStart, fault)],
            ..Settings::default()
        });
        let (_, messages) = Pipeline::file(AUDIO, &point.location(), "reconnect-timeout=0").fail();
        // The response may be received a moment before the end.
        let last = messages.last().unwrap().replace(" push ", " end ");
        assert_eq!(last, error);
    }
}
