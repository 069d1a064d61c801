// SPDX-License-Identifier: MPL-2.0

//! What input that is not ASF may be.

use std::fmt;

use super::guid::Guid;

/// A format that is not ASF, told by the bytes that its files and streams start with
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// ISO base media file format (MP4, 3GP) or QuickTime
    Mp4,
    /// Matroska or WebM
    Matroska,
    /// MPEG transport stream, in packets of 188, 192 or 204 bytes
    MpegTs,
    /// MPEG program stream
    MpegPs,
    /// Ogg
    Ogg,
    /// Flash Video
    Flv,
    /// AVI: RIFF with audio and video
    Avi,
    /// WAV: RIFF with audio
    Wav,
    /// MPEG audio: MP3 and its older layers
    Mp3,
    /// AAC in ADTS
    Aac,
    /// FLAC
    Flac,
    /// H.264 as a byte stream, ITU-T H.264 Annex B
    H264,
    /// H.265 as a byte stream, ITU-T H.265 Annex B
    H265,
    /// Windows Media metafile: a playlist (`.asx`, `.wax`, `.wvx`), or `[Reference]` with addresses
    Metafile,
    /// A playlist of other players: M3U or PLS
    Playlist,
    /// HTML
    Html,
    /// XML
    Xml,
    /// Any other text
    Text,
    /// Data compressed by gzip
    Gzip,
    /// ZIP, and Office documents, which are ZIP
    Zip,
    /// Another archive, or data compressed otherwise
    Archive,
    /// AC-3 or E-AC-3
    Ac3,
    /// AIFF or AIFF-C
    Aiff,
    /// Sun and NeXT audio, `.au`
    Au,
    /// A picture, with its format
    Picture(&'static str),
    /// IVF: VP8, VP9 or AV1 in frames
    Ivf,
    /// RealMedia
    RealMedia,
    /// PDF
    Pdf,
    /// JSON
    Json,
    /// An HTTP response with its header, as a client has saved it
    HttpResponse,
    /// ASF from its middle: a data packet, and no header before
    AsfMiddle,
    /// ASF behind this many bytes that are none, such as a byte order mark
    AsfBehind(u16),
    /// Raw video, by its caps
    RawVideo,
    /// Raw audio, by its caps
    RawAudio,
    /// Video in this encoding, by its caps
    EncodedVideo(&'static str),
    /// Audio in this encoding, by its caps
    EncodedAudio(&'static str),
    /// An encoded stream that needs a muxer only, by its caps
    Unmuxed(&'static str),
    /// Another container, by its caps
    Container(&'static str),
    /// None of these
    Unknown(FirstBytes),
}

/// The first bytes of a stream, at most four
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstBytes {
    bytes: [u8; 4],
    len: u8,
}

impl Format {
    /// Bytes that it takes to know a format at the start of a stream that is longer
    pub(super) const START: usize = 2048;

    /// The format of a stream that starts with these bytes; `None` for no bytes at all.
    ///
    /// Raw video and audio cannot be told: they are [`Format::Unknown`].
    pub fn of(start: &[u8]) -> Option<Format> {
        container(start)
            .or_else(|| audio_file(start))
            .or_else(|| picture(start))
            .or_else(|| other_file(start))
            .or_else(|| displaced_asf(start))
            .or_else(|| transport_stream(start))
            .or_else(|| byte_stream(start))
            .or_else(|| mpeg_audio(start))
            .or_else(|| text(start))
            .or_else(|| FirstBytes::of(start).map(Format::Unknown))
    }

    /// Returns whether it is nothing that has a name.
    pub fn is_unknown(self) -> bool {
        matches!(self, Format::Unknown(_))
    }

    /// The user's next step, in a sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Format::Mp4
            | Format::Matroska
            | Format::MpegTs
            | Format::MpegPs
            | Format::Ogg
            | Format::Flv
            | Format::Avi
            | Format::RealMedia
            | Format::Container(_) => {
                "Decode it and make ASF of it: … ! decodebin name=d ! videoconvert ! videoscale ! \
                 'video/x-raw,width=[2,8192,2]' ! avenc_wmv2 ! identity single-segment=true ! asfmux name=m ! wmspushsink … d. ! \
                 audioconvert ! audioresample ! audio/x-raw,rate=44100 ! avenc_wmav2 ! m. Leave out the branch of what it \
                 does not have."
            }
            Format::RawVideo => {
                "Encode it and make ASF of it: … ! videoconvert ! videoscale ! 'video/x-raw,width=[2,8192,2]' ! \
                 avenc_wmv2 ! identity single-segment=true ! asfmux ! wmspushsink …"
            }
            Format::RawAudio => {
                "Encode it and make ASF of it: … ! audioconvert ! audioresample ! audio/x-raw,rate=44100 ! avenc_wmav2 ! \
                 asfmux ! wmspushsink …"
            }
            Format::Unmuxed(_) => {
                "Put a muxer behind the encoder: … ! identity single-segment=true ! asfmux ! wmspushsink …"
            }
            Format::H264 | Format::H265 | Format::Ivf | Format::EncodedVideo(_) => {
                "Decode it and make ASF of it: … ! decodebin ! videoconvert ! videoscale ! \
                 'video/x-raw,width=[2,8192,2]' ! avenc_wmv2 ! identity single-segment=true ! asfmux ! wmspushsink …"
            }
            Format::Wav
            | Format::Mp3
            | Format::Aac
            | Format::Flac
            | Format::Ac3
            | Format::Aiff
            | Format::Au
            | Format::EncodedAudio(_) => {
                "Decode it and make ASF of it: … ! decodebin ! audioconvert ! audioresample ! audio/x-raw,rate=44100 ! \
                 avenc_wmav2 ! asfmux ! wmspushsink …"
            }
            Format::Picture(_) => {
                "Repeat the picture, and make ASF of it: … ! decodebin ! imagefreeze ! videoconvert ! videoscale ! \
                 'video/x-raw,width=[2,8192,2]' ! avenc_wmv2 ! identity single-segment=true ! asfmux ! wmspushsink …"
            }
            Format::Metafile => {
                "It only names the address of a stream: open it in a text editor and use the address after href or Ref1."
            }
            Format::Playlist => {
                "It only names addresses: open it in a text editor, and use an address in it."
            }
            Format::Html | Format::Xml | Format::Json | Format::Text => {
                "A server may have sent a page or an error message instead of the stream: open the source's address in \
                 a browser."
            }
            Format::HttpResponse => {
                "Leave out its header, up to the first empty line: save the body alone, as curl -o does, or use \
                 souphttpsrc."
            }
            Format::Gzip => "Unpack it first, with gunzip.",
            Format::Zip | Format::Archive => "Unpack it first, and push the file that is in it.",
            Format::Pdf => {
                "This is another file than was meant: check the file or the address that the source reads."
            }
            Format::AsfMiddle => {
                "Begin at the first byte of the file or stream: players need its header. A source that joins a running stream \
                 gets the header from asfmux with streamable=true, in the caps."
            }
            Format::AsfBehind(_) => {
                "Remove these bytes: `tail -c +N` writes a file from its byte N on, counted from 1."
            }
            Format::Unknown(_) => {
                "If this is a media file, make ASF of it: … ! decodebin ! videoconvert ! videoscale ! \
                 'video/x-raw,width=[2,8192,2]' ! avenc_wmv2 ! identity single-segment=true ! asfmux ! wmspushsink … Raw video \
                 needs the part behind decodebin. Otherwise check what the source reads."
            }
        }
    }

    /// The name of the input, as a clause.
    pub(super) fn verdict(self) -> String {
        match self {
            Format::AsfMiddle => "input is ASF from its middle, without its file header".to_owned(),
            Format::AsfBehind(bytes) => {
                format!("input has {bytes} other bytes in front of its ASF file header")
            }
            Format::Unknown(start) => format!("input is not ASF: it begins with {start}"),
            format => format!("input is {format}, not ASF"),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Mp4 => "MP4 or QuickTime",
            Format::Matroska => "Matroska or WebM",
            Format::MpegTs => "an MPEG transport stream",
            Format::MpegPs => "an MPEG program stream",
            Format::Ogg => "Ogg",
            Format::Flv => "Flash Video",
            Format::Avi => "AVI",
            Format::RealMedia => "RealMedia",
            Format::RawVideo => "raw video",
            Format::RawAudio => "raw audio",
            Format::EncodedVideo(name)
            | Format::EncodedAudio(name)
            | Format::Unmuxed(name)
            | Format::Container(name) => name,
            Format::Wav => "WAV",
            Format::Mp3 => "MP3",
            Format::Aac => "AAC",
            Format::Flac => "FLAC",
            Format::Ac3 => "AC-3",
            Format::Aiff => "AIFF",
            Format::Au => "AU",
            Format::Picture(name) => return write!(f, "a {name} picture"),
            Format::H264 => "an H.264 byte stream",
            Format::H265 => "an H.265 byte stream",
            Format::Ivf => "IVF",
            Format::Metafile => "a Windows Media metafile",
            Format::Playlist => "a playlist",
            Format::Html => "an HTML page",
            Format::Xml => "XML",
            Format::Json => "JSON",
            Format::Text => "text",
            Format::HttpResponse => "an HTTP response with its header",
            Format::Gzip => "data compressed by gzip",
            Format::Zip => "a ZIP archive or an Office document",
            Format::Archive => "an archive",
            Format::Pdf => "PDF",
            Format::AsfMiddle => "ASF without its file header",
            Format::AsfBehind(_) => "ASF behind other bytes",
            Format::Unknown(start) => return write!(f, "data that begins with {start}"),
        })
    }
}

impl FirstBytes {
    fn of(start: &[u8]) -> Option<Self> {
        let mut bytes = [0; 4];
        let places = bytes.iter_mut().zip(start);
        let len = places.map(|(place, byte)| *place = *byte).count();
        let len = u8::try_from(len).ok()?;
        (len > 0).then_some(Self { bytes, len })
    }
}

/// `50 4b 03 04 ("PK")`: the letters only where there are two at least
impl fmt::Display for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.get(..self.len.into()).unwrap_or_default();
        for (place, byte) in bytes.iter().enumerate() {
            let space = if place > 0 { " " } else { "" };
            write!(f, "{space}{byte:02x}")?;
        }
        let letters = bytes.iter().take_while(|byte| byte.is_ascii_graphic());
        let letters: String = letters.map(|byte| char::from(*byte)).collect();
        match letters.len() {
            0 | 1 => Ok(()),
            _ => write!(f, " (\"{letters}\")"),
        }
    }
}

