// SPDX-License-Identifier: MPL-2.0

//! Connections in a broken network: unreachable addresses, and a disconnected cable.
//!
//! Each test runs in a network namespace of its own, which `unshare` makes.
#![cfg(target_os = "linux")]

#[path = "../element/rig.rs"]
#[allow(dead_code, reason = "not every test program needs all of it")]
mod rig;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::process::Command;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstwmspush::wmhttp::HResult;
use gstwmspush::wmhttp::server::Timeouts;
use publishing_point::{Event, Push, Settings};
use socket2::{Domain, Socket, Type};
use url::Url;

use rig::{LONG, Pipeline, Point, fixture};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// Environment variable of a test in its own network.
const INSIDE: &str = "WMSPUSH_NETWORK";

/// Runs `act` in a process with its own loopback interface and its own `/etc/hosts`.
fn in_a_network_of_its_own(test: &str, act: impl Fn()) {
    if std::env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        return act();
    }
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "--mount", "--"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare, of util-linux");
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{error}");
    assert!(out.contains("1 passed"), "{out}");
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{command:?}: {status:?}"
    );
}

/// Creates a network without any other host.
fn dead_ipv6_network() {
    ip("link add near type veth peer name far");
    ip("link set near up");
    ip("link set far up");
    ip("addr add fd00::ffff/16 dev near nodad");
}

/// Routes an address to that network, where no host has it.
fn swallow(address: &str) {
    ip(&format!(
        "-6 neigh add {address} lladdr 02:00:00:00:00:01 dev near"
    ));
}

/// Resolves the name `media` to `addresses`.
fn hosts<A: Display>(addresses: impl IntoIterator<Item = A>) {
    let lines = addresses
        .into_iter()
        .map(|address| format!("{address} media\n"));
    let directory = env!("CARGO_TARGET_TMPDIR");
    let hosts = format!("{directory}/hosts-{}", std::process::id());
    std::fs::write(&hosts, lines.collect::<String>()).unwrap();
    run(Command::new("mount").args(["--bind", &hosts, "/etc/hosts"]));
    // The mount keeps the file.
    std::fs::remove_file(&hosts).unwrap();
}

/// Returns the addresses of a name, in the order of the system's resolver.
fn resolve(name: &str) -> Vec<IpAddr> {
    let addresses = (name, 0).to_socket_addrs().unwrap();
    addresses.map(|address| address.ip()).collect()
}

fn listening_on(address: &str) -> Point {
    Point::with(Settings {
        listen: address.parse().unwrap(),
        ..Settings::default()
    })
}

/// Returns a listener with a full backlog, and its connections.
fn full_listener(address: SocketAddr) -> (Socket, Vec<TcpStream>) {
    let listener = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok();
    (listener, std::iter::from_fn(connect).collect())
}

/// Pushes to a name whose first address is silent, and whose second is the server's.
fn assert_opened_in_time(location: &str) {
    let pipeline = Pipeline::file(AUDIO_VIDEO, location, "");
    let begun = Instant::now();
    pipeline.play();
    pipeline.messages_until("WMT_OPENED");
    let took = begun.elapsed();
    assert!(
        (Duration::from_millis(200)..Duration::from_secs(1)).contains(&took),
        "{took:?}: the silent address is tried, and not for long"
    );
    pipeline.messages_until("EOS");
}

fn count(messages: &[String], begin: &str) -> usize {
    let begins = |line: &&String| line.starts_with(begin);
    messages.iter().filter(begins).count()
}

/// RFC 8305: another address of the server is tried while the first one is silent.
#[test]
fn a_dead_ipv6_address_costs_little() {
    in_a_network_of_its_own("a_dead_ipv6_address_costs_little", || {
        dead_ipv6_network();
        swallow("fd00::1");
        hosts(["fd00::1", "127.0.0.1"]);
        let point = Point::new();
        let location = point.location().replace("127.0.0.1", "media");
        assert_opened_in_time(&location);
        assert_eq!(point.ended().data_packets, 27);
    });
}

