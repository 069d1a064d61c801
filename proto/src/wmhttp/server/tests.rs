// SPDX-License-Identifier: MPL-2.0

use bytes::{Buf, BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::testing::request;
use super::*;
use crate::asf;
use crate::wmhttp::packet::put_framing_header;
use crate::wmhttp::{Error, HResult, PUSH_SETUP, PUSH_START, PacketId, least_content_length};

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
    ) -> Result<Option<Received>, Error> {
        self.input.put_slice(packet);
        session.receive(&mut self.input, self.now)
    }

    fn send_all(&mut self, session: &mut ReceivingSession, packets: &[&[u8]]) -> Result<(), Error> {
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

/// S-001, S-004, S-019, S-020; 3.2.5.1, 3.2.3
#[test]
fn every_new_session_gets_a_new_push_id() {
    let mut server = Server::new();
    let first = server.setup("0", "AutoDestroy: 1\r\n").unwrap();
    let second = server.setup_at("/other", "0", "").unwrap();
    assert_eq!(cookie(&first.reply), "push-id=id1");
    assert_eq!(cookie(&second.reply), "push-id=id2");
    assert_ne!(first.key, second.key);
    assert_eq!(first.reply.response.status(), 204);
    assert!(!first.reply.close);
}

/// S-004; 3.2.3
#[test]
fn a_new_push_id_is_neither_zero_nor_taken() {
    let mut server = Server::new();
    let parsed = PushRequest::new(&request(PUSH_SETUP, "0", 0)).unwrap();
    let mut ids = ["0", "a", "0", "a", "b"].into_iter();
    let mut next = || PushId::new(ids.next().unwrap()).unwrap();
    for expected in ["push-id=a", "push-id=b"] {
        let accepted = server
            .sessions
            .push_setup(&parsed, b"", &mut next, server.now)
            .unwrap();
        assert_eq!(cookie(&accepted.reply), expected);
    }
}

/// S-015; 3.2.5.1
#[test]
fn a_known_push_id_keeps_its_session() {
    let mut server = Server::new();
    let first = server.setup("0", "").unwrap();
    let again = server.setup("id1", "").unwrap();
    assert_eq!(first.key, again.key);
    assert_eq!(cookie(&again.reply), "push-id=id1");
    assert_eq!(server.setup("id9", "").unwrap_err(), 400);
}

/// S-011; 2.2.2.1
#[test]
fn a_setup_body_that_does_not_parse_is_refused() {
    let mut server = Server::new();
    assert_eq!(server.setup("0", "AutoDestroy: yes\r\n").unwrap_err(), 400);
}

/// S-032; 3.2.5.2
#[test]
fn push_start_needs_a_push_id_that_the_server_assigned() {
    let mut server = Server::new();
    for push_id in ["0", "unknown"] {
        assert_eq!(server.start(push_id, 100).unwrap_err(), 400);
    }
    server.setup("0", "").unwrap();
    assert_eq!(server.start_at("/other", "id1", 100).unwrap_err(), 404);
    assert!(server.start("id1", 100).is_ok());
}

/// S-015, S-032; 3.2.5.1, 3.2.5.2
#[test]
fn a_session_receives_on_one_connection_only() {
    let mut server = Server::new();
    let session = server.started();
    assert_eq!(server.start("id1", 100).unwrap_err(), 409);
    assert_eq!(server.setup("id1", "").unwrap_err(), 409);
    server.sessions.lost(session);
    assert!(server.start("id1", 100).is_ok());
}

#[test]
fn a_point_receives_from_one_session_only() {
    let mut server = Server::new();
    server.setup("0", "").unwrap();
    let first = server.started();
    assert_eq!(first.point(), "/live");
    assert_eq!(server.setup("0", "").unwrap_err(), 409);
    assert_eq!(server.start("id1", 100).unwrap_err(), 409);
    server.sessions.end(first);
    assert!(server.start("id1", 100).is_ok());
}

/// S-016…S-018; 2.2.2.1.1, 2.2.2.1.2
#[test]
fn a_point_made_from_a_template_ends_with_its_session() {
    let template = "Template-URL: \"/live\"\r\nAutoDestroy: 1\r\n";
    let mut server = Server::with(Points::Listed(["/live".to_owned()].into()));
    assert_eq!(server.setup_at("/new", "0", "").unwrap_err(), 404);
    let unknown = template.replace("live", "nothing");
    assert_eq!(server.setup_at("/new", "0", &unknown).unwrap_err(), 404);
    let accepted = server.setup_at("/new", "0", template).unwrap();
    let session = server.start_at("/new", "id1", 100).unwrap();
    let deleted = server.sessions.end(session);
    assert_eq!(deleted.key, accepted.key);
    assert!(deleted.point_removed);
    assert_eq!(server.setup_at("/new", "0", "").unwrap_err(), 404);
}

/// S-050, S-051, S-052; 3.2.5.3 to 3.2.5.7
#[test]
fn a_playlist_is_received_packet_by_packet() {
    let mut server = Server::new();
    let mut session = server.started();
    let (header, header_packet) = real_header();
    let change = packet(PacketId::StreamChange, Some(HResult::S_OK), &header);
    let expected = [
        (header_packet, Received::Header(header.clone())),
        (data(), Received::Data("data".into())),
        (filler(), Received::Filler(3)),
        (data(), Received::Data("data".into())),
        (
            end(HResult::S_FALSE),
            Received::EndOfStream(HResult::S_FALSE),
        ),
        (filler(), Received::Filler(3)),
        (
            end(HResult::S_FALSE),
            Received::EndOfStream(HResult::S_FALSE),
        ),
        (change, Received::StreamChange(header.clone())),
        (data(), Received::Data("data".into())),
        (end(HResult::S_OK), Received::EndOfStream(HResult::S_OK)),
    ];
    for (wire, received) in expected {
        assert_eq!(server.send(&mut session, &wire), Ok(Some(received)));
    }
    assert!(session.has_ended());
    assert_eq!(session.take_violations().count(), 0);
}

/// S-033, S-050…S-052; Figure 7
#[test]
fn packets_out_of_order_are_refused() {
    let false_end = end(HResult::S_FALSE);
    let wrong: &[&[&[u8]]] = &[
        &[&data()],
        &[&filler()],
        &[&change()],
        &[&end(HResult::S_OK)],
        &[&header(), &header()],
        &[&header(), &change()],
        &[&header(), &false_end, &data()],
        &[&header(), &false_end, &header()],
        &[&header(), &false_end, &change(), &change()],
    ];
    for packets in wrong {
        let mut server = Server::new();
        let mut session = server.started();
        let received = server.send_all(&mut session, packets);
        assert!(
            matches!(received, Err(Error::UnexpectedPacket(_))),
            "{packets:x?}"
        );
    }
}

/// 4.6.1: a later PushStart continues in the last state.
#[test]
fn the_next_push_start_continues_the_last_one() {
    for (last, next) in [
        (vec![], data()),
        (vec![end(HResult::S_FALSE)], change()),
        (vec![], end(HResult::S_FALSE)),
    ] {
        let mut server = Server::new();
        server.setup("0", "").unwrap();
        let body = [vec![header()], last].concat().concat();
        let mut session = server.start("id1", body.len() as u64).unwrap();
        server.input.put_slice(&body);
        while session
            .receive(&mut server.input, server.now)
            .unwrap()
            .is_some()
        {}
        assert!(session.is_complete());
        let reply = server.sessions.complete(session, server.now);
        assert_eq!(reply.response.status(), 204);
        assert_eq!(cookie(&reply), "push-id=id1");
        let mut session = server.start("id1", 1000).unwrap();
        assert!(server.send(&mut session, &next).unwrap().is_some());
    }
}

/// 3.1.4.2.1 and 3.2.7.1: after a connection loss the client cannot know whether `$H` was received.
#[test]
fn the_header_may_be_repeated_after_a_loss_only() {
    let mut server = Server::new();
    let mut session = server.started();
    server
        .send_all(&mut session, &[&header(), &data()])
        .unwrap();
    server.sessions.lost(session);
    let mut session = server.start("id1", 10).unwrap();
    assert!(server.send(&mut session, &header()).unwrap().is_some());
    assert!(session.is_complete());
    server.sessions.complete(session, server.now);
    let mut session = server.start("id1", 10).unwrap();
    assert!(server.send(&mut session, &header()).is_err());
}

/// 3.2.5.2: Content-Length limits the body.
#[test]
fn a_packet_longer_than_the_body_is_refused_early() {
    for content_length in [1, 3, 9] {
        let mut server = Server::new();
        server.setup("0", "").unwrap();
        let mut session = server.start("id1", content_length).unwrap();
        let received = server.send(&mut session, &header()[..4]);
        assert!(matches!(received, Err(Error::Framing(_))));
    }
}

#[test]
fn bytes_after_the_body_stay_in_the_input() {
    let mut server = Server::new();
    server.setup("0", "").unwrap();
    let mut session = server.start("id1", 10).unwrap();
    server.input.put_slice(b"$H\x06\0headerPOST /live");
    assert!(
        session
            .receive(&mut server.input, server.now)
            .unwrap()
            .is_some()
    );
    assert_eq!(session.receive(&mut server.input, server.now), Ok(None));
    assert_eq!(server.input, "POST /live");
}

/// S-033; 3.2.5.2
#[test]
fn an_empty_body_is_complete_at_once() {
    let mut server = Server::new();
    server.setup("0", "").unwrap();
    assert!(server.start("id1", 0).unwrap().is_complete());
}

/// 2.2.3.2
#[test]
fn a_stream_change_has_a_smaller_limit() {
    let mut server = Server::new();
    let mut session = server.started();
    server
        .send_all(&mut session, &[&header(), &end(HResult::S_FALSE)])
        .unwrap();
    let mut large = vec![b'$', b'C', 0xff, 0xff, 0, 0, 0, 0];
    large.resize(65_539, 0);
    assert!(matches!(
        server.send(&mut session, &large),
        Err(Error::Framing(_))
    ));
}

/// S-002, S-052; 3.2.2: only `$H`, `$D` and `$C` restart the Idle-Timeout.
#[test]
fn filler_does_not_restart_the_idle_timeout() {
    let mut server = Server::new();
    let mut session = server.started();
    let start = server.now;
    server.now += 30 * SECOND;
    server
        .send_all(&mut session, &[&header(), &data()])
        .unwrap();
    assert_eq!(session.next_timeout(), start + 90 * SECOND);
    server.now += 30 * SECOND;
    server
        .send_all(&mut session, &[&filler(), &end(HResult::S_FALSE)])
        .unwrap();
    assert_eq!(session.next_timeout(), start + 90 * SECOND);
    assert!(session.handle_timeout(server.now).is_none());
    server.now += 30 * SECOND;
    let reply = session.handle_timeout(server.now).unwrap();
    assert_eq!(reply.response.status(), 408);
    assert!(reply.close);
    server.sessions.end(session);
    assert_eq!(server.start("id1", 100).unwrap_err(), 400);
}

/// S-062; 3.2.7.1
#[test]
fn a_lost_session_keeps_its_remaining_idle_timeout() {
    let mut server = Server::new();
    let session = server.started();
    server.now += 59 * SECOND;
    server.sessions.lost(session);
    assert_eq!(server.sessions.next_timeout(), Some(server.now + SECOND));
    assert_eq!(server.sessions.handle_timeout(server.now), []);
    server.now += SECOND;
    assert_eq!(server.sessions.handle_timeout(server.now).len(), 1);
    assert_eq!(server.start("id1", 100).unwrap_err(), 400);
}

/// S-003, S-061; 3.2.6.2
#[test]
fn a_session_without_requests_is_deleted_after_the_inactivity_timeout() {
    let mut server = Server::new();
    let accepted = server.setup("0", "").unwrap();
    server.now += 119 * SECOND;
    assert_eq!(server.sessions.handle_timeout(server.now), []);
    server.setup("id1", "").unwrap();
    server.now += 120 * SECOND;
    let deleted = server.sessions.handle_timeout(server.now);
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0].key, accepted.key);
    assert_eq!(server.sessions.next_timeout(), None);
}

