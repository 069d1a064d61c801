// SPDX-License-Identifier: MPL-2.0

use super::super::testing::{
    extended_stream_properties, file_properties as stored, guids, header_bytes, header_extension,
    object, stream_of,
};
use super::*;

fn audio(number: u16, bytes_per_second: u32) -> Vec<u8> {
    let format = [&[0; 8][..], &bytes_per_second.to_le_bytes(), &[0; 4]].concat();
    stream_of(number, Guid::AUDIO_MEDIA, &format)
}

fn video(number: u16) -> Vec<u8> {
    stream_of(number, Guid::VIDEO_MEDIA, &[])
}

fn bitrates(total: u32, streams: &[(u8, u32)]) -> Bitrates {
    Bitrates {
        total: (total > 0).then_some(total),
        streams: streams.iter().copied().collect(),
    }
}

/// Returns a header with this Maximum Bitrate and these objects.
fn header(maximum: u32, objects: &[Vec<u8>]) -> FileHeader {
    let mut properties = stored(1500);
    let at = file_properties::MAXIMUM_BITRATE;
    put(&mut properties, at, &maximum.to_le_bytes());
    let children = [&[properties], objects].concat();
    FileHeader::parse(header_bytes(&children, 50).into()).unwrap()
}

/// Returns Maximum Bitrate and the records of the Stream Bitrate Properties Object.
fn filled(header: &FileHeader, bitrates: &Bitrates) -> (u32, Vec<(u8, u32)>) {
    let live = header.to_live_with(bitrates);
    assert_eq!(
        live.to_live_with(bitrates),
        live,
        "a second call changed the header"
    );
    assert_eq!(live.to_live(), live);
    let (outer, _) = guids(&live);
    assert_eq!(live.as_bytes()[24..28], (outer.len() as u32).to_le_bytes());
    let tree = HeaderTree::of(&live);
    let object = tree.get(Guid::STREAM_BITRATE_PROPERTIES);
    let rates = object.map_or_else(Rates::new, |object| {
        assert_eq!(object.len(), RECORDS + records_len(object).unwrap());
        records(object).unwrap()
    });
    let rates = rates.iter().map(|(&number, rate)| (number, rate.get()));
    (live.maximum_bitrate(), rates.collect())
}

/// ASF 3.12 Stream Bitrate Properties Object
#[test]
fn the_object_has_a_record_for_each_stream() {
    let live = header(0, &[video(1), audio(2, 6000)]).to_live_with(&bitrates(200_000, &[]));
    let tree = HeaderTree::of(&live);
    let expected = [
        0xCE, 0x75, 0xF8, 0x7B, 0x8D, 0x46, 0xD1, 0x11, 0x8D, 0x82, 0x00, 0x60, 0x97, 0xC9, 0xA2,
        0xB2, 38, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0xC0, 0x51, 0x02, 0, 2, 0, 0x80, 0xBB, 0, 0,
    ];
    let object = tree.get(Guid::STREAM_BITRATE_PROPERTIES).unwrap();
    assert_eq!(object[..], expected);
    assert_eq!(live.maximum_bitrate(), 200_000);
}

#[test]
fn a_single_unknown_stream_gets_the_rest_of_the_total() {
    let both = [video(1), audio(2, 6000)];
    let expected = (200_000, vec![(1, 152_000), (2, 48_000)]);
    assert_eq!(filled(&header(0, &both), &bitrates(200_000, &[])), expected);
    assert_eq!(filled(&header(200_000, &both), &bitrates(0, &[])), expected);
    let alone = (70_000, vec![(1, 70_000)]);
    assert_eq!(
        filled(&header(0, &[video(1)]), &bitrates(70_000, &[])),
        alone
    );
}

#[test]
fn the_total_is_the_sum_of_all_streams() {
    let both = header(0, &[video(1), audio(2, 6000)]);
    let expected = (248_000, vec![(1, 200_000), (2, 48_000)]);
    assert_eq!(filled(&both, &bitrates(0, &[(1, 200_000)])), expected);
    assert_eq!(
        filled(&header(0, &[audio(1, 6000)]), &Bitrates::default()),
        (48_000, vec![(1, 48_000)])
    );
    let unknown = bitrates(0, &[(1, u32::MAX)]);
    assert_eq!(
        filled(&both, &unknown),
        (0, vec![]),
        "0xFFFFFFFF is unknown"
    );
    let overflow = bitrates(0, &[(1, u32::MAX - 1)]);
    assert_eq!(
        filled(&both, &overflow),
        (0, vec![(1, u32::MAX - 1), (2, 48_000)])
    );
}

