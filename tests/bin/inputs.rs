// SPDX-License-Identifier: MPL-2.0

//! Raw formats: sizes, rates, channels, and changes of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use gst::prelude::*;

use super::recording::{Decoded, decode};
use super::rig::{Pipeline, Point};

/// Pushes pictures and sound with these caps, and returns the streams of the recording.
fn pushed(name: &str, video: &str, audio: &str) -> (Decoded, Decoded) {
    let point = Point::new(name);
    let pipeline = Pipeline::new(
        &point,
        &format!(
            "videotestsrc num-buffers=30 ! {video} ! wmspushbin name=bin sync=false \
             audiotestsrc num-buffers=50 ! {audio} ! bin."
        ),
    );
    assert_eq!(pipeline.run(), [""; 0]);
    let (mut video, mut audio) = decode(&point.recording());
    (video.remove(0), audio.remove(0))
}

#[test]
fn odd_sizes_become_even() {
    let video = "video/x-raw,format=RGB,width=321,height=241,framerate=30/1";
    let (video, _) = pushed("odd", video, "audio/x-raw");
    assert!(
        video.caps.contains("width=(int)320, height=(int)240"),
        "{}",
        video.caps
    );
    assert_eq!(video.buffers.len(), 30);
}

/// Phones record sideways, with an orientation tag. Demuxers send it behind the first caps.
#[test]
fn tagged_pictures_become_upright() {
    let video = "video/x-raw,width=320,height=240,framerate=30/1 ! taginject tags=image-orientation=rotate-90";
    let (video, _) = pushed("upright", video, "audio/x-raw");
    assert!(
        video.caps.contains("width=(int)240, height=(int)320"),
        "{}",
        video.caps
    );
    assert_eq!(video.buffers.len(), 30);
}

#[test]
fn pixels_become_square() {
    let video = "video/x-raw,width=720,height=576,framerate=30/1,pixel-aspect-ratio=16/15";
    let (video, _) = pushed("square", video, "audio/x-raw");
    assert!(
        video.caps.contains("width=(int)768, height=(int)576"),
        "{}",
        video.caps
    );
}

#[test]
fn each_sample_rate_and_channel_count_is_heard() {
    for (rate, channels) in [
        (8_000, 1),
        (22_050, 2),
        (44_100, 1),
        (48_000, 2),
        (96_000, 6),
        (192_000, 2),
    ] {
        let mask = if channels == 6 {
            ",channel-mask=(bitmask)0x3f"
        } else {
            ""
        };
        let audio = format!("audio/x-raw,rate={rate},channels={channels}{mask}");
        let (_, audio) = pushed(
            &format!("rate-{rate}"),
            "video/x-raw,framerate=30/1",
            &audio,
        );
        let loud = audio
            .buffers
            .iter()
            .filter(|(_, level)| *level > 0.3)
            .count();
        assert!(
            loud * 4 > audio.buffers.len() * 3,
            "{rate} Hz, {channels}: {audio:?}"
        );
        let seconds = 50.0 * 1024.0 / f64::from(rate);
        let heard = audio.last() as f64 / 1000.0;
        assert!(
            (heard - seconds).abs() < 0.2,
            "{heard} of {seconds} s at {rate} Hz"
        );
    }
}

/// Sound cards, JACK and appsrc deliver channels without positions.
#[test]
fn channels_without_positions_are_heard() {
    for channels in [3, 6, 16] {
        let audio = format!("audio/x-raw,rate=48000,channels={channels},channel-mask=(bitmask)0");
        let name = format!("positions-{channels}");
        let (_, audio) = pushed(&name, "video/x-raw,framerate=30/1", &audio);
        let loud = audio.buffers.iter().filter(|(_, level)| *level > 0.3);
        assert!(loud.count() * 4 > audio.buffers.len() * 3, "{channels}");
    }
}

/// The encoder takes whole pictures only.
#[test]
fn interlaced_pictures_become_whole() {
    let video = "video/x-raw,width=64,height=64,framerate=25/1 ! capssetter caps=video/x-raw,interlace-mode=interleaved";
    let (video, _) = pushed("interlaced", video, "audio/x-raw");
    assert!(video.buffers.len() >= 29, "{video:?}");
    assert!(video.longest_gap() <= 80, "{video:?}");
}

