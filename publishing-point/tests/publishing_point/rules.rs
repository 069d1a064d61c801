// SPDX-License-Identifier: MPL-2.0

//! Rules of the operator: accounts, redirections, one source at a time.

use std::time::Duration;

use publishing_point::{Closer, Event, Running, Settings};
use wmspush_proto::auth::{Credentials, basic_authorization};
use wmspush_proto::wmhttp::server::Redirect;

use super::client::{Client, ENDLESS, PATIENCE, end, event, packet, request, serve};
use super::closed_by;

const PASSWORD: &str = "s3cret";

fn guarded() -> Running {
    serve(|settings| settings.accounts = vec![Credentials::new("alice", PASSWORD)])
}

fn authorization(user: &str, password: &str) -> String {
    let value = basic_authorization(&Credentials::new(user, password)).unwrap();
    format!("Authorization: {}\r\nHost: ", value.to_str().unwrap())
}

/// S-013, S-014, S-031: 401, WWW-Authenticate, and a connection that stays
#[test]
fn a_client_without_an_account_is_challenged() {
    let point = guarded();
    let mut client = Client::connect(&point);
    let setup = request("/live", "pushsetup", "0", 0);
    for header in ["Host: ".to_owned(), authorization("alice", "secret")] {
        client.send(setup.replace("Host: ", &header));
        let response = client.response();
        assert_eq!(response.status(), 401);
        let challenge = response.field("WWW-Authenticate").unwrap();
        assert!(challenge.starts_with("Digest realm="), "{challenge}");
        // The client lists Digest, and not Basic.
        assert!(!response.lines.iter().any(|line| line.contains("Basic")));
    }
    client.send(setup.replace("Host: ", &authorization("alice", PASSWORD)));
    let response = client.response();
    assert_eq!(response.status(), 204);
    let push_id = response.field("Set-Cookie").unwrap();
    let push_id = push_id.strip_prefix("push-id=").unwrap();
    // A PushStart is challenged before its body arrives. The body is drained.
    let start = request("/live", "pushstart", push_id, 10);
    client.send(&start);
    assert_eq!(client.response().status(), 401);
    client.send(packet(b'H', b"header"));
    client.send(start.replace("Host: ", &authorization("alice", PASSWORD)));
    client.send(packet(b'H', b"header"));
    assert_eq!(client.response().status(), 204);
    let Some(Event::Refused { reason, .. }) =
        point.wait_for(|event| matches!(event, Event::Refused { .. }), PATIENCE)
    else {
        panic!();
    };
    assert_eq!(reason, "the credentials of an account are required");
    assert_nothing_shows(&point);
}

/// Clients that must not push must not read the status. Watching needs no account.
#[test]
fn page_status_and_metrics_need_an_account() {
    let point = guarded();
    let header = authorization("alice", PASSWORD);
    for path in ["/", "/status", "/status?samples=0", "/metrics"] {
        let mut client = Client::connect(&point);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let refused = client.response();
        assert_eq!(
            (refused.status(), refused.body.as_str()),
            (401, ""),
            "{path}"
        );
        client.send(format!("GET {path} HTTP/1.1\r\n{header}a\r\n\r\n"));
        let shown = client.response();
        assert_eq!(shown.status(), 200, "{path}");
        assert!(!shown.body.contains(PASSWORD) && !shown.body.contains("alice"));
    }
}

/// Checks that no output contains the password or values derived from it.
fn assert_nothing_shows(point: &Running) {
    let settings = Settings {
        accounts: vec![Credentials::new("alice", PASSWORD)],
        ..Settings::default()
    };
    let mut shown = format!("{settings:?} {:?}", point.status());
    while let Some(event) = point.wait_for(|_| true, Duration::ZERO) {
        shown += &format!("{event} {event:?}");
    }
    assert!(!shown.contains("Digest username") && !shown.contains(PASSWORD));
}

/// S-012
#[test]
fn a_request_for_a_moved_point_is_redirected() {
    for (is_proxy, status) in [(false, 302), (true, 305)] {
        let point = serve(|settings| {
            let location = "http://other.example/live".to_owned();
            let redirect = Redirect { location, is_proxy };
            settings.redirects.insert("/old".to_owned(), redirect);
        });
        let mut client = Client::connect(&point);
        assert_eq!(client.setup("/live").status(), 204);
        let response = client.setup("/old");
        assert_eq!(response.status(), status);
        assert_eq!(
            response.field("Location"),
            Some("http://other.example/live")
        );
        assert!(client.rest().is_empty());
        event(&point, |event| {
            matches!(event, Event::SessionDeleted { .. })
        });
    }
}

/// Only a silent source is displaced.
#[test]
fn a_silent_source_is_displaced() {
    let point = serve(|settings| settings.stale = Duration::ZERO);
    let mut silent = Client::streaming(&point);
    event(&point, |event| matches!(event, Event::Header { .. }));
    let mut other = Client::connect(&point);
    assert_eq!(other.setup("/live").status(), 204);
    let response = silent.response();
    assert_eq!(response.status(), 409);
    assert!(silent.rest().is_empty());
    event(&point, closed_by(Closer::Displaced));
    event(&point, |event| {
        matches!(event, Event::SessionDeleted { .. })
    });
    other.start("/live", ENDLESS);
    other.send([packet(b'H', b"other"), packet(b'D', b"1"), end(0)].concat());
    assert!(other.rest().is_empty());
    let pushes = point.pushes();
    assert_eq!((pushes[0].data_packets, pushes[1].data_packets), (0, 1));
}

/// S-063: the Inactivity-Timeout ends a session whose client disconnected between two requests, not the Idle-Timeout.
#[test]
fn a_client_may_reconnect_between_two_requests() {
    const IDLE: Duration = Duration::from_millis(200);
    let point = serve(|settings| settings.timeouts.idle = IDLE);
    let mut client = Client::connect(&point);
    client.setup("/live");
    let body = packet(b'H', b"header");
    let start = request("/live", "pushstart", &client.push_id(), body.len() as u64);
    client.send([start.as_bytes(), &body].concat());
    assert_eq!(client.response().status(), 204);
    let push_id = client.push_id();
    drop(client);
    let deleted = |event: &Event| matches!(event, Event::SessionDeleted { .. });
    assert_eq!(point.wait_for(deleted, 2 * IDLE), None);
    let mut client = Client::resume(&point, &push_id);
    let rest = [packet(b'D', b"1"), end(0)].concat();
    let start = request("/live", "pushstart", &push_id, rest.len() as u64);
    client.send([start.as_bytes(), &rest].concat());
    assert!(client.rest().is_empty());
    assert_eq!(point.pushes()[0].data_packets, 1);
}
