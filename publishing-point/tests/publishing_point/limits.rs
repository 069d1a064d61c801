// SPDX-License-Identifier: MPL-2.0

//! Limits that keep one peer from shutting out pushes.

use std::time::Duration;

use publishing_point::Event;
use wmspush_proto::wmhttp::server::Sessions;

use super::client::{Client, data_packets, event, packet, request, serve};

#[test]
fn connections_beyond_the_limit_are_closed_while_the_others_push() {
    let point = serve(|settings| settings.max_connections = 1);
    let mut first = Client::streaming(&point);
    event(&point, |event| matches!(event, Event::Header { .. }));
    let mut second = Client::connect(&point);
    assert!(second.rest().is_empty());
    first.send(packet(b'D', b"1"));
    data_packets(&point, 1);
}

#[test]
fn idle_connections_are_evicted_for_a_push() {
    let point = serve(|settings| settings.max_connections = 64);
    let mut idle: Vec<_> = (0..64).map(|_| Client::connect(&point)).collect();
    let mut pusher = Client::streaming(&point);
    assert!(idle[0].rest().is_empty(), "the oldest idle one is closed");
    let mut more: Vec<_> = (0..64).map(|_| Client::connect(&point)).collect();
    assert_eq!(more[63].setup("/other").status(), 204);
    pusher.send(packet(b'D', b"1"));
    data_packets(&point, 1);
}

#[test]
fn a_peer_has_its_own_limit() {
    let point = serve(|settings| settings.max_per_peer = 2);
    let mut first = Client::connect(&point);
    assert_eq!(first.setup("/first").status(), 204);
    let mut second = Client::connect(&point);
    assert_eq!(second.setup("/second").status(), 204);
    let mut third = Client::connect(&point);
    assert!(first.rest().is_empty());
    assert_eq!(third.setup("/third").status(), 204);
}

#[test]
fn an_endless_head_times_out() {
    let point = serve(|settings| settings.head_timeout = Duration::from_millis(500));
    let mut silent = Client::connect(&point);
    let mut slow = Client::connect(&point);
    slow.send("POST /live HTTP/1.1\r\n");
    assert!(silent.rest().is_empty());
    assert_eq!(slow.response().status(), 408);
    assert!(slow.rest().is_empty());
    let mut body = Client::connect(&point);
    body.send(request("/live", "pushsetup", "0", 10));
    assert_eq!(body.response().status(), 413);
}

#[test]
fn push_setups_on_one_connection_are_limited() {
    let point = serve(|_| {});
    let mut greedy = Client::connect(&point);
    let setup = request("/greedy", "pushsetup", "0", 0);
    let mut granted = 0;
    let last = loop {
        greedy.send(&setup);
        match greedy.response().status() {
            204 => granted += 1,
            other => break other,
        }
    };
    assert_eq!((granted, last), (16, 429));
    assert!(greedy.rest().is_empty());
    assert_eq!(Client::connect(&point).setup("/live").status(), 204);
}

/// The table is full of sessions without a PushStart.
#[test]
fn sessions_without_a_push_are_evicted() {
    let point = serve(|_| {});
    let setup = request("/greedy", "pushsetup", "0", 0);
    for _ in 0..Sessions::MAX.div_ceil(16) {
        let mut greedy = Client::connect(&point);
        for _ in 0..16 {
            greedy.send(&setup);
            assert_eq!(greedy.response().status(), 204);
        }
    }
    let share = Sessions::MAX / 2;
    assert_eq!(point.status().points.len(), share, "one peer has its share");
    let mut pusher = Client::streaming(&point);
    pusher.send(packet(b'D', b"1"));
    data_packets(&point, 1);
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    let point = serve(|_| {});
    let mut client = Client::connect(&point);
    assert_eq!(
        client.setup(&format!("/{}", "a".repeat(1023))).status(),
        204
    );
    assert_eq!(
        client.setup(&format!("/{}", "a".repeat(1024))).status(),
        414
    );
}
