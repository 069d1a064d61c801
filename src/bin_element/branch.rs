// SPDX-License-Identifier: MPL-2.0

//! The branch between a pad of the bin and the muxer.
//!
//! ```text
//! raw video   videoconvert ! deinterlace ! videoflip ! videoscale ! capsfilter ! avenc_wmv2 ! queue ! inlet
//! raw audio   audioconvert ! scaletempo ! audioconvert ! audioresample ! capsfilter ! avenc_wmav2 ! queue ! inlet
//! encoded                                                                                 queue ! inlet
//! ```
//!
//! The converters and the filter convert input that the encoder does not accept: formats, odd sizes, non-square pixels,
//! fields, sample rates, more than two channels. `videoflip` turns pictures upright as their orientation tag says, which
//! ASF cannot express, and `scaletempo` applies the rate of a segment to sound. Both are optional, as is `deinterlace`
//! for progressive pictures. The queue lets one thread deliver several streams, although `asfmux` blocks the one that is
//! ahead.

use std::sync::Arc;

use gst::prelude::*;

use super::WmsPushBin;
use super::elements::{self, Missing, set_if_present};
use super::inlet::Inlet;
use super::muxing::Muxing;
use super::positions;
use super::raw::RawInput;
use super::refusal::Refusal;
use super::settings::Settings;
use super::stream::Inside;

/// Longest part of an encoded stream that waits for the others.
const LONGEST_QUEUE: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// Least area of a picture, with 128 pixels added to each side, that libav rejects.
const LARGEST_AREA: u64 = 1 << 28;

/// The elements of one stream.
pub(super) struct Branch {
    elements: Vec<gst::Element>,
    /// The pad for upstream's data.
    pub(super) entrance: gst::Pad,
    pub(super) is_raw: bool,
}

/// The reason for which there is no branch.
#[derive(Debug)]
pub(super) enum Failure {
    Missing(Missing),
    /// An element does not accept the stream.
    Refused(Refusal),
}

impl Failure {
    pub(super) fn post(&self, bin: &WmsPushBin) {
        match self {
            Self::Missing(missing) => missing.post(bin),
            Self::Refused(refusal) => refusal.post(bin),
        }
    }
}

impl From<Missing> for Failure {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

/// Returns whether all structures of `caps` are raw video or audio.
pub(super) fn is_raw(caps: &gst::CapsRef) -> bool {
    let mut structures = caps.iter();
    structures.all(|structure| matches!(structure.name().as_str(), "video/x-raw" | "audio/x-raw"))
}

fn is_interlaced(caps: &gst::CapsRef) -> bool {
    let structure = caps.structure(0);
    let mode = structure.and_then(|structure| structure.get::<&str>("interlace-mode").ok());
    mode.is_some_and(|mode| mode != "progressive")
}

fn is_video(caps: &gst::CapsRef) -> bool {
    let structure = caps.structure(0);
    structure.is_some_and(|structure| structure.name().starts_with("video/"))
}

/// Returns the converters and the encoder of raw data, none for encoded data.
fn encoding(settings: &Settings, caps: &gst::CapsRef) -> Result<Vec<gst::Element>, Missing> {
    match (is_raw(caps), is_video(caps)) {
        (false, _) => Ok(Vec::new()),
        (true, true) => video(settings, caps),
        (true, false) => audio(settings),
    }
}

impl Branch {
    /// Creates the elements of stream `id` in a bin and starts them.
    ///
    /// # Errors
    ///
    /// An element is missing, or the application's cannot be linked.
    pub(super) fn build(
        bin: &WmsPushBin,
        muxing: &Arc<Muxing>,
        id: usize,
        caps: &gst::CapsRef,
    ) -> Result<Self, Failure> {
        let (is_raw, is_video) = (is_raw(caps), is_video(caps));
        let settings = bin.settings();
        let queue = queue()?;
        let inlet = Inlet::new(Arc::downgrade(muxing), id).upcast::<gst::Element>();
        let mut elements = encoding(&settings, caps)?;
        let interval = gst::ClockTime::from_mseconds(settings.key_frame_interval.into());
        let raw = match &elements[..] {
            [.., filter, encoder] => Some(RawInput::new(is_video, filter, encoder, interval)),
            _ => None,
        };
        let refusal = match &raw {
            Some(raw) => Refusal::by_encoder(raw.encoder(), caps),
            None => Refusal::by_elements(caps),
        };
        elements.extend([queue.clone(), inlet.clone()]);
        let pads = sink_pad(&elements).zip(inlet.static_pad("src"));
        let Some((entrance, source)) = pads else {
            return Err(Failure::Refused(refusal));
        };
        muxing.set_inside(id, Inside::new(source, queue, raw, is_video));
        let branch = Self {
            elements,
            entrance,
            is_raw,
        };
        if branch.start(bin).is_err() {
            branch.remove(bin);
            return Err(Failure::Refused(refusal));
        }
        Ok(branch)
    }

    fn start(&self, bin: &WmsPushBin) -> Result<(), glib::BoolError> {
        bin.add_many(&self.elements)?;
        gst::Element::link_many(&self.elements)?;
        for element in self.elements.iter().rev() {
            element.sync_state_with_parent()?;
        }
        Ok(())
    }

