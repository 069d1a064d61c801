// SPDX-License-Identifier: MPL-2.0

//! The bytes and packets of a publishing point over the last ten minutes.

use std::time::Duration;

/// Seconds that one sample covers.
pub(super) const SAMPLE_SECONDS: u64 = 5;

/// Samples in ten minutes.
const SAMPLES: u64 = 600 / SAMPLE_SECONDS;

/// The bytes and packets of one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) bytes: u64,
    pub(super) packets: u64,
}

/// A ring of samples. Time is a duration since any fixed start.
#[derive(Clone, Debug)]
pub(super) struct History {
    samples: [Sample; SAMPLES as usize],
    /// Number of the sample in progress.
    current: u64,
    /// Number of the first sample.
    first: u64,
}

impl History {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            samples: [Sample::default(); SAMPLES as usize],
            current: number(now),
            first: number(now),
        }
    }

    /// Counts a packet.
    pub(super) fn add(&mut self, bytes: usize, now: Duration) {
        self.advance(number(now));
        let sample = &mut self.samples[(self.current % SAMPLES) as usize];
        sample.bytes += bytes as u64;
        sample.packets += 1;
    }

    /// Returns the complete samples from number `from` on, and the number of the first one returned.
    pub(super) fn since(&self, from: u64, now: Duration) -> (u64, Vec<Sample>) {
        let mut history = self.clone();
        history.advance(number(now));
        let oldest = (history.current + 1).saturating_sub(SAMPLES);
        let from = from.max(oldest).max(history.first).min(history.current);
        let sample = |number: u64| history.samples[(number % SAMPLES) as usize];
        (from, (from..history.current).map(sample).collect())
    }

    /// Clears the samples of the time that has passed without packets.
    fn advance(&mut self, to: u64) {
        for step in 0..to.saturating_sub(self.current).min(SAMPLES) {
            self.samples[((to - step) % SAMPLES) as usize] = Sample::default();
        }
        self.current = self.current.max(to);
    }
}

/// Returns the number of the sample at this time.
pub(super) fn number(now: Duration) -> u64 {
    now.as_secs() / SAMPLE_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn complete_samples_are_readable_for_ten_minutes() {
        let mut history = History::new(7 * SECOND);
        for second in 7..1000 {
            history.add(100, second * SECOND);
        }
        let (from, samples) = history.since(0, 1000 * SECOND);
        assert_eq!((from, samples.len()), (81, 119));
        let full = Sample {
            bytes: 500,
            packets: 5,
        };
        assert!(samples.iter().all(|sample| *sample == full));
        assert_eq!(history.since(198, 1000 * SECOND), (198, vec![full; 2]));
        assert_eq!(history.since(u64::MAX, 1000 * SECOND), (200, vec![]));
    }

    #[test]
    fn silence_is_part_of_the_history() {
        let mut history = History::new(Duration::ZERO);
        history.add(100, SECOND);
        let (_, samples) = history.since(0, 20 * SECOND);
        assert_eq!(samples.len(), 4);
        assert_eq!((samples[0].bytes, samples[1].bytes), (100, 0));
        let (_, samples) = history.since(0, 86_400 * SECOND);
        assert!(samples.iter().all(|sample| sample.bytes == 0));
    }
}
