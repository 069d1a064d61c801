// SPDX-License-Identifier: MPL-2.0

//! The queue between the streaming thread and the driver, and the bound on what a push holds.

mod content;
mod inner;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::Limits;
use super::lifecycle::Stop;
use crate::wmhttp::HResult;
pub(super) use content::{Content, packet_cost};
use inner::{Deadlines, Inner, Wanted};

/// The reason for which a batch was not queued completely, and the number of data packets that were dropped by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) stop: Stop,
    pub(super) dropped: u64,
}

/// A bounded queue. The writer blocks for a bounded time, or packets leak; the driver awaits.
pub(super) struct Queue {
    limits: Limits,
    inner: Mutex<Inner>,
    space: Condvar,
    filled: Notify,
    /// Notified when the writer is blocked by a lack of acknowledgements.
    blocked: Notify,
    /// The writer hands over each packet at its Send Time.
    real_time: AtomicBool,
}

impl Queue {
    /// An empty queue that holds at most `limits`; one packet always fits.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            inner: Mutex::default(),
            space: Condvar::new(),
            filled: Notify::new(),
            blocked: Notify::new(),
            real_time: AtomicBool::new(false),
        }
    }

    /// Appends all of `batch`, in order, and removes content from it that was queued or dropped. Returns the number of
    /// dropped data packets.
    ///
    /// While the queue is crowded, waits for at most [`EASING`]. While it is full, waits for at most `timeout` in which
    /// nothing is taken, and then drops the oldest packets; a leaky queue drops at once.
    ///
    /// `check` returns an error if the writer must stop. [`wake`](Self::wake) has it called again.
    pub(super) fn push(
        &self,
        batch: &mut VecDeque<Content>,
        timeout: Duration,
        check: impl Fn() -> Result<(), Stop>,
    ) -> Result<u64, Stopped> {
        self.free_returned();
        let mut inner = self.lock();
        let mut deadlines = Deadlines::default();
        let mut dropped = 0;
        inner.handovers.begin();
        while let Some(content) = batch.front() {
            if let Err(stop) = check() {
                self.announce(inner);
                return Err(Stopped { stop, dropped });
            }
            // The common case.
            let roomy = inner.is_roomy(content, &self.limits);
            if !roomy
                && let Some((wanted, left)) =
                    inner.wait_for(content, &self.limits, &mut deadlines, timeout)
            {
                inner = self.wait(inner, wanted, left);
                continue;
            }
            if let Some(content) = batch.pop_front() {
                dropped += match roomy {
                    true => inner.append_useful(content),
                    false => inner.append_within(&self.limits, content),
                };
            }
        }
        self.announce(inner);
        Ok(dropped)
    }

    /// Waits for space, at most for `left`. The driver may take content meanwhile.
    fn wait<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
        wanted: Wanted,
        left: Duration,
    ) -> MutexGuard<'a, Inner> {
        inner.wanted = Some(wanted);
        if inner.awaited.take().is_some() {
            self.filled.notify_one();
        }
        if inner.is_mostly_outstanding() {
            self.blocked.notify_one();
        }
        let waited = self.space.wait_timeout(inner, left);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes the driver if it waits and there is enough content.
    fn announce(&self, mut inner: MutexGuard<'_, Inner>) {
        let enough = inner.awaited.is_some_and(|least| inner.has(least));
        if enough {
            inner.awaited = None;
            drop(inner);
            self.filled.notify_one();
        }
    }

    /// Appends the end of the stream, which takes no space. The caller has announced the end before, so nothing is
    /// written behind it.
    pub(super) fn end(&self, reason: HResult) {
        let mut inner = self.lock();
        if !std::mem::replace(&mut inner.ended, true) {
            inner.append(Content::EndOfStream(reason));
        }
        self.space.notify_all();
        self.announce(inner);
    }

    /// Waits until there is content to take: at least `least` bytes, unless the writer is blocked or has ended.
    ///
    /// For one caller at a time. Cancel-safe.
    pub(super) async fn filled(&self, least: usize) {
        loop {
            {
                let mut inner = self.lock();
                if inner.has(least) {
                    return;
                }
                inner.awaited = Some(least);
            }
            self.filled.notified().await;
        }
    }

    /// Waits until the writer is blocked by a lack of acknowledgements.
    pub(super) async fn blocked(&self) {
        self.blocked.notified().await;
    }

    /// Returns whether the writer is blocked by a lack of acknowledgements.
    pub(super) fn is_blocked(&self) -> bool {
        let inner = self.lock();
        inner.wanted.is_some() && inner.is_mostly_outstanding()
    }

    /// Moves the oldest content to the back of `taken`: at least one unit, and units until `most` bytes are reached.
    /// Returns the bytes taken.
    pub(super) fn take(&self, most: usize, taken: &mut VecDeque<Content>) -> usize {
        let mut inner = self.lock();
        let bytes = inner.move_oldest(most, taken);
        if inner.wanted.is_some() && inner.is_mostly_outstanding() {
            self.blocked.notify_one();
        }
        self.signal_space(inner);
        bytes
    }

    /// Puts content that was not sent back to the front.
    pub(super) fn put_back(&self, taken: &mut VecDeque<Content>) {
        if taken.is_empty() {
            return;
        }
        let mut inner = self.lock();
        while let Some(content) = taken.pop_back() {
            inner.outstanding = inner.outstanding.saturating_sub(content.cost());
            inner.prepend(content);
        }
    }

    /// Releases the space of content that was acknowledged or dropped. `freed` is its cost.
    pub(super) fn release(&self, freed: usize) {
        if freed == 0 {
            return;
        }
        let mut inner = self.lock();
        inner.outstanding = inner.outstanding.saturating_sub(freed);
        self.signal_space(inner);
    }

    /// Counts again the `cost` of content that was acknowledged and has to be sent again.
    pub(super) fn reclaim(&self, cost: usize) {
        self.lock().outstanding += cost;
    }

    /// Hands acknowledged buffers to the writer, which frees them at its next call: on that thread the allocator's
    /// locks are uncontended, and the memory is still in the caches when it is allocated again.
    ///
    /// Only for a writer that calls again at once. Otherwise use [`free_returned`](Self::free_returned), because the
    /// writer may be waiting for this memory.
    pub(super) fn give_back(&self, released: &mut Vec<Bytes>) {
        let mut inner = self.lock();
        if inner.returned.is_empty() {
            std::mem::swap(&mut inner.returned, released);
        } else {
            inner.returned.append(released);
        }
    }

    /// Frees the buffers that the writer has not freed yet.
    pub(super) fn free_returned(&self) {
        let returned = std::mem::take(&mut self.lock().returned);
        drop(returned);
    }

    fn signal_space(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.taken += 1;
        let enough = match inner.wanted {
            None => false,
            Some(Wanted::Space) => true,
            Some(Wanted::Half) => !inner.is_over(&self.limits, 2),
        };
        if enough {
            inner.wanted = None;
            drop(inner);
            self.space.notify_all();
        }
    }

    /// Sets whether the writer hands over each packet at its Send Time, so that a packet that waits is late.
    pub(super) fn set_real_time(&self, real_time: bool) {
        self.real_time.store(real_time, Ordering::Relaxed);
    }

    /// Returns whether the writer hands over each packet at its Send Time.
    pub(super) fn is_real_time(&self) -> bool {
        self.real_time.load(Ordering::Relaxed)
    }

    /// Sets whether upstream is live, which decides for [`Leaky::Auto`].
    pub(super) fn set_live(&self, live: bool) {
        self.lock().live = live;
    }

    /// Discards the data packets, and returns their number. Headers stay, because upstream may not send them again.
    /// Data packets that follow are dropped up to a key frame.
    pub(super) fn flush(&self) -> u64 {
        let mut inner = self.lock();
        let contents = std::mem::take(&mut inner.contents);
        inner.handovers.forget_taken(0);
        (inner.bytes, inner.cost, inner.packets) = (0, 0, 0);
        let mut flushed = 0;
        for content in contents {
            if content.is_packet() {
                flushed += 1;
            } else {
                inner.append(content);
            }
        }
        if flushed > 0 {
            inner.newest.close();
        }
        self.signal_space(inner);
        flushed
    }

    /// Has a blocked [`push`](Self::push) call its `check` again.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.space.notify_all();
    }

    /// Discards everything, because the push is over. Returns the number of data packets.
    pub(super) fn clear(&self) -> u64 {
        let mut inner = self.lock();
        let packets = inner.packets as u64;
        *inner = Inner {
            ended: inner.ended,
            ..Inner::default()
        };
        self.space.notify_all();
        packets
    }

    /// Returns the approximate bytes of memory that the push holds, and the duration of the unsent content by its Send
    /// Times.
    pub(super) fn level(&self) -> (usize, Duration) {
        let inner = self.lock();
        (inner.held(), inner.time(None))
    }

    /// Returns the time since the oldest unsent packet was handed over, to 0.1 s; zero if none waits.
    pub(super) fn behind(&self) -> Duration {
        let inner = self.lock();
        if inner.packets == 0 {
            return Duration::ZERO;
        }
        inner.handovers.age(inner.contents.len())
    }

    /// Returns whether there is no unsent content.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().contents.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
