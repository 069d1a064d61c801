// SPDX-License-Identifier: MPL-2.0

//! 3.2.7.1 TCP Connection Is Disconnected: resuming and restarting the session.

use std::time::Duration;

use wmspush_proto::auth::Credentials;
use wmspush_proto::wmhttp::{
    AccessConfig, Body, Error, Event, HResult, Offer, PushSession, Request, Response, SessionConfig,
};

use super::clients::{Sent, response};
use super::harness::{Fixed, Offered, config, first_header, fixture};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";
const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// Returns the success response of a server with an Idle-Timeout of 20 s.
fn accepted(push_id: &str) -> Response {
    response(&format!(
        "HTTP/1.1 204 No Content\nServer: Cougar/9.5\nSet-Cookie: push-id={push_id}\nPragma: no-cache, timeout=20000"
    ))
}

/// Returns a challenge that assigns this push-id.
fn challenge(scheme: &str, push_id: &str) -> Response {
    response(&format!(
        "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: {scheme}\nSet-Cookie: push-id={push_id}"
    ))
}

fn authenticated() -> SessionConfig {
    let access = AccessConfig {
        credentials: Some(Credentials::new("alice", "secret")),
        ..AccessConfig::default()
    };
    SessionConfig { access, ..config() }
}

/// Returns all outgoing requests, and the body after the last one.
fn sent(client: &mut PushSession) -> (Vec<Request>, Vec<u8>) {
    let sent = Sent::by(client);
    (sent.requests, sent.body)
}

fn cookie(request: &Request) -> &str {
    request.headers["cookie"].to_str().unwrap()
}

fn push_data(client: &mut PushSession) -> Vec<u8> {
    let Offered::Data(packet) = fixture(AUDIO_VIDEO).remove(1) else {
        panic!("no data")
    };
    assert_eq!(client.data_unit(packet), Offer::Taken);
    sent(client).1
}

/// Returns a session that has sent `$H` and a `$D`.
fn streaming(config: SessionConfig, push_id: &str) -> PushSession {
    let mut client = PushSession::new(config, Fixed);
    client.configure_server();
    sent(&mut client);
    client.handle_response(&accepted(push_id)).unwrap();
    assert_eq!(
        client.start_streaming(first_header(AUDIO_VIDEO)),
        Offer::Taken
    );
    push_data(&mut client);
    while client.poll_event().is_some() {}
    client
}

/// The push-id stays, `$H` is not repeated, and the connection is a new one.
#[test]
fn a_resumed_session_continues_with_data() {
    let mut client = streaming(config(), "4711");
    let before = client.counters().body_bytes;
    assert!(client.resume(Some(first_header(AUDIO_VIDEO))));
    assert!(client.has_resumed());
    let (requests, body) = sent(&mut client);
    let [request] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert!(matches!(request.body, Body::PushStart { .. }) && request.fresh);
    assert_eq!(cookie(request), "push-id=4711");
    assert_eq!(body, b"");
    let sent = Event::PushStartSent {
        begins_at: before,
        header: None,
    };
    assert_eq!(client.poll_event(), Some(sent));
    assert_eq!(push_data(&mut client)[..2], *b"$D");
}

/// A file that starts again has the same header, and is the next entry. Only the caller knows whether a header belongs
/// to the interrupted entry.
#[test]
fn any_header_in_a_resumed_session_begins_an_entry() {
    for next in [AUDIO_VIDEO, AUDIO] {
        let mut client = streaming(config(), "4711");
        assert!(client.resume(Some(first_header(AUDIO_VIDEO))));
        sent(&mut client);
        let header = first_header(next);
        assert_eq!(client.is_in_force(&header), next == AUDIO_VIDEO);
        assert_eq!(client.start_streaming(header), Offer::Taken);
        let body = sent(&mut client).1;
        assert_eq!(body[..8], *b"$E\x04\0\x01\0\0\0");
        assert_eq!(body[8..10], *b"$C");
    }
}

