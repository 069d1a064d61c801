// SPDX-License-Identifier: MPL-2.0

//! Clients in a known state, their outputs, and the responses to them.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName};
use wmspush_proto::asf::{DataPacket, FileHeader};
use wmspush_proto::wmhttp::{Offer, PushSession, Request, Response, SessionConfig, Transmit};

use super::harness::{Fixed, config, first_header};

/// The outputs of a session, in order.
#[derive(Default)]
pub struct Sent {
    pub requests: Vec<Request>,
    pub body: Vec<u8>,
    pub closes: bool,
}

impl Sent {
    /// Polls all outputs.
    pub fn by(client: &mut PushSession) -> Self {
        let mut sent = Self::default();
        while let Some(transmit) = client.poll_transmit() {
            assert!(!sent.closes, "{transmit:?} after the end");
            match transmit {
                Transmit::Request(request) => {
                    assert!(sent.body.is_empty(), "a request inside a body");
                    sent.requests.push(*request);
                }
                Transmit::Compute(role, step) => client.computed(role, step.run()),
                Transmit::Body(bytes) => sent.body.extend_from_slice(&bytes),
                Transmit::Close(bytes) => {
                    sent.body.extend_from_slice(&bytes);
                    sent.closes = true;
                }
            }
        }
        sent
    }

    /// Returns a field of the only request.
    pub fn field(&self, name: &str) -> &str {
        let [request] = &self.requests[..] else {
            panic!("{} requests", self.requests.len())
        };
        request.headers[name].to_str().unwrap()
    }

    pub fn nothing(&self) -> bool {
        self.requests.is_empty() && self.body.is_empty() && !self.closes
    }
}

/// Returns the header of a fixture with another ASF 3.2 File Properties Object.
pub fn header_with(packet_size: u32, maximum_bitrate: u32) -> FileHeader {
    const FILE_PROPERTIES: [u8; 4] = [0xA1, 0xDC, 0xAB, 0x8C];
    let header = first_header("av_asfmux_p1500_streamable.asf");
    let mut bytes = header.as_bytes().to_vec();
    let object = bytes
        .windows(4)
        .position(|guid| guid == FILE_PROPERTIES)
        .expect("File Properties");
    for (offset, value) in [(92, packet_size), (96, packet_size), (100, maximum_bitrate)] {
        bytes[object + offset..][..4].copy_from_slice(&value.to_le_bytes());
    }
    FileHeader::parse(bytes.into()).unwrap()
}

pub fn header() -> FileHeader {
    header_with(1500, 1_000_000)
}

/// Returns a packet of `size` bytes that is sent unchanged.
pub fn packet(size: usize) -> DataPacket {
    DataPacket::parse(Bytes::from(vec![0xAB; size]))
}

/// Returns a client after a successful PushSetup.
pub fn configured(content_length: Option<u64>) -> PushSession {
    let mut client = PushSession::new(
        SessionConfig {
            content_length,
            remove_padding: false,
            ..config()
        },
        Fixed,
    );
    client.configure_server();
    Sent::by(&mut client);
    client.handle_response(&accepted()).unwrap();
    while client.poll_event().is_some() {}
    client
}

/// Returns a client that has sent PushStart, `$H` and three packets, with `rest` bytes of the body left.
pub fn with_rest(header: &FileHeader, rest: u64) -> PushSession {
    let size = header.packet_size();
    let spent = 4 + header.as_bytes().len() + 3 * (4 + size);
    let mut client = configured(Some(spent as u64 + rest));
    assert_eq!(client.start_streaming(header.clone()), Offer::Taken);
    for _ in 0..3 {
        assert_eq!(client.data_unit(packet(size)), Offer::Taken);
    }
    Sent::by(&mut client);
    assert_eq!(client.length_remaining(), rest);
    client
}

/// Checks that the body consists of `$F` packets full of zeros, `size` bytes in total.
pub fn assert_filler(mut body: &[u8], size: u64) {
    assert_eq!(body.len() as u64, size);
    while let [b'$', b'F', low, high, rest @ ..] = body {
        let (filler, rest) = rest.split_at(u16::from_le_bytes([*low, *high]).into());
        assert!(filler.len() <= 65_531);
        assert!(filler.iter().all(|byte| *byte == 0));
        body = rest;
    }
    assert!(body.is_empty(), "{:x?}", &body[..4]);
}

/// The framing header of 2.2.3.1.1 Framing Header, and the payload.
pub fn framed(head: &[u8], length: usize, rest: &[u8]) -> Vec<u8> {
    [head, &(length as u16).to_le_bytes(), rest].concat()
}

/// Parses a response from lines as in a transcript, such as `HTTP/1.1 204 No Content`.
pub fn response(text: &str) -> Response {
    let mut lines = text.lines();
    let (status, reason) = lines
        .next()
        .unwrap()
        .strip_prefix("HTTP/1.1 ")
        .unwrap()
        .split_once(' ')
        .unwrap();
    let headers: HeaderMap = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    Response {
        status: status.parse().unwrap(),
        reason: reason.to_owned(),
        headers,
        body: Bytes::new(),
    }
}

pub fn accepted() -> Response {
    response(
        "HTTP/1.1 204 No Content\nServer: Cougar/9.5.5732.6324\nSet-Cookie: push-id=4124758405",
    )
}
