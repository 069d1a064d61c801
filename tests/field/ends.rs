// SPDX-License-Identifier: MPL-2.0

//! Ends of streams: with a server that closes, an unreachable one, and a stalled one.

use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::LONG;
use crate::asf::Stream;
use crate::connection::Connection;
use crate::line::Security;
use crate::push::{Kind, Pace, Push};
use crate::receiver::Receiver;
use crate::tls;

const RUNS: usize = 6;

/// Returns a receiver that closes the connection as soon as it has `$E`.
fn closes_after_end(security: Option<Security>, close_notify: bool) -> Receiver {
    let script = move |mut connection: Connection| {
        connection.let_in()?;
        connection.read_to_end()?;
        if close_notify {
            connection.close_notify()?;
        }
        Ok(())
    };
    match security {
        Some(security) => Receiver::tls(security, script),
        None => Receiver::new(script),
    }
}

/// Pushes to EOS, `RUNS` times. Returns the shortest time from the receiver's close to EOS.
fn fastest_end(receiver: &Receiver) -> Duration {
    let properties = format!("ssl-ca-file={}", tls::authority());
    let run = |run| {
        let stream = Stream::of(30);
        let mut push = Push::with(Pace::Flood, &stream, &receiver.location(), &properties);
        push.play();
        let eos = push.end_well();
        assert_eq!(push.errors(), 0, "{}", push.story());
        let records = receiver.records();
        assert_eq!(records.len(), run, "{}", push.story());
        let closed = records.last().and_then(|record| record.closed);
        eos.saturating_duration_since(closed.unwrap_or(eos))
    };
    (1..=RUNS).map(run).min().unwrap()
}

/// A10
#[test]
fn a_close_after_the_end_is_eos() {
    for close_notify in [true, false] {
        let receiver = closes_after_end(Some(tls::security()), close_notify);
        let took = fastest_end(&receiver);
        assert!(took <= Duration::from_millis(50), "{took:?}");
        assert_eq!(receiver.count('E'), RUNS);
    }
}

/// A10: as over http.
#[test]
fn eos_comes_with_the_close_of_the_server() {
    let receiver = closes_after_end(None, false);
    let took = fastest_end(&receiver);
    assert!(took <= Duration::from_millis(50), "{took:?}");
}

/// A12
#[test]
fn eos_at_a_dead_server_reports_its_last_failure() {
    let receiver = Receiver::new(|mut connection| {
        connection.let_in()?;
        connection.packets(20)?;
        connection.stop_listening(LONG);
        connection.reset()
    });
    let mut push = Push::new(&Stream::of(80), &receiver.location(), "eos-timeout=1500");
    push.play();
    push.wait_for("WMT_END_OF_STREAMING");
    let ended = Instant::now();
    let (report, at) = push.fail();
    let story = push.story();
    assert_eq!(report.field("reason"), "connection-refused", "{story}");
    let took = at - ended;
    assert!(took <= Duration::from_millis(2500), "{took:?}{story}");
    assert_eq!(push.count(|kind| matches!(kind, Kind::Eos)), 0, "{story}");
}

/// Live video and audio, encoded, at about 5 Mbit/s.
const LIVE: &str = "\
    videotestsrc is-live=true pattern=snow ! video/x-raw,width=320,height=240,framerate=25/1 ! \
    avenc_wmv2 bitrate=8000000 ! identity single-segment=true ! queue ! mux. \
    audiotestsrc is-live=true ! audioconvert ! avenc_wmav2 ! identity single-segment=true ! queue ! mux. \
    asfmux name=mux streamable=true ! wmspushsink name=sink";

/// Waits until packets are dropped, or for 2 s after the queue is three quarters full, when `render` blocks.
fn wait_until_full(push: &Push, max_size_bytes: u32) {
    const BLOCKS: Duration = Duration::from_secs(2);
    let full = std::cell::Cell::new(None);
    push.wait_for_stats(|stats| {
        if stats.small("queued-bytes") > max_size_bytes / 4 * 3 && full.get().is_none() {
            full.set(Some(Instant::now()));
        }
        let is_full = full.get().is_some_and(|since| since.elapsed() > BLOCKS);
        is_full || stats.large("packets-dropped") > 0
    });
}

/// B15
#[test]
fn a_live_source_ends_in_time_at_a_stalled_server() {
    let receiver = Receiver::narrow(4096, Some(1024), |mut connection| {
        connection.let_in()?;
        connection.packets(5)?;
        connection.stall(LONG);
        Ok(())
    });
    let mut push = Push::launch(&format!(
        "{LIVE} max-size-bytes=200000 eos-timeout=2000 location={}",
        receiver.location()
    ));
    push.play();
    wait_until_full(&push, 200_000);
    let begun = Instant::now();
    assert!(push.pipeline.send_event(gst::event::Eos::new()));
    let sent = begun.elapsed();
    let found = push.find(LONG, |kind| matches!(kind, Kind::Eos | Kind::Error(_)));
    let ended = found.map(|message| message.at - begun);
    let story = push.story();
    assert!(
        sent < Duration::from_millis(200),
        "{sent:?}, {ended:?}{story}"
    );
    assert!(ended < Some(Duration::from_secs(3)), "{ended:?}{story}");
    assert!(ended.is_some(), "neither EOS nor ERROR{story}");
}