#[test]
fn unknown_rates_stay_unknown() {
    let two = header(0, &[video(1), video(3), audio(2, 6000)]);
    for zero in [bitrates(0, &[]), bitrates(0, &[(1, 0)])] {
        assert_eq!(filled(&two, &zero), (0, vec![]));
    }
    assert_eq!(two.to_live_with(&bitrates(0, &[(9, 1000)])), two.to_live());
    assert_eq!(filled(&two, &bitrates(300_000, &[])), (300_000, vec![]));
}

#[test]
fn a_total_below_the_known_rates_is_ignored() {
    let audio = audio(2, 6000);
    for (total, expected) in [
        (48_001, (48_001, vec![(1, 1), (2, 48_000)])),
        (48_000, (0, vec![])),
        (1000, (0, vec![])),
    ] {
        let both = header(0, &[video(1), audio.clone()]);
        assert_eq!(filled(&both, &bitrates(total, &[])), expected, "{total}");
    }
    let alone = header(0, &[audio]);
    for (total, expected) in [(48_001, 48_001), (48_000, 48_000), (47_999, 48_000)] {
        let expected = (expected, vec![(2, 48_000)]);
        assert_eq!(filled(&alone, &bitrates(total, &[])), expected, "{total}");
    }
}

/// FFmpeg writes 0xFFFFFFFF for encoders with a variable bit rate
#[test]
fn unknown_rates_are_filled_in_every_object() {
    let object = |rates: [u32; 2]| {
        let record = |number: u8, rate: u32| [&[number, 0][..], &rate.to_le_bytes()].concat();
        let records = [record(1, rates[0]), record(2, rates[1])].concat();
        object(
            Guid::STREAM_BITRATE_PROPERTIES,
            &[&[2, 0][..], &records].concat(),
        )
    };
    for unknown in [0, u32::MAX] {
        let both = [video(1), audio(2, 6000)];
        let expected = (200_000, vec![(1, 152_000), (2, 48_000)]);
        let given = bitrates(200_000, &[]);
        assert_eq!(filled(&header(unknown, &both), &given), expected);
        let with = |rates| header(unknown, &[&both[..], &[object(rates)]].concat());
        assert_eq!(filled(&with([unknown; 2]), &given), expected);
        let tagged = bitrates(unknown, &[(1, 152_000), (2, unknown)]);
        assert_eq!(filled(&with([unknown; 2]), &tagged), expected);
        let told = (200_000, vec![(1, 180_000), (2, 20_000)]);
        assert_eq!(filled(&with([unknown, 20_000]), &given), told);
        let none = (0, vec![(2, 48_000)]);
        assert_eq!(filled(&with([unknown; 2]), &Bitrates::default()), none);
        assert_eq!(header(unknown, &both).maximum_bitrate(), 0);
        assert_eq!(header(unknown, &both).to_live(), header(0, &both).to_live());
        assert_eq!(with([unknown; 2]).to_live(), with([0; 2]).to_live());
    }
}

#[test]
fn a_rate_comes_from_the_first_source_that_has_it() {
    let inner = [
        extended_stream_properties(1, [500, 700], &[]),
        extended_stream_properties(4, [90, 0], &video(4)),
    ];
    let all = [
        audio(1, 100),
        audio(2, 100),
        audio(3, 100),
        header_extension(&inner),
    ];
    let given = bitrates(0, &[(1, 5), (2, 6), (4, 7)]);
    // A stream that is in the Header Extension only does not count towards the sum.
    let expected = (700 + 6 + 800, vec![(1, 700), (2, 6), (3, 800), (4, 90)]);
    assert_eq!(filled(&header(0, &all), &given), expected);
    assert_eq!(filled(&header(9, &all), &given), (9, expected.1));
}

#[test]
fn known_rates_stay() {
    let records = [&[2, 0][..], &[1, 0, 10, 0, 0, 0], &[2, 0x80, 20, 0, 0, 0]].concat();
    let both = [video(1), audio(2, 6000)];
    let with = |records: &[u8]| {
        let object = object(Guid::STREAM_BITRATE_PROPERTIES, records);
        [&both[..], &[object]].concat()
    };
    let given = bitrates(1000, &[(1, 400)]);
    let rates = vec![(1, 10), (2, 20)];
    assert_eq!(
        filled(&header(0, &with(&records)), &given),
        (30, rates.clone())
    );
    assert_eq!(filled(&header(40, &with(&records)), &given), (40, rates));
    let one = [&[1, 0][..], &[1, 0, 10, 0, 0, 0]].concat();
    assert_eq!(
        filled(&header(0, &with(&one)), &bitrates(90_000, &[])),
        (90_000, vec![(1, 10)])
    );
    let cut = header(0, &with(&records[..13])).to_live_with(&given);
    assert_eq!(cut.maximum_bitrate(), 48_400);
    assert_eq!(guids(&cut).0.len(), 4);
}

