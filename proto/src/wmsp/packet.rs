// SPDX-License-Identifier: MPL-2.0

//! The packets of a response, MS-WMSP 2.2.3 Packet Types.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wmhttp::HResult;

/// 2.2.3.1.1 Framing Header: size in bytes without Reason
pub(super) const FRAMING_HEADER: usize = 4;

/// 2.2.3.1.2 MMS Data Packet: size in bytes of the header before its payload
pub(super) const MMS_HEADER: usize = 8;

/// Largest payload of a `$D` or `$H` in bytes: with its header the MMS data packet has 65,535 bytes.
pub const MAX_DATA: usize = u16::MAX as usize - MMS_HEADER;

/// 2.2.3.1.1 Framing Header: the Frame field, with B = 0
pub(super) const FRAME: u8 = b'$';

/// 2.2.3.1.2 MMS Data Packet: bits of AFFlags
pub(super) mod af_flags {
    /// The object begins in this packet.
    pub(in super::super) const FIRST: u8 = 0x04;
    /// The object ends in this packet.
    pub(in super::super) const LAST: u8 = 0x08;
}

/// Writes the packets of one Play response, and keeps their sequence numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Framer {
    /// AFFlags of the next `$D`
    sequence: u8,
}

impl Framer {
    /// Creates a framer for a new response.
    pub fn new() -> Self {
        Self::default()
    }

    /// 2.2.3.5 $H (Header): returns an ASF file header in one packet or several.
    pub fn header(header: &[u8]) -> Bytes {
        object(b'H', header)
    }

    /// 2.2.3.6 $M (Metadata): returns the packet for playlist entry number `entry`, without a content description.
    pub fn metadata(entry: u32) -> Bytes {
        let text =
            format!("playlist-gen-id={entry}, broadcast-id={entry}, features=\"broadcast\"\0");
        object(b'M', text.as_bytes())
    }

    /// 2.2.3.3 $D (Data): returns the bytes before an ASF data packet of `size` bytes, which is packet `number` of its
    /// entry. `None` if it is too large.
    pub fn data(&mut self, number: u32, size: usize) -> Option<[u8; FRAMING_HEADER + MMS_HEADER]> {
        let length = mms_length(size)?;
        let mut head = [0; FRAMING_HEADER + MMS_HEADER];
        let mut out = &mut head[..];
        put_data_head(&mut out, b'D', number, self.sequence, length);
        self.sequence = self.sequence.wrapping_add(1);
        Some(head)
    }

    /// 2.2.3.2 $C (Stream Change Notification): returns the packet that begins the next playlist entry.
    pub fn stream_change() -> Bytes {
        with_reason(b'C', 0)
    }

    /// 2.2.3.4 $E (End-of-Stream Notification): returns the packet with this Reason.
    pub fn end_of_stream(HResult(reason): HResult) -> Bytes {
        with_reason(b'E', reason)
    }
}

/// Returns the length of an MMS data packet with a payload of this size; `None` if it is too large.
fn mms_length(payload: usize) -> Option<u16> {
    u16::try_from(payload.checked_add(MMS_HEADER)?).ok()
}

fn put_data_head(out: &mut impl BufMut, id: u8, location: u32, flags: u8, length: u16) {
    out.put_u8(FRAME);
    out.put_u8(id);
    out.put_u16_le(length);
    out.put_u32_le(location);
    out.put_u8(0); // Incarnation: constant, as the specification permits
    out.put_u8(flags);
    out.put_u16_le(length);
}

/// Splits an object into packets of the largest size.
fn object(id: u8, object: &[u8]) -> Bytes {
    let pieces = object.len().div_ceil(MAX_DATA);
    let mut out = BytesMut::with_capacity(object.len().saturating_add(64));
    for (number, piece) in object.chunks(MAX_DATA).enumerate() {
        let mut flags = 0;
        if number == 0 {
            flags |= af_flags::FIRST;
        }
        if number.checked_add(1) == Some(pieces) {
            flags |= af_flags::LAST;
        }
        if let Some(length) = mms_length(piece.len()) {
            put_data_head(&mut out, id, number as u32, flags, length);
            out.put_slice(piece);
        }
    }
    out.freeze()
}

fn with_reason(id: u8, reason: u32) -> Bytes {
    let mut out = BytesMut::with_capacity(8);
    out.put_u8(FRAME);
    out.put_u8(id);
    out.put_u16_le(4);
    out.put_u32_le(reason);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2.2.3.1.2 MMS Data Packet, 2.2.3.5 $H (Header)
    #[test]
    fn a_header_in_one_piece_is_first_and_last() {
        assert_eq!(
            &Framer::header(&[7; 100])[..13],
            [b'$', b'H', 108, 0, 0, 0, 0, 0, 0, 0x0C, 108, 0, 7]
        );
    }

    /// 2.2.3.1.2 MMS Data Packet: the example of 100,000 bytes
    #[test]
    fn a_large_header_is_split_into_numbered_packets() {
        let wire = Framer::header(&[7; 140_000]);
        let heads = [(0u32, 0x04u8, MAX_DATA), (1, 0, MAX_DATA), (2, 0x08, 8946)];
        let mut at = 0;
        for (number, flags, size) in heads {
            let length = (size as u16 + 8).to_le_bytes();
            let [low, high] = length;
            let location = number.to_le_bytes();
            let expected = [
                &[b'$', b'H', low, high][..],
                &location,
                &[0, flags, low, high],
            ]
            .concat();
            assert_eq!(&wire[at..at + 12], expected);
            at += 12 + size;
        }
        assert_eq!(at, wire.len());
    }

    /// 2.2.3.1.2 MMS Data Packet: LocationId numbers the packets of a virtual file, AFFlags those of the response
    #[test]
    fn data_packets_are_numbered_twice() {
        let mut framer = Framer::new();
        assert_eq!(
            framer.data(300, 0x1234).unwrap(),
            [b'$', b'D', 0x3C, 0x12, 0x2C, 1, 0, 0, 0, 0, 0x3C, 0x12]
        );
        assert_eq!(framer.data(305, 1).unwrap()[9], 1);
        for _ in 0..254 {
            framer.data(0, 1);
        }
        assert_eq!(framer.data(0, 1).unwrap()[9], 0);
    }

    /// 2.2.3.1.2 MMS Data Packet
    #[test]
    fn a_packet_that_is_too_large_is_not_counted() {
        let mut framer = Framer::new();
        assert_eq!(framer.data(0, MAX_DATA + 1), None);
        let fits = framer.data(0, MAX_DATA).unwrap();
        assert_eq!((fits[2], fits[3], fits[9]), (0xFF, 0xFF, 0));
    }

    /// 2.2.3.2 $C (Stream Change Notification), 2.2.3.4 $E (End-of-Stream Notification), 2.2.3.6 $M (Metadata)
    #[test]
    fn the_other_packets_are_as_specified() {
        assert_eq!(&Framer::stream_change()[..], [b'$', b'C', 4, 0, 0, 0, 0, 0]);
        assert_eq!(
            &Framer::end_of_stream(HResult::E_ABORT)[..],
            [b'$', b'E', 4, 0, 0x04, 0x40, 0, 0x80]
        );
        let metadata = Framer::metadata(3);
        assert_eq!(&metadata[..2], b"$M");
        assert_eq!(metadata[9], 0x0C);
        assert_eq!(
            &metadata[12..],
            b"playlist-gen-id=3, broadcast-id=3, features=\"broadcast\"\0"
        );
    }
}
