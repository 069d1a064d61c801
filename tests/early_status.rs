// SPDX-License-Identifier: MPL-2.0

//! A server that refuses during the body and closes with most of it unread: its response must be received.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gstwmspush::asf::{DataPacket, FileHeader, Item, Reader};
use gstwmspush::push::{
    Connection, Failure, Leaky, Limits, Phase, Settings, Status, StatusCallback, WriterSink,
};
use gstwmspush::wmhttp::SessionConfig;

const RUNS: usize = 1000;

fn head(reader: &mut impl BufRead) -> usize {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head).unwrap_or(0) == 0 {
            return 0;
        }
    }
    head.len()
}

/// Accepts PushSetup, reads `bytes` of the PushStart and refuses it.
fn refuse(stream: TcpStream, bytes: u64) {
    let mut reader = BufReader::new(&stream);
    head(&mut reader);
    let accepted = "HTTP/1.1 204 No Content\r\nServer: Cougar/9.5\r\nSet-Cookie: push-id=1\r\n\r\n";
    (&stream).write_all(accepted.as_bytes()).unwrap();
    head(&mut reader);
    std::io::copy(&mut reader.take(bytes), &mut std::io::sink()).unwrap();
    let refusal = "HTTP/1.1 403 Not for you\r\nServer: Cougar/9.5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = (&stream).write_all(refusal.as_bytes());
}

struct Callback(mpsc::Sender<Failure>);

impl StatusCallback for Callback {
    fn on_phase(&self, _: Phase) {}

    fn on_status(&self, status: &Status) {
        if let Some(failure) = &status.failure {
            let _ = self.0.send(Failure::clone(failure));
        }
    }
}

fn content() -> (FileHeader, DataPacket) {
    let path = format!(
        "{}/proto/tests/fixtures/av_asfmux_p1500_streamable.asf",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut reader = Reader::new();
    reader.push(std::fs::read(path).unwrap().into());
    let (Ok(Some(Item::Header(header))), Ok(Some(Item::DataUnit(packet)))) =
        (reader.next_item(), reader.next_item())
    else {
        panic!("no header and packet")
    };
    (header, packet)
}

/// C-132: the response is waited for while the body flows.
#[test]
fn no_status_is_lost_in_a_thousand_refusals() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/live", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (run, stream) in listener.incoming().enumerate() {
            // The amount of data in flight varies.
            refuse(stream.unwrap(), 700 * (run as u64 % 200));
        }
    });
    let (header, packet) = content();
    let mut lost = Vec::new();
    for run in 0..RUNS {
        let (sender, failures) = mpsc::channel();
        let session = SessionConfig {
            remove_padding: true,
            ..SessionConfig::new(location.parse().unwrap(), "WMEncoder/12.0")
        };
        let settings = Settings {
            limits: Limits {
                bytes: 1 << 20,
                time: Duration::ZERO,
                leaky: Leaky::No,
            },
            ..Settings::new(session)
        };
        let connection = Connection::connect(settings, Callback(sender)).unwrap();
        connection.on_header(&header).unwrap();
        while connection.on_data_unit(packet.clone()).is_ok() {}
        let failure = failures
            .recv_timeout(Duration::from_secs(20))
            .expect("a failure");
        match failure.http_status() {
            Some((status, "Not for you")) if status == 403 => {}
            _ => lost.push(format!("run {run}: {failure}")),
        }
    }
    assert!(
        lost.is_empty(),
        "{} of {RUNS}: {:#?}",
        lost.len(),
        &lost[..lost.len().min(5)]
    );
}
