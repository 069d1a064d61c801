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

/// ASF 5.2.3 Payload data: the part of a packet with the payloads
#[derive(Clone, Copy)]
pub(super) struct Area<'a> {
    /// The bytes from the end of the payload parsing information to the start of the padding
    pub bytes: &'a [u8],
    /// Offset of its end in the packet, in bytes
    pub end: usize,
    /// Property Flags: the widths of the payloads' fields
    pub property: u8,
}

impl<'a> Area<'a> {
    fn fields(&self) -> Fields<'a> {
        Fields {
            packet: self.bytes,
            offset: 0,
        }
    }
}

/// Key frames found in the payloads of a packet
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct KeyFrameBits {
    /// True if a payload belongs to a key frame
    pub any: bool,
    /// Streams of which a key frame begins in a payload
    pub starts: StreamSet,
}

/// Checks that every payload lies within the area. Returns the key frames, and whether the payloads fill the area.
pub(super) fn check(area: Area<'_>, multiple: bool) -> Result<(KeyFrameBits, bool), Defect> {
    let Area {
        bytes,
        end,
        property,
    } = area;
    let mut fields = area.fields();
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

/// Calls `found` with the Stream Number and the presentation time in milliseconds of each payload that has one. Stops
/// at the first call that returns `Some`, and returns that.
pub(super) fn presentation_times<T>(
    area: Area<'_>,
    multiple: bool,
    mut found: impl FnMut(u8, u32) -> Option<T>,
) -> Option<T> {
    let mut fields = area.fields();
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

/// The position of a payload
pub(super) struct Place {
    /// From its Stream Number to the end of its data, in bytes from the start of the area
    pub bytes: Range<usize>,
    /// Stream Number without the Key Frame Bit
    pub stream: u8,
    pub begins_key_frame: bool,
    /// The payload has no data
    pub is_empty: bool,
}

/// Returns the position of each payload; `None` if one exceeds the area.
pub(super) fn places(area: Area<'_>, multiple: bool) -> Option<Vec<Place>> {
    let Area {
        bytes,
        end,
        property,
    } = area;
    let mut fields = area.fields();
    if !multiple {
        let head = head(&mut fields, property, 0, end).ok()?;
        return Some(vec![
            head.place(0..bytes.len(), fields.offset == bytes.len()),
        ]);
    }
    let [flags] = fields.array()?;
    let place = |_| place(&mut fields, property, flags >> 6);
    (0..flags & 0x3f).map(place).collect()
}

/// Returns the payloads of a packet whose Number of Payloads overflowed into the Payload Length Type, as asfmux writes
/// it with 64 payloads; `None` for any other packet.
pub(super) fn overflown(area: &Area<'_>) -> Option<Vec<Place>> {
    let flags = *area.bytes.first()?;
    let places = uncounted(area, PAYLOAD_LENGTH_WORD >> 6)?;
    let written = usize::from(PAYLOAD_LENGTH_WORD).checked_add(places.len())?;
    let told = flags == written.to_le_bytes().first().copied()?;
    (places.len() > MOST_PAYLOADS && told).then_some(places)
}

/// Returns the defect of such a packet.
#[cold]
pub(super) fn overflow(area: &Area<'_>) -> Option<Defect> {
    let count = overflown(area)?.len();
    Some(Defect::TooManyPayloads { count })
}

/// Returns the position of each payload, ignoring their number. `None` unless they have Payload Lengths of this type,
/// end exactly at the area's end, and have non-zero Stream Numbers.
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

/// Reads the next one of multiple payloads.
fn place(fields: &mut Fields<'_>, property: u8, length_type: u8) -> Option<Place> {
    let start = fields.offset;
    let head = head(fields, property, 0, 0).ok()?;
    let length = fields.value(length_type)?;
    fields.skip(length)?;
    Some(head.place(start..fields.offset, length == 0))
}

/// The Replicated Data Length of compressed payload data
const COMPRESSED: u32 = 1;

/// The fields of a payload before its length and data
struct Head {
    /// Stream Number, and the Key Frame Bit above it
    stream: u8,
    /// In bytes; in a compressed payload, a presentation time in milliseconds
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

    fn place(&self, bytes: Range<usize>, is_empty: bool) -> Place {
        Place {
            bytes,
            stream: self.stream & 0x7f,
            begins_key_frame: self.begins_key_frame(),
            is_empty,
        }
    }

    /// Returns the presentation time in milliseconds. `fields` has to stand where reading the head left it.
    fn presentation_time(&self, fields: &Fields<'_>) -> Option<u32> {
        /// Offset in the replicated data, after the size of the media object
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

/// Reads a payload's head: ASF 5.2.3.1 Single payload, 5.2.3.3 Multiple payloads.
// Inlined, because `check` calls it for every packet: a call would cost 5 % of reading a packet.
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
