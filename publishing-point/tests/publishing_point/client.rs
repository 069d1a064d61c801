// SPDX-License-Identifier: MPL-2.0

//! A client on plain sockets, and transcripts for it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use publishing_point::{Event, Handle, PublishingPoint, Running, Settings};

/// Time limit for any step.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Content-Length of a body of unknown length.
pub const ENDLESS: u64 = 2_147_483_647;

/// Starts a publishing point that keeps all packets and requests.
pub fn serve(change: impl FnOnce(&mut Settings)) -> Running {
    let mut settings = Settings {
        keep: true,
        ..Settings::default()
    };
    change(&mut settings);
    PublishingPoint::bind(settings).unwrap().spawn().unwrap()
}

/// Waits for the next event that `wanted` accepts.
pub fn event(point: &Handle, wanted: impl FnMut(&Event) -> bool) -> Event {
    point
        .wait_for(wanted, PATIENCE)
        .expect("the event does not come")
}

/// Waits until the publishing point has received this many data packets.
pub fn data_packets(point: &Handle, count: u64) {
    point
        .wait_for_pushes(
            |pushes| pushes.iter().map(|push| push.data_packets).sum::<u64>() >= count,
            PATIENCE,
        )
        .expect("the packets do not come");
}

pub struct Client {
    stream: TcpStream,
    push_id: String,
}

/// A response as received.
#[derive(Debug)]
pub struct Response {
    /// Status line and header fields.
    pub lines: Vec<String>,
    pub body: String,
}

impl Response {
    pub fn status(&self) -> u16 {
        let mut words = self.lines[0].split(' ');
        words.nth(1).unwrap().parse().unwrap()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.lines[1..]
            .iter()
            .filter_map(|line| line.split_once(": "));
        fields
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    }
}

impl Client {
    pub fn connect(point: &Handle) -> Self {
        Self::resume(point, "0")
    }

    /// Connects for an existing session.
    pub fn resume(point: &Handle, push_id: &str) -> Self {
        Self::to(point.local_addr(), push_id)
    }

    pub fn to(address: SocketAddr, push_id: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            push_id: push_id.to_owned(),
        }
    }

    /// Sends PushSetup, the head of an endless PushStart, and `$H`.
    pub fn streaming(point: &Handle) -> Self {
        let mut client = Self::connect(point);
        assert_eq!(client.setup("/live").status(), 204);
        client.start("/live", ENDLESS);
        client.send(packet(b'H', b"header"));
        client
    }

    pub fn push_id(&self) -> String {
        self.push_id.clone()
    }

    pub fn setup(&mut self, path: &str) -> Response {
        let request = request(path, "pushsetup", &self.push_id, 0);
        self.send(request);
        let response = self.response();
        if let Some(cookie) = response.field("Set-Cookie") {
            self.push_id = cookie.strip_prefix("push-id=").unwrap().to_owned();
        }
        response
    }

    pub fn start(&mut self, path: &str, content_length: u64) {
        let request = request(path, "pushstart", &self.push_id, content_length);
        self.send(request);
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub fn response(&mut self) -> Response {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect("no response");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let lines = head.trim_end().split("\r\n").map(str::to_owned).collect();
        let mut response = Response {
            lines,
            body: String::new(),
        };
        let length = response.field("Content-Length").unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        response.body = String::from_utf8(body).unwrap();
        response
    }

    /// Reads everything until the server closes the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Returns whether the server has reset the connection.
    pub fn is_reset(&mut self) -> bool {
        let read = self.stream.read_to_end(&mut Vec::new());
        read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    }

    /// Returns whether the server closes or resets the connection.
    pub fn is_ended(&mut self) -> bool {
        match self.stream.read_to_end(&mut Vec::new()) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Returns whether the server sends nothing for a moment.
    pub fn is_silent(&mut self) -> bool {
        let moment = Duration::from_millis(50);
        self.stream.set_read_timeout(Some(moment)).unwrap();
        let read = self.stream.read(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Plays a transcript: `C:` lines are sent, `P:` lines are packets to send (PacketID and text, or the Reason of
    /// `$E`), `S:` lines are expected, `S: close` ends it. `{id}` is the push-id, `*` matches anything.
    pub fn play(&mut self, transcript: &str) {
        let mut expected: Option<std::vec::IntoIter<String>> = None;
        for line in transcript.trim().lines().map(str::trim) {
            let (who, text) = line.split_at(2);
            let text = text.trim();
            match who {
                "C:" => {
                    expected = None;
                    let text = text.replace("{id}", &self.push_id);
                    self.send(format!("{text}\r\n"));
                }
                "P:" => self.send(transcript_packet(text)),
                "S:" if text == "close" => assert!(self.rest().is_empty()),
                "S:" => {
                    let lines = expected.get_or_insert_with(|| self.response().lines.into_iter());
                    let received = lines.next().unwrap_or_default();
                    if let Some(push_id) = received.strip_prefix("Set-Cookie: push-id=") {
                        self.push_id = push_id.to_owned();
                    }
                    match text.strip_suffix('*') {
                        Some(start) => assert!(received.starts_with(start), "{received}"),
                        None => assert_eq!(received, text.replace("{id}", &self.push_id)),
                    }
                }
                _ => panic!("{line}"),
            }
        }
    }
}

fn transcript_packet(text: &str) -> Vec<u8> {
    let (id, text) = text.split_once(' ').unwrap_or((text, ""));
    let id = id.as_bytes()[1];
    match id {
        b'E' => end(text.parse().unwrap()),
        b'C' => stream_change(text.as_bytes()),
        _ => packet(id, text.as_bytes()),
    }
}

pub fn request(path: &str, kind: &str, push_id: &str, content_length: u64) -> String {
    format!(
        "POST {path} HTTP/1.1\r\n\
         Content-Type: application/x-wms-{kind}\r\n\
         X-Accept-Authentication: Negotiate, NTLM, Digest\r\n\
         User-Agent: WMEncoder/12.0 GStreamer/1.22\r\n\
         Host: media.example\r\n\
         Content-Length: {content_length}\r\n\
         Cache-Control: no-cache\r\n\
         Cookie: push-id={push_id}\r\n\r\n"
    )
}

pub fn packet(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_le_bytes();
    [&[b'$', id], &length[..], payload].concat()
}

pub fn end(reason: u32) -> Vec<u8> {
    packet(b'E', &reason.to_le_bytes())
}

pub fn stream_change(header: &[u8]) -> Vec<u8> {
    packet(b'C', &[&[0; 4], header].concat())
}
