// SPDX-License-Identifier: MPL-2.0

use std::ops::Range;

use super::defect::Defect;
use super::fields::Fields;
use super::object::u32_at;
use super::stream_set::StreamSet;

/// ASF 5.2.3.3 Multiple payloads: the largest Number of Payloads
pub(super) const MOST_PAYLOADS: usize = 63;
/// Payload Flags: Payload Lengths of two bytes
pub(super) const PAYLOAD_LENGTH_WORD: u8 = 0x80;

/// ASF 5.2.3 Payload data: the part of a packet that it is in
#[derive(Clone, Copy)]
pub(super) struct Area<'a> {
    /// From the end of the payload parsing information to the start of the padding
    pub bytes: &'a [u8],
    /// Where in the packet it ends, in bytes
    pub end: usize,
    /// Property Flags: the widths of the payloads' fields
    pub property: u8,
}

/// What payloads say of key frames
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct KeyFrameBits {
    /// One of the payloads belongs to a key frame
    pub any: bool,
    /// Streams of which a key frame begins in one of the payloads
    pub starts: StreamSet,
}

/// Finds every payload to be inside of the area. Returns what they say of key frames, and whether they fill it.
pub(super) fn check(area: Area<'_>, multiple: bool) -> Result<(KeyFrameBits, bool), Defect> {
    let Area {
        bytes,
        end,
        property,
    } = area;
    let mut fields = Fields {
        packet: bytes,
        offset: 0,
    };
    let mut key_frames = KeyFrameBits::default();
    if !multiple {
        head(&mut fields, property, 0, end)?.add_to(&mut key_frames);
        return Ok((key_frames, true));
    }
    let [flags] = fields
        .array()
        .ok_or(Defect::PayloadOutOfBounds { payload: 0, end })?;
    let (count, length_type) = (flags & 0x3f, flags >> 6);
    if count == 0 {
        return Err(Defect::NoPayloads);
    }
    if length_type == 0 {
        return Err(Defect::PayloadLengthType);
    }
    for payload in 0..count {
        head(&mut fields, property, payload, end)?.add_to(&mut key_frames);
        let inside = fields
            .value(length_type)
            .and_then(|length| fields.skip(length));
        inside.ok_or(Defect::PayloadOutOfBounds { payload, end })?;
    }
    Ok((key_frames, fields.offset == bytes.len()))
}

/// Calls `found` with Stream Number and presentation time in milliseconds of each payload that has one, until it returns
/// something; returns that.
pub(super) fn presentation_times<T>(
    area: Area<'_>,
    multiple: bool,
    mut found: impl FnMut(u8, u32) -> Option<T>,
) -> Option<T> {
    let mut fields = Fields {
        packet: area.bytes,
        offset: 0,
    };
    let mut left = 1;
    let mut length_type = 0;
    if multiple {
        let [flags] = fields.array()?;
        (left, length_type) = (flags & 0x3f, flags >> 6);
    }
    while left > 0 {
        let head = head(&mut fields, area.property, 0, area.end).ok()?;
        let time = head.presentation_time(&fields);
        if let Some(found) = time.and_then(|time| found(head.stream & 0x7f, time)) {
            return Some(found);
        }
        let length = fields.value(length_type)?;
        fields.skip(length)?;
        left = left.saturating_sub(1);
    }
    None
}

/// One payload
pub(super) struct Place {
    /// From its Stream Number to the end of its data, in bytes from the start of the area
    pub bytes: Range<usize>,
    /// Stream Number alone
    pub stream: u8,
    pub begins_key_frame: bool,
}

/// Where each payload is; `None` when one of them is not inside of the area.
pub(super) fn places(area: Area<'_>, multiple: bool) -> Option<Vec<Place>> {
    let Area {
        bytes,
        end,
        property,
    } = area;
    let mut fields = Fields {
        packet: bytes,
        offset: 0,
    };
    if !multiple {
        let head = head(&mut fields, property, 0, end).ok()?;
        return Some(vec![head.place(0..bytes.len())]);
    }
    let [flags] = fields.array()?;
    let place = |_| place(&mut fields, property, flags >> 6);
    (0..flags & 0x3f).map(place).collect()
}

