// SPDX-License-Identifier: MPL-2.0

//! The embedded publishing point over real connections, with a client on plain sockets.

mod client;
#[cfg(unix)]
mod crowd;
mod faults;
mod independent;
mod killed;
mod limits;
mod program;
mod recording;
mod rules;

use std::collections::BTreeSet;
use std::time::Duration;

use client::{Client, ENDLESS, data_packets, end, event, packet, request, serve};
use http::StatusCode;
use publishing_point::{Closer, Event, PublishingPoint, Settings};
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{Points, Received, Timeouts, Weight};

fn closed_by(closer: Closer) -> impl FnMut(&Event) -> bool {
    move |event| matches!(event, Event::Closed { by, .. } if *by == closer)
}

/// S-020, S-040; Example 4.8 Message Exchange During Push Distribution, without its authentication, with the Server of
/// a newer release, and a short body.
#[test]
fn example_4_8() {
    let point = serve(|_| {});
    Client::connect(&point).play(
        "C: POST /pubPoint HTTP/1.1
         C: Content-Type: application/x-wms-pushsetup
         C: X-Accept-Authentication: Negotiate, NTLM, Digest
         C: User-Agent: WMEncoder/11.0.5721.5145
         C: Host: MediaServer
         C: Content-Length: 16
         C: Cache-Control: no-cache
         C: Cookie: push-id=0
         C:
         C: AutoDestroy: 1
         S: HTTP/1.1 204 No Content
         S: Server: Cougar/9.6.7600.16564
         S: Content-Length: 0
         S: Date: *
         S: Pragma: no-cache, timeout=60000
         S: Cache-Control: no-cache
         S: Set-Cookie: push-id={id}
         S: Supported: com.microsoft.wm.srvppair, *
         C: POST /pubPoint HTTP/1.1
         C: Content-Type: application/x-wms-pushstart
         C: X-Accept-Authentication: Negotiate, NTLM, Digest
         C: User-Agent: WMEncoder/11.0.5721.5145
         C: Host: MediaServer
         C: Content-Length: 24
         C: Cache-Control: no-cache
         C: Cookie: push-id={id}
         C:
         P: $H header
         P: $D packet
         P: $F
         S: HTTP/1.1 204 No Content
         S: Server: Cougar/9.6.7600.16564
         S: Content-Length: 0
         S: Date: *
         S: Pragma: no-cache, timeout=60000
         S: Cache-Control: no-cache
         S: Set-Cookie: push-id={id}
         S: Supported: com.microsoft.wm.srvppair, *",
    );
    data_packets(&point, 1);
    let accepted = event(&point, |event| matches!(event, Event::SetupAccepted { .. }));
    assert_eq!(accepted.point(), "/pubPoint");
    assert_eq!(
        accepted.to_string(),
        "/pubPoint (session 1): setup accepted from WMEncoder/11.0.5721.5145"
    );
}

/// S-040; 3.2.5.2.1 Sending a PushStart Response, 3.2.5.7 Receiving an $F Packet: one response per filled body, and a
/// connection that stays.
#[test]
fn a_filled_body_is_answered_the_next_has_no_header() {
    let point = serve(|_| {});
    let mut client = Client::connect(&point);
    client.setup("/live");
    let first = [
        packet(b'H', b"header"),
        packet(b'D', b"1"),
        packet(b'F', b"\0\0"),
    ]
    .concat();
    client.start("/live", first.len() as u64);
    client.send(first);
    let response = client.response();
    assert_eq!(response.status(), 204);
    assert_eq!(
        response.field("Set-Cookie").unwrap(),
        format!("push-id={}", client.push_id())
    );
    client.start("/live", ENDLESS);
    client.send([packet(b'D', b"2"), end(0)].concat());
    assert!(client.rest().is_empty());
    let push = &point.pushes()[0];
    assert_eq!(push.push_starts, 2);
    assert!(push.data().eq(["1", "2"]));
    assert_eq!(push.filler_bytes, 2);
    assert_eq!(push.end, Some(HResult::S_OK));
    assert!(push.over && !push.receiving);
}

