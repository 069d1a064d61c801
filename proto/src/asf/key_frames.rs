// SPDX-License-Identifier: MPL-2.0

use super::data_packet::DataPacket;
use super::file_header::FileHeader;
use super::stream_properties::StreamType;
use super::stream_set::StreamSet;

/// The points in a stream at which decoding can begin
///
/// With several video streams, which are one picture at several bit rates, a key frame of any one of them counts: a
/// player decodes one of them, encoders set their key frames at the same time, and hardly any packet has all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyFrames {
    video: StreamSet,
}

impl KeyFrames {
    /// Creates the rule for the streams in `header`.
    pub fn of(header: &FileHeader) -> KeyFrames {
        let mut video = StreamSet::default();
        for stream in header.streams() {
            if stream.stream_type == StreamType::Video {
                video.insert(stream.number);
            }
        }
        KeyFrames { video }
    }

    /// Returns whether decoding can begin at this packet: it has the first byte of a key frame of a video stream.
    ///
    /// Without a video stream decoding can begin at every packet. With one it cannot begin at an opaque or damaged
    /// packet.
    pub fn begins_in(&self, packet: &DataPacket) -> bool {
        self.video == StreamSet::default() || self.video.intersects(packet.key_frame_starts())
    }

    /// Returns whether `stream` is a video stream.
    pub(super) fn is_video(&self, stream: u8) -> bool {
        let mut set = StreamSet::default();
        set.insert(stream);
        self.video.intersects(set)
    }
}

/// A gate before the data packets of one ASF file header: while closed, it drops packets until decoding can begin
///
/// A player cannot decode anything between a gap in a stream and the next key frame. After a gap the owner closes the
/// gate, and sends only the packets that [`KeyFrameGate::admit`] admits. Each header's packets need a new gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyFrameGate {
    key_frames: KeyFrames,
    /// Longest wait for a key frame, in milliseconds of Send Time
    longest_wait: Option<u32>,
    position: Position,
}

/// The position of a [`KeyFrameGate`]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Position {
    #[default]
    Open,
    Closed {
        /// Lowest Send Time of the packets dropped since the gate was closed, in milliseconds; `None` before the first
        dropped_from: Option<u32>,
    },
}

impl KeyFrameGate {
    /// Creates an open gate for the data packets after `header`.
    pub fn of(header: &FileHeader) -> KeyFrameGate {
        KeyFrameGate {
            key_frames: KeyFrames::of(header),
            ..KeyFrameGate::default()
        }
    }

    /// Returns a gate that opens without a key frame once the Send Times of dropped packets span more than
    /// `milliseconds`. Without this bound, a stream that marks no key frames is dropped for ever.
    #[must_use]
    pub fn with_longest_wait(self, milliseconds: u32) -> KeyFrameGate {
        KeyFrameGate {
            longest_wait: Some(milliseconds),
            ..self
        }
    }

    /// Closes the gate until decoding can begin. Closing a closed gate changes nothing.
    pub fn close(&mut self) {
        if self.is_open() {
            self.position = Position::Closed { dropped_from: None };
        }
    }

    /// Returns whether `packet` may be sent. Opens the gate if decoding can begin at `packet`.
    pub fn admit(&mut self, packet: &DataPacket) -> bool {
        if let Position::Closed { dropped_from } = &mut self.position
            && (self.key_frames.begins_in(packet)
                || has_waited(dropped_from, self.longest_wait, packet))
        {
            self.position = Position::Open;
        }
        self.is_open()
    }

    /// Returns whether the gate is open, so that it admits any packet.
    pub fn is_open(&self) -> bool {
        self.position == Position::Open
    }

    /// Returns the rule by which the gate opens.
    pub fn key_frames(&self) -> KeyFrames {
        self.key_frames
    }
}

