// SPDX-License-Identifier: MPL-2.0

//! Nothing leaks, by GStreamer's leaks tracer and by valgrind.
#![cfg(unix)]

mod plugin;

use std::path::Path;
use std::process::Command;

use publishing_point::{Fault, MidBody, PublishingPoint, Running, Settings, When};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

const LIVE: &str = "videotestsrc is-live=true num-buffers=30 ! avenc_wmv2 ! identity single-segment=true \
    ! asfmux name=m streamable=true  audiotestsrc is-live=true num-buffers=40 ! avenc_wmav2 ! m.  m.";

fn point(faults: Vec<(When, Fault)>) -> Running {
    let settings = Settings {
        faults,
        ..Settings::default()
    };
    PublishingPoint::bind(settings).unwrap().spawn().unwrap()
}

/// The exit status of `timeout` for a program that it killed.
const TIMED_OUT: i32 = 124;

/// Returns a program that finds the plugin, with a time limit.
fn command(name: &str, program: &str) -> Command {
    let registry = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("leaks-{name}.registry"));
    let mut command = Command::new("timeout");
    command
        .args(["120", program])
        .env("GST_PLUGIN_PATH", plugin::directory())
        .env("GST_REGISTRY", registry);
    command
}

/// Runs gst-launch-1.0 to the end of the pipeline under the tracer. Returns whether that was EOS.
///
/// Objects that another thread is freeing while the program ends are no leaks: a leak is found in each run.
fn assert_clean(name: &str, pipeline: &str) -> bool {
    const TIMES: usize = 5;
    let mut runs = (0..TIMES).map(|_| traced(name, pipeline));
    let clean = runs.find(|(leaks, _)| leaks.is_empty());
    let (_, ended) = clean.unwrap_or_else(|| panic!("{name} leaks: {:#?}", traced(name, pipeline)));
    ended
}

/// Returns the findings of the tracer, and whether the pipeline reached EOS.
fn traced(name: &str, pipeline: &str) -> (Vec<String>, bool) {
    let output = command(name, "gst-launch-1.0")
        .args(pipeline.split_whitespace())
        .env("GST_TRACERS", "leaks")
        .env("GST_DEBUG", "GST_TRACER:7")
        .env("GST_DEBUG_NO_COLOR", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("GST_TRACER"),
        "the tracer says nothing: {told}"
    );
    assert_ne!(output.status.code(), Some(TIMED_OUT), "{name} hangs");
    let leaks = told
        .lines()
        // The tracer first prints the format of its lines, with placeholders.
        .filter(|line| line.contains("object-alive,") && !line.contains("%s"))
        .map(str::to_owned);
    (leaks.collect(), output.status.success())
}

fn file(properties: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("proto/tests/fixtures")
        .join(AUDIO_VIDEO);
    let path = path.display();
    format!("filesrc location={path} ! wmspushsink {properties}")
}

#[test]
fn a_file_leaves_nothing_behind() {
    let point = point(Vec::new());
    let location = point.url("live");
    assert!(assert_clean("file", &file(&format!("location={location}"))));
}

#[test]
fn a_live_stream_leaves_nothing_behind() {
    let point = point(Vec::new());
    let location = point.url("live");
    assert!(assert_clean(
        "live",
        &format!("{LIVE} ! wmspushsink location={location}")
    ));
}

#[test]
fn a_bin_leaves_nothing_behind() {
    let point = point(Vec::new());
    let location = point.url("live");
    assert!(assert_clean(
        "bin",
        &format!(
            "videotestsrc is-live=true num-buffers=30 ! wmspushbin name=p location={location} \
             audiotestsrc is-live=true num-buffers=40 ! p."
        )
    ));
}

#[test]
fn a_resumed_push_leaves_nothing_behind() {
    let reset = Fault::AfterPackets(5, MidBody::Reset);
    let point = point(vec![(When::PushStart(0), reset)]);
    let location = point.url("live");
    assert!(assert_clean(
        "resumed",
        &file(&format!("location={location}"))
    ));
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let location = "location=http://127.0.0.1:9/live";
    assert!(!assert_clean("failure", &file(location)));
}

/// No leaks and no invalid accesses: connect, stream, lose, resume, end.
#[cfg(target_os = "linux")]
#[test]
fn valgrind_finds_no_errors() {
    let reset = Fault::AfterPackets(5, MidBody::Reset);
    let point = point(vec![(When::PushStart(0), reset)]);
    let pipeline = file(&format!("sync=false location={}", point.url("live")));
    // The registry is built without valgrind, because that takes long and forks.
    let mut inspect = command("valgrind", "gst-inspect-1.0");
    let found = inspect.arg("wmspushsink").output().unwrap();
    assert!(found.status.success(), "{found:?}");
    let suppressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/valgrind.supp");
    let output = command("valgrind", "valgrind")
        .args(["--leak-check=full", "--show-leak-kinds=definite"])
        .args(["--errors-for-leak-kinds=definite", "--error-exitcode=99"])
        .arg(format!("--suppressions={}", suppressions.display()))
        .arg("gst-launch-1.0")
        .args(pipeline.split_whitespace())
        .env("G_SLICE", "always-malloc")
        .env("G_DEBUG", "gc-friendly")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("ERROR SUMMARY: 0 errors"), "{told}");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("Got EOS"), "{shown}");
    let push = point.pushes().remove(0);
    assert_eq!((push.push_starts, push.over), (2, true));
}
