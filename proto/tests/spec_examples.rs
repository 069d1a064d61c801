// SPDX-License-Identifier: MPL-2.0

//! The examples of MS-WMHTTP section 4 as transcripts: the client has to send `C:` lines, and receives `S:` lines.

use std::collections::VecDeque;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;
use wmspush_proto::asf::{Item, Reader};
use wmspush_proto::auth::Credentials;
use wmspush_proto::wmhttp::{
    AccessConfig, Body, Entropy, HResult, Offer, Packet, PushSession, Request, Response,
    SessionConfig, SetupBody, Transmit,
};

/// 4.8 Message Exchange During Push Distribution
/// C-002, C-005, C-009, C-011, C-012, C-018, C-020, C-021, C-023, C-028…C-030, C-081…C-084, C-086, C-089…C-091, C-093,
/// C-113…C-115, C-119, C-121, C-124, C-126, C-127, C-214
#[test]
fn message_exchange_during_push_distribution() {
    let setup = SetupBody {
        template_url: None,
        auto_destroy: true,
    };
    let said = Conversation::new("/pubPoint", setup, None)
        .run("push_distribution_ms_wmhttp_4_8.txt", &[AUDIO]);
    assert_eq!(said, transcript("push_distribution_ms_wmhttp_4_8.txt"));
}

/// 4.8 Message Exchange During Push Distribution with its authentication: one connection, the push-id of the first
/// response, a first message without a body, and no Authorization in PushStart.
/// C-003, C-087, C-088, C-208, C-210, C-211, C-217
#[test]
fn message_exchange_during_push_distribution_with_authentication() {
    const TRANSCRIPT: &str = "push_distribution_authenticated_ms_wmhttp_4_8.txt";
    let setup = SetupBody {
        template_url: None,
        auto_destroy: true,
    };
    let access = AccessConfig {
        credentials: Some(Credentials::new(r"CRMUR-X1\Administrator", "secret")),
        ..AccessConfig::default()
    };
    let config = SessionConfig {
        access,
        ..config("/pubPoint", setup, None)
    };
    let said = Conversation::with(config).run(TRANSCRIPT, &[AUDIO]);
    let without_proof = |lines: Vec<String>| {
        let lines = lines.into_iter();
        lines.map(|line| without_proof(&line)).collect::<Vec<_>>()
    };
    assert_eq!(without_proof(said), without_proof(transcript(TRANSCRIPT)));
}

/// Returns the part of the third NTLM message (MS-NLMP 2.2.1.3) that does not depend on password, time and randomness.
fn without_proof(line: &str) -> String {
    let Some((scheme, token)) = line.split_once(" TlRMTVNTUAAD") else {
        return line.to_owned();
    };
    let message = BASE64_STANDARD
        .decode(format!("TlRMTVNTUAAD{token}"))
        .unwrap();
    let field = |at: usize| {
        let number = |at: usize| usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
        assert_eq!(number(at), number(at + 2), "length and room");
        &message[number(at + 4)..][..number(at)]
    };
    let text = |at: usize| {
        let units = field(at).chunks(2);
        let units: Vec<_> = units
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect();
        String::from_utf16(&units).unwrap()
    };
    let (lm, nt) = (field(12), field(20));
    assert!(lm.len() == 24 && nt.len() >= 24);
    format!("{scheme} AUTHENTICATE {} {}", text(28), text(36))
}

/// 4.3 Push Distribution with AutoDestroy and Template-URL, 4.4 General Push Distribution Sequence with $C Packet
/// C-023, C-027, C-030, C-084, C-092, C-094, C-167, C-180, C-184
#[test]
fn push_distribution_with_template_url_and_stream_change() {
    let setup = SetupBody {
        template_url: Some("/pub".to_owned()),
        auto_destroy: false,
    };
    let said = Conversation::new("/newPoint", setup, None)
        .run("template_ms_wmhttp_4_3.txt", &[AUDIO, VIDEO]);
    assert_eq!(said, transcript("template_ms_wmhttp_4_3.txt"));
}

/// 4.2 General Push Distribution Sequence with $F Packets
/// C-023, C-030, C-084, C-127, C-214, C-240, C-243
#[test]
fn push_distribution_with_filler() {
    let setup = SetupBody::default();
    let said = Conversation::new("/pubPoint", setup, Some(12_000))
        .run("filler_ms_wmhttp_4_2.txt", &[AUDIO]);
    assert_eq!(said, transcript("filler_ms_wmhttp_4_2.txt"));
}

const AUDIO: &str = "audio_ffmpeg_p3200.asf";
const VIDEO: &str = "video_asfmux_p3200_streamable.asf";

fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    String::from_utf8(std::fs::read(path).unwrap()).unwrap()
}

/// Returns the lines that the client has to send.
fn transcript(name: &str) -> Vec<String> {
    fixture(name)
        .lines()
        .filter(|line| line.starts_with("C:"))
        .map(str::to_owned)
        .collect()
}

