// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask demo`: pushes ten seconds of live test picture and tone through the plugin to the project's publishing
//! point, and checks the recording; then the same with `wmspushbin`. With `--watch`, pushes without an end and prints
//! URLs for players.

use std::io::PipeWriter;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{self, Result};
use crate::workspace::Workspace;
use crate::{files, pipeline, proof};

/// Builds the publishing point.
const BUILD_POINT: &[&str] = &["build", "--package", "publishing-point"];

/// The pipelines, and the names of their publishing points and recordings.
const PUSHES: [(&str, &str); 2] = [("live", pipeline::BY_HAND), ("bin", pipeline::WITH_BIN)];

/// The port in the README.
const USUAL_PORT: u16 = 8080;

/// Polling interval of the publishing point.
const LOOK: Duration = Duration::from_millis(20);

/// Limit on the start of the publishing point, and on finishing its recordings.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs the demo.
pub fn run(workspace: &Workspace, watch: bool) -> Result {
    workspace.build_plugin()?;
    run::through(&mut workspace.cargo(BUILD_POINT))?;
    pipeline::require_element(workspace)?;
    if watch {
        return self::watch(workspace);
    }
    let folder = workspace.target.join("demo");
    files::clear(&folder)?;
    push(workspace, &folder)?;
    prove(workspace, &folder)?;
    let folder = workspace.short(&folder);
    println!(
        "==> the demo worked: what was pushed has arrived, and can be decoded\n    recording: {folder}/live.asf\n    \
         picture:   {folder}/picture.png"
    );
    Ok(())
}

/// Pushes to a publishing point that records.
fn push(workspace: &Workspace, folder: &Path) -> Result {
    let point = PublishingPoint::start(workspace, &["--record", &workspace.short(folder)])?;
    let pushed = PUSHES.into_iter().try_for_each(|(name, pipeline)| {
        let location = format!("http://{}/{name}", point.address);
        pipeline::push(workspace, pipeline, &location, &folder.join("pushed.asf"))
    });
    // Stopped in any case, because its output belongs to the report of a failure.
    let stopped = point.stop();
    pushed.and(stopped)
}

/// Pushes until Ctrl-C, and prints the URLs for players.
fn watch(workspace: &Workspace) -> Result {
    let point = PublishingPoint::start(workspace, &[])?;
    let (address, name) = (point.address, PUSHES[0].0);
    println!(
        "==> watch it with one of these; Ctrl-C ends it
    ffplay mmsh://{address}/{name}
    vlc mmsh://{address}/{name}
    gst-launch-1.0 playbin uri=http://{address}/{name}
    how it fares: http://{address}/status"
    );
    let location = format!("http://{address}/{name}");
    let mut push = pipeline::launch(workspace, pipeline::ENDLESS, &location, Path::new(""));
    push.stdin(point.leash);
    // Replaces this program if the system supports that, so that a signal ends the push.
    #[cfg(unix)]
    {
        println!("==> {}", run::shown(&push));
        let error = std::os::unix::process::CommandExt::exec(&mut push);
        Err(format!("cannot start gst-launch-1.0: {error}"))
    }
    #[cfg(not(unix))]
    run::through(&mut push)
}

/// Checks the recordings.
fn prove(workspace: &Workspace, folder: &Path) -> Result {
    for (name, _) in PUSHES {
        let recording = folder.join(format!("{name}.asf"));
        println!("==> checking {}", workspace.short(&recording));
        proof::decoded(workspace, &recording)?;
        pipeline::decode(workspace, &recording)?;
    }
    let recording = folder.join("live.asf");
    proof::same_packets(workspace, &folder.join("pushed.asf"), &recording)?;
    proof::picture(workspace, &recording, &folder.join("picture.png"))
}

/// The project's publishing point as a process, which ends when its standard input is closed.
struct PublishingPoint {
    /// The process.
    child: Child,
    /// The address that it listens on.
    address: SocketAddr,
    /// The writing end of its standard input.
    leash: PipeWriter,
}

impl PublishingPoint {
    /// Starts it on the README's port, or on a free one if that is in use.
    fn start(workspace: &Workspace, arguments: &[&str]) -> Result<Self> {
        let address = free_address().map_err(|error| format!("no port is free: {error}"))?;
        let pipe = std::io::pipe();
        let (input, leash) = pipe.map_err(|error| format!("cannot make a pipe: {error}"))?;
        let program = workspace.target.join("debug/publishing-point");
        let mut command = workspace.command(&program.to_string_lossy());
        command.args(["--listen", &address.to_string(), "--end-with-stdin"]);
        println!("==> {}", run::shown(command.args(arguments)));
        // Ctrl-C is meant for the push, which ends in good order first.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.stdin(input).spawn();
        let mut child =
            child.map_err(|error| format!("cannot start the publishing point: {error}"))?;
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect(address).is_err() {
            let ended = child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() > deadline {
                return Err("the publishing point did not start".to_owned());
            }
            thread::sleep(LOOK);
        }
        Ok(Self {
            child,
            address,
            leash,
        })
    }

    /// Closes its standard input, and waits until it has finished its recordings.
    fn stop(mut self) -> Result {
        drop(self.leash);
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK),
                ended => {
                    // Fails only for a process that has ended already.
                    let _ = self.child.kill();
                    return Err(format!("the publishing point did not end well: {ended:?}"));
                }
            }
        }
    }
}

/// Returns an address of this machine that is free at the moment.
fn free_address() -> std::io::Result<SocketAddr> {
    let usual = TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT));
    usual
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?
        .local_addr()
}
