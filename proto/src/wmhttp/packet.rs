// SPDX-License-Identifier: MPL-2.0

//! The packets of a PushStart body, MS-WMHTTP 2.2.3 Packet Types.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::HResult;

/// Size of a framing header without the Reason field, in bytes.
pub const FRAMING_HEADER_SIZE: usize = 1 /* B, Frame */ + 1 /* PacketID */ + 2 /* PacketLength */;

/// Size of the Reason field, which only `$C` and `$E` have, in bytes.
pub(super) const REASON_SIZE: usize = 4;

/// Size of a whole `$E`, in bytes.
pub const END_OF_STREAM_SIZE: usize = FRAMING_HEADER_SIZE + REASON_SIZE;

/// Largest payload of `$H`, `$D` or `$F`, in bytes: with its framing header it fits 65,535 bytes.
pub const MAX_PAYLOAD: usize = 65_531;

/// Largest ASF file header that `$C` can carry, in bytes (2.2.3.2 $C).
pub const MAX_STREAM_CHANGE_PAYLOAD: usize = MAX_PAYLOAD - REASON_SIZE;

/// The B bit and the Frame field: B is always 0, Frame always '$'.
const FRAME: u8 = b'$';

/// 2.2.3 Packet Types
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// 2.2.3.2 $C (Stream Change Notification): the file header of the next playlist entry.
    StreamChange(Bytes),
    /// 2.2.3.3 $D (Data): exactly one ASF data packet.
    Data(Bytes),
    /// 2.2.3.4 $E (End-of-Stream Notification) and its Reason.
    EndOfStream(HResult),
    /// 2.2.3.5 $F (Filler): bytes without meaning.
    Filler(Bytes),
    /// 2.2.3.6 $H (Header): the ASF file header.
    Header(Bytes),
}

impl Packet {
    /// Removes the first packet from `input`; `None` if it is incomplete.
    ///
    /// A packet needs at most 65,539 bytes.
    ///
    /// # Errors
    ///
    /// [`BadPacket`] if the bytes cannot be the start of a packet. They stay in `input`.
    pub fn decode(input: &mut BytesMut) -> Result<Option<Self>, BadPacket> {
        let Some((head, rest)) = input.split_first_chunk::<FRAMING_HEADER_SIZE>() else {
            return Ok(None);
        };
        let head = FramingHeader::decode(head)?;
        if rest.len() < usize::from(head.packet_length) {
            return Ok(None);
        }
        input.advance(FRAMING_HEADER_SIZE);
        let body = input.split_to(usize::from(head.packet_length)).freeze();
        Self::from_parts(head.packet_id, body).map(Some)
    }

    fn from_parts(id: PacketId, mut body: Bytes) -> Result<Self, BadPacket> {
        Ok(match id {
            PacketId::Data => Self::Data(body),
            PacketId::Filler => Self::Filler(body),
            PacketId::Header => Self::Header(body),
            PacketId::StreamChange => match body.try_get_u32_le() {
                Ok(0) => Self::StreamChange(body),
                Ok(reason) => return Err(BadPacket::StreamChangeReason(HResult(reason))),
                Err(_) => return Err(BadPacket::NoReason(id)),
            },
            PacketId::EndOfStream => match body.try_get_u32_le() {
                Ok(reason) if body.is_empty() => Self::EndOfStream(HResult(reason)),
                Ok(_) => return Err(BadPacket::EndOfStreamPayload(body.len())),
                Err(_) => return Err(BadPacket::NoReason(id)),
            },
        })
    }

    /// Returns the PacketID.
    pub fn id(&self) -> PacketId {
        match self {
            Self::StreamChange(_) => PacketId::StreamChange,
            Self::Data(_) => PacketId::Data,
            Self::EndOfStream(_) => PacketId::EndOfStream,
            Self::Filler(_) => PacketId::Filler,
            Self::Header(_) => PacketId::Header,
        }
    }

