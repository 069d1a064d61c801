// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use crate::wmhttp::{BadPacket, PacketId};

/// The reason why the bytes of a PushStart body are not the packets that the session expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadBody {
    /// The next bytes are not a packet.
    Packet(BadPacket),
    /// The last bytes of the body are too few for a packet.
    Remainder {
        /// Bytes of the body after the last packet: 1 to 3.
        bytes: u64,
    },
    /// The packet exceeds the body.
    Excess {
        /// Size of the packet in bytes.
        size: u64,
        /// Bytes of the body that are left.
        room: u64,
    },
    /// The payload is larger than this type of packet permits; for `$D` see decision D-18.
    PayloadSize {
        /// Type of the packet.
        id: PacketId,
        /// Size of the payload in bytes.
        size: usize,
        /// Largest permitted size in bytes.
        limit: usize,
    },
    /// 4.6.1 Expanded Streaming State Diagram: the session begins with another packet than `$H`.
    NoHeader(PacketId),
    /// 4.6.1 Expanded Streaming State Diagram: `$H` comes again, and no connection was lost.
    SecondHeader,
    /// 4.6.1 Expanded Streaming State Diagram: `$C` comes without `$E` (S_FALSE) before it.
    StreamChangeWithinEntry,
    /// 4.6.1 Expanded Streaming State Diagram: `$D` comes after `$E` (S_FALSE), and no `$C` before it.
    DataBetweenEntries,
}

impl From<BadPacket> for BadBody {
    fn from(packet: BadPacket) -> Self {
        Self::Packet(packet)
    }
}

impl fmt::Display for BadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(packet) => write!(f, "not a packet: {packet}"),
            Self::Remainder { bytes } => write!(
                f,
                "not a packet: the last {bytes} bytes of the body are too few for one"
            ),
            Self::Excess { size, room } => write!(
                f,
                "not a packet: it has {size} bytes where {room} of the body are left"
            ),
            Self::PayloadSize { id, size, limit } => write!(
                f,
                "not a packet: {id} has a payload of {size} bytes, over the limit of {limit}"
            ),
            Self::NoHeader(id) => {
                write!(f, "unexpected packet: the first is {id} instead of $H")
            }
            Self::SecondHeader => f.write_str("unexpected packet: $H a second time"),
            Self::StreamChangeWithinEntry => {
                f.write_str("unexpected packet: $C without $E (S_FALSE) before it")
            }
            Self::DataBetweenEntries => {
                f.write_str("unexpected packet: $D between two playlist entries")
            }
        }
    }
}

impl std::error::Error for BadBody {}
