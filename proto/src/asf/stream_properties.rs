// SPDX-License-Identifier: MPL-2.0

use std::num::NonZeroU32;

use super::file_header::{FileHeader, known};
use super::guid::Guid;
use super::header_tree::HeaderTree;
use super::object::{ObjectHead, u16_at, u32_at};

/// ASF 3.3 Stream Properties Object: the properties that a sender of data packets needs
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamProperties {
    /// Stream Number, 1 to 127
    pub number: u8,
    /// Stream Type
    pub stream_type: StreamType,
    /// True if the object is in the Header Object itself, false if it is in an Extended Stream Properties Object
    pub direct: bool,
    /// Peak bit rate in bit/s, by the stream's Extended Stream Properties Object
    pub(super) extended_bitrate: Option<NonZeroU32>,
    /// Average Bytes Per Second of an audio stream's format, converted to bit/s
    pub(super) format_bitrate: Option<NonZeroU32>,
}

/// ASF 10.4 Stream Properties Object GUIDs: the type of a stream
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamType {
    /// ASF_Audio_Media
    Audio,
    /// ASF_Video_Media
    Video,
    /// Any other type, such as commands or still pictures
    Other,
}

/// ASF 3.3 Stream Properties Object: offsets of its fields, in bytes
pub(super) mod field {
    pub const STREAM_TYPE: usize = 24;
    pub const TYPE_SPECIFIC_LENGTH: usize = 64;
    pub const FLAGS: usize = 72;
    pub const TYPE_SPECIFIC: usize = 78;
}

/// ASF 4.1 Extended Stream Properties Object: offsets of its fields, in bytes
mod extended {
    pub const DATA_BITRATE: usize = 40;
    pub const ALTERNATE_DATA_BITRATE: usize = 52;
    pub const STREAM_NUMBER: usize = 72;
    pub const NAME_COUNT: usize = 84;
    pub const EXTENSION_COUNT: usize = 86;
    pub const NAMES: usize = 88;
}

/// ASF 9.1 Audio media type: offset of Average Number of Bytes Per Second in the type-specific data, in bytes
const AVERAGE_BYTES: usize = 8;
/// Stream Number in the Flags of ASF 3.3 Stream Properties Object and ASF 3.12 Stream Bitrate Properties Object
pub(super) const STREAM_NUMBER: u16 = 0x7f;

impl FileHeader {
    /// Returns the streams by ascending number: those in the Header Object, and those that only an Extended Stream
    /// Properties Object has. At most 127; of two with the same number the first counts.
    pub fn streams(&self) -> Vec<StreamProperties> {
        HeaderTree::of(self).streams()
    }
}

impl HeaderTree {
    /// See [`FileHeader::streams`].
    pub fn streams(&self) -> Vec<StreamProperties> {
        let mut streams: Vec<StreamProperties> = Vec::new();
        let mut add = |stream: StreamProperties| {
            if let Err(place) = streams.binary_search_by_key(&stream.number, |known| known.number) {
                streams.insert(place, stream);
            }
        };
        let objects = self.objects(Guid::STREAM_PROPERTIES);
        objects
            .filter_map(|object| StreamProperties::read(object, true))
            .for_each(&mut add);
        let extended = || self.objects(Guid::EXTENDED_STREAM_PROPERTIES);
        extended()
            .filter_map(|object| StreamProperties::read(embedded(object)?, false))
            .for_each(&mut add);
        for (number, bitrate) in extended().filter_map(|object| peak_bitrate(object)) {
            if let Some(stream) = streams.iter_mut().find(|stream| stream.number == number) {
                stream.extended_bitrate.get_or_insert(bitrate);
            }
        }
        streams
    }
}

impl StreamProperties {
    /// Parses an object; `None` if it is too short or has no Stream Number.
    fn read(object: &[u8], direct: bool) -> Option<StreamProperties> {
        let flags = u16_at(object, field::FLAGS)?;
        let guid = object.get(field::STREAM_TYPE..)?.first_chunk()?;
        let stream_type = match Guid::from_bytes(*guid) {
            Guid::AUDIO_MEDIA => StreamType::Audio,
            Guid::VIDEO_MEDIA => StreamType::Video,
            _ => StreamType::Other,
        };
        let format_bitrate = match stream_type {
            StreamType::Audio => average_bitrate(object),
            _ => None,
        };
        Some(StreamProperties {
            number: stream_number(flags)?,
            stream_type,
            direct,
            extended_bitrate: None,
            format_bitrate,
        })
    }
}

/// Returns the Stream Number in these flags; `None` for 0.
pub(super) fn stream_number(flags: u16) -> Option<u8> {
    let number = u8::try_from(flags & STREAM_NUMBER).ok()?;
    (number != 0).then_some(number)
}

/// ASF 9.1 Audio media type: returns Average Number of Bytes Per Second in bit/s
fn average_bitrate(object: &[u8]) -> Option<NonZeroU32> {
    let length = u32_at(object, field::TYPE_SPECIFIC_LENGTH)?;
    let format = object.get(field::TYPE_SPECIFIC..)?;
    let format = format.get(..usize::try_from(length).ok()?)?;
    known(u32_at(format, AVERAGE_BYTES)?.checked_mul(8)?)
}