    /// Returns the size of the whole packet in bytes, as Length-Remaining counts it.
    pub fn size(&self) -> usize {
        let payload = match self {
            Self::StreamChange(payload) | Self::Data(payload) => payload.len(),
            Self::Filler(payload) | Self::Header(payload) => payload.len(),
            Self::EndOfStream(_) => 0,
        };
        self.id().size_with(payload)
    }
}

/// 2.2.3.1.1 Framing Header: PacketID
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PacketId {
    /// `$C`
    StreamChange = b'C',
    /// `$D`
    Data = b'D',
    /// `$E`
    EndOfStream = b'E',
    /// `$F`
    Filler = b'F',
    /// `$H`
    Header = b'H',
}

impl PacketId {
    /// Returns the number of bytes before the payload.
    pub fn overhead(self) -> usize {
        match self {
            Self::StreamChange | Self::EndOfStream => FRAMING_HEADER_SIZE + REASON_SIZE,
            Self::Data | Self::Filler | Self::Header => FRAMING_HEADER_SIZE,
        }
    }

    /// Returns the size in bytes of a whole packet with `payload` bytes of payload.
    pub(super) fn size_with(self, payload: usize) -> usize {
        payload.saturating_add(self.overhead())
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'C' => Self::StreamChange,
            b'D' => Self::Data,
            b'E' => Self::EndOfStream,
            b'F' => Self::Filler,
            b'H' => Self::Header,
            _ => return None,
        })
    }
}

/// `$C`, as the specification writes it
impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", char::from(*self as u8))
    }
}

/// The reason why bytes are not a packet of 2.2.3 Packet Types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPacket {
    /// 2.2.3.1.1 Framing Header: the packet begins with this byte instead of `$` with B = 0.
    Frame(u8),
    /// 2.2.3.1.1 Framing Header: no packet has this PacketID.
    UnknownId(u8),
    /// The packet is too short for its Reason.
    NoReason(PacketId),
    /// 2.2.3.2 $C (Stream Change Notification): the Reason is not 0.
    StreamChangeReason(HResult),
    /// 2.2.3.4 $E (End-of-Stream Notification): this number of bytes follows the Reason.
    EndOfStreamPayload(usize),
}

impl fmt::Display for BadPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(byte) => write!(f, "it begins with {byte:#04x} instead of '$' with B = 0"),
            Self::UnknownId(id) => write!(f, "unknown PacketID '{}'", id.escape_ascii()),
            Self::NoReason(id) => write!(f, "{id} without a Reason"),
            Self::StreamChangeReason(reason) => write!(f, "$C with the Reason {reason}"),
            Self::EndOfStreamPayload(bytes) => write!(f, "$E with a payload of {bytes} bytes"),
        }
    }
}

impl std::error::Error for BadPacket {}

/// 2.2.3.1.1 Framing Header
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FramingHeader {
    packet_id: PacketId,
    /// Number of bytes after this field: the Reason, if any, and the payload.
    packet_length: u16,
}

impl FramingHeader {
    fn decode(&[frame, id, low, high]: &[u8; FRAMING_HEADER_SIZE]) -> Result<Self, BadPacket> {
        if frame != FRAME {
            return Err(BadPacket::Frame(frame));
        }
        let packet_id = PacketId::from_byte(id).ok_or(BadPacket::UnknownId(id))?;
        Ok(Self {
            packet_id,
            packet_length: u16::from_le_bytes([low, high]),
        })
    }
}

