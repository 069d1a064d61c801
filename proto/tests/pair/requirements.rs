// SPDX-License-Identifier: MPL-2.0

//! The bytes that the client sends, against the requirements of `tests/conformance/client.tsv`.

use wmspush_proto::asf::FileHeader;
use wmspush_proto::wmhttp::{
    Error, Event, HResult, Offer, PushSession, Transmit, UNKNOWN_CONTENT_LENGTH,
};

use super::clients::{
    Sent, accepted, assert_filler, configured, framed, header, header_with, packet, response,
    with_rest,
};
use super::harness::{Fixed, config};

/// 3.1.1 Abstract Data Model, 3.1.3 Initialization: C-060, C-062, C-070, C-072, C-075: there is no output before the
/// server is to be configured. Then PushSetup asks for a new session.
#[test]
fn a_session_starts_from_nothing_with_push_setup() {
    let mut client = PushSession::new(config(), Fixed);
    assert!(Sent::by(&mut client).nothing());
    assert_eq!((client.length_remaining(), client.is_ready()), (0, false));
    client.configure_server();
    let sent = Sent::by(&mut client);
    assert_eq!(sent.field("cookie"), "push-id=0");
    assert_eq!(sent.field("content-type"), "application/x-wms-pushsetup");
    client.configure_server();
    assert!(Sent::by(&mut client).nothing(), "once is enough");
}

/// 3.1.4.2 Request to Start Streaming Content, 3.1.5.1 Receiving a PushSetup Response: C-100, C-101, C-103, C-218,
/// C-219: streaming waits for the response to PushSetup, and then for the higher layer and its file header.
#[test]
fn push_start_waits_for_push_setup_and_for_a_header() {
    let mut client = PushSession::new(config(), Fixed);
    assert!(matches!(client.start_streaming(header()), Offer::Held(_)));
    client.configure_server();
    Sent::by(&mut client);
    assert!(matches!(client.start_streaming(header()), Offer::Held(_)));
    assert!(Sent::by(&mut client).nothing());
    assert_eq!(client.poll_event(), None);

    client.handle_response(&accepted()).unwrap();
    assert!(matches!(
        client.poll_event(),
        Some(Event::ServerConfigured { .. })
    ));
    assert!(client.is_ready() && Sent::by(&mut client).nothing());
    assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
    assert!(Sent::by(&mut client).nothing());
}

/// 3.1.4.2 Request to Start Streaming Content, 3.1.4.2.1 Sending the PushStart Request, 2.2.3.6 $H (Header): C-031,
/// C-032, C-033, C-034, C-054…C-057, C-104…C-106, C-128…C-131: the request is followed by `$H` as the first packet of
/// its body.
#[test]
fn push_start_is_followed_by_the_header_at_once() {
    let mut client = configured(None);
    let header = header();
    assert_eq!(client.start_streaming(header.clone()), Offer::Taken);
    let sent = Sent::by(&mut client);
    assert_eq!(sent.field("content-type"), "application/x-wms-pushstart");
    let bytes = header.as_bytes();
    assert_eq!(sent.body, framed(b"$H", bytes.len(), bytes));
    assert_eq!(
        client.length_remaining(),
        UNKNOWN_CONTENT_LENGTH - sent.body.len() as u64
    );
    let sent = Event::PushStartSent {
        begins_at: 0,
        header: Some(header),
    };
    assert_eq!(client.poll_event(), Some(sent));
}

/// 3.1.4.3 ASF Packet Is Available to Send, 2.2.3.3 $D (Data): C-033, C-034, C-040…C-043, C-140, C-143…C-145, C-152
#[test]
fn a_data_packet_is_framed_and_subtracted() {
    let mut client = configured(None);
    let _ = client.start_streaming(header());
    Sent::by(&mut client);
    for _ in 0..2 {
        let before = client.length_remaining();
        assert_eq!(client.data_unit(packet(1500)), Offer::Taken);
        let sent = Sent::by(&mut client);
        assert_eq!(sent.body, framed(b"$D", 1500, &[0xAB; 1500]));
        assert_eq!(client.length_remaining(), before - 1504);
        assert!(client.is_ready() && !client.awaits_response());
    }
}