/// An appsrc with its default format, and buffers without timestamps.
#[test]
fn pictures_without_times_follow_each_other() {
    let point = Point::new("untimed");
    let caps = "video/x-raw,format=I420,width=64,height=64,framerate=25/1";
    let pipeline = Pipeline::new(
        &point,
        &format!("appsrc name=source caps={caps} ! wmspushbin name=bin sync=false"),
    );
    pipeline.play();
    let source = pipeline.element("source");
    for _ in 0..50 {
        let picture = gst::Buffer::from_slice([128; 64 * 64 * 3 / 2]);
        let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&picture]);
        assert_eq!(pushed, gst::FlowReturn::Ok);
    }
    let ended = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    assert_eq!(ended, gst::FlowReturn::Ok);
    assert_eq!(pipeline.wait_for_eos(), [""; 0]);
    let (video, _) = decode(&point.recording());
    let times: Vec<_> = video[0].buffers.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, (0..50).map(|number| number * 40).collect::<Vec<_>>());
}

/// A segment is missing if an application pushes by itself, or after its flush.
#[test]
fn pictures_without_a_segment_begin_at_0() {
    let point = Point::new("no-segment");
    // A description of one element would be that element.
    let pipeline = Pipeline::new(&point, "wmspushbin name=bin sync=false  queue name=other");
    let other = pipeline.element("other");
    pipeline.pipeline.remove(&other).unwrap();
    pipeline.play();
    let pad = pipeline.bin.request_pad_simple("video_%u").unwrap();
    let source = gst::Pad::builder(gst::PadDirection::Src)
        .name("source")
        .build();
    source.set_active(true).unwrap();
    source.link(&pad).unwrap();
    let caps = "video/x-raw,format=I420,width=64,height=64,framerate=25/1";
    assert!(source.push_event(gst::event::StreamStart::new("pictures")));
    assert!(source.push_event(gst::event::Caps::new(&caps.parse().unwrap())));
    for number in 0..25 {
        let mut picture = gst::Buffer::from_slice([128; 64 * 64 * 3 / 2]);
        let time = number * 40 * gst::ClockTime::MSECOND;
        picture.get_mut().unwrap().set_pts(time);
        assert_eq!(source.push(picture), Ok(gst::FlowSuccess::Ok));
    }
    assert!(source.push_event(gst::event::Eos::new()));
    assert_eq!(pipeline.wait_for_eos(), [""; 0]);
    let (video, _) = decode(&point.recording());
    assert_eq!((video[0].first(), video[0].buffers.len()), (0, 25));
}

/// The size of the first picture stays.
#[test]
fn a_new_resolution_is_scaled_to_the_first() {
    let point = Point::new("resolution");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=60 ! capsfilter name=size caps=video/x-raw,width=320,height=240,framerate=30/1 \
         ! wmspushbin name=bin sync=false",
    );
    let size = pipeline.element("size");
    let filter = size.clone();
    let counter = AtomicUsize::new(0);
    size.static_pad("sink")
        .unwrap()
        .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if counter.fetch_add(1, Ordering::Relaxed) == 20 {
                let caps = "video/x-raw,width=640,height=360,framerate=15/1".parse::<gst::Caps>();
                filter.set_property("caps", caps.unwrap());
            }
            gst::PadProbeReturn::Ok
        });
    assert_eq!(pipeline.run(), [""; 0]);
    let (video, _) = decode(&point.recording());
    assert!(
        video[0].caps.contains("width=(int)320, height=(int)240"),
        "{}",
        video[0].caps
    );
    assert_eq!(video[0].buffers.len(), 60);
    let pushes = point.running.pushes();
    assert_eq!(pushes[0].headers().count(), 1);
}

/// Pictures of a variable rate keep their times, and key frames come by time.
#[test]
fn a_variable_frame_rate_keeps_its_times() {
    let point = Point::new("variable");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=100 ! video/x-raw,framerate=20/1,width=64,height=64 ! identity name=times \
         ! capssetter caps=video/x-raw,framerate=0/1 ! wmspushbin name=bin sync=false key-frame-interval=1000",
    );
    let kept = [0u64, 1, 2, 9, 10, 30, 31, 60, 61, 62, 90];
    let times = pipeline.element("times").static_pad("src").unwrap();
    times.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let pts = info.buffer().unwrap().pts().unwrap();
        match kept.contains(&(pts.mseconds() / 50)) {
            true => gst::PadProbeReturn::Ok,
            false => gst::PadProbeReturn::Handled,
        }
    });
    assert_eq!(pipeline.run(), [""; 0]);
    let (video, _) = decode(&point.recording());
    let times: Vec<_> = video[0].buffers.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, kept.map(|number| number * 50));
}
