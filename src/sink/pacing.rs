// SPDX-License-Identifier: MPL-2.0

//! The schedule of data packets.

use gst::ClockTime;

/// The schedule of data packets: turns Send Times, ASF 5.2.2, into running times.
///
/// Only differences count: Send Times begin anywhere (asfmux behind a libav encoder begins at 1000 hours) and wrap
/// after 49 days. The schedule follows the highest Send Time. It is re-anchored if Send Times jump, or if it and the
/// clock are far apart.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    /// The packet with the highest Send Time since the schedule was anchored.
    highest: Option<Scheduled>,
    /// The next packet starts a new timeline.
    restart: bool,
}

/// The clock at the time of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// The running time; 0 before it begins.
    pub(super) running_time: ClockTime,
    /// Nanoseconds from the time at which a packet is due until it is sent: latency and `ts-offset`.
    pub(super) offset: i64,
}

#[derive(Clone, Copy, Debug)]
struct Scheduled {
    send_time: u32,
    running_time: ClockTime,
}

impl Pacer {
    /// The longest step that counts as a pause of the stream rather than a jump: longer than any preroll.
    const LONGEST_STEP: ClockTime = ClockTime::from_seconds(10);

    /// The longest step back that counts as reordering, such as that of B-frames or of interleaved streams, rather than
    /// a jump.
    const LONGEST_STEP_BACK: ClockTime = ClockTime::from_seconds(5);

    /// The largest deviation between schedule and clock. A source or server that stalled for longer, or a clock that
    /// was set, re-anchors the schedule.
    const LONGEST_DEVIATION: ClockTime = ClockTime::from_seconds(10);

    /// Starts a new timeline: the next Send Times are unrelated to the previous ones.
    pub(super) fn restart(&mut self) {
        self.restart = true;
    }

    /// Returns the running time at which a packet with this Send Time, in milliseconds, is due.
    pub(super) fn schedule(&mut self, send_time: u32, now: Now) -> ClockTime {
        let restart = std::mem::take(&mut self.restart);
        let due = match self.highest {
            None => now.running_time,
            Some(highest) if highest.running_time > now.latest_due(Self::LONGEST_DEVIATION) => {
                now.due()
            }
            Some(highest) => match Step::between(highest.send_time, send_time) {
                Step::Forward(step) if !restart && step <= Self::LONGEST_STEP => {
                    highest.running_time + step
                }
                Step::Back(step) if !restart && step <= Self::LONGEST_STEP_BACK => {
                    return highest.running_time;
                }
                _ => now.due().max(highest.running_time),
            },
        };
        let is_late = now.due() > due + Self::LONGEST_DEVIATION;
        let running_time = if is_late { now.due() } else { due };
        self.highest = Some(Scheduled {
            send_time,
            running_time,
        });
        running_time
    }
}

impl Now {
    /// Returns the running time of packets that are sent now. A negative offset lets packets leave early, but makes
    /// none late.
    fn due(self) -> ClockTime {
        let delay = ClockTime::from_nseconds(u64::try_from(self.offset).unwrap_or(0));
        self.running_time.saturating_sub(delay)
    }

    /// Returns the latest running time of packets that were sent by now, within `tolerance`.
    fn latest_due(self, tolerance: ClockTime) -> ClockTime {
        let time = self.running_time.saturating_add(tolerance).nseconds();
        ClockTime::from_nseconds(time.saturating_sub_signed(self.offset))
    }
}

/// The difference of two Send Times.
enum Step {
    Forward(ClockTime),
    Back(ClockTime),
}

