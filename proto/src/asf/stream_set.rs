// SPDX-License-Identifier: MPL-2.0

/// A set of stream numbers from 0 to 127. It is an array of bytes, because a `u128` would leave gaps in a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StreamSet([u8; 16]);

impl StreamSet {
    /// Adds a stream. Only the lower seven bits of `number` count.
    pub fn insert(&mut self, number: u8) {
        let number = 1u128.wrapping_shl(u32::from(number & 0x7f));
        self.0 = (self.bits() | number).to_le_bytes();
    }

    /// Returns whether the sets have a stream in common.
    pub fn intersects(self, other: StreamSet) -> bool {
        self.bits() & other.bits() != 0
    }

    fn bits(self) -> u128 {
        u128::from_le_bytes(self.0)
    }
}
