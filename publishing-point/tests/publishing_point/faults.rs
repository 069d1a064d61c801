// SPDX-License-Identifier: MPL-2.0

//! Every scripted fault, as a client sees it.

use http::header::{PRAGMA, SET_COOKIE};
use publishing_point::{Closer, Event, Fault, MidBody, Refuse, Running, When};

use super::client::{Client, ENDLESS, data_packets, end, event, packet, request, serve};
use super::closed_by;

fn faulty(faults: &[(When, Fault)]) -> Running {
    serve(|settings| settings.faults = faults.to_vec())
}

#[test]
fn push_setup_is_refused_with_any_status_and_phrase() {
    for status in [401, 403, 404, 409, 500, 503] {
        let refuse = Refuse {
            reason: "Not Today".to_owned(),
            ..Refuse::new(status)
        };
        let point = faulty(&[(When::PushSetup(0), Fault::Refuse(refuse))]);
        let mut client = Client::connect(&point);
        let response = client.setup("/live");
        assert_eq!(response.lines[0], format!("HTTP/1.1 {status} Not Today"));
        // The connection and the script stay.
        assert_eq!(client.setup("/live").status(), 204);
    }
}

#[test]
fn a_refusal_may_close_the_connection() {
    let refuse = Refuse {
        close: true,
        ..Refuse::new(503)
    };
    let point = faulty(&[(When::Always, Fault::Refuse(refuse))]);
    let mut client = Client::connect(&point);
    let response = client.setup("/live");
    assert_eq!(response.lines[0], "HTTP/1.1 503 Service Unavailable");
    assert_eq!(response.field("Connection"), Some("close"));
    assert!(client.rest().is_empty());
}

#[test]
fn push_start_is_refused_while_its_body_comes() {
    let point = faulty(&[(When::EveryPushStart, Fault::Refuse(Refuse::new(401)))]);
    let mut client = Client::connect(&point);
    client.setup("/live");
    let body = packet(b'H', b"header");
    client.start("/live", body.len() as u64);
    assert_eq!(client.response().status(), 401);
    client.send(body);
    // The rest of the body was drained, so the connection can carry another request.
    point.set_faults(Vec::new());
    assert_eq!(client.setup("/live").status(), 204);
}

#[test]
fn a_redirection_names_its_location() {
    let redirect = Fault::Redirect {
        status: 302,
        location: "http://other.example/live".to_owned(),
    };
    let point = faulty(&[(When::Request(0), redirect)]);
    let response = Client::connect(&point).setup("/live");
    assert_eq!(response.status(), 302);
    assert_eq!(
        response.field("Location"),
        Some("http://other.example/live")
    );
}

#[test]
fn a_challenge_keeps_the_connection() {
    let challenges = vec!["NTLM".to_owned(), "Basic realm=\"x\"".to_owned()];
    let point = faulty(&[(When::Request(0), Fault::Challenge(challenges))]);
    let mut client = Client::connect(&point);
    let response = client.setup("/live");
    assert_eq!(response.status(), 401);
    assert_eq!(response.field("WWW-Authenticate"), Some("NTLM"));
    assert_eq!(client.setup("/live").status(), 204);
}

#[test]
fn silence_lasts() {
    let point = faulty(&[(When::EveryPushSetup, Fault::Silent)]);
    let mut client = Client::connect(&point);
    client.send(request("/live", "pushsetup", "0", 0));
    assert!(client.is_silent());
    let point = faulty(&[(When::EveryPushStart, Fault::Silent)]);
    let mut client = Client::streaming(&point);
    assert!(client.is_silent());
    assert_eq!(point.pushes()[0].push_starts, 0);
}

#[test]
fn garbage_is_not_http() {
    let point = faulty(&[(When::Always, Fault::Garbage)]);
    let mut client = Client::connect(&point);
    client.start("/live", 10);
    let rest = client.rest();
    assert!(!rest.is_empty() && !rest.starts_with(b"HTTP/"));
}

