// SPDX-License-Identifier: MPL-2.0

//! Lost connections: attempts, their number and order, and their messages.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::LONG;
use crate::asf::Stream;
use crate::connection::Connection;
use crate::push::{Kind, Push};
use crate::receiver::Receiver;

/// Returns a receiver that reads `packets` packets of the first connection, then resets it. `then` handles the other
/// connections.
fn resets_first(
    packets: usize,
    then: impl Fn(Connection) -> std::io::Result<()> + Send + Sync + 'static,
) -> Receiver {
    Receiver::new(move |mut connection| {
        if connection.number > 0 {
            return then(connection);
        }
        connection.let_in()?;
        connection.packets(packets)?;
        connection.reset()
    })
}

fn seconds(stream_seconds: u32) -> Stream {
    Stream::of(100 * stream_seconds)
}

/// Field `attempt` of each WMT_RECONNECT_START, in order.
fn attempts(push: &Push) -> Vec<u32> {
    let starts = push.statuses("WMT_RECONNECT_START");
    starts
        .iter()
        .map(|status| status.get("attempt").unwrap())
        .collect()
}

/// A1: as PeerCast YT does with packets over 8,192 bytes.
#[test]
fn a_receiver_that_always_closes_is_an_error_in_time() {
    let receiver = Receiver::new(|mut connection| {
        connection.let_in()?;
        while connection.packet()?.letter != 'D' {}
        connection.close()
    });
    let stream = Stream {
        packets: 600,
        packet_size: 9000,
        interval: Duration::from_millis(50),
        ..Stream::default()
    };
    let mut push = Push::new(&stream, &receiver.location(), "reconnect-timeout=5000");
    push.play();
    let (report, at) = push.fail();
    let took = at - receiver.first_loss();
    push.take_for(Duration::from_millis(500));
    let story = push.story();
    assert!((4900..8000).contains(&took.as_millis()), "{took:?}{story}");
    assert!(receiver.records().len() <= 8, "{story}");
    assert_eq!(push.errors(), 1, "{story}");
    assert_eq!(push.count(|kind| matches!(kind, Kind::Eos)), 0, "{story}");
    assert!(push.statuses("WMT_RECONNECT_END").len() <= 1, "{story}");
    let attempts = attempts(&push);
    assert!(attempts.len() >= 4, "{story}");
    assert_eq!(attempts, (1..).take(attempts.len()).collect::<Vec<_>>());
    let hint = report.field("hint");
    assert!(hint.replace('-', " ").contains("packet size"), "{hint}");
    assert!(hint.contains("header"), "{hint}");
}

/// A3: as Flumotion does, whose parser keeps half a packet of the lost connection.
#[test]
fn a_resumption_that_fails_is_followed_by_a_new_session() {
    let receiver = resets_first(100, |mut connection| {
        if connection.request()?.is_setup() {
            connection.accept_setup()?;
            return connection.serve();
        }
        connection.packet()?;
        connection.close()
    });
    let stream = seconds(4);
    let mut push = Push::new(&stream, &receiver.location(), "");
    push.play();
    push.end_well();
    let requests = receiver.requests();
    let new = ["setup new", "start known"];
    assert_eq!(
        requests,
        [&new[..], &new[1..], &new[..]].concat(),
        "{}",
        push.story()
    );
    assert_eq!(receiver.records()[2].letters(), "HDE");
    let missing = receiver.missing(&stream);
    assert!(missing.len() <= stream.group as usize, "{missing:?}");
    push.assert_accounted(&receiver, &stream);
}

/// A4: for receivers like Stream Pump, whose new parser waits for `$H`.
#[test]
fn without_resume_each_loss_starts_a_new_session() {
    let receiver = Receiver::new(|mut connection| {
        if connection.number >= 3 {
            return connection.serve();
        }
        connection.let_in()?;
        connection.packets(30)?;
        connection.reset()
    });
    let mut push = Push::new(&seconds(3), &receiver.location(), "resume=false");
    push.play();
    push.end_well();
    let session = ["setup new", "start known"];
    assert_eq!(receiver.requests(), session.repeat(4));
    for record in receiver.records() {
        assert!(record.letters().starts_with("HD"), "{}", record.letters());
    }
}

/// A5: as mirror does while it has not noticed that the connection is lost.
#[test]
fn a_404_after_a_loss_is_retried() {
    let lost = OnceLock::new();
    let receiver = resets_first(30, move |mut connection| {
        let lost: &Instant = lost.get_or_init(Instant::now);
        connection.let_in()?;
        if lost.elapsed() < Duration::from_secs(3) {
            return connection.refuse("404 Not Found");
        }
        connection.serve_data()
    });
    let stream = seconds(5);
    let mut push = Push::new(&stream, &receiver.location(), "");
    push.play();
    push.end_well();
    assert_eq!(push.errors(), 0, "{}", push.story());
    assert_eq!(push.statuses("WMT_RECONNECT_END").len(), 1);
    assert!(receiver.numbers().contains(&(stream.packets - 1)));
    assert!(receiver.records().len() <= 12, "{}", push.story());
}

/// The refusal of a push too soon after another.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Closes,
    IsBusy,
    IsAbsent,
}

/// A receiver that accepts no other push for 2 s after one.
fn resting(how: Rest) -> Receiver {
    const PAUSE: Duration = Duration::from_secs(2);
    let ended: OnceLock<Instant> = OnceLock::new();
    Receiver::new(move |mut connection| {
        if ended.get().is_none() {
            connection.let_in()?;
            connection.read_to_end()?;
            if let Rest::IsAbsent = how {
                connection.stop_listening(PAUSE);
            }
            ended.get_or_init(Instant::now);
            return connection.close();
        }
        if ended.get().is_some_and(|ended| ended.elapsed() < PAUSE) {
            connection.request()?;
            return match how {
                Rest::IsBusy => connection.refuse("503 Service Unavailable"),
                Rest::Closes | Rest::IsAbsent => connection.close(),
            };
        }
        connection.serve()
    })
}

