// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use bytes::Bytes;

use super::defect::Defect;
use super::key_frames::StreamSet;
use super::payload::{self, KeyFrameBits};

/// ASF 5.2 ASF data packet definition: one packet, with all the bytes it has in a file
///
/// A packet that cannot be parsed is a packet all the same: it keeps its bytes and says what is wrong with it.
#[derive(Clone, PartialEq, Eq)]
pub struct DataPacket {
    bytes: Bytes,
    content: Result<Content, Defect>,
}

/// What a packet was found to be
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Error correction with opaque data: not for anyone but the decoder of that error correction
    Opaque,
    /// Payloads
    Payloads {
        layout: Layout,
        key_frames: KeyFrameBits,
    },
}

/// ASF 5.2.2 Payload Parsing Information: what it says, and where in the packet it says so
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where the Length Type Flags are: behind the error correction data
    pub length_types: usize,
    pub multiple: bool,
    pub packet_length: Field,
    pub padding_length: Field,
    /// End of the field that comes before Send Time
    pub lengths_end: usize,
    /// When the packet should leave, in ms
    pub send_time: u32,
    /// Time span of the packet in ms
    pub duration: u16,
    /// Where payload data ends
    pub end: PayloadEnd,
}

/// A field whose width is in a length type
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub offset: usize,
    /// 0, 1, 2 or 4 bytes; 0: the field is not there
    pub width: usize,
    /// 0 when it is not there
    pub value: u32,
}

/// Where the data of the last payload ends
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PayloadEnd {
    /// At this offset, for every reader
    At(usize),
    /// Packet Length and Padding Length contradict each other. Readers differ; this is what one of them takes
    Ambiguous(usize),
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
    /// Takes a packet. Never fails: see [`DataPacket::defect`].
    pub fn parse(bytes: Bytes) -> Self {
        let content = Content::of(&bytes);
        DataPacket { bytes, content }
    }

    /// All of its bytes, padding included.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Send Time in milliseconds; `None` when the packet is damaged or opaque.
    pub fn send_time(&self) -> Option<u32> {
        Some(self.layout()?.send_time)
    }

    /// Duration in milliseconds; `None` when the packet is damaged or opaque.
    pub fn duration(&self) -> Option<u16> {
        Some(self.layout()?.duration)
    }

    /// Whether one of its payloads belongs to a key frame.
    pub fn has_key_frame(&self) -> bool {
        self.key_frames().any
    }

    /// Streams of which a key frame begins in it; none when it is damaged or opaque.
    pub(super) fn key_frame_starts(&self) -> StreamSet {
        self.key_frames().starts
    }

    fn key_frames(&self) -> KeyFrameBits {
        match &self.content {
            Ok(Content::Payloads { key_frames, .. }) => *key_frames,
            Ok(Content::Opaque) | Err(_) => KeyFrameBits::default(),
        }
    }

    /// Why it cannot be parsed, if so.
    pub fn defect(&self) -> Option<&Defect> {
        self.content.as_ref().err()
    }

    pub(super) fn layout(&self) -> Option<&Layout> {
        match &self.content {
            Ok(Content::Payloads { layout, .. }) => Some(layout),
            Ok(Content::Opaque) | Err(_) => None,
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

impl Content {
    fn of(packet: &[u8]) -> Result<Content, Defect> {
        let Some(length_types) = error_correction(packet)? else {
            return Ok(Content::Opaque);
        };
        let (layout, payloads) = Layout::read(packet, length_types)?;
        let key_frames = payload::check(payloads, layout.multiple)?;
        Ok(Content::Payloads { layout, key_frames })
    }
}

/// ASF 5.2.1 Error Correction Data: where it ends; `None` when there is opaque data
fn error_correction(packet: &[u8]) -> Result<Option<usize>, Defect> {
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
        Some(flags) => Ok(Some(
            usize::from(flags & ERROR_CORRECTION_LENGTH).saturating_add(1),
        )),
        None => Err(Defect::ParsingInformation { size: 0 }),
    }
}

impl Layout {
    /// Reads the payload parsing information at `length_types`, and what it leaves for payloads to be in.
    pub(super) fn read(
        packet: &[u8],
        length_types: usize,
    ) -> Result<(Layout, payload::Area<'_>), Defect> {
        let size = packet.len();
        let mut fields = Fields {
            packet,
            offset: length_types,
        };
        let short = Defect::ParsingInformation { size };
        let [types, property] = fields.array().ok_or(short)?;
        if property >> 6 != 1 {
            return Err(Defect::StreamNumberLengthType(property >> 6));
        }
        let packet_length = fields.field(types >> 5).ok_or(short)?;
        let _sequence = fields.field(types >> 1).ok_or(short)?;
        let padding_length = fields.field(types >> 3).ok_or(short)?;
        let lengths_end = fields.offset;
        let send_time = u32::from_le_bytes(fields.array().ok_or(short)?);
        let duration = u16::from_le_bytes(fields.array().ok_or(short)?);
        let end = payload_end(
            packet_length.value,
            padding_length.value,
            size,
            fields.offset,
        )?;
        let layout = Layout {
            length_types,
            multiple: types & flags::MULTIPLE_PAYLOADS != 0,
            packet_length,
            padding_length,
            lengths_end,
            send_time,
            duration,
            end,
        };
        let (PayloadEnd::At(end) | PayloadEnd::Ambiguous(end)) = end;
        let bytes = packet.get(fields.offset..end).ok_or(short)?;
        Ok((
            layout,
            payload::Area {
                bytes,
                end,
                property,
            },
        ))
    }
}

/// ASF 5.2.4 Padding Data: where it starts, by both lengths
///
/// A Packet Length may count the padding (then it is the packet's size), leave it out (then it is where payload data
/// ends), or stand for it (then Padding Length is 0). 0 is taken for "not there".
fn payload_end(
    packet_length: u32,
    padding_length: u32,
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
        0 => PayloadEnd::At(end),
        _ if padding == 0 => PayloadEnd::At(length),
        _ if length == size || length == end => PayloadEnd::At(end),
        _ => PayloadEnd::Ambiguous(end),
    })
}

/// Reads one field after the other
pub(super) struct Fields<'a> {
    pub packet: &'a [u8],
    pub offset: usize,
}

impl Fields<'_> {
    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.packet.get(self.offset..)?.first_chunk()?;
        self.offset = self.offset.checked_add(N)?;
        Some(bytes)
    }

    /// The next field, as wide as the lower two bits of `length_type` say.
    pub fn field(&mut self, length_type: u8) -> Option<Field> {
        let offset = self.offset;
        let (width, value) = match length_type & 3 {
            0 => (0, 0),
            1 => (1, u32::from(u8::from_le_bytes(self.array()?))),
            2 => (2, u32::from(u16::from_le_bytes(self.array()?))),
            _ => (4, u32::from_le_bytes(self.array()?)),
        };
        Some(Field {
            offset,
            width,
            value,
        })
    }

    /// Steps over `len` bytes.
    pub fn skip(&mut self, len: u32) -> Option<()> {
        let offset = self.offset.checked_add(usize::try_from(len).ok()?)?;
        self.offset = (offset <= self.packet.len()).then_some(offset)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(head: &[u8], payloads: &[u8]) -> DataPacket {
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
    fn send_time_and_duration_are_behind_the_lengths() {
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
    fn a_key_frame_is_seen_in_any_payload() {
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
    fn lengths_that_contradict_each_other_are_no_defect() {
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

    #[test]
    fn a_packet_of_any_few_bytes_has_a_defect() {
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