#[test]
fn an_unreceived_header_is_sent_again() {
    let mut client = streaming(config(), "4711");
    assert!(client.resume(None));
    let (requests, _) = sent(&mut client);
    assert!(matches!(requests[0].body, Body::PushSetup(_)));
    assert_eq!(cookie(&requests[0]), "push-id=4711");
    client.handle_response(&accepted("4711")).unwrap();
    assert_eq!(
        client.start_streaming(first_header(AUDIO_VIDEO)),
        Offer::Taken
    );
    assert_eq!(sent(&mut client).1[..2], *b"$H");
}

/// A server without push-ids cannot recognise a session.
#[test]
fn without_a_push_id_there_is_nothing_to_resume() {
    let mut client = streaming(config(), "0");
    assert!(!client.is_resumable());
    assert!(!client.resume(Some(first_header(AUDIO_VIDEO))));
}

/// 1.7, decision D-17: a connection that has to be authenticated begins with PushSetup.
#[test]
fn ntlm_resumes_with_push_setup() {
    let mut client = PushSession::new(authenticated(), Fixed);
    client.configure_server();
    sent(&mut client);
    client.handle_response(&challenge("NTLM", "4711")).unwrap();
    assert!(client.resume(Some(first_header(AUDIO_VIDEO))));
    let (requests, _) = sent(&mut client);
    assert!(matches!(requests[0].body, Body::PushSetup(_)));
    assert_eq!(cookie(&requests[0]), "push-id=4711");
}

/// 2.2.1.3.1 push-id: the push-id of a new session is 0.
#[test]
fn a_restarted_session_begins_anew() {
    let mut client = streaming(config(), "4711");
    client.restart(Some(first_header(AUDIO_VIDEO)));
    let (requests, _) = sent(&mut client);
    assert!(matches!(requests[0].body, Body::PushSetup(_)) && requests[0].fresh);
    assert_eq!(cookie(&requests[0]), "push-id=0");
    client.handle_response(&accepted("4712")).unwrap();
    let (requests, body) = sent(&mut client);
    assert_eq!(cookie(&requests[0]), "push-id=4712");
    assert_eq!(body[..2], *b"$H");
    assert!(!client.has_resumed());
}

/// A server that answers with a new push-id has created a new session.
#[test]
fn another_push_id_is_another_session() {
    let mut client = streaming(config(), "4711");
    assert!(client.resume(None));
    sent(&mut client);
    client.handle_response(&accepted("4712")).unwrap();
    assert!(!client.has_resumed());
}

/// Flumotion challenges unknown clients, and assigns a push-id with the challenge.
#[test]
fn a_challenge_with_another_push_id_is_a_forgotten_session() {
    let mut client = streaming(authenticated(), "4711");
    assert!(client.resume(Some(first_header(AUDIO_VIDEO))));
    sent(&mut client);
    let digest = r#"Digest realm="r", nonce="n", qop=auth, algorithm=MD5"#;
    let forgotten = client.handle_response(&challenge(digest, "4712"));
    assert_eq!(forgotten, Err(Error::Forgotten));
    assert!(client.poll_transmit().is_none());
    // With the same push-id it is an ordinary challenge.
    let mut client = streaming(authenticated(), "4711");
    assert!(client.resume(Some(first_header(AUDIO_VIDEO))));
    sent(&mut client);
    assert_eq!(client.handle_response(&challenge(digest, "4711")), Ok(()));
    let (requests, _) = sent(&mut client);
    assert!(requests[0].headers.contains_key("authorization"));
}

/// The state in which the connection was lost does not matter.
#[test]
fn an_ended_session_can_be_resumed_for_its_end() {
    let mut client = streaming(config(), "4711");
    assert_eq!(client.end_of_stream(HResult::S_OK), Offer::Taken);
    assert!(client.resume(Some(first_header(AUDIO_VIDEO))));
    sent(&mut client);
    assert_eq!(client.end_of_stream(HResult::S_OK), Offer::Taken);
    assert_eq!(sent(&mut client).1, b"$E\x04\0\0\0\0\0");
}

/// 2.2.1.4 Pragma, 3.2.2 Timers
#[test]
fn the_idle_timeout_of_the_server_is_known() {
    let client = streaming(config(), "4711");
    assert_eq!(client.idle_timeout(), Duration::from_secs(20));
    let client = PushSession::new(config(), Fixed);
    assert_eq!(client.idle_timeout(), Duration::from_secs(60));
}
