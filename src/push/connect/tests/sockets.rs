// SPDX-License-Identifier: MPL-2.0

//! Tests for Linux, where all of 127.0.0.0/8 is this host.

use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use socket2::{Domain, Socket, Type};
use tokio::time::timeout;

use super::super::super::runtime::tests::{Resource, in_own_process, limit};
use super::*;

/// Upper bound on any wait, even on a loaded machine.
const LONG: Duration = Duration::from_secs(20);

/// Connects, and counts the calls of `resolved`.
async fn dial(host: &str, port: u16, zone: Option<&str>) -> (Result<TcpStream, Error>, usize) {
    let host = Host::parse(host).unwrap();
    let host = match &host {
        Host::Domain(name) => Host::Domain(name.as_str()),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    };
    let mut resolved = 0;
    let connected = timeout(LONG, connect(&host, port, zone, || resolved += 1)).await;
    (connected.unwrap(), resolved)
}

fn listen(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A listener that ignores SYNs, because its backlog is full.
struct Silent {
    address: SocketAddr,
    _listener: Socket,
    _waiting: Vec<std::net::TcpStream>,
}

impl Silent {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) =
            std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))
        {
            waiting.push(stream);
        }
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }
}

/// A port on which nothing listens.
fn refusing() -> SocketAddr {
    listen("127.0.0.1:0").1
}

