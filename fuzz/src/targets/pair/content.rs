// SPDX-License-Identifier: MPL-2.0

//! The content of a stream: written by the writer, accepted by the client, received by the server.

use wmspush_proto::asf::{DataPacket, FileHeader};
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::Received;

use super::super::invariants::header::file_header;
use super::super::messages::Offered;

/// Size of each packet in bytes.
const PACKET_SIZE: u8 = 100;

pub struct Writer {
    /// True if the client removes padding.
    remove_padding: bool,
    written: Vec<Offered>,
    /// Index of the next content for the client.
    next: usize,
    /// True if the client first gets the current header again.
    again: bool,
    /// Index of the content that the server has to receive next.
    expected: usize,
    /// Value of `next` when the current PushStart was sent.
    began: usize,
}

impl Writer {
    pub fn new(remove_padding: bool) -> Self {
        Self {
            remove_padding,
            written: Vec::new(),
            next: 0,
            again: false,
            expected: 0,
            began: 0,
        }
    }

    /// Writes a new header, different from all earlier ones.
    pub fn write_header(&mut self) {
        let number = self.written.len() as u8;
        let header = file_header(PACKET_SIZE.into(), 50, number);
        let header = FileHeader::parse(header.into()).unwrap();
        self.written.push(Offered::Header(header));
    }

    /// Writes a new packet: its number is its Send Time.
    pub fn write_data(&mut self, padding: u8) {
        const HEAD: usize = 24;
        let padding = padding % (PACKET_SIZE - HEAD as u8);
        let number = (self.written.len() as u32).to_le_bytes();
        let replicated = [8, 1, 0, 0, 0, 1, 0, 0, 0];
        let head = [
            &[0x08, 0x5D, padding][..],
            &number,
            &[0, 0, 0x81, 0, 0, 0, 0, 0],
            &replicated,
        ];
        let mut bytes = head.concat();
        assert_eq!(bytes.len(), HEAD);
        bytes.resize(usize::from(PACKET_SIZE - padding), 0xDA);
        bytes.resize(PACKET_SIZE.into(), 0);
        let packet = DataPacket::parse(bytes.into());
        assert_eq!(packet.defect(), None);
        self.written.push(Offered::Data(packet));
    }

    pub fn end(&mut self) {
        self.written.push(Offered::End);
    }

    /// Returns the next content for the client, if any.
    pub fn next(&self) -> Option<Offered> {
        if self.again {
            return self.header_in_force().map(Offered::Header);
        }
        self.written.get(self.next).cloned()
    }

    /// Notes that the client has accepted it.
    pub fn taken(&mut self) {
        if !std::mem::take(&mut self.again) {
            self.next += 1;
        }
    }

    /// Notes a PushStart. A header in it counts as accepted.
    pub fn push_start_sent(&mut self) {
        self.began = self.next;
    }

    /// Rewinds to the last PushStart.
    pub fn push_start_repeated(&mut self) {
        self.next = self.began;
    }

    /// Handles a connection loss: the client continues after the content that it knows was received, which excludes
    /// `unknown` packets of this entry. If the server has no header, the header comes first.
    pub fn go_back(&mut self, unknown: usize, has_header: bool) {
        let arrived = self.written[..self.expected].iter().rev();
        let data = arrived.take_while(|content| matches!(content, Offered::Data(_)));
        self.expected -= data.take(unknown).count();
        self.next = self.expected;
        self.again = !has_header && self.header_in_force().is_some();
    }

    /// Returns the last header that the server has received, in any session.
    pub fn header_in_force(&self) -> Option<FileHeader> {
        let mut arrived = self.written[..self.expected].iter().rev();
        arrived.find_map(|content| match content {
            Offered::Header(header) => Some(header.clone()),
            Offered::Data(_) | Offered::End => None,
        })
    }

    /// Checks received content against the expected content.
    pub fn arrived(&mut self, received: &Received) {
        let expected = self.written.get(self.expected);
        match (received, expected) {
            (Received::Filler(_), _) => return,
            (Received::EndOfStream(HResult::S_FALSE), Some(Offered::Header(_))) => return,
            (Received::Header(bytes), _)
                if self
                    .header_in_force()
                    .is_some_and(|known| known.as_bytes() == bytes) =>
            {
                return;
            }
            (Received::Header(bytes), Some(Offered::Header(header))) => {
                assert_eq!(self.expected, 0, "$H does not begin another entry");
                assert_eq!(bytes, header.as_bytes());
            }
            (Received::StreamChange(bytes), Some(Offered::Header(header))) => {
                assert_eq!(bytes, header.as_bytes());
            }
            (Received::Data(bytes), Some(Offered::Data(packet))) => {
                assert_eq!(bytes, &self.as_sent(packet));
            }
            (Received::EndOfStream(HResult::S_OK), Some(Offered::End)) => {}
            (received, expected) => panic!("{received:?} and not {expected:?}"),
        }
        self.expected += 1;
    }

    fn as_sent(&self, packet: &DataPacket) -> Vec<u8> {
        if !self.remove_padding {
            return packet.as_bytes().to_vec();
        }
        let unpadded = packet.without_padding();
        [unpadded.head.as_slice(), &unpadded.body].concat()
    }

    pub fn has_all_arrived(&self) {
        assert_eq!(self.expected, self.written.len());
    }
}
