// SPDX-License-Identifier: MPL-2.0

//! Servers that close their connections where a Windows Media server does not.

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

/// A server that serves each connection with the next of `scripts`, and tells what it has got.
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

/// Everything to the end of the connection, which the client makes.
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

/// Without a word, as a time-out between the two requests would do it.
#[test]
fn a_server_may_close_without_saying_so() {
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
    // The connection is closed before there is anything to send.
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

/// The close is no answer to `$E` where the stream lies unread. Only Linux lets the element see that.
#[cfg(target_os = "linux")]
#[test]
fn what_a_server_leaves_unread_has_not_arrived() {
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
        // Closing it now is a reset. Had the server ended its own half first, and the client answered that in time, nobody
        // could tell.
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

/// A head, and nothing of what is behind it.
#[cfg(target_os = "linux")]
fn head_alone(stream: &TcpStream) -> Vec<u8> {
    head(&mut BufReader::with_capacity(1, stream))
}

/// C-001: the protocol goes over HTTP/1.0 as well.
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

/// What is neither announced nor ever sent is not waited for.
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

/// What is missing in the answers of receivers that work all the same (decision D-5).
#[test]
fn a_server_may_leave_out_what_is_not_needed() {
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
        // In real time, so that a refusal of the PushStart would have come before the end.
        let messages = Pipeline::file(AUDIO, &point.location(), "sync=true").run();
        assert!(
            !messages.iter().any(|line| line.starts_with("ERROR")),
            "{fault:?}: {messages:#?}"
        );
        assert_eq!(point.handle.pushes()[0].data_packets, 7, "{fault:?}");
    }
}

/// A stream that is over before the answer to it is there has not arrived.
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
        // Only a proxy makes it of a server that closes.
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
        // It may come a moment before the end.
        let last = messages.last().unwrap().replace(" push ", " end ");
        assert_eq!(last, error);
    }
}
