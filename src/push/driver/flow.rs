// SPDX-License-Identifier: MPL-2.0

//! How much comes at a time.

use std::time::Duration;

use tokio::time::Instant;

/// In a flood content is taken in portions, each with one wake-up: taking every packet by itself costs a multiple.
///
/// What is live never is one: its packets are taken as they come.
pub(super) struct Flow {
    since: Instant,
    bytes: usize,
    flood: bool,
}

impl Flow {
    /// What is waited for in a flood, in bytes: as much as one `writev` or a few take away.
    const PORTION: usize = 64 * 1024;
    /// How long that may take. Then it is a flood no more.
    pub(super) const PATIENCE: Duration = Duration::from_millis(1);
    /// So much within so long is a flood: a gigabit per second.
    const FLOOD: (usize, Duration) = (512 * 1024, Duration::from_millis(4));

    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
            flood: false,
        }
    }

    /// So many bytes were taken.
    pub(super) fn take(&mut self, bytes: usize) {
        let (most, time) = Self::FLOOD;
        self.bytes += bytes;
        if self.bytes >= most {
            let now = Instant::now();
            self.flood = now.duration_since(self.since) <= time;
            (self.since, self.bytes) = (now, 0);
        }
    }

    /// Nothing came for a while.
    pub(super) fn ebb(&mut self) {
        self.flood = false;
    }

    pub(super) fn is_flood(&self) -> bool {
        self.flood
    }

    /// How many bytes are worth a wake-up.
    pub(super) fn portion(&self) -> usize {
        if self.flood { Self::PORTION } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_flood_is_taken_in_portions() {
        let mut flow = Flow::new();
        for _ in 0..10_000 {
            // 1 MB/s
            tokio::time::advance(Duration::from_micros(1400)).await;
            flow.take(1400);
            assert!(!flow.is_flood());
        }
        // A burst, as of a key frame.
        (0..100).for_each(|_| flow.take(1400));
        assert_eq!((flow.is_flood(), flow.portion()), (false, 0));
        (0..1000).for_each(|_| flow.take(1400));
        assert_eq!((flow.is_flood(), flow.portion()), (true, Flow::PORTION));
        flow.ebb();
        assert!(!flow.is_flood());
    }
}
