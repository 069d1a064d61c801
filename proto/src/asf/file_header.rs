// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;

use super::error::Error;
use super::format::Format;
use super::guid::Guid;
use super::object::{Object, ObjectHead, u32_at, u64_at, walk};
use super::{MAX_PACKET_SIZE, MIN_PACKET_SIZE};

/// Largest Header Object to read, in bytes
pub(crate) const MAX_HEADER_OBJECT: u64 = 16 * 1024 * 1024;

/// Size of the Header Object's own head in bytes
pub(crate) const HEADER_HEAD: usize = ObjectHead::LEN + 4 /* count */ + 2 /* reserved */;

/// Size of the Data Object's head in bytes
pub(crate) const DATA_HEAD: usize = ObjectHead::LEN + 16 /* File ID */ + 8 /* packets */ + 2 /* reserved */;

/// ASF 3.2 File Properties Object (mandatory, one only): offsets of its fields from the object's start, in bytes
pub(crate) mod file_properties {
    pub const FILE_ID: usize = 24;
    pub const FILE_SIZE: usize = 40;
    pub const DATA_PACKETS: usize = 56;
    pub const PLAY_DURATION: usize = 64;
    pub const SEND_DURATION: usize = 72;
    pub const PREROLL: usize = 80;
    pub const FLAGS: usize = 88;
    pub const MINIMUM_PACKET: usize = 92;
    pub const MAXIMUM_PACKET: usize = 96;
    pub const MAXIMUM_BITRATE: usize = 100;
    pub const LEN: usize = 104;
    pub const BROADCAST: u32 = 1;
    pub const SEEKABLE: u32 = 2;
}

/// ASF 5.1 Data Object: offsets of the fields in its head, in bytes
pub(crate) mod data_object {
    pub const SIZE: usize = 16;
    pub const FILE_ID: usize = 24;
    pub const TOTAL_PACKETS: usize = 40;
}

/// ASF 3.1 Header Object, and the first 50 bytes of the Data Object (ASF 5.1) after it
///
/// Together they are the *ASF file header*, which is sent before the data packets.
/// Clones are cheap, because they share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct FileHeader {
    bytes: Bytes,
    header_object: usize,
    packet_size: usize,
    data_packets: Option<u64>,
    preroll: u64,
    maximum_bitrate: u32,
    broadcast: bool,
    streams: usize,
}

impl FileHeader {
    /// Parses exactly a Header Object and 50 bytes of Data Object.
    ///
    /// Children are found by their sizes. The child count and the reserved fields are ignored.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not such a header, or if its data packets have a size that cannot be sent.
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        if let Some((offset, found)) = Guid::HEADER.mismatch(bytes.get(..16).unwrap_or(&bytes)) {
            return Err(Error::NotAsf {
                offset,
                found,
                format: Format::of(&bytes),
            });
        }
        let head = ObjectHead::parse(&bytes).ok_or(Error::Incomplete {
            bytes: bytes.len() as u64,
        })?;
        let expected = file_header_size(head)?;
        if bytes.len() != expected {
            return Err(Error::HeaderLength {
                expected: expected as u64,
                found: bytes.len() as u64,
            });
        }
        let header_object = expected.saturating_sub(DATA_HEAD);
        let summary = Summary::of(bytes.slice(HEADER_HEAD..header_object))?;
        let data = bytes.slice(header_object..);
        let announced = count_data_packets(&data, summary.packet_size)?;
        Ok(FileHeader {
            bytes,
            header_object,
            packet_size: summary.packet_size,
            data_packets: announced.filter(|_| !summary.broadcast),
            preroll: summary.preroll,
            maximum_bitrate: summary.maximum_bitrate,
            broadcast: summary.broadcast,
            streams: summary.streams,
        })
    }

    /// Returns all bytes of the file header.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the size of every data packet in bytes: P.
    pub fn packet_size(&self) -> usize {
        self.packet_size
    }

    /// Returns the number of data packets, by the Data Object's size; `None` for a live stream without that size, or if
    /// the Broadcast Flag says that the size is invalid (ASF 3.2 File Properties Object).
    pub fn data_packets(&self) -> Option<u64> {
        self.data_packets
    }

    /// Returns Preroll in milliseconds: a player buffers this long, and presentation times include it.
    pub fn preroll(&self) -> u64 {
        self.preroll
    }

    /// Returns Maximum Bitrate in bit/s; 0 if the producer wrote 0 or 0xFFFFFFFF, which mean "unknown".
    pub fn maximum_bitrate(&self) -> u32 {
        self.maximum_bitrate
    }

    /// Returns whether the Broadcast Flag is set, which makes counts, sizes and durations invalid.
    pub fn is_broadcast(&self) -> bool {
        self.broadcast
    }

    /// Returns the number of Stream Properties Objects directly in the Header Object.
    pub fn stream_count(&self) -> usize {
        self.streams
    }

    /// Returns the size of the Header Object in bytes, without the 50 bytes after it.
    pub(crate) fn header_object_size(&self) -> usize {
        self.header_object
    }

    /// Returns the number of bytes in the Data Object after the last whole packet. They are not usable.
    pub(crate) fn data_remainder(&self) -> u64 {
        let size = self
            .bytes
            .get(self.header_object..)
            .and_then(|data| u64_at(data, data_object::SIZE));
        match (self.data_packets, size) {
            (Some(_), Some(size)) => size
                .saturating_sub(DATA_HEAD as u64)
                .checked_rem(self.packet_size as u64)
                .unwrap_or(0),
            _ => 0,
        }
    }
}