/// 3.1.4.2.1, 2.2.3.3, 2.2.3.5 and note <14>
#[test]
fn oddities_inside_a_body_are_noted() {
    let mut server = Server::new();
    let (header, header_packet) = real_header();
    let padded = [&[0x08, 0x5d, 40, 0, 0, 0, 0, 9, 0][..], &[0; 55]].concat();
    let body = [
        header_packet,
        packet(PacketId::Data, None, &[0; 65]),
        packet(PacketId::Data, None, &padded),
        packet(PacketId::Data, None, &padded),
        packet(PacketId::Filler, None, b"x"),
        end(HResult::S_FALSE),
    ];
    server.setup("0", "").unwrap();
    let size = body.concat().len() as u64;
    assert!(size >= least_content_length(64, header.len()));
    let mut session = server.start("id1", size).unwrap();
    for packet in &body {
        server.send(&mut session, packet).unwrap();
    }
    let seen: Vec<_> = session.take_violations().map(|v| v.section).collect();
    assert_eq!(seen, ["2.2.3.3", "2.2.3.3", "2.2.3.5", "note <14>"]);
    assert_eq!(session.take_violations().count(), 0);
}

/// 2.2.3.6, 3.1.4.2.1
#[test]
fn an_invalid_header_and_a_short_body_are_noted() {
    let mut server = Server::new();
    let mut session = server.started();
    server.send(&mut session, &header()).unwrap();
    let seen: Vec<_> = session.take_violations().map(|v| v.section).collect();
    assert_eq!(seen, ["2.2.3.6"]);
    server.sessions.end(session);
    let (_, header_packet) = real_header();
    server.setup("0", "").unwrap();
    let size = header_packet.len() as u64;
    let mut session = server.start("id2", size).unwrap();
    server.send(&mut session, &header_packet).unwrap();
    let seen: Vec<_> = session.take_violations().map(|v| v.section).collect();
    assert_eq!(seen, ["3.1.4.2.1"]);
}

