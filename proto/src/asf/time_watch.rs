// SPDX-License-Identifier: MPL-2.0

//! Detection of times that no player can follow.

use std::fmt;

use super::data_packet::DataPacket;
use super::payload;

/// A detector of absurd times in the data packets of a playlist entry
///
/// A time is absurd if it differs by more than an hour from that of the packet or payload before it. Payloads of
/// different streams are compared too, because streams of one file must not be that far apart. The wrap to 0 after
/// 49 days is no jump. An entry that starts within an hour of 1000 hours has libav's shift.
///
/// Send Times of all packets are compared. Presentation times are read once per second of Send Time, because that takes
/// a quarter of the time that reading a packet takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeWatch {
    /// Send Time of the previous packet, in milliseconds
    send_time: Option<u32>,
    /// Send Time of the last packet whose presentation times were read, in milliseconds
    presentation_read_at: Option<u32>,
    /// Presentation time of the last payload in that packet
    presentation: Option<StreamTime>,
    reported: bool,
}

/// Absurd times that [`TimeWatch`] has detected
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsurdTimes {
    /// The entry starts at 1000 hours, like the output of libav's video encoders.
    Beginning {
        /// First Send Time, in milliseconds
        at: u32,
    },
    /// The Send Time jumps from one packet to the next.
    SendTime {
        /// Send Time of the previous packet, in milliseconds
        from: u32,
        /// Send Time of this packet, in milliseconds
        to: u32,
    },
    /// The presentation time jumps from one payload to the next.
    PresentationTime {
        /// Presentation time of the previous payload
        from: StreamTime,
        /// Presentation time of this payload; if it belongs to another stream, the two streams are apart
        to: StreamTime,
    },
}

/// The presentation time of a payload
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamTime {
    /// Stream Number
    pub stream: u8,
    /// Presentation time in milliseconds, preroll included
    pub time: u32,
}

/// Largest difference between two times that is not absurd, in milliseconds: an hour
const LONGEST: u32 = 3_600_000;
/// Minimum difference between the Send Times of two packets whose presentation times are read, in milliseconds
const INTERVAL: u32 = 1000;
/// Offset that libav's video encoders add to timestamps, in milliseconds: 1000 hours
const LIBAV_SHIFT: u32 = 3_600_000_000;

impl TimeWatch {
    /// Creates a watch at the start of an entry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a new entry, whose times are unrelated to earlier ones and may be reported again.
    pub fn new_entry(&mut self) {
        *self = Self::default();
    }

    /// Continues the entry after a flush, with times that are unrelated to earlier ones.
    pub fn flush(&mut self) {
        *self = Self {
            reported: self.reported,
            ..Self::default()
        };
    }

    /// Examines the next packet of the entry. Returns its absurd times, at most once per entry.
    #[inline]
    pub fn observe(&mut self, packet: &DataPacket) -> Option<AbsurdTimes> {
        if self.reported {
            return None;
        }
        let to = packet.send_time()?;
        let found = match self.send_time.replace(to) {
            Some(from) if distance(from, to) > LONGEST => Some(AbsurdTimes::SendTime { from, to }),
            None if is_shifted(to) => Some(AbsurdTimes::Beginning { at: to }),
            _ if self.is_recent(to) => None,
            _ => self.look_into(packet, to),
        };
        self.reported = found.is_some();
        found
    }

    /// Returns whether presentation times were read less than [`INTERVAL`] from this Send Time.
    fn is_recent(&self, send_time: u32) -> bool {
        let last = self.presentation_read_at;
        last.is_some_and(|last| distance(last, send_time) < INTERVAL)
    }

    #[inline(never)]
    fn look_into(&mut self, packet: &DataPacket, send_time: u32) -> Option<AbsurdTimes> {
        self.presentation_read_at = Some(send_time);
        let layout = packet.layout()?;
        let area = layout.area(packet.as_bytes())?;
        let before = &mut self.presentation;
        payload::presentation_times(area, layout.multiple, |stream, time| {
            let to = StreamTime { stream, time };
            let from = before.replace(to)?;
            (distance(from.time, time) > LONGEST)
                .then_some(AbsurdTimes::PresentationTime { from, to })
        })
    }
}

