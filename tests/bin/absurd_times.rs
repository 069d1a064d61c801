// SPDX-License-Identifier: MPL-2.0

//! Times near the ends of their range, and gaps of a year.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::rig::{Pipeline, Point};

const CAPS: &str = "video/x-raw,format=I420,width=64,height=64,framerate=25/1";

fn picture(time: gst::ClockTime) -> gst::Buffer {
    let mut picture = gst::Buffer::from_slice([128; 64 * 64 * 3 / 2]);
    picture.get_mut().unwrap().set_pts(time);
    picture
}

fn push(source: &gst::Element, time: gst::ClockTime) {
    let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&picture(time)]);
    assert_eq!(pushed, gst::FlowReturn::Ok);
}

fn pipeline(point: &Point) -> Pipeline {
    let source = format!("appsrc name=source format=time caps={CAPS}");
    Pipeline::new(point, &format!("{source} ! wmspushbin name=bin sync=false"))
}

/// A live source of a pipeline with a base time in the future subtracts it from an earlier time.
#[test]
fn the_last_possible_time_ends_nothing() {
    let point = Point::new("last-time");
    let pipeline = pipeline(&point);
    pipeline.play();
    let source = pipeline.element("source");
    push(&source, gst::ClockTime::ZERO);
    push(&source, gst::ClockTime::MAX);
    let ended = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    assert_eq!(ended, gst::FlowReturn::Ok);
    pipeline.wait_for_eos();
}

#[test]
fn a_gap_of_a_century_does_not_delay_the_stop() {
    const CENTURY: gst::ClockTime = gst::ClockTime::from_seconds(100 * 365 * 24 * 3600);
    let point = Point::new("long-gap");
    let pipeline = pipeline(&point);
    pipeline.play();
    let source = pipeline.element("source");
    for number in 0..50 {
        push(&source, number * 40 * gst::ClockTime::MSECOND);
    }
    point.data(1);
    let (sent, returned) = mpsc::channel();
    let pad = source.static_pad("src").unwrap();
    let filling = std::thread::spawn(move || {
        let gap = gst::event::Gap::builder(2 * gst::ClockTime::SECOND).duration(CENTURY);
        sent.send(pad.push_event(gap.build())).unwrap();
    });
    point.data(10);
    let stops = Instant::now();
    pipeline.stop();
    returned.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(stops.elapsed() < Duration::from_secs(5));
    filling.join().unwrap();
}

/// An application gives one stream the time of day, and the other times from 0.
#[test]
fn a_stream_an_hour_ahead_is_reported_once() {
    let point = Point::new("ahead");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc timestamp-offset=3600000000000 ! video/x-raw,width=64,height=64 ! wmspushbin name=bin \
         audiotestsrc ! bin.",
    );
    pipeline.play();
    let message = pipeline.message(&[gst::MessageType::Warning]);
    let gst::MessageView::Warning(warning) = message.view() else {
        unreachable!("filtered")
    };
    let details = warning.details().unwrap();
    assert_eq!(details.get::<&str>("reason").unwrap(), "absurd-times");
    assert_eq!(details.get::<&str>("pad").unwrap(), "video_0");
    let text = warning.error().message().to_owned();
    assert!(text.contains("ahead of the other streams"), "{text}");
    // The sound goes on meanwhile.
    point.data(50);
    let bus = pipeline.pipeline.bus().unwrap();
    assert!(bus.pop_filtered(&[gst::MessageType::Warning]).is_none());
}
