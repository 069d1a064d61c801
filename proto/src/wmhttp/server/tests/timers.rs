// SPDX-License-Identifier: MPL-2.0

//! 3.2.2 Timers

use super::*;

/// S-002, S-052; 3.2.2 Timers: only `$H`, `$D` and `$C` restart the Idle-Timeout.
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

/// S-062; 3.2.7.1 TCP Connection Is Disconnected
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

/// S-003, S-061; 3.2.6.2 Inactivity-Timeout Timer Expires
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