/// 3.2.5.5 Receiving an $E Packet, 3.2.5.6 Receiving a $C Packet
#[test]
fn a_playlist_is_received() {
    let point = serve(|_| {});
    let mut client = Client::streaming(&point);
    client.play(
        "P: $D 1
         P: $E 1
         P: $C next
         P: $D 2
         P: $E 0
         S: close",
    );
    let push = point.pushes().remove(0);
    assert!(push.headers().eq(["header", "next"]));
    assert!(push.data().eq(["1", "2"]));
    let ends = push.received.iter();
    let ends: Vec<_> = ends
        .filter(|received| matches!(received, Received::EndOfStream(_)))
        .collect();
    assert_eq!(
        ends,
        [
            &Received::EndOfStream(HResult::S_FALSE),
            &Received::EndOfStream(HResult::S_OK)
        ]
    );
    event(&point, closed_by(Closer::EndOfStream));
    event(&point, |event| {
        matches!(event, Event::SessionDeleted { packets: 2, .. })
    });
}

/// S-021, S-032; 3.2.5.2 Receiving a PushStart Request
#[test]
fn a_wrong_push_id_is_refused_at_once() {
    let point = serve(|_| {});
    let mut client = Client::connect(&point);
    client.start("/live", ENDLESS);
    let response = client.response();
    assert_eq!(response.status(), 400);
    assert_eq!(response.field("Connection"), Some("close"));
    assert!(client.rest().is_empty());
    let refused = event(&point, |event| matches!(event, Event::Refused { .. }));
    assert_eq!(
        refused.to_string(),
        "/live: refused with 400: no session has the push-id"
    );
}

/// 3.2.5.2 Receiving a PushStart Request
#[test]
fn a_second_push_start_does_not_disturb_the_first() {
    let point = serve(|_| {});
    let mut first = Client::streaming(&point);
    first.send(packet(b'D', b"1"));
    data_packets(&point, 1);
    let mut second = Client::resume(&point, &first.push_id());
    second.start("/live", ENDLESS);
    assert_eq!(second.response().status(), 409);
    first.send(packet(b'D', b"2"));
    data_packets(&point, 2);
    let mut stranger = Client::connect(&point);
    assert_eq!(stranger.setup("/live").status(), 409);
    assert_eq!(stranger.setup("/other").status(), 204);
}

/// S-062; 3.2.7.1 TCP Connection Is Disconnected
#[test]
fn a_lost_connection_is_resumed_by_another_one() {
    let point = serve(|_| {});
    let mut client = Client::streaming(&point);
    client.send(packet(b'D', b"1"));
    // Half a packet is lost with the connection.
    client.send(b"$D\x05\0ab");
    data_packets(&point, 1);
    let push_id = client.push_id();
    drop(client);
    event(&point, closed_by(Closer::Client));
    let mut client = Client::resume(&point, &push_id);
    client.start("/live", ENDLESS);
    client.send([packet(b'D', b"2"), end(0)].concat());
    assert!(client.rest().is_empty());
    let push = point.pushes().remove(0);
    assert!(push.data().eq(["1", "2"]));
    assert_eq!(push.push_starts, 2);
}

/// S-060; 3.2.6.1 Idle-Timeout Timer Expires
#[test]
fn an_idle_push_is_ended_with_408() {
    let point = serve(|settings| {
        settings.timeouts.idle = Duration::from_millis(50);
    });
    let mut client = Client::streaming(&point);
    let response = client.response();
    assert_eq!(response.status(), 408);
    assert!(client.rest().is_empty());
    event(&point, closed_by(Closer::IdleTimeout));
    assert!(point.pushes()[0].over);
}

/// 3.2.6.1 Idle-Timeout Timer Expires, 3.2.7.1 TCP Connection Is Disconnected
#[test]
fn a_lost_push_that_is_not_resumed_is_deleted() {
    let point = serve(|settings| {
        settings.timeouts.idle = Duration::from_millis(50);
    });
    let client = Client::streaming(&point);
    event(&point, |event| matches!(event, Event::Header { .. }));
    drop(client);
    event(&point, |event| {
        matches!(event, Event::SessionDeleted { .. })
    });
}

