// SPDX-License-Identifier: MPL-2.0

use super::data_packet::DataPacket;
use super::file_header::FileHeader;
use super::stream_properties::StreamType;

/// Where decoding of the streams in a file header can begin
///
/// With several video streams, which are those of several bit rates, a key frame of any one of them counts: a player
/// decodes one of them, encoders set the key frames of all at the same time, and one packet hardly ever has them all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyFrames {
    video: StreamSet,
}

/// Numbers of streams, each of 0 to 127: a bit each, in bytes, so that it leaves no gaps in a packet
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StreamSet([u8; 16]);

impl KeyFrames {
    /// Those of the video streams in this header.
    pub fn of(header: &FileHeader) -> KeyFrames {
        let mut video = StreamSet::default();
        for stream in header.streams() {
            if stream.stream_type == StreamType::Video {
                video.insert(stream.number);
            }
        }
        KeyFrames { video }
    }

    /// Whether decoding can begin at this packet: whether the first byte of a video stream's key frame is in it.
    ///
    /// Without a video stream it can at every packet. With one it cannot at a packet that is opaque or damaged.
    pub fn begins_in(&self, packet: &DataPacket) -> bool {
        self.video == StreamSet::default() || self.video.meets(packet.key_frame_starts())
    }
}

impl KeyFrames {
    /// Whether this is the number of a video stream.
    pub(super) fn is_video(&self, stream: u8) -> bool {
        let mut set = StreamSet::default();
        set.insert(stream);
        self.video.meets(set)
    }
}

impl StreamSet {
    /// Adds a stream; only the lower seven bits of `number` count.
    pub fn insert(&mut self, number: u8) {
        let number = 1u128.wrapping_shl(u32::from(number & 0x7f));
        self.0 = (self.bits() | number).to_le_bytes();
    }

    fn meets(self, other: StreamSet) -> bool {
        self.bits() & other.bits() != 0
    }

    fn bits(self) -> u128 {
        u128::from_le_bytes(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::guid::Guid;
    use super::super::testing::{header, stream_of};
    use super::*;

    fn packet(types: u8, payloads: &[u8]) -> DataPacket {
        let mut bytes = [&[types, 0x5D, 7, 0, 0, 0, 9, 0], payloads].concat();
        bytes.resize(80, 0xEE);
        DataPacket::parse(bytes.into())
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
    fn decoding_begins_where_a_key_frame_of_a_video_stream_begins() {
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

    /// ASF 5.2.3.2 Single payload, compressed: what would be the offset is a presentation time
    #[test]
    fn a_compressed_payload_begins_wherever_it_is() {
        let video = key_frames(&AUDIO_VIDEO);
        assert!(video.begins_in(&single(0x82, 4000, &[40])));
        assert!(!video.begins_in(&single(0x02, 0, &[40])));
    }

    #[test]
    fn every_payload_of_a_packet_counts() {
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
    fn any_of_several_video_streams_will_do() {
        let several = key_frames(&[(1, Guid::VIDEO_MEDIA), (0x7f, Guid::VIDEO_MEDIA)]);
        assert!(several.begins_in(&single(0x81, 0, &[])));
        assert!(several.begins_in(&single(0xff, 0, &[])));
        assert!(!several.begins_in(&single(0x82, 0, &[])));
    }

    #[test]
    fn without_video_decoding_begins_anywhere() {
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
}
