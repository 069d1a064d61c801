// SPDX-License-Identifier: MPL-2.0

//! WARNINGs about a stream with problems during a healthy push, and other elements beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::LONG;
use crate::asf::Stream;
use crate::connection::Connection;
use crate::push::{Kind, Pace, Push, Report, feed};
use crate::receiver::Receiver;

/// A receiver that reads nothing after the PushStart.
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
fn data_two_seconds_late_is_reported() {
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

/// D10: the loss has its own report.
#[test]
fn data_waiting_for_a_connection_causes_no_warning() {
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
    push.wait_for_stats(|stats| stats.large("behind") >= 2_500_000_000);
    push.end_well();
    let late = push.count(|kind| warning(kind, "falling-behind").is_some());
    assert_eq!(late, 0, "{}", push.story());
    assert_eq!(push.stats().large("behind"), 0);
}

/// Pushes this many packets into the source called `source`, and no EOS.
fn feed_some(push: &Push, packets: u32) {
    let source = push.pipeline.by_name("source").unwrap();
    for chunk in Stream::of(packets).chunks() {
        assert!(feed(&source, &gst::Buffer::from_mut_slice(chunk)));
    }
}

/// D10
#[test]
fn a_silent_live_source_is_reported() {
    let receiver = Receiver::new(Connection::serve);
    let source = |properties: &str| {
        Push::launch(&format!(
            "appsrc name=source format=time {properties} ! wmspushsink name=sink location={}",
            receiver.location()
        ))
    };
    let live = "is-live=true";
    let (mut silent, mut mute) = (source(live), source(live));
    let mut others = [
        ("not live", source("is-live=false")),
        ("paused", source(live)),
        ("ended", source(live)),
        ("paused while it played", source(live)),
    ];
    for push in [&silent, &mute, &others[0].1, &others[2].1, &others[3].1] {
        push.play();
    }
    others[1].1.pipeline.set_state(gst::State::Paused).unwrap();
    for push in [
        &silent,
        &others[0].1,
        &others[1].1,
        &others[2].1,
        &others[3].1,
    ] {
        feed_some(push, 20);
    }
    others[3].1.pipeline.set_state(gst::State::Paused).unwrap();
    let source = others[2].1.pipeline.by_name("source").unwrap();
    let _ = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    let begun = Instant::now();
    for push in [&mut silent, &mut mute] {
        let (report, at) = wait_for_warning(push, "no-input");
        let took = at.saturating_duration_since(begun);
        assert!(took < Duration::from_secs(8), "{took:?}");
        assert_eq!(report.code, "RESOURCE/Read");
        assert!(report.field("hint").contains("asfmux"));
    }
    assert!(begun.elapsed() > Duration::from_secs(4));
    // Their five seconds have passed as well.
    for (name, push) in &mut others {
        push.take_for(Duration::from_secs(1));
        let reports = push.count(|kind| warning(kind, "no-input").is_some());
        assert_eq!(reports, 0, "{name}{}", push.story());
    }
    silent.take_for(Duration::from_millis(1));
    let reports = silent.count(|kind| warning(kind, "no-input").is_some());
    assert_eq!(reports, 1, "once a silence");
}

/// B14: with the defaults.
#[test]
fn by_default_a_dead_server_blocks_no_branch() {
    let dead = stalled();
    let healthy = Receiver::new(Connection::serve);
    let push = Push::launch(&format!(
        "appsrc name=source format=time is-live=true max-bytes=0 ! tee name=t \
         t. ! queue ! wmspushsink name=sink location={} \
         t. ! queue ! wmspushsink name=dead location={} \
         t. ! queue ! fakesink name=file sync=false",
        healthy.location(),
        dead.location(),
    ));
    let (arrived, arrivals) = mpsc::channel();
    // 60 MB: the dead branch is full after 8 MiB.
    let stream = Stream {
        packet_size: 60_000,
        interval: Duration::from_millis(3),
        ..Stream::of(1000)
    };
    let packets = stream.packets as usize;
    let pad = push.pipeline.by_name("file").unwrap();
    let pad = pad.static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        // Fails only after the test has ended.
        let _ = arrived.send(());
        gst::PadProbeReturn::Ok
    });
    let push = push.feeding(&stream, Pace::Live);
    push.play();
    for _ in 0..packets {
        assert_eq!(arrivals.recv_timeout(LONG / 3), Ok(()), "the file");
    }
    healthy.wait_for_packets(1 + packets);
    assert!(healthy.missing(&stream).is_empty());
    let dead = push.pipeline.by_name("dead").unwrap();
    let stats = dead.property::<gst::Structure>("stats");
    assert!(stats.get::<u64>("packets-dropped").unwrap() > 0, "{stats}");
    assert!(
        stats.get::<u32>("queued-bytes").unwrap() <= 8 << 20,
        "{stats}"
    );
}

/// C5: the thread of the system clock belongs to all elements.
#[test]
fn a_blocked_stats_handler_does_not_block_others() {
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