/// 3.1.4.3 ASF Packet Is Available to Send, 2.2.3.5 $F (Filler): C-049…C-053, C-144, C-146, C-147, C-149…C-151: if a
/// packet and four bytes do not fit, `$F` fills the rest, and the packet is held for the next body.
#[test]
fn a_body_is_filled_before_a_packet_that_is_larger() {
    for rest in [4, 5, 8, 100, 1504, 1507] {
        let mut client = with_rest(&header(), rest);
        let Offer::Held(held) = client.data_unit(packet(1500)) else {
            panic!("{rest}")
        };
        let sent = Sent::by(&mut client);
        assert_eq!(sent.body[..2], *b"$F");
        assert_eq!(sent.body[2..4], (rest as u16 - 4).to_le_bytes());
        assert_filler(&sent.body, rest);
        assert_eq!(client.length_remaining(), 0);
        assert!(client.awaits_response());

        client.handle_response(&accepted()).unwrap();
        assert_eq!(client.data_unit(held), Offer::Taken);
        assert_eq!(Sent::by(&mut client).body[4..], [0xAB; 1500]);
    }
    let mut client = with_rest(&header(), 1508);
    assert_eq!(client.data_unit(packet(1500)), Offer::Taken);
    assert_eq!(client.length_remaining(), 4);
}

/// 3.1.4.3 ASF Packet Is Available to Send, 3.1.4.5 Notification of New ASF Header File: C-148, C-187: several `$F`
/// fill a rest that is too large for one.
#[test]
fn more_than_one_filler_can_hold_is_filled_by_several() {
    let header = header_with(65_531, 0);
    for rest in 65_536..65_539 {
        let mut client = with_rest(&header, rest);
        assert!(matches!(client.data_unit(packet(65_531)), Offer::Held(_)));
        assert_filler(&Sent::by(&mut client).body, rest);
    }
    let large = large_header(65_527);
    for rest in 65_536..65_539 {
        let mut client = with_rest(&header, rest + 8);
        assert!(matches!(client.new_header(large.clone()), Offer::Held(_)));
        assert_filler(&Sent::by(&mut client).body[8..], rest);
    }
}

/// Returns a header of `size` bytes, with an ASF 3.17 Padding Object at its end.
fn large_header(size: usize) -> FileHeader {
    const PADDING: [u8; 16] = [
        0x74, 0xD4, 0x06, 0x18, 0xDF, 0xCA, 0x09, 0x45, 0xA4, 0xBA, 0x9A, 0xAB, 0xCB, 0x96, 0xAA,
        0xE8,
    ];
    let header = header_with(65_531, 0);
    let (objects, data_head) = header.as_bytes().split_at(header.as_bytes().len() - 50);
    let padding = size - header.as_bytes().len();
    let mut bytes = objects.to_vec();
    bytes.extend_from_slice(&PADDING);
    bytes.extend_from_slice(&(padding as u64).to_le_bytes());
    bytes.resize(objects.len() + padding, 0);
    let objects = bytes.len() as u64;
    bytes[16..24].copy_from_slice(&objects.to_le_bytes());
    bytes.extend_from_slice(data_head);
    FileHeader::parse(bytes.into()).unwrap()
}

/// 3.1.4.3 to 3.1.4.5, 3.1.5.2 Receiving a PushStart Response: C-141, C-142, C-151, C-160, C-161, C-181, C-182: after a
/// full body nothing is sent before the response. C-030, C-105, C-237, C-243: the next PushStart follows it, without
/// `$H`.
#[test]
fn everything_is_held_between_a_full_body_and_its_response() {
    let mut client = with_rest(&header(), 4);
    assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
    Sent::by(&mut client);
    while client.poll_event().is_some() {}
    for _ in 0..2 {
        assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
        assert!(matches!(client.new_header(header()), Offer::Held(_)));
        assert!(matches!(
            client.end_of_stream(HResult::S_OK),
            Offer::Held(_)
        ));
        assert!(Sent::by(&mut client).nothing());
        assert_eq!(client.poll_event(), None);
    }
    client.handle_response(&accepted()).unwrap();
    assert_eq!(client.data_unit(packet(1500)), Offer::Taken);
    let sent = Sent::by(&mut client);
    assert_eq!(sent.field("content-type"), "application/x-wms-pushstart");
    assert_eq!(sent.body, framed(b"$D", 1500, &[0xAB; 1500]));
    assert_eq!(client.poll_event(), Some(Event::PushStartCompleted));
    let sent = client.poll_event();
    assert!(matches!(
        sent,
        Some(Event::PushStartSent { header: None, .. })
    ));
}

