// SPDX-License-Identifier: MPL-2.0

//! Counts malformed data packets, and limits the rate of their reports.

use std::time::{Duration, Instant};

use crate::asf::Defect;

/// Minimum interval between two reports.
const INTERVAL: Duration = Duration::from_secs(10);

/// The count of malformed data packets. A muxer produces many of them, or none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MalformedPackets {
    count: u64,
    last: Option<Defect>,
    reported: Option<Reported>,
}

#[derive(Clone, Copy, Debug)]
struct Reported {
    at: Instant,
    count: u64,
}

/// Data packets that no receiver can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Malformed data packets so far.
    pub(super) count: u64,
    /// The defect of the last one.
    pub(super) defect: Defect,
}

impl MalformedPackets {
    /// Counts a malformed data packet. Returns a report at once, then at most every [`INTERVAL`].
    pub(super) fn count(&mut self, defect: Defect, now: Instant) -> Option<Malformed> {
        self.count += 1;
        self.last = Some(defect);
        let recent = self
            .reported
            .is_some_and(|last| now.saturating_duration_since(last.at) < INTERVAL);
        if recent { None } else { self.report(now) }
    }

    /// Returns a final report if the count has risen since the last one.
    pub(super) fn finish(&mut self, now: Instant) -> Option<Malformed> {
        let reported = self.reported.map_or(0, |last| last.count);
        (self.count > reported).then(|| self.report(now)).flatten()
    }

    fn report(&mut self, now: Instant) -> Option<Malformed> {
        let count = self.count;
        self.reported = Some(Reported { at: now, count });
        self.last.map(|defect| Malformed { count, defect })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the reported counts if packets are counted at these seconds.
    fn reports(seconds: &[u64]) -> Vec<u64> {
        let begun = Instant::now();
        let mut packets = MalformedPackets::default();
        let count = |second: &u64| {
            let now = begun + Duration::from_secs(*second);
            packets.count(Defect::NoPayloads, now)
        };
        let mut reports: Vec<_> = seconds.iter().filter_map(count).collect();
        reports.extend(packets.finish(begun));
        assert_eq!(packets.finish(begun), None, "once");
        reports.iter().map(|report| report.count).collect()
    }

    #[test]
    fn malformed_packets_are_reported_every_ten_seconds() {
        assert_eq!(reports(&[]), [0; 0]);
        assert_eq!(reports(&[5]), [1]);
        assert_eq!(reports(&[0, 0, 9, 10, 11, 19, 20, 21]), [1, 4, 7, 8]);
        assert_eq!(reports(&[0, 3600]), [1, 2]);
    }
}