impl fmt::Debug for FileHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileHeader")
            .field("bytes", &self.bytes.len())
            .field("packet_size", &self.packet_size)
            .field("data_packets", &self.data_packets)
            .field("broadcast", &self.broadcast)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// Returns the size of the file header in bytes, which the Header Object's head announces. Checked before buffering.
pub(crate) fn file_header_size(head: ObjectHead) -> Result<usize, Error> {
    let ObjectHead { size, .. } = head;
    if size < HEADER_HEAD as u64 {
        return Err(Error::HeaderTooSmall { size });
    }
    let too_large = Error::HeaderTooLarge {
        size,
        limit: MAX_HEADER_OBJECT,
    };
    if size > MAX_HEADER_OBJECT {
        return Err(too_large);
    }
    usize::try_from(size)
        .ok()
        .and_then(|size| size.checked_add(DATA_HEAD))
        .ok_or(too_large)
}

/// The values found in the children of a Header Object
#[derive(Default)]
struct Summary {
    packet_size: usize,
    preroll: u64,
    maximum_bitrate: u32,
    broadcast: bool,
    streams: usize,
}

impl Summary {
    fn of(children: Bytes) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        let mut file_properties = false;
        for object in walk(children, HEADER_HEAD) {
            let object = object?;
            match object.guid {
                Guid::FILE_PROPERTIES if file_properties => {
                    return Err(Error::SecondFileProperties);
                }
                Guid::FILE_PROPERTIES => {
                    file_properties = true;
                    summary.read_file_properties(&object)?;
                }
                Guid::STREAM_PROPERTIES => summary.streams = summary.streams.saturating_add(1),
                _ => {}
            }
        }
        if !file_properties {
            return Err(Error::NoFileProperties);
        }
        if summary.streams == 0 {
            return Err(Error::NoStreamProperties);
        }
        Ok(summary)
    }

    fn read_file_properties(&mut self, object: &Object) -> Result<(), Error> {
        use file_properties::{
            FLAGS, LEN, MAXIMUM_BITRATE, MAXIMUM_PACKET, MINIMUM_PACKET, PREROLL,
        };
        let bytes: &[u8] = &object.bytes;
        let too_small = Error::FilePropertiesTooSmall {
            size: bytes.len() as u64,
        };
        if bytes.len() < LEN {
            return Err(too_small);
        }
        let u32_field = |offset| u32_at(bytes, offset).ok_or(too_small.clone());
        let (minimum, maximum) = (u32_field(MINIMUM_PACKET)?, u32_field(MAXIMUM_PACKET)?);
        if minimum != maximum {
            return Err(Error::PacketSizesDiffer { minimum, maximum });
        }
        self.packet_size = usize::try_from(maximum)
            .ok()
            .filter(|size| (MIN_PACKET_SIZE..=MAX_PACKET_SIZE).contains(size))
            .ok_or(Error::PacketSize { size: maximum })?;
        self.broadcast = u32_field(FLAGS)? & file_properties::BROADCAST != 0;
        self.maximum_bitrate = known(u32_field(MAXIMUM_BITRATE)?).map_or(0, NonZeroU32::get);
        self.preroll = u64_at(bytes, PREROLL).ok_or(too_small)?;
        Ok(())
    }
}

