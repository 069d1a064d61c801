// SPDX-License-Identifier: MPL-2.0

//! The ages of the contents of the queue.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Shortest interval between two marks. Content that is handed over in between counts as old as the mark.
const RESOLUTION: Duration = Duration::from_millis(100);

/// The times at which contents were handed to the queue, with one mark for many contents.
///
/// Contents are numbered from 0 in the order of the queue. Content that is taken from the front and put back keeps its
/// number.
#[derive(Debug, Default)]
pub(super) struct Handovers {
    /// The oldest first.
    marks: VecDeque<Mark>,
    /// Contents handed over so far.
    count: u64,
}

/// The time of all contents from number `first` up to the next mark.
#[derive(Clone, Copy, Debug)]
struct Mark {
    first: u64,
    at: Instant,
}

impl Handovers {
    /// Records that content is handed over now. It may have to wait before it is [appended](Self::append).
    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        let mark = Mark {
            first: self.count,
            at: now,
        };
        match self.marks.back_mut() {
            Some(last) if last.first == self.count => *last = mark,
            Some(last) if now.saturating_duration_since(last.at) < RESOLUTION => {}
            _ => self.marks.push_back(mark),
        }
    }

    /// Counts content that was appended to the queue.
    pub(super) fn append(&mut self) {
        self.count += 1;
    }

    /// Forgets the times of all but the last `waiting` contents, which are in the queue. Call this before content is
    /// taken, so that content that is put back still has its time.
    pub(super) fn forget_taken(&mut self, waiting: usize) {
        let oldest = self.oldest(waiting);
        while self.marks.get(1).is_some_and(|mark| mark.first <= oldest) {
            self.marks.pop_front();
        }
    }

    /// Returns the time since the oldest of the last `waiting` contents was handed over.
    pub(super) fn age(&self, waiting: usize) -> Duration {
        let oldest = self.oldest(waiting);
        let later = self.marks.partition_point(|mark| mark.first <= oldest);
        let mark = later.checked_sub(1).and_then(|at| self.marks.get(at));
        mark.map_or(Duration::ZERO, |mark| mark.at.elapsed())
    }

    fn oldest(&self, waiting: usize) -> u64 {
        self.count.saturating_sub(waiting as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(milliseconds: u64) {
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
    }

    fn hand_over(handovers: &mut Handovers, count: u64) {
        handovers.begin();
        (0..count).for_each(|_| handovers.append());
    }

    fn ages(handovers: &Handovers, waiting: [usize; 4]) -> [u128; 4] {
        waiting.map(|waiting| handovers.age(waiting).as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn content_is_as_old_as_its_handover() {
        let mut handovers = Handovers::default();
        assert_eq!(handovers.age(0), Duration::ZERO);
        for _ in 0..3 {
            hand_over(&mut handovers, 2);
            pass(1000).await;
        }
        assert_eq!(ages(&handovers, [6, 5, 4, 1]), [3000, 3000, 2000, 1000]);
    }

    #[tokio::test(start_paused = true)]
    async fn handovers_within_a_tenth_of_a_second_share_a_mark() {
        let mut handovers = Handovers::default();
        for _ in 0..100 {
            hand_over(&mut handovers, 1);
            pass(10).await;
        }
        assert_eq!(handovers.marks.len(), 10);
        assert_eq!(ages(&handovers, [100, 91, 90, 1]), [1000, 1000, 900, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn content_that_is_put_back_keeps_its_age() {
        let mut handovers = Handovers::default();
        for _ in 0..4 {
            hand_over(&mut handovers, 1);
            pass(1000).await;
        }
        handovers.forget_taken(4);
        hand_over(&mut handovers, 1);
        assert_eq!(ages(&handovers, [5, 4, 2, 1]), [4000, 3000, 1000, 0]);
        handovers.forget_taken(2);
        assert_eq!(handovers.marks.len(), 2);
    }

    /// A queue that leaks upstream drops new content.
    #[tokio::test(start_paused = true)]
    async fn dropped_content_leaves_no_mark() {
        let mut handovers = Handovers::default();
        hand_over(&mut handovers, 1);
        for _ in 0..1000 {
            pass(1000).await;
            handovers.begin();
        }
        assert_eq!(handovers.marks.len(), 2);
        assert_eq!(handovers.age(1), Duration::from_secs(1000));
    }
}
