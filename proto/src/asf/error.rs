// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use super::format::Format;
use super::guid::Guid;

/// The reason why bytes are not a usable ASF file header.
///
/// The input is always at fault. [`Error::is_wrong_type`] tells other formats from damaged ASF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The input does not start with the Header Object's GUID.
    NotAsf {
        /// Offset in the GUID of the first byte that differs
        offset: usize,
        /// That byte
        found: u8,
        /// The format of the input, if recognised
        format: Option<Format>,
    },
    /// The caps of the input name another format.
    Foreign(Format),
    /// The input ended before the file header was complete.
    Incomplete {
        /// Bytes received
        bytes: u64,
    },
    /// The Header Object declares fewer bytes than its own head has.
    HeaderTooSmall {
        /// Declared size in bytes
        size: u64,
    },
    /// The header exceeds the limit, even without its optional objects.
    HeaderTooLarge {
        /// Size of the header in bytes
        size: u64,
        /// Largest permitted size in bytes
        limit: u64,
    },
    /// The bytes are not exactly a Header Object and the first 50 bytes of a Data Object.
    HeaderLength {
        /// Expected bytes: the Header Object's declared size + 50
        expected: u64,
        /// Bytes found
        found: u64,
    },
    /// An object is shorter than its head, or exceeds the header.
    ObjectSize {
        /// Offset of the object in the header, in bytes
        offset: u64,
        /// Declared size in bytes; `None` if the 24-byte head is incomplete
        size: Option<u64>,
        /// Bytes left in the header for the object
        room: u64,
    },
    /// The header has no File Properties Object.
    NoFileProperties,
    /// The header has a second File Properties Object.
    SecondFileProperties,
    /// The File Properties Object is too short for its fields.
    FilePropertiesTooSmall {
        /// Declared size in bytes
        size: u64,
    },
    /// The header has no Stream Properties Object.
    NoStreamProperties,
    /// Minimum and maximum data packet size differ.
    PacketSizesDiffer {
        /// Minimum Data Packet Size in bytes
        minimum: u32,
        /// Maximum Data Packet Size in bytes
        maximum: u32,
    },
    /// The data packet size is outside [`MIN_PACKET_SIZE`](super::MIN_PACKET_SIZE)`..=`[`MAX_PACKET_SIZE`](super::MAX_PACKET_SIZE).
    PacketSize {
        /// Data packet size in bytes
        size: u32,
    },
    /// The Header Object is not followed by a Data Object.
    NotDataObject {
        /// The GUID that follows
        found: Guid,
    },
}

impl Error {
    /// Returns whether the input is not ASF, or ended before its file header was complete.
    ///
    /// Other errors mean that the input is ASF, but malformed or impossible to push.
    pub fn is_wrong_type(&self) -> bool {
        matches!(
            self,
            Error::NotAsf { .. } | Error::Foreign(_) | Error::Incomplete { .. }
        )
    }

