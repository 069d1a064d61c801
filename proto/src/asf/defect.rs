// SPDX-License-Identifier: MPL-2.0

use std::fmt;

/// Why a data packet cannot be parsed
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// It ends inside a field of the payload parsing information.
    ParsingInformation {
        /// Size of the packet in bytes
        size: usize,
    },
    /// Its Error Correction Length Type is a reserved one.
    ErrorCorrectionLengthType(u8),
    /// Its Stream Number Length Type is not 1, which no data packet has.
    StreamNumberLengthType(u8),
    /// Its Packet Length is over its size.
    PacketLength {
        /// Packet Length in bytes
        length: u32,
        /// Size of the packet in bytes
        size: usize,
    },
    /// Its Padding Length is over what is left.
    PaddingLength {
        /// Padding Length in bytes
        length: u32,
        /// What is left behind the payload parsing information, in bytes
        room: usize,
    },
    /// It has multiple payloads, and their number is 0.
    NoPayloads,
    /// It has more payloads than their number can say, which asfmux does not heed: see
    /// [`DataPacket::split`](super::DataPacket::split).
    TooManyPayloads {
        /// Number of payloads that were found
        count: usize,
    },
    /// It has multiple payloads without Payload Lengths.
    PayloadLengthType,
    /// A payload's Replicated Data Length is one of 2 to 7.
    ReplicatedDataLength {
        /// Which payload, from 0
        payload: u8,
        /// Replicated Data Length in bytes
        length: u32,
    },
    /// A payload does not fit in front of the padding.
    PayloadOutOfBounds {
        /// Which payload, from 0
        payload: u8,
        /// Where payload data ends, in bytes
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