/// 5.1
#[test]
fn debug_output_hides_the_push_id() {
    let mut server = Server::new();
    let shown = format!("{:?}", server.started());
    assert!(!shown.contains("id1"), "{shown}");
}

proptest! {
    /// The packets do not depend on the sizes of the reads.
    #[test]
    fn packets_do_not_depend_on_the_sizes_of_reads(cuts in prop::collection::vec(1usize..9, 1..40)) {
        let wire = [header(), data(), end(HResult::S_FALSE), change(), data(), filler()].concat();
        let mut server = Server::new();
        let mut session = server.started();
        let mut rest = &wire[..];
        let mut received = Vec::new();
        for cut in cuts.into_iter().cycle() {
            server.input.put_slice(&rest[..cut.min(rest.len())]);
            rest.advance(cut.min(rest.len()));
            while let Some(packet) = session.receive(&mut server.input, server.now).unwrap() {
                received.push(packet);
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(received.len(), 6);
        prop_assert_eq!(&received[3], &Received::StreamChange("next".into()));
    }

    /// Arbitrary bytes neither panic nor consume more than the body.
    #[test]
    fn any_bytes_are_packets_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        content_length in 0u64..200,
    ) {
        let mut server = Server::new();
        server.setup("0", "").unwrap();
        let mut session = server.start("id1", content_length).unwrap();
        server.input.put_slice(&bytes);
        while let Ok(Some(_)) = session.receive(&mut server.input, server.now) {}
        prop_assert!(bytes.len() - server.input.len() <= content_length as usize);
    }
}