/// Returns the responses of the server.
fn responses(name: &str) -> VecDeque<Response> {
    let text = fixture(name);
    let mut responses = VecDeque::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("S: ")) {
        if let Some(status) = line.strip_prefix("HTTP/1.1 ") {
            let (status, reason) = status.split_once(' ').unwrap();
            let status = status.parse().unwrap();
            let (headers, body) = Default::default();
            responses.push_back(Response {
                status,
                reason: reason.to_owned(),
                headers,
                body,
            });
        } else {
            let (name, value) = line.split_once(": ").unwrap();
            let response = responses.back_mut().unwrap();
            response.headers.append(
                http::HeaderName::try_from(name).unwrap(),
                value.parse().unwrap(),
            );
        }
    }
    responses
}

struct Fixed;

impl Entropy for Fixed {
    fn now(&self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH
    }

    fn random(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

struct Conversation {
    client: PushSession,
    said: Vec<String>,
    body: BytesMut,
    packets: Vec<String>,
}

fn config(path: &str, setup: SetupBody, content_length: Option<u64>) -> SessionConfig {
    let url = format!("http://MediaServer{path}").parse().unwrap();
    SessionConfig {
        setup,
        content_length,
        remove_padding: true,
        ..SessionConfig::new(url, "WMEncoder/11.0.5721.5145")
    }
}

impl Conversation {
    fn new(path: &str, setup: SetupBody, content_length: Option<u64>) -> Self {
        Self::with(config(path, setup, content_length))
    }

    fn with(config: SessionConfig) -> Self {
        let client = PushSession::new(config, Fixed);
        Self {
            client,
            said: Vec::new(),
            body: BytesMut::new(),
            packets: Vec::new(),
        }
    }

    fn run(mut self, transcript: &str, entries: &[&str]) -> Vec<String> {
        let mut responses = responses(transcript);
        self.client.configure_server();
        self.transmit();
        while !self.client.is_ready() {
            self.client
                .handle_response(&responses.pop_front().unwrap())
                .unwrap();
            self.transmit();
        }
        for item in entries.iter().flat_map(|name| items(name)) {
            let mut offered = Some(item);
            while let Some(item) = offered.take() {
                offered = self.offer(item);
                self.transmit();
                if offered.is_some() {
                    self.client
                        .handle_response(&responses.pop_front().unwrap())
                        .unwrap();
                    self.transmit();
                }
            }
        }
        assert_eq!(self.client.end_of_stream(HResult::S_OK), Offer::Taken);
        self.transmit();
        self.end_of_body();
        if let Some(farewell) = responses.pop_front() {
            self.client.handle_response(&farewell).unwrap();
        }
        assert!(responses.is_empty(), "{responses:?}");
        self.said
    }

    fn offer(&mut self, item: Item) -> Option<Item> {
        match item {
            Item::Header(header) => held(self.client.start_streaming(header)).map(Item::Header),
            Item::DataUnit(packet) => held(self.client.data_unit(packet)).map(Item::DataUnit),
            Item::Skipped(_) => None,
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.client.poll_transmit() {
            match transmit {
                Transmit::Request(request) => {
                    self.end_of_body();
                    self.say_request(&request);
                }
                Transmit::Body(bytes) | Transmit::Close(bytes) => {
                    self.body.extend_from_slice(&bytes)
                }
                Transmit::Compute(role, step) => self.client.computed(role, step.run()),
            }
            while let Some(packet) = Packet::decode(&mut self.body).unwrap() {
                let name = name(&packet);
                if self.packets.last() != Some(&name) {
                    self.packets.push(name);
                }
            }
        }
    }

    fn say_request(&mut self, request: &Request) {
        assert!(!request.fresh, "each example is one connection");
        let mut say = |line: String| self.said.push(format!("C: {line}").trim_end().to_owned());
        say(format!("POST {} HTTP/1.1", request.url.path()));
        for (name, value) in &request.headers {
            say(format!(
                "{}: {}",
                title_case(name.as_str()),
                value.to_str().unwrap()
            ));
        }
        if let Body::PushSetup(body) = &request.body
            && !body.is_empty()
        {
            say(String::new());
            let body = std::str::from_utf8(body)
                .unwrap()
                .strip_suffix("\r\n")
                .unwrap();
            body.split("\r\n").for_each(|line| say(line.to_owned()));
        }
    }

    fn end_of_body(&mut self) {
        assert!(self.body.is_empty());
        if !self.packets.is_empty() {
            self.said.push("C:".to_owned());
            self.said.push(format!("C: {}", self.packets.join(" ")));
            self.packets.clear();
        }
    }
}

fn held<T>(offer: Offer<T>) -> Option<T> {
    match offer {
        Offer::Held(content) => Some(content),
        Offer::Taken => None,
    }
}

fn items(name: &str) -> Vec<Item> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut reader = Reader::new();
    reader.push(std::fs::read(path).unwrap().into());
    std::iter::from_fn(|| reader.next_item().unwrap()).collect()
}

fn name(packet: &Packet) -> String {
    match packet {
        Packet::Header(_) => "$H".to_owned(),
        Packet::StreamChange(_) => "$C".to_owned(),
        Packet::Data(_) => "$D".to_owned(),
        Packet::Filler(_) => "$F".to_owned(),
        Packet::EndOfStream(reason) => format!("$E({})", reason.name()),
    }
}

fn title_case(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
