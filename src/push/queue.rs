// SPDX-License-Identifier: MPL-2.0

//! What waits between the streaming thread and the driver.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::asf::{DataPacket, FileHeader};
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
}

/// Why content did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PushError {
    /// Nobody takes anything out any more.
    Closed,
    /// [`Queue::interrupt`] was called.
    Interrupted,
    /// It stayed full for too long.
    TimedOut,
}

/// A bounded queue: the one end blocks, for a bounded time, the other awaits.
pub(super) struct Queue {
    max_bytes: usize,
    inner: Mutex<Inner>,
    space: Condvar,
    filled: Notify,
}

#[derive(Default)]
struct Inner {
    contents: VecDeque<Content>,
    bytes: usize,
    interrupted: bool,
    closed: bool,
}

impl Queue {
    /// Holds content of about `max_bytes`; one piece always fits.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            inner: Mutex::default(),
            space: Condvar::new(),
            filled: Notify::new(),
        }
    }

    /// Appends, waiting for space for at most `timeout`.
    pub(super) fn push(&self, content: Content, timeout: Duration) -> Result<(), PushError> {
        let bytes = content.bytes();
        let mut inner = self.lock();
        let mut deadline = None;
        loop {
            if inner.closed {
                return Err(PushError::Closed);
            }
            if inner.interrupted {
                return Err(PushError::Interrupted);
            }
            if bytes == 0 || inner.bytes == 0 || inner.bytes + bytes <= self.max_bytes {
                break;
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + timeout);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(PushError::TimedOut);
            }
            inner = self
                .space
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        inner.bytes += bytes;
        inner.contents.push_back(content);
        drop(inner);
        self.filled.notify_one();
        Ok(())
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

    /// Takes the oldest content if there is any.
    pub(super) fn try_pop(&self) -> Option<Content> {
        let mut inner = self.lock();
        let content = inner.contents.pop_front()?;
        inner.bytes -= content.bytes();
        drop(inner);
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
        inner.bytes = 0;
        self.space.notify_all();
    }

    /// Bytes that wait, and how much stream that is by its Send Times.
    pub(super) fn level(&self) -> (usize, Duration) {
        let inner = self.lock();
        let send_time = |content: &Content| match content {
            Content::DataUnit(packet) => packet.send_time(),
            _ => None,
        };
        let first = inner.contents.iter().find_map(send_time);
        let last = inner.contents.iter().rev().find_map(send_time);
        let span = first
            .zip(last)
            .map_or(0, |(first, last)| last.wrapping_sub(first) as i32);
        (
            inner.bytes,
            Duration::from_millis(u64::try_from(span).unwrap_or(0)),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use bytes::Bytes;

    use super::*;

    fn packet(size: usize) -> Content {
        Content::DataUnit(DataPacket::parse(Bytes::from(vec![0; size])))
    }

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let queue = Queue::new(1000);
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
        let queue = Queue::new(100);
        queue
            .push(packet(500), Duration::ZERO)
            .expect("one piece always fits");
        assert_eq!(
            queue.push(packet(1), Duration::from_millis(20)),
            Err(PushError::TimedOut)
        );
        queue
            .push(Content::EndOfStream(HResult::S_OK), Duration::ZERO)
            .expect("the end takes no space");
    }

    #[test]
    fn space_interruption_and_closing_wake_a_blocked_writer() {
        type Action = fn(&Queue);
        let cases: [(Action, Result<(), PushError>); 3] = [
            (|queue| drop(queue.try_pop()), Ok(())),
            (|queue| queue.interrupt(true), Err(PushError::Interrupted)),
            (Queue::close, Err(PushError::Closed)),
        ];
        for (wake, outcome) in cases {
            let queue = Arc::new(Queue::new(1));
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
        let queue = Arc::new(Queue::new(1000));
        let writer = thread::spawn({
            let queue = queue.clone();
            move || queue.push(packet(7), Duration::ZERO)
        });
        assert_eq!(queue.pop().await.bytes(), 7);
        writer.join().unwrap().unwrap();
    }
}