#[test]
fn an_encoder_may_be_taken_for_a_player() {
    let point = faulty(&[(When::Always, Fault::Announcement)]);
    let response = Client::connect(&point).setup("/live");
    assert_eq!(response.status(), 200);
    assert!(response.body.starts_with("<ASX"));
}

#[test]
fn faults_change_successful_responses() {
    let spoilt = |fault| {
        let point = faulty(&[(When::Always, fault)]);
        Client::connect(&point).setup("/live")
    };
    let foreign = spoilt(Fault::Server("Apache/2.4".to_owned()));
    assert_eq!(foreign.field("Server"), Some("Apache/2.4"));
    assert_eq!(foreign.status(), 204);
    assert_eq!(spoilt(Fault::Server(String::new())).field("Server"), None);
    assert_eq!(spoilt(Fault::Status200).lines[0], "HTTP/1.1 200 OK");
    let without_cookie = spoilt(Fault::Without(SET_COOKIE));
    assert_eq!(without_cookie.field("Set-Cookie"), None);
    assert_eq!(spoilt(Fault::Without(PRAGMA)).field("Pragma"), None);
}

#[test]
fn the_connection_may_close_after_push_setup() {
    let point = faulty(&[(When::EveryPushSetup, Fault::CloseAfterResponse)]);
    let mut client = Client::connect(&point);
    let response = client.setup("/live");
    assert_eq!(response.status(), 204);
    assert_eq!(response.field("Connection"), Some("close"));
    assert!(client.rest().is_empty());
    let mut client = Client::resume(&point, &client.push_id());
    client.start("/live", 10);
    client.send(packet(b'H', b"header"));
    assert_eq!(client.response().status(), 204);
}

fn streaming_into(fault: MidBody) -> (Running, Client) {
    let point = faulty(&[(When::PushStart(0), Fault::AfterPackets(2, fault))]);
    let mut client = Client::streaming(&point);
    client.send([packet(b'D', b"1"), packet(b'D', b"2")].concat());
    event(&point, closed_by(Closer::Fault));
    (point, client)
}

#[test]
fn a_response_may_arrive_within_a_body() {
    let refuse = Refuse {
        reason: "Enough".to_owned(),
        ..Refuse::new(403)
    };
    let (_point, mut client) = streaming_into(MidBody::Respond(refuse));
    assert_eq!(client.response().lines[0], "HTTP/1.1 403 Enough");
    assert!(client.rest().is_empty());
    let (_point, mut client) = streaming_into(MidBody::Success);
    let response = client.response();
    assert_eq!(response.status(), 204);
    assert_eq!(response.field("Connection"), Some("close"));
}

#[test]
fn a_close_in_the_middle_of_a_body_is_resumed() {
    let (point, mut client) = streaming_into(MidBody::Close);
    assert!(client.rest().is_empty());
    let mut client = Client::resume(&point, &client.push_id());
    client.start("/live", ENDLESS);
    client.send([packet(b'D', b"3"), end(0)].concat());
    assert!(client.rest().is_empty());
    assert!(point.pushes()[0].data().eq(["1", "3"]));
}

#[test]
fn a_connection_is_reset_in_the_middle_of_a_body() {
    let (_point, mut client) = streaming_into(MidBody::Reset);
    assert!(client.is_reset());
}

#[test]
fn a_stalled_server_neither_reads_nor_answers() {
    let (point, mut client) = streaming_into(MidBody::Stall);
    assert!(client.is_silent());
    // The session can be resumed in the meantime.
    let mut other = Client::resume(&point, &client.push_id());
    other.start("/live", ENDLESS);
    other.send(packet(b'D', b"3"));
    data_packets(&point, 2);
}

#[test]
fn the_end_may_be_answered_or_ignored() {
    for (after, status) in [(Some(Refuse::new(422)), Some(422)), (None, None)] {
        let point = faulty(&[(When::EveryPushStart, Fault::AfterEnd(after))]);
        let mut client = Client::streaming(&point);
        client.send(end(0));
        event(&point, |event| {
            matches!(event, Event::SessionDeleted { .. })
        });
        match status {
            Some(status) => assert_eq!(client.response().status(), status),
            None => assert!(client.is_silent()),
        }
    }
}