/// Returns whether the packets dropped before this one span more than `longest` milliseconds of Send Time. Notes a dropped
/// packet in `dropped_from`.
fn has_waited(dropped_from: &mut Option<u32>, longest: Option<u32>, packet: &DataPacket) -> bool {
    let (Some(longest), Some(send_time)) = (longest, packet.send_time()) else {
        return false;
    };
    let from = *dropped_from.get_or_insert(send_time);
    // Send Times wrap after 49 days, and may step back.
    let waited = send_time.wrapping_sub(from).cast_signed();
    let Ok(waited) = u32::try_from(waited) else {
        *dropped_from = Some(send_time);
        return false;
    };
    waited > longest
}

#[cfg(test)]
mod tests {
    use super::super::guid::Guid;
    use super::super::testing::{header, stream_of};
    use super::*;

    fn packet(types: u8, payloads: &[u8]) -> DataPacket {
        packet_at(7, types, payloads)
    }

    fn packet_at(send_time: u32, types: u8, payloads: &[u8]) -> DataPacket {
        let head = [&[types, 0x5D], &send_time.to_le_bytes()[..], &[9, 0]].concat();
        let mut bytes = [&head, payloads].concat();
        bytes.resize(80, 0xEE);
        DataPacket::parse(bytes.into())
    }

    /// Returns one packet from the middle of a frame of video stream 2 for each Send Time.
    fn middles(send_times: &[u32]) -> Vec<DataPacket> {
        let payload = [0x02, 5, 9, 0, 0, 0, 0];
        let packets = send_times.iter();
        packets.map(|&at| packet_at(at, 0x00, &payload)).collect()
    }

    fn single(stream: u8, offset: u32, replicated: &[u8]) -> DataPacket {
        let mut payload = vec![stream, 5];
        payload.extend(offset.to_le_bytes());
        payload.push(replicated.len() as u8);
        payload.extend(replicated);
        packet(0x00, &payload)
    }

    fn key_frames(streams: &[(u16, Guid)]) -> KeyFrames {
        let streams: Vec<_> = streams
            .iter()
            .map(|&(number, stream_type)| stream_of(number, stream_type, &[]))
            .collect();
        KeyFrames::of(&header(80, 50, &streams))
    }

    const AUDIO_VIDEO: [(u16, Guid); 2] = [(1, Guid::AUDIO_MEDIA), (2, Guid::VIDEO_MEDIA)];

    /// ASF 5.2.3 Payload data
    #[test]
    fn decoding_begins_at_the_start_of_a_video_key_frame() {
        let video = key_frames(&AUDIO_VIDEO);
        assert!(video.begins_in(&single(0x82, 0, &[])));
        assert!(video.begins_in(&single(0x82, 0, &[1; 8])));
        assert!(!video.begins_in(&single(0x82, 1, &[])), "in its middle");
        assert!(!video.begins_in(&single(0x02, 0, &[])), "no key frame");
        assert!(!video.begins_in(&single(0x81, 0, &[])), "audio");
        assert!(
            !video.begins_in(&single(0x83, 0, &[])),
            "of no stream there is"
        );
    }

    /// ASF 5.2.3.2 Single payload, compressed: a presentation time replaces the offset
    #[test]
    fn a_compressed_key_frame_payload_counts_at_any_time() {
        let video = key_frames(&AUDIO_VIDEO);
        assert!(video.begins_in(&single(0x82, 4000, &[40])));
        assert!(!video.begins_in(&single(0x02, 0, &[40])));
    }

    #[test]
    fn a_key_frame_may_begin_in_any_payload() {
        let payloads = |streams: [u8; 2], offset: u8| {
            let payload = |stream, offset| vec![stream, 5, offset, 0, 0, 0, 0, 1, 0, 0xAA];
            let both = [payload(streams[0], 0), payload(streams[1], offset)];
            packet(0x01, &[&[0x82][..], &both.concat()].concat())
        };
        let video = key_frames(&AUDIO_VIDEO);
        assert!(video.begins_in(&payloads([0x01, 0x82], 0)));
        assert!(!video.begins_in(&payloads([0x81, 0x82], 9)));
        assert!(!video.begins_in(&payloads([0x81, 0x02], 0)));
    }

