// SPDX-License-Identifier: MPL-2.0

//! How much the driver takes out of the queue at a time.

use std::time::Duration;

use tokio::time::Instant;

/// In a flood, content is taken in batches, each with one wake-up, because taking every packet by itself costs a multiple.
/// Live content is never a flood: its packets are taken as they come.
pub(super) struct Batching {
    since: Instant,
    bytes: usize,
    flood: bool,
}

impl Batching {
    /// What is waited for in a flood, in bytes: as much as a few `writev` take away.
    const BATCH: usize = 128 * 1024;
    /// How long that may take. Then what is there is taken.
    pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(1);
    /// A flood is measured by this many bytes: it begins with a gigabit per second.
    const MEASURE: usize = 512 * 1024;
    const BEGINS: Duration = Duration::from_millis(4);
    /// So long it may take without being over: threads share processors, and each has to wait for its turn.
    const LASTS: Duration = Duration::from_millis(32);

    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
            flood: false,
        }
    }

    /// So many bytes were taken.
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

    /// No batch has come for a while.
    pub(super) fn calm(&mut self) {
        if self.since.elapsed() > Self::LASTS {
            self.measure();
            self.flood = false;
        }
    }

    /// How long it is since it was last asked.
    fn measure(&mut self) -> Duration {
        let now = Instant::now();
        self.bytes = 0;
        now.duration_since(std::mem::replace(&mut self.since, now))
    }

    pub(super) fn is_flood(&self) -> bool {
        self.flood
    }

    /// How many bytes are worth a wake-up.
    pub(super) fn batch(&self) -> usize {
        if self.flood { Self::BATCH } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stream that [`Batching`] sees in packets of 1,400 bytes, so many a millisecond.
    async fn flow(flow: &mut Batching, packets: usize, milliseconds: usize) {
        for _ in 0..milliseconds {
            tokio::time::advance(Duration::from_millis(1)).await;
            (0..packets).for_each(|_| flow.take(1400));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_flood_is_taken_in_batchs() {
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
    async fn a_flood_is_over_when_it_is_slow_or_nothing_comes() {
        let mut stream = Batching::new();
        flow(&mut stream, 375, 2).await;
        flow(&mut stream, 12, 320).await;
        assert!(stream.is_flood(), "slower than it began");
        flow(&mut stream, 11, 350).await;
        assert!(!stream.is_flood(), "too slow");
        flow(&mut stream, 375, 2).await;
        flow(&mut stream, 0, 32).await;
        stream.calm();
        assert!(stream.is_flood(), "a lull");
        flow(&mut stream, 0, 1).await;
        stream.calm();
        assert!(!stream.is_flood(), "no more");
    }
}