/// 3.1.4.4 Notification of the Last Packet: C-160, C-162, C-164, C-165: `$F` replaces an `$E` that does not fit. `$E`
/// begins the next body.
#[test]
fn an_end_without_room_goes_into_the_next_body() {
    for rest in 4..8 {
        let mut client = with_rest(&header(), rest);
        let Offer::Held(reason) = client.end_of_stream(HResult::S_OK) else {
            panic!("{rest}")
        };
        let sent = Sent::by(&mut client);
        assert_filler(&sent.body, rest);
        assert!(!sent.closes && client.length_remaining() == 0 && client.awaits_response());

        client.handle_response(&accepted()).unwrap();
        assert_eq!(client.end_of_stream(reason), Offer::Taken);
        let sent = Sent::by(&mut client);
        assert_eq!(sent.body, b"$E\x04\0\0\0\0\0");
        assert!(sent.closes);
    }
}

/// 3.1.4.4 Notification of the Last Packet, 2.2.3.4 $E (End-of-Stream Notification): C-046…C-048, C-166…C-168, C-170,
/// C-172: `$E` needs eight bytes. It carries the Reason of the higher layer, and is the last output.
#[test]
fn the_end_carries_its_reason_and_closes() {
    let abort = *b"$E\x04\0\x04\x40\0\x80";
    for (reason, wire) in [
        (HResult::S_OK, *b"$E\x04\0\0\0\0\0"),
        (HResult::E_ABORT, abort),
    ] {
        for rest in [8, 9, 11, 12] {
            let mut client = with_rest(&header(), rest);
            while client.poll_event().is_some() {}
            assert_eq!(client.end_of_stream(reason), Offer::Taken);
            let sent = Sent::by(&mut client);
            assert_eq!(sent.body, wire);
            assert!(sent.closes);
            assert_eq!(client.poll_event(), Some(Event::SessionEnded));
            assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
            assert!(Sent::by(&mut client).nothing());
        }
    }
}

/// 3.1.4.5 Notification of New ASF Header File, 2.2.3.2 $C (Stream Change Notification): C-035…C-038, C-102, C-167,
/// C-169, C-174, C-180, C-183, C-184, C-190, C-191, C-193: `$E` (S_FALSE) and `$C` in the same body, not another
/// PushStart.
#[test]
fn a_new_header_is_announced_and_framed() {
    let mut client = configured(None);
    let _ = client.start_streaming(header());
    Sent::by(&mut client);
    let before = client.length_remaining();
    let next = header_with(3200, 0);
    assert_eq!(client.start_streaming(next.clone()), Offer::Taken);
    let sent = Sent::by(&mut client);
    assert!(sent.requests.is_empty() && !sent.closes);
    let bytes = next.as_bytes();
    let (end, change) = sent.body.split_at(8);
    assert_eq!(end, b"$E\x04\0\x01\0\0\0");
    assert_eq!(change[..8], framed(b"$C", bytes.len() + 4, &[0; 4]));
    assert_eq!(change[8..], *bytes);
    assert_eq!(client.length_remaining(), before - sent.body.len() as u64);
    assert!(client.is_ready() && !client.awaits_response());
    assert_eq!(client.data_unit(packet(3200)), Offer::Taken);
}