#[test]
fn only_the_signature_is_lost_besides() {
    let signature = object(Guid::DIGITAL_SIGNATURE, &[7; 20]);
    let children = [video(1), audio(2, 6000)];
    let live = header(0, &children).to_live();
    let signed = header(0, &[&children[..], &[signature]].concat());
    let with = signed.to_live_with(&bitrates(200_000, &[]));
    assert!(!guids(&with).0.contains(&Guid::DIGITAL_SIGNATURE));
    let mut expected = live.as_bytes().to_vec();
    let end = live.header_object_size();
    let object = with.as_bytes()[end..with.header_object_size()].to_vec();
    put(
        &mut expected,
        16,
        &((end + object.len()) as u64).to_le_bytes(),
    );
    put(&mut expected, 24, &4u32.to_le_bytes());
    put(&mut expected, 30 + 100, &200_000u32.to_le_bytes());
    expected.splice(end..end, object);
    assert_eq!(with.as_bytes()[..], expected);
}

/// A header of `size` bytes in all that an object with this GUID fills up, as a live stream has it
fn filled_up(guid: Guid, size: usize) -> FileHeader {
    let small = header(0, &[audio(1, 6000), object(guid, &[])]);
    let filling = vec![0; size - small.as_bytes().len()];
    let large = header(0, &[audio(1, 6000), object(guid, &filling)]);
    let live = large.to_live_with(&Bitrates::default());
    assert_eq!(live.maximum_bitrate(), 48_000);
    live
}

const LARGEST: usize = MAX_HEADER_OBJECT as usize + DATA_HEAD;

#[test]
fn the_added_object_never_exceeds_the_header_limit() {
    for (size, grows) in [
        (MAX_HEADER_IN_C - 32, true),
        (MAX_HEADER_IN_C - 31, false),
        (MAX_HEADER_IN_H, false),
        (MAX_HEADER_IN_H + 1, true),
        (LARGEST - 32, true),
        (LARGEST - 31, false),
    ] {
        let live = filled_up(Guid::CODEC_LIST, size);
        let grown = live.as_bytes().len() - size;
        assert_eq!(grown, if grows { 32 } else { 0 }, "{size}");
    }
}

#[test]
fn padding_gives_way_to_bit_rates() {
    for size in [MAX_HEADER_IN_C - 31, MAX_HEADER_IN_H, LARGEST] {
        let live = filled_up(Guid::PADDING, size);
        assert_eq!(live.as_bytes().len(), size);
        assert!(guids(&live).0.contains(&Guid::STREAM_BITRATE_PROPERTIES));
    }
    for size in [MAX_HEADER_IN_C - 32, MAX_HEADER_IN_H + 1] {
        let live = filled_up(Guid::PADDING, size);
        assert_eq!(live.as_bytes().len(), size + 32, "{size}");
    }
}

#[test]
fn small_padding_is_removed_for_bit_rates() {
    let padding = |len: usize| object(Guid::PADDING, &vec![0; len - 24]);
    for (paddings, change) in [
        (vec![padding(56)], Some(0)),
        (vec![padding(24), padding(55)], Some(-23)),
        (
            vec![padding(31), header_extension(&[padding(24)])],
            Some(-23),
        ),
        (vec![padding(31)], None),
    ] {
        let filled = |filling: usize| {
            let codecs = object(Guid::CODEC_LIST, &vec![0; filling]);
            header(0, &[&[audio(1, 6000), codecs], &paddings[..]].concat())
        };
        let full = filled(MAX_HEADER_IN_C - filled(0).as_bytes().len());
        let live = full.to_live_with(&Bitrates::default());
        let changed = live.as_bytes().len() as i64 - MAX_HEADER_IN_C as i64;
        assert_eq!(changed, change.unwrap_or(0));
        let (outer, _) = guids(&live);
        let added = outer.contains(&Guid::STREAM_BITRATE_PROPERTIES);
        assert_eq!(added, change.is_some(), "{change:?}");
    }
}
