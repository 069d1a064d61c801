// SPDX-License-Identifier: MPL-2.0

//! The ERROR for a stream that an element of the bin does not accept: which element, which stream, and the next step.

use gst::prelude::*;

use super::WmsPushBin;
use crate::sink::InputKind;

/// A stream, and the element that does not accept it.
#[derive(Debug)]
pub(super) struct Refusal {
    caps: Option<gst::Caps>,
    by: By,
}

#[derive(Debug)]
enum By {
    /// The name of its factory, and that of the encoder, or `None` if the stream was encoded before.
    Muxer(String, Option<Encoder>),
    Encoder(Encoder),
    /// The elements of the stream, which were made for data of the other kind.
    Elements,
    /// The converters in front of the encoder.
    Conversion,
    /// The bin, on the pad with this name, because upstream has announced no type.
    Bin(String, InputKind),
}

#[derive(Clone, Debug)]
struct Encoder {
    name: String,
    is_video: bool,
}

impl Encoder {
    fn new(element: &gst::Element, is_video: bool) -> Self {
        let name = factory_name(element);
        Self { name, is_video }
    }

    /// The property that an application sets, and the default.
    fn advice(&self) -> &'static str {
        match self.is_video {
            true => {
                "Set video-encoder to an encoder for Windows Media Video, such as avenc_wmv2, or to NULL."
            }
            false => {
                "Set audio-encoder to an encoder for Windows Media Audio, such as avenc_wmav2, or to NULL."
            }
        }
    }
}

fn factory_name(element: &gst::Element) -> String {
    let factory = element.factory().map(|factory| factory.name());
    factory.unwrap_or_else(|| element.name()).to_string()
}

impl Refusal {
    /// `muxer` does not accept what `encoder` makes, or what was encoded before.
    pub(super) fn by_muxer(
        muxer: &gst::Element,
        encoder: Option<&gst::Element>,
        is_video: bool,
        caps: Option<gst::Caps>,
    ) -> Self {
        let encoder = encoder.map(|encoder| Encoder::new(encoder, is_video));
        let by = By::Muxer(factory_name(muxer), encoder);
        Self { caps, by }
    }

    /// `encoder` cannot be linked.
    pub(super) fn by_encoder(encoder: &gst::Element, caps: &gst::CapsRef) -> Self {
        let caps = caps.to_owned();
        let is_video = caps
            .structure(0)
            .is_some_and(|structure| structure.name().starts_with("video/"));
        let by = By::Encoder(Encoder::new(encoder, is_video));
        let caps = Some(caps);
        Self { caps, by }
    }

    /// Raw data follows encoded data in one stream, or the reverse.
    pub(super) fn by_elements(caps: &gst::CapsRef) -> Self {
        let caps = Some(caps.to_owned());
        let by = By::Elements;
        Self { caps, by }
    }

    /// The stream cannot be converted to what an encoder or the muxer accepts.
    pub(super) fn by_conversion(caps: &gst::CapsRef) -> Self {
        let caps = Some(caps.to_owned());
        let by = By::Conversion;
        Self { caps, by }
    }

    /// Upstream sends data on `pad` that begins with `start`, and has not announced its type.
    pub(super) fn without_caps(pad: &str, start: &[u8]) -> Self {
        let by = By::Bin(pad.to_owned(), InputKind::of(start));
        Self { caps: None, by }
    }

    fn text(&self) -> String {
        let structure = self.caps.as_ref().and_then(|caps| caps.structure(0));
        let type_ = structure.map_or("a stream of an unknown type", |structure| {
            structure.name().as_str()
        });
        match &self.by {
            By::Muxer(muxer, encoder) => muxer_text(muxer, encoder.as_ref(), type_),
            By::Encoder(encoder) => {
                let (name, advice) = (&encoder.name, encoder.advice());
                format!("The encoder {name} does not accept {type_}. {advice}")
            }
            By::Bin(pad, kind) => untyped_text(pad, kind),
            By::Elements => format!(
                "The stream changes to {type_} between raw and encoded data. Stop and start again, or use a pad for each."
            ),
            By::Conversion => conversion_text(structure, type_),
        }
    }

    /// Posts the ERROR.
    pub(super) fn post(&self, bin: &WmsPushBin) {
        let (text, caps) = (self.text(), &self.caps);
        gst::element_error!(
            bin,
            gst::StreamError::WrongType,
            ("{text}"),
            ["caps: {caps:?}"]
        );
    }
}

