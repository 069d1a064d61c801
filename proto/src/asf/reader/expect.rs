// SPDX-License-Identifier: MPL-2.0

use crate::asf::file_header::FileHeader;
use crate::asf::guid::Guid;

/// The structures that may follow at the next boundary, besides a header
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Expect {
    /// None, because there was no header yet
    #[default]
    Start,
    /// Any number of packets, or objects
    PacketsOrObjects,
    /// `left` more packets, then `remainder` bytes of the Data Object that are not a packet. An object may come
    /// earlier, because `left` is too large for a truncated file
    Packets { left: u64, remainder: u64 },
    /// Bytes of the Data Object that are not a packet
    Remainder(u64),
    /// Objects after the Data Object, or packets beyond its announced number
    Objects,
}

impl Expect {
    /// Returns the structures that follow `header`.
    pub fn packets_of(header: &FileHeader) -> Expect {
        match header.data_packets() {
            Some(left) => Expect::after_packets(left, header.data_remainder()),
            None => Expect::PacketsOrObjects,
        }
    }

    pub fn after_packets(left: u64, remainder: u64) -> Expect {
        match (left, remainder) {
            (0, 0) => Expect::Objects,
            (0, remainder) => Expect::Remainder(remainder),
            (left, remainder) => Expect::Packets { left, remainder },
        }
    }

    /// Returns whether an object may start with these bytes of its GUID. The first byte decides for nearly all packets.
    pub fn may_be_object(self, guid: &[u8]) -> bool {
        let is_start_of = |known: &Guid| known.mismatch(guid).is_none();
        match self {
            Expect::PacketsOrObjects | Expect::Packets { .. } | Expect::Remainder(_) => {
                Guid::TOP_LEVEL.iter().any(is_start_of)
            }
            Expect::Start | Expect::Objects => true,
        }
    }
}
