// SPDX-License-Identifier: MPL-2.0

//! `stats-interval`: `stats` as periodic messages.

use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::rig::{Pipeline, Point, fixture_bytes};

const NAME: &str = "wmspushsink-stats";

/// Time without a message: many times the interval of these tests.
const SILENCE: gst::ClockTime = gst::ClockTime::from_mseconds(300);

fn pipeline(point: &Point, interval: u32) -> Pipeline {
    Pipeline::new(&format!(
        "appsrc name=source ! wmspushsink name=sink sync=false stats-interval={interval} location={}",
        point.location()
    ))
}

/// Returns the next statistics on the bus within `timeout`.
fn next(pipeline: &Pipeline, timeout: gst::ClockTime) -> Option<gst::Structure> {
    let bus = pipeline.pipeline.bus().unwrap();
    let deadline = Instant::now() + Duration::from(timeout);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = gst::ClockTime::try_from(left).unwrap();
        let message = bus.timed_pop_filtered(left, &[gst::MessageType::Element])?;
        let structure = message.structure().unwrap();
        if structure.name() == NAME {
            assert_eq!(message.src(), Some(pipeline.sink.upcast_ref()));
            return Some(structure.to_owned());
        }
    }
}

fn assert_comes(pipeline: &Pipeline) -> gst::Structure {
    next(pipeline, gst::ClockTime::from_seconds(30)).expect("statistics")
}

/// Asserts that no messages follow, except one that was in flight.
fn assert_no_more(pipeline: &Pipeline) {
    while next(pipeline, gst::ClockTime::ZERO).is_some() {}
    assert_eq!(next(pipeline, SILENCE), None);
}

fn fields(structure: &gst::StructureRef) -> Vec<(String, glib::Type)> {
    let fields = structure.iter();
    fields
        .map(|(name, value)| (name.to_string(), value.type_()))
        .collect()
}

#[test]
fn messages_have_the_fields_of_the_property() {
    let point = Point::new();
    let pipeline = pipeline(&point, 20);
    pipeline.play();
    let told = assert_comes(&pipeline);
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert_eq!(fields(&told), fields(&stats));
    let source = pipeline.pipeline.by_name("source").unwrap();
    let buffer = gst::Buffer::from_slice(fixture_bytes("audio_ffmpeg_p3200.asf"));
    let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
    assert_eq!(pushed, gst::FlowReturn::Ok);
    let sent = std::iter::from_fn(|| next(&pipeline, gst::ClockTime::from_seconds(30)))
        .take(1000)
        .find(|told| told.get::<u64>("packets-sent") == Ok(7));
    assert!(sent.is_some(), "all seven packets");
}

#[test]
fn the_interval_can_be_changed_at_any_time() {
    let point = Point::new();
    let pipeline = pipeline(&point, 0);
    pipeline.play();
    pipeline.messages_until("WMT_OPENED");
    assert_eq!(next(&pipeline, SILENCE), None, "0 is never");
    for _ in 0..2 {
        pipeline.sink.set_property("stats-interval", 20u32);
        for _ in 0..3 {
            assert_comes(&pipeline);
        }
        pipeline.sink.set_property("stats-interval", 0u32);
        assert_no_more(&pipeline);
    }
}

/// The push has ended, and the pipeline has not.
#[test]
fn the_interval_can_be_changed_after_the_end() {
    let point = Point::new();
    let pipeline = pipeline(&point, 20);
    pipeline.play();
    assert_comes(&pipeline);
    pipeline.sink.emit_by_name::<bool>("disconnect", &[]);
    assert_comes(&pipeline);
    pipeline.sink.set_property("stats-interval", 0u32);
    assert_no_more(&pipeline);
    pipeline.sink.set_property("stats-interval", 20u32);
    assert_comes(&pipeline);
}

#[test]
fn no_statistics_follow_ready() {
    let point = Point::new();
    let pipeline = pipeline(&point, 20);
    for _ in 0..2 {
        pipeline.play();
        assert_comes(&pipeline);
        pipeline.pipeline.set_state(gst::State::Ready).unwrap();
        assert_no_more(&pipeline);
        pipeline.sink.set_property("stats-interval", 10u32);
        assert_no_more(&pipeline);
    }
}

/// Neither the timer nor the connection holds a reference.
#[test]
fn the_element_is_freed_with_its_last_reference() {
    let point = Point::new();
    for state in [gst::State::Null, gst::State::Ready, gst::State::Playing] {
        let pipeline = pipeline(&point, 20);
        pipeline.pipeline.set_state(state).unwrap();
        if state == gst::State::Playing {
            assert_comes(&pipeline);
        }
        pipeline.pipeline.set_state(gst::State::Null).unwrap();
        let weak = pipeline.sink.downgrade();
        drop(pipeline);
        // A thread that delivers a message holds a reference for a moment.
        let begun = Instant::now();
        while weak.upgrade().is_some() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{state:?}");
            std::thread::yield_now();
        }
    }
}
