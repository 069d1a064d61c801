// SPDX-License-Identifier: MPL-2.0

//! Streams in the framing of pulled streams (MS-WMSP 2.2.3 Packet Types), as `avmux_asf_stream` writes them.
//!
//! ```text
//!  $H ┊ piece of file header │ … │ $D ┊ data packet │ $D ┊ data packet │ … │ $E
//! ```
//!
//! The payload of `$H` and `$D` is an MMS data packet, which has a header of 8 bytes. All other chunks are skipped: the
//! end of the input replaces `$E`, and the next `$H` replaces `$C`.

use bytes::Bytes;

use super::{Reader, State, Step};
use crate::asf::data_packet::DataPacket;
use crate::asf::error::Error;
use crate::asf::file_header::{FileHeader, file_header_size};
use crate::asf::guid::Guid;
use crate::asf::item::{Item, SkipReason, Skipped};
use crate::asf::object::{ObjectHead, u16_at};

/// The framing of a stream
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// Undecided: the stream has just started
    #[default]
    Unknown,
    /// None, as in a file
    Bare,
    /// Chunks
    Chunks,
}

/// MS-WMSP 2.2.3.1.1 Framing Header, with the size of the chunk
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// PacketID
    id: u8,
    /// Size of the whole chunk in bytes, at most 65,539
    size: usize,
}

/// Size of a Framing Header in bytes, without the optional Reason
const FRAMING: usize = 2 /* Frame, PacketID */ + 2 /* PacketLength */;
/// MS-WMSP 2.2.3.1.2 MMS data packet: offset of AFFlags in a chunk, in bytes
const AF_FLAGS: usize = FRAMING + 4 /* LocationId */ + 1 /* Incarnation */;
const PAYLOAD: usize = AF_FLAGS + 1 + 2 /* PacketSize */;
/// AFFlags: the first piece of a file header
const FIRST_PIECE: u8 = 0x04;

/// Returns whether a chunk may begin with this byte: Frame, ignoring its top bit.
const fn is_frame(byte: u8) -> bool {
    byte & 0x7f == b'$'
}

/// Returns whether this is a PacketID of MS-WMSP 2.2.3 Packet Types, or `$F` of MS-WMHTTP.
const fn is_packet_id(byte: u8) -> bool {
    matches!(byte, b'C' | b'D' | b'E' | b'F' | b'H' | b'M' | b'P' | b'T')
}

impl Framing {
    /// Returns the framing of a stream that starts with these bytes; `None` if one more byte is needed.
    ///
    /// A new stream starts with `$H`. After a flush a stream may continue with any chunk: no data packet starts like a
    /// chunk, because none has a Sequence field, or 0xA4 as error correction flags.
    fn of(head: &[u8], is_new: bool) -> Option<Framing> {
        Some(match *head {
            [] => return None,
            [frame] if is_frame(frame) => return None,
            [frame, b'H', ..] if is_frame(frame) => Framing::Chunks,
            [frame, id, ..] if is_frame(frame) && is_packet_id(id) && !is_new => Framing::Chunks,
            _ => Framing::Bare,
        })
    }
}

impl Chunk {
    /// Returns the size of the whole chunk in bytes.
    pub fn size(self) -> usize {
        self.size
    }

    /// Returns the reason for skipping a truncated chunk.
    pub fn partial(self) -> SkipReason {
        match self.id {
            b'H' => SkipReason::PartialHeader,
            _ => SkipReason::PartialPacket,
        }
    }
}

impl Reader {
    /// Decides the framing of a stream that has just started. In a stream of chunks, looks for the next one; `None` in
    /// any other stream.
    pub(super) fn step_framing(
        &mut self,
        head: &[u8],
        is_new: bool,
    ) -> Result<Option<Step>, Error> {
        if self.framing == Framing::Unknown {
            let Some(framing) = Framing::of(head, is_new) else {
                return Ok(Some(Step::NeedMore));
            };
            self.framing = framing;
        }
        match self.framing {
            Framing::Chunks => self.step_chunk(head).map(Some),
            Framing::Unknown | Framing::Bare => Ok(None),
        }
    }

    fn step_chunk(&mut self, head: &[u8]) -> Result<Step, Error> {
        match *head {
            [frame, ..] if !is_frame(frame) => return self.leave_chunks(1),
            [_, id, ..] if !is_packet_id(id) => return self.leave_chunks(2),
            _ => {}
        }
        let (Some(&id), Some(length)) = (head.get(1), u16_at(head, 2)) else {
            return Ok(Step::NeedMore);
        };
        let size = FRAMING.saturating_add(length.into());
        self.state = match id {
            b'H' | b'D' => State::Chunk(Chunk { id, size }),
            _ => State::Skip {
                reason: SkipReason::Chunk(id),
                seen: 0,
                left: size as u64,
            },
        };
        Ok(Step::Go)
    }