    #[test]
    fn a_key_frame_of_any_video_stream_suffices() {
        let several = key_frames(&[(1, Guid::VIDEO_MEDIA), (0x7f, Guid::VIDEO_MEDIA)]);
        assert!(several.begins_in(&single(0x81, 0, &[])));
        assert!(several.begins_in(&single(0xff, 0, &[])));
        assert!(!several.begins_in(&single(0x82, 0, &[])));
    }

    #[test]
    fn without_video_decoding_begins_at_any_packet() {
        let audio = key_frames(&[(1, Guid::AUDIO_MEDIA)]);
        let video = key_frames(&AUDIO_VIDEO);
        let opaque = DataPacket::parse([&[0x92, 0, 0][..], &[0; 40]].concat().into());
        assert!(opaque.defect().is_none());
        let damaged = DataPacket::parse(vec![0x00; 40].into());
        assert!(damaged.defect().is_some());
        for packet in [single(0x01, 7, &[]), opaque, damaged] {
            assert!(audio.begins_in(&packet));
            assert!(!video.begins_in(&packet));
        }
    }
    fn gate(streams: &[(u16, Guid)]) -> KeyFrameGate {
        KeyFrameGate {
            key_frames: key_frames(streams),
            ..KeyFrameGate::default()
        }
    }

    fn admitted(gate: &mut KeyFrameGate, packets: &[DataPacket]) -> Vec<bool> {
        packets.iter().map(|packet| gate.admit(packet)).collect()
    }

    #[test]
    fn a_closed_gate_opens_at_a_key_frame() {
        let packets = [
            single(0x02, 0, &[]),
            single(0x81, 0, &[]),
            single(0x82, 0, &[]),
            single(0x02, 0, &[]),
        ];
        let mut gate = gate(&AUDIO_VIDEO);
        assert!(gate.is_open());
        assert_eq!(admitted(&mut gate, &packets), [true; 4]);
        gate.close();
        gate.close();
        assert!(!gate.is_open());
        assert_eq!(admitted(&mut gate, &packets), [false, false, true, true]);
        assert!(gate.is_open());
    }

    #[test]
    fn without_video_a_closed_gate_opens_at_the_next_packet() {
        let mut gate = gate(&AUDIO_VIDEO[..1]);
        gate.close();
        assert!(gate.admit(&single(0x01, 7, &[])));
    }

    #[test]
    fn a_gate_without_a_bound_stays_closed() {
        let mut gate = gate(&AUDIO_VIDEO);
        gate.close();
        let packets = middles(&[0, 3_600_000, u32::MAX / 2]);
        assert_eq!(admitted(&mut gate, &packets), [false; 3]);
    }

    #[test]
    fn the_longest_wait_is_measured_in_send_times() {
        let bounded = gate(&AUDIO_VIDEO).with_longest_wait(30_000);
        for start in [0, u32::MAX - 10_000] {
            let at = |ms: u32| start.wrapping_add(ms);
            let packets = middles(&[at(0), at(29_999), at(30_000), at(30_001), at(30_001)]);
            let mut gate = bounded;
            for _ in 0..2 {
                gate.close();
                let expected = [false, false, false, true, true];
                assert_eq!(admitted(&mut gate, &packets), expected, "{start}");
            }
        }
    }

    #[test]
    fn send_times_that_step_back_do_not_open_the_gate() {
        let mut gate = gate(&AUDIO_VIDEO).with_longest_wait(30_000);
        gate.close();
        let packets = middles(&[5_000, 4_940, 5_060, 5_000, 34_940, 34_941]);
        let expected = [false, false, false, false, false, true];
        assert_eq!(admitted(&mut gate, &packets), expected);
    }
}