/// 3.1.4.5 Notification of New ASF Header File: C-030, C-180, C-185, C-186, C-188, C-189, C-192: if `$C` and four bytes
/// do not fit, `$F` fills the rest. The next body begins with `$C`, and the end of the entry is not repeated.
#[test]
fn a_new_header_without_room_opens_the_next_body() {
    let next = header();
    let size = 8 + next.as_bytes().len() as u64;
    for rest in [4, 100, size, size + 3] {
        let mut client = with_rest(&header(), 8 + rest);
        let Offer::Held(held) = client.new_header(next.clone()) else {
            panic!("{rest}")
        };
        let sent = Sent::by(&mut client);
        assert_eq!(sent.body[..8], *b"$E\x04\0\x01\0\0\0");
        assert_filler(&sent.body[8..], rest);
        assert!(client.length_remaining() == 0 && client.awaits_response());

        client.handle_response(&accepted()).unwrap();
        assert_eq!(client.new_header(held), Offer::Taken);
        assert_eq!(Sent::by(&mut client).body[..2], *b"$C");
    }
    let mut client = with_rest(&header(), 8 + size + 4);
    assert_eq!(client.new_header(next), Offer::Taken);
    assert_eq!(client.length_remaining(), 4);
}

/// 3.1.4.4 Notification of the Last Packet, decisions D-9 and D-10: C-166: `$E` (S_FALSE) leaves room for a filler, or
/// waits for the next body.
#[test]
fn the_end_of_an_entry_leaves_room_for_a_filler() {
    for rest in 4..12 {
        let mut client = with_rest(&header(), rest);
        let Offer::Held(held) = client.new_header(header()) else {
            panic!("{rest}")
        };
        assert_filler(&Sent::by(&mut client).body, rest);
        client.handle_response(&accepted()).unwrap();
        assert_eq!(client.new_header(held), Offer::Taken);
        assert_eq!(Sent::by(&mut client).body[..8], *b"$E\x04\0\x01\0\0\0");
    }
}

fn first_content_length(server: &str, header: FileHeader) -> String {
    let mut client = PushSession::new(config(), Fixed);
    client.configure_server();
    Sent::by(&mut client);
    client.handle_response(&response(server)).unwrap();
    let _ = client.start_streaming(header);
    Sent::by(&mut client).field("content-length").to_owned()
}

/// 3.1.4.2.1 Sending the PushStart Request, 3.1.5.1 Receiving a PushSetup Response: C-116, C-118, C-119, C-216, C-121,
/// C-122: through a proxy, which Via shows, a body is one minute long if the bit rate is known. Otherwise it has the
/// maximum length.
#[test]
fn a_body_is_a_minute_long_through_a_proxy() {
    let direct = "HTTP/1.1 204 No Content\nServer: Cougar/9.5";
    let proxy = "HTTP/1.1 204 No Content\nServer: Cougar/9.5\nVia: 1.1 proxy";
    let endless = UNKNOWN_CONTENT_LENGTH.to_string();
    for (server, bitrate, expected) in [
        (direct, 1_000_000, endless.as_str()),
        (proxy, 1_000_000, "7500000"),
        (proxy, 0, &endless),
        (proxy, u32::MAX, &endless),
    ] {
        let content_length = first_content_length(server, header_with(1500, bitrate));
        assert_eq!(content_length, expected, "{server} {bitrate}");
    }
}

/// 3.1.5.2 Receiving a PushStart Response: C-237, C-240, C-241: the response to a PushStart sets the cookies of the
/// next one.
#[test]
fn the_response_to_push_start_sets_cookies() {
    let mut client = with_rest(&header(), 4);
    let _ = client.data_unit(packet(1500));
    Sent::by(&mut client);
    let answer = "HTTP/1.1 200 OK\nServer: Rex/9.0\nSet-Cookie: push-id=2\nSet-Cookie: a=b";
    client.handle_response(&response(answer)).unwrap();
    assert_eq!(Sent::by(&mut client).field("cookie"), "push-id=2; a=b");
}