/// Formats with a signature
fn container(start: &[u8]) -> Option<Format> {
    /// Types of the boxes that a file may start with: ISO/IEC 14496-12, QuickTime File Format
    const BOXES: [&[u8]; 10] = [
        b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"sidx",
    ];
    if start.get(4..8).is_some_and(|kind| BOXES.contains(&kind)) {
        return Some(Format::Mp4);
    }
    Some(match start {
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Format::Matroska,
        [b'O', b'g', b'g', b'S', ..] => Format::Ogg,
        [b'F', b'L', b'V', 1, ..] => Format::Flv,
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'A',
            b'V',
            b'I',
            b' ',
            ..,
        ] => Format::Avi,
        [b'.', b'R', b'M', b'F', ..] => Format::RealMedia,
        [b'D', b'K', b'I', b'F', ..] => Format::Ivf,
        [0, 0, 1, 0xBA, ..] => Format::MpegPs,
        _ => return None,
    })
}

/// Files of audio alone
fn audio_file(start: &[u8]) -> Option<Format> {
    Some(match (start.get(..4)?, start.get(8..12)) {
        (b"RIFF" | b"RIFX" | b"RF64", Some(b"WAVE")) => Format::Wav,
        (b"FORM", Some(b"AIFF" | b"AIFC")) => Format::Aiff,
        (b".snd", _) => Format::Au,
        (b"fLaC", _) => Format::Flac,
        ([b'I', b'D', b'3', _], _) => Format::Mp3,
        // ATSC A/52 section 5.3: the sync word, a sample rate that exists, and a version that exists
        ([0x0B, 0x77, ..], _) if matches!(start, [_, _, _, _, 0..0xC0, 0..0x88, ..]) => Format::Ac3,
        _ => return None,
    })
}

