// SPDX-License-Identifier: MPL-2.0

//! What waits between the streaming thread and the driver.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{Leaky, Limits};
use crate::asf::{DataPacket, FileHeader, KeyFrames};
use crate::wmhttp::HResult;

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
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Header(header) => header.as_bytes().len(),
            Self::DataUnit(packet) => packet.len(),
            Self::EndOfStream(_) => 0,
        }
    }

    fn packets(&self) -> usize {
        usize::from(matches!(self, Self::DataUnit(_)))
    }
}

/// Why content did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PushError {
    /// Nobody takes anything out any more, or nothing behind the end.
    Closed,
    /// [`Queue::interrupt`] was called.
    Interrupted,
}

/// How long a writer waits, each time it comes, for a queue that is more than [three quarters](Inner::is_crowded) full:
/// a server that takes too little slows the stream down before it blocks it.
const EASING: Duration = Duration::from_millis(150);

/// Why not all of a batch got in, and how many data packets were dropped for what did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) error: PushError,
    pub(super) dropped: u64,
}

/// A bounded queue: the one end blocks, for a bounded time, or leaks; the other awaits.
pub(super) struct Queue {
    limits: Limits,
    inner: Mutex<Inner>,
    space: Condvar,
    filled: Notify,
}

#[derive(Default)]
struct Inner {
    contents: VecDeque<Content>,
    bytes: usize,
    /// How often something was taken.
    taken: u64,
    /// Data packets in `contents`.
    packets: usize,
    /// Where decoding can begin in the entry that the oldest data packet belongs to, and the newest.
    oldest: KeyFrames,
    newest: KeyFrames,
    /// Packets were dropped: what comes is of no use before the next key frame.
    skipping: bool,
    interrupted: bool,
    /// The end is in it, or was: there is nothing behind it.
    ended: bool,
    closed: bool,
    /// What was sent and is of no use any more: the writer frees it.
    returned: Vec<Bytes>,
    /// What a blocked writer waits for: nobody else is to be woken, since that is a system call.
    wanted: Option<Wanted>,
    /// The other end waits for so many bytes of content.
    awaited: Option<usize>,
}

/// What a blocked writer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Any space at all.
    Space,
    /// Half of it all: woken for less, a writer would be woken for each packet.
    Half,
}

