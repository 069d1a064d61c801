// SPDX-License-Identifier: MPL-2.0

//! When a data packet is to leave.

use gst::ClockTime;

/// Turns Send Times, ASF 5.2.2, into running times.
///
/// Only differences count: Send Times begin anywhere (asfmux behind a libav encoder begins at 1000 hours) and wrap
/// after 49 days. Where they go back, or jump, the schedule is anchored anew.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    last: Option<Scheduled>,
    /// The next packet starts a new timeline.
    restart: bool,
}

#[derive(Clone, Copy, Debug)]
struct Scheduled {
    send_time: u32,
    running_time: ClockTime,
}

impl Pacer {
    /// The longest step that is a pause in the stream and not a jump: longer than any preroll.
    const LONGEST_STEP: ClockTime = ClockTime::from_seconds(10);

    /// A new header: its Send Times have nothing to do with those before it.
    pub(super) fn restart(&mut self) {
        self.restart = true;
    }

    /// The running time at which a packet with this Send Time, in milliseconds, is to leave; `now` is the running time
    /// now. It never goes back.
    pub(super) fn schedule(&mut self, send_time: u32, now: ClockTime) -> ClockTime {
        let running_time = match self.last {
            None => now,
            // After the end of what was before.
            Some(last) if self.restart => now.max(last.running_time),
            Some(last) => match step(last.send_time, send_time) {
                Some(step) if step <= Self::LONGEST_STEP => last.running_time + step,
                _ => now.max(last.running_time),
            },
        };
        self.restart = false;
        self.last = Some(Scheduled {
            send_time,
            running_time,
        });
        running_time
    }
}

/// From one Send Time to the next; `None` when it goes back.
fn step(from: u32, to: u32) -> Option<ClockTime> {
    let milliseconds = to.wrapping_sub(from) as i32;
    u64::try_from(milliseconds)
        .ok()
        .map(ClockTime::from_mseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(value: u64) -> ClockTime {
        ClockTime::from_mseconds(value)
    }

    fn schedule(packets: &[(u32, u64)]) -> Vec<u64> {
        let mut pacer = Pacer::default();
        packets
            .iter()
            .map(|&(send, now)| pacer.schedule(send, ms(now)).mseconds())
            .collect()
    }

    #[test]
    fn differences_count_wherever_send_times_begin() {
        for start in [0, 4_989_621, 3_600_000_000, u32::MAX - 250] {
            let sends = [
                start,
                start.wrapping_add(200),
                start.wrapping_add(200),
                start.wrapping_add(700),
            ];
            let packets: Vec<_> = sends.iter().map(|send| (*send, 1000)).collect();
            assert_eq!(schedule(&packets), [1000, 1200, 1200, 1700], "{start}");
        }
    }

    /// Twice through the 32 bits of milliseconds, which are 49.7 days each: no packet is early or late by a millisecond.
    #[test]
    fn months_keep_their_schedule() {
        const STEP: u64 = 4999;
        const FIRST: u32 = 3_600_000_000;
        let mut pacer = Pacer::default();
        for number in 0..2 * (1 << 32) / STEP {
            let running_time = ms(number * STEP);
            let send_time = FIRST.wrapping_add((number * STEP) as u32);
            // Each comes a second before it is due.
            let now = running_time.saturating_sub(ms(1000));
            assert_eq!(pacer.schedule(send_time, now), running_time, "{number}");
        }
    }

    #[test]
    fn a_late_packet_does_not_move_the_schedule() {
        assert_eq!(schedule(&[(0, 0), (100, 5000), (200, 5000)]), [0, 100, 200]);
    }

    #[test]
    fn going_back_and_jumping_anchor_anew() {
        assert_eq!(
            schedule(&[(5000, 0), (4000, 300), (4100, 300)]),
            [0, 300, 400]
        );
        assert_eq!(
            schedule(&[(0, 0), (10_001, 300), (10_101, 300)]),
            [0, 300, 400]
        );
        assert_eq!(schedule(&[(0, 0), (10_000, 300)]), [0, 10_000]);
    }

    #[test]
    fn a_new_timeline_begins_after_the_old_one() {
        let mut pacer = Pacer::default();
        pacer.schedule(0, ms(0));
        pacer.schedule(900, ms(0));
        pacer.restart();
        assert_eq!(pacer.schedule(0, ms(600)), ms(900));
        assert_eq!(pacer.schedule(100, ms(600)), ms(1000));
        pacer.restart();
        assert_eq!(pacer.schedule(0, ms(2000)), ms(2000));
    }
}
