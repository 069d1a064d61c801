// SPDX-License-Identifier: MPL-2.0

//! 10,000 connections of viewers beside a push.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::client::{Client, ENDLESS, PATIENCE, end, packet};
use super::program::Program;
use super::recording::{live, unpadded};

const CROWD: u64 = 10_000;

/// Descriptors for other purposes in a process.
const OTHERS: u64 = 1000;

/// Returns the number of connections: [`CROWD`], or as many as the system permits for a process.
fn size_of_crowd() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let allowed = limit.maximum.unwrap_or(u64::MAX).saturating_sub(OTHERS);
    if allowed < CROWD {
        println!("{allowed} connections in place of {CROWD}: the system allows no more");
    }
    allowed.min(CROWD)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Connects a viewer that reads the start of its response and then nothing.
fn viewer(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream
        .write_all(b"GET /live HTTP/1.0\r\nUser-Agent: crowd\r\n\r\n")
        .unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.0 200");
    stream
}

/// Returns the status of the only push.
fn status(address: SocketAddr) -> serde_json::Value {
    let mut client = Client::to(address, "0");
    client.send("GET /status HTTP/1.0\r\n\r\n");
    let status: serde_json::Value = serde_json::from_str(&client.response().body).unwrap();
    status["points"][0].clone()
}

/// Every other connection watches without reading. The rest send no request.
#[test]
fn ten_thousand_idle_viewers_do_not_end_a_push() {
    let limits = [
        "--max-connections=13000",
        "--max-per-peer=13000",
        "--max-viewers=11000",
    ];
    let (_program, url) = Program::with(&limits);
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let address = address.parse().unwrap();
    let (header, packets) = live("audio_ffmpeg_p3200.asf");
    let mut pusher = Client::to(address, "0");
    assert_eq!(pusher.setup("/live").status(), 204);
    pusher.start("/live", ENDLESS);
    pusher.send(packet(b'H', &header));
    let mut crowd = Vec::new();
    let mut sent = 0;
    for number in 0..size_of_crowd() {
        crowd.push(match number % 2 {
            0 => viewer(address),
            _ => connect(address),
        });
        if number % 100 == 0 {
            let data = &packets[sent % packets.len()];
            pusher.send(packet(b'D', &unpadded(data)));
            sent += 1;
        }
    }
    let viewers = crowd.len().div_ceil(2);
    while status(address)["packets"] != sent {}
    let status = status(address);
    assert_eq!(status["state"], "receiving");
    assert_eq!(status["viewer_count"], viewers);
    pusher.send(end(0));
    assert!(pusher.rest().is_empty(), "the end is the answer");
}

/// All connections come from one address, with the default limits.
#[test]
fn a_crowd_beyond_the_limits_does_not_end_a_push() {
    let (_program, url) = Program::with(&[]);
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let address = address.parse().unwrap();
    let mut pusher = Client::to(address, "0");
    pusher.setup("/live");
    pusher.start("/live", ENDLESS);
    pusher.send(packet(b'H', b"header"));
    let _crowd: Vec<_> = (0..2000).map(|_| connect(address)).collect();
    pusher.send([packet(b'D', b"1"), end(0)].concat());
    assert!(pusher.rest().is_empty());
    let mut another = Client::to(address, "0");
    assert_eq!(another.setup("/live").status(), 204);
}
