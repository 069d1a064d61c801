// SPDX-License-Identifier: MPL-2.0

//! Packets with too many payloads, as asfmux writes them.

use proptest::prelude::*;
use proptest::sample::Index;
use wmspush_proto::asf::{Defect, Item};

use crate::invariants::header::file_header;
use crate::invariants::packet::{filled_payloads, keeps_its_payloads};
use crate::invariants::payloads::{payloads, width};
use crate::invariants::reader::{Step, is_the_same_in_any_split};
use crate::packets::Says;

/// A packet with too many payloads, whose count has overflowed into the flags
#[derive(Debug, Clone)]
struct Crowded {
    error_correction: bool,
    /// Types of Packet Length, Sequence and Padding Length
    types: [u8; 3],
    property: u8,
    says: Says,
    padding: usize,
    /// The value of all data bytes
    data: u8,
    /// Stream, length of the replicated data, length of the data
    payloads: Vec<(u8, usize, usize)>,
}

fn put(out: &mut Vec<u8>, value: usize, length_type: u8) -> Option<()> {
    let (width, value) = (width(length_type), value as u64);
    (width == 0 || value >> (8 * width) == 0)
        .then(|| out.extend_from_slice(&value.to_le_bytes()[..width]))
}

impl Crowded {
    /// Returns the payloads after Payload Flags; `None` if a value does not fit.
    fn payload_data(&self) -> Option<Vec<u8>> {
        let mut out = vec![0x80usize.wrapping_add(self.payloads.len()) as u8];
        for (number, &(stream, replicated, data)) in self.payloads.iter().enumerate() {
            out.push(stream);
            put(&mut out, number, self.property >> 4 & 3)?;
            put(&mut out, number, self.property >> 2 & 3)?;
            let replicated = if self.property & 3 == 0 {
                0
            } else {
                replicated
            };
            put(&mut out, replicated, self.property & 3)?;
            out.resize(out.len() + replicated, number as u8);
            put(&mut out, data, 2)?;
            out.resize(out.len() + data, self.data);
        }
        Some(out)
    }

    fn build(&self) -> Option<Vec<u8>> {
        let [packet_length, sequence, padding_length] = self.types;
        let payload_data = self.payload_data()?;
        let mut out = if self.error_correction {
            vec![0x82, 0, 0]
        } else {
            vec![]
        };
        out.push(1 | sequence << 1 | padding_length << 3 | packet_length << 5);
        out.push(self.property);
        let lengths = width(packet_length) + width(sequence) + width(padding_length);
        let end = out.len() + lengths + 6 + payload_data.len();
        let told = match self.says {
            Says::Full => end + self.padding,
            Says::Short | Says::Implicit => end,
            Says::Nothing => 0,
        };
        put(&mut out, told, packet_length)?;
        put(&mut out, 7, sequence)?;
        let told = match self.says {
            Says::Implicit => 0,
            _ => self.padding,
        };
        put(&mut out, told, padding_length)?;
        out.extend_from_slice(&[1, 2, 3, 4, 5, 6]);
        out.extend(payload_data);
        out.resize(end + self.padding, 0xEE);
        let told = match self.says {
            Says::Implicit => packet_length != 0,
            _ => padding_length != 0,
        };
        (told || self.padding == 0).then_some(out)
    }
}

prop_compose! {
    fn crowded()(
        error_correction in any::<bool>(),
        types in [0u8..4, 0u8..4, 0u8..4],
        property in prop_oneof![3 => Just(0x5Du8), 1 => (0u8..64).prop_map(|bits| bits | 0x40)],
        says in prop_oneof![Just(Says::Full), Just(Says::Short), Just(Says::Implicit), Just(Says::Nothing)],
        data in prop_oneof![Just(0u8), any::<u8>()],
        padding in prop_oneof![Just(0usize), 1usize..300, 250usize..3000],
        payloads in prop::collection::vec(
            (prop_oneof![Just(0x81u8), 1u8..128], prop_oneof![Just(0usize), Just(8)], 0usize..20),
            64..200,
        ),
    ) -> Crowded {
        Crowded { error_correction, types, property, says, padding, data, payloads }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// ASF 5.2.3.3 Multiple payloads
    #[test]
    fn crowded_packets_keep_their_payloads(
        crowded in crowded(),
        before in 0usize..3,
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let Some(packet) = crowded.build() else {
            return Ok(());
        };
        keeps_its_payloads(&packet);
        let expected = filled_payloads(&packet).unwrap();
        // A packet without data has nothing to keep.
        prop_assume!(!expected.is_empty());
        let mut filler = vec![0, 0x5D, 9, 9, 9, 9, 0, 0, 0x81, 0, 0, 0, 0, 0, 0];
        filler.resize(packet.len(), 3);
        let stream = [file_header(packet.len() as u32, 50, 1), filler.repeat(before), packet.clone(), filler.clone()];
        let steps = [Step::Bytes(stream.concat())];
        let items = is_the_same_in_any_split(&steps, |len| cuts.iter().map(|cut| cut.index(len + 1)).collect());
        let mut found = Vec::new();
        for item in &items {
            if let Item::DataUnit(part) = item {
                prop_assert_eq!((part.len(), part.defect()), (packet.len(), None));
                found.extend(payloads(part.as_bytes()).unwrap());
            }
        }
        let filler = payloads(&filler).unwrap();
        let around = vec![filler; before + 1].concat();
        let (earlier, later) = around.split_at(before);
        prop_assert_eq!(found, [earlier, &expected, later].concat());
    }

    /// A packet that asfmux cannot have written stays whole
    #[test]
    fn a_crowded_packet_with_a_byte_changed_is_kept(crowded in crowded(), at in any::<Index>(), value in any::<u8>()) {
        let Some(mut packet) = crowded.build() else {
            return Ok(());
        };
        let at = at.index(packet.len().min(2000));
        packet[at] = value;
        keeps_its_payloads(&packet);
        let has_data = filled_payloads(&packet).is_some_and(|payloads| !payloads.is_empty());
        let parsed = wmspush_proto::asf::DataPacket::parse(packet.into());
        let many = matches!(parsed.defect(), Some(Defect::TooManyPayloads { .. }));
        prop_assert_eq!(parsed.split().is_some(), many && has_data);
    }
}