/// The text about data without caps on a pad.
fn untyped_text(pad: &str, kind: &InputKind) -> String {
    match kind {
        InputKind::Asf => format!(
            "The pad {pad} receives ASF, which needs no encoder. Use wmspushsink instead: … ! wmspushsink location=…"
        ),
        InputKind::Other { format, hint } => format!("The pad {pad} receives {format}. {hint}"),
        InputKind::Unknown => format!(
            "The pad {pad} receives data of an unknown type. Set the caps of the source. If it reads a media file, decode \
             it: … ! decodebin ! wmspushbin location=…"
        ),
    }
}

fn conversion_text(structure: Option<&gst::StructureRef>, type_: &str) -> String {
    const PICTURES: &str = "videoconvert ! videoscale ! video/x-raw,format=I420,width=1280,height=720,pixel-aspect-ratio=1/1";
    const SOUND: &str = "audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2";
    let field = |name: &str| {
        let value = structure?.value(name).ok()?;
        let value = match value.get::<String>() {
            Ok(text) => text,
            Err(_) => value.serialize().ok()?.to_string(),
        };
        Some(format!("{name} {value}"))
    };
    let (fields, advice): (&[_], _) = match type_ {
        "video/x-raw" => (
            &["format", "width", "height", "pixel-aspect-ratio"],
            format!("Convert it first, for example with {PICTURES}."),
        ),
        "audio/x-raw" => (
            &["format", "rate", "channels", "channel-mask"],
            format!("Convert it first, for example with {SOUND}, or deliver fewer channels."),
        ),
        _ => (
            &[],
            "Decode it first, for example with decodebin.".to_owned(),
        ),
    };
    let fields: Vec<_> = fields.iter().copied().filter_map(field).collect();
    let fields = match &fields[..] {
        [] => String::new(),
        fields => format!(" ({})", fields.join(", ")),
    };
    format!("The stream {type_}{fields} cannot be converted for its encoder. {advice}")
}

fn muxer_text(muxer: &str, encoder: Option<&Encoder>, type_: &str) -> String {
    let made_by = encoder
        .map(|encoder| format!(", which {} makes", encoder.name))
        .unwrap_or_default();
    let advice = match encoder {
        _ if muxer != "asfmux" => {
            "Set muxer to an element that makes ASF, such as asfmux, or to NULL."
        }
        Some(encoder) => encoder.advice(),
        None => {
            "Decode the stream, for example with decodebin, and link the raw pictures or sound."
        }
    };
    format!("The muxer {muxer} does not accept {type_}{made_by}. {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_cannot_be_converted_is_described() {
        gst::init().unwrap();
        let text = |caps: &str| Refusal::by_conversion(&caps.parse::<gst::Caps>().unwrap()).text();
        let pictures = text("video/x-raw,format=I420,width=40000,height=2,framerate=30/1");
        assert!(
            pictures
                .contains("video/x-raw (format I420, width 40000, height 2) cannot be converted"),
            "{pictures}"
        );
        let encoded = text("video/x-wmv,wmvversion=2");
        assert_eq!(
            encoded,
            "The stream video/x-wmv cannot be converted for its encoder. Decode it first, for example with decodebin."
        );
    }

    #[test]
    fn the_next_step_is_for_the_element_that_refuses() {
        let encoder = Encoder {
            name: "x264enc".to_owned(),
            is_video: true,
        };
        let text = muxer_text("asfmux", Some(&encoder), "video/x-h264");
        assert_eq!(
            text,
            "The muxer asfmux does not accept video/x-h264, which x264enc makes. \
             Set video-encoder to an encoder for Windows Media Video, such as avenc_wmv2, or to NULL."
        );
        let text = muxer_text("asfmux", None, "video/x-h264");
        assert!(text.contains("Decode the stream"), "{text}");
        let text = muxer_text("matroskamux", Some(&encoder), "video/x-h264");
        assert!(text.contains("Set muxer to"), "{text}");
    }

    #[test]
    fn data_without_caps_is_named_by_its_first_bytes() {
        const ASF: [u8; 16] = *b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C";
        let text = |start: &[u8]| Refusal::without_caps("video_0", start).text();
        let mkv = text(b"\x1A\x45\xDF\xA3\x9F\x42\x86\x81");
        assert!(
            mkv.starts_with("The pad video_0 receives Matroska or WebM. Decode it"),
            "{mkv}"
        );
        assert!(text(&ASF).contains("! wmspushsink location="));
        for start in [&b""[..], &[0; 2048]] {
            assert!(text(start).contains("Set the caps of the source"));
        }
    }
}
