// SPDX-License-Identifier: MPL-2.0

//! The bit rates in tags.

use crate::asf::{Bitrates, FileHeader, StreamType};

/// Bit rates of encoders in bit/s, from the tags that muxers forward.
///
/// asfmux and avmux_asf forward the tag lists of each stream separately and without a stream number. The codec tag in a
/// list tells audio from video, which identifies the stream if there is one of that type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TaggedBitrates {
    audio: Option<u32>,
    video: Option<u32>,
    /// From a list without a codec: valid for a header with a single stream.
    untyped: Option<u32>,
}

impl TaggedBitrates {
    /// Adds the bit rate of a tag list, which replaces an earlier one.
    ///
    /// Uses the maximum, else the average, else the nominal bit rate, because servers treat the average in the header
    /// as the peak, MS-RTSP 2.2.5.1.1.
    pub(super) fn add(&mut self, tags: &gst::TagListRef) {
        let maximum = tags.get::<gst::tags::MaximumBitrate>().map(|tag| tag.get());
        let average = tags.get::<gst::tags::Bitrate>().map(|tag| tag.get());
        let nominal = tags.get::<gst::tags::NominalBitrate>().map(|tag| tag.get());
        let Some(bitrate) = maximum.or(average).or(nominal).filter(|rate| *rate > 0) else {
            return;
        };
        let audio = tags.get::<gst::tags::AudioCodec>().is_some();
        let video = tags.get::<gst::tags::VideoCodec>().is_some();
        match (audio, video) {
            (true, false) => self.audio = Some(bitrate),
            (false, true) => self.video = Some(bitrate),
            (false, false) => self.untyped = Some(bitrate),
            (true, true) => {}
        }
    }

    /// Returns the bit rates of the streams of this header; `total` is the given total in bit/s (0: none).
    pub(super) fn of(&self, header: &FileHeader, total: u32) -> Bitrates {
        let streams = header.streams();
        let only = |stream_type| {
            let mut found = streams
                .iter()
                .filter(|stream| stream.stream_type == stream_type);
            found.next().filter(|_| found.next().is_none())
        };
        let mut bitrates = Bitrates {
            total: (total > 0).then_some(total),
            ..Bitrates::default()
        };
        if let ([stream], Some(bitrate)) = (&streams[..], self.untyped) {
            bitrates.streams.insert(stream.number, bitrate);
        }
        for (stream_type, bitrate) in [
            (StreamType::Audio, self.audio),
            (StreamType::Video, self.video),
        ] {
            if let (Some(stream), Some(bitrate)) = (only(stream_type), bitrate) {
                bitrates.streams.insert(stream.number, bitrate);
            }
        }
        bitrates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asf::{Guid, testing};

    /// The tags of a list.
    type List<'a> = &'a [Tag];

    enum Tag {
        Maximum(u32),
        Average(u32),
        Nominal(u32),
        AudioCodec,
        VideoCodec,
    }

    fn tagged(lists: &[List<'_>]) -> TaggedBitrates {
        use gst::TagMergeMode::Append;
        use gst::tags::{AudioCodec, Bitrate, MaximumBitrate, NominalBitrate, VideoCodec};
        gst::init().unwrap();
        let mut tagged = TaggedBitrates::default();
        for list in lists {
            let mut tags = gst::TagList::new();
            let to = tags.make_mut();
            for tag in *list {
                match tag {
                    Tag::Maximum(rate) => to.add::<MaximumBitrate>(rate, Append),
                    Tag::Average(rate) => to.add::<Bitrate>(rate, Append),
                    Tag::Nominal(rate) => to.add::<NominalBitrate>(rate, Append),
                    Tag::AudioCodec => to.add::<AudioCodec>(&"WMA", Append),
                    Tag::VideoCodec => to.add::<VideoCodec>(&"WMV", Append),
                }
            }
            tagged.add(&tags);
        }
        tagged
    }

    /// Returns the bit rates for a header with these streams.
    fn bitrates(tagged: TaggedBitrates, total: u32, streams: &[(u16, Guid)]) -> Vec<(u8, u32)> {
        let streams: Vec<_> = streams
            .iter()
            .map(|&(number, stream_type)| testing::stream_of(number, stream_type, &[]))
            .collect();
        let children = [&[testing::file_properties(100)], &streams[..]].concat();
        let header = testing::header_bytes(&children, 50).into();
        let bitrates = tagged.of(&FileHeader::parse(header).unwrap(), total);
        assert_eq!(bitrates.total.unwrap_or(0), total);
        bitrates.streams.into_iter().collect()
    }

    const AUDIO: List<'_> = &[Tag::Nominal(64_000), Tag::AudioCodec];
    const VIDEO: List<'_> = &[Tag::Nominal(200_000), Tag::VideoCodec];
    const UNTYPED: List<'_> = &[Tag::Average(90_000)];

    #[test]
    fn a_codec_tag_identifies_the_stream_of_a_bit_rate() {
        let streams = [(1, Guid::VIDEO_MEDIA), (2, Guid::AUDIO_MEDIA)];
        let both = tagged(&[AUDIO, VIDEO, UNTYPED]);
        assert_eq!(bitrates(both, 0, &streams), [(1, 200_000), (2, 64_000)]);
        assert_eq!(bitrates(tagged(&[AUDIO]), 7, &streams), [(2, 64_000)]);
        assert_eq!(bitrates(tagged(&[UNTYPED]), 7, &streams), []);
        assert_eq!(
            bitrates(tagged(&[UNTYPED]), 7, &streams[..1]),
            [(1, 90_000)]
        );
    }

    #[test]
    fn tags_do_not_distinguish_two_streams_of_a_type() {
        let streams = [
            (1, Guid::VIDEO_MEDIA),
            (2, Guid::AUDIO_MEDIA),
            (3, Guid::VIDEO_MEDIA),
        ];
        let both = tagged(&[AUDIO, VIDEO]);
        assert_eq!(bitrates(both, 0, &streams), [(2, 64_000)]);
    }

    #[test]
    fn the_maximum_of_the_last_list_with_bit_rates_counts() {
        let all = [
            Tag::Average(5),
            Tag::Maximum(9),
            Tag::Nominal(3),
            Tag::VideoCodec,
        ];
        let none = [Tag::Nominal(0), Tag::VideoCodec];
        let lists = [VIDEO, &all, &none, &[Tag::VideoCodec]];
        let stream = [(1, Guid::VIDEO_MEDIA)];
        assert_eq!(bitrates(tagged(&lists), 0, &stream), [(1, 9)]);
        let neither = [Tag::Average(5), Tag::VideoCodec, Tag::AudioCodec];
        assert_eq!(bitrates(tagged(&[&neither]), 0, &stream), []);
    }
}