impl Step {
    /// Returns the shorter difference modulo 32 bits.
    fn between(from: u32, to: u32) -> Self {
        let milliseconds = to.wrapping_sub(from).cast_signed();
        let step = ClockTime::from_mseconds(milliseconds.unsigned_abs().into());
        if milliseconds < 0 {
            Self::Back(step)
        } else {
            Self::Forward(step)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(value: u64) -> ClockTime {
        ClockTime::from_mseconds(value)
    }

    fn at(running_time: u64) -> Now {
        Now {
            running_time: ms(running_time),
            offset: 0,
        }
    }

    fn schedule(packets: &[(u32, u64)]) -> Vec<u64> {
        let mut pacer = Pacer::default();
        packets
            .iter()
            .map(|&(send, now)| pacer.schedule(send, at(now)).mseconds())
            .collect()
    }

    /// Returns the running times at which packets are sent, if each is delivered as soon as the one before was sent,
    /// with an offset in ms.
    fn departures(pacer: &mut Pacer, begin: u64, offset: i64, sends: &[u32]) -> Vec<u64> {
        let mut running_time = begin;
        let leave = |&send: &u32| {
            let now = Now {
                running_time: ms(running_time),
                offset: offset * 1_000_000,
            };
            let due = pacer.schedule(send, now).mseconds();
            running_time = running_time.max(due.saturating_add_signed(offset));
            running_time
        };
        sends.iter().map(leave).collect()
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

    /// Twice through the 32 bits of milliseconds, which are 49.7 days each: no packet deviates by a millisecond.
    #[test]
    fn months_keep_their_schedule() {
        const STEP: u64 = 4999;
        const FIRST: u32 = 3_600_000_000;
        let mut pacer = Pacer::default();
        for number in 0..2 * (1 << 32) / STEP {
            let running_time = ms(number * STEP);
            let send_time = FIRST.wrapping_add((number * STEP) as u32);
            // Each packet is delivered a second early.
            let now = running_time.saturating_sub(ms(1000));
            let now = Now {
                running_time: now,
                offset: 0,
            };
            assert_eq!(pacer.schedule(send_time, now), running_time, "{number}");
        }
    }

    #[test]
    fn a_late_packet_does_not_move_the_schedule() {
        assert_eq!(schedule(&[(0, 0), (100, 5000), (200, 5000)]), [0, 100, 200]);
    }

    #[test]
    fn jumps_re_anchor_the_schedule() {
        let tables = [
            ([(9000, 0), (3999, 300), (4099, 300)], [0, 300, 400]),
            ([(0, 0), (10_001, 300), (10_101, 300)], [0, 300, 400]),
            ([(0, 0), (3_600_000_000, 300), (40, 340)], [0, 300, 340]),
            (
                [(0, 0), (10_000, 300), (10_000, 10_000)],
                [0, 10_000, 10_000],
            ),
        ];
        for (packets, expected) in tables {
            assert_eq!(schedule(&packets), expected, "{packets:?}");
        }
    }

    /// Packets of several streams, and of B-frames.
    #[test]
    fn the_schedule_follows_the_highest_send_time() {
        for back in [100, 160, 5100] {
            let start = u32::MAX - 2000;
            let sends: Vec<_> = (0..100u32)
                .map(|number| {
                    start
                        .wrapping_add(100 * number)
                        .wrapping_sub(back * (number % 2))
                })
                .collect();
            let left = departures(&mut Pacer::default(), 500, 0, &sends);
            let expected = (0..100).map(|number| 500 + 100 * (number - number % 2));
            assert_eq!(left, expected.collect::<Vec<_>>(), "{back}");
        }
    }

    /// A source stalled for an hour while the running time continued.
    #[test]
    fn an_hour_behind_the_clock_the_schedule_is_re_anchored() {
        const HOUR: u64 = 3_600_000;
        assert_eq!(
            schedule(&[(0, 0), (100, HOUR), (200, HOUR), (300, HOUR)]),
            [0, HOUR, HOUR + 100, HOUR + 200]
        );
        assert_eq!(schedule(&[(0, 0), (100, 10_100)]), [0, 100]);
    }

    /// The pipeline got another clock or base time.
    #[test]
    fn a_running_time_that_goes_back_moves_the_schedule() {
        const HOUR: u64 = 3_600_000;
        assert_eq!(
            schedule(&[(0, HOUR), (100, HOUR + 100), (200, 40), (300, 140)]),
            [HOUR, HOUR + 100, 40, 140]
        );
        let mut pacer = Pacer::default();
        pacer.schedule(0, at(HOUR));
        pacer.restart();
        assert_eq!(pacer.schedule(0, at(5)), ms(5), "a new timeline as well");
    }

    #[test]
    fn an_offset_of_any_size_moves_departures_only() {
        let sends = [0, 100, 200, 400, 30_000, 39_000];
        let left = |offset| departures(&mut Pacer::default(), 50_000, offset, &sends);
        assert_eq!(left(0), [50_000, 50_100, 50_200, 50_400, 50_400, 59_400]);
        for offset in [2000, 60_000] {
            let late = left(0).into_iter().map(|time| time + offset as u64);
            assert_eq!(left(offset), late.collect::<Vec<_>>(), "{offset}");
        }
        let early = [50_000, 50_000, 50_000, 50_000, 50_000, 50_000];
        assert_eq!(left(-40_000), early);
    }

    #[test]
    fn a_new_timeline_begins_after_the_old_one() {
        let mut pacer = Pacer::default();
        pacer.schedule(0, at(0));
        pacer.schedule(900, at(0));
        pacer.restart();
        assert_eq!(pacer.schedule(0, at(600)), ms(900));
        assert_eq!(pacer.schedule(100, at(600)), ms(1000));
        pacer.restart();
        assert_eq!(pacer.schedule(0, at(2000)), ms(2000));
    }
}
