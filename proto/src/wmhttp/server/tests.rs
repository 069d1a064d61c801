// SPDX-License-Identifier: MPL-2.0

use bytes::{BufMut, Bytes, BytesMut};

use super::testing::request;
use super::*;
use crate::asf;
use crate::wmhttp::packet::put_framing_header;
use crate::wmhttp::{HResult, PUSH_SETUP, PUSH_START, PacketId};

mod packets;
mod sessions;
mod timers;

const SECOND: Duration = Duration::from_secs(1);

/// A server, with the bytes that a test sends to it.
struct Server {
    sessions: Sessions,
    now: Duration,
    ids: u32,
    input: BytesMut,
}

impl Server {
    fn new() -> Self {
        Self::with(Points::Any)
    }

    fn with(points: Points) -> Self {
        Self {
            sessions: Sessions::new(Timeouts::default(), points),
            now: Duration::ZERO,
            ids: 0,
            input: BytesMut::new(),
        }
    }

    fn setup(&mut self, push_id: &str, body: &str) -> Result<SetupAccepted, u16> {
        self.setup_at("/live", push_id, body)
    }

    fn setup_at(&mut self, path: &str, push_id: &str, body: &str) -> Result<SetupAccepted, u16> {
        let mut request = request(PUSH_SETUP, push_id, body.len() as u64);
        *request.uri_mut() = path.parse().unwrap();
        let request = PushRequest::new(&request).unwrap();
        let ids = &mut self.ids;
        let mut new_push_id = || {
            *ids += 1;
            PushId::new(&format!("id{ids}")).unwrap()
        };
        self.sessions
            .push_setup(&request, body.as_bytes(), &mut new_push_id, self.now)
            .map_err(|refusal| refusal.status().as_u16())
    }

    fn start(&mut self, push_id: &str, content_length: u64) -> Result<ReceivingSession, u16> {
        self.start_at("/live", push_id, content_length)
    }

    fn start_at(
        &mut self,
        path: &str,
        push_id: &str,
        content_length: u64,
    ) -> Result<ReceivingSession, u16> {
        let mut request = request(PUSH_START, push_id, content_length);
        *request.uri_mut() = path.parse().unwrap();
        let request = PushRequest::new(&request).unwrap();
        self.sessions
            .push_start(&request, self.now)
            .map_err(|refusal| refusal.status().as_u16())
    }

    /// Returns a session after PushSetup and PushStart, with a body of unknown length.
    fn started(&mut self) -> ReceivingSession {
        self.setup("0", "").unwrap();
        let push_id = format!("id{}", self.ids);
        self.start(&push_id, 2_147_483_647).unwrap()
    }

    fn send(
        &mut self,
        session: &mut ReceivingSession,
        packet: &[u8],
    ) -> Result<Option<Received>, BadBody> {
        self.input.put_slice(packet);
        session.receive(&mut self.input, self.now)
    }

    fn send_all(
        &mut self,
        session: &mut ReceivingSession,
        packets: &[&[u8]],
    ) -> Result<(), BadBody> {
        packets
            .iter()
            .try_for_each(|packet| self.send(session, packet).map(drop))
    }
}

fn header() -> Vec<u8> {
    packet(PacketId::Header, None, b"header")
}

/// Returns a valid header with data packets of 64 bytes, and its bytes.
fn real_header() -> (Bytes, Vec<u8>) {
    let header = asf::testing::header(64, 50, &[]).as_bytes().clone();
    let wire = packet(PacketId::Header, None, &header);
    (header, wire)
}

fn data() -> Vec<u8> {
    packet(PacketId::Data, None, b"data")
}

fn filler() -> Vec<u8> {
    packet(PacketId::Filler, None, &[0; 3])
}

fn change() -> Vec<u8> {
    packet(PacketId::StreamChange, Some(HResult::S_OK), b"next")
}

fn end(reason: HResult) -> Vec<u8> {
    packet(PacketId::EndOfStream, Some(reason), b"")
}

fn packet(id: PacketId, reason: Option<HResult>, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_framing_header(&mut out, id, reason, payload.len());
    out.put_slice(payload);
    out.to_vec()
}

fn cookie(reply: &Reply) -> &str {
    reply.response.headers()["set-cookie"].to_str().unwrap()
}
