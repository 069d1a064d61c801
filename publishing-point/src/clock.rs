// SPDX-License-Identifier: MPL-2.0

//! The wall clock of what is shown, which may jump: a machine without a battery sets it when it has a network.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use super::lock::lock;

/// A difference from the wall clock that is no jump. It keeps a shown time from changing with each rounding.
const TOLERANCE: Duration = Duration::from_secs(2);

/// A clock that does not jump, and its difference from the wall clock.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    /// Wall clock at the start. Recorded times count from here.
    base: SystemTime,
    /// Wall clock at the start, as it is now known.
    shown_base: Mutex<SystemTime>,
}

impl Clock {
    pub(super) fn start() -> Self {
        let base = SystemTime::now();
        Self {
            start: Instant::now(),
            base,
            shown_base: Mutex::new(base),
        }
    }

    /// Returns the time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns the instant of a time since the start; `None` if it is out of range.
    pub(super) fn instant(&self, elapsed: Duration) -> Option<Instant> {
        self.start.checked_add(elapsed)
    }

    /// Returns the current time for a record. Pass it to the result of [`shown`](Self::shown) before it is shown.
    pub(super) fn record(&self) -> SystemTime {
        self.base + self.elapsed()
    }

    /// Returns the function that converts recorded times to the wall clock as it is now.
    pub(super) fn shown(&self) -> impl Fn(SystemTime) -> SystemTime + use<> {
        self.shown_at(SystemTime::now(), self.elapsed())
    }

    fn shown_at(
        &self,
        wall: SystemTime,
        elapsed: Duration,
    ) -> impl Fn(SystemTime) -> SystemTime + use<> {
        let base = self.base;
        let mut shown_base = lock(&self.shown_base);
        let now = wall.checked_sub(elapsed).unwrap_or(base);
        if distance(now, *shown_base) > TOLERANCE {
            *shown_base = now;
        }
        let shown_base = *shown_base;
        move |recorded| {
            let since = recorded.duration_since(base).unwrap_or_default();
            shown_base + since
        }
    }
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    match one.duration_since(other) {
        Ok(distance) => distance,
        Err(error) => error.duration(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn recorded_times_follow_a_jump_of_the_wall_clock() {
        let base = SystemTime::UNIX_EPOCH + 5 * SECOND;
        let clock = Clock {
            base,
            shown_base: Mutex::new(base),
            ..Clock::start()
        };
        let recorded = base + 10 * SECOND;
        let shown = |wall| clock.shown_at(wall, 60 * SECOND)(recorded);
        assert_eq!(shown(base + 61 * SECOND), recorded, "it runs a little fast");
        let year = 365 * 86_400 * SECOND;
        assert_eq!(shown(base + year + 60 * SECOND), recorded + year);
        assert_eq!(shown(base + year + 61 * SECOND), recorded + year);
        assert_eq!(shown(base + 60 * SECOND), recorded, "and back");
    }
}
