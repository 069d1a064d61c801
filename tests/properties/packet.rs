// SPDX-License-Identifier: MPL-2.0

//! Data packets read by rules of their own, and what receivers do to short ones.

use gstwmspush::asf::{DataPacket, Unpadded};

/// What is sent of any packet is all of it but padding, and receivers find in it what was in the packet.
///
/// Returns how many bytes were left out.
pub fn keeps_its_payloads(bytes: &[u8]) -> usize {
    let packet = DataPacket::parse(bytes.to_vec().into());
    let unpadded = packet.without_padding();
    let sent = sent(&unpadded);
    assert_eq!(sent.len(), unpadded.len());
    assert_eq!(sent.len() + unpadded.removed, bytes.len());
    if packet.defect().is_some() {
        assert_eq!(packet.send_time(), None);
    }
    if let Some(parts) = packet.split() {
        is_split_without_a_loss(bytes, &parts);
    }
    if packet.defect().is_some() || unpadded.head.is_empty() {
        assert_eq!(sent, bytes);
        return 0;
    }
    let filled = filled(&sent, bytes.len());
    let again = DataPacket::parse(filled.clone().into());
    assert_eq!(again.defect(), None);
    assert_eq!(again.send_time(), packet.send_time());
    assert_eq!(again.has_key_frame(), packet.has_key_frame());
    let before = payloads(bytes);
    assert!(before.is_some(), "{bytes:02x?}");
    assert_eq!(payloads(&filled), before, "filled up, {bytes:02x?}");
    let told = filled_and_told(&sent, bytes.len());
    assert_eq!(payloads(&told), before, "told, {bytes:02x?}");
    let stored = DataPacket::parse(sent.into()).filled_to(bytes.len());
    assert_eq!(stored.len(), bytes.len());
    assert_eq!(payloads(&stored), before, "stored, {bytes:02x?}");
    assert_eq!(payloads(&packet.filled_to(bytes.len())), before);
    unpadded.removed
}

/// The parts of a packet with too many payloads are packets of its size, which have its payloads in their order.
fn is_split_without_a_loss(bytes: &[u8], parts: &[DataPacket]) {
    let mut found = Vec::new();
    for part in parts {
        assert_eq!((part.len(), part.defect()), (bytes.len(), None));
        assert_eq!(part.split(), None);
        found.extend(payloads(part.as_bytes()).unwrap());
        keeps_its_payloads(part.as_bytes());
    }
    assert!(parts.len() > 1 && found.len() > 63);
    assert_eq!(Some(found), uncounted_payloads(bytes));
}

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

/// Reads the payloads of a packet as gst asfdemux does: payload data ends in front of the padding; where Padding Length
/// is 0 or not there, it ends where Packet Length says.
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

/// As [`payloads`], of a packet that has as many as lie in it, each with a Payload Length of two bytes.
pub fn uncounted_payloads(packet: &[u8]) -> Option<Vec<Payload>> {
    let (mut at, _, property) = payload_data(packet)?;
    at.number(1)?;
    let mut found = Vec::new();
    while !at.bytes.is_empty() {
        found.push(at.payload(property, Some(2))?);
    }
    Some(found)
}

/// What lies between payload parsing information and padding, and the flags of the former
fn payload_data(packet: &[u8]) -> Option<(Cursor<'_>, usize, u8)> {
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

struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    fn payload(&mut self, property: u8, length_type: Option<u8>) -> Option<Payload> {
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

    fn number(&mut self, width: usize) -> Option<usize> {
        Some(
            self.take(width)?
                .iter()
                .rev()
                .fold(0, |number, &byte| number << 8 | usize::from(byte)),
        )
    }
}

/// What comes over the wire.
fn sent(unpadded: &Unpadded) -> Vec<u8> {
    [unpadded.head.as_slice(), &unpadded.body].concat()
}

/// A receiver that fills up with zeros: libmms, FFmpeg, flumotion.
fn filled(received: &[u8], size: usize) -> Vec<u8> {
    let mut packet = received.to_vec();
    packet.resize(size, 0);
    packet
}

/// A receiver that also writes what it filled up into the Padding Length: gst rtpasfdepay.
fn filled_and_told(received: &[u8], size: usize) -> Vec<u8> {
    let mut packet = filled(received, size);
    if received.len() == size {
        return packet;
    }
    let types = if packet[0] & 0x80 == 0 {
        0
    } else {
        1 + usize::from(packet[0] & 0x0f)
    };
    let flags = packet[types];
    let at = types + 2 + width(flags >> 5) + width(flags >> 1);
    let missing = (size - received.len()) as u64;
    let field = width(flags >> 3);
    packet[at..at + field].copy_from_slice(&missing.to_le_bytes()[..field]);
    packet
}
