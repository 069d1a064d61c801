// SPDX-License-Identifier: MPL-2.0

use proptest::prelude::*;
use wmspush_proto::asf::DataPacket;

use crate::invariants::packet::keeps_its_payloads;
use crate::invariants::payloads::width;
use crate::packets::{Says, Shape};

/// Removes the padding of a packet, and restores it like both kinds of receivers.
///
/// Returns the number of bytes removed.
fn strip(packet: &[u8]) -> usize {
    let parsed = DataPacket::parse(packet.to_vec().into());
    assert_eq!(parsed.defect(), None, "{packet:02x?}");
    assert_eq!(parsed.send_time(), Some(0x4030_2010));
    keeps_its_payloads(packet)
}

/// Returns the number of bytes that have to be removed at least.
fn expected_savings(shape: &Shape) -> usize {
    let single = !shape.multiple && shape.packet_length_type == 0;
    // Restoring implicit padding needs a field that is wide enough.
    let too_narrow =
        |value: usize, length_type| length_type != 0 && value >> (8 * width(length_type)) != 0;
    let padding = if shape.is_unambiguous() && shape.padding < shape.size {
        shape.padding
    } else {
        0
    };
    if too_narrow(padding, shape.padding_type)
        || too_narrow(shape.size - padding, shape.packet_length_type)
    {
        return 0;
    }
    if single {
        padding.saturating_sub(2)
    } else {
        padding
    }
}

/// Checks every shape. Returns the number of shapes, and the number of shortened ones.
fn all_shapes(mut check: impl FnMut(&Shape, &[u8])) {
    for types in 0..128u8 {
        for error_correction in [None, Some(2)] {
            for says in [Says::Full, Says::Short, Says::Implicit, Says::Nothing] {
                for padding in [0, 1, 2, 3, 40, 255, 256, 700] {
                    for (size, payload_length_type) in [(200, 1), (1500, 2), (1500, 3)] {
                        let shape = Shape {
                            size,
                            error_correction,
                            multiple: types & 1 != 0,
                            sequence_type: types >> 1 & 3,
                            padding_type: types >> 3 & 3,
                            packet_length_type: types >> 5 & 3,
                            payload_length_type,
                            property: 0x5D,
                            padding,
                            says,
                        };
                        if padding < size
                            && let Some(packet) = shape.build()
                        {
                            check(&shape, &packet);
                        }
                    }
                }
            }
        }
    }
}

/// ASF 5.2.2 Payload Parsing Information: 128 combinations of length types, with and without error correction data
/// C-044, C-045
#[test]
fn every_layout_keeps_its_payloads_and_loses_its_padding() {
    let (mut checked, mut shorter) = (0, 0);
    all_shapes(|shape, packet| {
        if !shape.is_unambiguous() {
            return;
        }
        let removed = strip(packet);
        assert!(removed >= expected_savings(shape), "{removed} of {shape:?}");
        assert!(removed <= shape.padding);
        checked += 1;
        shorter += usize::from(removed > 0);
    });
    assert!(checked > 5000 && shorter > 2500, "{shorter} of {checked}");
}

/// Readers differ on these packets, so they must not be changed
#[test]
fn contradictory_lengths_leave_every_layout_whole() {
    let mut checked = 0;
    all_shapes(|shape, packet| {
        let lengths = (shape.packet_length_type, shape.padding_type);
        if shape.says != Says::Short || lengths.0 == 0 || lengths.1 == 0 || shape.padding < 3 {
            return;
        }
        let mut packet = packet.to_vec();
        let types = if shape.error_correction.is_some() {
            3
        } else {
            0
        };
        packet[types + 2] -= 1;
        if packet[types + 2] == 0 || packet[types + 2] == 0xFF {
            return;
        }
        let parsed = DataPacket::parse(packet.clone().into());
        assert_eq!(parsed.without_padding().body, packet, "{shape:?}");
        checked += 1;
    });
    assert!(checked > 200, "{checked}");
}

prop_compose! {
    fn shapes()(
        size in 60usize..2000,
        error_correction in prop::option::of(0u8..16),
        types in 0u8..128,
        payload_length_type in 1u8..4,
        property in (0u8..64).prop_map(|bits| bits | 0x40),
        padding in prop_oneof![0usize..6, 250usize..260, 0usize..2000],
        says in prop_oneof![Just(Says::Full), Just(Says::Short), Just(Says::Implicit), Just(Says::Nothing)],
    ) -> Shape {
        Shape {
            size,
            error_correction,
            multiple: types & 1 != 0,
            sequence_type: types >> 1 & 3,
            padding_type: types >> 3 & 3,
            packet_length_type: types >> 5 & 3,
            payload_length_type,
            property,
            padding,
            says,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_layout_keeps_its_payloads(shape in shapes()) {
        if shape.padding < shape.size && shape.is_unambiguous() && let Some(packet) = shape.build() {
            let removed = strip(&packet);
            prop_assert!(removed >= expected_savings(&shape));
        }
    }
}
