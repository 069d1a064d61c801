// SPDX-License-Identifier: MPL-2.0

//! The user's next step for each format.

use super::Format;

const DECODE_BOTH: &str = "Decode it, and use wmspushbin, which makes ASF: … ! decodebin name=d d. ! wmspushbin name=p \
    location=… d. ! p. Leave out the last branch if there are only pictures or only sound.";

const ENCODE: &str =
    "Use wmspushbin instead, which encodes it and makes ASF: … ! wmspushbin location=…";

const DECODE_ONE: &str =
    "Decode it, and use wmspushbin, which makes ASF: … ! decodebin ! wmspushbin location=…";

const REPEAT_PICTURE: &str = "Repeat the picture, and use wmspushbin, which makes ASF: … ! decodebin ! imagefreeze ! \
    wmspushbin location=…";

const OPEN_IN_BROWSER: &str = "A server may have sent a page or an error message instead of the stream: open the source's address in \
    a browser.";

const SAVE_BODY: &str = "Leave out its header, up to the first empty line: save the body alone, as curl -o does, or use \
    souphttpsrc.";

const BEGIN_AT_HEADER: &str = "Begin at the first byte of the file or stream: players need its header. A source that joins a running stream \
    gets the header from asfmux with streamable=true, in the caps.";

const DECODE_UNKNOWN: &str = "If this is a media file, decode it, and use wmspushbin, which makes ASF: … ! decodebin ! \
    wmspushbin location=… Otherwise check what the source reads.";

impl Format {
    /// Returns the user's next step as a sentence.
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
            | Format::Container(_) => DECODE_BOTH,
            Format::RawVideo | Format::RawAudio => ENCODE,
            Format::Unmuxed(_) => {
                "Use wmspushbin instead, which makes ASF of it: … ! wmspushbin location=…"
            }
            Format::H264
            | Format::H265
            | Format::Ivf
            | Format::EncodedVideo(_)
            | Format::Wav
            | Format::Mp3
            | Format::Aac
            | Format::Flac
            | Format::Ac3
            | Format::Aiff
            | Format::Au
            | Format::EncodedAudio(_) => DECODE_ONE,
            Format::Picture(_) => REPEAT_PICTURE,
            Format::Metafile => {
                "It only names the address of a stream: open it in a text editor and use the address after href or Ref1."
            }
            Format::Playlist => {
                "It only names addresses: open it in a text editor, and use an address in it."
            }
            Format::Html | Format::Xml | Format::Json | Format::Text => OPEN_IN_BROWSER,
            Format::HttpResponse => SAVE_BODY,
            Format::Gzip => "Unpack it first, with gunzip.",
            Format::Zip | Format::Archive => "Unpack it first, and push the file that is in it.",
            Format::Pdf => {
                "This is not the intended file: check the file or the address that the source reads."
            }
            Format::AsfMiddle => BEGIN_AT_HEADER,
            Format::AsfBehind(_) => {
                "Remove these bytes: `tail -c +N` writes a file from its byte N on, counted from 1."
            }
            Format::Unknown(_) => DECODE_UNKNOWN,
        }
    }
}
