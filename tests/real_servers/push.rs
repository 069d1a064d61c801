// SPDX-License-Identifier: MPL-2.0

//! One push by the element, and its expected result.

use std::process::Command;
use std::thread;
use std::time::Duration;

use gst::prelude::*;
use gstwmspush::wmhttp::HResult;
use publishing_point::{Fault, Push, Settings, When};

use crate::daemon;
use crate::rig::{Pipeline, Point, fixture_bytes};

/// Audio, 7 packets.
pub const AUDIO: &str = "audio_ffmpeg_p3200.asf";

/// Audio and video, 27 packets.
pub const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

pub const USER: &str = "alice";
pub const PASSWORD: &str = "0pen-Sesame";
pub const WRONG: &str = "0pen-Barley";
/// Alice's domain.
pub const DOMAIN: &str = "CAVE";

/// Returns a publishing point that does not close after the final `$E`, but waits for the client to close.
pub fn patient_point() -> Point {
    Point::with(Settings {
        faults: vec![(When::EveryPushStart, Fault::AfterEnd(None))],
        ..Settings::default()
    })
}

/// Returns the URLs of a publishing point up to the path.
pub fn origin(point: &Point) -> String {
    format!("http://{}", point.handle.local_addr())
}

/// Returns a line for Alice in a file of Digest users; `sum` is the program that computes the hash.
pub fn htdigest(realm: &str, sum: &str) -> String {
    let script = format!(r#"printf %s "$1" | {sum}"#);
    let secret = format!("{USER}:{realm}:{PASSWORD}");
    let mut command = Command::new("/bin/sh");
    let printed = daemon::output(command.args(["-c", &script, "sh", &secret]));
    let hash = printed.split(' ').next().unwrap();
    format!("{USER}:{realm}:{hash}\n")
}

/// Returns a pipeline that pushes a file as Alice.
pub fn as_alice(file: &str, location: &str, password: &str, properties: &str) -> Pipeline {
    let pipeline = Pipeline::file(file, location, properties);
    pipeline.sink.set_property("user-id", USER);
    pipeline.sink.set_property("user-pw", password);
    pipeline
}

/// Returns a pipeline without data, for [`push_later`].
pub fn without_data(location: &str, properties: &str) -> Pipeline {
    Pipeline::new(&format!(
        "appsrc name=src format=bytes ! wmspushsink name=sink location={location} {properties}"
    ))
}

/// Connects, waits for `after`, and begins to push a file.
#[track_caller]
pub fn begin_later(pipeline: &Pipeline, file: &str, after: Duration) {
    pipeline.play();
    pipeline.messages_until("WMT_OPENED connecting→connected S_OK");
    // There is no event to wait for.
    thread::sleep(after);
    let source = pipeline.pipeline.by_name("src").unwrap();
    let buffer = gst::Buffer::from_slice(fixture_bytes(file));
    let push = &[&buffer as &dyn ToValue][..];
    for (signal, arguments) in [("push-buffer", push), ("end-of-stream", &[])] {
        let flow = source.emit_by_name::<gst::FlowReturn>(signal, arguments);
        assert_eq!(flow, gst::FlowReturn::Ok);
    }
}

/// Pushes a file like that, to the end.
#[track_caller]
pub fn push_later(pipeline: &Pipeline, file: &str, after: Duration) {
    begin_later(pipeline, file, after);
    let messages = pipeline.messages_until("EOS");
    let complaint = |line: &String| line.starts_with("ERROR") || line.starts_with("WARNING");
    assert!(!messages.iter().any(complaint), "{messages:#?}");
}

/// Asserts that everything is received, to the final `$E`, without warnings.
#[track_caller]
pub fn assert_arrives(pipeline: &Pipeline, point: &Point) -> Push {
    let messages = pipeline.run();
    let complaint = |line: &String| line.starts_with("ERROR") || line.starts_with("WARNING");
    assert!(!messages.iter().any(complaint), "{messages:#?}");
    let push = point.ended();
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("packets-sent"), Ok(push.data_packets));
    let file = pipeline.pipeline.iterate_sources().next().unwrap().unwrap();
    let file = file.property::<String>("location");
    let whole = if file.ends_with(AUDIO) { 7 } else { 27 };
    assert_eq!(push.data_packets, whole);
    assert_eq!(push.end, Some(HResult::S_OK));
    push
}

/// Asserts one ERROR, NOT_AUTHORIZED with this status, and that no push is received.
#[track_caller]
pub fn assert_refused(pipeline: &Pipeline, point: &Point, status: u32) {
    let (details, mut messages) = pipeline.fail();
    messages.extend(pipeline.messages_until("PROGRESS connect Error"));
    messages.extend(pipeline.messages_left());
    let errors: Vec<&String> = messages
        .iter()
        .filter(|line| line.starts_with("ERROR"))
        .collect();
    assert_eq!(errors.len(), 1, "{messages:#?}");
    let phase = if status == 407 { "proxy" } else { "setup" };
    let code = format!("ERROR RESOURCE/NotAuthorized {phase} ");
    assert!(errors[0].starts_with(&code), "{messages:#?}");
    assert_eq!(details.get::<u32>("http-status-code"), Ok(status));
    assert!(point.handle.requests().is_empty());
}