    /// Returns the user's next step as a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::NotAsf { format, .. } => {
                format.map_or("Check the element in front of wmspushsink.", Format::hint)
            }
            Error::Foreign(format) => format.hint(),
            Error::Incomplete { bytes: 0 } => {
                "The source delivers nothing: check its address, or the file that it reads."
            }
            Error::Incomplete { .. } => {
                "The file was cut off, or the source ended before its muxer had written a header."
            }
            Error::HeaderTooLarge { .. } => {
                "Remove cover pictures and long tags from the file, or set fewer tags in front of asfmux."
            }
            _ => {
                "The file or stream is damaged: make it anew with asfmux. ffprobe tells whether players can read it."
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::{MAX_PACKET_SIZE, MIN_PACKET_SIZE};
        match self {
            Error::NotAsf {
                format: Some(format),
                ..
            } => f.write_str(&format.verdict()),
            Error::NotAsf { offset, found, .. } => {
                write!(
                    f,
                    "input is not ASF: byte {offset} is {found:#04x}, which no ASF header has there"
                )
            }
            Error::Foreign(format) => f.write_str(&format.verdict()),
            Error::Incomplete { bytes: 0 } => f.write_str("input is empty"),
            Error::Incomplete { bytes } => write!(
                f,
                "input ended after {bytes} bytes, before a whole ASF file header"
            ),
            Error::HeaderTooSmall { size } => write!(
                f,
                "header object of {size} bytes is shorter than its own head"
            ),
            Error::HeaderTooLarge { size, limit } => {
                write!(f, "ASF header of {size} bytes is over the limit of {limit}")
            }
            Error::HeaderLength { expected, found } => {
                write!(
                    f,
                    "ASF file header should have {expected} bytes and has {found}"
                )
            }
            Error::ObjectSize {
                offset,
                size: Some(size),
                room,
            } => {
                write!(
                    f,
                    "header's object at byte {offset} declares {size} bytes where {room} are left"
                )
            }
            Error::ObjectSize {
                offset,
                size: None,
                room,
            } => {
                write!(
                    f,
                    "{room} bytes at byte {offset} of the header are too few for an object"
                )
            }
            Error::NoFileProperties => f.write_str("header has no file properties object"),
            Error::SecondFileProperties => {
                f.write_str("header has more than one file properties object")
            }
            Error::FilePropertiesTooSmall { size } => {
                write!(f, "file properties object has only {size} bytes")
            }
            Error::NoStreamProperties => f.write_str("header has no stream properties object"),
            Error::PacketSizesDiffer { minimum, maximum } => {
                write!(
                    f,
                    "minimum data packet size {minimum} and maximum {maximum} differ"
                )
            }
            Error::PacketSize { size } => {
                write!(
                    f,
                    "data packet size {size} is not between {MIN_PACKET_SIZE} and {MAX_PACKET_SIZE}"
                )
            }
            Error::NotDataObject { found } => write!(
                f,
                "header object is followed by {found}, not by a data object"
            ),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_foreign_or_truncated_input_is_the_wrong_type() {
        assert!(
            Error::NotAsf {
                offset: 0,
                found: 0x52,
                format: None
            }
            .is_wrong_type()
        );
        assert!(Error::Incomplete { bytes: 0 }.is_wrong_type());
        assert!(!Error::NoFileProperties.is_wrong_type());
        assert!(
            !Error::HeaderTooLarge {
                size: 1 << 40,
                limit: 1 << 24
            }
            .is_wrong_type()
        );
    }

    #[test]
    fn messages_name_the_offending_values() {
        let not_asf = |format| Error::NotAsf {
            offset: 3,
            found: 0x1A,
            format,
        };
        let cases = [
            (
                not_asf(None),
                "input is not ASF: byte 3 is 0x1a, which no ASF header has there",
            ),
            (
                not_asf(Format::of(b"ZQ\x03\x04")),
                "input is not ASF: it begins with 5a 51 03 04 (\"ZQ\")",
            ),
            (
                not_asf(Some(Format::AsfBehind(3))),
                "input has 3 other bytes in front of its ASF file header",
            ),
            (
                not_asf(Some(Format::MpegTs)),
                "input is an MPEG transport stream, not ASF",
            ),
            (Error::Incomplete { bytes: 0 }, "input is empty"),
            (
                Error::PacketSize { size: 0 },
                "data packet size 0 is not between 24 and 65531",
            ),
            (
                Error::Incomplete { bytes: 200 },
                "input ended after 200 bytes, before a whole ASF file header",
            ),
            (
                Error::PacketSizesDiffer {
                    minimum: 1600,
                    maximum: 3200,
                },
                "minimum data packet size 1600 and maximum 3200 differ",
            ),
            (
                Error::ObjectSize {
                    offset: 30,
                    size: Some(9000),
                    room: 464,
                },
                "header's object at byte 30 declares 9000 bytes where 464 are left",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
