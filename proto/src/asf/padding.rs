// SPDX-License-Identifier: MPL-2.0

//! Removal of Padding Data.
//!
//! A receiver extends a shortened packet with zeros. Some receivers write the number of added bytes into the Padding
//! Length field, if there is one; others change nothing else. The result has to be correct in both cases.

use std::fmt;

use bytes::Bytes;

use super::data_packet::{DataPacket, Layout};
use super::packing::fits;

/// A data packet without its padding, as sent: `head`, then `body`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpadded {
    /// The rewritten start of the packet; empty if nothing is rewritten
    pub head: PacketHead,
    /// The rest, which shares the packet's memory; all of the packet if nothing is rewritten
    pub body: Bytes,
    /// Number of bytes saved
    pub removed: usize,
}

/// A rewritten start of a data packet, from its first byte to its Padding Length
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PacketHead {
    bytes: [u8; PacketHead::CAPACITY],
    len: u8,
}

/// Width of an inserted Packet Length field in bytes
const INSERTED: u8 = 2;
/// Length Type Flags: the two bits of the Packet Length Type
const PACKET_LENGTH_TYPE: u8 = 0x60;
/// A Packet Length Type of two bytes
const PACKET_LENGTH_WORD: u8 = 0x40;

impl DataPacket {
    /// Returns the packet without its Padding Data (MS-WMHTTP 2.2.3.3 $D). Padding Length becomes 0. Packet Length, if
    /// present, becomes the number of bytes left.
    ///
    /// A single payload extends to the end of the packet. If no field limits it, a Packet Length is inserted, so that
    /// readers do not take the zeros that a receiver adds for its data. The packet stays whole if it is damaged or
    /// opaque, if its lengths contradict each other, or if there is no room for that field.
    pub fn without_padding(&self) -> Unpadded {
        self.layout()
            .and_then(|layout| self.cut(layout))
            .unwrap_or_else(|| Unpadded {
                head: PacketHead::EMPTY,
                body: self.as_bytes().clone(),
                removed: 0,
            })
    }

    /// Returns the packet up to the end of its payload data; `None` if it has to stay whole.
    fn cut(&self, layout: &Layout) -> Option<Unpadded> {
        let end = layout.end(self.len())?;
        if end >= self.len() {
            return None;
        }
        let insert = !layout.multiple && layout.packet_length.width == 0;
        let sent = if insert {
            end.checked_add(INSERTED.into())?
        } else {
            end
        };
        let removed = self.len().checked_sub(sent)?;
        // A receiver may write the number of bytes that it adds into this field.
        if layout.padding_length.width != 0 && !fits(removed, layout.padding_length.width) {
            return None;
        }
        let head = self.rewritten_head(layout, insert, sent)?;
        Some(Unpadded {
            head,
            body: self.as_bytes().slice(usize::from(layout.lengths_end)..end),
            removed,
        })
    }

    /// Returns the rewritten fields up to the Padding Length, for a packet of `sent` bytes.
    fn rewritten_head(&self, layout: &Layout, insert: bool, sent: usize) -> Option<PacketHead> {
        let packet: &[u8] = self.as_bytes();
        let (packet_length, padding_length) = (layout.packet_length, layout.padding_length);
        let (error_correction, rest) = packet.split_at_checked(layout.length_types.into())?;
        let [types, property] = *rest.first_chunk()?;
        let types = if insert {
            types & !PACKET_LENGTH_TYPE | PACKET_LENGTH_WORD
        } else {
            types
        };
        let width = if insert {
            INSERTED
        } else {
            packet_length.width
        };
        if width != 0 && !fits(sent, width) {
            return None;
        }
        let sequence = packet_length.offset.checked_add(packet_length.width)?;
        let sequence = packet.get(usize::from(sequence)..usize::from(padding_length.offset))?;
        let mut head = PacketHead::EMPTY;
        head.push(error_correction)?;
        head.push(&[types, property])?;
        head.push((sent as u64).to_le_bytes().get(..usize::from(width))?)?;
        head.push(sequence)?;
        head.push([0; 4].get(..usize::from(padding_length.width))?)?;
        Some(head)
    }
}

impl PacketHead {
    /// The longest head in bytes, rounded up for alignment
    const CAPACITY: usize = 16 /* error correction */ + 2 /* flags */ + 3 * 4 /* lengths */ + 2;

    const EMPTY: PacketHead = PacketHead {
        bytes: [0; PacketHead::CAPACITY],
        len: 0,
    };

    /// Returns the bytes of the head.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Returns whether the head is empty, because nothing is rewritten.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let place = self
            .bytes
            .get_mut(usize::from(self.len)..)?
            .get_mut(..bytes.len())?;
        place.copy_from_slice(bytes);
        self.len = self.len.checked_add(u8::try_from(bytes.len()).ok()?)?;
        Some(())
    }
}

