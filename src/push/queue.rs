// SPDX-License-Identifier: MPL-2.0

//! The queue between the streaming thread and the driver, and the bound on what a push holds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::handover::Handovers;
use super::lifecycle::Stop;
use super::settings::NO_LIMIT;
use super::{Leaky, Limits};
use crate::asf::{DataPacket, FileHeader, KeyFrameGate};
use crate::wmhttp::HResult;

/// What a packet costs beside its bytes, about, where it lies in a buffer of its own: the buffer, its memory and its map.
const BUFFER_COST: usize = 600;

/// The same for a packet below this size, which shares a block with others.
const SHARED_COST: usize = 128;
const SMALL: usize = 512;

/// What a writer hands to a connection.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// `OnHeader`
    Header(FileHeader),
    /// `OnDataUnit`
    DataUnit(DataPacket),
    /// `EndSession`
    EndOfStream(HResult),
}

impl Content {
    /// Bytes of the stream.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Header(header) => header.as_bytes().len(),
            Self::DataUnit(packet) => packet.len(),
            Self::EndOfStream(_) => 0,
        }
    }

    /// Bytes of memory that the limits count, about. Headers are not counted: there are few, and none is ever dropped.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::DataUnit(packet) => packet_cost(packet.len()),
            Self::Header(_) | Self::EndOfStream(_) => 0,
        }
    }

    pub(super) fn is_packet(&self) -> bool {
        matches!(self, Self::DataUnit(_))
    }
}

/// Bytes of memory, about, that a data packet of `len` bytes keeps.
pub(super) fn packet_cost(len: usize) -> usize {
    len + if len < SMALL {
        SHARED_COST
    } else {
        BUFFER_COST
    }
}

/// Longest time that a writer is slowed down, each time that it comes, while the queue is more than
/// [three quarters](Inner::is_crowded) full: a server that takes too little slows the stream down before it blocks it.
const EASING: Duration = Duration::from_millis(150);

/// Why not all of a batch was taken, and how many data packets were dropped for what was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) stop: Stop,
    pub(super) dropped: u64,
}

/// A bounded queue. The writer's end blocks for a bounded time, or leaks; the driver's end awaits.
pub(super) struct Queue {
    limits: Limits,
    inner: Mutex<Inner>,
    space: Condvar,
    filled: Notify,
    /// Each packet is handed over at its time.
    real_time: AtomicBool,
}

#[derive(Default)]
struct Inner {
    contents: VecDeque<Content>,
    handovers: Handovers,
    /// Bytes of the stream in `contents`, and what they cost.
    bytes: usize,
    cost: usize,
    /// What the driver has taken and not released, by its cost.
    outstanding: usize,
    /// How often something was taken or released.
    taken: u64,
    /// Data packets in `contents`.
    packets: usize,
    /// For the entry of the oldest data packet.
    oldest: KeyFrameGate,
    /// For the entry of the newest data packet: closed while packets in front of a key frame are dropped.
    newest: KeyFrameGate,
    /// Upstream is live.
    live: bool,
    /// Acknowledged buffers, to be freed on the writer's thread.
    returned: Vec<Bytes>,
    /// What a blocked writer waits for. It is woken for nothing less, since a wake-up is a system call.
    wanted: Option<Wanted>,
    /// The driver waits for this many bytes of content.
    awaited: Option<usize>,
    /// The end of the stream is in `contents`, or was.
    ended: bool,
}

/// What a blocked writer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Any space at all.
    Space,
    /// Half of it all: woken for less, a writer would be woken for each packet.
    Half,
}

/// The deadlines of one writer.
#[derive(Default)]
struct Deadlines {
    /// For a crowded queue; used up once it has passed.
    easing: Option<Instant>,
    eased: bool,
    /// For a full one, as long as nothing is taken out of it: dropping one packet earns the next no wait.
    full: Option<(Instant, u64)>,
}

