// SPDX-License-Identifier: MPL-2.0

//! Invariants of every data packet, and the ways in which receivers restore short ones.

use wmspush_proto::asf::{DataPacket, Unpadded};

use super::payloads::{Payload, payload_data, payloads, width};

/// A packet is sent without its padding only, and receivers find the same payloads in it.
///
/// Returns the number of bytes removed.
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

/// The parts of a packet with too many payloads have its size, and all its payloads with data in order.
fn is_split_without_a_loss(bytes: &[u8], parts: &[DataPacket]) {
    let mut found = Vec::new();
    for part in parts {
        assert_eq!((part.len(), part.defect()), (bytes.len(), None));
        assert_eq!(part.split(), None);
        found.extend(payloads(part.as_bytes()).unwrap());
        keeps_its_payloads(part.as_bytes());
    }
    assert!(!parts.is_empty());
    assert_eq!(Some(found), filled_payloads(bytes));
}

/// Returns the [`payloads`] with data of a packet whose count is wrong.
pub fn filled_payloads(packet: &[u8]) -> Option<Vec<Payload>> {
    let mut payloads = uncounted_payloads(packet)?;
    payloads.retain(|payload| !payload.data.is_empty());
    Some(payloads)
}

/// Returns the payloads of a packet by its size instead of their count; each has a Payload Length of two bytes.
fn uncounted_payloads(packet: &[u8]) -> Option<Vec<Payload>> {
    let (mut at, _, property) = payload_data(packet)?;
    at.number(1)?;
    let mut found = Vec::new();
    while !at.bytes.is_empty() {
        found.push(at.payload(property, Some(2))?);
    }
    Some(found)
}

/// Returns the bytes on the wire.
fn sent(unpadded: &Unpadded) -> Vec<u8> {
    [unpadded.head.as_slice(), &unpadded.body].concat()
}

/// Restores a packet with zeros, as libmms, FFmpeg and flumotion do.
fn filled(received: &[u8], size: usize) -> Vec<u8> {
    let mut packet = received.to_vec();
    packet.resize(size, 0);
    packet
}

/// Restores a packet with zeros, and writes their number into Padding Length, as gst rtpasfdepay does.
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
