// SPDX-License-Identifier: MPL-2.0

//! Servers that send no response where one is due.

use super::*;

/// Some receivers end the session with the body, without a response. The client starts a new session.
#[test]
fn silence_after_a_full_body_starts_a_new_session() {
    for closes in [false, true] {
        let mut client = in_second_body(4, |client| {
            assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
        });
        assert!(!client.0.handle_silence(), "the body flows");
        client.data();
        client.data();
        client.data();
        let Offer::Held(held) = client.0.data_unit(packet(1500)) else {
            panic!("no room was left")
        };
        assert!(!client.0.handle_silence(), "the filler is still to be sent");
        client.sent();
        if closes {
            client.0.connection_lost();
        }
        client.events();
        assert!(client.0.handle_silence());
        let setup = client.push_setup();
        assert!(setup.fresh);
        assert_eq!(cookie(&setup), "push-id=0");
        // The nonce is not bound to the session.
        assert_digest(&setup, "authorization", &[r#"nonce="n1""#]);
        assert!(!client.0.handle_silence(), "PushSetup has to be answered");
        client.answer("HTTP/1.1 204 No Content\nServer: Cougar/9.5\nSet-Cookie: push-id=8");
        assert_eq!(
            names(&client.events()),
            ["ServerConfigured", "PushStartSent"]
        );
        let (start, body) = client.push_start();
        assert_eq!(cookie(&start), "push-id=8");
        assert!(!start.fresh);
        assert_eq!(body, h());
        assert_eq!(client.0.data_unit(held), Offer::Taken);
        assert_eq!(client.sent().body, d());
    }
}

/// The rest of a body that was not read must not be sent to another server.
#[test]
fn silence_within_a_body_is_not_handled() {
    let mut client = in_second_body(4, |client| {
        assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
    });
    for _ in 0..3 {
        client.data();
    }
    assert!(matches!(client.0.data_unit(packet(1500)), Offer::Held(_)));
    assert!(matches!(client.0.poll_transmit(), Some(Transmit::Body(_))));
    client.0.connection_lost();
    assert!(!client.0.handle_silence());
}

/// Returns the packets of a fixture, with another header and its packets between them.
fn two_entries() -> Vec<Offered> {
    [
        fixture("av_asfmux_p1500_streamable.asf"),
        fixture("audio_ffmpeg_p3200.asf"),
    ]
    .concat()
}

fn data(content: &[Offered]) -> Vec<bytes::Bytes> {
    let data = content.iter().filter_map(|content| match content {
        Offered::Data(packet) => Some(packet.as_bytes().clone()),
        _ => None,
    });
    data.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// 3.1.4.3 ASF Packet Is Available to Send: C-142, C-150, C-165, C-189: no packet is lost, doubled or reordered if
    /// no body is ever answered.
    #[test]
    fn everything_arrives_at_a_server_that_never_answers(
        content_length in prop_oneof![0..20_000u64, 60_000..140_000u64],
        entries in 1..3usize,
    ) {
        let content = two_entries();
        let content = match entries {
            1 => fixture("av_asfmux_p1500_streamable.asf"),
            _ => content,
        };
        let config = SessionConfig {
            content_length: Some(content_length),
            remove_padding: false,
            ..config()
        };
        let mut pair = Pair::new(config);
        pair.answers_bodies = false;
        pair.push(content.clone());
        pair.push([Offered::End]);
        prop_assert_eq!(pair.data(), data(&content));
        prop_assert!(pair.letters().ends_with('0'));
        let (_, filled) = pair.bodies.split_last().unwrap();
        prop_assert!(filled.iter().all(|(sent, announced)| sent == announced), "{:?}", pair.bodies);
        prop_assert_eq!(pair.letters().matches('H').count(), pair.bodies.len());
    }
}

/// Bodies with room for a large header only would repeat for ever.
#[test]
fn a_large_header_does_not_fill_every_body() {
    let content = fixture("audio_many_tags_ffmpeg_p3200.asf");
    let mut pair = Pair::new(SessionConfig {
        content_length: Some(1),
        remove_padding: false,
        ..config()
    });
    pair.answers_bodies = false;
    let [first, second] = [content.clone(), content.clone()];
    pair.push(first);
    pair.push(second);
    pair.push([Offered::End]);
    assert_eq!(pair.data(), [data(&content), data(&content)].concat());
}
