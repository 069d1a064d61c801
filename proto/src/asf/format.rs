// SPDX-License-Identifier: MPL-2.0

//! What input that is not ASF may be.

use std::fmt;

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
    /// HTML
    Html,
    /// XML
    Xml,
    /// Any other text
    Text,
    /// Data compressed by gzip
    Gzip,
}

impl Format {
    /// Bytes that it takes to know a format at the start of a stream that is longer
    pub(super) const START: usize = 2048;

    /// The format of a stream that starts with these bytes; `None` for raw video and audio, and whatever is not known.
    pub fn of(start: &[u8]) -> Option<Format> {
        container(start)
            .or_else(|| transport_stream(start))
            .or_else(|| byte_stream(start))
            .or_else(|| mpeg_audio(start))
            .or_else(|| text(start))
    }

    /// What the user can do about it, in a sentence.
    pub fn hint(self) -> &'static str {
        match self {
            Format::Mp4
            | Format::Matroska
            | Format::MpegTs
            | Format::MpegPs
            | Format::Ogg
            | Format::Flv
            | Format::Avi => {
                "Decode it and make ASF of it: … ! decodebin name=d ! videoconvert ! avenc_wmv2 ! identity \
                 single-segment=true ! asfmux name=m ! wmspushsink … d. ! audioconvert ! avenc_wmav2 ! m. Leave out \
                 the branch of what it does not have."
            }
            Format::H264 | Format::H265 => {
                "Decode it and make ASF of it: … ! decodebin ! videoconvert ! avenc_wmv2 ! identity \
                 single-segment=true ! asfmux ! wmspushsink …"
            }
            Format::Wav | Format::Mp3 | Format::Aac | Format::Flac => {
                "Decode it and make ASF of it: … ! decodebin ! audioconvert ! avenc_wmav2 ! asfmux ! wmspushsink …"
            }
            Format::Metafile => {
                "It only names the address of a stream: open it in a text editor and use the address after href or Ref1."
            }
            Format::Html | Format::Xml | Format::Text => {
                "A server may have sent a page or an error message instead of the stream: open the source's address in \
                 a browser."
            }
            Format::Gzip => "Unpack it first, with gunzip.",
        }
    }

    /// What the user can do about a format that is not known.
    pub(super) const UNKNOWN_HINT: &str = "Raw video and audio need an encoder and asfmux in front: … ! videoconvert ! \
         avenc_wmv2 ! identity single-segment=true ! asfmux ! wmspushsink …";
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
            Format::Wav => "WAV",
            Format::Mp3 => "MP3",
            Format::Aac => "AAC",
            Format::Flac => "FLAC",
            Format::H264 => "an H.264 byte stream",
            Format::H265 => "an H.265 byte stream",
            Format::Metafile => "a Windows Media metafile",
            Format::Html => "an HTML page",
            Format::Xml => "XML",
            Format::Text => "text",
            Format::Gzip => "data compressed by gzip",
        })
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
        [b'R', b'I', b'F', b'F' | b'X', ..] | [b'R', b'F', b'6', b'4', ..] => Format::Wav,
        [b'f', b'L', b'a', b'C', ..] => Format::Flac,
        [b'I', b'D', b'3', ..] => Format::Mp3,
        [0x1F, 0x8B, 8, ..] => Format::Gzip,
        [0, 0, 1, 0xBA, ..] => Format::MpegPs,
        _ => return None,
    })
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
    /// What is looked at, in bytes
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
    if begins_with("<!doctype html") || begins_with("<html") {
        return Some(Format::Html);
    }
    if begins_with("<?xml") {
        return Some(match contains_ignoring_case(start, b"<asx") {
            true => Format::Metafile,
            false => Format::Xml,
        });
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
            assert_eq!(Format::of(&stream[..size]), None, "{size}");
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
            ("HTTP/1.1 404 Not Found\r\nServer: x\r\n", Format::Text),
            (
                "Zugriff verweigert: bitte anmelden \u{e4}\u{f6}",
                Format::Text,
            ),
            ("#EXTM3U\nhttp://host/live.ts\n", Format::Text),
        ] {
            assert_eq!(Format::of(start.as_bytes()), Some(format), "{start}");
        }
        let long = format!("{}\u{e4}", "a".repeat(511));
        assert_eq!(Format::of(long.as_bytes()), Some(Format::Text));
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
            assert_eq!(
                Format::of(start),
                None,
                "{:02x?}",
                &start[..6.min(start.len())]
            );
        }
    }

    #[test]
    fn each_format_has_a_name_and_a_way_out() {
        let formats = [Format::Mp4, Format::H264, Format::Mp3];
        for format in formats {
            assert!(format.hint().contains("decodebin"), "{format}");
            assert!(format.hint().contains("asfmux ! wmspushsink") || format == Format::Mp4);
        }
        assert_eq!(Format::Mp4.to_string(), "MP4 or QuickTime");
        assert!(Format::Html.hint().contains("browser"));
    }
}
