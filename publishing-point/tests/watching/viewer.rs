// SPDX-License-Identifier: MPL-2.0

//! A viewer on plain sockets.

use std::io::{Read, Write};
use std::net::TcpStream;

use publishing_point::{Event, Handle, Leave};

use crate::client::{PATIENCE, event};

/// A player of version 7, which gets no `$M`.
pub const OLD: &str = "NSPlayer/7.10.0.3059";

/// A player of version 12, which gets `$M`.
pub const NEW: &str = "NSPlayer/12.0.7680.0";

/// A parsed packet of MS-WMSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Header(Vec<u8>),
    Metadata(Vec<u8>),
    Data {
        number: u32,
        sequence: u8,
        bytes: Vec<u8>,
    },
    Change,
    End(u32),
}

pub struct Viewer {
    stream: TcpStream,
    /// Status line and header fields.
    pub head: String,
}

impl Viewer {
    /// Sends a request with these lines on a new connection, and reads the head of the response.
    pub fn ask(point: &Handle, request: &str) -> Self {
        let mut stream = TcpStream::connect(point.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&wire(request)).unwrap();
        let head = read_head(&mut stream);
        Self { stream, head }
    }

    /// Sends another request on the same connection.
    pub fn ask_again(&mut self, request: &str) {
        self.stream.write_all(&wire(request)).unwrap();
        self.head = read_head(&mut self.stream);
    }

    /// Starts to play a stream.
    pub fn play(point: &Handle, path: &str, user_agent: &str) -> Self {
        let viewer = Self::ask(
            point,
            &format!("GET {path} HTTP/1.0\nUser-Agent: {user_agent}\nPragma: xPlayStrm=1"),
        );
        assert_eq!(viewer.status(), 200, "{}", viewer.head);
        viewer
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Returns all values of a field.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .filter(|(field, _)| *field == name)
            .map(|(_, value)| value)
            .collect()
    }

    pub fn client_id(&self) -> String {
        let pragmas = self.fields("Pragma");
        let ids = pragmas.iter().find(|value| value.starts_with("client-id="));
        (*ids.expect("client-id")).to_owned()
    }

    /// Reads the body of a response with Content-Length.
    pub fn body(&mut self) -> Vec<u8> {
        let length = self.fields("Content-Length")[0].parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    /// Reads everything until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Reads the next packet.
    pub fn packet(&mut self) -> Packet {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).expect("no packet");
        let mut body = vec![0; u16::from_le_bytes([head[2], head[3]]).into()];
        self.stream.read_exact(&mut body).unwrap();
        packet(head, &body)
    }

    /// Reads all packets to the end of the stream.
    pub fn packets(&mut self) -> Vec<Packet> {
        packets(&self.rest())
    }
}

pub fn packets(mut wire: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some((head, rest)) = wire.split_first_chunk::<4>() {
        let (body, rest) = rest.split_at(u16::from_le_bytes([head[2], head[3]]).into());
        packets.push(packet(*head, body));
        wire = rest;
    }
    assert!(wire.is_empty());
    packets
}

fn packet([frame, id, low, high]: [u8; 4], body: &[u8]) -> Packet {
    assert_eq!(frame, b'$');
    if matches!(id, b'C' | b'E') {
        let reason = u32::from_le_bytes(body.try_into().unwrap());
        return match id {
            b'C' => Packet::Change,
            _ => Packet::End(reason),
        };
    }
    let (mms, payload) = body.split_first_chunk::<8>().unwrap();
    assert_eq!(mms[6..], [low, high], "PacketSize");
    let payload = payload.to_vec();
    match id {
        b'D' => Packet::Data {
            number: u32::from_le_bytes([mms[0], mms[1], mms[2], mms[3]]),
            sequence: mms[5],
            bytes: payload,
        },
        b'H' => Packet::Header(payload),
        b'M' => Packet::Metadata(payload),
        _ => panic!("{id}"),
    }
}

fn wire(request: &str) -> Vec<u8> {
    format!("{}\r\n\r\n", request.replace('\n', "\r\n")).into_bytes()
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("no response");
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Waits until a viewer joins. Returns its id.
pub fn joined(point: &Handle) -> u64 {
    match event(point, |event| matches!(event, Event::ViewerJoined { .. })) {
        Event::ViewerJoined { viewer, .. } => viewer,
        other => panic!("{other}"),
    }
}

/// Waits until a viewer leaves. Returns the reason.
pub fn left(point: &Handle) -> Leave {
    match event(point, |event| matches!(event, Event::ViewerLeft { .. })) {
        Event::ViewerLeft { why, .. } => why,
        other => panic!("{other}"),
    }
}
