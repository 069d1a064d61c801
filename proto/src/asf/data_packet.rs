// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use bytes::Bytes;

use super::defect::Defect;
use super::fields::{Field, Fields};
use super::payload::{self, KeyFrameBits};
use super::stream_set::StreamSet;

/// ASF 5.2 ASF data packet definition: one packet, with all the bytes that it has in a file
///
/// A packet that cannot be parsed keeps its bytes and reports a [`Defect`].
#[derive(Clone, PartialEq, Eq)]
pub struct DataPacket {
    bytes: Bytes,
    content: Result<Structure, Defect>,
}

/// The contents of a packet, as far as it was parsed
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Structure {
    /// Opaque data, which only a decoder of its error correction can read
    Opaque,
    /// Payloads
    Payloads {
        layout: Layout,
        key_frames: KeyFrameBits,
    },
}

/// ASF 5.2.2 Payload Parsing Information: its values and their offsets in the packet
///
/// Small, because many packets are queued: the fields end within 16 bytes of error correction data, 2 of flags and 12
/// of lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub packet_length: Field,
    pub padding_length: Field,
    /// Send Time in ms
    pub send_time: u32,
    /// Time span of the packet in ms
    pub duration: u16,
    /// Offset of the Length Type Flags, in bytes
    pub length_types: u8,
    /// Offset of the end of the field before Send Time, in bytes
    pub lengths_end: u8,
    pub multiple: bool,
    payload_end: PayloadEnd,
}

/// The field that decides the end of the last payload
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PayloadEnd {
    /// Packet Length, for all readers
    PacketLength,
    /// Padding Length, for all readers
    PaddingLength,
    /// Packet Length and Padding Length contradict each other, and readers differ; [`Layout::assumed_end`] takes
    /// Padding Length
    Ambiguous,
}

/// ASF 5.2.2 Payload Parsing Information: Length Type Flags, and the error correction flags of ASF 5.2.1
mod flags {
    pub const ERROR_CORRECTION_PRESENT: u8 = 0x80;
    pub const ERROR_CORRECTION_LENGTH_TYPE: u8 = 0x60;
    pub const OPAQUE_DATA: u8 = 0x10;
    pub const ERROR_CORRECTION_LENGTH: u8 = 0x0f;
    pub const MULTIPLE_PAYLOADS: u8 = 0x01;
}

impl DataPacket {
    /// Parses a packet. It never fails: see [`DataPacket::defect`].
    pub fn parse(bytes: Bytes) -> Self {
        let content = Structure::of(&bytes);
        DataPacket { bytes, content }
    }

    /// Returns all bytes of the packet, padding included.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns all bytes of the packet, padding included.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Returns the size in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether the packet has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns Send Time in milliseconds; `None` if the packet is damaged or opaque.
    pub fn send_time(&self) -> Option<u32> {
        Some(self.layout()?.send_time)
    }

    /// Returns Duration in milliseconds; `None` if the packet is damaged or opaque.
    pub fn duration(&self) -> Option<u16> {
        Some(self.layout()?.duration)
    }

    /// Returns whether a payload belongs to a key frame.
    pub fn has_key_frame(&self) -> bool {
        self.key_frames().any
    }

    /// Returns the streams of which a key frame begins in the packet; none if it is damaged or opaque.
    pub(super) fn key_frame_starts(&self) -> StreamSet {
        self.key_frames().starts
    }

    fn key_frames(&self) -> KeyFrameBits {
        match &self.content {
            Ok(Structure::Payloads { key_frames, .. }) => *key_frames,
            Ok(Structure::Opaque) | Err(_) => KeyFrameBits::default(),
        }
    }

    /// Returns the reason why the packet cannot be parsed, if any.
    pub fn defect(&self) -> Option<&Defect> {
        self.content.as_ref().err()
    }

    pub(super) fn layout(&self) -> Option<&Layout> {
        match &self.content {
            Ok(Structure::Payloads { layout, .. }) => Some(layout),
            Ok(Structure::Opaque) | Err(_) => None,
        }
    }
}

