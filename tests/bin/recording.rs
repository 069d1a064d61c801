// SPDX-License-Identifier: MPL-2.0

//! Recordings, decoded by GStreamer and by FFmpeg.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use gst::prelude::*;

/// One stream of a recording, decoded.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    pub caps: String,
    /// Time in milliseconds, and brightness or loudness.
    pub buffers: Vec<(u64, f64)>,
    /// Times in milliseconds at which sound or light begins after a pause.
    pub onsets: Vec<u64>,
}

impl Decoded {
    pub fn first(&self) -> u64 {
        self.buffers.first().expect("some data").0
    }

    pub fn last(&self) -> u64 {
        self.buffers.last().expect("some data").0
    }

    /// Returns the longest time between two buffers.
    pub fn longest_gap(&self) -> u64 {
        let times = self.buffers.windows(2);
        let gaps = times.map(|pair| pair[1].0.saturating_sub(pair[0].0));
        gaps.max().unwrap_or_default()
    }
}

/// Measures the brightness of I420 pictures and the loudness of F32 sound.
#[derive(Default)]
pub struct Meter {
    decoded: Decoded,
    was_on: bool,
    last_onset: Option<u64>,
}

impl Meter {
    /// Measures the buffers that pass a pad.
    pub fn on(pad: &gst::Pad) -> Arc<Mutex<Self>> {
        let meter = Arc::new(Mutex::new(Self::default()));
        let metered = meter.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if let (Some(buffer), Some(caps)) = (info.buffer(), pad.current_caps()) {
                metered.lock().unwrap().observe(buffer, &caps);
            }
            gst::PadProbeReturn::Ok
        });
        meter
    }

    pub fn decoded(&self) -> Decoded {
        self.decoded.clone()
    }

    fn observe(&mut self, buffer: &gst::BufferRef, caps: &gst::CapsRef) {
        let Some(pts) = buffer.pts() else { return };
        self.decoded.caps = caps.to_string();
        let structure = caps.structure(0).unwrap();
        let map = buffer.map_readable().unwrap();
        if structure.name() == "video/x-raw" {
            // The luma plane comes first.
            let luma = &map[..map.len() * 2 / 3];
            let sum: u64 = luma.iter().step_by(7).map(|byte| u64::from(*byte)).sum();
            let level = sum as f64 / (luma.len() / 7) as f64;
            self.decoded.buffers.push((pts.mseconds(), level));
            self.note(pts.mseconds(), level > 128.0);
            return;
        }
        let rate = u64::try_from(structure.get::<i32>("rate").unwrap()).unwrap();
        let channels = usize::try_from(structure.get::<i32>("channels").unwrap()).unwrap();
        let samples = map.chunks_exact(4 * channels);
        let samples = samples.map(|sample| f32::from_le_bytes(sample[..4].try_into().unwrap()));
        let mut peak = 0.0f64;
        for (index, sample) in samples.enumerate() {
            let level = f64::from(sample.abs());
            peak = peak.max(level);
            if level > 0.3 {
                let time = pts.mseconds() + index as u64 * 1000 / rate;
                self.note(time, true);
                self.was_on = false;
            }
        }
        self.decoded.buffers.push((pts.mseconds(), peak));
    }

    /// An onset is at least 300 ms after the one before.
    fn note(&mut self, time: u64, is_on: bool) {
        let is_new = self.last_onset.is_none_or(|last| time >= last + 300);
        if is_on && !self.was_on && is_new {
            self.decoded.onsets.push(time);
            self.last_onset = Some(time);
        }
        self.was_on = is_on;
    }
}

/// Decodes a recording with GStreamer, and checks that FFmpeg decodes it without complaints. Returns the video and
/// audio streams.
pub fn decode(path: &Path) -> (Vec<Decoded>, Vec<Decoded>) {
    assert_ffmpeg_decodes(path);
    let description = format!("filesrc location={} ! decodebin name=demux", path.display());
    let pipeline = gst::parse::launch(&description).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let meters = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let (weak, added) = (pipeline.downgrade(), meters.clone());
    let demux = pipeline.by_name("demux").unwrap();
    demux.connect_pad_added(move |_, pad| {
        let is_video = pad
            .current_caps()
            .is_some_and(|caps| caps.to_string().starts_with("video"));
        let convert = match is_video {
            true => "videoconvert ! video/x-raw,format=I420",
            false => "audioconvert ! audio/x-raw,format=F32LE",
        };
        let description = format!("queue ! {convert} ! fakesink name=end sync=false");
        let bin = gst::parse::bin_from_description(&description, true).unwrap();
        let end = bin.by_name("end").unwrap().static_pad("sink").unwrap();
        let meter = Meter::on(&end);
        match is_video {
            true => added.lock().unwrap().0.push(meter),
            false => added.lock().unwrap().1.push(meter),
        }
        weak.upgrade().unwrap().add(&bin).unwrap();
        bin.sync_state_with_parent().unwrap();
        pad.link(&bin.static_pad("sink").unwrap()).unwrap();
    });
    play(&pipeline);
    let meters = meters.lock().unwrap();
    let all = |meters: &[Arc<Mutex<Meter>>]| {
        let decoded = meters.iter().map(|meter| meter.lock().unwrap().decoded());
        decoded.collect()
    };
    (all(&meters.0), all(&meters.1))
}

/// Plays to the end.
pub fn play(pipeline: &gst::Pipeline) {
    pipeline.set_state(gst::State::Playing).unwrap();
    let types = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = pipeline.bus().unwrap();
    let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &types);
    let end = end.expect("the end of the recording");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{end:?}");
    pipeline.set_state(gst::State::Null).unwrap();
}

fn assert_ffmpeg_decodes(path: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-v", "error", "-xerror", "-i"])
        .arg(path)
        .args(["-map", "0", "-fps_mode", "passthrough", "-f", "null", "-"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    // The null muxer of FFmpeg counts frames, not milliseconds.
    let complaints = told
        .lines()
        .filter(|line| !line.contains("non monotonically increasing"));
    assert_eq!(complaints.collect::<Vec<_>>(), [""; 0]);
    assert!(output.status.success(), "{}", output.status);
}
