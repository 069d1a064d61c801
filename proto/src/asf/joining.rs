// SPDX-License-Identifier: MPL-2.0

//! The first packet for a late joiner.

use bytes::Bytes;

use super::data_packet::DataPacket;
use super::key_frames::KeyFrames;
use super::payload::Place;
use super::selecting::Left;

impl KeyFrames {
    /// Returns the packet without the video payloads before its first key frame, which a late joiner cannot decode.
    /// Other streams stay. A packet without such payloads, or with padding, is returned unchanged.
    pub fn join_at(&self, packet: &DataPacket) -> Bytes {
        let is_start = |place: &Place| place.begins_key_frame && self.is_video(place.stream);
        let places = packet.places().unwrap_or_default();
        let Some(first) = places.iter().position(is_start) else {
            return packet.as_bytes().clone();
        };
        match packet.keep(|number, place| number >= first || !self.is_video(place.stream)) {
            Left::Some(bytes) => bytes,
            Left::All | Left::Nothing => packet.as_bytes().clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::guid::Guid;
    use super::super::testing::{header, stream_of};
    use super::*;

    /// Returns a packet with a Packet Length of two bytes. Each payload is Stream Number and Key Frame Bit, offset,
    /// data.
    pub(in super::super) fn packet(payloads: &[(u8, u8, &[u8])]) -> DataPacket {
        let mut bytes = vec![0x41, 0x55, 0, 0, 7, 0, 0, 0, 9, 0];
        bytes.push(0x80 | payloads.len() as u8);
        for (stream, offset, data) in payloads {
            bytes.extend([*stream, 5, *offset]);
            bytes.push(0);
            bytes.extend((data.len() as u16).to_le_bytes());
            bytes.extend_from_slice(data);
        }
        let length = (bytes.len() as u16).to_le_bytes();
        bytes[2..4].copy_from_slice(&length);
        let packet = DataPacket::parse(bytes.into());
        assert_eq!(packet.defect(), None);
        packet
    }

    fn key_frames() -> KeyFrames {
        let streams = [(1, Guid::AUDIO_MEDIA), (2, Guid::VIDEO_MEDIA)];
        let streams = streams.map(|(number, kind)| stream_of(number, kind, &[]));
        KeyFrames::of(&header(1500, 50, &streams))
    }

    #[test]
    fn video_payloads_before_the_key_frame_are_removed() {
        let all = packet(&[
            (0x02, 9, b"the end of a frame"),
            (0x81, 0, b"sound"),
            (0x02, 0, b"a frame"),
            (0x82, 0, b"a key frame"),
            (0x02, 0, b"a frame that needs it"),
            (0x81, 0, b"more sound"),
        ]);
        let rest = packet(&[
            (0x81, 0, b"sound"),
            (0x82, 0, b"a key frame"),
            (0x02, 0, b"a frame that needs it"),
            (0x81, 0, b"more sound"),
        ]);
        assert_eq!(key_frames().join_at(&all), rest.as_bytes());
    }

    #[test]
    fn a_packet_without_such_payloads_is_unchanged() {
        for payloads in [
            &[(0x82, 0, &b"a key frame"[..]), (0x02, 0, b"a frame")][..],
            &[(0x02, 0, b"a frame"), (0x82, 3, b"not its beginning")],
            &[(0x81, 0, b"sound"), (0x02, 0, b"a frame")],
        ] {
            let packet = packet(payloads);
            assert_eq!(key_frames().join_at(&packet), packet.as_bytes());
        }
        for bytes in [&[0x90, 0, 0][..], &[], &[0x41, 0x51]] {
            let packet = DataPacket::parse(Bytes::copy_from_slice(bytes));
            assert_eq!(key_frames().join_at(&packet), bytes);
        }
    }
}
