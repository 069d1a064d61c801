// SPDX-License-Identifier: MPL-2.0

//! The packets of PushStart bodies.

use bytes::Buf;
use proptest::prelude::*;

use super::*;
use crate::wmhttp::least_content_length;

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

/// S-033, S-050…S-052; 4.6.1 Expanded Streaming State Diagram
#[test]
fn packets_out_of_order_are_refused() {
    let false_end = end(HResult::S_FALSE);
    let wrong: &[(&[&[u8]], BadBody)] = &[
        (&[&data()], BadBody::NoHeader(PacketId::Data)),
        (&[&filler()], BadBody::NoHeader(PacketId::Filler)),
        (&[&change()], BadBody::NoHeader(PacketId::StreamChange)),
        (
            &[&end(HResult::S_OK)],
            BadBody::NoHeader(PacketId::EndOfStream),
        ),
        (&[&header(), &header()], BadBody::SecondHeader),
        (&[&header(), &change()], BadBody::StreamChangeWithinEntry),
        (
            &[&header(), &false_end, &data()],
            BadBody::DataBetweenEntries,
        ),
        (&[&header(), &false_end, &header()], BadBody::SecondHeader),
        (
            &[&header(), &false_end, &change(), &change()],
            BadBody::StreamChangeWithinEntry,
        ),
    ];
    for (packets, error) in wrong {
        let mut server = Server::new();
        let mut session = server.started();
        let received = server.send_all(&mut session, packets);
        assert_eq!(received, Err(*error), "{packets:x?}");
        assert!(error.to_string().starts_with("unexpected packet: "));
    }
}

/// 4.6.1 Expanded Streaming State Diagram: a later PushStart continues in the last state.
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

/// 3.1.4.2.1 Sending the PushStart Request and 3.2.7.1 TCP Connection Is Disconnected: after a connection loss the
/// client cannot know whether `$H` was received.
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

/// 3.2.5.2 Receiving a PushStart Request: Content-Length limits the body.
#[test]
fn a_packet_longer_than_the_body_is_refused_early() {
    for (content_length, error) in [
        (1, BadBody::Remainder { bytes: 1 }),
        (3, BadBody::Remainder { bytes: 3 }),
        (9, BadBody::Excess { size: 10, room: 9 }),
    ] {
        let mut server = Server::new();
        server.setup("0", "").unwrap();
        let mut session = server.start("id1", content_length).unwrap();
        let received = server.send(&mut session, &header()[..4]);
        assert_eq!(received, Err(error));
        assert!(error.to_string().starts_with("not a packet: "));
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

/// S-033; 3.2.5.2 Receiving a PushStart Request
#[test]
fn an_empty_body_is_complete_at_once() {
    let mut server = Server::new();
    server.setup("0", "").unwrap();
    assert!(server.start("id1", 0).unwrap().is_complete());
}

/// 2.2.3.2 $C (Stream Change Notification)
#[test]
fn a_stream_change_has_a_smaller_limit() {
    let mut server = Server::new();
    let mut session = server.started();
    server
        .send_all(&mut session, &[&header(), &end(HResult::S_FALSE)])
        .unwrap();
    let mut large = vec![b'$', b'C', 0xff, 0xff, 0, 0, 0, 0];
    large.resize(65_539, 0);
    let error = BadBody::PayloadSize {
        id: PacketId::StreamChange,
        size: 65_531,
        limit: 65_527,
    };
    assert_eq!(server.send(&mut session, &large), Err(error));
    assert_eq!(
        error.to_string(),
        "not a packet: $C has a payload of 65531 bytes, over the limit of 65527"
    );
}

/// 3.1.4.2.1 Sending the PushStart Request, 2.2.3.3 $D (Data), 2.2.3.5 $F (Filler) and note <14>
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

/// 2.2.3.6 $H (Header), 3.1.4.2.1 Sending the PushStart Request
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