/// 3.1.4.2.1 Sending the PushStart Request, 3.1.5.2 Receiving a PushStart Response: C-119, C-122, C-242: without a
/// proxy a body has 2,147,483,647 bytes. Via in its response makes the next one a minute long.
#[test]
fn the_longest_body_is_filled_and_reveals_a_proxy() {
    let mut client = configured(None);
    let _ = client.start_streaming(header_with(65_531, 100_000_000));
    assert_eq!(Sent::by(&mut client).field("content-length"), "2147483647");
    let mut owed = client.length_remaining();
    let packet = packet(65_531);
    while client.data_unit(packet.clone()) == Offer::Taken {
        owed -= body_size(&mut client);
    }
    assert_eq!(owed, body_size(&mut client));
    let answer = "HTTP/1.1 204 No Content\nServer: Cougar/9.5\nVia: 1.0 fred, 1.1 nowhere.com";
    client.handle_response(&response(answer)).unwrap();
    assert_eq!(Sent::by(&mut client).field("content-length"), "750000000");
}

/// Returns the size of the remaining body in bytes without storing it.
fn body_size(client: &mut PushSession) -> u64 {
    std::iter::from_fn(|| client.poll_transmit())
        .map(|transmit| match transmit {
            Transmit::Body(bytes) => bytes.len() as u64,
            other => panic!("{other:?}"),
        })
        .sum()
}

/// 3.1.5.2 Receiving a PushStart Response: C-238, C-239
#[test]
fn a_foreign_answer_to_push_start_is_incompatible() {
    let foreign = "HTTP/1.1 204 No Content\nServer: Apache/2.4";
    for (answer, server) in [(foreign, "Apache/2.4"), ("HTTP/1.1 200 OK", "")] {
        let mut client = with_rest(&header(), 4);
        let _ = client.data_unit(packet(1500));
        Sent::by(&mut client);
        let server = server.to_owned();
        assert_eq!(
            client.handle_response(&response(answer)),
            Err(Error::IncompatibleServer { server })
        );
        assert!(Sent::by(&mut client).nothing());
    }
}

/// 2.2.1 HTTP Header Fields: C-007, C-008, C-013: a response may have fields and tokens that the client does not need.
#[test]
fn unknown_fields_and_tokens_of_a_response_are_ignored() {
    let mut client = PushSession::new(config(), Fixed);
    client.configure_server();
    Sent::by(&mut client);
    let answer = "HTTP/1.1 204 No Content\nServer: Cougar/9.5 strange/1 (words)\nPragma: timeout=x, xyzzy, no-cache\n\
                  Cache-Control: private, max-stale=no\nSupported: com.example.nothing\nSet-Cookie: push-id=7; xyzzy=1\n\
                  X-Accept-Authentication: Basic\nUser-Agent: NSPlayer/9.0\nX-Unheard-Of: 1";
    client.handle_response(&response(answer)).unwrap();
    let _ = client.start_streaming(header());
    let sent = Sent::by(&mut client);
    let names: Vec<_> = sent.requests[0]
        .headers
        .keys()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "content-type",
            "x-accept-authentication",
            "user-agent",
            "content-length",
            "cache-control",
            "cookie"
        ]
    );
    assert_eq!(sent.field("cookie"), "push-id=7");
    assert_eq!(sent.field("user-agent"), config().user_agent);
}

/// 3.1.4.2.1 Sending the PushStart Request: C-120: a body has room for the next header, whatever its size.
#[test]
fn a_body_has_room_for_the_waiting_header() {
    let mut client = with_rest(&header(), 4);
    let large = large_header(60_000);
    let Offer::Held(held) = client.new_header(large) else {
        panic!("no room was left")
    };
    Sent::by(&mut client);
    client.handle_response(&accepted()).unwrap();
    assert_eq!(client.new_header(held), Offer::Taken);
}

/// 2.2.1.6 Set-Cookie, RFC 2109 section 4.2.2: C-014: one Set-Cookie field may have several cookies, separated by
/// commas.
#[test]
fn a_push_id_is_found_among_several_cookies() {
    let mut client = PushSession::new(config(), Fixed);
    client.configure_server();
    Sent::by(&mut client);
    let answer = "HTTP/1.1 204 No Content\nServer: Cougar/9.5\nSet-Cookie: push-id=7, a=b";
    client.handle_response(&response(answer)).unwrap();
    let _ = client.start_streaming(header());
    assert_eq!(Sent::by(&mut client).field("cookie"), "push-id=7; a=b");
}
