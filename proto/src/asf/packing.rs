// SPDX-License-Identifier: MPL-2.0

//! Assembly of packets of full size.
//!
//! Padding Length gives the size of the padding, and Packet Length, if present, the full size of the packet: all
//! readers understand this combination.

use bytes::Bytes;

use super::data_packet::{DataPacket, Layout};

/// Length Type Flags: position of the Padding Length Type, in bits
const PADDING_LENGTH_SHIFT: u8 = 3;
/// Length Type Flags: Padding Length Type and Packet Length Type
const PADDING_LENGTH_TYPE: u8 = 0x18;
const PACKET_LENGTH_TYPE: u8 = 0x60;
/// Size of Send Time and Duration in bytes
const TIMES: usize = 4 + 2;

impl DataPacket {
    /// Returns the packet with `size` bytes, its size in a file, whether or not its padding is present.
    ///
    /// A field for the Padding Length is inserted if the existing one is too narrow. A packet that is damaged or
    /// opaque, or whose lengths contradict each other, is only extended by zeros. A packet larger than `size` is
    /// returned unchanged.
    pub fn filled_to(&self, size: usize) -> Bytes {
        let packet = self.as_bytes();
        if let Some(layout) = self.layout()
            && let Some(end) = layout.end(packet.len())
            && let Some(payloads) = packet.get(layout.payloads_start()..end)
            && let Some(filled) = layout.pack(packet, &[payloads], size)
        {
            return filled;
        }
        let mut filled = packet.to_vec();
        filled.resize(size.max(packet.len()), 0);
        filled.into()
    }
}

impl Layout {
    /// Returns the offset of the Payload Flags, or of a single payload, in bytes from the start of the packet.
    pub fn payloads_start(&self) -> usize {
        usize::from(self.lengths_end).saturating_add(TIMES)
    }

    /// Returns a packet of `size` bytes with the parsing information of `packet`, from which the layout was read, and
    /// the concatenated `payloads`; `None` if they are too large.
    pub fn pack(&self, packet: &[u8], payloads: &[&[u8]], size: usize) -> Option<Bytes> {
        let (error_correction, rest) = packet.split_at_checked(self.length_types.into())?;
        let [types, property] = *rest.first_chunk()?;
        let sequence = self
            .packet_length
            .offset
            .checked_add(self.packet_length.width)?;
        let sequence = packet.get(sequence.into()..self.padding_length.offset.into())?;
        let times = packet.get(self.lengths_end.into()..self.payloads_start())?;
        let packet_length = Some(self.packet_length.width).filter(|&width| fits(size, width));
        let packet_length = packet_length.unwrap_or(0);
        let types = match packet_length {
            0 => types & !PACKET_LENGTH_TYPE,
            _ => types,
        };
        let parts = [error_correction, sequence, times].into_iter();
        let parts = parts.chain(payloads.iter().copied()).map(<[u8]>::len);
        let used = parts.fold(2usize, usize::saturating_add);
        let used = used.saturating_add(packet_length.into());
        let (padding_type, padding) = self.padding_of(size.checked_sub(used)?)?;
        let width = padding_type.width();

        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(error_correction);
        out.push(types & !PADDING_LENGTH_TYPE | padding_type.0 << PADDING_LENGTH_SHIFT);
        out.push(property);
        out.extend_from_slice(size.to_le_bytes().get(..usize::from(packet_length))?);
        out.extend_from_slice(sequence);
        out.extend_from_slice(padding.to_le_bytes().get(..usize::from(width))?);
        out.extend_from_slice(times);
        payloads.iter().for_each(|part| out.extend_from_slice(part));
        out.resize(size, 0);
        Some(out.into())
    }

    /// Returns a Padding Length Type and a Padding Length that together fill `room` bytes. Keeps the existing field if
    /// it is wide enough.
    fn padding_of(&self, room: usize) -> Option<(LengthType, usize)> {
        let own = LengthType::of(self.padding_length.width);
        let types = std::iter::once(own).chain([1, 2, 3].map(LengthType));
        types.into_iter().find_map(|length_type| {
            let padding = room.checked_sub(length_type.width().into())?;
            fits(padding, length_type.width()).then_some((length_type, padding))
        })
    }
}

