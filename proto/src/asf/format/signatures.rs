// SPDX-License-Identifier: MPL-2.0

//! Detection of a format by the first bytes of its files and streams.

use super::Format;
use crate::asf::MIN_PACKET_SIZE;
use crate::asf::guid::Guid;

/// Returns the format of a stream that starts with these bytes; `None` if none is recognised.
pub(super) fn detect(start: &[u8]) -> Option<Format> {
    container(start)
        .or_else(|| audio_file(start))
        .or_else(|| picture(start))
        .or_else(|| other_file(start))
        .or_else(|| displaced_asf(start))
        .or_else(|| transport_stream(start))
        .or_else(|| byte_stream(start))
        .or_else(|| mpeg_audio(start))
        .or_else(|| text(start))
}

/// Containers with a signature
fn container(start: &[u8]) -> Option<Format> {
    /// Types of the first box of a file: ISO/IEC 14496-12, QuickTime File Format
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

/// Files with audio only
fn audio_file(start: &[u8]) -> Option<Format> {
    Some(match (start.get(..4)?, start.get(8..12)) {
        (b"RIFF" | b"RIFX" | b"RF64", Some(b"WAVE")) => Format::Wav,
        (b"FORM", Some(b"AIFF" | b"AIFC")) => Format::Aiff,
        (b".snd", _) => Format::Au,
        (b"fLaC", _) => Format::Flac,
        ([b'I', b'D', b'3', _], _) => Format::Mp3,
        // ATSC A/52 section 5.3: the sync word, and a sample rate and a version that are not reserved
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

/// Files without media
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

/// ASF with other bytes before it, or without its beginning
fn displaced_asf(start: &[u8]) -> Option<Format> {
    let header = Guid::HEADER.as_bytes();
    let offset = start
        .windows(header.len())
        .position(|bytes| bytes == header);
    if let Some(offset) = offset.filter(|offset| *offset > 0) {
        return u16::try_from(offset).ok().map(Format::AsfBehind);
    }
    let is_middle = start.windows(5).any(is_corrected_packet) || is_sized_packet(start);
    is_middle.then_some(Format::AsfMiddle)
}

/// ASF 5.2 ASF data packet definition: with two bytes of error correction data and the Property Flags that all muxers
/// write, as encoders and FFmpeg write it.
fn is_corrected_packet(bytes: &[u8]) -> bool {
    matches!(bytes, [0x82, 0, 0, flags, PROPERTY] if flags & !0x79 == 0)
}

/// The same without error correction data and with a Packet Length and a Padding Length of two bytes each, as asfmux writes it.
fn is_sized_packet(start: &[u8]) -> bool {
    let [0x50 | 0x51, PROPERTY, l0, l1, p0, p1, ..] = *start else {
        return false;
    };
    let (packet, padding) = (u16::from_le_bytes([l0, l1]), u16::from_le_bytes([p0, p1]));
    usize::from(packet) >= MIN_PACKET_SIZE && padding < packet
}

/// ASF 5.2.2 Payload parsing information: the Property Flags of all muxers
const PROPERTY: u8 = 0x5D;

/// ISO/IEC 13818-1: each packet starts with a sync byte. Packets of 192 bytes have four bytes before it, packets of 204
/// have 16 bytes at their end.
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

/// ISO/IEC 11172-3, 13818-3 and 13818-7: the head of a frame, without a reserved value
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
    /// Bytes to examine at the start of the input, at most
    const MOST: usize = 512;
    /// Bytes that count as text, at least
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
    // The last character examined may be truncated.
    let is_whole = start.len().saturating_sub(text.len()) < 4;
    let is_text = |c: char| !c.is_control() || c.is_ascii_whitespace();
    (text.len() >= FEWEST && is_whole && text.chars().all(is_text)).then_some(Format::Text)
}

fn contains_ignoring_case(bytes: &[u8], word: &[u8]) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}