/// Writes the framing header of a packet. The caller writes the payload of `payload` bytes after it.
///
/// A payload larger than [`MAX_PAYLOAD`] is a mistake of the caller: debug builds panic, release builds limit the
/// field. [`asf`](crate::asf) checks the sizes of file headers and packets on input.
pub(super) fn put_framing_header(
    out: &mut BytesMut,
    id: PacketId,
    reason: Option<HResult>,
    payload: usize,
) {
    let length = payload.saturating_add(reason.map_or(0, |_| REASON_SIZE));
    debug_assert!(length <= MAX_PAYLOAD, "payload of {payload} bytes");
    out.put_u8(FRAME);
    out.put_u8(id as u8);
    out.put_u16_le(u16::try_from(length).unwrap_or(u16::MAX));
    if let Some(HResult(reason)) = reason {
        out.put_u32_le(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(id: PacketId, reason: Option<HResult>, payload: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        put_framing_header(&mut out, id, reason, payload.len());
        out.put_slice(payload);
        out
    }

    /// C-031…C-034, C-036, C-041, C-046, C-050, C-055
    #[test]
    fn framing_headers_are_little_endian_and_count_the_rest() {
        assert_eq!(
            &framed(PacketId::Header, None, &[7; 1044])[..4],
            [0x24, 0x48, 0x14, 0x04]
        );
        assert_eq!(
            &framed(PacketId::Data, None, &[7; 1400])[..4],
            [0x24, 0x44, 0x78, 0x05]
        );
        assert_eq!(&framed(PacketId::Filler, None, &[])[..], [0x24, 0x46, 0, 0]);
        assert_eq!(
            &framed(PacketId::Filler, None, &[0; MAX_PAYLOAD])[..4],
            [0x24, 0x46, 0xfb, 0xff]
        );
        assert_eq!(
            &framed(PacketId::StreamChange, Some(HResult::S_OK), &[7; 1044])[..8],
            [0x24, 0x43, 0x18, 0x04, 0, 0, 0, 0]
        );
        assert_eq!(
            &framed(PacketId::EndOfStream, Some(HResult::E_ABORT), &[])[..],
            [0x24, 0x45, 4, 0, 0x04, 0x40, 0, 0x80]
        );
    }

    #[test]
    fn every_packet_round_trips() {
        let payload = Bytes::from_static(b"payload");
        let packets = [
            (
                framed(PacketId::Header, None, &payload),
                Packet::Header(payload.clone()),
            ),
            (
                framed(PacketId::Data, None, &payload),
                Packet::Data(payload.clone()),
            ),
            (
                framed(PacketId::Filler, None, &payload),
                Packet::Filler(payload.clone()),
            ),
            (
                framed(PacketId::StreamChange, Some(HResult::S_OK), &payload),
                Packet::StreamChange(payload.clone()),
            ),
            (
                framed(PacketId::EndOfStream, Some(HResult::S_FALSE), &[]),
                Packet::EndOfStream(HResult::S_FALSE),
            ),
        ];
        for (wire, packet) in packets {
            assert_eq!(wire.len(), packet.size());
            let mut input = BytesMut::new();
            for byte in &wire[..wire.len() - 1] {
                input.put_u8(*byte);
                assert_eq!(Packet::decode(&mut input), Ok(None));
            }
            input.put_u8(wire[wire.len() - 1]);
            assert_eq!(Packet::decode(&mut input), Ok(Some(packet)));
            assert!(input.is_empty());
        }
    }

    #[test]
    fn invalid_packets_are_errors() {
        for (wire, error, text) in [
            (
                &[0xa4, b'D', 0, 0][..],
                BadPacket::Frame(0xa4),
                "it begins with 0xa4 instead of '$' with B = 0",
            ),
            (
                b"%D\0\0",
                BadPacket::Frame(b'%'),
                "it begins with 0x25 instead of '$' with B = 0",
            ),
            (
                b"$M\0\0",
                BadPacket::UnknownId(b'M'),
                "unknown PacketID 'M'",
            ),
            (
                b"$E\0\0",
                BadPacket::NoReason(PacketId::EndOfStream),
                "$E without a Reason",
            ),
            (
                b"$E\x05\0\0\0\0\0\0",
                BadPacket::EndOfStreamPayload(1),
                "$E with a payload of 1 bytes",
            ),
            (
                b"$C\x03\0\0\0\0",
                BadPacket::NoReason(PacketId::StreamChange),
                "$C without a Reason",
            ),
            (
                b"$C\x04\0\x01\0\0\0",
                BadPacket::StreamChangeReason(HResult::S_FALSE),
                "$C with the Reason S_FALSE (0x00000001)",
            ),
        ] {
            let decoded = Packet::decode(&mut BytesMut::from(wire));
            assert_eq!(decoded, Err(error));
            assert_eq!(error.to_string(), text);
        }
    }
}
