// SPDX-License-Identifier: MPL-2.0

use super::data_packet::Fields;
use super::defect::Defect;

/// ASF 5.2.3 Payload data: the part of a packet that it is in
pub(super) struct Area<'a> {
    /// From the end of the payload parsing information to the start of the padding
    pub bytes: &'a [u8],
    /// Where in the packet it ends, in bytes
    pub end: usize,
    /// Property Flags: the widths of the payloads' fields
    pub property: u8,
}

/// Finds every payload to be inside of the area; tells whether one of them belongs to a key frame.
pub(super) fn check(area: Area<'_>, multiple: bool) -> Result<bool, Defect> {
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
        return head(&mut fields, property, 0, end);
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
    let mut key_frame = false;
    for payload in 0..count {
        key_frame |= head(&mut fields, property, payload, end)?;
        let inside = fields
            .field(length_type)
            .and_then(|length| fields.skip(length.value));
        inside.ok_or(Defect::PayloadOutOfBounds { payload, end })?;
    }
    Ok(key_frame)
}

/// Reads what comes before a payload's length and data: ASF 5.2.3.1 Single payload, 5.2.3.3 Multiple payloads.
fn head(fields: &mut Fields<'_>, property: u8, payload: u8, end: usize) -> Result<bool, Defect> {
    let out_of_bounds = Defect::PayloadOutOfBounds { payload, end };
    let [stream_number] = fields.array().ok_or(out_of_bounds)?;
    let _media_object_number = fields.field(property >> 4).ok_or(out_of_bounds)?;
    let _offset_into_media_object = fields.field(property >> 2).ok_or(out_of_bounds)?;
    let length = fields.field(property).ok_or(out_of_bounds)?.value;
    if (2..8).contains(&length) {
        return Err(Defect::ReplicatedDataLength { payload, length });
    }
    fields.skip(length).ok_or(out_of_bounds)?;
    Ok(stream_number & 0x80 != 0)
}