/// Pictures with a signature
fn picture(start: &[u8]) -> Option<Format> {
    Some(Format::Picture(match start {
        [0x89, b'P', b'N', b'G', ..] => "PNG",
        [0xFF, 0xD8, 0xFF, ..] => "JPEG",
        [b'G', b'I', b'F', b'8', ..] => "GIF",
        [b'R', b'I', b'F', b'F', rest @ ..] if rest.get(4..8) == Some(b"WEBP") => "WebP",
        // The reserved fields and the size of the second header
        [b'B', b'M', rest @ ..] if rest.get(4..8) == Some(&[0; 4]) && rest.get(12) == Some(&40) => {
            "BMP"
        }
        _ => return None,
    }))
}

/// Files that are no media
fn other_file(start: &[u8]) -> Option<Format> {
    Some(match start {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Format::Zip,
        [0x1F, 0x8B, 8, ..] => Format::Gzip,
        // 7z, RAR, xz, bzip2, zstd
        [b'7', b'z', 0xBC, 0xAF, ..]
        | [b'R', b'a', b'r', b'!', ..]
        | [0xFD, b'7', b'z', b'X', ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', ..]
        | [0x28, 0xB5, 0x2F, 0xFD, ..] => Format::Archive,
        [b'%', b'P', b'D', b'F', ..] => Format::Pdf,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', ..] => Format::HttpResponse,
        _ => return None,
    })
}

/// ASF that does not begin at the first byte, or whose beginning is missing
fn displaced_asf(start: &[u8]) -> Option<Format> {
    let header = Guid::HEADER.as_bytes();
    let offset = start
        .windows(header.len())
        .position(|bytes| bytes == header);
    if let Some(offset) = offset.filter(|offset| *offset > 0) {
        return u16::try_from(offset).ok().map(Format::AsfBehind);
    }
    // Section 5.2: two bytes of error correction data, and the flags that all muxers write
    let is_packet = |bytes: &[u8]| match bytes {
        [0x82, 0, 0, flags, 0x5D] => flags & !0x79 == 0,
        _ => false,
    };
    start.windows(5).any(is_packet).then_some(Format::AsfMiddle)
}

/// ISO/IEC 13818-1: each packet starts with a sync byte. In front of it are four bytes in packets of 192, behind it 16
/// more in those of 204.
fn transport_stream(start: &[u8]) -> Option<Format> {
    const SYNC: u8 = 0x47;
    let is_sync = |&at: &usize| start.get(at) == Some(&SYNC);
    let packets = [[0, 188], [4, 4 + 192], [0, 204]];
    let found = packets.iter().any(|offsets| offsets.iter().all(is_sync));
    found.then_some(Format::MpegTs)
}

/// Annex B: a start code, then the head of the first NAL unit: parameters, a delimiter, or supplemental information
fn byte_stream(start: &[u8]) -> Option<Format> {
    let ([0, 0, 1, unit @ ..] | [0, 0, 0, 1, unit @ ..]) = start else {
        return None;
    };
    match *unit {
        // VPS, SPS, PPS, delimiter, SEI of layer 0 and temporal layer 0
        [0x40 | 0x42 | 0x44 | 0x46 | 0x4E, 0x01, ..] => Some(Format::H265),
        [head, ..] if head & 0x80 == 0 && matches!(head & 0x1F, 1 | 5..=9) => Some(Format::H264),
        _ => None,
    }
}

/// ISO/IEC 11172-3, 13818-3 and 13818-7: the head of a frame, with no reserved value in it
fn mpeg_audio(start: &[u8]) -> Option<Format> {
    let [0xFF, second, third, ..] = *start else {
        return None;
    };
    let (version, layer) = (second >> 3 & 3, second >> 1 & 3);
    let (bitrate, rate) = (third >> 4, third >> 2 & 3);
    let adts_rate = third >> 2 & 0x0F;
    match layer {
        _ if second & 0xE0 != 0xE0 => None,
        0 if second & 0xF0 == 0xF0 && adts_rate < 13 => Some(Format::Aac),
        0 => None,
        _ if version == 1 || matches!(bitrate, 0 | 15) || rate == 3 => None,
        _ => Some(Format::Mp3),
    }
}

/// Text in ASCII or UTF-8
fn text(start: &[u8]) -> Option<Format> {
    /// Bytes at the start of the input that tell the format
    const MOST: usize = 512;
    /// The fewest bytes that make a text
    const FEWEST: usize = 16;
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    let start = start.get(..MOST).unwrap_or(start).trim_ascii_start();
    let begins_with = |word: &str| {
        let found = start.get(..word.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    };
    if begins_with("[Reference]") || begins_with("<asx") {
        return Some(Format::Metafile);
    }
    if begins_with("#EXTM3U") || begins_with("[playlist]") {
        return Some(Format::Playlist);
    }
    if begins_with("<!doctype html") || begins_with("<html") {
        return Some(Format::Html);
    }
    if begins_with("<?xml") {
        return Some(match contains_ignoring_case(start, b"<asx") {
            true => Format::Metafile,
            false => Format::Xml,
        });
    }
    if matches!(start, [b'{' | b'[', rest @ ..] if matches!(rest.trim_ascii_start(), [b'"' | b'{', ..]))
    {
        return Some(Format::Json);
    }
    let text = start.utf8_chunks().next()?.valid();
    // A character may be cut off at the end of what is looked at.
    let is_whole = start.len().saturating_sub(text.len()) < 4;
    let is_text = |c: char| !c.is_control() || c.is_ascii_whitespace();
    (text.len() >= FEWEST && is_whole && text.chars().all(is_text)).then_some(Format::Text)
}

fn contains_ignoring_case(bytes: &[u8], word: &[u8]) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(start: &[u8]) -> Option<Format> {
        Format::of(&[start, &[0x5A; 40]].concat())
    }

    fn packets(size: usize, sync: usize) -> Vec<u8> {
        let mut packet = vec![0x11; size];
        packet[sync] = 0x47;
        packet.repeat(3)
    }

    #[test]
    fn files_are_told_by_their_first_bytes() {
        for (start, format) in [
            (&b"\0\0\0\x20ftypisom"[..], Format::Mp4),
            (b"\0\0\0\x08wide\0\0\0\0mdat", Format::Mp4),
            (b"\x1A\x45\xDF\xA3\x9F\x42\x86", Format::Matroska),
            (b"OggS\0\x02", Format::Ogg),
            (b"FLV\x01\x05\0\0\0\x09", Format::Flv),
            (b"RIFF\x6C\x8D\0\0AVI LIST", Format::Avi),
            (b"RIFF\xCE\x58\x01\0WAVEfmt ", Format::Wav),
            (b"RF64\xFF\xFF\xFF\xFFWAVEds64", Format::Wav),
            (b"fLaC\0\0\0\x22", Format::Flac),
            (b"ID3\x04\0\0\0\0", Format::Mp3),
            (b"\xFF\xFB\x90\x64", Format::Mp3),
            (b"\xFF\xF3\x40\xC4", Format::Mp3),
            (b"\xFF\xF1\x50\x40", Format::Aac),
            (b"\x1F\x8B\x08\x08", Format::Gzip),
            (b"PK\x03\x04\x14\0", Format::Zip),
            (b"PK\x05\x06\0\0", Format::Zip),
            (b"7z\xBC\xAF\x27\x1C", Format::Archive),
            (b"Rar!\x1A\x07", Format::Archive),
            (b"\xFD7zXZ\0", Format::Archive),
            (b"BZh91AY", Format::Archive),
            (b"\x28\xB5\x2F\xFD", Format::Archive),
            (b"\x0B\x77\x7C\xFC\x4C\x40", Format::Ac3),
            (b"FORM\0\x05\x68\x2EAIFF", Format::Aiff),
            (b"FORM\0\x05\x68\x2EAIFC", Format::Aiff),
            (b".snd\0\0\0\x20", Format::Au),
            (b"\x89PNG\r\n\x1A\n", Format::Picture("PNG")),
            (b"\xFF\xD8\xFF\xE0\0\x10JFIF", Format::Picture("JPEG")),
            (b"GIF89a", Format::Picture("GIF")),
            (b"RIFF\x6C\x8D\0\0WEBPVP8 ", Format::Picture("WebP")),
            (
                b"BM\x36\x10\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
                Format::Picture("BMP"),
            ),
            (b"DKIF\0\0\x20\0VP80", Format::Ivf),
            (b".RMF\0\0\0\x12", Format::RealMedia),
            (b"%PDF-1.4\n", Format::Pdf),
            (
                b"HTTP/1.1 200 OK\r\nContent-Type: video/x-ms-asf\r\n\r\n",
                Format::HttpResponse,
            ),
            (b"\0\0\x01\xBA\x21", Format::MpegPs),
            (b"\0\0\0\x01\x67\xF4\0\x0A", Format::H264),
            (b"\0\0\x01\x09\xF0\0\0\0\x01\x67", Format::H264),
            (b"\0\0\0\x01\x06\x05\xFF", Format::H264),
            (b"\0\0\0\x01\x40\x01\x0C\x01", Format::H265),
            (b"\0\0\0\x01\x46\x01\x50", Format::H265),
        ] {
            assert_eq!(of(start), Some(format), "{start:02x?}");
        }
    }

    /// ISO/IEC 13818-1; packets of 192 bytes are those of Blu-ray discs and AVCHD
    #[test]
    fn transport_streams_are_told_by_two_packets() {
        for (size, sync) in [(188, 0), (192, 4), (204, 0)] {
            let stream = packets(size, sync);
            assert_eq!(Format::of(&stream), Some(Format::MpegTs), "{size}");
            assert!(Format::of(&stream[..size]).unwrap().is_unknown(), "{size}");
        }
    }

    #[test]
    fn pages_and_metafiles_are_told_from_other_text() {
        for (start, format) in [
            ("<!DOCTYPE html>\n<html><head>", Format::Html),
            ("\n <HTML>\n<body>", Format::Html),
            ("\u{feff}<?xml version=\"1.0\"?>\n<rss>", Format::Xml),
            (
                "<?xml version=\"1.0\"?>\n<ASX version=\"3.0\">",
                Format::Metafile,
            ),
            ("<asx version=\"3.0\"><entry>", Format::Metafile),
            (
                "[Reference]\r\nRef1=http://host/live?MSWMExt=.asf",
                Format::Metafile,
            ),
            ("{\"a\":1}", Format::Json),
            ("[ {\"name\": null}]", Format::Json),
            ("[playlist]\nNumberOfEntries=1", Format::Playlist),
            (
                "Zugriff verweigert: bitte anmelden \u{e4}\u{f6}",
                Format::Text,
            ),
            ("#EXTM3U\nhttp://host/live.ts\n", Format::Playlist),
        ] {
            assert_eq!(Format::of(start.as_bytes()), Some(format), "{start}");
        }
        let long = format!("{}\u{e4}", "a".repeat(511));
        assert_eq!(Format::of(long.as_bytes()), Some(Format::Text));
    }

    #[test]
    fn displaced_asf_is_told() {
        let header = Guid::HEADER.as_bytes();
        let behind = |before: &[u8]| Format::of(&[before, header, &[0; 40]].concat());
        assert_eq!(behind(b"\xEF\xBB\xBF"), Some(Format::AsfBehind(3)));
        assert_eq!(behind(&[0; 700]), Some(Format::AsfBehind(700)));
        assert_eq!(
            behind(b"HTTP/1.0 200 OK\r\n\r\n"),
            Some(Format::HttpResponse)
        );
        let recording = include_bytes!("../../tests/fixtures/audio_ffmpeg_p3200.asf");
        for start in [2000, 4000, 6000] {
            let middle = recording.get(start..start + Format::START).unwrap();
            let found = Format::of(middle);
            let may_be = [Some(Format::AsfMiddle), None];
            let found = found.filter(|format| !format.is_unknown());
            assert!(may_be.contains(&found), "{found:?}");
        }
        let packet = recording.len() % 3200;
        let middle = recording.get(packet..packet + Format::START).unwrap();
        assert_eq!(Format::of(middle), Some(Format::AsfMiddle));
    }

    #[test]
    fn unknown_data_is_shown_by_its_first_bytes() {
        for (start, text) in [
            (&b"ZQ\x03\x04\x05"[..], "5a 51 03 04 (\"ZQ\")"),
            (b"\0\0\0\0\0", "00 00 00 00"),
            (b"AbCd\0", "41 62 43 64 (\"AbCd\")"),
            (b"Z\0", "5a 00"),
        ] {
            let format = Format::of(start).unwrap();
            assert!(format.is_unknown(), "{format}");
            assert_eq!(
                format.verdict(),
                format!("input is not ASF: it begins with {text}")
            );
        }
        assert_eq!(Format::of(b""), None);
    }

    #[test]
    fn raw_video_and_audio_cannot_be_told() {
        for start in [
            &[0; 2048][..],
            &[0xFF; 2048],
            &[0x10, 0x80, 0x10, 0x80, 0x10, 0x80],
            &[0xFB, 0xFF, 0x03, 0x00, 0xFE, 0xFF],
            &[0xFF, 0xFE, 0xFF, 0xFE],
            &[0, 0, 1, 0, 0, 0],
            b"short",
            b"",
        ] {
            let known = Format::of(start).filter(|format| !format.is_unknown());
            assert_eq!(known, None, "{:02x?}", &start[..6.min(start.len())]);
        }
    }

    #[test]
    fn each_format_has_a_name_and_a_way_out() {
        let formats = [
            Format::Mp4,
            Format::H264,
            Format::Mp3,
            Format::Picture("PNG"),
        ];
        for format in formats {
            assert!(format.hint().contains("decodebin"), "{format}");
            assert!(format.hint().contains("asfmux ! wmspushsink") || format == Format::Mp4);
            assert!(format.hint().chars().count() <= 340, "{format}");
        }
        assert_eq!(Format::Mp4.to_string(), "MP4 or QuickTime");
        assert!(Format::Html.hint().contains("browser"));
    }
}
