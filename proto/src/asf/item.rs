// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use super::data_packet::DataPacket;
use super::file_header::FileHeader;
use super::guid::Guid;

/// What a [`Reader`](super::Reader) makes of its input
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A new ASF file header; the data units that follow belong to it
    Header(FileHeader),
    /// One complete data packet, or a part of one that has too many payloads ([`DataPacket::split`])
    DataUnit(DataPacket),
    /// Input that is not for sending
    Skipped(Skipped),
}

/// Input that is left out
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// How much, in bytes
    pub bytes: u64,
    /// What, and why
    pub reason: SkipReason,
}

/// Why input is left out
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// A data packet that the input broke off, or what a Data Object has behind its last whole one
    PartialPacket,
    /// A data packet of more bytes than its header allows; only in the chunks of a pulled stream
    OverlongPacket,
    /// The end of a data packet, where the input goes on in its middle: behind a seek
    Unaligned,
    /// A later ASF file header that the input broke off
    PartialHeader,
    /// An object that stands beside Header Object and Data Object, such as an index; or a Data Object without a header
    TopLevelObject(Guid),
    /// Something behind the Data Object that is no ASF object. All input up to the next start or file header is left
    /// out: first the bytes that told so, and the rest when that comes
    TrailingData,
    /// A header that no packet followed, or parts of one, written again when the numbers in it were known
    RewrittenHeader,
    /// A chunk of a pulled stream with neither header nor packet in it: its PacketID
    Chunk(u8),
}

impl SkipReason {
    /// Whether the user may miss it; otherwise it has no place in a stream of data packets.
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
        write!(f, "{} bytes left out: {}", self.bytes, self.reason)
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SkipReason::PartialPacket => f.write_str("part of a data packet"),
            SkipReason::Unaligned => f.write_str("the end of a data packet, behind a seek"),
            SkipReason::OverlongPacket => {
                f.write_str("a data packet that is larger than the header says")
            }
            SkipReason::PartialHeader => f.write_str("part of an asf file header"),
            SkipReason::TopLevelObject(guid) => write!(f, "top-level object {guid}"),
            SkipReason::TrailingData => {
                f.write_str("no asf object, and nothing behind it can be told apart")
            }
            SkipReason::Chunk(id) => write!(f, "chunk ${}", id.escape_ascii()),
            SkipReason::RewrittenHeader => f.write_str("a header that is written again"),
        }
    }
}
