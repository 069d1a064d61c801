// SPDX-License-Identifier: MPL-2.0

//! WARNINGs about a stream that goes wrong while the push does not, and about what goes on beside it.

use std::time::{Duration, Instant};

use crate::LONG;
use crate::asf::Stream;
use crate::push::{Kind, Pace, Push, Report};
use crate::receiver::Receiver;

/// A receiver that reads nothing behind the PushStart.
fn stalled() -> Receiver {
    Receiver::narrow(4096, Some(1024), |mut connection| {
        connection.let_in()?;
        connection.stall(LONG);
        Ok(())
    })
}

fn warning<'a>(kind: &'a Kind, reason: &str) -> Option<&'a Report> {
    match kind {
        Kind::Warning(report) => Some(report).filter(|report| report.field("reason") == reason),
        _ => None,
    }
}

/// Waits for the WARNING with this reason.
fn wait_for_warning(push: &mut Push, reason: &str) -> (Report, Instant) {
    let found = push.find(LONG, |kind| warning(kind, reason).is_some());
    let found =
        found.and_then(|message| Some((warning(&message.kind, reason)?.clone(), message.at)));
    found.unwrap_or_else(|| panic!("no {reason}: {}", push.story()))
}

/// D10
#[test]
fn data_that_waits_for_two_seconds_is_reported() {
    let receiver = stalled();
    let stream = Stream::of(1000);
    let mut push = Push::with(Pace::Live, &stream, &receiver.location(), "");
    push.play();
    let begun = Instant::now();
    let (report, at) = wait_for_warning(&mut push, "falling-behind");
    let behind = push.stats().large("behind");
    let took = at - begun;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!((2e9..5e9).contains(&(behind as f64)), "{behind}");
    assert_eq!(report.code, "RESOURCE/Write");
    assert!(report.text.contains("behind"), "{}", report.text);
    assert!(!report.field("hint").is_empty());
}

/// D10: the loss is reported by itself.
#[test]
fn data_that_waits_for_a_connection_is_behind_without_a_warning() {
    let receiver = Receiver::new(|mut connection| {
        if connection.number > 0 {
            return connection.serve();
        }
        connection.let_in()?;
        connection.packets(20)?;
        connection.stop_listening(Duration::from_secs(4));
        connection.reset()
    });
    let stream = Stream::of(800);
    let mut push = Push::with(Pace::Live, &stream, &receiver.location(), "");
    push.play();
    push.wait_for("WMT_RECONNECT_START");
    let (begun, behind) = (Instant::now(), || push.stats().large("behind"));
    while behind() < 2_500_000_000 {
        assert!(begun.elapsed() < LONG, "{}", push.stats().0);
        std::thread::sleep(Duration::from_millis(20));
    }
    push.end_well();
    let late = push.count(|kind| warning(kind, "falling-behind").is_some());
    assert_eq!(late, 0, "{}", push.story());
    assert_eq!(push.stats().large("behind"), 0);
}
