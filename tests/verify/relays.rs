// SPDX-License-Identifier: MPL-2.0

//! Independent servers between the publishing point and viewers: ffmpeg and VLC.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::front::{Front, Way};
use crate::rig::{LONG, Pipeline, Point};
use crate::{address, assert_seen, on_air, verify};

/// A program that is killed when this is dropped.
struct Relay(Child);

impl Relay {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| {
            panic!("{command:?}: {error}; `cargo xtask test` installs what is needed")
        }))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address on which nothing listens.
fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Returns a push to a publishing point whose viewers get the output of the relay at `relay`.
fn relayed(point: &Point, relay: SocketAddr) -> Pipeline {
    let front = Front::new(address(point), move |_| Way::WhenUp(relay));
    on_air(point, &front.location(), "timeout=20000")
}

/// ffmpeg serves one client, and returns a file for any request.
#[test]
fn a_file_from_ffmpeg_is_seen() {
    let point = Point::new();
    let relay = unused_address();
    let pipeline = relayed(&point, relay);
    let _ffmpeg = Relay::start(
        Command::new("ffmpeg")
            .args(["-v", "error", "-i", &point.location()])
            .args(["-c", "copy", "-f", "asf", "-listen", "1"])
            .arg(format!("http://{relay}/live")),
    );
    assert_seen(&verify(&pipeline.sink));
}

fn vlc() -> Command {
    // VLC refuses to run as root.
    match fs::metadata("/proc/self").unwrap().uid() {
        0 => {
            // setpriv becomes VLC, so that VLC is killed.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--clear-groups", "cvlc"]);
            command
        }
        _ => Command::new("cvlc"),
    }
}

fn a_stream_from_vlc_is_seen(output: &str) {
    let point = Point::new();
    let relay = unused_address();
    let pipeline = relayed(&point, relay);
    let output = output.replace("ADDRESS", &relay.to_string());
    let _vlc = Relay::start(vlc().env("HOME", env!("CARGO_TARGET_TMPDIR")).args([
        "--intf",
        "dummy",
        &point.location(),
        "--sout",
        &output,
    ]));
    // VLC listens before it has a header.
    let deadline = Instant::now() + LONG;
    let mut verified = verify(&pipeline.sink);
    while verified.get::<bool>("ok") == Ok(false) && Instant::now() < deadline {
        verified = verify(&pipeline.sink);
    }
    assert_seen(&verified);
}

#[test]
fn a_file_from_vlc_is_seen() {
    a_stream_from_vlc_is_seen("#standard{access=http,mux=asf,dst=ADDRESS/live}");
}

/// VLC's own MS-WMSP server
#[test]
fn packets_from_vlc_are_seen() {
    a_stream_from_vlc_is_seen("#standard{access=mmsh,mux=asfh,dst=ADDRESS/live}");
}
