// SPDX-License-Identifier: MPL-2.0

//! Packets with more payloads than their count can express.
//!
//! asfmux writes up to 64 payloads into a packet. Number of Payloads has six bits, so the count overflows into the
//! Payload Length Type above it, and readers find no payloads.

use super::data_packet::{DataPacket, Layout, length_types};
use super::defect::Defect;
use super::payload::{MOST_PAYLOADS, PAYLOAD_LENGTH_WORD, Place, overflown};

impl DataPacket {
    /// Distributes the payloads of a packet with more than 63 of them over several packets of the same size and times;
    /// `None` for any other packet.
    ///
    /// Payloads without data are left out. asfmux writes one if a packet has only room for a payload's head, and VLC
    /// rejects a packet that begins with one.
    pub fn split(&self) -> Option<Vec<DataPacket>> {
        let Some(Defect::TooManyPayloads { .. }) = self.defect() else {
            return None;
        };
        let packet = self.as_bytes();
        let (layout, area) = Layout::read(packet, length_types(packet)?).ok()?;
        let places = overflown(&area)?;
        let places: Vec<_> = places.iter().filter(|place| !place.is_empty).collect();
        let packets = places.len().div_ceil(MOST_PAYLOADS).max(1);
        let each = places.len().div_ceil(packets).max(1);
        let part = |places: &[&Place]| {
            let flags = [PAYLOAD_LENGTH_WORD | u8::try_from(places.len()).ok()?];
            let bytes = |place: &&Place| area.bytes.get(place.bytes.clone());
            let payloads = std::iter::once(Some(&flags[..])).chain(places.iter().map(bytes));
            let payloads: Vec<_> = payloads.collect::<Option<_>>()?;
            let part = layout.pack(packet, &payloads, packet.len())?;
            Some(DataPacket::parse(part))
        };
        let parts: Option<Vec<_>> = places.chunks(each).map(part).collect();
        parts.filter(|parts| !parts.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a payload of stream 1 with `len` bytes of data.
    fn payload(number: usize, len: u8) -> Vec<u8> {
        let head = [0x81, number as u8, 0, 0, 0, 0, 0, len, 0];
        [&head[..], &vec![number as u8; len.into()]].concat()
    }

    /// Returns a packet of 3000 bytes as asfmux writes it, with `count` payloads of stream 1 and ten bytes of data
    /// each.
    fn crowded(count: usize) -> Vec<u8> {
        packed(&vec![10; count])
    }

    /// Returns a packet of 3000 bytes as asfmux writes it, with payloads of these sizes.
    fn packed(sizes: &[u8]) -> Vec<u8> {
        let count = sizes.len();
        let payloads = sizes.iter().enumerate();
        let payloads: Vec<u8> = payloads.flat_map(|(n, &len)| payload(n, len)).collect();
        let end = (13 + payloads.len()) as u16;
        let lengths = [end.to_le_bytes(), (3000 - end).to_le_bytes()].concat();
        let head = [&[0x51, 0x5D][..], &lengths, &[7, 0, 0, 0, 9, 0]].concat();
        let flags = 0x80usize.wrapping_add(count) as u8;
        let mut packet = [&head[..], &[flags], &payloads].concat();
        packet.resize(3000, 0);
        packet
    }

    fn parts(packet: Vec<u8>) -> Vec<Vec<u8>> {
        let packet = DataPacket::parse(packet.into());
        let parts = packet.split().unwrap_or_default();
        let bytes = parts.iter().map(|part| {
            assert_eq!((part.defect(), part.len()), (None, 3000));
            assert_eq!((part.send_time(), part.duration()), (Some(7), Some(9)));
            assert!(part.has_key_frame());
            part.as_bytes().to_vec()
        });
        bytes.collect()
    }

    /// ASF 5.2.3.3 Multiple payloads
    #[test]
    fn more_than_63_payloads_become_several_packets() {
        for (count, expected) in [
            (64, &[32, 32][..]),
            (65, &[33, 32]),
            (126, &[63, 63]),
            (127, &[43, 43, 41]),
            (150, &[50, 50, 50]),
        ] {
            let packet = crowded(count);
            let parsed = DataPacket::parse(packet.clone().into());
            assert_eq!(parsed.defect(), Some(&Defect::TooManyPayloads { count }));
            let parts = parts(packet.clone());
            let counts: Vec<_> = parts.iter().map(|part| part[12] & 0x3f).collect();
            assert_eq!(counts, expected);
            let mut payloads: Vec<u8> = Vec::new();
            for (part, count) in parts.iter().zip(counts) {
                let end = 13 + usize::from(count) * 19;
                let padding = (3000 - end as u16).to_le_bytes();
                assert_eq!(part[2..6], [&3000u16.to_le_bytes()[..], &padding].concat());
                payloads.extend(&part[13..end]);
                assert!(part[end..].iter().all(|&byte| byte == 0));
            }
            assert_eq!(payloads, packet[13..][..count * 19]);
        }
    }

    /// asfmux writes an empty payload if the packet has only room for its head.
    #[test]
    fn empty_payloads_are_left_out_of_split_packets() {
        for (empty, expected) in [
            (&[0, 32, 69][..], &[34, 33][..]),
            (&[0, 1, 2, 3, 4, 5, 6], &[63]),
        ] {
            let mut sizes = vec![10; 70];
            empty.iter().for_each(|&at| sizes[at] = 0);
            let parts = parts(packed(&sizes));
            let counts: Vec<_> = parts.iter().map(|part| part[12] & 0x3f).collect();
            assert_eq!(counts, expected);
            let data = parts.iter().zip(counts);
            let data: Vec<u8> = data
                .flat_map(|(part, count)| part[13..][..usize::from(count) * 19].to_vec())
                .collect();
            let kept = (0..70).filter(|number| !empty.contains(number));
            assert_eq!(
                data,
                kept.flat_map(|number| payload(number, 10))
                    .collect::<Vec<_>>()
            );
        }
        assert_eq!(DataPacket::parse(packed(&[0; 70]).into()).split(), None);
    }

    #[test]
    fn a_packet_is_split_only_if_its_payloads_fill_it() {
        assert_eq!(parts(crowded(63)), Vec::<Vec<u8>>::new());
        let changes: [fn(&mut [u8]); 4] = [
            |packet| packet[12] = 0xC2,
            |packet| packet[4] ^= 1,
            |packet| packet[13] = 0x80,
            |packet| packet[13 + 7] = 11,
        ];
        for change in changes {
            let mut packet = crowded(64);
            change(&mut packet);
            assert_eq!(DataPacket::parse(packet.into()).split(), None);
        }
    }
}