/// Returns a bit rate in bit/s; `None` for 0 and 0xFFFFFFFF, which mean "unknown".
pub(super) fn known(bitrate: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(bitrate).filter(|bitrate| *bitrate != NonZeroU32::MAX)
}

/// Returns the number of packets that the Data Object's head announces. `None` if its size is 0 or 50 bytes, or larger
/// than any file.
fn count_data_packets(data: &[u8], packet_size: usize) -> Result<Option<u64>, Error> {
    let head = ObjectHead::parse(data).ok_or(Error::Incomplete {
        bytes: data.len() as u64,
    })?;
    if head.guid != Guid::DATA {
        return Err(Error::NotDataObject { found: head.guid });
    }
    let packets = head
        .size
        .checked_sub(DATA_HEAD as u64)
        .filter(|&size| size > 0 && head.size <= i64::MAX as u64);
    Ok(packets.and_then(|size| size.checked_div(packet_size as u64)))
}

#[cfg(test)]
mod tests {
    use super::super::object::put;
    use super::super::testing::{file_properties, header, header_bytes, object, stream_properties};
    use super::*;

    fn parse(children: &[Vec<u8>]) -> Result<FileHeader, Error> {
        FileHeader::parse(header_bytes(children, 50).into())
    }

    /// ASF 3.2 File Properties Object
    #[test]
    fn a_header_reports_its_fields() {
        let header = header(1500, 50 + 3 * 1500, &[stream_properties()]);
        assert_eq!(header.packet_size(), 1500);
        assert_eq!(header.data_packets(), Some(3));
        assert_eq!(header.preroll(), 3000);
        assert_eq!(header.maximum_bitrate(), 64_000);
        assert!(!header.is_broadcast());
        assert_eq!(header.stream_count(), 2);
    }

    /// ASF 5.1 Data Object
    #[test]
    fn a_data_object_of_0_or_50_bytes_is_live() {
        for size in [0, 49, 50, u64::MAX] {
            assert_eq!(header(1500, size, &[]).data_packets(), None, "{size}");
        }
        assert_eq!(header(1500, 51, &[]).data_packets(), Some(0));
        assert_eq!(header(1500, 50 + 3001, &[]).data_remainder(), 1);
    }

    /// ASF 3.2 File Properties Object: Broadcast Flag
    #[test]
    fn a_broadcast_has_an_unknown_number_of_packets() {
        let mut properties = file_properties(1500);
        put(
            &mut properties,
            super::file_properties::FLAGS,
            &[1, 0, 0, 0],
        );
        let bytes = header_bytes(&[properties, stream_properties()], 50 + 3001);
        let header = FileHeader::parse(bytes.into()).unwrap();
        assert_eq!((header.data_packets(), header.data_remainder()), (None, 0));
    }

