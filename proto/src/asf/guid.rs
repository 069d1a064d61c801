// SPDX-License-Identifier: MPL-2.0

use std::fmt;

/// ASF 10 List of ASF GUIDs: the identifier of an object, as its 16 bytes in a file
///
/// `Display` shows the object's name if it is known, else the GUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// ASF 3.1 Header Object
    pub const HEADER: Guid = Guid::new(0x75B22630, 0x668E, 0x11CF, 0xA6D900AA0062CE6C);
    /// ASF 3.2 File Properties Object
    pub const FILE_PROPERTIES: Guid = Guid::new(0x8CABDCA1, 0xA947, 0x11CF, 0x8EE400C00C205365);
    /// ASF 3.3 Stream Properties Object
    pub const STREAM_PROPERTIES: Guid = Guid::new(0xB7DC0791, 0xA9B7, 0x11CF, 0x8EE600C00C205365);
    /// ASF 3.4 Header Extension Object
    pub const HEADER_EXTENSION: Guid = Guid::new(0x5FBF03B5, 0xA92E, 0x11CF, 0x8EE300C00C205365);
    /// ASF 3.5 Codec List Object
    pub const CODEC_LIST: Guid = Guid::new(0x86D15240, 0x311D, 0x11D0, 0xA3A400A0C90348F6);
    /// ASF 3.6 Script Command Object
    pub const SCRIPT_COMMAND: Guid = Guid::new(0x1EFB1A30, 0x0B62, 0x11D0, 0xA39B00A0C90348F6);
    /// ASF 3.7 Marker Object
    pub const MARKER: Guid = Guid::new(0xF487CD01, 0xA951, 0x11CF, 0x8EE600C00C205365);
    /// ASF 3.10 Content Description Object
    pub const CONTENT_DESCRIPTION: Guid = Guid::new(0x75B22633, 0x668E, 0x11CF, 0xA6D900AA0062CE6C);
    /// ASF 3.11 Extended Content Description Object
    pub const EXTENDED_CONTENT_DESCRIPTION: Guid =
        Guid::new(0xD2D0A440, 0xE307, 0x11D2, 0x97F000A0C95EA850);
    /// ASF 3.12 Stream Bitrate Properties Object
    pub const STREAM_BITRATE_PROPERTIES: Guid =
        Guid::new(0x7BF875CE, 0x468D, 0x11D1, 0x8D82006097C9A2B2);
    /// ASF 3.13 Content Branding Object
    pub const CONTENT_BRANDING: Guid = Guid::new(0x2211B3FA, 0xBD23, 0x11D2, 0xB4B700A0C955FC6E);
    /// ASF 3.16 Digital Signature Object
    pub const DIGITAL_SIGNATURE: Guid = Guid::new(0x2211B3FC, 0xBD23, 0x11D2, 0xB4B700A0C955FC6E);
    /// ASF 3.17 Padding Object
    pub const PADDING: Guid = Guid::new(0x1806D474, 0xCADF, 0x4509, 0xA4BA9AABCB96AAE8);
    /// ASF 4.1 Extended Stream Properties Object
    pub const EXTENDED_STREAM_PROPERTIES: Guid =
        Guid::new(0x14E6A5CB, 0xC672, 0x4332, 0x8399A96952065B5A);
    /// ASF 4.7 Metadata Object
    pub const METADATA: Guid = Guid::new(0xC5F8CBEA, 0x5BAF, 0x4877, 0x8467AA8C44FA4CCA);
    /// ASF 4.8 Metadata Library Object
    pub const METADATA_LIBRARY: Guid = Guid::new(0x44231C94, 0x9498, 0x49D1, 0xA1411D134E457054);
    /// ASF 4.9 Index Parameters Object
    pub const INDEX_PARAMETERS: Guid = Guid::new(0xD6E229DF, 0x35DA, 0x11D1, 0x903400A0C90349BE);
    /// The placeholder that encoders leave for an Index Parameters Object
    pub const INDEX_PARAMETERS_PLACEHOLDER: Guid =
        Guid::new(0xD9AADE20, 0x7C17, 0x4F9C, 0xBC288555DD98E2A2);
    /// ASF 5.1 Data Object
    pub const DATA: Guid = Guid::new(0x75B22636, 0x668E, 0x11CF, 0xA6D900AA0062CE6C);
    /// ASF 6.1 Simple Index Object
    pub const SIMPLE_INDEX: Guid = Guid::new(0x33000890, 0xE5B1, 0x11CF, 0x89F400A0C90349CB);
    /// ASF 6.2 Index Object
    pub const INDEX: Guid = Guid::new(0xD6E229D3, 0x35DA, 0x11D1, 0x903400A0C90349BE);
    /// ASF 6.3 Media Object Index Object
    pub const MEDIA_OBJECT_INDEX: Guid = Guid::new(0xFEB103F8, 0x12AD, 0x4C64, 0x840F2A1D2F7AD48C);
    /// ASF 6.4 Timecode Index Object
    pub const TIMECODE_INDEX: Guid = Guid::new(0x3CB73FD0, 0x0C4A, 0x4803, 0x953DEDF7B6228F0C);
    /// ASF 10.4 Stream type of audio
    pub const AUDIO_MEDIA: Guid = Guid::new(0xF8699E40, 0x5B4D, 0x11CF, 0xA8FD00805F5C442B);
    /// ASF 10.4 Stream type of video
    pub const VIDEO_MEDIA: Guid = Guid::new(0xBC19EFC0, 0x5B4D, 0x11CF, 0xA8FD00805F5C442B);

    /// The top-level objects beside a Header Object. No legal data packet starts like one of them.
    pub(crate) const TOP_LEVEL: [Guid; 6] = [
        Guid::HEADER,
        Guid::DATA,
        Guid::SIMPLE_INDEX,
        Guid::INDEX,
        Guid::MEDIA_OBJECT_INDEX,
        Guid::TIMECODE_INDEX,
    ];

    /// Creates a GUID from the groups of its written form; `d` is the last two groups together.
    pub const fn new(a: u32, b: u16, c: u16, d: u64) -> Guid {
        let ([a0, a1, a2, a3], [b0, b1], [c0, c1]) =
            (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
        let [d0, d1, d2, d3, d4, d5, d6, d7] = d.to_be_bytes();
        Guid([
            a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7,
        ])
    }

    /// Creates a GUID from its bytes in a file.
    pub const fn from_bytes(bytes: [u8; 16]) -> Guid {
        Guid(bytes)
    }

    /// Returns the bytes in a file.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Compares with `bytes`, which may be fewer than 16. Returns the offset and value of the first byte that differs.
    pub(crate) fn mismatch(&self, bytes: &[u8]) -> Option<(usize, u8)> {
        let found = bytes
            .iter()
            .zip(&self.0)
            .position(|(found, own)| found != own)?;
        Some((found, *bytes.get(found)?))
    }

    /// Returns the object's name in the ASF specification; `None` if it is not known here.
    pub fn name(&self) -> Option<&'static str> {
        Some(match *self {
            Guid::HEADER => "Header",
            Guid::FILE_PROPERTIES => "File Properties",
            Guid::STREAM_PROPERTIES => "Stream Properties",
            Guid::HEADER_EXTENSION => "Header Extension",
            Guid::CODEC_LIST => "Codec List",
            Guid::SCRIPT_COMMAND => "Script Command",
            Guid::MARKER => "Marker",
            Guid::CONTENT_DESCRIPTION => "Content Description",
            Guid::EXTENDED_CONTENT_DESCRIPTION => "Extended Content Description",
            Guid::STREAM_BITRATE_PROPERTIES => "Stream Bitrate Properties",
            Guid::CONTENT_BRANDING => "Content Branding",
            Guid::DIGITAL_SIGNATURE => "Digital Signature",
            Guid::PADDING => "Padding",
            Guid::EXTENDED_STREAM_PROPERTIES => "Extended Stream Properties",
            Guid::METADATA => "Metadata",
            Guid::METADATA_LIBRARY => "Metadata Library",
            Guid::INDEX_PARAMETERS => "Index Parameters",
            Guid::INDEX_PARAMETERS_PLACEHOLDER => "Index Parameters Placeholder",
            Guid::DATA => "Data",
            Guid::SIMPLE_INDEX => "Simple Index",
            Guid::INDEX => "Index",
            Guid::MEDIA_OBJECT_INDEX => "Media Object Index",
            Guid::TIMECODE_INDEX => "Timecode Index",
            _ => return None,
        })
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            return f.write_str(name);
        }
        let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, rest @ ..] = self.0;
        let (a, b, c) = (
            u32::from_le_bytes([a0, a1, a2, a3]),
            u16::from_le_bytes([b0, b1]),
            u16::from_le_bytes([c0, c1]),
        );
        write!(f, "{a:08X}-{b:04X}-{c:04X}-{d0:02X}{d1:02X}-")?;
        rest.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASF 10: the first three groups are little-endian in a file
    #[test]
    fn the_header_guid_matches_the_start_of_files() {
        let bytes = [
            0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, 0xa6, 0xd9, 0x00, 0xaa, 0x00, 0x62,
            0xce, 0x6c,
        ];
        assert_eq!(Guid::HEADER.as_bytes(), &bytes);
        assert_eq!(Guid::from_bytes(bytes), Guid::HEADER);
    }

    #[test]
    fn an_unknown_guid_is_shown_in_its_written_form() {
        let guid = Guid::new(0x4052D186, 0x311D, 0x11D0, 0xA3A400A0C90348F6);
        assert_eq!(guid.to_string(), "4052D186-311D-11D0-A3A4-00A0C90348F6");
        assert_eq!(Guid::SIMPLE_INDEX.to_string(), "Simple Index");
    }

    #[test]
    fn a_prefix_matches_until_a_byte_differs() {
        assert_eq!(Guid::HEADER.mismatch(&[]), None);
        assert_eq!(Guid::HEADER.mismatch(&[0x30, 0x26]), None);
        assert_eq!(Guid::HEADER.mismatch(&[0x36]), Some((0, 0x36)));
        assert_eq!(
            Guid::HEADER.mismatch(&[0x30, 0x26, 0xb2, 0x74, 0, 0]),
            Some((3, 0x74))
        );
    }

    /// As a data packet each of them is damaged, so that a test for them never takes a packet for an object
    #[test]
    fn no_top_level_guid_starts_a_legal_data_packet() {
        for guid in Guid::TOP_LEVEL {
            let [first, second, ..] = *guid.as_bytes();
            let bad_error_correction = first & 0x80 != 0 && first & 0x60 != 0;
            let property = if first & 0x80 == 0 {
                second
            } else {
                guid.as_bytes()[2 + usize::from(first & 0x0f)]
            };
            assert!(bad_error_correction || property >> 6 != 1, "{guid}");
        }
    }
}
