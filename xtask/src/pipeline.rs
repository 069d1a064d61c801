// SPDX-License-Identifier: MPL-2.0

//! The pipelines of the demo, run by gst-launch-1.0 with the plugin that was just built.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{PipeWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::messages;
use crate::run::{self, Process, Result};
use crate::workspace::Workspace;

/// Ten seconds of test picture and tone as Windows Media Video and Audio in ASF, to the sink and beside it to a file.
pub const BY_HAND: &str = "\
    videotestsrc is-live=true num-buffers=300 ! video/x-raw,width=320,height=240,framerate=30/1 \
    ! avenc_wmv2 bitrate=500000 ! identity single-segment=true ! asfmux name=m streamable=true \
    audiotestsrc is-live=true num-buffers=431 samplesperbuffer=1024 ! audio/x-raw,rate=44100 ! avenc_wmav2 ! m. \
    m. ! tee name=t \
    t. ! queue ! wmspushsink location=LOCATION \
    t. ! queue ! filesink location=PUSHED";

/// The same picture and tone, encoded by the bin.
pub const WITH_BIN: &str = "\
    videotestsrc is-live=true num-buffers=300 ! video/x-raw,width=320,height=240,framerate=30/1 \
    ! wmspushbin name=p location=LOCATION video-bitrate=500000 \
    audiotestsrc is-live=true num-buffers=431 samplesperbuffer=1024 ! audio/x-raw,rate=44100 ! p.";

/// The same without an end.
const PUSH_ON: &str = "\
    videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 \
    ! wmspushbin name=p location=LOCATION video-bitrate=500000 key-frame-interval=1000 \
    audiotestsrc is-live=true wave=ticks ! p.";

/// Decodes all streams of a file and throws the result away.
const DECODE: &str = "\
    filesrc location=RECORDING ! decodebin name=d \
    d. ! queue ! videoconvert ! fakesink \
    d. ! queue ! audioconvert ! fakesink";

/// The longest that ten seconds of live material may take to push.
const PUSH_LIMIT: Duration = Duration::from_secs(60);

/// The longest that decoding the recording may take.
const DECODE_LIMIT: Duration = Duration::from_secs(60);

/// How much of the log a failure shows.
const TAIL: usize = 25;

/// The files of one demo.
#[derive(Debug)]
pub struct Files<'a> {
    /// What asfmux made, written beside the push.
    pub pushed: &'a Path,
    /// All that gst-launch-1.0 printed.
    pub log: &'a Path,
    /// The plugin registry; the user's is not touched.
    pub registry: &'a Path,
}

/// Makes sure that GStreamer loads the element, so that a broken plugin is told apart from a failed push.
pub fn require_element(workspace: &Workspace, registry: &Path) -> Result {
    let mut command = gstreamer(workspace, "gst-inspect-1.0", registry);
    // Without a version, it wants the plugin to be as new as GStreamer itself.
    command.args(["--exists", "--atleast-version=0.0", "wmspushsink"]);
    if run::succeeds(&mut command) {
        return Ok(());
    }
    let plugins = workspace.short(&workspace.plugin_directory());
    Err(format!(
        "GStreamer does not find the element wmspushsink in {plugins}; \
         GST_PLUGIN_PATH={plugins} GST_DEBUG=GST_PLUGIN_LOADING:4 gst-inspect-1.0 wmspushsink tells why"
    ))
}

/// Pushes to `location` with a pipeline, showing the progress as it comes.
pub fn push(workspace: &Workspace, files: &Files, pipeline: &str, location: &str) -> Result {
    let mut command = gstreamer(workspace, "gst-launch-1.0", files.registry);
    command.args(["-m", "-e"]);
    let pushed = workspace.short(files.pushed);
    add(
        &mut command,
        pipeline,
        &[("LOCATION", location), ("PUSHED", &pushed)],
    );
    println!("==> {}", run::shown(&command));
    let mut tail = VecDeque::new();
    follow(&mut command, files.log, &mut tail).map_err(|message| {
        let tail: Vec<String> = tail.into();
        format!(
            "the push failed: {message}\nThe end of {}:\n{}",
            workspace.short(files.log),
            tail.join("\n")
        )
    })
}

