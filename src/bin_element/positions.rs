// SPDX-License-Identifier: MPL-2.0

//! Positions for channels that have none.
//!
//! `audioconvert` refuses to mix more than two channels whose positions it does not know, as sound cards, JACK and `appsrc`
//! deliver them.

use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;

/// The usual channel masks of 3 to 8 channels, as GStreamer guesses them for files without positions.
const USUAL_MASKS: [u64; 6] = [0xb, 0x33, 0x37, 0x3f, 0x13f, 0xc3f];

/// Least channel count that crashes `audioconvert` with a matrix.
const TOO_MANY: usize = 64;

/// Gives positions to the channels that go into `converter`, an `audioconvert`; mixes as pairs more than eight of them.
pub(super) fn complete(converter: &gst::Element) {
    let Some(pad) = converter.static_pad("sink") else {
        return;
    };
    let (converter, has_matrix) = (converter.downgrade(), AtomicBool::new(false));
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let Some(gst::EventView::Caps(event)) = info.event().map(|event| event.view()) else {
            return gst::PadProbeReturn::Ok;
        };
        let caps = event.caps();
        let positioned = with_positions(caps);
        let channels = channels(caps).unwrap_or_default();
        let is_mixed = positioned.is_none() && !has_positions(caps);
        // A matrix fits one count of channels, and audioconvert cannot do without it again.
        if (is_mixed || has_matrix.load(Ordering::Relaxed))
            && channels < TOO_MANY
            && let Some(converter) = converter.upgrade()
        {
            has_matrix.store(true, Ordering::Relaxed);
            converter.set_property("mix-matrix", pairs(channels));
        }
        if let Some(caps) = positioned {
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
}

fn channels(caps: &gst::CapsRef) -> Option<usize> {
    let channels = caps.structure(0)?.get::<i32>("channels").ok()?;
    usize::try_from(channels).ok()
}

fn has_positions(caps: &gst::CapsRef) -> bool {
    let mask = caps
        .structure(0)
        .and_then(|structure| structure.get::<gst::Bitmask>("channel-mask").ok());
    mask.is_some_and(|mask| mask.0 != 0) || channels(caps).is_none_or(|channels| channels <= 2)
}

/// Returns caps with the usual positions, or `None` if there are some, or no usual ones.
fn with_positions(caps: &gst::CapsRef) -> Option<gst::Caps> {
    if has_positions(caps) {
        return None;
    }
    let mask = USUAL_MASKS.get(channels(caps)?.checked_sub(3)?)?;
    let mut caps = caps.to_owned();
    caps.make_mut().set("channel-mask", gst::Bitmask(*mask));
    Some(caps)
}

/// A mix to stereo: channels with an even index to the left, the others to the right; mono to both.
fn pairs(channels: usize) -> gst::Array {
    let side = |side: usize| {
        let each = |channel| match channels {
            1 => 1.0f32,
            _ if channel % 2 == side => 1.0 / channels.div_ceil(2) as f32,
            _ => 0.0,
        };
        gst::Array::new((0..channels).map(each))
    };
    gst::Array::new([side(0), side(1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(fields: &str) -> gst::Caps {
        gst::init().unwrap();
        format!("audio/x-raw,{fields}").parse().unwrap()
    }

    #[test]
    fn positions_take_the_place_of_none() {
        let completed = |fields| with_positions(&caps(fields)).map(|caps| caps.to_string());
        for without in ["channels=6", "channels=6,channel-mask=(bitmask)0"] {
            let completed = completed(without).unwrap();
            assert!(
                completed.ends_with("(bitmask)0x000000000000003f"),
                "{completed}"
            );
        }
        for other in [
            "channels=2",
            "channels=1,channel-mask=(bitmask)0",
            "channels=6,channel-mask=(bitmask)0x60f",
            "channels=9,channel-mask=(bitmask)0",
        ] {
            assert_eq!(completed(other), None, "{other}");
        }
    }

    #[test]
    fn more_channels_are_mixed_as_pairs() {
        gst::init().unwrap();
        let rows = |channels| {
            let rows = pairs(channels);
            let row = |value: &glib::SendValue| {
                let row = value.get::<gst::Array>().unwrap();
                row.iter()
                    .map(|value| value.get::<f32>().unwrap())
                    .collect()
            };
            rows.iter().map(row).collect::<Vec<Vec<_>>>()
        };
        assert_eq!(rows(4), [[0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.0, 0.5]]);
        assert_eq!(rows(1), [[1.0], [1.0]]);
        assert!(!has_positions(&caps("channels=9,channel-mask=(bitmask)0")));
    }
}