/// Returns whether a time is within an hour of 1000 hours.
fn is_shifted(time: u32) -> bool {
    distance(LIBAV_SHIFT, time) <= LONGEST
}

/// Returns the distance between two times in milliseconds, in either direction.
fn distance(from: u32, to: u32) -> u32 {
    to.wrapping_sub(from).cast_signed().unsigned_abs()
}

impl AbsurdTimes {
    /// Returns whether the times differ by the shift of libav's video encoders.
    pub fn is_libav_shift(&self) -> bool {
        let (from, to) = match *self {
            AbsurdTimes::Beginning { at } => (0, at),
            AbsurdTimes::SendTime { from, to } => (from, to),
            AbsurdTimes::PresentationTime { from, to } => (from.time, to.time),
        };
        let is_shift = |from: u32, to: u32| is_shifted(to.wrapping_sub(from));
        is_shift(from, to) || is_shift(to, from)
    }
}

impl fmt::Display for AbsurdTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            AbsurdTimes::Beginning { at } => write!(f, "the Send Time begins at {}", Clock(at)),
            AbsurdTimes::SendTime { from, to } => {
                let (from, to) = (Clock(from), Clock(to));
                write!(f, "the Send Time jumps from {from} to {to}")
            }
            AbsurdTimes::PresentationTime { from, to } if from.stream == to.stream => write!(
                f,
                "the presentation time of stream {} jumps from {} to {}",
                to.stream,
                Clock(from.time),
                Clock(to.time)
            ),
            AbsurdTimes::PresentationTime { from, to } => write!(
                f,
                "the presentation time of stream {} is {}, and that of stream {} is {}",
                from.stream,
                Clock(from.time),
                to.stream,
                Clock(to.time)
            ),
        }
    }
}

