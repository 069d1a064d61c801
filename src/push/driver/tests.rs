// SPDX-License-Identifier: MPL-2.0

//! The driver, up to ten days of it, on a clock that runs as fast as the processor.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, interval};

use super::testing::{Fate, Memory, Server};
use super::{Parked, drive};
use crate::asf::{DataPacket, Guid, testing};
use crate::auth::Credentials;
use crate::push::notifier::Notifier;
use crate::push::queue::Content;
use crate::push::runtime::tests::in_own_process;
use crate::push::shared::Shared;
use crate::push::{
    Circumstances, Leaky, Limits, Peer, Phase, Proxy, ProxySource, SessionState, Settings, Status,
    StatusCallback,
};
use crate::wmhttp::{HResult, SessionConfig};

/// Long enough for hundreds of losses of each kind.
const TEN_DAYS: Duration = Duration::from_secs(10 * 24 * 3600);

/// Interval between the Send Times of two data packets.
const STEP: Duration = Duration::from_secs(8);

/// Data packets of one burst, so that some are in flight at each event of the script.
const BURST: u32 = 5;

/// Every tenth data packet begins with a key frame.
const KEY_FRAME_DISTANCE: u64 = 10;

const PACKET_SIZE: u32 = 2000;

/// The Send Time at the start, chosen so that the 32 bits of milliseconds wrap in the middle of the ten days.
const FIRST_SEND_TIME: u32 = 3_860_000_000;

struct Silent;

impl StatusCallback for Silent {
    fn on_phase(&self, _: Phase) {}

    fn on_status(&self, _: &Status) {}
}

fn settings() -> Settings {
    let url = "http://media:8080/live".parse().unwrap();
    let session = SessionConfig {
        content_length: Some(66_000),
        ..SessionConfig::new(url, "WMEncoder/12.0 test/1")
    };
    let limits = Limits {
        bytes: 8 * 1024 * 1024,
        time: Duration::from_secs(60),
        leaky: Leaky::Downstream,
    };
    Settings {
        reconnect_timeout: Duration::from_secs(300),
        limits,
        ..Settings::new(session)
    }
}

/// A data packet with its number in a payload of video.
fn packet(number: u64) -> Content {
    let milliseconds = number * STEP.as_millis() as u64;
    let send_time = FIRST_SEND_TIME.wrapping_add(milliseconds as u32);
    let stream = if number.is_multiple_of(KEY_FRAME_DISTANCE) {
        0x82
    } else {
        0x02
    };
    let head = [
        &[0x00, 0x5D][..],
        &send_time.to_le_bytes(),
        &[0, 0],
        &[stream, 1, 0, 0, 0, 0, 0],
        &number.to_le_bytes(),
    ];
    let mut bytes = head.concat();
    bytes.resize(PACKET_SIZE as usize, 0xEE);
    let packet = DataPacket::parse(bytes.into());
    assert_eq!(packet.send_time(), Some(send_time));
    Content::DataUnit(packet)
}

fn number(packet: &[u8]) -> u64 {
    u64::from_le_bytes(packet[15..23].try_into().unwrap())
}

/// The fates of the connections: on average one every five minutes.
fn script() -> impl FnMut() -> (Duration, Fate) {
    let fates = [
        Fate::Reset,
        Fate::Close,
        Fate::Refuse(408),
        Fate::Silence,
        Fate::Outage(Duration::from_secs(45)),
        Fate::Forget,
        Fate::Refuse(503),
        Fate::Outage(Duration::from_secs(200)),
    ];
    let mut count = 0u64;
    move || {
        count += 1;
        let seconds = 30 + count * 7919 % 541;
        (
            Duration::from_secs(seconds),
            fates[count as usize % fates.len()],
        )
    }
}

fn push(shared: &Shared, content: Content) {
    shared
        .push(&mut VecDeque::from([content]), Duration::ZERO)
        .unwrap();
}

