// SPDX-License-Identifier: MPL-2.0

//! What only a network can do to a connection: addresses that lead nowhere, and a plug that is pulled.
//!
//! Each test runs in a network of its own, which `unshare` makes, and in which it may do what it likes.
#![cfg(all(feature = "publishing-point", target_os = "linux"))]

#[path = "../element/rig.rs"]
#[allow(dead_code, reason = "not every test program needs all of it")]
mod rig;

use std::process::Command;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstwmspush::publishing_point::{Event, Push, Settings};
use gstwmspush::wmhttp::HResult;
use gstwmspush::wmhttp::server::Timeouts;

use rig::{LONG, Pipeline, Point, fixture};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// Says that a test has its network.
const INSIDE: &str = "WMSPUSH_NETWORK";

/// Runs `act` in a process that has a loopback interface to itself, and its own idea of `/etc/hosts`.
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

fn count(messages: &[String], begin: &str) -> usize {
    let begins = |line: &&String| line.starts_with(begin);
    messages.iter().filter(begins).count()
}

/// RFC 8305: a server's other address is tried while the first one says nothing.
#[test]
fn a_dead_ipv6_address_costs_little() {
    in_a_network_of_its_own("a_dead_ipv6_address_costs_little", || {
        ip("link add near type veth peer name far");
        ip("link set near up");
        ip("link set far up");
        ip("addr add fd00::2/64 dev near nodad");
        // Packets go out, and nobody is there.
        ip("-6 neigh add fd00::1 lladdr 02:00:00:00:00:01 dev near");
        let hosts = format!("{}/hosts", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&hosts, "fd00::1 media\n127.0.0.1 media\n").unwrap();
        run(Command::new("mount").args(["--bind", &hosts, "/etc/hosts"]));
        let point = Point::new();
        let location = point.location().replace("127.0.0.1", "media");
        let pipeline = Pipeline::new(&format!(
            "filesrc location={} ! wmspushsink name=sink sync=false location={location}",
            fixture(AUDIO_VIDEO)
        ));
        let begun = Instant::now();
        pipeline.play();
        pipeline.messages_until("WMT_OPENED");
        let took = begun.elapsed();
        assert!(
            (Duration::from_millis(200)..Duration::from_secs(1)).contains(&took),
            "{took:?}: the dead address is tried, and not for long"
        );
        pipeline.messages_until("EOS");
        assert_eq!(point.ended().data_packets, 27);
    });
}

/// Neither side hears of it. When the line is there again, so is the push, as soon as the server has given up the
/// connection that it takes for alive (3.2.5.1, 3.2.6.1).
#[test]
fn a_pulled_plug_is_a_loss_that_heals() {
    in_a_network_of_its_own("a_pulled_plug_is_a_loss_that_heals", || {
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
