// SPDX-License-Identifier: MPL-2.0

//! One push with a fault: to its end, or stopped.

use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::reception::{FIXTURE, Reception};
use crate::rig::{LONG, Pipeline, fixture, text};
use crate::scene::Scene;

pub const USER: &str = "alice";
pub const PASSWORD: &str = "S3cretPasswordOfAlice";

/// Timeouts in milliseconds, short for these tests.
const WAITS: [(&str, u32); 4] = [
    ("timeout", 500),
    ("stall-timeout", 500),
    ("eos-timeout", EOS_TIMEOUT),
    ("reconnect-timeout", 3000),
];
const EOS_TIMEOUT: u32 = 3000;

pub const PROGRESS_ENDS: [&str; 3] = [
    "PROGRESS connect Complete",
    "PROGRESS connect Error",
    "PROGRESS connect Canceled",
];

/// The result of a push.
#[derive(Debug)]
pub struct Outcome {
    /// The messages of the element and the pipeline's EOS, as lines.
    pub messages: Vec<String>,
    /// The field `resumed` of each `WMT_RECONNECT_END`.
    pub resumed: Vec<bool>,
    pub took: Duration,
    pub stats: gst::Structure,
    pub reception: Option<Reception>,
}

/// Returns a pipeline with some 0.8 s of picture and sound, as from a live encoder.
pub fn pipeline(scene: &Scene) -> Pipeline {
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} blocksize=1500 ! identity sleep-time=30000 ! wmspushsink name=sink sync=false",
        fixture(FIXTURE)
    ));
    let sink = &pipeline.sink;
    for (property, value) in WAITS {
        sink.set_property(property, value);
    }
    sink.set_property("allow-cleartext-auth", true);
    sink.set_property("location", &scene.location);
    sink.set_property("user-id", USER);
    sink.set_property("user-pw", PASSWORD);
    for (property, value) in &scene.properties {
        sink.set_property_from_str(property, value);
    }
    pipeline
}

/// Pushes to EOS or ERROR. `each` is called with each message.
pub fn to_the_end(scene: &Scene, each: impl Fn(&Pipeline, &gst::Message)) -> Outcome {
    let pipeline = pipeline(scene);
    let begun = Instant::now();
    pipeline.play();
    let (mut messages, mut resumed) = (Vec::new(), Vec::new());
    let mut take = |message: &gst::Message| {
        each(&pipeline, message);
        resumed.extend(reconnected(message));
        let line = pipeline.line(message)?;
        messages.push(line.clone());
        Some(line)
    };
    let bus = pipeline.pipeline.bus().unwrap();
    // PROGRESS ends after the ERROR.
    let (mut failed, mut progresses) = (false, true);
    loop {
        let left = LONG.saturating_sub(begun.elapsed());
        let message = bus.timed_pop(gst::ClockTime::try_from(left).unwrap());
        let message = message.unwrap_or_else(|| panic!("no end, from {}", scene.location));
        let line = take(&message).unwrap_or_default();
        failed |= line.starts_with("ERROR");
        progresses &= !PROGRESS_ENDS.contains(&line.as_str());
        if line == "EOS" || (failed && !progresses) {
            break;
        }
    }
    let took = begun.elapsed();
    while let Some(message) = bus.pop() {
        take(&message);
    }
    let stats = pipeline.sink.property("stats");
    drop(pipeline);
    Outcome {
        messages,
        resumed,
        took,
        stats,
        reception: scene
            .point
            .as_ref()
            .map(|point| Reception::of(&point.handle.pushes())),
    }
}

fn reconnected(message: &gst::Message) -> Option<bool> {
    let status = message.structure()?;
    let ends = status.name() == "wmspushsink-status"
        && text(status, "wmt-status-name") == "WMT_RECONNECT_END";
    ends.then(|| status.get("resumed").unwrap())
}

/// Returns the duration of stopping the element during the fault; `None` if the fault does not happen.
pub fn to_null(scene: &Scene, fault: &str) -> Option<Duration> {
    let pipeline = pipeline(scene);
    pipeline.play();
    if !scene.await_fault(fault) {
        return None;
    }
    let begun = Instant::now();
    pipeline.pipeline.set_state(gst::State::Null).unwrap();
    Some(begun.elapsed())
}

/// Returns the duration of sending EOS during the fault, and the time from then to EOS or ERROR; `None` if the fault,
/// or the end, does not happen.
pub fn to_eos(scene: &Scene, fault: &str) -> Option<(Duration, Duration)> {
    let pipeline = pipeline(scene);
    pipeline.play();
    if !scene.await_fault(fault) {
        return None;
    }
    // GStreamer hangs if EOS is sent to a pipeline that is changing to PLAYING, where an ERROR leaves it.
    let long = gst::ClockTime::try_from(LONG).unwrap();
    let (playing, ..) = pipeline.pipeline.state(long);
    let begun = Instant::now();
    if playing.is_ok() {
        pipeline.pipeline.send_event(gst::event::Eos::new());
    }
    let sent = begun.elapsed();
    let bus = pipeline.pipeline.bus().unwrap();
    let last = [gst::MessageType::Eos, gst::MessageType::Error];
    bus.timed_pop_filtered(long, &last)?;
    Some((sent, begun.elapsed()))
}

/// Limit on stopping.
pub const NULL_BOUND: Duration = Duration::from_millis(100);
pub const SEND_BOUND: Duration = Duration::from_millis(200);
/// Limit on EOS: its timeout, and a reserve for a loaded machine.
pub const EOS_BOUND: Duration = Duration::from_millis(EOS_TIMEOUT as u64 + 1000);