    /// Leaves a stream whose next bytes are not a chunk. `told` bytes show that; where the next chunk starts is
    /// unknown.
    fn leave_chunks(&mut self, told: u64) -> Result<Step, Error> {
        if self.current.is_none() {
            return Err(self.incomplete());
        }
        let reason = SkipReason::TrailingData;
        let seen = self.queue.skip(told);
        self.output.push_back(Item::Skipped(Skipped {
            bytes: seen,
            reason,
        }));
        self.state = State::Discard { seen: 0, reason };
        Ok(Step::Go)
    }

    /// Takes a complete `$H` or `$D`.
    pub(super) fn take_chunk(&mut self, chunk: Chunk, bytes: Bytes) -> Result<Step, Error> {
        let payload = bytes.slice(PAYLOAD.min(bytes.len())..);
        match chunk.id {
            b'H' => {
                self.take_header_piece(bytes.get(AF_FLAGS).copied(), payload)?;
                Ok(Step::Go)
            }
            _ => self.take_packet(payload, bytes.len() as u64),
        }
    }

    /// MS-WMSP 2.2.3.5 $H (Header): a file header, or one piece of it
    fn take_header_piece(&mut self, af_flags: Option<u8>, piece: Bytes) -> Result<(), Error> {
        if af_flags.is_some_and(|flags| flags & FIRST_PIECE != 0) {
            self.drop_pieces();
        }
        self.pieces.push(piece);
        let mut head = [0; ObjectHead::LEN];
        let head = self.pieces.peek(&mut head);
        let guid = head.get(..16).unwrap_or(head);
        if let Some((offset, found)) = Guid::HEADER.mismatch(guid) {
            return Err(Error::NotAsf {
                offset,
                found,
                format: None,
            });
        }
        let Some(head) = ObjectHead::parse(head) else {
            return Ok(());
        };
        let (expected, found) = (file_header_size(head)?, self.pieces.len());
        if found > expected as u64 {
            let expected = expected as u64;
            return Err(Error::HeaderLength { expected, found });
        }
        if let Some(bytes) = self.pieces.take(expected) {
            self.adopt(FileHeader::parse(bytes)?, false);
        }
        Ok(())
    }

    /// MS-WMSP 2.2.3.3 $D (Data): a data packet, possibly without its padding
    fn take_packet(&mut self, packet: Bytes, chunk: u64) -> Result<Step, Error> {
        if self.current.is_none() {
            return Err(self.incomplete());
        }
        self.drop_pieces();
        let most = self.active().map_or(0, FileHeader::packet_size);
        let reason = match packet.len() {
            0 => SkipReason::PartialPacket,
            len if len > most => SkipReason::OverlongPacket,
            _ => return Ok(self.yield_packet(DataPacket::parse(packet))),
        };
        self.output.push_back(Item::Skipped(Skipped {
            bytes: chunk,
            reason,
        }));
        Ok(Step::Go)
    }

    /// Drops an incomplete file header.
    pub(super) fn drop_pieces(&mut self) {
        let bytes = self.pieces.clear();
        if bytes > 0 {
            let reason = SkipReason::PartialHeader;
            self.output
                .push_back(Item::Skipped(Skipped { bytes, reason }));
        }
    }