/// S-061; 3.2.6.2 Inactivity-Timeout Timer Expires
#[test]
fn a_session_without_a_push_start_is_closed_and_deleted() {
    let point = serve(|settings| {
        settings.timeouts = Timeouts {
            inactivity: Duration::from_millis(50),
            ..Timeouts::default()
        };
    });
    let mut client = Client::connect(&point);
    client.setup("/live");
    assert!(client.rest().is_empty());
    event(&point, |event| {
        matches!(event, Event::SessionDeleted { .. })
    });
}

/// 3.2.5.3 Receiving an $H Packet: the syntax of packets is validated.
#[test]
fn bytes_that_are_not_a_packet_are_answered_with_400() {
    let point = serve(|_| {});
    let mut client = Client::streaming(&point);
    client.send(b"HTTP");
    assert_eq!(client.response().status(), 400);
    let refused = event(&point, |event| matches!(event, Event::Refused { .. }));
    assert!(refused.to_string().contains("not a packet"), "{refused}");
    event(&point, closed_by(Closer::BadPacket));
}

/// S-006; 3.2.4.1 Administrative Disconnect
#[test]
fn an_administrator_disconnects_with_an_http_error() {
    let point = serve(|_| {});
    let mut client = Client::streaming(&point);
    event(&point, |event| matches!(event, Event::Header { .. }));
    point.disconnect(StatusCode::FORBIDDEN);
    assert_eq!(client.response().status(), 403);
    assert!(client.rest().is_empty());
    assert!(point.pushes()[0].over);
}

/// 3.2.4.1 Administrative Disconnect
#[test]
fn a_shutdown_disconnects_all_clients() {
    let point = serve(|_| {});
    let mut idle = Client::connect(&point);
    idle.setup("/other");
    let mut client = Client::streaming(&point);
    event(&point, |event| matches!(event, Event::Header { .. }));
    point.shutdown();
    assert_eq!(client.response().status(), 503);
    assert!(idle.rest().is_empty());
}