/// Milliseconds as hours, minutes and seconds
struct Clock(u32);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        write!(f, "{hours}:{minutes:02}:{:02}", seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a packet with payloads of these streams and presentation times in milliseconds.
    fn packet(send_time: u32, payloads: &[(u8, u32)]) -> DataPacket {
        let mut bytes = vec![0x01, 0x5D];
        bytes.extend(send_time.to_le_bytes());
        bytes.extend([0, 0, 0x80 | payloads.len() as u8]);
        for (stream, time) in payloads {
            bytes.extend([*stream, 1, 0, 0, 0, 0, 8, 1, 0, 0, 0]);
            bytes.extend(time.to_le_bytes());
            bytes.extend([1, 0, 0xAA]);
        }
        let packet = DataPacket::parse(bytes.into());
        assert_eq!(packet.defect(), None);
        packet
    }

    fn observed(packets: &[(u32, &[(u8, u32)])]) -> Vec<String> {
        let mut watch = TimeWatch::new();
        let observe = |(send_time, payloads): &(u32, &[_])| {
            let found = watch.observe(&packet(*send_time, payloads))?;
            Some(found.to_string())
        };
        packets.iter().filter_map(observe).collect()
    }

    #[test]
    fn continuous_times_are_not_absurd() {
        for packets in [
            &[
                (0, &[(1, 3000), (2, 3100)][..]),
                (3_600_000, &[(1, 3_603_100)]),
            ][..],
            &[(9000, &[(1, 9000)]), (0, &[(2, 3_609_000)])],
            &[(u32::MAX, &[(1, u32::MAX - 5)]), (9, &[(1, 5)])],
        ] {
            assert_eq!(observed(packets), Vec::<String>::new(), "{packets:?}");
        }
    }

    #[test]
    fn a_jump_of_over_an_hour_is_reported_once() {
        let packets = [
            (5000, &[(1, 8000)][..]),
            (3_605_001, &[(1, 8000)]),
            (0, &[(1, 8000)]),
        ];
        assert_eq!(
            observed(&packets),
            ["the Send Time jumps from 0:00:05 to 1:00:05"]
        );
        let packets = [
            (0, &[(1, 8000)][..]),
            (2879, &[(1, 4_154_509_685)]),
            (5000, &[(1, 0)]),
        ];
        assert_eq!(
            observed(&packets),
            ["the presentation time of stream 1 jumps from 0:00:08 to 1154:01:49"]
        );
    }

    /// The output of asfmux after a libav encoder, without audio: all Send Times are shifted.
    #[test]
    fn an_entry_that_starts_with_the_shift_is_reported() {
        let packets = [
            (3_600_000_000, &[(1, 5000)][..]),
            (3_600_000_040, &[(1, 5040)]),
        ];
        assert_eq!(observed(&packets), ["the Send Time begins at 1000:00:00"]);
        let packets = [(7_200_000, &[(1, 5000)][..]), (3_600_000, &[(1, 5040)])];
        assert_eq!(observed(&packets), [] as [&str; 0]);
    }

    #[test]
    fn presentation_times_are_read_once_a_second() {
        let jumps = |to| observed(&[(0, &[(1, 0)][..]), (to, &[(1, 9_000_000)])]).len();
        assert_eq!([jumps(0), jumps(999), jumps(1000)], [0, 0, 1]);
        assert_eq!(
            [
                jumps(0u32.wrapping_sub(999)),
                jumps(0u32.wrapping_sub(1000))
            ],
            [0, 1]
        );
    }

    #[test]
    fn streams_an_hour_apart_are_reported() {
        let packets = [(0, &[(2, 5000), (1, 3_600_005_000)][..])];
        assert_eq!(
            observed(&packets),
            ["the presentation time of stream 2 is 0:00:05, and that of stream 1 is 1000:00:05"]
        );
    }

    /// ASF 5.2.3.2 Single payload, compressed: its presentation time is in place of the offset
    #[test]
    fn a_compressed_payload_has_a_presentation_time() {
        let compressed = |time: u32| {
            let head = [&[0x00, 0x5D][..], &time.to_le_bytes(), &[0, 0, 0x01, 1]].concat();
            let bytes = [
                &head[..],
                &time.wrapping_mul(2).to_le_bytes(),
                &[1, 40, 2, 0xAA, 0xBB],
            ]
            .concat();
            DataPacket::parse(bytes.into())
        };
        let mut watch = TimeWatch::new();
        assert_eq!(watch.observe(&compressed(0)), None);
        let found = watch.observe(&compressed(3_600_000));
        let stream = |time| StreamTime { stream: 1, time };
        let (from, to) = (stream(0), stream(7_200_000));
        assert_eq!(found, Some(AbsurdTimes::PresentationTime { from, to }));
    }

    #[test]
    fn each_entry_is_reported_and_flushes_are_no_jumps() {
        let mut watch = TimeWatch::new();
        assert_eq!(watch.observe(&packet(0, &[(1, 0)])), None);
        watch.flush();
        let later = packet(9_000_000, &[(1, 9_000_000)]);
        assert_eq!(watch.observe(&later), None);
        assert!(watch.observe(&packet(0, &[(1, 0)])).is_some());
        watch.flush();
        assert_eq!(watch.observe(&later), None);
        assert_eq!(watch.observe(&packet(0, &[(1, 0)])), None);
        watch.new_entry();
        assert_eq!(watch.observe(&later), None);
        assert!(watch.observe(&packet(0, &[(1, 0)])).is_some());
    }

    #[test]
    fn a_jump_of_1000_hours_is_the_libav_shift() {
        let send_time = |from, to| AbsurdTimes::SendTime { from, to };
        for (times, is_shift) in [
            (send_time(0, 3_600_000_000), true),
            (send_time(3_600_005_000, 80), true),
            (send_time(700_000_000, 5_032_704), true),
            (send_time(0, 3_603_600_001), false),
            (send_time(9_000_000, 0), false),
        ] {
            assert_eq!(times.is_libav_shift(), is_shift, "{times}");
        }
    }

    #[test]
    fn unreadable_packets_are_ignored() {
        let mut watch = TimeWatch::new();
        assert_eq!(watch.observe(&packet(0, &[(1, 0)])), None);
        for bytes in [&[0x92, 0, 0, 0xEE][..], &[], &[0x41, 0x51]] {
            let damaged = DataPacket::parse(bytes::Bytes::copy_from_slice(bytes));
            assert_eq!(watch.observe(&damaged), None);
        }
        assert!(watch.observe(&packet(9_000_000, &[(1, 0)])).is_some());
    }
}