#[tokio::test]
async fn a_second_address_answers_for_a_silent_first() {
    let silent = Silent::new();
    let (_listener, live) = listen("127.0.0.2:0");
    let begun = Instant::now();
    let connected = race(vec![silent.address, live], open).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(connected.peer_addr().unwrap(), live);
    assert!(
        (ATTEMPT_DELAY..ATTEMPT_DELAY * 3).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_second_address_answers_at_once_for_a_refusing_first() {
    let (_listener, live) = listen("127.0.0.2:0");
    let begun = Instant::now();
    let connected = race(vec![refusing(), live], open).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(connected.peer_addr().unwrap(), live);
    assert!(took < ATTEMPT_DELAY, "{took:?}");
}

#[tokio::test]
async fn two_silent_addresses_stay_silent() {
    let (first, second) = (Silent::new(), Silent::new());
    let addresses = vec![first.address, second.address];
    assert!(
        timeout(ATTEMPT_DELAY * 2, race(addresses, open))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_name_leads_to_its_host() {
    let (_listener, live) = listen("127.0.0.1:0");
    let (connected, resolved) = dial("localhost", live.port(), None).await;
    assert_eq!(connected.unwrap().peer_addr().unwrap(), live);
    assert_eq!(resolved, 1);
}

#[tokio::test]
async fn an_address_counts_as_resolved() {
    let (_listener, live) = listen("127.0.0.1:0");
    let (connected, resolved) = dial("127.0.0.1", live.port(), None).await;
    assert_eq!(connected.unwrap().peer_addr().unwrap(), live);
    assert_eq!(resolved, 1);
}

#[tokio::test]
async fn a_refusal_keeps_the_systems_words() {
    let (refused, resolved) = dial("127.0.0.1", refusing().port(), None).await;
    let Err(Error::CannotConnect { kind, message }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(kind, ErrorKind::ConnectionRefused);
    assert_eq!(message, "Connection refused (os error 111)");
    assert_eq!(resolved, 1);
}

#[tokio::test]
async fn a_name_without_address_is_unresolvable() {
    let (failed, resolved) = dial("there-is-no-such-name.invalid", 80, None).await;
    assert!(matches!(failed, Err(Error::Unresolvable(_))), "{failed:?}");
    assert_eq!(resolved, 0);
}

#[tokio::test]
async fn the_options_of_a_connection_are_set() {
    let (_listener, live) = listen("127.0.0.1:0");
    let stream = open(live).await.unwrap();
    assert!(stream.nodelay().unwrap());
    let socket = SockRef::from(&stream);
    assert!(socket.keepalive().unwrap());
    assert_eq!(
        socket.tcp_keepalive_time().unwrap(),
        Duration::from_secs(15)
    );
    assert_eq!(
        socket.tcp_keepalive_interval().unwrap(),
        Duration::from_secs(15)
    );
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    assert_eq!(socket.tcp_user_timeout().unwrap(), None);
}

#[test]
fn a_zone_is_an_interface_or_its_index() {
    let loopback = scope_id("lo").unwrap();
    assert_ne!(loopback, 0);
    assert_eq!(scope_id(&loopback.to_string()).unwrap(), loopback);
    for unknown in ["no-such", "", "l\0o", "-1", "lo "] {
        let failed = scope_id(unknown);
        assert!(matches!(failed, Err(Error::Unresolvable(_))), "{unknown}");
    }
}

#[tokio::test]
async fn a_zone_applies_to_link_local_addresses_only() {
    let zoned = |host: &'static str| async move {
        let Ok(Host::Ipv6(host)) = Host::parse(host) else {
            panic!("{host}");
        };
        let found = addresses(&Host::Ipv6(host), 80, Some("7")).await.unwrap();
        match found[..] {
            [SocketAddr::V6(address)] => address.scope_id(),
            _ => panic!("{found:?}"),
        }
    };
    assert_eq!(zoned("[fe80::1]").await, 7);
    assert_eq!(zoned("[febf::1]").await, 7);
    assert_eq!(zoned("[fec0::1]").await, 0);
    assert_eq!(zoned("[2001:db8::1]").await, 0);
    let (failed, resolved) = dial("[fe80::1]", 80, Some("no-such")).await;
    assert!(matches!(failed, Err(Error::Unresolvable(_))), "{failed:?}");
    assert_eq!(resolved, 0);
}

#[test]
fn a_link_local_address_is_reached_over_its_zone() {
    let test = "push::connect::tests::sockets::a_link_local_address_is_reached_over_its_zone";
    let network = ["unshare", "--map-root-user", "--net", "--"];
    in_own_process(test, &network, || {
        let ip = |arguments: &str| {
            let status = std::process::Command::new("ip")
                .args(arguments.split(' '))
                .status();
            assert!(status.unwrap().success(), "{arguments}");
        };
        ip("link set lo up");
        ip("link add near type veth peer name far");
        ip("addr add fe80::2/64 dev far nodad");
        ip("link set near up");
        ip("link set far up");
        block_on(async {
            let (_listener, live) = listen("[::]:0");
            let (connected, _) = dial("[fe80::2]", live.port(), Some("far")).await;
            let peer = connected.unwrap().peer_addr().unwrap();
            assert!(
                matches!(peer, SocketAddr::V6(peer) if peer.scope_id() == scope_id("far").unwrap())
            );
            let (failed, _) = dial("[fe80::2]", live.port(), None).await;
            assert!(
                matches!(failed, Err(Error::CannotConnect { .. })),
                "{failed:?}"
            );
        });
    });
}

#[test]
fn without_threads_names_fail_and_addresses_still_connect() {
    let test =
        "push::connect::tests::sockets::without_threads_names_fail_and_addresses_still_connect";
    in_own_process(test, &[], || {
        let _limited = limit(Resource::Threads, 0);
        block_on(async {
            let (_listener, live) = listen("127.0.0.1:0");
            let (failed, resolved) = dial("localhost", live.port(), None).await;
            assert!(matches!(failed, Err(Error::NoResources(_))), "{failed:?}");
            assert_eq!(resolved, 0);
            dial("127.0.0.1", live.port(), None).await.0.unwrap();
        });
    });
}

#[test]
fn without_descriptors_connecting_fails() {
    let test = "push::connect::tests::sockets::without_descriptors_connecting_fails";
    in_own_process(test, &[], || {
        block_on(async {
            let (_listener, live) = listen("127.0.0.1:0");
            let _limited = limit(Resource::Descriptors, 0);
            let (failed, _) = dial("127.0.0.1", live.port(), None).await;
            assert!(
                matches!(failed, Err(Error::CannotConnect { .. })),
                "{failed:?}"
            );
        });
    });
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future);
}