    #[test]
    fn a_wrong_child_count_is_ignored() {
        let mut bytes = header_bytes(&[file_properties(100), stream_properties()], 50);
        bytes[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes[28..30].copy_from_slice(&[7, 7]);
        assert!(FileHeader::parse(bytes.into()).is_ok());
    }

    #[test]
    fn a_header_needs_one_file_properties_object_and_a_stream() {
        assert_eq!(parse(&[stream_properties()]), Err(Error::NoFileProperties));
        assert_eq!(
            parse(&[file_properties(100)]),
            Err(Error::NoStreamProperties)
        );
        let twice = [
            file_properties(100),
            stream_properties(),
            file_properties(100),
        ];
        assert_eq!(parse(&twice), Err(Error::SecondFileProperties));
        let short = [object(Guid::FILE_PROPERTIES, &[0; 79]), stream_properties()];
        assert_eq!(
            parse(&short),
            Err(Error::FilePropertiesTooSmall { size: 103 })
        );
    }

    #[test]
    fn packet_sizes_have_limits() {
        for size in [0, 23, 65_532, u32::MAX] {
            assert_eq!(
                parse(&[file_properties(size), stream_properties()]),
                Err(Error::PacketSize { size })
            );
        }
        for size in [24, 65_531] {
            assert!(parse(&[file_properties(size), stream_properties()]).is_ok());
        }
        let mut properties = file_properties(100);
        put(
            &mut properties,
            super::file_properties::MINIMUM_PACKET,
            &50u32.to_le_bytes(),
        );
        let differ = Error::PacketSizesDiffer {
            minimum: 50,
            maximum: 100,
        };
        assert_eq!(parse(&[properties, stream_properties()]), Err(differ));
    }

    #[test]
    fn a_child_must_not_exceed_the_header() {
        let mut marker = object(Guid::MARKER, &[]);
        marker[16] = 25;
        let error = Error::ObjectSize {
            offset: 30 + 104 + 78,
            size: Some(25),
            room: 24,
        };
        assert_eq!(
            parse(&[file_properties(100), stream_properties(), marker]),
            Err(error)
        );
        let rest = Error::ObjectSize {
            offset: 30 + 104 + 78,
            size: None,
            room: 3,
        };
        assert_eq!(
            parse(&[file_properties(100), stream_properties(), vec![0; 3]]),
            Err(rest)
        );
    }

    #[test]
    fn a_header_has_exactly_its_declared_bytes() {
        let bytes = Bytes::from(header_bytes(
            &[file_properties(100), stream_properties()],
            50,
        ));
        let expected = bytes.len() as u64;
        let short = FileHeader::parse(bytes.slice(..bytes.len() - 50));
        assert_eq!(
            short,
            Err(Error::HeaderLength {
                expected,
                found: expected - 50
            })
        );
        assert_eq!(
            FileHeader::parse(Bytes::new()),
            Err(Error::Incomplete { bytes: 0 })
        );
        assert_eq!(
            FileHeader::parse(bytes.slice(1..)),
            Err(Error::NotAsf {
                offset: 0,
                found: 0x26,
                format: Format::of(&bytes[1..])
            })
        );
    }

    #[test]
    fn declared_sizes_have_limits() {
        let with_size = |size: u64| {
            let mut bytes = header_bytes(&[file_properties(100), stream_properties()], 50);
            put(&mut bytes, 16, &size.to_le_bytes());
            FileHeader::parse(bytes.into())
        };
        assert_eq!(with_size(29), Err(Error::HeaderTooSmall { size: 29 }));
        let size = MAX_HEADER_OBJECT + 1;
        assert_eq!(
            with_size(size),
            Err(Error::HeaderTooLarge {
                size,
                limit: MAX_HEADER_OBJECT
            })
        );
        assert_eq!(
            with_size(u64::MAX),
            Err(Error::HeaderTooLarge {
                size: u64::MAX,
                limit: MAX_HEADER_OBJECT
            })
        );
    }

    #[test]
    fn the_header_object_is_followed_by_a_data_object() {
        let mut bytes = header_bytes(&[file_properties(100), stream_properties()], 50);
        let data = bytes.len() - 50;
        bytes[data] = 0x30;
        let found = Guid::HEADER;
        assert_eq!(
            FileHeader::parse(bytes.into()),
            Err(Error::NotDataObject { found })
        );
    }
}
