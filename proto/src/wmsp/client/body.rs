// SPDX-License-Identifier: MPL-2.0

use bytes::{Bytes, BytesMut};

use super::framing::{Framed, Unframer, Unreadable};
use crate::asf::{self, DataPacket, FileHeader, Guid, Item, Reader};
use crate::wmhttp::HResult;

/// Bytes that distinguish ASF from other formats: the GUID of the Header Object.
const START: usize = 16;

/// An element of a stream, as a player receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The ASF file header of the packets that follow.
    Header(FileHeader),
    /// An ASF data packet, possibly without its padding.
    Data(DataPacket),
    /// 2.2.3.2 $C (Stream Change Notification): the next playlist entry begins.
    Change,
    /// 2.2.3.4 $E (End-of-Stream Notification), with its Reason.
    End(HResult),
}

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Packets of 2.2.3 Packet Types.
    Framed,
    /// An ASF file.
    File,
}

/// Reads the body of a response in either form. The first bytes decide the form, because the Content-Type of many
/// servers is wrong.
#[derive(Default)]
pub struct BodyReader(State);

#[derive(Default)]
enum State {
    #[default]
    Empty,
    /// The first bytes match the start of a Header Object so far.
    Beginning(BytesMut),
    Framed(Unframer),
    File(Box<Reader>),
    Failed(Unreadable),
}

impl BodyReader {
    /// Creates a reader at the start of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the form of the body; `None` until the first bytes decide it, or if the body is unreadable.
    pub fn form(&self) -> Option<Form> {
        match self.0 {
            State::Framed(_) => Some(Form::Framed),
            State::File(_) => Some(Form::File),
            State::Empty | State::Beginning(_) | State::Failed(_) => None,
        }
    }

    /// Adds bytes of the body. Call [`next_seen`](Self::next_seen) until it returns `None` before adding more.
    pub fn push(&mut self, bytes: Bytes) {
        match &mut self.0 {
            State::Empty if bytes.is_empty() => {}
            State::Empty => self.begin(bytes),
            State::Beginning(start) => {
                start.extend_from_slice(&bytes);
                let start = std::mem::take(start).freeze();
                self.begin(start);
            }
            State::Framed(unframer) => unframer.push(&bytes),
            State::File(reader) => reader.push(bytes),
            State::Failed(_) => {}
        }
    }

    /// Returns the next element; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if no player can read the body. All later calls return the same error.
    pub fn next_seen(&mut self) -> Result<Option<Seen>, Unreadable> {
        let next = match &mut self.0 {
            State::Empty | State::Beginning(_) => Ok(None),
            State::Framed(unframer) => next_framed(unframer),
            State::File(reader) => next_of_file(reader),
            State::Failed(error) => Err(error.clone()),
        };
        if let Err(error) = &next {
            self.0 = State::Failed(error.clone());
        }
        next
    }

    fn begin(&mut self, start: Bytes) {
        let known = start.get(..START).unwrap_or(&start);
        self.0 = match start.first() {
            Some(b'$' | 0xA4) => {
                let mut unframer = Unframer::new();
                unframer.push(&start);
                State::Framed(unframer)
            }
            _ if Guid::HEADER.mismatch(known).is_some() => {
                State::Failed(Unreadable::Foreign(asf::Format::of(&start)))
            }
            _ if known.len() < START => State::Beginning(BytesMut::from(start)),
            _ => {
                let mut reader = Box::new(Reader::new());
                reader.push(start);
                State::File(reader)
            }
        };
    }
}

/// Returns the next element of a framed body.
fn next_framed(unframer: &mut Unframer) -> Result<Option<Seen>, Unreadable> {
    while let Some(packet) = unframer.next_packet()? {
        return Ok(Some(match packet {
            Framed::Header(header) => Seen::Header(FileHeader::parse(header)?),
            Framed::Data(packet) => Seen::Data(DataPacket::parse(packet)),
            Framed::StreamChange => Seen::Change,
            Framed::EndOfStream(reason) => Seen::End(reason),
            Framed::Other(_) => continue,
        }));
    }
    Ok(None)
}

