// SPDX-License-Identifier: MPL-2.0

//! Removal of payloads from packets.

use std::ops::Range;

use bytes::Bytes;

use super::data_packet::{DataPacket, Layout};
use super::object::put;
use super::payload::{self, Place};

/// The rest of a packet after the removal of payloads
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    /// All of it: there is nothing to remove, or it cannot be removed
    All,
    Some(Bytes),
    Nothing,
}

impl DataPacket {
    /// Returns the packet with the payloads of the `wanted` streams only; `None` if none is left. A packet that is
    /// opaque or damaged, or has padding, is returned unchanged.
    pub fn with_streams(&self, wanted: impl Fn(u8) -> bool) -> Option<Bytes> {
        match self.keep(|_, place| wanted(place.stream)) {
            Left::All => Some(self.as_bytes().clone()),
            Left::Some(bytes) => Some(bytes),
            Left::Nothing => None,
        }
    }

    /// Keeps the payloads for which `wanted` returns true. Its arguments are the payload's index and position.
    pub(super) fn keep(&self, wanted: impl Fn(usize, &Place) -> bool) -> Left {
        self.kept(wanted).unwrap_or(Left::All)
    }

    /// Does the same; `None` if the packet has to stay unchanged.
    fn kept(&self, wanted: impl Fn(usize, &Place) -> bool) -> Option<Left> {
        let layout = self.layout()?;
        if layout.end(self.len()) != Some(self.len()) || layout.padding_length.value != 0 {
            return None;
        }
        let places = self.places()?;
        let kept: Vec<_> = places
            .iter()
            .enumerate()
            .filter(|(number, place)| wanted(*number, place))
            .map(|(_, place)| place.bytes.clone())
            .collect();
        Some(if kept.is_empty() {
            Left::Nothing
        } else if kept.len() == places.len() {
            Left::All
        } else {
            Left::Some(self.rebuilt(layout, &kept)?)
        })
    }

    /// Returns the position of each payload in the packet.
    pub(super) fn places(&self) -> Option<Vec<Place>> {
        let layout = self.layout()?;
        let area = layout.area(self.as_bytes())?;
        payload::places(area, layout.multiple)
    }

    /// Returns a packet of several payloads with only those at these positions.
    fn rebuilt(&self, layout: &Layout, kept: &[Range<usize>]) -> Option<Bytes> {
        let bytes = self.as_bytes();
        let area = layout.area(bytes)?;
        let count_at = area.end.checked_sub(area.bytes.len())?;
        let flags = bytes.get(count_at)? & 0xc0;
        let mut out = bytes.get(..count_at)?.to_vec();
        out.push(flags | u8::try_from(kept.len()).ok()?);
        for Range { start, end } in kept {
            let place = count_at.checked_add(*start)?..count_at.checked_add(*end)?;
            out.extend_from_slice(bytes.get(place)?);
        }
        put_packet_length(&mut out, layout);
        Some(out.into())
    }
}

/// Sets Packet Length, if present, to the packet's new size, which is smaller and so fits the field.
fn put_packet_length(packet: &mut [u8], layout: &Layout) {
    let field = layout.packet_length;
    if field.value == 0 {
        return;
    }
    let length = (packet.len() as u32).to_le_bytes();
    if let Some(length) = length.get(..usize::from(field.width)) {
        put(packet, field.offset.into(), length);
    }
}

#[cfg(test)]
mod tests {
    use super::super::joining::tests::packet;
    use super::*;

    #[test]
    fn payloads_of_other_streams_are_removed() {
        let both = packet(&[
            (0x81, 0, b"sound"),
            (0x82, 0, b"a frame"),
            (0x01, 5, b"more"),
        ]);
        let sound = packet(&[(0x81, 0, b"sound"), (0x01, 5, b"more")]);
        let with = |stream| both.with_streams(|number| number == stream);
        assert_eq!(with(1).as_ref(), Some(sound.as_bytes()));
        assert_eq!(with(3), None);
        assert_eq!(both.with_streams(|_| true).as_ref(), Some(both.as_bytes()));
    }

    /// ASF 5.2.3.1 Single payload
    #[test]
    fn a_single_payload_is_kept_or_removed_whole() {
        let bytes = [
            0x00, 0x5D, 7, 0, 0, 0, 9, 0, 0x82, 5, 0, 0, 0, 0, 0, 1, 2, 3,
        ];
        let packet = DataPacket::parse(Bytes::copy_from_slice(&bytes));
        assert_eq!(packet.defect(), None);
        assert_eq!(
            packet.with_streams(|number| number == 2).as_ref(),
            Some(packet.as_bytes())
        );
        assert_eq!(packet.with_streams(|number| number == 1), None);
    }

    #[test]
    fn unreadable_packets_are_unchanged() {
        for bytes in [&[0x90, 0, 0][..], &[], &[0x41, 0x51]] {
            let packet = DataPacket::parse(Bytes::copy_from_slice(bytes));
            assert_eq!(packet.with_streams(|_| false).as_deref(), Some(bytes));
        }
    }
}