/// ASF 4.1 Extended Stream Properties Object: returns its Stream Number, and the stream's peak bit rate in bit/s
///
/// The peak is the larger one of Data Bitrate and Alternate Data Bitrate: see MS-RTSP 2.2.5.1.1.
fn peak_bitrate(object: &[u8]) -> Option<(u8, NonZeroU32)> {
    let number = stream_number(u16_at(object, extended::STREAM_NUMBER)?)?;
    let average = known(u32_at(object, extended::DATA_BITRATE)?);
    let alternate = known(u32_at(object, extended::ALTERNATE_DATA_BITRATE)?);
    Some((number, average.max(alternate)?))
}

/// Returns the Stream Properties Object in an Extended Stream Properties Object, which follows its stream names and
/// payload extension systems.
pub(super) fn embedded(object: &[u8]) -> Option<&[u8]> {
    let mut rest = object.get(extended::NAMES..)?;
    for _ in 0..u16_at(object, extended::NAME_COUNT)? {
        let length = 4usize.checked_add(u16_at(rest, 2)?.into())?;
        rest = rest.get(length..)?;
    }
    for _ in 0..u16_at(object, extended::EXTENSION_COUNT)? {
        let information = usize::try_from(u32_at(rest, 18)?).ok()?;
        rest = rest.get(22usize.checked_add(information)?..)?;
    }
    let head = ObjectHead::parse(rest)?;
    let inside = rest.get(..usize::try_from(head.size).ok()?)?;
    (head.guid == Guid::STREAM_PROPERTIES).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        extended_stream_properties, header, header_extension, stream_of, stream_properties,
    };
    use super::*;

    fn streams(children: &[Vec<u8>]) -> Vec<(u8, StreamType, bool)> {
        let header = header(1500, 50, children);
        let streams = header.streams();
        // Stream 0x5A is in every header of these tests.
        let all = streams.iter().filter(|stream| stream.number != 0x5A);
        all.map(|stream| (stream.number, stream.stream_type, stream.direct))
            .collect()
    }

    #[test]
    fn streams_have_a_number_and_a_type() {
        let children = [
            stream_of(3, Guid::VIDEO_MEDIA, &[]),
            stream_of(0x8001, Guid::AUDIO_MEDIA, &[]),
            stream_of(
                2,
                Guid::new(0x59DACFC0, 0x59E6, 0x11D0, 0xA3AC00A0C90348F6),
                &[],
            ),
            stream_of(0, Guid::VIDEO_MEDIA, &[]),
            stream_of(3, Guid::AUDIO_MEDIA, &[]),
        ];
        let expected = [
            (1, StreamType::Audio, true),
            (2, StreamType::Other, true),
            (3, StreamType::Video, true),
        ];
        assert_eq!(streams(&children), expected);
    }

    /// ASF 4.1 Extended Stream Properties Object
    #[test]
    fn a_stream_may_be_in_the_header_extension_only() {
        let inner = stream_of(4, Guid::VIDEO_MEDIA, &[]);
        let extension = header_extension(&[extended_stream_properties(4, [0, 0], &inner)]);
        assert_eq!(streams(&[extension]), [(4, StreamType::Video, false)]);
        let mut cut = extended_stream_properties(4, [0, 0], &inner);
        let size = cut.len() - 78;
        cut[size + 16] += 1;
        assert_eq!(streams(&[header_extension(&[cut])]), []);
        let none = extended_stream_properties(4, [0, 0], &[]);
        assert_eq!(streams(&[header_extension(&[none])]), []);
    }

    #[test]
    fn bit_rates_come_from_format_and_extended_properties() {
        let format = |bytes: u32| [&[0; 8][..], &bytes.to_le_bytes()].concat();
        let children = [
            stream_of(1, Guid::AUDIO_MEDIA, &format(6000)),
            stream_of(2, Guid::AUDIO_MEDIA, &format(u32::MAX)),
            stream_of(3, Guid::AUDIO_MEDIA, &format(0)),
            stream_of(4, Guid::AUDIO_MEDIA, &[7; 11]),
            stream_of(5, Guid::VIDEO_MEDIA, &format(6000)),
            header_extension(&[
                extended_stream_properties(1, [500, 0], &[]),
                extended_stream_properties(5, [500, 700], &[]),
                extended_stream_properties(2, [900, u32::MAX], &[]),
            ]),
        ];
        let header = header(1500, 50, &children);
        let found: Vec<_> = header.streams()[..5]
            .iter()
            .map(|stream| {
                let bits = |rate: Option<NonZeroU32>| rate.map_or(0, NonZeroU32::get);
                (bits(stream.extended_bitrate), bits(stream.format_bitrate))
            })
            .collect();
        assert_eq!(found, [(500, 48_000), (900, 0), (0, 0), (0, 0), (700, 0)]);
    }

    #[test]
    fn a_too_short_object_is_ignored() {
        assert_eq!(
            StreamProperties::read(&stream_properties()[..73], true),
            None
        );
    }
}