/// RFC 8305 section 4: the families alternate. Sequentially, these addresses would take 5 s.
#[test]
fn many_dead_ipv6_addresses_cost_no_more() {
    in_a_network_of_its_own("many_dead_ipv6_addresses_cost_no_more", || {
        dead_ipv6_network();
        let dead = (1..=20).map(|host| format!("fd00::{host}:1"));
        dead.clone().for_each(|address| swallow(&address));
        hosts(dead.chain(["127.0.0.1".to_owned()]));
        let point = Point::new();
        let location = point.location().replace("127.0.0.1", "media");
        assert_eq!(resolve("media").len(), 21);
        assert!(resolve("media")[0].is_ipv6());
        assert_opened_in_time(&location);
        assert_eq!(point.ended().data_packets, 27);
    });
}

/// The first address of the name has a listener whose queue is full: the kernel drops SYNs to it.
#[test]
fn a_silent_ipv4_address_costs_little() {
    in_a_network_of_its_own("a_silent_ipv4_address_costs_little", || {
        hosts(["127.0.0.1", "127.0.0.2"]);
        let point = listening_on("127.0.0.2:0");
        let port = Url::parse(&point.location()).unwrap().port().unwrap();
        let location = point.location().replace("127.0.0.2", "media");
        let silent = SocketAddr::from(([127, 0, 0, 1], port));
        let _full = full_listener(silent);
        assert_eq!(resolve("media")[0], silent.ip());
        assert_opened_in_time(&location);
        assert_eq!(point.ended().data_packets, 27);
    });
}

/// RFC 6874: the zone of a link-local address follows it in the location, with the percent sign escaped.
#[test]
fn a_zone_leads_to_a_link_local_address() {
    in_a_network_of_its_own("a_zone_leads_to_a_link_local_address", || {
        ip("link add near type veth peer name far");
        ip("addr add fe80::2/64 dev far nodad");
        ip("link set near up");
        ip("link set far up");
        let point = listening_on("[::]:0");
        let location = point.location().replace("[::]", "[fe80::2%25far]");
        let pipeline = Pipeline::file(AUDIO_VIDEO, &location, "");
        pipeline.run();
        assert_eq!(point.ended().data_packets, 27);
    });
}

/// Neither side notices. After the cable is connected again, the push continues as soon as the server has discarded the
/// connection that it considers alive (3.2.5.1, 3.2.6.1).
#[test]
fn a_disconnected_cable_is_a_recoverable_loss() {
    in_a_network_of_its_own("a_disconnected_cable_is_a_recoverable_loss", || {
        let point = Point::with(Settings {
            timeouts: Timeouts {
                idle: Duration::from_secs(2),
                ..Timeouts::default()
            },
            ..Settings::default()
        });
        let pipeline = Pipeline::new(&format!(
            "filesrc location={} blocksize=1500 ! identity sleep-time=200000 ! wmspushsink name=sink sync=false \
             stall-timeout=1000 timeout=1000 location={}",
            fixture(AUDIO_VIDEO),
            point.location()
        ));
        pipeline.play();
        let data = |event: &Event| matches!(event, Event::Data { .. });
        point.handle.wait_for(data, LONG).expect("data");
        ip("link set lo down");
        let mut messages = pipeline.messages_until("WMT_RECONNECT_START");
        ip("link set lo up");
        messages.extend(pipeline.messages_until("EOS"));
        assert_eq!(
            count(&messages, "WARNING RESOURCE/Write push stalled"),
            1,
            "{messages:#?}"
        );
        assert_eq!(count(&messages, "WMT_RECONNECT_END"), 1, "{messages:#?}");
        assert_eq!(count(&messages, "ERROR"), 0, "{messages:#?}");
        let over = |pushes: &[&Push]| pushes.len() == 2 && pushes[1].end == Some(HResult::S_OK);
        let pushes = point.handle.wait_for_pushes(over, LONG).expect("an end");
        let stats: gst::Structure = pipeline.sink.property("stats");
        let dropped = stats.get::<u64>("packets-dropped").unwrap();
        let arrived: u64 = pushes.iter().map(|push| push.data_packets).sum();
        assert!(arrived + dropped >= 27, "{arrived} and {dropped}");
    });
}