/// Finds the payloads of a packet whose Number of Payloads has run over into the Payload Length Type, as asfmux writes it
/// with 64 payloads; `None` for any other packet.
pub(super) fn overflown(area: &Area<'_>) -> Option<Vec<Place>> {
    let flags = *area.bytes.first()?;
    let places = uncounted(area, PAYLOAD_LENGTH_WORD >> 6)?;
    let written = usize::from(PAYLOAD_LENGTH_WORD).checked_add(places.len())?;
    let told = flags == written.to_le_bytes().first().copied()?;
    (places.len() > MOST_PAYLOADS && told).then_some(places)
}

/// The defect of such a packet.
#[cold]
pub(super) fn overflow(area: &Area<'_>) -> Option<Defect> {
    let count = overflown(area)?.len();
    Some(Defect::TooManyPayloads { count })
}

/// Where each payload is if their number, which is not looked at, is as large as the area: they have Payload Lengths of
/// this type, and the last one ends where the area ends. `None` when they do not, or when one has no stream.
fn uncounted(area: &Area<'_>, length_type: u8) -> Option<Vec<Place>> {
    let mut fields = Fields {
        packet: area.bytes,
        offset: 1, // Payload Flags
    };
    let mut places = Vec::new();
    while fields.offset < area.bytes.len() {
        let place = place(&mut fields, area.property, length_type)?;
        places.push(place);
    }
    let named = places.iter().all(|place: &Place| place.stream != 0);
    named.then_some(places)
}

/// The next one of multiple payloads.
fn place(fields: &mut Fields<'_>, property: u8, length_type: u8) -> Option<Place> {
    let start = fields.offset;
    let head = head(fields, property, 0, 0).ok()?;
    let length = fields.value(length_type)?;
    fields.skip(length)?;
    Some(head.place(start..fields.offset))
}

/// The Replicated Data Length of compressed payload data
const COMPRESSED: u32 = 1;

/// What comes before a payload's length and data
struct Head {
    /// Stream Number, and the Key Frame Bit above it
    stream: u8,
    /// In bytes; a presentation time in a compressed payload
    offset_into_media_object: u32,
    replicated_data_length: u32,
}

impl Head {
    fn add_to(&self, key_frames: &mut KeyFrameBits) {
        key_frames.any |= self.is_of_key_frame();
        if self.begins_key_frame() {
            key_frames.starts.insert(self.stream);
        }
    }

    fn place(&self, bytes: Range<usize>) -> Place {
        Place {
            bytes,
            stream: self.stream & 0x7f,
            begins_key_frame: self.begins_key_frame(),
        }
    }

    /// Presentation time in milliseconds. `fields` are those that the head was read from, and have not gone on since.
    fn presentation_time(&self, fields: &Fields<'_>) -> Option<u32> {
        /// Where it is in replicated data, behind the size of the media object
        const PRESENTATION_TIME: usize = 4;
        match self.replicated_data_length {
            0 => None,
            COMPRESSED => Some(self.offset_into_media_object),
            length => {
                let start = fields.offset.checked_sub(usize::try_from(length).ok()?)?;
                u32_at(fields.packet, start.checked_add(PRESENTATION_TIME)?)
            }
        }
    }

    fn is_of_key_frame(&self) -> bool {
        self.stream & 0x80 != 0
    }

    fn begins_key_frame(&self) -> bool {
        let is_first =
            self.offset_into_media_object == 0 || self.replicated_data_length == COMPRESSED;
        self.is_of_key_frame() && is_first
    }
}

/// Reads one: ASF 5.2.3.1 Single payload, 5.2.3.3 Multiple payloads.
// Every packet goes through it in `check`: a call would cost a twentieth of what reading a packet costs.
#[inline(always)]
fn head(fields: &mut Fields<'_>, property: u8, payload: u8, end: usize) -> Result<Head, Defect> {
    let out_of_bounds = Defect::PayloadOutOfBounds { payload, end };
    let [stream] = fields.array().ok_or(out_of_bounds)?;
    let _media_object_number = fields.value(property >> 4).ok_or(out_of_bounds)?;
    let offset_into_media_object = fields.value(property >> 2).ok_or(out_of_bounds)?;
    let length = fields.value(property).ok_or(out_of_bounds)?;
    if (2..8).contains(&length) {
        return Err(Defect::ReplicatedDataLength { payload, length });
    }
    fields.skip(length).ok_or(out_of_bounds)?;
    Ok(Head {
        stream,
        offset_into_media_object,
        replicated_data_length: length,
    })
}
