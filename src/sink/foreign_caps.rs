// SPDX-License-Identifier: MPL-2.0

//! Media types that the pad accepts only to reject them with a helpful ERROR.
//!
//! A failed link reports "could not link", but not the missing encoder and muxer. The pad therefore accepts these
//! types, and the ERROR for their CAPS event names the format and a pipeline that produces ASF.

use crate::asf::{self, Format};

/// Media types, each with the format that the ERROR names.
const TYPES: &[(&str, Format)] = &[
    ("video/x-raw", Format::RawVideo),
    ("video/x-bayer", Format::RawVideo),
    ("audio/x-raw", Format::RawAudio),
    (
        "video/x-wmv",
        Format::Unmuxed("Windows Media Video without a container"),
    ),
    (
        "audio/x-wma",
        Format::Unmuxed("Windows Media Audio without a container"),
    ),
    ("video/x-h264", Format::EncodedVideo("H.264")),
    ("video/x-h265", Format::EncodedVideo("H.265")),
    ("video/x-h263", Format::EncodedVideo("H.263")),
    ("video/x-vp8", Format::EncodedVideo("VP8")),
    ("video/x-vp9", Format::EncodedVideo("VP9")),
    ("video/x-av1", Format::EncodedVideo("AV1")),
    ("video/x-theora", Format::EncodedVideo("Theora")),
    ("video/x-dirac", Format::EncodedVideo("Dirac")),
    ("video/x-divx", Format::EncodedVideo("DivX")),
    ("video/x-xvid", Format::EncodedVideo("Xvid")),
    ("video/x-msmpeg", Format::EncodedVideo("Microsoft MPEG-4")),
    (
        "video/x-flash-video",
        Format::EncodedVideo("Sorenson Spark"),
    ),
    ("video/x-prores", Format::EncodedVideo("ProRes")),
    ("video/mpeg", Format::EncodedVideo("MPEG video")),
    ("image/jpeg", Format::EncodedVideo("JPEG")),
    ("image/png", Format::EncodedVideo("PNG")),
    ("image/gif", Format::EncodedVideo("GIF")),
    ("audio/mpeg", Format::EncodedAudio("MP3 or AAC")),
    ("audio/x-ac3", Format::EncodedAudio("AC-3")),
    ("audio/x-eac3", Format::EncodedAudio("E-AC-3")),
    ("audio/x-dts", Format::EncodedAudio("DTS")),
    ("audio/x-opus", Format::EncodedAudio("Opus")),
    ("audio/x-vorbis", Format::EncodedAudio("Vorbis")),
    ("audio/x-flac", Format::EncodedAudio("FLAC")),
    ("audio/x-alac", Format::EncodedAudio("ALAC")),
    ("audio/x-speex", Format::EncodedAudio("Speex")),
    ("audio/x-alaw", Format::EncodedAudio("A-law")),
    ("audio/x-mulaw", Format::EncodedAudio("mu-law")),
    ("audio/x-wav", Format::Wav),
    ("audio/x-rf64", Format::Wav),
    ("audio/x-aiff", Format::Aiff),
    ("audio/x-au", Format::Au),
    ("video/quicktime", Format::Mp4),
    ("audio/x-m4a", Format::Mp4),
    ("application/x-3gp", Format::Mp4),
    ("video/x-matroska", Format::Matroska),
    ("video/x-matroska-3d", Format::Matroska),
    ("audio/x-matroska", Format::Matroska),
    ("video/webm", Format::Matroska),
    ("audio/webm", Format::Matroska),
    ("video/mpegts", Format::MpegTs),
    ("application/ogg", Format::Ogg),
    ("video/ogg", Format::Ogg),
    ("audio/ogg", Format::Ogg),
    ("video/x-flv", Format::Flv),
    ("video/x-msvideo", Format::Avi),
    ("video/x-ivf", Format::Ivf),
    ("application/mxf", Format::Container("MXF")),
    ("video/x-dv", Format::Container("DV")),
    ("application/x-rtp", Format::Container("RTP")),
    ("multipart/x-mixed-replace", Format::Container("multipart")),
];

/// Returns the caps of [`TYPES`]. They are not cached, because cached caps count as leaks.
fn foreign() -> gst::Caps {
    let types = TYPES.iter().map(|(name, _)| {
        // Raw video may be in GPU memory.
        (
            gst::Structure::new_empty(*name),
            gst::CapsFeatures::new_any(),
        )
    });
    types.collect()
}

/// Returns the caps of `template`, followed by those that are rejected with an ERROR.
pub(super) fn linkable(template: &gst::Caps, filter: Option<&gst::Caps>) -> gst::Caps {
    let mut caps = template.clone();
    caps.merge(foreign());
    match filter {
        Some(filter) => filter.intersect_with_mode(&caps, gst::CapsIntersectMode::First),
        None => caps,
    }
}

/// Returns the error for caps that are not ASF; `None` for caps that may be.
pub(super) fn refusal(caps: &gst::Caps) -> Option<asf::Error> {
    let name = caps.structure(0)?.name();
    let (_, format) = TYPES.iter().find(|(known, _)| *known == name.as_str())?;
    Some(asf::Error::Foreign(*format))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> gst::Caps {
        gst::init().unwrap();
        gst::Caps::new_empty_simple("video/x-ms-asf")
    }

    #[test]
    fn asf_comes_first_and_a_filter_keeps_the_rest_out() {
        let template = template();
        let caps = linkable(&template, None);
        assert_eq!(caps.structure(0).unwrap().name(), "video/x-ms-asf");
        assert_eq!(caps.size(), TYPES.len() + 1);
        assert_eq!(linkable(&template, Some(&template)), template);
        let gpu = gst::Caps::builder("video/x-raw")
            .features(["memory:GLMemory"])
            .field("width", 320)
            .build();
        assert!(gpu.is_subset(&caps));
    }

    #[test]
    fn each_type_is_refused_with_its_name_and_a_pipeline() {
        assert_eq!(refusal(&template()), None);
        for (name, format) in TYPES {
            let error = refusal(&gst::Caps::new_empty_simple(*name)).unwrap();
            assert!(error.is_wrong_type(), "{name}");
            assert_eq!(error.to_string(), format!("input is {format}, not ASF"));
            assert!(error.hint().contains("wmspushbin"), "{name}");
        }
    }
}
