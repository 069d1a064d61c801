// SPDX-License-Identifier: MPL-2.0

use std::fmt;

/// The reason why a data packet cannot be parsed
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The packet ends inside its payload parsing information.
    ParsingInformation {
        /// Size of the packet in bytes
        size: usize,
    },
    /// The Error Correction Length Type is reserved.
    ErrorCorrectionLengthType(u8),
    /// The Stream Number Length Type is not 1.
    StreamNumberLengthType(u8),
    /// The Packet Length exceeds the packet's size.
    PacketLength {
        /// Packet Length in bytes
        length: u32,
        /// Size of the packet in bytes
        size: usize,
    },
    /// The Padding Length exceeds the bytes after the payload parsing information.
    PaddingLength {
        /// Padding Length in bytes
        length: u32,
        /// Bytes after the payload parsing information
        room: usize,
    },
    /// The packet announces multiple payloads, and 0 of them.
    NoPayloads,
    /// The packet has more payloads than its 6-bit count can express, because asfmux does not check: see
    /// [`DataPacket::split`](super::DataPacket::split).
    TooManyPayloads {
        /// Number of payloads found
        count: usize,
    },
    /// The packet has multiple payloads without Payload Lengths.
    PayloadLengthType,
    /// The Replicated Data Length of a payload is between 2 and 7, which ASF reserves.
    ReplicatedDataLength {
        /// Index of the payload, from 0
        payload: u8,
        /// Replicated Data Length in bytes
        length: u32,
    },
    /// A payload exceeds the space before the padding.
    PayloadOutOfBounds {
        /// Index of the payload, from 0
        payload: u8,
        /// Offset of the end of payload data, in bytes
        end: usize,
    },
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::ParsingInformation { size } => {
                write!(
                    f,
                    "packet of {size} bytes ends in its payload parsing information"
                )
            }
            Defect::ErrorCorrectionLengthType(found) => {
                write!(f, "error correction length type {found} is reserved")
            }
            Defect::StreamNumberLengthType(found) => {
                write!(f, "stream number length type is {found}, not 1")
            }
            Defect::PacketLength { length, size } => write!(
                f,
                "packet length {length} is over the {size} bytes there are"
            ),
            Defect::PaddingLength { length, room } => {
                write!(
                    f,
                    "padding length {length} is over the {room} bytes behind the payload parsing information"
                )
            }
            Defect::NoPayloads => f.write_str("multiple payloads are announced, and 0 of them"),
            Defect::TooManyPayloads { count } => write!(
                f,
                "{count} payloads are over the 63 that a packet can have: asfmux needs a smaller packet-size"
            ),
            Defect::PayloadLengthType => f.write_str("multiple payloads have no payload lengths"),
            Defect::ReplicatedDataLength { payload, length } => {
                write!(
                    f,
                    "payload {payload} has a replicated data length of {length}"
                )
            }
            Defect::PayloadOutOfBounds { payload, end } => {
                write!(
                    f,
                    "payload {payload} runs over byte {end}, where payload data ends"
                )
            }
        }
    }
}

impl std::error::Error for Defect {}
