// SPDX-License-Identifier: MPL-2.0

//! The packets of a response, 2.2.3 Packet Types, as a client reads them.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use crate::asf;
use crate::wmhttp::HResult;
use crate::wmsp::packet::{FRAME, FRAMING_HEADER, MMS_HEADER, af_flags};

/// 2.2.3.1.1 Framing Header: bits of the Frame field in the first byte; the other bit is B
const FRAME_BITS: u8 = 0x7F;

/// Largest ASF file header in bytes: 16 times what an encoder can push.
const MAX_HEADER: usize = 1024 * 1024;

/// One packet of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// 2.2.3.5 $H (Header): an ASF file header, assembled from its pieces.
    Header(Bytes),
    /// 2.2.3.3 $D (Data): an ASF data packet, possibly without its padding.
    Data(Bytes),
    /// 2.2.3.2 $C (Stream Change Notification): the next playlist entry begins.
    StreamChange,
    /// 2.2.3.4 $E (End-of-Stream Notification), with its Reason.
    EndOfStream(HResult),
    /// $M, $P, $T or any other packet, by its PacketID.
    Other(u8),
}

/// The reason why a player cannot read a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The body is neither packets of this protocol nor ASF; its format, if it is recognised.
    Foreign(Option<asf::Format>),
    /// A packet begins with this byte instead of `$`.
    NoFrame(u8),
    /// The packet with this PacketID is too short for its fields.
    TooShort(u8),
    /// The ASF file header is larger than 1 MiB.
    HeaderTooLarge,
    /// The file header or the file is damaged ASF.
    Asf(asf::Error),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(Some(format)) => {
                write!(f, "the response is {format} instead of a stream")
            }
            Self::Foreign(None) => f.write_str("the response is not an ASF stream"),
            Self::NoFrame(byte) => {
                write!(f, "a packet of the response begins with 0x{byte:02x}")
            }
            Self::TooShort(id) => write!(
                f,
                "a ${} packet of the response is too short",
                char::from(*id).escape_default()
            ),
            Self::HeaderTooLarge => {
                f.write_str("the ASF file header in the response is larger than 1 MiB")
            }
            Self::Asf(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<asf::Error> for Unreadable {
    fn from(error: asf::Error) -> Self {
        Self::Asf(error)
    }
}

/// Reads packets from a response in any split. Buffers at most one packet and one ASF file header.
#[derive(Clone, Debug, Default)]
pub struct Unframer {
    input: BytesMut,
    /// The pieces of an incomplete ASF file header.
    header: BytesMut,
}

impl Unframer {
    /// Creates a reader at the start of a response.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes of the response. Call [`next_packet`](Self::next_packet) until it returns `None` before adding more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Returns the next packet; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if the bytes are not packets of this protocol.
    pub fn next_packet(&mut self) -> Result<Option<Framed>, Unreadable> {
        while let Some((id, body)) = self.split()? {
            let packet = match id {
                b'H' => self.header_piece(body)?,
                b'D' => Some(Framed::Data(payload(id, body)?.1)),
                b'C' => Some(Framed::StreamChange),
                b'E' => Some(Framed::EndOfStream(reason(&body)?)),
                other => Some(Framed::Other(other)),
            };
            if packet.is_some() {
                return Ok(packet);
            }
        }
        Ok(None)
    }

    /// Splits off the next packet. Returns its PacketID, and the bytes after its framing header.
    fn split(&mut self) -> Result<Option<(u8, Bytes)>, Unreadable> {
        match self.input.first() {
            Some(byte) if byte & FRAME_BITS != FRAME => return Err(Unreadable::NoFrame(*byte)),
            _ => {}
        }
        let Some([_, id, low, high]) = self.input.first_chunk::<FRAMING_HEADER>().copied() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let whole = length.saturating_add(FRAMING_HEADER);
        if self.input.len() < whole {
            return Ok(None);
        }
        let mut packet = self.input.split_to(whole).freeze();
        packet.advance(FRAMING_HEADER);
        Ok(Some((id, packet)))
    }

    /// Adds a piece of a header. Returns the header if it is complete.
    fn header_piece(&mut self, body: Bytes) -> Result<Option<Framed>, Unreadable> {
        let (flags, piece) = payload(b'H', body)?;
        if flags & af_flags::FIRST != 0 {
            self.header.clear();
        }
        if self.header.len().saturating_add(piece.len()) > MAX_HEADER {
            return Err(Unreadable::HeaderTooLarge);
        }
        self.header.extend_from_slice(&piece);
        let complete = flags & af_flags::LAST != 0;
        Ok(complete.then(|| Framed::Header(std::mem::take(&mut self.header).freeze())))
    }
}

/// 2.2.3.1.2 MMS Data Packet: returns AFFlags and Payload.
fn payload(id: u8, mut body: Bytes) -> Result<(u8, Bytes), Unreadable> {
    let [_, _, _, _, _, flags, _, _] = *body
        .first_chunk::<MMS_HEADER>()
        .ok_or(Unreadable::TooShort(id))?;
    body.advance(MMS_HEADER);
    Ok((flags, body))
}

fn reason(body: &[u8]) -> Result<HResult, Unreadable> {
    let reason = body.first_chunk().ok_or(Unreadable::TooShort(b'E'))?;
    Ok(HResult(u32::from_le_bytes(*reason)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wmsp::Framer;

    fn packets(wire: &[u8], step: usize) -> Result<Vec<Framed>, Unreadable> {
        let mut unframer = Unframer::new();
        let mut packets = Vec::new();
        for bytes in wire.chunks(step) {
            unframer.push(bytes);
            while let Some(packet) = unframer.next_packet()? {
                packets.push(packet);
            }
        }
        Ok(packets)
    }

    /// The output of the server half
    #[test]
    fn a_response_of_the_server_is_read_in_any_split() {
        let header = vec![7; 140_000];
        let data = Framer::new().data(3, 100).unwrap();
        let wire = [
            &Framer::metadata(1)[..],
            &Framer::header(&header),
            &data,
            &[9; 100],
            &Framer::stream_change(),
            &Framer::end_of_stream(HResult::S_FALSE),
        ]
        .concat();
        let expected = [
            Framed::Other(b'M'),
            Framed::Header(header.into()),
            Framed::Data(Bytes::from_static(&[9; 100])),
            Framed::StreamChange,
            Framed::EndOfStream(HResult::S_FALSE),
        ];
        for step in [1, 7, 4096, wire.len()] {
            assert_eq!(packets(&wire, step).unwrap(), expected, "{step}");
        }
    }

    /// 2.2.3.1.1 Framing Header: B = 1, and 2.2.3.7 $P (Packet-Pair)
    #[test]
    fn the_b_flag_and_packet_pairs_are_ignored() {
        let wire = [0xA4, b'P', 4, 0, 0, 0, 0, 0, 0xA4, b'C', 4, 0, 0, 0, 0, 0];
        assert_eq!(
            packets(&wire, 3).unwrap(),
            [Framed::Other(b'P'), Framed::StreamChange]
        );
    }

    #[test]
    fn bytes_that_are_not_a_packet_are_refused() {
        assert_eq!(packets(b"<html>", 6), Err(Unreadable::NoFrame(b'<')));
        assert_eq!(packets(b"$D\x02\0ab", 6), Err(Unreadable::TooShort(b'D')));
        assert_eq!(packets(b"$E\0\0", 4), Err(Unreadable::TooShort(b'E')));
    }

    #[test]
    fn the_size_of_a_header_is_bounded() {
        let piece = [
            &[b'$', b'H', 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF][..],
            &[0; 65_527],
        ]
        .concat();
        let wire = piece.repeat(17);
        assert_eq!(packets(&wire, 1 << 20), Err(Unreadable::HeaderTooLarge));
    }
}