impl fmt::Debug for DataPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataPacket")
            .field("bytes", &self.bytes.len())
            .field("send_time", &self.send_time())
            .field("key_frame", &self.has_key_frame())
            .field("defect", &self.defect())
            .finish()
    }
}

impl Structure {
    fn of(packet: &[u8]) -> Result<Structure, Defect> {
        let Some(length_types) = error_correction(packet)? else {
            return Ok(Structure::Opaque);
        };
        let (layout, payloads) = Layout::read(packet, length_types)?;
        let checked = payload::check(payloads, layout.multiple);
        if !matches!(checked, Ok((_, true)))
            && layout.multiple
            && let Some(defect) = payload::overflow(&payloads)
        {
            return Err(defect);
        }
        let (key_frames, _) = checked?;
        Ok(Structure::Payloads { layout, key_frames })
    }
}

/// ASF 5.2.1 Error Correction Data: returns the offset of its end; `None` if the data is opaque
fn error_correction(packet: &[u8]) -> Result<Option<u8>, Defect> {
    use flags::{
        ERROR_CORRECTION_LENGTH, ERROR_CORRECTION_LENGTH_TYPE, ERROR_CORRECTION_PRESENT,
        OPAQUE_DATA,
    };
    match packet.first() {
        Some(flags) if flags & ERROR_CORRECTION_PRESENT == 0 => Ok(Some(0)),
        Some(flags) if flags & ERROR_CORRECTION_LENGTH_TYPE != 0 => Err(
            Defect::ErrorCorrectionLengthType((flags & ERROR_CORRECTION_LENGTH_TYPE) >> 5),
        ),
        Some(flags) if flags & OPAQUE_DATA != 0 => Ok(None),
        Some(flags) => Ok(Some((flags & ERROR_CORRECTION_LENGTH).saturating_add(1))),
        None => Err(Defect::ParsingInformation { size: 0 }),
    }
}

/// Returns the offset of the Length Type Flags; `None` if the packet is opaque or damaged.
pub(super) fn length_types(packet: &[u8]) -> Option<u8> {
    error_correction(packet).ok().flatten()
}

/// Returns whether a data packet may start with `head`, judged by its flags. `head` has at least 18 bytes.
pub(super) fn may_start_with(head: &[u8]) -> bool {
    let property = length_types(head).and_then(|at| head.get(usize::from(at).checked_add(1)?));
    property.is_some_and(|property| property >> 6 == 1)
}

impl Layout {
    /// Reads the payload parsing information at `length_types`, and checks the room for payloads.
    #[inline]
    pub(super) fn read(
        packet: &[u8],
        length_types: u8,
    ) -> Result<(Layout, payload::Area<'_>), Defect> {
        let size = packet.len();
        let mut fields = Fields {
            packet,
            offset: length_types.into(),
        };
        let short = Defect::ParsingInformation { size };
        let [types, property] = fields.array().ok_or(short)?;
        if property >> 6 != 1 {
            return Err(Defect::StreamNumberLengthType(property >> 6));
        }
        let packet_length = fields.field(types >> 5).ok_or(short)?;
        let _sequence = fields.value(types >> 1).ok_or(short)?;
        let padding_length = fields.field(types >> 3).ok_or(short)?;
        let lengths_end = u8::try_from(fields.offset).map_err(|_| short)?;
        let send_time = u32::from_le_bytes(fields.array().ok_or(short)?);
        let duration = u16::from_le_bytes(fields.array().ok_or(short)?);
        let lengths = (packet_length.value, padding_length.value);
        let payload_end = payload_end(lengths, size, fields.offset)?;
        let layout = Layout {
            packet_length,
            padding_length,
            send_time,
            duration,
            length_types,
            lengths_end,
            multiple: types & flags::MULTIPLE_PAYLOADS != 0,
            payload_end,
        };
        let end = layout.assumed_end(size).ok_or(short)?;
        let area = payload::Area {
            bytes: packet.get(fields.offset..end).ok_or(short)?,
            end,
            property,
        };
        Ok((layout, area))
    }