/// S-011, S-030; 2.2.2 Request Types
#[test]
fn requests_other_than_a_push_are_refused() {
    let point = serve(|_| {});
    for (wire, status) in [
        ("PUT /live HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        (request("/live", "pushend", "0", 0), 415),
        (request("/live", "pushsetup", "0", 5000), 413),
        (request("/live", "pushsetup", "a b", 0), 400),
        ("\0\0\0\0\r\n\r\n".to_owned(), 400),
        (format!("POST / HTTP/1.1\r\nA: {}", "a".repeat(16_384)), 431),
    ] {
        let mut client = Client::connect(&point);
        client.send(wire);
        assert_eq!(client.response().status(), status);
        assert!(client.rest().is_empty());
    }
}

/// S-010; 3.2.5.1 Receiving a PushSetup Request and note <8>
#[test]
fn a_player_gets_a_playlist() {
    let point = serve(|_| {});
    let mut client = Client::connect(&point);
    let request = request("/live", "pushsetup", "0", 0);
    client.send(request.replace("WMEncoder/12.0 GStreamer/1.22", "NSPlayer/12.0"));
    let response = client.response();
    assert_eq!(response.status(), 200);
    assert_eq!(response.field("Content-Type"), Some("video/x-ms-asf"));
    assert!(response.body.contains("http://media.example/live"));
}

/// 1.4
#[test]
fn http_1_0_stays_connected_only_with_keep_alive() {
    let point = serve(|_| {});
    let request = request("/live", "pushsetup", "0", 0).replace("HTTP/1.1", "HTTP/1.0");
    let mut client = Client::connect(&point);
    client.send(&request);
    let response = client.response();
    assert_eq!(response.lines[0], "HTTP/1.0 204 No Content");
    assert!(client.rest().is_empty());
    let mut client = Client::connect(&point);
    let request = request.replace("Host: ", "Connection: Keep-Alive\r\nHost: ");
    for _ in 0..2 {
        client.send(&request);
        assert_eq!(client.response().field("Connection"), Some("keep-alive"));
    }
}

/// RFC 2616 section 8.2.3
#[test]
fn expect_100_continue_is_answered() {
    let point = serve(|_| {});
    let mut client = Client::connect(&point);
    client.setup("/live");
    let request = request("/live", "pushstart", &client.push_id(), 10);
    client.send(request.replace("Host: ", "Expect: 100-continue\r\nHost: "));
    assert_eq!(client.response().status(), 100);
    client.send(packet(b'H', b"header"));
    assert_eq!(client.response().status(), 204);
}

/// S-016…S-018; 2.2.2.1.1 Template-URL, 2.2.2.1.2 AutoDestroy
#[test]
fn a_point_from_a_template_is_removed_after_the_push() {
    let point = serve(|settings| {
        settings.points = Points::Listed(BTreeSet::from(["/template".to_owned()]));
    });
    let mut client = Client::connect(&point);
    assert_eq!(client.setup("/live").status(), 404);
    let body = "Template-URL: \"/template\"\r\nAutoDestroy: 1\r\n";
    client.send(request("/live", "pushsetup", "0", body.len() as u64) + body);
    let response = client.response();
    assert_eq!(response.status(), 204);
    let push_id = response.field("Set-Cookie").unwrap();
    let push_id = push_id.strip_prefix("push-id=").unwrap();
    client.send(request("/live", "pushstart", push_id, ENDLESS));
    client.send([packet(b'H', b"header"), end(0)].concat());
    assert!(client.rest().is_empty());
    let deleted = event(&point, |event| {
        matches!(event, Event::SessionDeleted { .. })
    });
    assert!(deleted.to_string().ends_with("publishing point removed"));
    assert_eq!(Client::connect(&point).setup("/live").status(), 404);
    assert_eq!(point.requests()[1].body, body);
}

/// 3.1.4.1.1 Sending the PushSetup Request
#[test]
fn departures_from_the_specification_are_reported_and_served() {
    let point = serve(|_| {});
    let mut client = Client::connect(&point);
    let request = request("/live", "pushsetup", "0", 0);
    client.send(request.replace("X-Accept-Authentication", "X-Accept-Anything"));
    assert_eq!(client.response().status(), 204);
    let seen = event(&point, |event| matches!(event, Event::Violation { .. }));
    let Event::Violation { violation, .. } = seen else {
        panic!("{seen}");
    };
    assert_eq!(violation.weight, Weight::Should);
    assert_eq!(violation.section, "3.1.4.1.1");
}

/// 5.1 Security Considerations for Implementers
#[test]
fn no_output_contains_the_push_id() {
    let point = serve(|_| {});
    let mut client = Client::streaming(&point);
    client.send([packet(b'D', b"1"), end(0)].concat());
    client.rest();
    let mut shown = format!("{:?} {:?}", point.pushes(), point.requests());
    while let Some(event) = point.wait_for(|_| true, Duration::ZERO) {
        shown += &format!("{event} {event:?}");
    }
    assert!(!shown.contains(&client.push_id()), "{shown}");
    let requests = point.requests();
    let cookie = format!("push-id={}", client.push_id());
    assert_eq!(requests[1].field("cookie"), Some(cookie.as_str()));
}

#[test]
fn it_can_serve_on_the_runtime_of_its_caller() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let point = PublishingPoint::bind(Settings::default()).unwrap();
    let handle = point.handle();
    let client = std::thread::spawn({
        let handle = handle.clone();
        move || drop(Client::streaming(&handle))
    });
    runtime.block_on(async {
        let seen = async {
            let mut seen = Vec::new();
            while seen.len() < 4 {
                seen.push(handle.next_event().await);
            }
            handle.stop();
            seen
        };
        let (served, seen) = tokio::join!(point.serve(), seen);
        served.unwrap();
        assert!(matches!(seen[0], Event::SetupAccepted { .. }), "{seen:?}");
        assert!(matches!(seen[1], Event::PushStarted { .. }), "{seen:?}");
    });
    client.join().unwrap();
}
