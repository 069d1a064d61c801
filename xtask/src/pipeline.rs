// SPDX-License-Identifier: MPL-2.0

//! The pipelines of the demo, run by gst-launch-1.0 with the newly built plugin.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::run::{self, Result};
use crate::workspace::Workspace;

/// Ten seconds of test picture and tone as Windows Media Video and Audio in ASF, to the sink and to a file.
pub const BY_HAND: &str = "\
    videotestsrc is-live=true num-buffers=300 ! video/x-raw,width=320,height=240,framerate=30/1 \
    ! avenc_wmv2 bitrate=500000 ! identity single-segment=true ! asfmux name=m streamable=true \
    audiotestsrc is-live=true num-buffers=431 samplesperbuffer=1024 ! audio/x-raw,rate=44100 ! avenc_wmav2 ! m. \
    m. ! tee name=t \
    t. ! queue ! wmspushsink location=LOCATION \
    t. ! queue ! filesink location=FILE";

/// The same picture and tone, encoded by the bin.
pub const WITH_BIN: &str = "\
    videotestsrc is-live=true num-buffers=300 ! video/x-raw,width=320,height=240,framerate=30/1 \
    ! wmspushbin name=p location=LOCATION video-bitrate=500000 \
    audiotestsrc is-live=true num-buffers=431 samplesperbuffer=1024 ! audio/x-raw,rate=44100 ! p.";

/// The same picture and tone without an end.
pub const ENDLESS: &str = "\
    videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 \
    ! wmspushbin name=p location=LOCATION video-bitrate=500000 key-frame-interval=1000 \
    audiotestsrc is-live=true wave=ticks ! p.";

/// Decodes all streams of a file, and discards the output.
const DECODE: &str = "\
    filesrc location=FILE ! decodebin name=d \
    d. ! queue ! videoconvert ! fakesink \
    d. ! queue ! audioconvert ! fakesink";

/// Limit on a pipeline of ten seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Checks that GStreamer loads the element, so that a broken plugin is not reported as a failed push.
pub fn require_element(workspace: &Workspace) -> Result {
    let mut command = gstreamer(workspace, "gst-inspect-1.0");
    // By default, it requires the plugin to have GStreamer's version.
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

/// Runs a pipeline to its end, and prints its output.
pub fn push(workspace: &Workspace, pipeline: &str, location: &str, file: &Path) -> Result {
    let mut command = launch(workspace, pipeline, location, file);
    println!("==> {}", run::shown(&command));
    run::followed(&mut command, LIMIT, |line| println!("[gst-launch] {line}"))
}

/// Decodes a recording to its end.
pub fn decode(workspace: &Workspace, recording: &Path) -> Result {
    let mut command = launch(workspace, DECODE, "", recording);
    run::bounded(&mut command, LIMIT)
        .map_err(|message| format!("GStreamer does not decode the recording: {message}"))?;
    println!("    GStreamer decoded it to the end");
    Ok(())
}

/// Returns gst-launch-1.0 with a pipeline, in which `LOCATION` and `FILE` are replaced.
pub fn launch(workspace: &Workspace, pipeline: &str, location: &str, file: &Path) -> Command {
    let mut command = gstreamer(workspace, "gst-launch-1.0");
    command.args(["-e", "--no-position"]);
    let file = workspace.short(file);
    let words = pipeline.split_whitespace();
    command.args(words.map(|word| word.replace("LOCATION", location).replace("FILE", &file)));
    command
}

/// Returns a program of GStreamer that uses the newly built plugin, English messages, and no proxy for this machine.
fn gstreamer(workspace: &Workspace, program: &str) -> Command {
    let mut command = workspace.command(program);
    workspace
        .with_registry(&mut command)
        .env("GST_PLUGIN_PATH", workspace.plugin_directory())
        // It would take precedence over the one above.
        .env_remove("GST_PLUGIN_PATH_1_0")
        .env("LC_ALL", "C.UTF-8")
        .env("no_proxy", "127.0.0.1")
        .env("NO_PROXY", "127.0.0.1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_stays_one_word() {
        let workspace = Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
        };
        let command = launch(&workspace, DECODE, "", Path::new("/w/a b/live.asf"));
        let words: Vec<_> = command.get_args().skip(2).take(4).collect();
        assert_eq!(
            words,
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