impl Queue {
    /// Holds as much as `limits` say; one piece always fits.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            inner: Mutex::default(),
            space: Condvar::new(),
            filled: Notify::new(),
            real_time: AtomicBool::new(false),
        }
    }

    /// Appends all of `batch`, in order, and removes from it what is done with. While the queue is crowded, waits for at
    /// most [`EASING`]; while it is full, for at most `timeout` in which nothing is taken, and then drops the oldest
    /// packets, or leaks at once, as the limits say. Returns how many data packets were dropped.
    ///
    /// `check` tells whether the writer may go on; [`wake`](Self::wake) has it asked again.
    pub(super) fn push(
        &self,
        batch: &mut VecDeque<Content>,
        timeout: Duration,
        check: impl Fn() -> Result<(), Stop>,
    ) -> Result<u64, Stopped> {
        let mut inner = self.lock();
        let returned = std::mem::take(&mut inner.returned);
        let mut deadlines = Deadlines::default();
        let mut dropped = 0;
        if !returned.is_empty() {
            drop(inner);
            drop(returned);
            inner = self.lock();
        }
        inner.handovers.begin();
        while let Some(content) = batch.front() {
            if let Err(stop) = check() {
                self.announce(inner);
                return Err(Stopped { stop, dropped });
            }
            // Nearly always.
            let roomy = inner.is_roomy(content, &self.limits);
            if !roomy
                && let Some((wanted, left)) =
                    inner.wait_for(content, &self.limits, &mut deadlines, timeout)
            {
                inner = self.wait(inner, wanted, left);
                continue;
            }
            if !roomy && !inner.fits(content, &self.limits) {
                dropped += inner.make_room(content, &self.limits);
                if !inner.fits(content, &self.limits) {
                    inner.newest.close();
                    dropped += 1;
                    batch.pop_front();
                    continue;
                }
            }
            if let Some(content) = batch.pop_front() {
                dropped += inner.append_useful(content);
            }
        }
        self.announce(inner);
        Ok(dropped)
    }

    /// Waits for space, at most for `left`. The driver may take what is there.
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
        let waited = self.space.wait_timeout(inner, left);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes the driver, if it waits and there is enough for it.
    fn announce(&self, mut inner: MutexGuard<'_, Inner>) {
        let enough = inner.awaited.is_some_and(|least| inner.has(least));
        if enough {
            inner.awaited = None;
            drop(inner);
            self.filled.notify_one();
        }
    }

    /// Appends the end, which takes no space. The caller has announced it before, so that nothing is written behind it.
    pub(super) fn end(&self, reason: HResult) {
        let mut inner = self.lock();
        if !std::mem::replace(&mut inner.ended, true) {
            inner.append(Content::EndOfStream(reason));
        }
        self.space.notify_all();
        self.announce(inner);
    }

    /// Waits until there is something to take, of `least` bytes unless the writer waits or has ended.
    ///
    /// For one caller at a time; dropping the future loses nothing.
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

    /// Moves the oldest content to the back of `taken`: at least one piece, and at most `most` bytes. Returns how many.
    pub(super) fn take(&self, most: usize, taken: &mut VecDeque<Content>) -> usize {
        let mut inner = self.lock();
        let bytes = inner.move_oldest(most, taken);
        self.signal_space(inner);
        bytes
    }

    /// Puts content that could not be sent back to the front.
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

    /// Frees the room of content that was taken: the peer has acknowledged it, or it was dropped. `freed` is its cost.
    pub(super) fn release(&self, freed: usize) {
        if freed == 0 {
            return;
        }
        let mut inner = self.lock();
        inner.outstanding = inner.outstanding.saturating_sub(freed);
        self.signal_space(inner);
    }

    /// Takes the room again of content that was acknowledged, and has to be sent again after all.
    pub(super) fn reclaim(&self, cost: usize) {
        self.lock().outstanding += cost;
    }

    /// Hands acknowledged buffers to the writer, who frees them when it comes next: there no lock of the allocator is
    /// contended, and the memory is still in the caches when it is allocated again.
    ///
    /// For a writer that comes at once. [`keep_nothing`](Self::keep_nothing) is for any other, which may wait for this memory.
    pub(super) fn give_back(&self, released: &mut Vec<Bytes>) {
        let mut inner = self.lock();
        if inner.returned.is_empty() {
            std::mem::swap(&mut inner.returned, released);
        } else {
            inner.returned.append(released);
        }
    }

    /// Frees the buffers that the writer has not.
    pub(super) fn keep_nothing(&self) {
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

    /// Tells whether each packet is handed over at its time, so that a packet that waits is late.
    pub(super) fn set_real_time(&self, real_time: bool) {
        self.real_time.store(real_time, Ordering::Relaxed);
    }

    /// Returns whether each packet is handed over at its time.
    pub(super) fn is_real_time(&self) -> bool {
        self.real_time.load(Ordering::Relaxed)
    }

    /// Tells whether upstream is live, which decides for [`Leaky::Auto`].
    pub(super) fn set_live(&self, live: bool) {
        self.lock().live = live;
    }

    /// Discards the data packets, and returns how many. Headers stay: upstream may not send them again. What follows begins
    /// at a key frame.
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

    /// Has a blocked [`push`](Self::push) ask its `check` again.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.space.notify_all();
    }

    /// Discards everything. The push is over.
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

    /// Bytes of memory that the push holds, about, and how much of the stream waits unsent, by its Send Times.
    pub(super) fn level(&self) -> (usize, Duration) {
        let inner = self.lock();
        (inner.held(), inner.time(None))
    }

    /// How long ago the oldest packet that waits unsent was handed over, to a tenth of a second; 0: none waits.
    pub(super) fn behind(&self) -> Duration {
        let inner = self.lock();
        if inner.packets == 0 {
            return Duration::ZERO;
        }
        inner.handovers.age(inner.contents.len())
    }

    /// Returns whether nothing waits unsent.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().contents.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Returns whether there is something to take, of `least` bytes if more may come.
    fn has(&self, least: usize) -> bool {
        let comes = self.wanted.is_none() && !self.ended;
        !self.contents.is_empty() && (self.bytes >= least || !comes)
    }

    fn leaky(&self, limits: &Limits) -> Leaky {
        match limits.leaky {
            Leaky::Auto if self.live => Leaky::Downstream,
            Leaky::Auto => Leaky::No,
            leaky => leaky,
        }
    }

    /// What a writer of `content` has to wait for, and how long at most; `None`: for nothing, or no longer.
    fn wait_for(
        &self,
        content: &Content,
        limits: &Limits,
        deadlines: &mut Deadlines,
        timeout: Duration,
    ) -> Option<(Wanted, Duration)> {
        if self.leaky(limits) != Leaky::No || !content.is_packet() {
            return None;
        }
        let (wanted, deadline) = if !self.fits(content, limits) {
            let known = deadlines.full.filter(|(_, taken)| *taken == self.taken);
            let (deadline, _) = *deadlines.full.insert(
                known.unwrap_or_else(|| (Instant::now() + timeout.min(NO_LIMIT), self.taken)),
            );
            (Wanted::Space, deadline)
        } else if !deadlines.eased && self.is_crowded(limits, deadlines) {
            let deadline = deadlines
                .easing
                .get_or_insert_with(|| Instant::now() + EASING.min(timeout));
            (Wanted::Half, *deadline)
        } else {
            return None;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            deadlines.eased |= wanted == Wanted::Half;
            return None;
        }
        Some((wanted, left))
    }

    /// Returns whether no wait is needed: with `content` at most half of the room is taken.
    fn is_roomy(&self, content: &Content, limits: &Limits) -> bool {
        let Content::DataUnit(packet) = content else {
            return true;
        };
        let bytes = limits.bytes == 0 || self.held() + content.cost() <= limits.bytes / 2;
        bytes && (limits.time.is_zero() || self.time(packet.send_time()) <= limits.time / 2)
    }

    /// Returns whether it is over three quarters full; for a writer that waits already, over a half.
    fn is_crowded(&self, limits: &Limits, deadlines: &Deadlines) -> bool {
        match deadlines.easing {
            None => self.is_over(limits, 3),
            Some(_) => self.is_over(limits, 2),
        }
    }

    /// Returns whether it holds more than `quarters` quarters of what the limits allow.
    fn is_over(&self, limits: &Limits, quarters: u32) -> bool {
        let bytes = limits.bytes / 4 * quarters as usize;
        let time = limits.time / 4 * quarters;
        (limits.bytes > 0 && self.held() > bytes)
            || (!limits.time.is_zero() && self.time(None) > time)
    }

    /// The cost of everything that the push holds.
    fn held(&self) -> usize {
        self.cost + self.outstanding
    }

    /// Returns whether `content` can be added within `limits`. Only data packets are ever too much.
    fn fits(&self, content: &Content, limits: &Limits) -> bool {
        let Content::DataUnit(packet) = content else {
            return true;
        };
        let bytes = limits.bytes == 0 || self.held() + content.cost() <= limits.bytes;
        let time = limits.time.is_zero() || self.time(packet.send_time()) <= limits.time;
        self.held() == 0 || (bytes && (time || self.packets == 0))
    }

    /// From the oldest Send Time to `newest`, or to the newest that waits. 0 where they go back.
    fn time(&self, newest: Option<u32>) -> Duration {
        let send_time = |content: &Content| match content {
            Content::DataUnit(packet) => packet.send_time(),
            _ => None,
        };
        let first = self.contents.iter().find_map(send_time);
        let last = newest.or_else(|| self.contents.iter().rev().find_map(send_time));
        let span = first
            .zip(last)
            .map_or(0, |(first, last)| last.wrapping_sub(first).cast_signed());
        Duration::from_millis(u64::try_from(span).unwrap_or(0))
    }

    /// Appends what is of use behind the packets that were dropped; returns how many data packets are not.
    fn append_useful(&mut self, content: Content) -> u64 {
        if let Content::DataUnit(packet) = &content
            && !self.newest.admit(packet)
        {
            return 1;
        }
        self.append(content);
        0
    }

    fn append(&mut self, content: Content) {
        if let Content::Header(header) = &content {
            self.newest = KeyFrameGate::of(header);
        }
        self.count(&content);
        self.handovers.append();
        self.contents.push_back(content);
    }

    fn prepend(&mut self, content: Content) {
        self.count(&content);
        self.contents.push_front(content);
    }

    fn count(&mut self, content: &Content) {
        self.bytes += content.bytes();
        self.cost += content.cost();
        self.packets += usize::from(content.is_packet());
    }

    fn move_oldest(&mut self, most: usize, taken: &mut VecDeque<Content>) -> usize {
        self.handovers.forget_taken(self.contents.len());
        if taken.is_empty() && self.bytes <= most {
            // All of it, without a look at any: the writer waits for less time.
            std::mem::swap(&mut self.contents, taken);
            self.oldest = self.newest;
            self.packets = 0;
            self.outstanding += std::mem::take(&mut self.cost);
            return std::mem::take(&mut self.bytes);
        }
        let mut bytes = 0;
        while bytes < most
            && let Some(content) = self.take_oldest()
        {
            bytes += content.bytes();
            self.outstanding += content.cost();
            taken.push_back(content);
        }
        bytes
    }

    fn take_oldest(&mut self) -> Option<Content> {
        let content = self.contents.pop_front()?;
        if let Content::Header(header) = &content {
            self.oldest = KeyFrameGate::of(header);
        }
        self.bytes -= content.bytes();
        self.cost -= content.cost();
        self.packets -= usize::from(content.is_packet());
        Some(content)
    }

    /// Makes room for `content` as the limits say, and returns how many data packets were dropped for it.
    fn make_room(&mut self, content: &Content, limits: &Limits) -> u64 {
        match self.leaky(limits) {
            Leaky::Upstream => 0,
            Leaky::No | Leaky::Auto | Leaky::Downstream => self.drop_oldest(content, limits),
        }
    }

    /// Drops data packets, the oldest first, until `content` fits and decoding can begin at the oldest that is left. The
    /// header of that stays.
    fn drop_oldest(&mut self, content: &Content, limits: &Limits) -> u64 {
        let mut dropped = 0;
        let mut headers = VecDeque::new();
        self.oldest.close();
        self.handovers.forget_taken(self.contents.len());
        while let Some(oldest) = self.contents.front() {
            match oldest {
                Content::DataUnit(packet)
                    if self.fits(content, limits) && self.oldest.admit(packet) =>
                {
                    break;
                }
                Content::DataUnit(_) => {
                    self.take_oldest();
                    dropped += 1;
                }
                Content::Header(_) => {
                    // It still waits, unless there is another behind it.
                    headers.clear();
                    headers.extend(self.take_oldest());
                    self.oldest.close();
                }
                Content::EndOfStream(_) => break,
            }
        }
        if self.contents.is_empty() {
            self.newest.close();
        }
        headers.into_iter().for_each(|header| self.prepend(header));
        dropped
    }
}

#[cfg(test)]
mod tests;
