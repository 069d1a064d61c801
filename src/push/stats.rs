// SPDX-License-Identifier: MPL-2.0

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Failure, SessionState};
use crate::wmhttp;

/// Statistics of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The session state.
    pub state: SessionState,
    /// Value of the server's Server field; empty until it is known.
    pub server: String,
    /// Name of the authentication scheme that the server accepted for the last PushSetup, as in HTTP; empty: it
    /// demanded none.
    pub authentication: &'static str,
    /// Bytes of PushStart bodies that the kernel has accepted.
    pub bytes_sent: u64,
    /// Bytes of those that the peer has acknowledged; as many as accepted where the kernel does not report it.
    pub bytes_acked: u64,
    /// Data packets sent, each counted once.
    pub packets_sent: u64,
    /// Data packets that were never sent: the limits were reached, or a new session began in the middle of a group of
    /// pictures.
    pub packets_dropped: u64,
    /// Data packets that were sent again.
    pub packets_replayed: u64,
    /// Data packets that were sent, but neither acknowledged nor sent again.
    pub packets_lost: u64,
    /// Bytes of padding removed from data packets.
    pub padding_removed: u64,
    /// Approximate bytes of memory of unsent and unacknowledged content.
    pub queued_bytes: usize,
    /// Duration of the unsent content, by its Send Times.
    pub queued_time: Duration,
    /// TCP connections made.
    pub connects: u32,
    /// Losses after which a connection stood again.
    pub reconnects: u32,
    /// Round-trip time of the connection; zero where the kernel does not report it.
    pub round_trip_time: Duration,
    /// PushStart requests.
    pub push_starts: u32,
    /// Sent bits per second over the last 10 s.
    pub bitrate: u64,
    /// Time since the session was opened.
    pub uptime: Duration,
    /// Number of the attempt to reconnect, from 1; 0: none.
    pub attempt: u32,
    /// Time until the attempt.
    pub retry_in: Duration,
    /// The failure that ended the current or the last connection.
    pub last_loss: Option<Arc<Failure>>,
    /// Delay of the oldest unsent packet, to 0.1 s: the time since it was handed over at its Send Time, or as a live
    /// upstream delivered it. Zero if none waits.
    pub behind: Duration,
}

/// The driver's side of [`Stats`].
#[derive(Default)]
pub(super) struct PushCounters {
    inner: Mutex<Inner>,
    drops: Notify,
}

#[derive(Default)]
struct Inner {
    server: String,
    authentication: &'static str,
    session: wmhttp::SessionCounters,
    replayed: u64,
    dropped: u64,
    lost: u64,
    /// Packets dropped or lost since the last report.
    fresh: u64,
    /// Those of `fresh` that preceded the key frame of a new session.
    gated: u64,
    /// Packets were dropped or lost since the last report.
    unreported: bool,
    /// A report of dropped packets was made.
    reported: bool,
    /// Bytes of the bodies before the current one.
    before: Delivered,
    current: Delivered,
    round_trip_time: Duration,
    connects: u32,
    reconnects: u32,
    /// PushStarts that never had a connection.
    unsent: u32,
    opened: Option<Instant>,
    closed: Option<Instant>,
    rate: Rate,
}

/// Bytes of PushStart bodies.
#[derive(Clone, Copy, Default)]
struct Delivered {
    written: u64,
    acknowledged: u64,
}

impl Inner {
    fn bytes_sent(&self) -> u64 {
        self.before.written + self.current.written
    }
}

impl PushCounters {
    pub(super) fn update(&self, session: wmhttp::SessionCounters, written: Option<u64>) {
        let mut inner = self.lock();
        inner.session = session;
        if let Some(written) = written {
            inner.current.written = written;
        }
        let bytes = inner.bytes_sent();
        inner.rate.update(Instant::now(), bytes);
    }

    pub(super) fn replayed(&self, packets: u64) {
        self.lock().replayed += packets;
    }

    /// Resets all counters for another session.
    pub(super) fn reset(&self) {
        *self.lock() = Inner::default();
    }

    /// Counts packets that were dropped before they were sent.
    pub(super) fn dropped(&self, packets: u64) {
        self.lose(packets, |inner| inner.dropped += packets);
    }

    /// Counts packets that were sent and that the peer never gets.
    pub(super) fn lost(&self, packets: u64) {
        self.lose(packets, |inner| inner.lost += packets);
    }

    /// Counts a packet that was dropped because it precedes the key frame of a new session. It was sent before if
    /// `again`.
    pub(super) fn gated(&self, again: bool) {
        self.lose(1, |inner| {
            match again {
                true => inner.lost += 1,
                false => inner.dropped += 1,
            }
            inner.gated += 1;
        });
    }

    fn lose(&self, packets: u64, count: impl FnOnce(&mut Inner)) {
        if packets > 0 {
            let mut inner = self.lock();
            count(&mut inner);
            inner.fresh += packets;
            inner.unreported = true;
            drop(inner);
            self.drops.notify_one();
        }
    }

    /// Counts packets that were omitted on purpose. No report includes them as new.
    pub(super) fn skipped(&self, packets: u64) {
        self.lock().dropped += packets;
    }

    /// Counts the content that is left at the end of a push. A report follows if `reported`, or if there was a report of
    /// drops before.
    pub(super) fn settle(&self, dropped: u64, lost: u64, reported: bool) {
        let mut inner = self.lock();
        inner.fresh += dropped + lost;
        inner.dropped += dropped;
        inner.lost += lost;
        inner.unreported |= (reported || inner.reported) && dropped + lost > 0;
    }

