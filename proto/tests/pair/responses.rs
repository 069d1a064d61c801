// SPDX-License-Identifier: MPL-2.0

//! Unexpected responses.

use bytes::Bytes;
use wmspush_proto::auth::Role;
use wmspush_proto::wmhttp::{Body, Error, Offer, PushSession, Transmit};

use super::clients::{accepted, response};
use super::harness::{Fixed, config, first_header, fixture};

/// Returns a client that has sent PushSetup.
fn waiting() -> PushSession {
    let mut client = PushSession::new(config(), Fixed);
    client.configure_server();
    assert!(matches!(client.poll_transmit(), Some(Transmit::Request(_))));
    client
}

/// Returns a client that has sent PushStart and `$H`.
fn streaming() -> PushSession {
    let mut client = waiting();
    client.handle_response(&accepted()).unwrap();
    let header = first_header("audio_ffmpeg_p3200.asf");
    assert_eq!(client.start_streaming(header), Offer::Taken);
    while client.poll_transmit().is_some() {}
    client
}

/// 2.2.1.3 Cookie, 2.2.1.6 Set-Cookie: the client sends back the cookies that it received.
/// C-011, C-012, C-127, C-214, C-215
#[test]
fn the_push_id_and_other_cookies_go_into_push_start() {
    let mut client = waiting();
    let answer =
        "HTTP/1.1 200 OK\nServer: Rex/9.0\nSet-Cookie: push-id=aZ09; path=/\nSet-Cookie: x=1";
    client.handle_response(&response(answer)).unwrap();
    let header = first_header("audio_ffmpeg_p3200.asf");
    assert_eq!(client.start_streaming(header), Offer::Taken);
    let Some(Transmit::Request(request)) = client.poll_transmit() else {
        panic!("no request")
    };
    assert_eq!(request.headers["cookie"], "push-id=aZ09; x=1");
    assert!(matches!(request.body, Body::PushStart { .. }));
}

/// Receivers without Set-Cookie, Pragma and Cache-Control exist (decision D-5).
/// C-200
#[test]
fn a_server_need_not_assign_a_push_id() {
    let mut client = waiting();
    client
        .handle_response(&response(
            "HTTP/1.1 204 No Content\nServer: Cougar/9.01.01.3814",
        ))
        .unwrap();
    assert!(client.is_ready());
}

/// 3.1.5.1 Receiving a PushSetup Response: "server-token … does not match"
/// C-212, C-213
#[test]
fn a_foreign_server_is_incompatible() {
    for (answer, server) in [
        ("HTTP/1.1 204 No Content\nServer: Apache/2.4", "Apache/2.4"),
        ("HTTP/1.1 200 OK\nContent-Length: 0", ""),
    ] {
        let error = waiting().handle_response(&response(answer)).unwrap_err();
        assert_eq!(
            error,
            Error::IncompatibleServer {
                server: server.to_owned()
            }
        );
    }
}

/// Note <8>: Windows Media Services answer clients that they take for players with an ASX playlist.
#[test]
fn a_playlist_means_that_the_client_is_not_recognised() {
    let mut answer = response("HTTP/1.1 200 OK\nServer: Cougar/9.5");
    answer.body = Bytes::from_static(b"\r\n<ASX VERSION=\"3.0\">");
    assert_eq!(waiting().handle_response(&answer), Err(Error::NotAnEncoder));
}

/// 4.7 Client Push State Diagram: any other HTTP error ends the session.
/// C-132, C-220
#[test]
fn a_refusal_ends_the_session_with_its_status_and_reason() {
    for line in [
        "403 Forbidden",
        "404 No such point",
        "503 Service Unavailable",
        "100 Continue",
    ] {
        let refusal = response(&format!("HTTP/1.1 {line}\nServer: Cougar/9.5"));
        let expected = Error::Refused {
            role: Role::Server,
            status: refusal.status,
            reason: line[4..].to_owned(),
            server: "Cougar/9.5".to_owned(),
            retry_after: None,
        };
        for mut client in [waiting(), streaming()] {
            assert_eq!(
                client.handle_response(&refusal),
                Err(expected.clone()),
                "{line}"
            );
            assert!(!client.is_ready() && client.poll_transmit().is_none());
        }
    }
}

/// Decision D-19: the server does not read the rest of the body.
/// C-132
#[test]
fn success_before_the_body_is_complete_ends_the_session() {
    assert_eq!(
        streaming().handle_response(&accepted()),
        Err(Error::EndedEarly)
    );
}

/// 4.4 General Push Distribution Sequence with $C Packet: after the final $E no response is expected, and any is
/// accepted.
#[test]
fn responses_after_the_end_are_ignored() {
    for answer in ["HTTP/1.1 200 OK", "HTTP/1.1 422 Unprocessable"] {
        let mut client = streaming();
        assert_eq!(
            client.end_of_stream(wmspush_proto::wmhttp::HResult::S_OK),
            Offer::Taken
        );
        assert_eq!(client.handle_response(&response(answer)), Ok(()));
    }
}

/// 3.1.4.1.1 Sending the PushSetup Request: C-095, C-101: content is held until the response.
#[test]
fn nothing_goes_out_before_the_response() {
    let mut client = waiting();
    for content in fixture("audio_ffmpeg_p3200.asf").into_iter().take(2) {
        assert_eq!(content.clone().offer_to(&mut client), Some(content));
    }
    assert!(client.awaits_response() && client.poll_transmit().is_none());
}
