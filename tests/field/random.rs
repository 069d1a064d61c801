// SPDX-License-Identifier: MPL-2.0

//! Receivers that fail at random: each push ends, and its losses are counted.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use crate::LONG;
use crate::asf::Stream;
use crate::connection::Connection;
use crate::push::{Kind, Push};
use crate::receiver::Receiver;

/// Number of pushes at the same time.
const PUSHES: u64 = 8;

/// Connections that may fail, in three of four receivers. These serve all later connections; the fourth receiver always
/// fails.
const FAULTS: usize = 5;

const RECONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Resets the connection after this many packets.
    Reset(usize),
    Close(usize),
    /// Stops reading for 2 s, longer than stall-timeout.
    Stall(usize),
    /// Resets the connection, and stops listening for this time.
    Absence(usize, Duration),
    /// 503 for the first request.
    Busy,
    /// 404 for the PushStart.
    NotFound,
    /// 404 for a PushStart without a PushSetup on the same connection.
    Forgets,
    /// Closes the connection at the first request.
    Silence,
}

impl Fault {
    /// Returns the fault of a connection. The first connection accepts the push, because other failures are not
    /// retried.
    fn draw(random: &mut Random, first: bool) -> Self {
        let packets = 2 + random.next(80) as usize;
        match random.next(if first { 4 } else { 8 }) {
            0 => Self::Reset(packets),
            1 => Self::Close(packets),
            2 => Self::Stall(packets),
            3 => Self::Absence(packets, Duration::from_millis(random.next(1500))),
            4 => Self::Busy,
            5 => Self::NotFound,
            6 => Self::Forgets,
            _ => Self::Silence,
        }
    }

    fn strike(self, mut connection: Connection) -> io::Result<()> {
        match self {
            Self::Reset(packets) => {
                connection.take_some(packets)?;
                connection.reset()
            }
            Self::Close(packets) => {
                connection.take_some(packets)?;
                connection.close()
            }
            Self::Stall(packets) => {
                connection.take_some(packets)?;
                connection.stall(Duration::from_secs(2));
                connection.close()
            }
            Self::Absence(packets, absence) => {
                connection.take_some(packets)?;
                connection.stop_listening(absence);
                connection.reset()
            }
            Self::Busy => {
                connection.request()?;
                connection.refuse("503 Service Unavailable")
            }
            Self::NotFound => {
                connection.let_in()?;
                connection.refuse("404 Not Found")
            }
            Self::Forgets => {
                if connection.request()?.is_setup() {
                    connection.accept_setup()?;
                    return connection.serve();
                }
                connection.refuse("404 Not Found")
            }
            Self::Silence => {
                connection.request()?;
                connection.close()
            }
        }
    }
}

impl Connection {
    /// Accepts a push, reads `packets` packets, and waits until the receive buffer is full, so that the kernel
    /// acknowledges no packet after the receiver has recorded the unread ones.
    fn take_some(&mut self, packets: usize) -> io::Result<()> {
        self.let_in()?;
        self.packets(packets)?;
        self.settle();
        Ok(())
    }
}

fn failing(seed: u64) -> Receiver {
    let random = Mutex::new(Random(seed));
    let faults = if seed.is_multiple_of(4) {
        usize::MAX
    } else {
        FAULTS
    };
    Receiver::narrow(16_384, Some(1024), move |connection| {
        let number = connection.number;
        if number >= faults {
            return connection.serve();
        }
        let fault = Fault::draw(&mut random.lock().unwrap(), number == 0);
        println!("seed {seed}, connection {number}: {fault:?}");
        fault.strike(connection)
    })
}

/// Pushes to the end. Returns true if that was EOS.
fn push_to_the_end(seed: u64) -> bool {
    let receiver = failing(seed);
    let stream = Stream {
        interval: Duration::from_millis(8),
        ..Stream::of(1000)
    };
    let properties = format!(
        "reconnect-timeout={} stall-timeout=1000 timeout=2000 eos-timeout=8000",
        RECONNECT_TIMEOUT.as_millis()
    );
    let mut push = Push::new(&stream, &receiver.location(), &properties);
    push.play();
    let end = push.end_within(2 * LONG).clone();
    push.take_for(Duration::from_millis(300));
    let story = format!("{:?}{}", receiver.requests(), push.story());
    match end.kind {
        Kind::Error(_) => {
            let took = end.at - receiver.first_loss();
            let most = RECONNECT_TIMEOUT + Duration::from_secs(10);
            assert!(took <= most, "{took:?} {story}");
            assert_eq!(push.errors(), 1, "{story}");
            false
        }
        _ => {
            assert_eq!(push.errors(), 0, "{story}");
            push.assert_accounted(&receiver, &stream);
            true
        }
    }
}

/// The environment variable `FIELD_SEED` repeats a run.
#[test]
fn a_push_to_failing_receivers_counts_every_packet() {
    let now = || {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        since.as_millis() as u64
    };
    let seed = std::env::var("FIELD_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    let seeds = seed..seed + PUSHES;
    let push = |seed| {
        let thread = std::thread::spawn(move || push_to_the_end(seed));
        (seed, thread)
    };
    let pushes: Vec<_> = seeds.map(push).collect();
    let (mut failed, mut healed) = (Vec::new(), 0);
    for (seed, thread) in pushes {
        match thread.join() {
            Ok(ended_well) => healed += usize::from(ended_well),
            Err(_) => failed.push(seed),
        }
    }
    assert!(failed.is_empty(), "FIELD_SEED={seed}: seeds {failed:?}");
    assert!(healed > 0, "FIELD_SEED={seed}: no push ends in EOS");
    println!("{healed} of {PUSHES} pushes end in EOS");
}
