// SPDX-License-Identifier: MPL-2.0

//! What waits between the streaming thread and the driver.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

    /// Appends. While it is full, waits for at most `timeout` and then drops what is oldest, or leaks at once, as the
    /// limits say. Returns how many data packets were dropped.
    pub(super) fn push(&self, content: Content, timeout: Duration) -> Result<u64, PushError> {
        let mut inner = self.lock();
        let mut deadline = None;
        let mut dropped = 0;
        loop {
            inner.check()?;
            if inner.fits(&content, &self.limits) {
                break;
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + timeout);
            let left = deadline.saturating_duration_since(Instant::now());
            match self.limits.leaky {
                Leaky::No if !left.is_zero() => {
                    let waited = self.space.wait_timeout(inner, left);
                    inner = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Leaky::No | Leaky::Downstream => {
                    dropped += inner.drop_oldest(&content, &self.limits);
                }
                Leaky::Upstream => {
                    inner.skipping = true;
                    return Ok(1);
                }
            }
        }
        if inner.skips(&content) {
            return Ok(dropped + 1);
        }
        inner.append(content);
        drop(inner);
        self.filled.notify_one();
        Ok(dropped)
    }

    /// Appends the end, which takes no space. Nothing is taken behind it. FALSE when nobody takes anything out any more.
    pub(super) fn end(&self, reason: HResult) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return false;
        }
        inner.append(Content::EndOfStream(reason));
        inner.ended = true;
        drop(inner);
        self.space.notify_all();
        self.filled.notify_one();
        true
    }

    /// Takes the oldest content, waiting for it as long as it takes.
    ///
    /// For one caller at a time; dropping the future loses nothing.
    pub(super) async fn pop(&self) -> Content {
        loop {
            if let Some(content) = self.try_pop() {
                return content;
            }
            self.filled.notified().await;
        }
    }

    /// Waits until there is something to take. For the caller of [`pop`](Self::pop).
    pub(super) async fn filled(&self) {
        while self.lock().contents.is_empty() {
            self.filled.notified().await;
        }
    }

    /// Takes the oldest content if there is any.
    pub(super) fn try_pop(&self) -> Option<Content> {
        let content = self.lock().take_oldest()?;
        self.space.notify_one();
        Some(content)
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

    fn append(&mut self, content: Content) {
        if let Content::Header(header) = &content {
            self.newest = KeyFrames::of(header);
        }
        self.bytes += content.bytes();
        self.packets += content.packets();
        self.contents.push_back(content);
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
mod tests {
    use std::sync::Arc;
    use std::thread;

    use bytes::Bytes;

    use super::*;
    use crate::asf::{Guid, testing};

    fn queue(bytes: usize, leaky: Leaky) -> Queue {
        Queue::new(Limits {
            bytes,
            time: Duration::ZERO,
            leaky,
        })
    }

    fn packet(size: usize) -> Content {
        Content::DataUnit(DataPacket::parse(Bytes::from(vec![0; size])))
    }

    /// A header with video in stream 2.
    fn header() -> Content {
        let video = testing::stream_of(2, Guid::VIDEO_MEDIA, &[]);
        Content::Header(testing::header(100, 50, &[video]))
    }

    /// A packet of 100 bytes with the beginning of a video frame.
    fn video(send_time: u32, key_frame: bool) -> Content {
        let stream = if key_frame { 0x82 } else { 0x02 };
        let head = [
            &[0x00, 0x5D][..],
            &send_time.to_le_bytes(),
            &[0, 0],
            &[stream, 1, 0, 0, 0, 0, 0],
        ];
        let mut bytes = head.concat();
        bytes.resize(100, 0xEE);
        Content::DataUnit(DataPacket::parse(bytes.into()))
    }

    /// Pushes a header, and a key frame at each multiple of 3; returns how many were dropped.
    fn fill(queue: &Queue, packets: u32) -> u64 {
        queue.push(header(), Duration::ZERO).unwrap();
        let dropped =
            (0..packets).map(|number| queue.push(video(number, number % 3 == 0), Duration::ZERO));
        dropped.map(Result::unwrap).sum()
    }

    /// The Send Times of what waits.
    fn drain(queue: &Queue) -> Vec<u32> {
        let send_time = |content| match content {
            Content::DataUnit(packet) => packet.send_time(),
            _ => None,
        };
        std::iter::from_fn(|| queue.try_pop())
            .filter_map(send_time)
            .collect()
    }

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let queue = queue(1000, Leaky::No);
        for size in [10, 20, 30] {
            queue.push(packet(size), Duration::ZERO).unwrap();
        }
        assert_eq!(queue.level().0, 60);
        let sizes: Vec<_> = std::iter::from_fn(|| queue.try_pop())
            .map(|content| content.bytes())
            .collect();
        assert_eq!(sizes, [10, 20, 30]);
        assert_eq!(queue.level().0, 0);
    }

    #[test]
    fn a_full_queue_blocks_for_a_bounded_time() {
        let queue = queue(100, Leaky::No);
        let one = queue.push(packet(500), Duration::ZERO);
        assert_eq!(one, Ok(0), "one piece always fits");
        let begun = Instant::now();
        let timeout = Duration::from_millis(20);
        assert_eq!(queue.push(packet(1), timeout), Ok(1), "the old one goes");
        assert!(begun.elapsed() >= timeout);
        assert!(queue.end(HResult::S_OK));
        assert_eq!(queue.push(packet(1), timeout), Err(PushError::Closed));
        assert_eq!(queue.try_pop().unwrap().bytes(), 1);
    }

    #[test]
    fn old_packets_go_up_to_a_key_frame() {
        for leaky in [Leaky::Downstream, Leaky::No] {
            let queue = queue(header().bytes() + 500, leaky);
            assert_eq!(fill(&queue, 8), 3, "{leaky:?}");
            assert!(matches!(queue.try_pop(), Some(Content::Header(_))));
            assert_eq!(drain(&queue), [3, 4, 5, 6, 7], "{leaky:?}");
        }
    }

    #[test]
    fn new_packets_go_up_to_a_key_frame() {
        let queue = queue(header().bytes() + 500, Leaky::Upstream);
        assert_eq!(fill(&queue, 8), 3);
        assert!(matches!(queue.try_pop(), Some(Content::Header(_))));
        assert_eq!(drain(&queue), [0, 1, 2, 3, 4]);
        assert_eq!(queue.push(video(8, false), Duration::ZERO), Ok(1));
        assert_eq!(queue.push(video(9, true), Duration::ZERO), Ok(0));
        assert_eq!(queue.push(video(10, false), Duration::ZERO), Ok(0));
        assert_eq!(drain(&queue), [9, 10]);
    }

    /// Where all of a group of pictures had to go, so does what comes of it.
    #[test]
    fn the_rest_of_a_dropped_group_goes_too() {
        let queue = queue(header().bytes() + 200, Leaky::Downstream);
        assert_eq!(fill(&queue, 3), 3);
        assert_eq!(queue.push(video(3, true), Duration::ZERO), Ok(0));
        assert!(matches!(queue.try_pop(), Some(Content::Header(_))));
        assert_eq!(drain(&queue), [3]);
    }

    #[test]
    fn time_is_a_limit_too() {
        let queue = Queue::new(Limits {
            bytes: 0,
            time: Duration::from_millis(4),
            leaky: Leaky::Upstream,
        });
        assert_eq!(fill(&queue, 8), 3);
        assert_eq!(queue.level().1, Duration::from_millis(4));
    }

    #[test]
    fn space_interruption_and_closing_wake_a_blocked_writer() {
        type Action = fn(&Queue);
        let cases: [(Action, Result<u64, PushError>); 4] = [
            (|queue| drop(queue.try_pop()), Ok(0)),
            (|queue| queue.interrupt(true), Err(PushError::Interrupted)),
            (Queue::close, Err(PushError::Closed)),
            (
                |queue| assert!(queue.end(HResult::S_OK)),
                Err(PushError::Closed),
            ),
        ];
        for (wake, outcome) in cases {
            let queue = Arc::new(queue(1, Leaky::No));
            queue.push(packet(1), Duration::ZERO).unwrap();
            let writer = thread::spawn({
                let queue = queue.clone();
                move || queue.push(packet(1), Duration::from_secs(60))
            });
            wake(&queue);
            assert_eq!(writer.join().unwrap(), outcome);
        }
    }

    #[tokio::test]
    async fn the_reader_awaits_content() {
        let queue = Arc::new(queue(1000, Leaky::No));
        let writer = thread::spawn({
            let queue = queue.clone();
            move || queue.push(packet(7), Duration::ZERO)
        });
        queue.filled().await;
        assert_eq!(queue.pop().await.bytes(), 7);
        writer.join().unwrap().unwrap();
    }
}