    /// Returns the packets that the peer never gets.
    pub(super) fn packets_dropped(&self) -> u64 {
        let inner = self.lock();
        inner.dropped + inner.lost
    }

    /// Waits until there are dropped packets that no report has included.
    pub(super) async fn unreported_drops(&self) {
        while !self.lock().unreported {
            self.drops.notified().await;
        }
    }

    /// Returns the number of packets since the last report, if all of them preceded the key frame of a new session.
    pub(super) fn take_gated(&self) -> Option<u64> {
        let mut inner = self.lock();
        let fresh = std::mem::take(&mut inner.fresh);
        let gated = std::mem::take(&mut inner.gated);
        (gated > 0 && gated == fresh).then_some(gated)
    }

    /// Returns the total of dropped packets, if it has changed since the last report.
    pub(super) fn take_unreported_drops(&self) -> Option<u64> {
        let mut inner = self.lock();
        let unreported = std::mem::take(&mut inner.unreported);
        inner.reported |= unreported;
        unreported.then_some(inner.dropped + inner.lost)
    }

    /// Records the bytes of the current body that were written and acknowledged.
    pub(super) fn delivered(&self, written: u64, acknowledged: u64, round_trip_time: Duration) {
        let mut inner = self.lock();
        inner.current = Delivered {
            written,
            acknowledged,
        };
        inner.round_trip_time = round_trip_time;
    }

    /// Starts the count of another PushStart.
    pub(super) fn push_started(&self) {
        let mut inner = self.lock();
        let current = std::mem::take(&mut inner.current);
        inner.before.written += current.written;
        inner.before.acknowledged += current.acknowledged;
    }

    /// Takes back the count of a PushStart that had no connection.
    pub(super) fn push_start_unsent(&self) {
        self.lock().unsent += 1;
    }

    pub(super) fn reconnected(&self) {
        self.lock().reconnects += 1;
    }

    pub(super) fn connected(&self) {
        self.lock().connects += 1;
    }

    pub(super) fn configured(&self, server: String, authentication: &'static str) {
        let mut inner = self.lock();
        inner.server = server;
        inner.authentication = authentication;
        drop(inner);
        self.opened();
    }

    pub(super) fn opened(&self) {
        let mut inner = self.lock();
        inner.opened.get_or_insert_with(Instant::now);
        inner.closed = None;
    }

    pub(super) fn closed(&self) {
        self.lock().closed = Some(Instant::now());
    }

    /// Returns the statistics that are counted here.
    pub(super) fn stats(&self) -> Stats {
        let now = Instant::now();
        let mut inner = self.lock();
        let bytes_sent = inner.bytes_sent();
        let end = inner.closed.unwrap_or(now);
        Stats {
            server: inner.server.clone(),
            authentication: inner.authentication,
            bytes_sent,
            bytes_acked: inner.before.acknowledged + inner.current.acknowledged,
            packets_dropped: inner.dropped,
            packets_lost: inner.lost,
            round_trip_time: inner.round_trip_time,
            reconnects: inner.reconnects,
            packets_sent: inner.session.packets.saturating_sub(inner.replayed),
            packets_replayed: inner.replayed,
            padding_removed: inner.session.padding_removed,
            connects: inner.connects,
            push_starts: inner.session.push_starts.saturating_sub(inner.unsent),
            bitrate: inner.rate.update(now, bytes_sent),
            uptime: inner.opened.map_or(Duration::ZERO, |opened| {
                end.saturating_duration_since(opened)
            }),
            ..Stats::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A data rate over the last [`Rate::WINDOW`], from samples of a byte count.
#[derive(Default)]
struct Rate {
    /// Samples of the time and the count, one per second, oldest first.
    marks: std::collections::VecDeque<(Instant, u64)>,
}

impl Rate {
    const WINDOW: Duration = Duration::from_secs(10);
    const STEP: Duration = Duration::from_secs(1);

    /// Adds a sample, and returns the bits per second.
    fn update(&mut self, now: Instant, bytes: u64) -> u64 {
        let age = |(then, _): &(Instant, u64)| now.saturating_duration_since(*then);
        if self.marks.back().is_none_or(|mark| age(mark) >= Self::STEP) {
            self.marks.push_back((now, bytes));
        }
        while self.marks.len() > 1
            && self
                .marks
                .front()
                .is_some_and(|mark| age(mark) > Self::WINDOW)
        {
            self.marks.pop_front();
        }
        let Some(&(then, count)) = self.marks.front() else {
            return 0;
        };
        let elapsed = now.saturating_duration_since(then).max(Self::STEP);
        (u128::from(bytes.saturating_sub(count)) * 8 * 1000 / elapsed.as_millis()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_ten_seconds() {
        let start = Instant::now();
        let mut rate = Rate::default();
        let mut bytes = 0;
        for tenths in 0..=600 {
            // 8,000 bytes a second for the first half minute, 1,000 after it.
            bytes += if tenths < 300 { 800 } else { 100 };
            let bits = rate.update(start + Duration::from_millis(tenths * 100), bytes);
            match tenths {
                290 => assert!((63_000..=65_000).contains(&bits), "{bits}"),
                600 => assert!((7_900..=8_100).contains(&bits), "{bits}"),
                _ => {}
            }
        }
    }

    #[test]
    fn a_rate_without_samples_decays() {
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.update(start, 0);
        rate.update(start + Duration::from_secs(5), 10_000);
        assert_eq!(rate.update(start + Duration::from_secs(60), 10_000), 0);
    }
}