    /// Returns whether an object is one of the elements, or in one.
    pub(super) fn has(&self, object: &gst::Object) -> bool {
        let mut elements = self.elements.iter();
        elements.any(|element| object == element || object.has_as_ancestor(element))
    }

    /// Stops the elements and removes them from the bin.
    pub(super) fn remove(&self, bin: &WmsPushBin) {
        for element in &self.elements {
            elements::stop(element);
        }
        for element in &self.elements {
            let _ = bin.remove(element);
        }
    }
}

fn sink_pad(elements: &[gst::Element]) -> Option<gst::Pad> {
    elements.first()?.static_pad("sink")
}

fn queue() -> Result<gst::Element, Missing> {
    let queue = elements::make("queue")?;
    queue.set_property("max-size-buffers", 0u32);
    queue.set_property("max-size-bytes", 0u32);
    queue.set_property("max-size-time", LONGEST_QUEUE.nseconds());
    // A serialised query would wait for the muxer, which may wait for the thread of the query.
    if let Some(pad) = queue.static_pad("sink") {
        pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
            let query = info.query();
            match query.is_some_and(|query| query.is_serialized()) {
                true => gst::PadProbeReturn::Drop,
                false => gst::PadProbeReturn::Ok,
            }
        });
    }
    Ok(queue)
}

fn filter(caps: gst::Caps) -> Result<gst::Element, Missing> {
    let filter = elements::make("capsfilter")?;
    filter.set_property("caps", caps);
    Ok(filter)
}

/// Returns the longest side of encoded pictures. libav rejects pictures whose area is too large.
fn longest_side(caps: &gst::CapsRef) -> i32 {
    let side = |name| {
        let structure = caps.structure(0)?;
        let side = structure.get::<i32>(name).ok()?;
        u64::try_from(side).ok()
    };
    let sides = side("width").zip(side("height"));
    let area = sides.map(|(width, height)| (width + 128) * (height + 128));
    match area {
        Some(LARGEST_AREA..) => 8192,
        _ => 16_384,
    }
}

fn video(settings: &Settings, input: &gst::CapsRef) -> Result<Vec<gst::Element>, Missing> {
    // Players and the encoder require even sizes, the encoder whole pictures; asfmux writes no pixel aspect ratio.
    let even = gst::IntRange::with_step(2, longest_side(input), 2);
    let caps = gst::Caps::builder("video/x-raw")
        .field("width", even)
        .field("height", even)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .field("interlace-mode", "progressive")
        .build();
    let encoder = match &settings.video_encoder {
        Some(encoder) => elements::instance_of(encoder)?,
        None => {
            let encoder = elements::make("avenc_wmv2")?;
            set_if_present(&encoder, "bitrate", settings.video_bitrate);
            encoder
        }
    };
    let mut elements = vec![elements::make("videoconvert")?];
    match elements::make("deinterlace") {
        Ok(deinterlace) => {
            // One picture of each two fields: the frame rate stays.
            deinterlace.set_property_from_str("fields", "top");
            elements.push(deinterlace);
        }
        Err(missing) if is_interlaced(input) => return Err(missing),
        Err(_) => {}
    }
    if let Ok(flip) = elements::make("videoflip") {
        flip.set_property_from_str("video-direction", "auto");
        elements.push(flip);
    }
    elements.extend([elements::make("videoscale")?, filter(caps)?, encoder]);
    Ok(elements)
}

fn audio(settings: &Settings) -> Result<Vec<gst::Element>, Missing> {
    let (caps, encoder) = match &settings.audio_encoder {
        Some(encoder) => (
            gst::Caps::new_empty_simple("audio/x-raw"),
            elements::instance_of(encoder)?,
        ),
        None => {
            // The encoder accepts up to 48 kHz. With mono, it reads memory in place, and crashes if that is not
            // aligned.
            let caps = gst::Caps::builder("audio/x-raw")
                .field("rate", gst::List::new([44_100i32, 48_000]))
                .field("channels", 2)
                .build();
            let encoder = elements::make("avenc_wmav2")?;
            set_if_present(&encoder, "bitrate", settings.audio_bitrate);
            (caps, encoder)
        }
    };
    // Sound that deviates by more than 20 ms is moved back to its time.
    set_if_present(&encoder, "tolerance", 20_000_000i64);
    let converter = elements::make("audioconvert")?;
    positions::complete(&converter);
    let mut elements = vec![converter];
    if let Ok(tempo) = elements::make("scaletempo") {
        elements.extend([tempo, elements::make("audioconvert")?]);
    }
    elements.extend([elements::make("audioresample")?, filter(caps)?, encoder]);
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_with_too_large_an_area_become_smaller() {
        gst::init().unwrap();
        let side = |fields: &str| {
            longest_side(
                &format!("video/x-raw,{fields}")
                    .parse::<gst::Caps>()
                    .unwrap(),
            )
        };
        assert_eq!(side("width=16384,height=16384"), 8192);
        assert_eq!(side("width=32767,height=9000"), 8192);
        for other in [
            "width=1920,height=1080",
            "width=16384,height=16000",
            "format=I420",
        ] {
            assert_eq!(side(other), 16_384, "{other}");
        }
    }
}
