// SPDX-License-Identifier: MPL-2.0

/// Send Times of the packets of one playlist entry, in milliseconds
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timeline {
    /// The first and the latest Send Time
    ends: Option<(u32, u32)>,
}

/// Smallest step back in milliseconds that is a restart. Muxers that interleave streams step back by less.
const RESTART: i32 = 1000;

/// Longest step from one packet to the next within a stream, in milliseconds
const STEP: u32 = 60_000;

impl Timeline {
    /// Returns whether a packet with this Send Time may be the next one of the entry. Any may be the first.
    pub fn continues_at(&self, send_time: u32) -> bool {
        let step = |(_, last)| send_time.wrapping_sub(last).cast_signed().unsigned_abs();
        self.ends.map(step).is_none_or(|step| step <= STEP)
    }

    /// Returns whether a packet with this Send Time restarts the entry, after a header that repeats the entry's own.
    ///
    /// The same file restarts at exactly its first Send Time, even if all its packets have that time.
    pub fn is_restarted_by(&self, send_time: u32) -> bool {
        self.ends.is_some_and(|(first, last)| {
            send_time == first || send_time.wrapping_sub(last).cast_signed() <= -RESTART
        })
    }

    pub fn add(&mut self, send_time: u32) {
        let first = self.ends.map_or(send_time, |(first, _)| first);
        self.ends = Some((first, send_time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(times: &[u32]) -> Timeline {
        let mut timeline = Timeline::default();
        times.iter().for_each(|&time| timeline.add(time));
        timeline
    }

    #[test]
    fn an_entry_restarts_at_its_first_time_or_earlier() {
        for (times, next, expected) in [
            (&[0, 4000][..], 0, true),
            (&[0, 300], 0, true),
            (&[0], 0, true),
            (&[700, 9000], 8000, true),
            (&[700, 9000], 8001, false),
            (&[700, 9000], 9000, false),
            (&[700, 9000], 9001, false),
            (&[700, 9000], 0, true),
            (&[u32::MAX - 99, 10], 20, false),
            (&[0, 5], u32::MAX - 994, true),
            (&[3_600_000_000, 3_600_004_000], 3_600_000_000, true),
            (&[], 0, false),
        ] {
            let found = timeline(times).is_restarted_by(next);
            assert_eq!(found, expected, "{times:?}, {next}");
        }
    }

    #[test]
    fn an_entry_continues_within_a_minute() {
        assert!(timeline(&[]).continues_at(u32::MAX));
        assert!(timeline(&[0, 90_000]).continues_at(30_000));
        assert!(!timeline(&[0, 90_000]).continues_at(29_999));
        assert!(timeline(&[0, u32::MAX]).continues_at(59_999));
        assert!(!timeline(&[0, u32::MAX]).continues_at(60_000));
    }
}
