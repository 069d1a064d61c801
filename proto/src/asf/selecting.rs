// SPDX-License-Identifier: MPL-2.0

//! Packets with some of their payloads left out.

use std::ops::Range;

use bytes::Bytes;

use super::data_packet::{DataPacket, Layout};
use super::object::put;
use super::payload::{self, Place};

/// What is left of a packet
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    /// All of it, since nothing is left out or nothing can be
    All,
    Some(Bytes),
    Nothing,
}

impl DataPacket {
    /// The packet with the payloads of these streams alone; `None` when it has none. A packet that is opaque or damaged,
    /// or that has padding, stays as it is.
    pub fn with_streams(&self, wanted: impl Fn(u8) -> bool) -> Option<Bytes> {
        match self.keep(|_, place| wanted(place.stream)) {
            Left::All => Some(self.as_bytes().clone()),
            Left::Some(bytes) => Some(bytes),
            Left::Nothing => None,
        }
    }

    /// The packet with those payloads alone that `wanted` says, which is asked for each by its place in the packet.
    pub(super) fn keep(&self, wanted: impl Fn(usize, &Place) -> bool) -> Left {
        self.kept(wanted).unwrap_or(Left::All)
    }

    /// `None` when the packet has to stay as it is.
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

    /// Where in the packet each payload is.
    pub(super) fn places(&self) -> Option<Vec<Place>> {
        let layout = self.layout()?;
        let area = layout.area(self.as_bytes())?;
        payload::places(area, layout.multiple)
    }

    /// The packet with the payloads in these places: those of one with several.
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

/// Packet Length, where there is one, as the packet is now: shorter, so that it fits the field.
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
    fn payloads_of_other_streams_go() {
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
    fn a_single_payload_stays_or_goes() {
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
    fn what_cannot_be_taken_apart_stays() {
        for bytes in [&[0x90, 0, 0][..], &[], &[0x41, 0x51]] {
            let packet = DataPacket::parse(Bytes::copy_from_slice(bytes));
            assert_eq!(packet.with_streams(|_| false).as_deref(), Some(bytes));
        }
    }
}