impl Unpadded {
    /// Returns the total size of `head` and `body` in bytes.
    pub fn len(&self) -> usize {
        self.head.as_slice().len().saturating_add(self.body.len())
    }

    /// Returns whether `head` and `body` are empty.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.body.is_empty()
    }
}

impl fmt::Debug for PacketHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", self.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asf::data_packet::tests::packet;

    /// Stream 1, key frame, object 5, offset 0, no replicated data
    const SINGLE: [u8; 7] = [0x81, 5, 0, 0, 0, 0, 0];
    /// One payload of two bytes, with a Payload Length of two bytes
    const MULTIPLE: [u8; 12] = [0x81, 0x81, 5, 0, 0, 0, 0, 0, 2, 0, 0xAA, 0xBB];

    /// C-044, C-045
    #[test]
    fn multiple_payloads_lose_their_padding_and_keep_the_field() {
        let packet = packet(&[0x82, 0, 0, 0x09, 0x5D, 40], &MULTIPLE);
        assert_eq!(packet.defect(), None);
        let unpadded = packet.without_padding();
        assert_eq!(unpadded.head.as_slice(), [0x82, 0, 0, 0x09, 0x5D, 0]);
        assert_eq!(unpadded.body, packet.as_bytes().slice(6..24));
        assert_eq!(unpadded.removed, 40);
    }

    /// In a capture of a Windows Media encoder the flags are 0x08 in files and 0x48 on the wire
    #[test]
    fn a_single_payload_gets_a_packet_length() {
        let packet = packet(&[0x82, 0, 0, 0x08, 0x5D, 40], &SINGLE);
        let unpadded = packet.without_padding();
        assert_eq!(unpadded.head.as_slice(), [0x82, 0, 0, 0x48, 0x5D, 26, 0, 0]);
        assert_eq!(unpadded.len(), 26);
        assert_eq!(unpadded.removed, 38);
    }

    #[test]
    fn a_single_payload_with_one_byte_of_padding_stays_whole() {
        let packet = packet(&[0x08, 0x5D, 1], &SINGLE);
        let unpadded = packet.without_padding();
        assert!(unpadded.head.is_empty());
        assert_eq!((&unpadded.body, unpadded.removed), (packet.as_bytes(), 0));
    }

    #[test]
    fn a_packet_length_becomes_the_number_of_bytes_left() {
        for packet_length in [64, 44, 0] {
            let packet = packet(&[0x48, 0x5D, packet_length, 0, 20], &SINGLE);
            let unpadded = packet.without_padding();
            assert_eq!(
                unpadded.head.as_slice(),
                [0x48, 0x5D, 44, 0, 0],
                "packet length {packet_length}"
            );
            assert_eq!(unpadded.removed, 20);
        }
    }

    #[test]
    fn implicit_padding_is_removed_without_a_padding_length() {
        let packet = packet(&[0x40, 0x5D, 30, 0], &SINGLE);
        let unpadded = packet.without_padding();
        assert_eq!(unpadded.head.as_slice(), [0x40, 0x5D, 30, 0]);
        assert_eq!(unpadded.len(), 30);
    }

    #[test]
    fn contradictory_lengths_leave_the_packet_whole() {
        let packet = packet(&[0x48, 0x5D, 50, 0, 20], &SINGLE);
        assert_eq!(packet.defect(), None);
        assert_eq!(packet.without_padding().removed, 0);
        assert_eq!(packet.without_padding().body, packet.as_bytes());
    }

    #[test]
    fn padding_too_large_for_its_field_stays() {
        let mut bytes = [&[0x48, 0x5D, 30, 0, 0, 7, 0, 0, 0, 9, 0], SINGLE.as_slice()].concat();
        bytes.resize(30 + 256, 0);
        let packet = DataPacket::parse(bytes.into());
        assert_eq!(packet.defect(), None);
        assert_eq!(packet.without_padding().removed, 0);
    }

    #[test]
    fn opaque_and_damaged_packets_stay_whole() {
        for head in [
            &[0x92, 0, 0, 0x09, 0x5D, 41][..],
            &[0xA2, 0, 0, 0x09, 0x5D, 41],
            &[0x09, 0x1D, 41],
        ] {
            let packet = packet(head, &MULTIPLE);
            assert_eq!(packet.send_time(), None);
            assert_eq!(packet.without_padding().body, packet.as_bytes());
        }
    }

    #[test]
    fn the_body_shares_the_memory_of_the_packet() {
        let packet = packet(&[0x09, 0x5D, 41], &MULTIPLE);
        let unpadded = packet.without_padding();
        assert_eq!(
            unpadded.body.as_ptr(),
            packet.as_bytes().slice(3..).as_ptr()
        );
    }
}
