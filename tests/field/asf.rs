// SPDX-License-Identifier: MPL-2.0

//! ASF streams whose data packets carry numbers, by which a receiver identifies them.

use std::time::Duration;

/// A stream with one video stream, for its header.
const FIXTURE: &[u8] =
    include_bytes!("../../proto/tests/fixtures/video_asfmux_p3200_streamable.asf");

/// ASF 3.2 File Properties Object: its GUID, and the offsets of the two packet sizes in it.
const FILE_PROPERTIES: [u8; 16] = [
    0xa1, 0xdc, 0xab, 0x8c, 0x47, 0xa9, 0xcf, 0x11, 0x8e, 0xe4, 0x00, 0xc0, 0x0c, 0x20, 0x53, 0x65,
];
const PACKET_SIZES: [usize; 2] = [92, 96];

/// ASF 5.2 data packet header up to the payload data: error correction, length types, Send Time, one payload.
const PACKET_HEADER_SIZE: usize = 3 + 2 + 6 + 7 + 8;

/// Marks the payload data; the packet's number follows.
const MARK: [u8; 4] = *b"num:";

/// One video stream, without padding. Each packet is a whole picture.
#[derive(Clone, Debug)]
pub struct Stream {
    pub packets: u32,
    /// Size of a data packet in bytes.
    pub packet_size: usize,
    /// Every n-th packet is a key frame.
    pub group: u32,
    /// Interval between two Send Times.
    pub interval: Duration,
    /// The number of the first packet.
    pub first: u32,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            packets: 200,
            packet_size: 1400,
            group: 20,
            interval: Duration::from_millis(10),
            first: 0,
        }
    }
}

impl Stream {
    /// A stream of this many packets.
    pub fn of(packets: u32) -> Self {
        Self {
            packets,
            ..Self::default()
        }
    }

    /// The ASF file header, with the Data Object's first 50 bytes.
    pub fn header(&self) -> Vec<u8> {
        let size = u64::from_le_bytes(FIXTURE[16..24].try_into().unwrap());
        let mut header = FIXTURE[..size as usize + 50].to_vec();
        let mut windows = header.windows(FILE_PROPERTIES.len());
        let properties = windows.position(|window| window == FILE_PROPERTIES);
        let size = (self.packet_size as u32).to_le_bytes();
        for offset in PACKET_SIZES {
            let at = properties.unwrap() + offset;
            header[at..at + 4].copy_from_slice(&size);
        }
        header
    }

    /// The data packet at this place in the stream.
    pub fn packet(&self, place: u32) -> Vec<u8> {
        let send_time = (self.interval * place).as_millis() as u32;
        let data = (self.packet_size - PACKET_HEADER_SIZE) as u32;
        let key_frame = if place.is_multiple_of(self.group) {
            0x80
        } else {
            0
        };
        let mut packet = Vec::with_capacity(self.packet_size);
        packet.extend([0x82, 0, 0, 0x00, 0x5d]);
        packet.extend(send_time.to_le_bytes());
        packet.extend(0u16.to_le_bytes());
        packet.extend([1 | key_frame, place as u8, 0, 0, 0, 0, 8]);
        packet.extend(data.to_le_bytes());
        packet.extend(send_time.to_le_bytes());
        packet.extend(MARK);
        packet.extend((self.first + place).to_le_bytes());
        packet.resize(self.packet_size, 0xaa);
        packet
    }

    /// The whole stream: the header with the first packet, then a packet each.
    pub fn chunks(&self) -> impl Iterator<Item = Vec<u8>> + use<> {
        let stream = self.clone();
        (0..self.packets).map(move |place| match place {
            0 => [stream.header(), stream.packet(0)].concat(),
            _ => stream.packet(place),
        })
    }
}

/// The number in the payload of a `$D`.
pub fn number(payload: &[u8]) -> Option<u32> {
    let data = payload.get(PACKET_HEADER_SIZE..)?;
    let number = data.strip_prefix(&MARK)?.first_chunk()?;
    Some(u32::from_le_bytes(*number))
}
