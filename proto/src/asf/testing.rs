// SPDX-License-Identifier: MPL-2.0

//! Builders of headers for the unit tests of this crate and of its users.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests make these bytes"
)]

use bytes::Bytes;

use super::file_header::{FileHeader, file_properties};
use super::guid::Guid;
use super::object::put;

/// A live stream of asfmux in data packets of 1,500 bytes: the first key frame is in packet 12, the next in packet 21.
pub const AUDIO_VIDEO: &[u8] =
    include_bytes!("../../tests/fixtures/av_asfmux_p1500_streamable.asf");

/// Returns an object with this body.
pub fn object(guid: Guid, body: &[u8]) -> Vec<u8> {
    [
        guid.as_bytes(),
        &(24 + body.len() as u64).to_le_bytes()[..],
        body,
    ]
    .concat()
}

/// Returns a File Properties Object of a stored file: File ID 1 … 1, Seekable, preroll 3000 ms, 64 kbit/s.
pub fn file_properties(packet_size: u32) -> Vec<u8> {
    let mut bytes = object(Guid::FILE_PROPERTIES, &[0; 80]);
    put(&mut bytes, file_properties::FILE_ID, &[1; 16]);
    put(
        &mut bytes,
        file_properties::FILE_SIZE,
        &100_000u64.to_le_bytes(),
    );
    put(
        &mut bytes,
        file_properties::PLAY_DURATION,
        &80_000_000u64.to_le_bytes(),
    );
    put(
        &mut bytes,
        file_properties::SEND_DURATION,
        &50_000_000u64.to_le_bytes(),
    );
    put(&mut bytes, file_properties::PREROLL, &3000u64.to_le_bytes());
    put(&mut bytes, file_properties::FLAGS, &2u32.to_le_bytes());
    put(
        &mut bytes,
        file_properties::MINIMUM_PACKET,
        &packet_size.to_le_bytes(),
    );
    put(
        &mut bytes,
        file_properties::MAXIMUM_PACKET,
        &packet_size.to_le_bytes(),
    );
    put(
        &mut bytes,
        file_properties::MAXIMUM_BITRATE,
        &64_000u32.to_le_bytes(),
    );
    bytes
}

/// Returns a Header Extension with these objects.
pub fn header_extension(objects: &[Vec<u8>]) -> Vec<u8> {
    let data = objects.concat();
    let reserved = *Guid::new(0xABD3D211, 0xA9BA, 0x11CF, 0x8EE600C00C205365).as_bytes();
    let body = [
        &reserved,
        &[6, 0][..],
        &(data.len() as u32).to_le_bytes(),
        &data,
    ]
    .concat();
    object(Guid::HEADER_EXTENSION, &body)
}

/// Returns a Stream Properties Object.
pub fn stream_properties() -> Vec<u8> {
    object(Guid::STREAM_PROPERTIES, &[0x5A; 54])
}

/// Returns a Stream Properties Object with these flags and this type-specific data.
pub fn stream_of(flags: u16, stream_type: Guid, data: &[u8]) -> Vec<u8> {
    let body = [
        stream_type.as_bytes(),
        &[0; 24][..],
        &(data.len() as u32).to_le_bytes(),
        &[0; 4],
        &flags.to_le_bytes(),
        &[0; 4],
        data,
    ];
    object(Guid::STREAM_PROPERTIES, &body.concat())
}

/// Returns an Extended Stream Properties Object with Data Bitrate and Alternate Data Bitrate, a stream name, a payload
/// extension system, and `stream` after them.
pub fn extended_stream_properties(number: u16, bitrates: [u32; 2], stream: &[u8]) -> Vec<u8> {
    let mut body = vec![0; 64];
    put(&mut body, 16, &bitrates[0].to_le_bytes());
    put(&mut body, 28, &bitrates[1].to_le_bytes());
    put(&mut body, 48, &number.to_le_bytes());
    put(&mut body, 60, &[1, 0, 1, 0]);
    let name = [0, 0, 4, 0, b'N', 0, 0, 0];
    let system = [&[9; 16][..], &[2, 0], &[3, 0, 0, 0], &[1, 2, 3]].concat();
    let body = [&body[..], &name, &system, stream].concat();
    object(Guid::EXTENDED_STREAM_PROPERTIES, &body)
}

/// Returns the bytes of a file header with these children, and a Data Object of `data_size` bytes.
pub fn header_bytes(children: &[Vec<u8>], data_size: u64) -> Vec<u8> {
    let body = [
        &(children.len() as u32).to_le_bytes(),
        &[1, 2][..],
        &children.concat(),
    ]
    .concat();
    let mut bytes = object(Guid::HEADER, &body);
    bytes.extend_from_slice(Guid::DATA.as_bytes());
    bytes.extend_from_slice(&data_size.to_le_bytes());
    bytes.extend_from_slice(&[1; 16]);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&[1, 1]);
    bytes
}

/// Returns a file header with its required objects, then `more`.
pub fn header(packet_size: u32, data_size: u64, more: &[Vec<u8>]) -> FileHeader {
    let children = [&[file_properties(packet_size), stream_properties()], more].concat();
    FileHeader::parse(Bytes::from(header_bytes(&children, data_size))).unwrap()
}

/// Returns the GUIDs of the Header Object's children, and of those in its Header Extension.
pub fn guids(header: &FileHeader) -> (Vec<Guid>, Vec<Guid>) {
    use super::object::walk;
    let children: Vec<_> = walk(header.as_bytes().slice(30..header.header_object_size()), 30)
        .map(Result::unwrap)
        .collect();
    let extension = children
        .iter()
        .find(|child| child.guid == Guid::HEADER_EXTENSION);
    let inner = extension.map(|extension| {
        let data_size = u32::from_le_bytes(extension.bytes[42..46].try_into().unwrap());
        assert_eq!(data_size as usize, extension.bytes.len() - 46);
        walk(extension.bytes.slice(46..), 0)
            .map(|object| object.unwrap().guid)
            .collect()
    });
    (
        children.iter().map(|child| child.guid).collect(),
        inner.unwrap_or_default(),
    )
}
