// SPDX-License-Identifier: MPL-2.0

//! The little of an ASF file that the demo has to know: where its data packets are and how many there are.
//!
//! This is a reader of its own on purpose: what the demo proves about the plugin must not rest on the plugin's reader.

use crate::run::Result;

/// ASF 10.1: the Header Object's GUID, as it stands in a file.
const HEADER_OBJECT: [u8; 16] = [
    0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C,
];

/// ASF 10.1: the Data Object's GUID.
const DATA_OBJECT: [u8; 16] = [
    0x36, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C,
];

/// ASF 10.2: the File Properties Object's GUID.
const FILE_PROPERTIES_OBJECT: [u8; 16] = [
    0xA1, 0xDC, 0xAB, 0x8C, 0x47, 0xA9, 0xCF, 0x11, 0x8E, 0xE4, 0x00, 0xC0, 0x0C, 0x20, 0x53, 0x65,
];

/// Size of the Header Object before its first child, in bytes (ASF 3.1).
const HEADER_START: usize = 30;

/// Size of the Data Object before its first packet, in bytes (ASF 5.1); a live stream gives it as the object's size.
const DATA_START: usize = 50;

/// Offset of Maximum Data Packet Size in the File Properties Object (ASF 3.2).
const MAXIMUM_PACKET_SIZE: usize = 96;

/// What the demo compares.
#[derive(Debug, PartialEq)]
pub struct Summary {
    /// Size of every data packet, in bytes.
    pub packet_size: u64,
    /// Number of whole data packets.
    pub packets: u64,
}

/// Reads the summary of an ASF file. What does not make a whole packet at the end is left out.
pub fn summary(file: &[u8]) -> Result<Summary> {
    if guid(file) != Some(&HEADER_OBJECT) {
        return Err("it does not begin with an ASF Header Object".to_owned());
    }
    let header = object_size(file)
        .and_then(|size| file.get(..size))
        .ok_or("its Header Object is cut off")?;
    let packet_size = packet_size(header).ok_or("its Header Object tells no packet size")?;
    let data = &file[header.len()..];
    if guid(data) != Some(&DATA_OBJECT) || data.len() < DATA_START {
        return Err("its Header Object is not followed by a Data Object".to_owned());
    }
    // A larger size than that of an empty object is the real one, and an index may follow.
    let end = object_size(data)
        .filter(|&size| size > DATA_START)
        .map_or(data.len(), |size| size.min(data.len()));
    Ok(Summary {
        packet_size,
        packets: (end - DATA_START) as u64 / packet_size,
    })
}

/// Maximum Data Packet Size of the File Properties Object, unless it is missing or 0.
fn packet_size(header: &[u8]) -> Option<u64> {
    let mut rest = header.get(HEADER_START..)?;
    loop {
        let size = object_size(rest)?;
        if guid(rest) == Some(&FILE_PROPERTIES_OBJECT) {
            let field = rest.get(MAXIMUM_PACKET_SIZE..)?.first_chunk()?;
            return Some(u64::from(u32::from_le_bytes(*field))).filter(|&size| size > 0);
        }
        rest = rest.get(size..)?;
    }
}

/// The GUID that an object begins with.
fn guid(object: &[u8]) -> Option<&[u8; 16]> {
    object.first_chunk()
}

/// The size of an object, unless it is smaller than what every object has.
fn object_size(object: &[u8]) -> Option<usize> {
    let field = object.get(16..)?.first_chunk()?;
    usize::try_from(u64::from_le_bytes(*field))
        .ok()
        .filter(|&size| size >= 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one foreign object and a File Properties Object, packets of 100 bytes, and `data_size` in the Data
    /// Object.
    fn file(data_size: u64, after_data_header: usize) -> Vec<u8> {
        let foreign = [&[7; 16][..], &30u64.to_le_bytes(), &[0; 6]].concat();
        let properties = [
            &FILE_PROPERTIES_OBJECT[..],
            &104u64.to_le_bytes(),
            &[0; 68],
            &100u32.to_le_bytes(),
            &100u32.to_le_bytes(),
            &[0; 4],
        ]
        .concat();
        let size = (HEADER_START + foreign.len() + properties.len()) as u64;
        let data = [&DATA_OBJECT[..], &data_size.to_le_bytes(), &[0; 26]].concat();
        [
            &HEADER_OBJECT[..],
            &size.to_le_bytes(),
            &[2, 0, 0, 0, 1, 2],
            &foreign,
            &properties,
            &data,
            &vec![0; after_data_header],
        ]
        .concat()
    }

    /// The number of packets, in a file of packets of 100 bytes.
    fn packets(file: &[u8]) -> u64 {
        let summary = summary(file);
        assert!(
            matches!(&summary, Ok(summary) if summary.packet_size == 100),
            "{summary:?}"
        );
        summary.map_or(0, |summary| summary.packets)
    }

    #[test]
    fn a_live_data_object_goes_to_the_end_of_the_file() {
        assert_eq!(packets(&file(50, 700)), 7);
        assert_eq!(packets(&file(0, 700)), 7);
        assert_eq!(packets(&file(50, 0)), 0);
    }

    #[test]
    fn a_packet_that_is_cut_off_does_not_count() {
        assert_eq!(packets(&file(50, 799)), 7);
        assert_eq!(packets(&file(50 + 900, 700)), 7);
    }

    #[test]
    fn an_index_after_the_data_does_not_count() {
        assert_eq!(packets(&file(50 + 300, 700)), 3);
    }

    #[test]
    fn every_cut_of_a_header_is_an_error() {
        let whole = file(50, 0);
        for length in 0..whole.len() {
            assert!(summary(&whole[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn an_object_without_a_size_does_not_hang_the_reader() {
        let mut damaged = file(50, 0);
        damaged[HEADER_START + 16..HEADER_START + 24].fill(0);
        assert!(summary(&damaged).is_err());
    }
}