    /// Returns the error for a file header that is incomplete.
    fn incomplete(&self) -> Error {
        Error::Incomplete {
            bytes: self.pieces.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{P, items, live, packet, push, skipped, unit};
    use super::*;
    use crate::asf::format::Format;
    use crate::asf::testing::{header, stream_properties};

    /// MS-WMSP 2.2.3.1 Common Definitions: a chunk with an MMS data packet
    fn chunk(id: u8, af_flags: u8, payload: &[u8]) -> Vec<u8> {
        let size = (payload.len() as u16 + 8).to_le_bytes();
        let head = [&[b'$', id][..], &size, &[7, 0, 0, 0, 0, af_flags], &size];
        [&head.concat(), payload].concat()
    }

    /// MS-WMSP 2.2.3.5 $H (Header), 2.2.3.3 $D (Data), 2.2.3.4 $E (End-of-Stream Notification)
    #[test]
    fn chunks_are_unwrapped() {
        let header = live();
        let (first, rest) = header.as_bytes().split_at(20);
        let (second, third) = rest.split_at(100);
        let mut reader = Reader::new();
        let parts = [
            chunk(b'H', 0x04, first),
            chunk(b'H', 0x00, second),
            chunk(b'H', 0x08, third),
            chunk(b'D', 0x00, &packet(1)),
            chunk(b'D', 0x00, &packet(2)[..50]),
            vec![0xA4, b'E', 4, 0, 0, 0, 0, 0],
        ];
        push(&mut reader, &[&parts.concat()]);
        let short = DataPacket::parse(packet(2)[..50].to_vec().into());
        let expected = [
            Item::Header(header),
            unit(1),
            Item::DataUnit(short),
            skipped(8, SkipReason::Chunk(b'E')),
        ];
        assert_eq!(items(&mut reader), expected);
        assert_eq!(reader.finish(), Ok(None));
    }

    /// MS-WMSP 2.2.3.2 $C (Stream Change Notification)
    #[test]
    fn another_header_in_chunks_waits_for_its_first_packet() {
        let next = header(P, 50, &[stream_properties()]);
        let mut reader = Reader::new();
        push(&mut reader, &[&chunk(b'H', 0x0c, live().as_bytes())]);
        push(
            &mut reader,
            &[&chunk(b'D', 0, &packet(1)), b"$C\x04\0\0\0\0\0"],
        );
        push(&mut reader, &[&chunk(b'H', 0x0c, next.as_bytes())]);
        let begun = [
            Item::Header(live()),
            unit(1),
            skipped(8, SkipReason::Chunk(b'C')),
        ];
        assert_eq!(items(&mut reader), begun);
        push(&mut reader, &[&chunk(b'D', 0, &packet(2))]);
        assert_eq!(items(&mut reader), [Item::Header(next), unit(2)]);
    }

    #[test]
    fn misplaced_chunks_are_skipped() {
        let mut reader = Reader::new();
        let over = [packet(1), vec![0]].concat();
        let parts = [
            chunk(b'H', 0x0c, live().as_bytes()),
            chunk(b'D', 0, &over),
            chunk(b'D', 0, &[]),
            vec![b'$', b'D', 3, 0, 1, 2, 3],
            chunk(b'H', 0x04, &live().as_bytes()[..30]),
            chunk(b'D', 0, &packet(2)),
            b"$D\x6c".to_vec(),
        ];
        push(&mut reader, &[&parts.concat()]);
        let expected = [
            Item::Header(live()),
            skipped(113, SkipReason::OverlongPacket),
            skipped(12, SkipReason::PartialPacket),
            skipped(7, SkipReason::PartialPacket),
            skipped(30, SkipReason::PartialHeader),
            unit(2),
        ];
        assert_eq!(items(&mut reader), expected);
        let rest = Skipped {
            bytes: 3,
            reason: SkipReason::PartialPacket,
        };
        assert_eq!(reader.finish(), Ok(Some(rest)));
    }

    #[test]
    fn input_that_is_not_a_chunk_ends_the_stream() {
        let start = chunk(b'H', 0x0c, live().as_bytes());
        for (junk, told) in [(&b"junk$D"[..], 1), (b"$xunk$D", 2)] {
            let mut reader = Reader::new();
            push(&mut reader, &[&start, junk, &chunk(b'D', 0, &packet(1))]);
            let expected = [
                Item::Header(live()),
                skipped(told, SkipReason::TrailingData),
            ];
            assert_eq!(items(&mut reader), expected);
            // After a flush the first input may be any chunk, or a bare packet.
            reader.restart();
            push(&mut reader, &[&chunk(b'D', 0, &packet(2))]);
            reader.restart();
            push(&mut reader, &[&packet(3)]);
            let left = (junk.len() + chunk(b'D', 0, &packet(1)).len()) as u64 - told;
            let left = skipped(left, SkipReason::TrailingData);
            assert_eq!(items(&mut reader), [left, unit(2), unit(3)]);
        }
    }

    #[test]
    fn chunks_without_a_complete_header_are_an_error() {
        let live = live();
        let begun = chunk(b'H', 0x04, &live.as_bytes()[..40]);
        let packet = chunk(b'D', 0, &packet(1));
        let over = [live.as_bytes(), &[0][..]].concat();
        let length = Error::HeaderLength {
            expected: live.as_bytes().len() as u64,
            found: over.len() as u64,
        };
        for (stream, error) in [
            ([&begun, &packet[..]], Error::Incomplete { bytes: 40 }),
            ([&begun, b"junk"], Error::Incomplete { bytes: 40 }),
            ([b"$H\0\0", &packet], Error::Incomplete { bytes: 0 }),
            (
                [b"$H\x0a\0", b"\0\0\0\0\0\x0c\x0a\0\x30x"],
                Error::NotAsf {
                    offset: 1,
                    found: b'x',
                    format: None,
                },
            ),
            ([&chunk(b'H', 0x0c, &over), b""], length),
            (
                [&packet, &[0; Format::START]],
                Error::NotAsf {
                    offset: 0,
                    found: b'$',
                    format: Format::of(&packet),
                },
            ),
        ] {
            let mut reader = Reader::new();
            push(&mut reader, &stream);
            assert_eq!(reader.next_item(), Err(error.clone()));
            assert_eq!(reader.finish(), Err(error));
        }
        let mut reader = Reader::new();
        push(&mut reader, &[&begun, b"$H"]);
        assert_eq!(reader.next_item(), Ok(None));
        assert_eq!(reader.finish(), Err(Error::Incomplete { bytes: 42 }));
    }
}
