// SPDX-License-Identifier: MPL-2.0

//! A beep and a flash that enter together are received together.

use gst::prelude::*;

use super::recording::{Decoded, Meter, decode};
use super::rig::{Pipeline, Point};

/// Largest difference between a beep and its flash, in milliseconds.
const TOLERANCE: u64 = 40;

/// Brightens the pictures in the first 100 ms of each second.
fn flash(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        let buffer = info.buffer_mut().unwrap();
        if buffer.pts().unwrap().mseconds() % 1000 < 100 {
            let buffer = buffer.make_mut();
            let mut map = buffer.map_writable().unwrap();
            let luma = map.len() * 2 / 3;
            map[..luma].fill(235);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Returns the delays of the received onsets, in milliseconds.
fn delays(sent: &Decoded, received: &Decoded) -> Vec<i64> {
    let pairs = sent.onsets.iter().zip(&received.onsets);
    let delays: Vec<_> = pairs
        .map(|(sent, received)| *received as i64 - *sent as i64)
        .collect();
    assert!(delays.len() >= 2, "{:?} {:?}", sent.onsets, received.onsets);
    delays
}

/// Returns the largest difference between the delays of sound and of pictures.
fn measured(name: &str, live: bool, audio: &str) -> u64 {
    let point = Point::new(name);
    let pipeline = Pipeline::new(
        &point,
        &format!(
            "videotestsrc is-live={live} pattern=black num-buffers=150 \
             ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! identity name=flash ! wmspushbin name=bin \
             audiotestsrc is-live={live} wave=ticks num-buffers=240 ! audio/x-raw,format=F32LE ! identity name=beep \
             ! audioconvert ! audioresample ! {audio} ! bin."
        ),
    );
    flash(&pipeline.element("flash").static_pad("sink").unwrap());
    let source = |name| Meter::on(&pipeline.element(name).static_pad("src").unwrap());
    let (flashes, beeps) = (source("flash"), source("beep"));
    pipeline.bin.set_property("sync", live);
    assert_eq!(pipeline.run(), [""; 0]);
    let (video, audio) = decode(&point.recording());
    let pictures = delays(&flashes.lock().unwrap().decoded(), &video[0]);
    let sound = delays(&beeps.lock().unwrap().decoded(), &audio[0]);
    let skews = sound
        .iter()
        .flat_map(|sound| pictures.iter().map(|picture| sound.abs_diff(*picture)));
    skews.max().expect("some")
}

#[test]
fn a_beep_and_a_flash_stay_together() {
    for (name, live, audio) in [
        (
            "sync-file",
            false,
            "audio/x-raw,format=F32LE,rate=44100,channels=2",
        ),
        (
            "sync-resampled",
            false,
            "audio/x-raw,format=S16LE,rate=96000,channels=1",
        ),
        (
            "sync-live",
            true,
            "audio/x-raw,format=F32LE,rate=48000,channels=2",
        ),
    ] {
        let skew = measured(name, live, audio);
        println!("{name}: {skew} ms");
        assert!(skew <= TOLERANCE, "{name}: {skew} ms");
    }
}
