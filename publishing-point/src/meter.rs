// SPDX-License-Identifier: MPL-2.0

//! The bit rate over the last seconds.

use std::time::Duration;

/// Seconds that a bit rate covers.
const SECONDS: u64 = 10;

/// Bytes received in each of the last seconds. Times are durations since a fixed start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meter {
    bytes: [u64; SECONDS as usize],
    /// Time of the first byte.
    begun: Option<Duration>,
    /// Number of the second in progress.
    second: u64,
}

impl Meter {
    pub(super) fn add(&mut self, bytes: usize, now: Duration) {
        self.begun.get_or_insert(now);
        self.advance(now);
        self.bytes[(self.second % SECONDS) as usize] += bytes as u64;
    }

    /// Returns the bit rate in bit/s; 0 in the first second.
    pub(super) fn bitrate(&self, now: Duration) -> u64 {
        let Some(begun) = self.begun else {
            return 0;
        };
        let mut current = self.clone();
        current.advance(now);
        let since = now.saturating_sub(begun);
        // The second in progress counts for its elapsed part.
        let full =
            Duration::from_secs(SECONDS - 1) + Duration::from_nanos(now.subsec_nanos().into());
        let millis = since.min(full).as_millis() as u64;
        if millis < 1000 {
            return 0;
        }
        current.bytes.iter().sum::<u64>() * 8 * 1000 / millis
    }

    /// Clears the seconds that are too old.
    fn advance(&mut self, now: Duration) {
        let now = now.as_secs();
        let passed = now.saturating_sub(self.second).min(SECONDS);
        for second in 0..passed {
            self.bytes[((now - second) % SECONDS) as usize] = 0;
        }
        self.second = now.max(self.second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    #[test]
    fn a_steady_stream_has_a_constant_bit_rate() {
        let mut meter = Meter::default();
        let mut now = Duration::from_millis(12_345);
        for step in 0..600 {
            meter.add(10_000, now);
            now += STEP;
            let bitrate = meter.bitrate(now);
            if step < 9 {
                assert_eq!(bitrate, 0);
            } else {
                assert!((780_000..=880_000).contains(&bitrate), "{step}: {bitrate}");
            }
        }
    }

    #[test]
    fn the_bit_rate_of_a_stopped_stream_falls_to_zero() {
        let mut meter = Meter::default();
        for step in 0..200 {
            meter.add(10_000, STEP * step);
        }
        let end = STEP * 200;
        assert!(meter.bitrate(end + Duration::from_secs(5)) < 500_000);
        assert_eq!(meter.bitrate(end + Duration::from_secs(10)), 0);
        assert_eq!(meter.bitrate(end + Duration::from_secs(86_400)), 0);
        assert_eq!(Meter::default().bitrate(end), 0);
    }
}
