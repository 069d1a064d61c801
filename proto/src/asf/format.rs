// SPDX-License-Identifier: MPL-2.0

//! The formats of input that is not ASF.

mod advice;
mod signatures;

use std::fmt;

use signatures::detect;

/// A format other than ASF, recognised by the first bytes of the input or named by its caps
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
    /// Another playlist: M3U or PLS
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
    /// Another archive or compression
    Archive,
    /// AC-3 or E-AC-3
    Ac3,
    /// AIFF or AIFF-C
    Aiff,
    /// Sun and NeXT audio, `.au`
    Au,
    /// A picture in this format
    Picture(&'static str),
    /// IVF: VP8, VP9 or AV1 in frames
    Ivf,
    /// RealMedia
    RealMedia,
    /// PDF
    Pdf,
    /// JSON
    Json,
    /// An HTTP response that was saved with its header
    HttpResponse,
    /// ASF without its beginning: a data packet, and no header before it
    AsfMiddle,
    /// ASF after this many other bytes, such as a byte order mark
    AsfBehind(u16),
    /// Raw video, by its caps
    RawVideo,
    /// Raw audio, by its caps
    RawAudio,
    /// Video in this encoding, by its caps
    EncodedVideo(&'static str),
    /// Audio in this encoding, by its caps
    EncodedAudio(&'static str),
    /// An encoded stream that needs only a muxer, by its caps
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
    /// Bytes to examine at the start of a stream, at most
    pub(super) const START: usize = 2048;

    /// Detects the format of a stream that starts with these bytes; `None` for an empty stream.
    ///
    /// Raw video and audio have no signature: they are [`Format::Unknown`].
    pub fn of(start: &[u8]) -> Option<Format> {
        detect(start).or_else(|| FirstBytes::of(start).map(Format::Unknown))
    }

    /// Returns whether the format was not recognised.
    pub fn is_unknown(self) -> bool {
        matches!(self, Format::Unknown(_))
    }

    /// Returns the error message for input in this format.
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

/// `50 4b 03 04 ("PK")`; the letters appear only if there are two at least
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

#[cfg(test)]
mod tests;
