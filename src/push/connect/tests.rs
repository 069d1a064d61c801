// SPDX-License-Identifier: MPL-2.0

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::time::{Instant, sleep};

use super::*;

const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 0);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0);

/// The address that `name` stands for: `4a`, `4b` …, `6a` ….
fn address(name: &str) -> SocketAddr {
    let (family, last) = name.split_at(1);
    let last = last.as_bytes()[0];
    match family {
        "4" => (V4 | Ipv4Addr::from(u32::from(last)), 80).into(),
        _ => (V6 | Ipv6Addr::from(u128::from(last)), 80).into(),
    }
}

fn addresses_of(names: &str) -> Vec<SocketAddr> {
    names.split_whitespace().map(address).collect()
}

#[track_caller]
fn assert_interleaved(resolved: &str, tried: &str) {
    assert_eq!(interleave(addresses_of(resolved)), addresses_of(tried));
}

#[test]
fn families_take_turns_and_the_resolvers_first_begins() {
    assert_interleaved("6a 6b 6c 4a 4b", "6a 4a 6b 4b 6c");
    assert_interleaved("4a 6a 6b", "4a 6a 6b");
    assert_interleaved("6a 4a 4b 4c", "6a 4a 4b 4c");
    assert_interleaved("4a 4b", "4a 4b");
    assert_interleaved("6a", "6a");
    assert_interleaved("", "");
}

#[test]
fn an_address_is_tried_once() {
    assert_interleaved("4a 6a 4a 4b 6a", "4a 6a 4b");
}

/// The result of an attempt, and its time from the start of the attempt.
#[derive(Clone, Copy)]
enum Fate {
    Hangs,
    Accepts(u64),
    Fails(u64, ErrorKind),
}
use Fate::{Accepts, Fails, Hangs};

/// Attempts in virtual time.
struct Attempted {
    begun: Instant,
    /// Addresses in the order of their attempts, with the milliseconds until they began.
    starts: RefCell<Vec<(SocketAddr, u64)>>,
    under_way: Cell<usize>,
}

impl Attempted {
    fn now() -> Self {
        Self {
            begun: Instant::now(),
            starts: RefCell::default(),
            under_way: Cell::new(0),
        }
    }

    fn elapsed(&self) -> u64 {
        self.begun.elapsed().as_millis().try_into().unwrap()
    }

