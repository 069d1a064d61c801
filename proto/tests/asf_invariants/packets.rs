// SPDX-License-Identifier: MPL-2.0

//! An independent generator of data packets.

use crate::invariants::payloads::width;

/// The layout of a packet. Types are 0, 1, 2, 3 for 0, 1, 2, 4 bytes.
#[derive(Debug, Clone)]
pub struct Shape {
    pub size: usize,
    /// Bytes of error correction data after its flags
    pub error_correction: Option<u8>,
    pub multiple: bool,
    pub packet_length_type: u8,
    pub sequence_type: u8,
    pub padding_type: u8,
    pub payload_length_type: u8,
    pub property: u8,
    pub padding: usize,
    pub says: Says,
}

/// The values of Packet Length and Padding Length
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Packet Length: all of the packet
    Full,
    /// Packet Length: all but the padding
    Short,
    /// Packet Length: all but the padding; Padding Length: 0
    Implicit,
    /// Packet Length: 0
    Nothing,
}

fn put(out: &mut Vec<u8>, value: usize, width: usize) -> Option<()> {
    (value >> (8 * width) == 0)
        .then(|| out.extend_from_slice(&(value as u64).to_le_bytes()[..width]))
}

impl Shape {
    /// Returns the number of bytes for payloads and their heads.
    fn room(&self, head: usize) -> Option<usize> {
        self.size.checked_sub(head)?.checked_sub(self.padding)
    }

    /// Builds the packet; `None` if its values do not fit. Padding is not zero.
    pub fn build(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        if let Some(len) = self.error_correction {
            out.push(0x80 | len);
            out.extend(std::iter::repeat_n(0xEC, len.into()));
        }
        let types = [
            self.packet_length_type << 5,
            self.padding_type << 3,
            self.sequence_type << 1,
        ];
        out.push(types.iter().sum::<u8>() | u8::from(self.multiple));
        out.push(self.property);
        let packet_length = match self.says {
            Says::Full => self.size,
            Says::Short | Says::Implicit => self.size - self.padding,
            Says::Nothing => 0,
        };
        if self.packet_length_type != 0 {
            put(&mut out, packet_length, width(self.packet_length_type))?;
        }
        out.extend(std::iter::repeat_n(0x5E, width(self.sequence_type)));
        let padding_length = if self.says == Says::Implicit {
            0
        } else {
            self.padding
        };
        if self.padding_type != 0 {
            put(&mut out, padding_length, width(self.padding_type))?;
        }
        out.extend_from_slice(&[0x10, 0x20, 0x30, 0x40, 0x50, 0x60]);
        let room = self.room(out.len())?;
        let payloads = if self.multiple {
            self.multiple_payloads(room)?
        } else {
            self.single_payload(room)?
        };
        out.extend(payloads);
        assert_eq!(out.len(), self.size - self.padding);
        out.resize(self.size, 0xEE);
        Some(out)
    }

    fn payload_head(&self, number: u8) -> Vec<u8> {
        let mut out = vec![0x81 + number];
        out.extend(std::iter::repeat_n(number, width(self.property >> 4)));
        out.extend(std::iter::repeat_n(0x0F, width(self.property >> 2)));
        if self.property & 3 != 0 {
            put(&mut out, 8, width(self.property)).unwrap();
            out.extend_from_slice(b"replicat");
        }
        out
    }

    fn single_payload(&self, room: usize) -> Option<Vec<u8>> {
        let mut out = self.payload_head(0);
        out.len().le(&room).then(|| {
            out.resize(room, 0xDA);
            out
        })
    }

    fn multiple_payloads(&self, room: usize) -> Option<Vec<u8>> {
        let mut out = vec![2 | self.payload_length_type << 6];
        out.extend(self.payload_head(1));
        put(&mut out, 3, width(self.payload_length_type))?;
        out.extend_from_slice(b"one");
        out.extend(self.payload_head(2));
        let data = room.checked_sub(out.len() + width(self.payload_length_type))?;
        put(&mut out, data, width(self.payload_length_type))?;
        out.resize(room, 0xDA);
        Some(out)
    }

    /// Returns whether all readers find the same end of the payloads.
    pub fn is_unambiguous(&self) -> bool {
        let by_padding = self.padding_type != 0 && self.says != Says::Implicit;
        let by_packet = self.packet_length_type != 0
            && (self.says == Says::Implicit || self.says == Says::Short && self.padding_type == 0);
        self.padding == 0 || by_padding || by_packet
    }
}
