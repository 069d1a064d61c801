// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use super::data_packet::DataPacket;
use super::file_header::FileHeader;
use super::guid::Guid;

/// The output of a [`Reader`](super::Reader)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A new ASF file header; the data units that follow belong to it
    Header(FileHeader),
    /// A complete data packet, or a part of one that has too many payloads ([`DataPacket::split`])
    DataUnit(DataPacket),
    /// Input that must not be sent
    Skipped(Skipped),
}

/// Input that the reader skipped
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Number of bytes skipped
    pub bytes: u64,
    /// The kind of input, and the reason for skipping it
    pub reason: SkipReason,
}

/// The reason why input was skipped
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// A truncated data packet, or the rest of a Data Object after its last whole packet
    PartialPacket,
    /// A data packet larger than its header allows; only in the chunks of a pulled stream
    OverlongPacket,
    /// The end of a data packet, after a seek into its middle
    Unaligned,
    /// A later ASF file header that is truncated
    PartialHeader,
    /// A top-level object other than a Header Object and its Data Object, such as an index; also a Data Object without
    /// a header
    TopLevelObject(Guid),
    /// Data after the Data Object that is not an ASF object. All input up to the next stream start or file header is
    /// skipped, and reported twice: first the bytes examined, then the rest
    TrailingData,
    /// A header without packets, or parts of one, which a muxer rewrote at the end with the final numbers
    RewrittenHeader,
    /// A chunk of a pulled stream that carries neither header nor packet; its PacketID
    Chunk(u8),
}

impl SkipReason {
    /// Returns whether the input ended within a packet or header.
    pub fn is_cut(&self) -> bool {
        matches!(self, SkipReason::PartialPacket | SkipReason::PartialHeader)
    }

    /// Returns whether content is lost. Other skipped input never belongs in a stream of data packets.
    pub fn is_loss(&self) -> bool {
        match self {
            SkipReason::PartialPacket
            | SkipReason::OverlongPacket
            | SkipReason::PartialHeader
            | SkipReason::TrailingData => true,
            SkipReason::TopLevelObject(guid) => *guid == Guid::DATA,
            SkipReason::Unaligned | SkipReason::RewrittenHeader | SkipReason::Chunk(_) => false,
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes skipped: {}", self.bytes, self.reason)
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SkipReason::PartialPacket => f.write_str("part of a data packet"),
            SkipReason::Unaligned => f.write_str("the end of a data packet after a seek"),
            SkipReason::OverlongPacket => {
                f.write_str("a data packet that is larger than the header says")
            }
            SkipReason::PartialHeader => f.write_str("part of an ASF file header"),
            SkipReason::TopLevelObject(guid) => write!(f, "top-level object {guid}"),
            SkipReason::TrailingData => {
                f.write_str("data after the Data Object that is not an ASF object")
            }
            SkipReason::Chunk(id) => write!(f, "chunk ${}", id.escape_ascii()),
            SkipReason::RewrittenHeader => f.write_str("a rewritten header without packets"),
        }
    }
}
