// SPDX-License-Identifier: MPL-2.0

//! An independent parser of data packets.

/// One payload, as a demultiplexer sees it
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    pub stream: u8,
    pub object: u32,
    pub offset: u32,
    pub replicated: Vec<u8>,
    pub data: Vec<u8>,
}

pub fn width(length_type: u8) -> usize {
    [0, 1, 2, 4][usize::from(length_type & 3)]
}

/// Returns the payloads of a packet as gst asfdemux reads them: payload data ends at the padding, or at Packet Length
/// if Padding Length is 0 or missing.
pub fn payloads(packet: &[u8]) -> Option<Vec<Payload>> {
    let (mut at, types, property) = payload_data(packet)?;
    let (count, length_type) = match types & 1 {
        0 => (1, None),
        _ => at
            .number(1)
            .map(|flags| (flags & 0x3f, Some((flags >> 6) as u8)))?,
    };
    let payload = |_| at.payload(property, length_type);
    (0..count).map(payload).collect()
}

/// Returns the bytes between payload parsing information and padding, and the flags of the former
pub fn payload_data(packet: &[u8]) -> Option<(Cursor<'_>, usize, u8)> {
    let mut at = Cursor { bytes: packet };
    if packet.first()? & 0x80 != 0 {
        let len = at.number(1)? & 0x0f;
        at.take(len)?;
    }
    let (types, property) = (at.number(1)?, at.number(1)?);
    let field = |types: usize, shift: u8| width((types >> shift) as u8);
    let packet_length = at.number(field(types, 5))?;
    at.take(field(types, 1))?;
    let padding = at.number(field(types, 3))?;
    at.take(6)?;
    let size = packet.len();
    let end = match padding {
        0 if (1..size).contains(&packet_length) => packet_length,
        _ => size.checked_sub(padding)?,
    };
    at.bytes = &at.bytes[..end.checked_sub(size - at.bytes.len())?];
    Some((at, types, property as u8))
}

/// Bytes to read in order
pub struct Cursor<'a> {
    pub bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    pub fn payload(&mut self, property: u8, length_type: Option<u8>) -> Option<Payload> {
        let stream = self.number(1)? as u8;
        let object = self.number(width(property >> 4))? as u32;
        let offset = self.number(width(property >> 2))? as u32;
        let replicated = self.number(width(property))?;
        let replicated = self.take(replicated)?.to_vec();
        let len = length_type.map_or(Some(self.bytes.len()), |length_type| {
            self.number(width(length_type))
        })?;
        Some(Payload {
            stream,
            object,
            offset,
            replicated,
            data: self.take(len)?.to_vec(),
        })
    }

    pub fn number(&mut self, width: usize) -> Option<usize> {
        Some(
            self.take(width)?
                .iter()
                .rev()
                .fold(0, |number, &byte| number << 8 | usize::from(byte)),
        )
    }
}