/// How long one writer waits in all.
#[derive(Default)]
struct Patience {
    /// For a crowded queue; used up once it has been waited for.
    easing: Option<Instant>,
    eased: bool,
    /// For a full one, as long as nothing is taken out of it: what is dropped for one piece earns the next no wait.
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
        }
    }

    /// Appends all of `batch`, in order, and takes out of it what is done with. While it is crowded, waits for at most
    /// [`EASING`]; while it is full, for at most `timeout` in which nothing is taken, and then drops what is oldest, or
    /// leaks at once, as the limits say. Returns how many data packets were dropped.
    pub(super) fn push(
        &self,
        batch: &mut VecDeque<Content>,
        timeout: Duration,
    ) -> Result<u64, Stopped> {
        let mut inner = self.lock();
        let returned = std::mem::take(&mut inner.returned);
        let mut patience = Patience::default();
        let mut dropped = 0;
        if !returned.is_empty() {
            drop(inner);
            drop(returned);
            inner = self.lock();
        }
        while let Some(content) = batch.front() {
            if let Err(error) = inner.check() {
                self.announce(inner);
                return Err(Stopped { error, dropped });
            }
            // Nearly always.
            let roomy = inner.is_roomy(content, &self.limits);
            if !roomy
                && let Some((wanted, left)) =
                    inner.wait_for(content, &self.limits, &mut patience, timeout)
            {
                inner = self.wait(inner, wanted, left);
                continue;
            }
            if !roomy && !inner.fits(content, &self.limits) {
                if self.limits.leaky == Leaky::Upstream {
                    inner.skipping = true;
                    dropped += 1;
                    batch.pop_front();
                    continue;
                }
                dropped += inner.drop_oldest(content, &self.limits);
            }
            if let Some(content) = batch.pop_front() {
                dropped += inner.append_useful(content);
            }
        }
        self.announce(inner);
        Ok(dropped)
    }

    /// Waits for space, at most so long. What is there by now is for the other end to take.
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

    /// Wakes the other end, if it waits and there is enough for it.
    fn announce(&self, mut inner: MutexGuard<'_, Inner>) {
        let enough = inner.awaited.is_some_and(|least| inner.has(least));
        if enough {
            inner.awaited = None;
            drop(inner);
            self.filled.notify_one();
        }
    }

    /// Appends the end, which takes no space. Nothing is taken behind it. FALSE when nobody takes anything out any more.
    pub(super) fn end(&self, reason: HResult) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        inner.append(Content::EndOfStream(reason));
        inner.ended = true;
        self.space.notify_all();
        self.announce(inner);
        true
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

    /// Hands what is of no use any more to the writer, who frees it when it comes next. Where memory was allocated there is
    /// no lock to be waited for, and it is still in the caches when it is allocated again.
    ///
    /// For a writer that comes at once. [`keep_nothing`](Self::keep_nothing) is for any other: it may wait for this memory.
    pub(super) fn give_back(&self, released: &mut Vec<Bytes>) {
        let mut inner = self.lock();
        if inner.returned.is_empty() {
            std::mem::swap(&mut inner.returned, released);
        } else {
            inner.returned.append(released);
        }
    }

    /// Frees what the writer has not.
    pub(super) fn keep_nothing(&self) {
        let returned = std::mem::take(&mut self.lock().returned);
        drop(returned);
    }

    /// Moves the oldest content behind what is in `taken`: so many bytes, or all if that is not twice as much. Returns how
    /// many there are.
    pub(super) fn take(&self, most: usize, taken: &mut VecDeque<Content>) -> usize {
        let mut inner = self.lock();
        let bytes = inner.move_oldest(most, taken);
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
        bytes
    }

    /// Lets a blocked [`push`](Self::push) return at once, and every later one until it is called with `false`.
    pub(super) fn interrupt(&self, interrupted: bool) {
        self.lock().interrupted = interrupted;
        self.space.notify_all();
    }

    /// Drops all content and refuses more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.contents.clear();
        inner.returned.clear();
        (inner.bytes, inner.packets) = (0, 0);
        self.space.notify_all();
    }

    /// Bytes that wait, and how much stream that is by its Send Times.
    pub(super) fn level(&self) -> (usize, Duration) {
        let inner = self.lock();
        (inner.bytes, inner.time(None))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn check(&self) -> Result<(), PushError> {
        match (self.closed || self.ended, self.interrupted) {
            (true, _) => Err(PushError::Closed),
            (false, true) => Err(PushError::Interrupted),
            (false, false) => Ok(()),
        }
    }

    /// Whether there is something to take, of `least` bytes if more may come.
    fn has(&self, least: usize) -> bool {
        let comes = self.wanted.is_none() && !self.ended;
        !self.contents.is_empty() && (self.bytes >= least || !comes)
    }

    /// What a writer of `content` has to wait for, and how long at the most; `None`: for nothing, or no longer.
    fn wait_for(
        &self,
        content: &Content,
        limits: &Limits,
        patience: &mut Patience,
        timeout: Duration,
    ) -> Option<(Wanted, Duration)> {
        if limits.leaky != Leaky::No || content.packets() == 0 {
            return None;
        }
        let (wanted, deadline) = if !self.fits(content, limits) {
            let known = patience.full.filter(|(_, taken)| *taken == self.taken);
            let (deadline, _) = *patience
                .full
                .insert(known.unwrap_or_else(|| (Instant::now() + timeout, self.taken)));
            (Wanted::Space, deadline)
        } else if !patience.eased && self.is_crowded(limits, patience) {
            let deadline = patience
                .easing
                .get_or_insert_with(|| Instant::now() + EASING.min(timeout));
            (Wanted::Half, *deadline)
        } else {
            return None;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            patience.eased |= wanted == Wanted::Half;
            return None;
        }
        Some((wanted, left))
    }

    /// Whether nothing need be waited for: with `content` it is half full at the most.
    fn is_roomy(&self, content: &Content, limits: &Limits) -> bool {
        let Content::DataUnit(packet) = content else {
            return true;
        };
        let bytes = limits.bytes == 0 || self.bytes + packet.len() <= limits.bytes / 2;
        bytes && (limits.time.is_zero() || self.time(packet.send_time()) <= limits.time / 2)
    }

    /// Whether it is over three quarters full; for who waits for that already, over a half.
    fn is_crowded(&self, limits: &Limits, patience: &Patience) -> bool {
        match patience.easing {
            None => self.is_over(limits, 3),
            Some(_) => self.is_over(limits, 2),
        }
    }

    /// Whether there is more in it than so many quarters of what the limits let in.
    fn is_over(&self, limits: &Limits, quarters: u32) -> bool {
        let bytes = limits.bytes / 4 * quarters as usize;
        let time = limits.time / 4 * quarters;
        (limits.bytes > 0 && self.bytes > bytes)
            || (!limits.time.is_zero() && self.time(None) > time)
    }

    /// Whether `content` can be added within `limits`. Only data packets are ever too much.
    fn fits(&self, content: &Content, limits: &Limits) -> bool {
        let Content::DataUnit(packet) = content else {
            return true;
        };
        let bytes = limits.bytes == 0 || self.bytes + packet.len() <= limits.bytes;
        let time = limits.time.is_zero() || self.time(packet.send_time()) <= limits.time;
        self.packets == 0 || (bytes && time)
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
            .map_or(0, |(first, last)| last.wrapping_sub(first) as i32);
        Duration::from_millis(u64::try_from(span).unwrap_or(0))
    }

    /// Whether `content` is to be dropped for what was dropped before it.
    fn skips(&mut self, content: &Content) -> bool {
        match content {
            Content::DataUnit(packet) => {
                self.skipping &= !self.newest.begins_in(packet);
                self.skipping
            }
            // The entry that follows is whole.
            Content::Header(_) => {
                self.skipping = false;
                false
            }
            Content::EndOfStream(_) => false,
        }
    }

    /// Appends what is not to be dropped; returns how many data packets were.
    fn append_useful(&mut self, content: Content) -> u64 {
        if self.skips(&content) {
            return 1;
        }
        self.append(content);
        0
    }

    fn append(&mut self, content: Content) {
        if let Content::Header(header) = &content {
            self.newest = KeyFrames::of(header);
        }
        self.bytes += content.bytes();
        self.packets += content.packets();
        self.contents.push_back(content);
    }

    fn move_oldest(&mut self, most: usize, taken: &mut VecDeque<Content>) -> usize {
        self.taken += 1;
        if taken.is_empty() && self.bytes <= 2 * most {
            // All of it, without a look at any: the writer does not wait for this.
            std::mem::swap(&mut self.contents, taken);
            self.oldest = self.newest;
            self.packets = 0;
            return std::mem::take(&mut self.bytes);
        }
        let mut bytes = 0;
        while bytes < most
            && let Some(content) = self.take_oldest()
        {
            bytes += content.bytes();
            taken.push_back(content);
        }
        bytes
    }

    fn take_oldest(&mut self) -> Option<Content> {
        let content = self.contents.pop_front()?;
        if let Content::Header(header) = &content {
            self.oldest = KeyFrames::of(header);
        }
        self.bytes -= content.bytes();
        self.packets -= content.packets();
        Some(content)
    }

    /// Drops data packets, the oldest first, until `content` fits and decoding can begin at the oldest that is left.
    /// The header of that stays. Returns how many were dropped.
    fn drop_oldest(&mut self, content: &Content, limits: &Limits) -> u64 {
        let mut dropped = 0;
        let mut header = None;
        while let Some(oldest) = self.contents.front() {
            match oldest {
                Content::DataUnit(packet)
                    if self.fits(content, limits) && self.oldest.begins_in(packet) =>
                {
                    break;
                }
                Content::DataUnit(_) => {
                    self.take_oldest();
                    dropped += 1;
                }
                Content::Header(_) => {
                    // It still waits, unless there is another behind it.
                    self.bytes -= header.as_ref().map_or(0, Content::bytes);
                    header = self.take_oldest();
                    self.bytes += header.as_ref().map_or(0, Content::bytes);
                }
                Content::EndOfStream(_) => break,
            }
        }
        self.skipping = self.contents.is_empty();
        if let Some(header) = header {
            self.contents.push_front(header);
        }
        dropped
    }
}

#[cfg(test)]
mod tests;
