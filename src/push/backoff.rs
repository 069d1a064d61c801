// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

/// Exponential backoff with jitter: 250 ms, doubled for each attempt, at most 10 s.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(10);

    /// Returns the wait before the next attempt. `random` shortens it by up to a quarter, so that encoders that lost
    /// the same server do not reconnect at the same moment.
    pub(super) fn next(&mut self, random: u8) -> Duration {
        let wait = Self::SHORTEST
            .saturating_mul(1 << self.attempts.min(16))
            .min(Self::LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        wait - wait / 4 * u32::from(random) / 255
    }

    /// Counts an attempt that needs no wait.
    pub(super) fn count(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Returns the number of attempts so far.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_seconds() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next(0).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(backoff.attempts(), 8);
    }

    #[test]
    fn random_shortens_a_wait_by_a_quarter_at_most() {
        assert_eq!(Backoff::default().next(255), Duration::from_micros(187_500));
        let mut tired = Backoff { attempts: u32::MAX };
        assert_eq!(tired.next(255), Duration::from_millis(7500));
    }
}