/// Pushes to `location` until Ctrl-C, holding a leash: in place of this program where the system has that, so that
/// whatever ends it ends the push.
pub fn push_on(
    workspace: &Workspace,
    registry: &Path,
    location: &str,
    leash: PipeWriter,
) -> Result {
    let mut command = gstreamer(workspace, "gst-launch-1.0", registry);
    command.args(["-q", "-e", "--no-position"]);
    add(&mut command, PUSH_ON, &[("LOCATION", location)]);
    println!("==> {}", run::shown(&command));
    command.stdin(leash);
    #[cfg(unix)]
    {
        let error = std::os::unix::process::CommandExt::exec(&mut command);
        Err(format!("cannot start gst-launch-1.0: {error}"))
    }
    #[cfg(not(unix))]
    run::through(&mut command)
}

/// Runs the push to its end: every line into the log, the condensed ones shown, the last ones kept.
fn follow(command: &mut Command, log: &Path, tail: &mut VecDeque<String>) -> Result {
    let unwritable = |error| format!("cannot write {}: {error}", log.display());
    let mut log = File::create(log).map_err(unwritable)?;
    let deadline = Instant::now() + PUSH_LIMIT;
    let process = Process::start(command)?;
    while let Some(line) = process.line(deadline)? {
        writeln!(log, "{line}").map_err(unwritable)?;
        if let Some(text) = messages::condensed(&line) {
            println!("[gst-launch] {text}");
        }
        if !messages::is_chatter(&line) {
            tail.push_back(line);
        }
        if tail.len() > TAIL {
            tail.pop_front();
        }
    }
    process.finish(deadline)
}

/// Decodes a recording with GStreamer.
pub fn decode(workspace: &Workspace, recording: &Path, registry: &Path) -> Result {
    let mut command = gstreamer(workspace, "gst-launch-1.0", registry);
    command.arg("-q");
    let recording = workspace.short(recording);
    add(&mut command, DECODE, &[("RECORDING", &recording)]);
    run::bounded(&mut command, DECODE_LIMIT).map(drop)
}

/// Adds a pipeline's words as arguments, with its placeholders replaced.
fn add(command: &mut Command, pipeline: &str, placeholders: &[(&str, &str)]) {
    for word in pipeline.split_whitespace() {
        let replaced = placeholders
            .iter()
            .fold(word.to_owned(), |word, (name, value)| {
                word.replace(name, value)
            });
        command.arg(replaced);
    }
}

/// A program of GStreamer that uses the plugin just built, speaks English and takes no proxy to this machine.
fn gstreamer(workspace: &Workspace, program: &str, registry: &Path) -> Command {
    let mut command = workspace.command(program);
    command
        .env("GST_PLUGIN_PATH", workspace.plugin_directory())
        .env("GST_REGISTRY", registry)
        // These would win over the two above.
        .env_remove("GST_PLUGIN_PATH_1_0")
        .env_remove("GST_REGISTRY_1_0")
        .env("LC_ALL", "C.UTF-8")
        .env("no_proxy", "127.0.0.1")
        .env("NO_PROXY", "127.0.0.1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_becomes_words_and_a_path_with_spaces_stays_one() {
        let mut command = Command::new("gst-launch-1.0");
        add(&mut command, DECODE, &[("RECORDING", "a b/live.asf")]);
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(
            words[..4],
            ["filesrc", "location=a b/live.asf", "!", "decodebin"]
        );
    }

    #[test]
    fn sources_end_after_ten_seconds() {
        for pipeline in [BY_HAND, WITH_BIN] {
            assert!(pipeline.contains("num-buffers=300") && pipeline.contains("framerate=30/1"));
            // 431 × 1024 samples at 44,100 Hz.
            assert!(pipeline.contains("num-buffers=431") && pipeline.contains("rate=44100"));
        }
    }
}