    /// Returns the payload area of this packet, from which the layout was read.
    pub(super) fn area<'a>(&self, packet: &'a [u8]) -> Option<payload::Area<'a>> {
        let property = usize::from(self.length_types).checked_add(1)?;
        let end = self.assumed_end(packet.len())?;
        Some(payload::Area {
            bytes: packet.get(self.payloads_start()..end)?,
            end,
            property: *packet.get(property)?,
        })
    }

    /// Returns the offset of the end of payload data in a packet of `size` bytes; `None` if readers differ.
    pub(super) fn end(&self, size: usize) -> Option<usize> {
        match self.payload_end {
            PayloadEnd::PacketLength | PayloadEnd::PaddingLength => self.assumed_end(size),
            PayloadEnd::Ambiguous => None,
        }
    }

    /// Returns [`Layout::end`], or the end by Padding Length if readers differ. [`payload_end`] has checked that there
    /// is one.
    fn assumed_end(&self, size: usize) -> Option<usize> {
        match self.payload_end {
            PayloadEnd::PacketLength => usize::try_from(self.packet_length.value).ok(),
            PayloadEnd::PaddingLength | PayloadEnd::Ambiguous => {
                size.checked_sub(usize::try_from(self.padding_length.value).ok()?)
            }
        }
    }
}