    async fn attempt(&self, address: SocketAddr, fate: Fate) -> io::Result<SocketAddr> {
        struct UnderWay<'a>(&'a Cell<usize>);
        impl Drop for UnderWay<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }

        self.starts.borrow_mut().push((address, self.elapsed()));
        self.under_way.set(self.under_way.get() + 1);
        let _under_way = UnderWay(&self.under_way);
        match fate {
            Hangs => pending().await,
            Accepts(after) => {
                sleep(Duration::from_millis(after)).await;
                Ok(address)
            }
            Fails(after, kind) => {
                sleep(Duration::from_millis(after)).await;
                Err(kind.into())
            }
        }
    }

    /// Races `fates` in their order, for at most 10 s.
    async fn race(&self, fates: &[(&str, Fate)]) -> Option<Result<SocketAddr, ErrorKind>> {
        let addresses = fates.iter().map(|(name, _)| address(name)).collect();
        let raced = race(addresses, |tried| {
            let fate = fates.iter().find(|(name, _)| address(name) == tried);
            self.attempt(tried, fate.unwrap().1)
        });
        let raced = timeout(Duration::from_secs(10), raced).await.ok()?;
        Some(raced.map_err(|error| error.kind()))
    }

    #[track_caller]
    fn assert_starts(&self, starts: &[(&str, u64)]) {
        let starts: Vec<_> = starts
            .iter()
            .map(|&(name, at)| (address(name), at))
            .collect();
        assert_eq!(*self.starts.borrow(), starts);
        assert_eq!(self.under_way.get(), 0, "attempts that go on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_address_costs_250_milliseconds() {
    let attempted = Attempted::now();
    let won = attempted.race(&[("4a", Hangs), ("4b", Accepts(20))]).await;
    assert_eq!(won, Some(Ok(address("4b"))));
    assert_eq!(attempted.elapsed(), 270);
    attempted.assert_starts(&[("4a", 0), ("4b", 250)]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_costs_nothing() {
    let attempted = Attempted::now();
    let refused = Fails(5, ErrorKind::ConnectionRefused);
    let won = attempted
        .race(&[("6a", refused), ("4a", Accepts(20))])
        .await;
    assert_eq!(won, Some(Ok(address("4a"))));
    attempted.assert_starts(&[("6a", 0), ("4a", 5)]);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_address_is_the_only_one_tried() {
    let attempted = Attempted::now();
    let won = attempted
        .race(&[("6a", Accepts(249)), ("4a", Accepts(0))])
        .await;
    assert_eq!(won, Some(Ok(address("6a"))));
    attempted.assert_starts(&[("6a", 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_address_may_still_win() {
    let attempted = Attempted::now();
    let won = attempted
        .race(&[("6a", Accepts(300)), ("4a", Accepts(100))])
        .await;
    assert_eq!(won, Some(Ok(address("6a"))));
    assert_eq!(attempted.elapsed(), 300);
    attempted.assert_starts(&[("6a", 0), ("4a", 250)]);
}

/// The schedule counts from the last start.
#[tokio::test(start_paused = true)]
async fn a_failure_moves_the_schedule() {
    let attempted = Attempted::now();
    let fails = Fails(100, ErrorKind::HostUnreachable);
    let fates = [
        ("4a", Hangs),
        ("4b", fails),
        ("4c", Hangs),
        ("4d", Accepts(0)),
    ];
    assert_eq!(attempted.race(&fates).await, Some(Ok(address("4d"))));
    attempted.assert_starts(&[("4a", 0), ("4b", 250), ("4c", 350), ("4d", 600)]);
}

#[tokio::test(start_paused = true)]
async fn silent_addresses_leave_the_time_to_the_caller() {
    let attempted = Attempted::now();
    let refused = Fails(0, ErrorKind::ConnectionRefused);
    let fates = [("4a", Hangs), ("4b", Hangs), ("4c", refused)];
    assert_eq!(attempted.race(&fates).await, None);
    assert_eq!(attempted.elapsed(), 10_000);
    attempted.assert_starts(&[("4a", 0), ("4b", 250), ("4c", 500)]);
}

#[tokio::test(start_paused = true)]
async fn the_most_specific_of_several_failures_is_returned() {
    use ErrorKind::*;

    for (kinds, told) in [
        (
            [Unsupported, ConnectionRefused, NetworkUnreachable],
            ConnectionRefused,
        ),
        (
            [ConnectionRefused, PermissionDenied, TimedOut],
            ConnectionRefused,
        ),
        (
            [NetworkUnreachable, HostUnreachable, AddrNotAvailable],
            HostUnreachable,
        ),
        ([HostUnreachable, TimedOut, NetworkUnreachable], TimedOut),
        ([TimedOut, PermissionDenied, TimedOut], PermissionDenied),
        (
            [NetworkUnreachable, Unsupported, AddrNotAvailable],
            NetworkUnreachable,
        ),
    ] {
        let [a, b, c] = kinds.map(|kind| Fails(1, kind));
        let raced = Attempted::now()
            .race(&[("6a", a), ("4a", b), ("4b", c)])
            .await;
        assert_eq!(raced, Some(Err(told)), "{kinds:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_without_an_address_fails() {
    let raced = Attempted::now().race(&[]).await;
    assert_eq!(raced, Some(Err(ErrorKind::AddrNotAvailable)));
}

#[cfg(target_os = "linux")]
mod sockets;
