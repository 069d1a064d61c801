// SPDX-License-Identifier: MPL-2.0

//! The table of sessions: PushSetup, PushStart and publishing points.

use super::*;

/// S-001, S-004, S-019, S-020; 3.2.5.1 Receiving a PushSetup Request, 3.2.3 Initialization
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

/// S-004; 3.2.3 Initialization
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

/// S-015; 3.2.5.1 Receiving a PushSetup Request
#[test]
fn a_known_push_id_keeps_its_session() {
    let mut server = Server::new();
    let first = server.setup("0", "").unwrap();
    let again = server.setup("id1", "").unwrap();
    assert_eq!(first.key, again.key);
    assert_eq!(cookie(&again.reply), "push-id=id1");
    assert_eq!(server.setup("id9", "").unwrap_err(), 400);
}

/// S-011; 2.2.2.1 PushSetup Request
#[test]
fn a_setup_body_that_does_not_parse_is_refused() {
    let mut server = Server::new();
    assert_eq!(server.setup("0", "AutoDestroy: yes\r\n").unwrap_err(), 400);
}

/// S-032; 3.2.5.2 Receiving a PushStart Request
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

/// S-015, S-032; 3.2.5.1 Receiving a PushSetup Request, 3.2.5.2 Receiving a PushStart Request
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

/// S-016…S-018; 2.2.2.1.1 Template-URL, 2.2.2.1.2 AutoDestroy
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

/// A refused request creates no point, because nothing would ever remove it.
#[test]
fn a_refused_push_setup_creates_no_point() {
    let template = "Template-URL: \"/live\"\r\nAutoDestroy: 1\r\n";
    let mut server = Server::with(Points::Listed(["/live".to_owned()].into()));
    let session = server.started();
    assert_eq!(server.setup_at("/new", "id1", template).unwrap_err(), 409);
    assert_eq!(server.setup_at("/new", "0", "").unwrap_err(), 404);
    server.sessions.end(session);
    for _ in 0..Sessions::MAX {
        server.setup("0", "").unwrap();
    }
    assert_eq!(server.setup_at("/new", "0", template).unwrap_err(), 503);
    server.sessions.shed_waiting(|_| true).unwrap();
    assert_eq!(server.setup_at("/new", "0", "").unwrap_err(), 404);
}

#[test]
fn push_setup_and_push_start_are_not_confused() {
    let mut server = Server::new();
    server.setup("0", "").unwrap();
    let start = PushRequest::new(&request(PUSH_START, "id1", 0)).unwrap();
    let mut push_id = || PushId::new("id2").unwrap();
    let refused = server
        .sessions
        .push_setup(&start, b"", &mut push_id, server.now);
    assert_eq!(refused.unwrap_err(), Refusal::ContentType);
    let setup = PushRequest::new(&request(PUSH_SETUP, "id1", 0)).unwrap();
    let refused = server.sessions.push_start(&setup, server.now);
    assert_eq!(refused.unwrap_err(), Refusal::ContentType);
}

#[test]
fn a_refused_push_setup_displaces_no_source() {
    let mut server = Server::new();
    for _ in 0..Sessions::MAX {
        server.setup("0", "").unwrap();
    }
    let silent = server.start("id1", 100).unwrap();
    server.now += Rules::STALE;
    assert_eq!(server.setup("0", "").unwrap_err(), 503);
    assert!(!server.sessions.is_displaced(silent.key()));
}

/// 5.1 Security Considerations for Implementers
#[test]
fn debug_output_hides_the_push_id() {
    let mut server = Server::new();
    let shown = format!("{:?}", server.started());
    assert!(!shown.contains("id1"), "{shown}");
}