fn next_of_file(reader: &mut Reader) -> Result<Option<Seen>, Unreadable> {
    while let Some(item) = reader.next_item()? {
        return Ok(Some(match item {
            Item::Header(header) => Seen::Header(header),
            Item::DataUnit(packet) => Seen::Data(packet),
            Item::Skipped(_) => continue,
        }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::asf::testing::{AUDIO_VIDEO, header};
    use crate::wmsp::Framer;

    fn seen(bytes: &[u8], step: usize) -> (Option<Form>, Result<Vec<Seen>, Unreadable>) {
        let mut body = BodyReader::new();
        let mut all = Vec::new();
        for bytes in bytes.chunks(step) {
            body.push(Bytes::copy_from_slice(bytes));
            loop {
                match body.next_seen() {
                    Ok(Some(seen)) => all.push(seen),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(body.next_seen(), Err(error.clone()));
                        return (body.form(), Err(error));
                    }
                }
            }
        }
        (body.form(), Ok(all))
    }

    #[test]
    fn the_first_bytes_distinguish_packets_from_files() {
        let file_header = header(1500, 50, &[]);
        let packet = &AUDIO_VIDEO[AUDIO_VIDEO.len() - 1500..];
        let framed = [
            &Framer::metadata(1)[..],
            &Framer::header(file_header.as_bytes()),
            &Framer::new().data(0, packet.len()).unwrap(),
            packet,
            &Framer::end_of_stream(HResult::S_OK),
        ]
        .concat();
        for step in [1, 1000, framed.len()] {
            let (form, all) = seen(&framed, step);
            assert_eq!(form, Some(Form::Framed));
            let expected = [
                Seen::Header(file_header.clone()),
                Seen::Data(DataPacket::parse(Bytes::copy_from_slice(packet))),
                Seen::End(HResult::S_OK),
            ];
            assert_eq!(all.unwrap(), expected);
            let (form, all) = seen(AUDIO_VIDEO, step);
            assert_eq!(form, Some(Form::File));
            let all = all.unwrap();
            assert!(matches!(all[0], Seen::Header(_)));
            assert_eq!(all.len(), 1 + AUDIO_VIDEO.len() / 1500);
        }
    }

    #[test]
    fn an_unreadable_body_is_named_by_its_format() {
        let foreign = |bytes: &[u8], step| seen(bytes, step).1.unwrap_err();
        assert_eq!(
            foreign(b"<!DOCTYPE html><html>", 100),
            Unreadable::Foreign(Some(asf::Format::Html))
        );
        let unknown = foreign(b"0&quot;", 1);
        let is_unknown = matches!(unknown, Unreadable::Foreign(Some(asf::Format::Unknown(_))));
        assert!(is_unknown, "{unknown:?}");
        let no_header = Framer::header(&[7; 100]);
        assert!(matches!(foreign(&no_header, 9), Unreadable::Asf(_)));
    }

    #[test]
    fn an_empty_body_has_no_elements() {
        assert_eq!(seen(b"", 1), (None, Ok(Vec::new())));
        assert_eq!(
            seen(&Guid::HEADER.as_bytes()[..15], 4),
            (None, Ok(Vec::new()))
        );
    }

    /// Returns a response of the server half, with `damage` written over it.
    fn damaged(damage: &[(usize, u8)]) -> Vec<u8> {
        let mut wire = [
            &Framer::header(header(1500, 50, &[]).as_bytes())[..],
            &Framer::new().data(0, 1500).unwrap(),
            &AUDIO_VIDEO[AUDIO_VIDEO.len() - 1500..],
            &Framer::stream_change(),
            &Framer::end_of_stream(HResult::S_OK),
        ]
        .concat();
        for (at, byte) in damage {
            let at = at % wire.len();
            wire[at] = *byte;
        }
        wire
    }

    proptest! {
        #[test]
        fn reading_does_not_depend_on_the_split(
            bytes in prop_oneof![
                vec(any::<u8>(), 0..2000),
                vec((any::<usize>(), any::<u8>()), 0..8).prop_map(|damage| damaged(&damage)),
            ],
            step in 1usize..2000,
        ) {
            let (form, whole) = seen(&bytes, bytes.len().max(1));
            let (split_form, split) = seen(&bytes, step);
            prop_assert_eq!(form, split_form);
            prop_assert_eq!(whole.is_err(), split.is_err());
            if let (Ok(whole), Ok(split)) = (whole, split) {
                prop_assert_eq!(whole, split);
            }
        }
    }
}