/// Writes `packets` packets, each at the time of its burst.
async fn write(shared: &Shared, numbers: std::ops::RangeInclusive<u64>) {
    let mut ticks = interval(STEP * BURST);
    for number in numbers {
        if number % u64::from(BURST) == 1 {
            ticks.tick().await;
        }
        push(shared, packet(number));
        let (bytes, time) = shared.queue.level();
        assert!(
            bytes <= 8 * 1024 * 1024 && time <= Duration::from_secs(60),
            "{time:?}"
        );
    }
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or(0, |line| {
        line.trim().trim_end_matches(" kB").parse().unwrap()
    })
}

/// A push whose header was written, and the task that drives it.
fn begin(server: &Arc<Mutex<Server>>) -> (Arc<Shared>, Parked) {
    begin_with(server, Notifier::new(Silent, None), settings())
}

fn begin_with(
    server: &Arc<Mutex<Server>>,
    notifier: Notifier,
    settings: Settings,
) -> (Arc<Shared>, Parked) {
    let (_, resolved) = mpsc::unbounded_channel();
    let memory = Memory(server.clone());
    let shared = Arc::new(Shared::new(settings.limits, Arc::default(), notifier));
    let driver = tokio::spawn(drive(settings, shared.clone(), None, memory, resolved));
    let video = testing::stream_of(2, Guid::VIDEO_MEDIA, &[]);
    let header = testing::header(PACKET_SIZE, 50, &[video]);
    push(&shared, Content::Header(header));
    (shared, driver)
}

/// An application that records reports of late data.
#[derive(Default)]
struct Behind(Mutex<Vec<(Instant, Duration)>>);

impl StatusCallback for Arc<Behind> {
    fn on_phase(&self, _: Phase) {}

    fn on_status(&self, _: &Status) {}

    fn on_falling_behind(&self, behind: Duration) {
        self.0.lock().unwrap().push((Instant::now(), behind));
    }

    fn spawn(&self, task: Box<dyn FnOnce() + Send>) -> bool {
        task();
        true
    }
}

/// Pushes for 30 s to a server that meets its fate after 10 s. Returns the times at which data was reported as late,
/// and the delays, in seconds.
async fn push_in_real_time(fate: Fate, real_time: bool) -> Vec<(u64, u64)> {
    let server = Server::new(move || (Duration::from_secs(10), fate), number);
    let heard = Arc::new(Behind::default());
    let mut settings = settings();
    settings.session.content_length = None;
    let notifier = Notifier::new(heard.clone(), None);
    let (shared, _driver) = begin_with(&server, notifier, settings);
    shared.queue.set_real_time(real_time);
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_millis(20));
    while begun.elapsed() < Duration::from_secs(30) {
        ticks.tick().await;
        push(&shared, packet(0));
    }
    let heard = heard.0.lock().unwrap();
    let reports = heard.iter().map(|(at, behind)| {
        assert!(*behind <= begun.elapsed());
        ((*at - begun).as_secs(), behind.as_secs())
    });
    reports.collect()
}

#[tokio::test(start_paused = true)]
async fn late_data_is_reported_while_the_connection_stands() {
    let reports = push_in_real_time(Fate::Silence, true).await;
    assert_eq!(reports, [(12, 2), (22, 12)]);
}

#[tokio::test(start_paused = true)]
async fn data_that_waits_for_a_connection_is_not_late() {
    let outage = Fate::Outage(Duration::from_secs(12));
    assert_eq!(push_in_real_time(outage, true).await, []);
}

#[tokio::test(start_paused = true)]
async fn data_without_real_time_is_never_late() {
    assert_eq!(push_in_real_time(Fate::Silence, false).await, []);
}

