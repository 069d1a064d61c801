// SPDX-License-Identifier: MPL-2.0

//! File headers and data packets of any size.

/// A stream of asfmux, for its header.
const MODEL: &[u8] = include_bytes!("../../proto/tests/fixtures/av_asfmux_p1500_streamable.asf");
const MODEL_PACKET: usize = 1500;

/// The GUIDs of File Properties Object, Data Object and Padding Object.
const FILE_PROPERTIES: [u8; 16] =
    *b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65";
const DATA: [u8; 16] = *b"\x36\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c";
const PADDING: [u8; 16] = *b"\x74\xd4\x06\x18\xdf\xca\x09\x45\xa4\xba\x9a\xab\xcb\x96\xaa\xe8";

/// An object's GUID and size.
const OBJECT_HEAD: usize = 24;
/// Size of a Data Object without its packets.
const DATA_HEAD: usize = 50;
/// Offset of the smallest packet size in File Properties; the largest follows.
const PACKET_SIZES: usize = 92;

/// Returns a file header for packets of `packet` bytes. Its size is a multiple of that, so buffers of that size contain
/// one packet each, as those of a muxer do.
pub fn header(packet: usize) -> Vec<u8> {
    let mut header = MODEL[..MODEL.len() % MODEL_PACKET].to_vec();
    let properties = find(&header, &FILE_PROPERTIES) + PACKET_SIZES;
    for field in [properties, properties + 4] {
        header[field..field + 4].copy_from_slice(&(packet as u32).to_le_bytes());
    }
    let data = find(&header, &DATA);
    assert_eq!(data + DATA_HEAD, header.len());
    let whole = (header.len() + OBJECT_HEAD).next_multiple_of(packet);
    let padding = whole - header.len();
    let mut object = PADDING.to_vec();
    object.extend((padding as u64).to_le_bytes());
    object.resize(padding, 0);
    header.splice(data..data, object);
    let size = u64::from_le_bytes(*header[16..].first_chunk().expect("a size")) + padding as u64;
    header[16..24].copy_from_slice(&size.to_le_bytes());
    let count = u32::from_le_bytes(*header[24..].first_chunk().expect("a count")) + 1;
    header[24..28].copy_from_slice(&count.to_le_bytes());
    header
}

fn find(bytes: &[u8], guid: &[u8; 16]) -> usize {
    bytes
        .windows(16)
        .position(|window| window == guid)
        .expect("the model has this object")
}

/// Returns a data packet of `size` bytes, with a tenth of padding if `padded`. A key frame begins in it.
pub fn packet(size: usize, number: usize, padded: bool) -> Vec<u8> {
    let padding = if padded { size / 10 } else { 0 };
    let mut packet = vec![0x82, 0, 0, if padded { 0x10 } else { 0 }, 0x5D];
    if padded {
        packet.extend((padding as u16).to_le_bytes());
    }
    packet.extend((number as u32).to_le_bytes());
    packet.extend(1u16.to_le_bytes());
    packet.extend([0x81, number as u8, 0, 0, 0, 0, 8]);
    packet.extend((size as u32).to_le_bytes());
    packet.extend((number as u32).to_le_bytes());
    packet.resize(size - padding, number as u8);
    packet.resize(size, 0);
    packet
}
