// SPDX-License-Identifier: MPL-2.0

use crate::asf::file_header::FileHeader;
use crate::asf::guid::Guid;

/// What may stand at the next boundary, beside a header
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Expect {
    /// Nothing: there was no header yet
    #[default]
    Start,
    /// As many packets as there are, or objects
    PacketsOrObjects,
    /// This many packets more, and then this many bytes of the Data Object that are none. An object may come earlier:
    /// the number is too large in a file that was cut
    Packets { left: u64, remainder: u64 },
    /// Bytes of the Data Object that are no packet
    Remainder(u64),
    /// Objects behind the Data Object, or packets in spite of what its size says
    Objects,
}

impl Expect {
    /// What stands behind `header`.
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

    /// Whether an object may start with these bytes of its GUID. The first of them tells for nearly all packets.
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