/// The texts of a failure can contain neither a password nor a user.
#[test]
fn the_circumstances_of_a_failure_have_no_credentials() {
    let mut settings = settings();
    let access = &mut settings.session.access;
    access.credentials = Some(Credentials::new("alice", "wonderland"));
    access.proxy = Some("http://proxy:3128/".parse().unwrap());
    access.proxy_credentials = Some(Credentials::new("bob", "builder"));
    settings.proxy_source = Some(ProxySource::Property);
    let peer = |host: &str, port| Peer {
        host: host.to_owned(),
        port,
    };
    let expected = Circumstances {
        server: Some(peer("media", 8080)),
        proxy: Some(Proxy {
            peer: peer("proxy", 3128),
            source: Some(ProxySource::Property),
        }),
        plain_user: true,
        ..Circumstances::default()
    };
    assert_eq!(Circumstances::of(&settings), expected);
}

/// The end is sent once more if the server may not have read it, and then no more.
#[tokio::test(start_paused = true)]
async fn an_acknowledged_end_is_sent_at_most_twice() {
    let server = Server::new(|| (TEN_DAYS, Fate::NoEnd), number);
    let (shared, driver) = begin(&server);
    write(&shared, 1..=u64::from(BURST)).await;
    let patience = Duration::from_secs(600);
    assert!(shared.announce_end(HResult::S_OK, patience));
    let begun = Instant::now();
    driver.await.unwrap();
    assert!(begun.elapsed() < patience / 10, "{:?}", begun.elapsed());
    let seen = server.lock().unwrap().seen;
    assert_eq!((seen.sessions, seen.push_starts), (1, 2), "{seen:?}");
    assert_eq!((seen.packets, seen.again), (u64::from(BURST), 0));
    assert_eq!(shared.lifecycle.session_state(), SessionState::Ended);
}

/// In a process of its own: memory is that of the process.
#[test]
fn ten_days_of_losses_account_for_every_packet() {
    let test = "push::driver::tests::ten_days_of_losses_account_for_every_packet";
    in_own_process(test, &[], || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(ten_days_of_losses());
    });
}

async fn ten_days_of_losses() {
    let begun = Instant::now();
    let server = Server::new(script(), number);
    let (shared, driver) = begin(&server);
    let packets = TEN_DAYS.as_secs() / STEP.as_secs();
    write(&shared, 1..=packets / 4).await;
    let memory = resident();
    write(&shared, packets / 4 + 1..=packets).await;
    let grown = resident().saturating_sub(memory);
    assert!(begun.elapsed() >= TEN_DAYS - 2 * BURST * STEP);
    assert!(shared.announce_end(HResult::S_OK, Duration::from_secs(600)));
    driver.await.unwrap();

    let seen = server.lock().unwrap().seen;
    let stats = shared.counters.stats();
    println!("{seen:?} {stats:?}, {grown} KiB more memory");
    assert_eq!(shared.lifecycle.failure(), None);
    assert_eq!(shared.lifecycle.session_state(), SessionState::Ended);
    assert_eq!(
        seen.packets + stats.packets_dropped + stats.packets_lost,
        packets
    );
    assert_eq!((seen.again, seen.ends), (0, 1));
    // A `$E` lost behind the last data packet of a body is not counted: the next PushStart replaces it.
    let reconnects = u64::from(stats.reconnects);
    assert!((seen.losses * 99 / 100..=seen.losses).contains(&reconnects));
    // A refused resumption costs a connection.
    let refused = seen.losses / 8 + 1;
    let connects = u64::from(stats.connects);
    assert!((seen.losses + 1..=seen.losses + 1 + refused).contains(&connects));
    assert_eq!(u64::from(stats.push_starts), seen.push_starts);
    let resumed = seen.losses + 1 - seen.sessions;
    for hundreds in [resumed, seen.sessions, seen.bodies] {
        assert!(hundreds > 700, "{hundreds}");
    }
    assert!(stats.uptime >= TEN_DAYS - 2 * BURST * STEP && stats.packets_sent <= packets);
    assert!(grown < 1024, "{grown} KiB more memory");
}
