// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask demo`: ten seconds of live test picture and tone through the plugin to the project's own publishing
//! point, and a proof that they arrived; then the same with `wmspushbin`. With `--watch` no end, and URLs to watch it at.

use std::path::PathBuf;

use crate::pipeline::{self, Files};
use crate::publishing_point::{self, PublishingPoint, Watched};
use crate::run::{self, Result};
use crate::workspace::Workspace;
use crate::{proof, setup, test};

/// The publishing point's name; its recording is named after it.
const POINT: &str = "live";

/// The publishing point of `wmspushbin`.
const BIN_POINT: &str = "bin";

/// Where everything goes.
#[derive(Debug)]
struct Paths {
    /// The folder of all of them.
    folder: PathBuf,
    /// What asfmux made.
    pushed: PathBuf,
    /// What the publishing point recorded.
    recording: PathBuf,
    /// What the publishing point recorded of `wmspushbin`.
    bin_recording: PathBuf,
    /// One picture of the recording.
    picture: PathBuf,
    /// What gst-launch-1.0 printed.
    log: PathBuf,
    /// GStreamer's registry.
    registry: PathBuf,
}

impl Paths {
    /// The paths of a demo in this workspace.
    fn new(workspace: &Workspace) -> Self {
        let folder = workspace.target.join("demo");
        Self {
            pushed: folder.join("pushed.asf"),
            recording: folder.join(format!("{POINT}.asf")),
            bin_recording: folder.join(format!("{BIN_POINT}.asf")),
            picture: folder.join("picture.png"),
            log: folder.join("gst-launch.log"),
            registry: folder.join("registry.bin"),
            folder,
        }
    }

    /// Makes the folder and removes what an earlier demo left, so that nothing old can pass for new.
    fn clear(&self) -> Result {
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| format!("cannot make {}: {error}", self.folder.display()))?;
        for path in [
            &self.pushed,
            &self.recording,
            &self.bin_recording,
            &self.picture,
            &self.log,
            &self.registry,
        ] {
            if path.exists() {
                std::fs::remove_file(path)
                    .map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// Runs the demo.
pub fn run(watch: bool) -> Result {
    setup::ensure(false)?;
    let workspace = Workspace::find()?;
    for arguments in [test::BUILD, publishing_point::BUILD] {
        let mut build = workspace.cargo(arguments);
        println!("==> {}", run::shown(&build));
        run::through(&mut build)?;
    }
    workspace.require_plugin()?;
    let paths = Paths::new(&workspace);
    paths.clear()?;
    pipeline::require_element(&workspace, &paths.registry)?;
    if watch {
        return self::watch(&workspace, &paths);
    }
    push(&workspace, &paths)?;
    prove(&workspace, &paths)?;
    println!(
        "==> the demo worked: what was pushed has arrived, and can be decoded\n    recording: {}\n    picture:   {}",
        workspace.short(&paths.recording),
        workspace.short(&paths.picture)
    );
    Ok(())
}

/// Pushes to a publishing point of its own.
fn push(workspace: &Workspace, paths: &Paths) -> Result {
    let point = PublishingPoint::start(workspace, &paths.folder)?;
    let files = Files {
        pushed: &paths.pushed,
        log: &paths.log,
        registry: &paths.registry,
    };
    let pushes = [(pipeline::BY_HAND, POINT), (pipeline::WITH_BIN, BIN_POINT)];
    let mut pushes = pushes.into_iter();
    let pushed = pushes.try_for_each(|(pipeline, name)| {
        pipeline::push(workspace, &files, pipeline, &format!("{}{name}", point.url))
    });
    // Stopped in any case: what it says belongs to the report of a failure too.
    let stopped = point.stop();
    pushed.and(stopped)
}

/// Pushes until Ctrl-C, and tells where to look.
fn watch(workspace: &Workspace, paths: &Paths) -> Result {
    let point = Watched::start(workspace)?;
    let address = point.address;
    println!(
        "==> watch it with one of these; Ctrl-C ends it
    ffplay mmsh://{address}/{POINT}
    vlc mmsh://{address}/{POINT}
    gst-launch-1.0 playbin uri=http://{address}/{POINT}
    how it fares: http://{address}/status"
    );
    pipeline::push_on(
        workspace,
        &paths.registry,
        &format!("http://{address}/{POINT}"),
        point.leash,
    )
}

/// Checks the recording.
fn prove(workspace: &Workspace, paths: &Paths) -> Result {
    let recording = &paths.recording;
    println!("==> checking {}", workspace.short(recording));
    proof::same_packets(workspace, &paths.pushed, recording)?;
    proof::decoded_by_ffmpeg(workspace, &paths.pushed, recording)?;
    proof::decoded_by_gstreamer(workspace, recording, &paths.registry)?;
    proof::picture(workspace, recording, &paths.picture)?;
    let recording = &paths.bin_recording;
    println!("==> checking {}", workspace.short(recording));
    proof::decoded_by_ffmpeg(workspace, &paths.pushed, recording)?;
    proof::decoded_by_gstreamer(workspace, recording, &paths.registry)
}
