// SPDX-License-Identifier: MPL-2.0

//! The units of a stream, and their cost in memory.

use crate::asf::{DataPacket, FileHeader};
use crate::wmhttp::HResult;

/// Approximate memory that a packet in a buffer of its own costs beside its bytes: the buffer, its memory and its map.
const BUFFER_COST: usize = 600;

/// The same for a packet below [`SMALL`] bytes, which shares a block with others.
const SHARED_COST: usize = 128;
const SMALL: usize = 512;

/// One unit of the stream between the writer and the driver.
#[derive(Clone, Debug)]
pub(in crate::push) enum Content {
    /// `OnHeader`
    Header(FileHeader),
    /// `OnDataUnit`
    DataUnit(DataPacket),
    /// `EndSession`
    EndOfStream(HResult),
}

impl Content {
    /// Returns the bytes of the stream.
    pub(in crate::push) fn bytes(&self) -> usize {
        match self {
            Self::Header(header) => header.as_bytes().len(),
            Self::DataUnit(packet) => packet.len(),
            Self::EndOfStream(_) => 0,
        }
    }

    /// Returns the approximate bytes of memory that the limits count. Headers are not counted, because they are few and
    /// never dropped.
    pub(in crate::push) fn cost(&self) -> usize {
        match self {
            Self::DataUnit(packet) => packet_cost(packet.len()),
            Self::Header(_) | Self::EndOfStream(_) => 0,
        }
    }

    pub(in crate::push) fn is_packet(&self) -> bool {
        matches!(self, Self::DataUnit(_))
    }
}

/// Returns the approximate bytes of memory that a data packet of `len` bytes occupies.
pub(in crate::push) fn packet_cost(len: usize) -> usize {
    len + if len < SMALL {
        SHARED_COST
    } else {
        BUFFER_COST
    }
}
