// SPDX-License-Identifier: MPL-2.0

//! The bin's own properties.

use glib::prelude::*;
use gst::prelude::*;

use super::elements::{self, Missing};

/// The largest `packet-size` at which `asfmux` cannot exceed 63 payloads in a packet, which would make it unreadable: a
/// payload takes at least 18 bytes, and the packet's own fields 13.
const SAFE_PACKET_SIZE: u32 = 63 * 18 + 10;

/// The values of the properties.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Bits per second.
    pub(super) video_bitrate: u32,
    /// Bits per second.
    pub(super) audio_bitrate: u32,
    /// Milliseconds.
    pub(super) key_frame_interval: u32,
    /// Bytes.
    pub(super) packet_size: u32,
    pub(super) video_encoder: Option<gst::Element>,
    pub(super) audio_encoder: Option<gst::Element>,
    pub(super) muxer: Option<gst::Element>,
    /// `muxer` was used. Like `asfmux`, it may not be reusable.
    is_muxer_used: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            video_bitrate: 1_000_000,
            audio_bitrate: 128_000,
            key_frame_interval: 2000,
            packet_size: SAFE_PACKET_SIZE,
            video_encoder: None,
            audio_encoder: None,
            muxer: None,
            is_muxer_used: false,
        }
    }
}

fn number(name: &str, nick: &str, blurb: &str, default: u32, range: (u32, u32)) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .minimum(range.0)
        .maximum(range.1)
        .default_value(default)
        .mutable_ready()
        .build()
}

fn element(name: &str, nick: &str, blurb: &str) -> glib::ParamSpec {
    glib::ParamSpecObject::builder::<gst::Element>(name)
        .nick(nick)
        .blurb(blurb)
        .mutable_ready()
        .build()
}

/// Returns the properties, in the order of `gst-inspect-1.0`.
pub(super) fn specs() -> Vec<glib::ParamSpec> {
    const VIDEO_BITRATES: (u32, u32) = (1, i32::MAX.unsigned_abs());
    // libav's encoder for Windows Media Audio accepts these.
    const AUDIO_BITRATES: (u32, u32) = (24_000, 500_000_000);
    let default = Settings::default();
    let numbers = [
        number(
            "video-bitrate",
            "Video bit rate (bit/s)",
            "Bit rate of each video stream that the default encoder encodes, in bits per second",
            default.video_bitrate,
            VIDEO_BITRATES,
        ),
        number(
            "audio-bitrate",
            "Audio bit rate (bit/s)",
            "Bit rate of each audio stream that the default encoder encodes, in bits per second",
            default.audio_bitrate,
            AUDIO_BITRATES,
        ),
        number(
            "key-frame-interval",
            "Key frame interval (ms)",
            "Longest interval between key frames, in milliseconds; a new viewer waits for a key frame; 0: the encoder's interval",
            default.key_frame_interval,
            (0, u32::MAX),
        ),
        number(
            "packet-size",
            "Packet size (bytes)",
            "Size of ASF data packets in bytes; above the default, asfmux may put more frames into a packet than players can read",
            default.packet_size,
            (100, 65_531),
        ),
    ];
    numbers
        .into_iter()
        .chain(application_s_elements())
        .collect()
}

fn application_s_elements() -> [glib::ParamSpec; 3] {
    [
        element(
            "video-encoder",
            "Video encoder",
            "Encoder for raw video; NULL: avenc_wmv2",
        ),
        element(
            "audio-encoder",
            "Audio encoder",
            "Encoder for raw audio; NULL: avenc_wmav2",
        ),
        element("muxer", "Muxer", "Muxer for ASF; NULL: asfmux"),
    ]
}

impl Settings {
    /// Sets a property. GObject has checked its name, type and range.
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) {
        if let Some(place) = self.number(name) {
            *place = value.get().unwrap_or(*place);
        } else if let Some(place) = self.element(name) {
            *place = value.get().unwrap_or_default();
            self.is_muxer_used &= name != "muxer";
        }
    }

    /// Returns the application's muxer, or a copy after its first use; `None` if it has set none.
    pub(super) fn take_muxer(&mut self) -> Option<Result<gst::Element, Missing>> {
        let muxer = self.muxer.as_ref()?;
        let is_used = std::mem::replace(&mut self.is_muxer_used, true);
        Some(match is_used {
            false => elements::instance_of(muxer),
            true => elements::copy_of(muxer),
        })
    }

    /// Returns the value of a property, if it is one of the bin's own.
    pub(super) fn get(&mut self, name: &str) -> Option<glib::Value> {
        if let Some(place) = self.number(name) {
            return Some(place.to_value());
        }
        self.element(name).map(|place| place.to_value())
    }

    fn number(&mut self, name: &str) -> Option<&mut u32> {
        Some(match name {
            "video-bitrate" => &mut self.video_bitrate,
            "audio-bitrate" => &mut self.audio_bitrate,
            "key-frame-interval" => &mut self.key_frame_interval,
            "packet-size" => &mut self.packet_size,
            _ => return None,
        })
    }

    fn element(&mut self, name: &str) -> Option<&mut Option<gst::Element>> {
        Some(match name {
            "video-encoder" => &mut self.video_encoder,
            "audio-encoder" => &mut self.audio_encoder,
            "muxer" => &mut self.muxer,
            _ => return None,
        })
    }
}