/// ASF 5.2.2 Payload Parsing Information: a length type of two bits
#[derive(Debug, Clone, Copy)]
struct LengthType(u8);

impl LengthType {
    fn of(width: u8) -> LengthType {
        LengthType(if width == 4 { 3 } else { width })
    }

    /// Returns the width of the field in bytes.
    fn width(self) -> u8 {
        if self.0 == 3 { 4 } else { self.0 }
    }
}

/// Returns whether `value` can be written into `width` bytes.
pub(super) fn fits(value: usize, width: u8) -> bool {
    let bytes = (value as u64).to_le_bytes();
    bytes.iter().skip(width.into()).all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stream 1, key frame, object 5, offset 0, no replicated data, then two bytes of data
    const SINGLE: [u8; 9] = [0x81, 5, 0, 0, 0, 0, 0, 0xAA, 0xBB];

    fn filled(head: &[u8], size: usize) -> Vec<u8> {
        let bytes = [head, &[7, 0, 0, 0, 9, 0], &SINGLE].concat();
        let packet = DataPacket::parse(bytes.into());
        assert_eq!(packet.defect(), None);
        let filled = packet.filled_to(size);
        assert_eq!(filled.len(), size);
        let again = DataPacket::parse(filled.clone());
        assert_eq!((again.defect(), again.send_time()), (None, Some(7)));
        filled.to_vec()
    }

    /// ASF 5.2.2 Payload Parsing Information
    #[test]
    fn added_padding_is_in_the_padding_length() {
        for (head, size, expected) in [
            (&[0x08, 0x5D, 0][..], 40, &[0x08, 0x5D, 22][..]),
            (&[0x48, 0x5D, 20, 0, 0], 40, &[0x48, 0x5D, 40, 0, 20]),
            (&[0x40, 0x5D, 19, 0], 40, &[0x48, 0x5D, 40, 0, 20]),
            (&[0x00, 0x5D], 18, &[0x08, 0x5D, 0]),
            (&[0x00, 0x5D], 17, &[0x00, 0x5D]),
            (&[0x00, 0x5D], 400, &[0x10, 0x5D, 125, 1]),
            (&[0x08, 0x5D, 0], 273, &[0x08, 0x5D, 255]),
            (&[0x08, 0x5D, 0], 274, &[0x10, 0x5D, 255, 0]),
            (&[0x20, 0x5D, 18], 300, &[0x10, 0x5D, 25, 1]),
            (
                &[0x82, 0, 0, 0x0A, 0x5D, 3, 0],
                40,
                &[0x82, 0, 0, 0x0A, 0x5D, 3, 18],
            ),
        ] {
            let found = filled(head, size);
            assert_eq!(found[..expected.len()], *expected, "{head:02x?}, {size}");
            let times = expected.len() + TIMES;
            assert_eq!(found[times..times + SINGLE.len()], SINGLE);
        }
    }

    /// asfmux excludes the padding from Packet Length, and FFmpeg subtracts it once more
    #[test]
    fn existing_padding_is_in_the_padding_length() {
        let bytes = [
            &[0x48, 0x5D, 20, 0, 10, 7, 0, 0, 0, 9, 0],
            &SINGLE[..],
            &[0xEE; 10],
        ];
        let packet = DataPacket::parse(bytes.concat().into());
        let filled = packet.filled_to(30);
        assert_eq!(filled[..5], [0x48, 0x5D, 30, 0, 10]);
        assert_eq!(filled[20..], [0; 10]);
    }

    #[test]
    fn an_unreadable_packet_is_extended_by_zeros() {
        for bytes in [
            &[0x92, 0, 0, 1, 2, 3][..],
            &[0x08, 0x1D, 0, 7],
            &[],
            &[
                0x48, 0x5D, 17, 0, 1, 7, 0, 0, 0, 9, 0, 0x81, 5, 0, 0, 0, 0, 0, 0xAA,
            ],
        ] {
            let packet = DataPacket::parse(Bytes::copy_from_slice(bytes));
            let mut expected = bytes.to_vec();
            expected.resize(40, 0);
            assert_eq!(packet.filled_to(40), expected);
            assert_eq!(packet.filled_to(0), bytes);
        }
    }
}