/// ASF 5.2.4 Padding Data: returns the field that decides where it starts
///
/// Packet Length may include the padding (it equals the packet's size), exclude it (it is the end of payload data), or
/// replace Padding Length (which is then 0). A Packet Length of 0 counts as missing.
fn payload_end(
    (packet_length, padding_length): (u32, u32),
    size: usize,
    head: usize,
) -> Result<PayloadEnd, Defect> {
    let too_long = Defect::PacketLength {
        length: packet_length,
        size,
    };
    let length = usize::try_from(packet_length)
        .ok()
        .filter(|&length| length <= size)
        .ok_or(too_long)?;
    let room = size.saturating_sub(head);
    let too_much = Defect::PaddingLength {
        length: padding_length,
        room,
    };
    let padding = usize::try_from(padding_length)
        .ok()
        .filter(|&padding| padding <= room)
        .ok_or(too_much)?;
    let end = size.saturating_sub(padding);
    Ok(match length {
        0 => PayloadEnd::PaddingLength,
        _ if padding == 0 => PayloadEnd::PacketLength,
        _ if length == size || length == end => PayloadEnd::PaddingLength,
        _ => PayloadEnd::Ambiguous,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a packet of 64 bytes: `head`, Send Time 7, Duration 9, `payloads`, and padding that is not zero.
    pub(in crate::asf) fn packet(head: &[u8], payloads: &[u8]) -> DataPacket {
        let mut bytes = [head, &[7, 0, 0, 0, 9, 0], payloads].concat();
        bytes.resize(64, 0xEE);
        DataPacket::parse(bytes.into())
    }

    fn defect(head: &[u8], payloads: &[u8]) -> String {
        packet(head, payloads)
            .defect()
            .map(Defect::to_string)
            .unwrap_or_default()
    }

    /// Stream 1, no key frame, object 5, offset 0, no replicated data
    const SINGLE: [u8; 7] = [0x01, 5, 0, 0, 0, 0, 0];

    /// ASF 5.2.2 Payload Parsing Information
    #[test]
    fn send_time_and_duration_follow_the_lengths() {
        for head in [
            &[0x00, 0x5D][..],
            &[0x82, 0, 0, 0x10, 0x5D, 3, 0],
            &[0x52, 0x5D, 64, 0, 0xFF, 0, 0],
            &[0x7E, 0x5D, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0],
        ] {
            let packet = packet(head, &SINGLE);
            assert_eq!(packet.defect(), None, "{head:02x?}");
            assert_eq!(
                (packet.send_time(), packet.duration()),
                (Some(7), Some(9)),
                "{head:02x?}"
            );
        }
    }

    #[test]
    fn a_key_frame_is_found_in_any_payload() {
        assert!(!packet(&[0x00, 0x5D], &SINGLE).has_key_frame());
        assert!(packet(&[0x00, 0x5D], &[0x81, 5, 0, 0, 0, 0, 0]).has_key_frame());
        let second = [
            0x82, 0x01, 5, 0, 0, 0, 0, 0, 1, 0, 0xAA, 0x82, 5, 0, 0, 0, 0, 0, 1, 0, 0xAA,
        ];
        assert!(packet(&[0x01, 0x5D], &second).has_key_frame());
    }

    #[test]
    fn an_opaque_packet_has_no_times_and_no_defect() {
        let packet = packet(&[0x92, 0, 0, 0x00, 0x5D], &SINGLE);
        assert_eq!(
            (packet.send_time(), packet.duration(), packet.defect()),
            (None, None, None)
        );
    }

    #[test]
    fn contradictory_lengths_are_not_a_defect() {
        assert_eq!(
            packet(&[0x48, 0x5D, 50, 0, 20], &SINGLE).send_time(),
            Some(7)
        );
    }

    #[test]
    fn defects_name_the_offending_values() {
        let cases = [
            (
                defect(&[0x00, 0x1D], &SINGLE),
                "stream number length type is 0, not 1",
            ),
            (
                defect(&[0xA0, 0x00, 0x5D], &SINGLE),
                "error correction length type 1 is reserved",
            ),
            (
                defect(&[0x40, 0x5D, 65, 0], &SINGLE),
                "packet length 65 is over the 64 bytes there are",
            ),
            (
                defect(&[0x08, 0x5D, 56], &SINGLE),
                "padding length 56 is over the 55 bytes behind the payload parsing information",
            ),
            (
                defect(&[0x08, 0x5D, 50], &SINGLE),
                "payload 0 runs over byte 14, where payload data ends",
            ),
            (
                defect(&[0x40, 0x5D, 9, 0], &SINGLE),
                "packet of 64 bytes ends in its payload parsing information",
            ),
            (
                defect(&[0x01, 0x5D], &[0xC0]),
                "multiple payloads are announced, and 0 of them",
            ),
            (
                defect(&[0x01, 0x5D], &[0x01]),
                "multiple payloads have no payload lengths",
            ),
            (
                defect(&[0x00, 0x5D], &[1, 5, 0, 0, 0, 0, 2]),
                "payload 0 has a replicated data length of 2",
            ),
            (
                defect(
                    &[0x01, 0x5D],
                    &[
                        0x82, 1, 5, 0, 0, 0, 0, 0, 1, 0, 0xAA, 1, 5, 0, 0, 0, 0, 0, 0xFF, 0,
                    ],
                ),
                "payload 1 runs over byte 64, where payload data ends",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    /// Hundreds of packets are queued, and each is moved several times.
    #[test]
    fn a_packet_adds_few_bytes_of_its_own() {
        assert!(size_of::<DataPacket>() <= 80, "{}", size_of::<DataPacket>());
    }

    /// ASF 5.2.1 Error Correction Data, ASF 5.2.2 Payload Parsing Information: the most error correction data, and the
    /// widest fields
    #[test]
    fn the_longest_payload_parsing_information_is_read() {
        let mut head = [0; 30];
        head[0] = 0x8F;
        head[16..18].copy_from_slice(&[0x7E, 0x5D]);
        head[26..30].copy_from_slice(&[11, 0, 0, 0]);
        let packet = packet(&head, &SINGLE);
        assert_eq!(packet.defect(), None);
        let layout = packet.layout().unwrap();
        let places = [
            layout.length_types,
            layout.packet_length.offset,
            layout.padding_length.offset,
            layout.lengths_end,
        ];
        assert_eq!(places, [16, 18, 26, 30]);
        assert_eq!(layout.end(packet.len()), Some(53));
        assert_eq!((packet.send_time(), packet.duration()), (Some(7), Some(9)));
    }

    #[test]
    fn a_too_short_packet_has_a_defect() {
        let whole = packet(&[0x82, 0, 0, 0x5B, 0x5D, 64, 0, 5, 0, 0], &SINGLE);
        for len in 0..16 {
            let short = DataPacket::parse(whole.as_bytes().slice(..len));
            assert_eq!(
                short.defect(),
                Some(&Defect::ParsingInformation { size: len })
            );
            assert_eq!(short.len(), len);
        }
    }
}
