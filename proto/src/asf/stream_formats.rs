// SPDX-License-Identifier: MPL-2.0

//! Comparison of two headers by their streams, for a player that has one header and gets packets of the other.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::file_header::FileHeader;
use super::guid::Guid;
use super::header_tree::HeaderTree;
use super::object::{u16_at, u32_at};
use super::stream_properties::{STREAM_NUMBER, embedded, field};

/// ASF 9.1 Audio media type: offsets of the fields in its WAVEFORMATEX, in bytes
mod audio {
    pub const CODEC: usize = 0;
    pub const CHANNELS: usize = 2;
    pub const SAMPLE_RATE: usize = 4;
    pub const BLOCK_ALIGNMENT: usize = 12;
    pub const CODEC_DATA: usize = 18;
}

/// ASF 9.2 Video media type: offsets of the fields in its BITMAPINFOHEADER, in bytes
mod video {
    pub const WIDTH: usize = 15;
    pub const HEIGHT: usize = 19;
    pub const COMPRESSION: usize = 27;
    pub const CODEC_DATA: usize = 51;
}

/// The part of a Stream Properties Object that a decoder depends on
///
/// Bit rates and buffer sizes are excluded, because a relay that rewrites the container replaces them.
#[derive(Debug, PartialEq, Eq)]
struct StreamFormat {
    stream_type: Guid,
    numbers: [u32; 4],
    codec_data: Bytes,
}

impl FileHeader {
    /// Returns whether a player with this header can decode the streams of `other`. Stream Numbers may differ, because
    /// a relay that rewrites packets may renumber streams.
    pub fn has_streams_of(&self, other: &FileHeader) -> bool {
        let (own, mut others) = (formats(self), formats(other));
        let all_found = own.into_values().all(|format| {
            let found = others.iter().find(|(_, other)| **other == format);
            let number = found.map(|(number, _)| *number);
            number.is_some_and(|number| others.remove(&number).is_some())
        });
        all_found && others.is_empty()
    }
}

/// Returns the formats of all streams by number. Of two with the same number the first counts.
fn formats(header: &FileHeader) -> BTreeMap<u16, StreamFormat> {
    let tree = HeaderTree::of(header);
    let direct = tree.objects(Guid::STREAM_PROPERTIES).cloned();
    let extended = tree.objects(Guid::EXTENDED_STREAM_PROPERTIES);
    let inner = extended.filter_map(|object| Some(object.slice_ref(embedded(object)?)));
    let mut formats = BTreeMap::new();
    for object in direct.chain(inner) {
        if let Some((number, format)) = StreamFormat::read(&object) {
            formats.entry(number).or_insert(format);
        }
    }
    formats
}

impl StreamFormat {
    fn read(object: &Bytes) -> Option<(u16, StreamFormat)> {
        let number = u16_at(object, field::FLAGS)? & STREAM_NUMBER;
        let stream_type = object.get(field::STREAM_TYPE..)?.first_chunk()?;
        let stream_type = Guid::from_bytes(*stream_type);
        let length = u32_at(object, field::TYPE_SPECIFIC_LENGTH)?;
        let length = usize::try_from(length).ok()?;
        let data = object.get(field::TYPE_SPECIFIC..)?.get(..length)?;
        let data = object.slice_ref(data);
        let (numbers, codec_data) = match stream_type {
            Guid::AUDIO_MEDIA => (audio_numbers(&data), audio::CODEC_DATA),
            Guid::VIDEO_MEDIA => (video_numbers(&data), video::CODEC_DATA),
            _ => (Some([0; 4]), 0),
        };
        let format = StreamFormat {
            stream_type,
            numbers: numbers.unwrap_or_default(),
            // A format that is too short for its type is compared as a whole.
            codec_data: match numbers {
                Some(_) => data.slice(codec_data.min(data.len())..),
                None => data,
            },
        };
        Some((number, format))
    }
}

fn audio_numbers(data: &[u8]) -> Option<[u32; 4]> {
    Some([
        u16_at(data, audio::CODEC)?.into(),
        u16_at(data, audio::CHANNELS)?.into(),
        u32_at(data, audio::SAMPLE_RATE)?,
        u16_at(data, audio::BLOCK_ALIGNMENT)?.into(),
    ])
}

fn video_numbers(data: &[u8]) -> Option<[u32; 4]> {
    Some([
        u32_at(data, video::WIDTH)?,
        u32_at(data, video::HEIGHT)?,
        u32_at(data, video::COMPRESSION)?,
        0,
    ])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{extended_stream_properties, header, header_extension, stream_of};
    use super::*;

    fn wma(bytes_per_second: u32, codec_data: &[u8]) -> Vec<u8> {
        let mut format = vec![0x61, 1, 2, 0, 0x44, 0xAC, 0, 0];
        format.extend(bytes_per_second.to_le_bytes());
        format.extend([0x3A, 7, 16, 0, codec_data.len() as u8, 0]);
        format.extend(codec_data);
        format
    }

    fn wmv(width: u32, codec_data: &[u8]) -> Vec<u8> {
        let mut format = vec![0; 51];
        format[15..19].copy_from_slice(&width.to_le_bytes());
        format[27..31].copy_from_slice(b"WMV2");
        format.extend(codec_data);
        format
    }

    fn with(packet_size: u32, streams: &[Vec<u8>]) -> FileHeader {
        header(packet_size, 50, streams)
    }

    #[test]
    fn sizes_and_bit_rates_do_not_change_the_streams() {
        let one = with(
            1500,
            &[stream_of(1, Guid::AUDIO_MEDIA, &wma(8000, &[1, 2]))],
        );
        let other = with(
            3200,
            &[stream_of(1, Guid::AUDIO_MEDIA, &wma(16000, &[1, 2]))],
        );
        assert!(one.has_streams_of(&other));
        assert!(one.has_streams_of(&one));
    }

    #[test]
    fn another_codec_or_picture_size_is_a_different_stream() {
        let video = |number, width, data: &[u8]| {
            with(
                1500,
                &[stream_of(number, Guid::VIDEO_MEDIA, &wmv(width, data))],
            )
        };
        let one = video(2, 320, &[7]);
        for other in [
            video(2, 640, &[7]),
            video(2, 320, &[8]),
            with(1500, &[stream_of(2, Guid::AUDIO_MEDIA, &wma(8000, &[]))]),
            with(1500, &[]),
        ] {
            assert!(!one.has_streams_of(&other));
            assert!(!other.has_streams_of(&one));
        }
        assert!(one.has_streams_of(&video(1, 320, &[7])));
    }

    #[test]
    fn a_stream_in_the_header_extension_counts() {
        let stream = |width| {
            let inner = stream_of(4, Guid::VIDEO_MEDIA, &wmv(width, &[]));
            let extended = extended_stream_properties(4, [0, 0], &inner);
            with(1500, &[header_extension(&[extended])])
        };
        assert!(stream(320).has_streams_of(&stream(320)));
        assert!(!stream(320).has_streams_of(&stream(640)));
    }

    #[test]
    fn a_truncated_format_is_compared_as_a_whole() {
        let cut = |bytes: &[u8]| with(1500, &[stream_of(1, Guid::AUDIO_MEDIA, bytes)]);
        assert!(cut(&[1, 2, 3]).has_streams_of(&cut(&[1, 2, 3])));
        assert!(!cut(&[1, 2, 3]).has_streams_of(&cut(&[1, 2, 4])));
    }
}
