// SPDX-License-Identifier: MPL-2.0

//! WARNINGs about a stream that goes wrong while the push does not, and about what goes on beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::LONG;
use crate::asf::Stream;
use crate::connection::Connection;
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

/// C5: the thread of the system clock belongs to all elements.
#[test]
fn a_handler_of_stats_that_blocks_stops_no_other_stats() {
    let receiver = Receiver::new(Connection::serve);
    let sink = || {
        let stream = Stream::of(3000);
        let push = Push::new(&stream, &receiver.location(), "stats-interval=20");
        let (posted, posts) = mpsc::channel();
        (push, posted, posts)
    };
    let is_stats = |message: &gst::Message| {
        let structure = message.structure();
        structure.is_some_and(|structure| structure.name() == "wmspushsink-stats")
    };
    let (blocking, entered, is_entered) = sink();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let first = AtomicBool::new(true);
    blocking
        .pipeline
        .bus()
        .unwrap()
        .set_sync_handler(move |_, message| {
            if is_stats(message) && first.swap(false, Ordering::SeqCst) {
                entered.send(()).unwrap();
                let _ = released.lock().unwrap().recv_timeout(LONG);
            }
            gst::BusSyncReply::Drop
        });
    let (steady, posted, posts) = sink();
    steady
        .pipeline
        .bus()
        .unwrap()
        .set_sync_handler(move |_, message| {
            if is_stats(message) {
                let _ = posted.send(());
            }
            gst::BusSyncReply::Drop
        });
    blocking.play();
    is_entered.recv_timeout(LONG).unwrap();
    steady.play();
    for _ in 0..10 {
        assert_eq!(posts.recv_timeout(LONG / 3), Ok(()));
    }
    release.send(()).unwrap();
}
