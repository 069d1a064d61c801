// SPDX-License-Identifier: MPL-2.0

//! Fields of a data packet. Length types elsewhere in the packet give the width of most of them.

/// A field whose width a length type gives
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// 0 if the field is absent
    pub value: u32,
    pub offset: u8,
    /// Width in bytes: 1, 2 or 4; 0 if the field is absent
    pub width: u8,
}

/// Reads successive fields
pub(super) struct Fields<'a> {
    pub packet: &'a [u8],
    pub offset: usize,
}

impl Fields<'_> {
    /// Reads the next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.packet.get(self.offset..)?.first_chunk()?;
        self.offset = self.offset.checked_add(N)?;
        Some(bytes)
    }

    /// Reads the next field. Its width is given by the lower two bits of `length_type`: 0, 1, 2 or 4 bytes.
    pub fn value(&mut self, length_type: u8) -> Option<u32> {
        Some(match length_type & 3 {
            0 => 0,
            1 => u32::from(u8::from_le_bytes(self.array()?)),
            2 => u32::from(u16::from_le_bytes(self.array()?)),
            _ => u32::from_le_bytes(self.array()?),
        })
    }

    /// Reads the next field with its offset. Fields of the payload parsing information have offsets below 256.
    pub fn field(&mut self, length_type: u8) -> Option<Field> {
        let offset = self.offset;
        let value = self.value(length_type)?;
        Some(Field {
            value,
            offset: u8::try_from(offset).ok()?,
            width: u8::try_from(self.offset.checked_sub(offset)?).ok()?,
        })
    }

    /// Skips `len` bytes.
    pub fn skip(&mut self, len: u32) -> Option<()> {
        let offset = self.offset.checked_add(usize::try_from(len).ok()?)?;
        self.offset = (offset <= self.packet.len()).then_some(offset)?;
        Some(())
    }
}