fn push_to_resting(how: Rest) {
    let (receiver, stream) = (resting(how), Stream::of(50));
    let push = |properties: &str| {
        let push = Push::new(&stream, &receiver.location(), properties);
        push.play();
        push
    };
    push("").end_well();
    let mut second = push("");
    let (report, _) = second.fail();
    let hint = report.field("hint");
    assert!(hint.contains("seconds"), "{how:?}: {}", second.story());
    assert!(hint.contains("retry-first-connect"), "{how:?}: {hint}");
    push("retry-first-connect=true").end_well();
    assert_eq!(receiver.numbers().len(), 50);
}

/// A9: as kagamin2 and PeerCastStation do for some seconds after a push.
#[test]
fn retry_first_connect_waits_for_a_resting_receiver() {
    let all = [Rest::Closes, Rest::IsBusy, Rest::IsAbsent];
    let threads = all.map(|how| std::thread::spawn(move || push_to_resting(how)));
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A13: the window is closed most of the time, and something is acknowledged every 1.5 s.
#[test]
fn a_slow_relay_is_no_stall() {
    const READS: usize = 18;
    const BYTES: usize = 8192;
    let (arrived, arrivals) = std::sync::mpsc::channel();
    let receiver = Receiver::narrow(16_384, None, move |mut connection| {
        connection.let_in()?;
        for read in 1..=READS {
            std::thread::sleep(Duration::from_millis(500));
            connection.bytes(BYTES)?;
            let _ = arrived.send(BYTES * read + connection.acknowledged());
        }
        connection.serve_data()
    });
    let stream = Stream {
        packets: 60,
        packet_size: 8000,
        ..Stream::default()
    };
    let properties = "stall-timeout=4000 eos-timeout=20000";
    let mut push = Push::new(&stream, &receiver.location(), properties);
    push.play();
    push.end_well();
    let (story, arrivals) = (push.story(), arrivals.try_iter().collect::<Vec<_>>());
    assert_eq!(push.warnings().len(), 0, "{arrivals:?}{story}");
    assert_eq!(receiver.records().len(), 1, "{story}");
    assert_eq!(receiver.numbers().len(), 60, "{story}");
    // Checks the receiver itself: it acknowledges data within any 4 s.
    let grows = |window: &[usize]| window.first() < window.last();
    assert!(arrivals.windows(8).all(grows), "{arrivals:?}");
}

/// D1
#[test]
fn each_attempt_is_on_the_bus_and_in_stats() {
    let receiver = Receiver::new(|mut connection| {
        connection.let_in()?;
        connection.packets(20)?;
        connection.stop_listening(LONG);
        connection.reset()
    });
    let properties = "reconnect-timeout=4294967295";
    let mut push = Push::new(&seconds(30), &receiver.location(), properties);
    push.play();
    for _ in 0..4 {
        push.wait_for("WMT_RECONNECT_START");
    }
    let story = push.story();
    assert_eq!(attempts(&push), [1, 2, 3, 4], "{story}");
    for status in &push.statuses("WMT_RECONNECT_START")[1..] {
        let reason = status.get::<&str>("reason").unwrap();
        assert_eq!(reason, "connection-refused", "{story}");
        assert!(status.get::<u32>("retry-in").unwrap() > 0, "{story}");
    }
    let stats = push.stats();
    assert_eq!(stats.small("attempt"), 4);
    assert!(stats.small("retry-in") > 0);
    assert_eq!(stats.text("last-reason"), "connection-refused");
    assert!(!stats.text("last-error").is_empty());
}

/// D11
#[test]
fn a_loss_and_a_first_failure_read_differently() {
    let lost = resets_first(20, Connection::serve);
    let mut push = Push::new(&seconds(1), &lost.location(), "");
    push.play();
    push.end_well();
    let texts = |push: &Push| {
        let warnings = push.warnings();
        let texts: Vec<_> = warnings.iter().map(|warning| &warning.text[..]).collect();
        texts.join("\n")
    };
    let text = texts(&push);
    assert!(text.contains("Lost the connection to"), "{text}");

    let absent = Receiver::new(Connection::serve);
    absent.stop_listening(LONG);
    let properties = "retry-first-connect=true";
    let mut push = Push::new(&seconds(1), &absent.location(), properties);
    push.play();
    push.wait_for("WMT_RECONNECT_START");
    push.take_for(Duration::from_millis(200));
    let text = texts(&push);
    assert!(text.to_lowercase().contains("cannot connect"), "{text}");
    assert!(!text.contains("made again"), "{text}");
    assert!(!text.contains("Lost the connection"), "{text}");
}

/// D12: a resumed session gets no `$H`.
#[test]
fn wmt_started_comes_with_a_header_only() {
    let receiver = Receiver::new(Connection::serve);
    let mut push = Push::new(&Stream::of(100), &receiver.location(), "");
    push.play();
    receiver.wait_for_packets(20);
    push.stop();
    receiver.wait("the end", |records| records[0].closed.is_some());
    push.play();
    push.end_well();
    let story = push.story();
    assert_eq!(
        receiver.requests(),
        ["setup new", "start known", "start known"]
    );
    let (started, headers) = (push.statuses("WMT_STARTED").len(), receiver.count('H'));
    assert_eq!((started, headers), (1, 1), "{story}");
}
