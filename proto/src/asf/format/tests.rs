// SPDX-License-Identifier: MPL-2.0

use super::*;
use crate::asf::guid::Guid;

fn of(start: &[u8]) -> Option<Format> {
    Format::of(&[start, &[0x5A; 40]].concat())
}

fn packets(size: usize, sync: usize) -> Vec<u8> {
    let mut packet = vec![0x11; size];
    packet[sync] = 0x47;
    packet.repeat(3)
}

#[test]
fn files_are_recognised_by_their_first_bytes() {
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
fn transport_streams_are_recognised_by_two_packets() {
    for (size, sync) in [(188, 0), (192, 4), (204, 0)] {
        let stream = packets(size, sync);
        assert_eq!(Format::of(&stream), Some(Format::MpegTs), "{size}");
        assert!(Format::of(&stream[..size]).unwrap().is_unknown(), "{size}");
    }
}

#[test]
fn pages_and_metafiles_differ_from_other_text() {
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
fn displaced_asf_is_recognised() {
    let header = Guid::HEADER.as_bytes();
    let behind = |before: &[u8]| Format::of(&[before, header, &[0; 40]].concat());
    assert_eq!(behind(b"\xEF\xBB\xBF"), Some(Format::AsfBehind(3)));
    assert_eq!(behind(&[0; 700]), Some(Format::AsfBehind(700)));
    assert_eq!(
        behind(b"HTTP/1.0 200 OK\r\n\r\n"),
        Some(Format::HttpResponse)
    );
    let recording = include_bytes!("../../../tests/fixtures/audio_ffmpeg_p3200.asf");
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
fn a_packet_of_asfmux_is_recognised_without_its_header() {
    let recording = include_bytes!("../../../tests/fixtures/av_asfmux_p1500_streamable.asf");
    let header = u64::from_le_bytes(recording[16..24].try_into().unwrap()) as usize + 50;
    let packet = &recording[header..header + Format::START];
    assert_eq!(Format::of(packet), Some(Format::AsfMiddle));
    assert_eq!(
        Format::of(&packet[1..]).filter(|found| !found.is_unknown()),
        None
    );
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
fn raw_video_and_audio_are_unknown() {
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
fn each_format_has_a_name_and_a_hint() {
    let formats = [
        Format::Mp4,
        Format::H264,
        Format::Mp3,
        Format::Picture("PNG"),
    ];
    for format in formats {
        assert!(format.hint().contains("decodebin"), "{format}");
        assert!(format.hint().contains("! wmspushbin "), "{format}");
        assert!(format.hint().chars().count() <= 340, "{format}");
    }
    assert_eq!(Format::Mp4.to_string(), "MP4 or QuickTime");
    assert!(Format::Html.hint().contains("browser"));
}
