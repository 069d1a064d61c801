// SPDX-License-Identifier: MPL-2.0

//! Batching: how many bytes the driver takes out of the queue at a time.

use std::time::Duration;

use tokio::time::Instant;

/// At a high data rate (a flood), content is taken in batches with one wake-up each, because a wake-up for every packet
/// costs several times as much. Live content is never a flood: its packets are taken as they are queued.
pub(super) struct Batching {
    since: Instant,
    bytes: usize,
    flood: bool,
}

impl Batching {
    /// Bytes to wait for in a flood: as many as a few `writev` calls write.
    const BATCH: usize = 128 * 1024;
    /// Longest wait for a batch. After it, the driver takes what is queued.
    pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(1);
    /// Bytes over which the data rate is measured.
    const MEASURE: usize = 512 * 1024;
    /// A flood begins when [`MEASURE`](Self::MEASURE) bytes take less than this: 1 Gbit/s.
    const BEGINS: Duration = Duration::from_millis(4);
    /// A flood lasts while they take less than this. The bound is loose, because threads that share processors are
    /// delayed.
    const LASTS: Duration = Duration::from_millis(32);

    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
            flood: false,
        }
    }

    /// Records that `bytes` were taken.
    pub(super) fn take(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= Self::MEASURE {
            let most = if self.flood {
                Self::LASTS
            } else {
                Self::BEGINS
            };
            self.flood = self.measure() <= most;
        }
    }

    /// Records that no batch was complete within [`LONGEST_WAIT`](Self::LONGEST_WAIT).
    pub(super) fn batch_timed_out(&mut self) {
        if self.since.elapsed() > Self::LASTS {
            self.measure();
            self.flood = false;
        }
    }

    /// Starts a new measurement, and returns the duration of the last one.
    fn measure(&mut self) -> Duration {
        let now = Instant::now();
        self.bytes = 0;
        now.duration_since(std::mem::replace(&mut self.since, now))
    }

    pub(super) fn is_flood(&self) -> bool {
        self.flood
    }

    /// Returns the bytes of content to wait for.
    pub(super) fn batch(&self) -> usize {
        if self.flood { Self::BATCH } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `packets` of 1,400 bytes in each of `milliseconds`.
    async fn flow(flow: &mut Batching, packets: usize, milliseconds: usize) {
        for _ in 0..milliseconds {
            tokio::time::advance(Duration::from_millis(1)).await;
            (0..packets).for_each(|_| flow.take(1400));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_flood_is_taken_in_batches() {
        let mut stream = Batching::new();
        flow(&mut stream, 1, 1000).await;
        assert!(!stream.is_flood());
        // A burst, as of a key frame.
        (0..100).for_each(|_| stream.take(1400));
        assert_eq!((stream.is_flood(), stream.batch()), (false, 0));
        flow(&mut stream, 200, 10).await;
        assert_eq!((stream.is_flood(), stream.batch()), (true, Batching::BATCH));
    }

    /// 512 KB are 375 packets.
    #[tokio::test(start_paused = true)]
    async fn a_flood_ends_when_the_rate_falls_or_content_stops() {
        let mut stream = Batching::new();
        flow(&mut stream, 375, 2).await;
        flow(&mut stream, 12, 320).await;
        assert!(stream.is_flood(), "slower than it began");
        flow(&mut stream, 11, 350).await;
        assert!(!stream.is_flood(), "too slow");
        flow(&mut stream, 375, 2).await;
        flow(&mut stream, 0, 32).await;
        stream.batch_timed_out();
        assert!(stream.is_flood(), "a lull");
        flow(&mut stream, 0, 1).await;
        stream.batch_timed_out();
        assert!(!stream.is_flood(), "no more");
    }
}
