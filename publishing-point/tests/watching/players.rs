// SPDX-License-Identifier: MPL-2.0

//! Independent players receive every frame: ffmpeg, libmms, VLC and GStreamer.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gst::prelude::*;
use publishing_point::{Handle, Leave};

use crate::client::serve;
use crate::stream::{AUDIO_VIDEO, Pusher, Stream};
use crate::viewer::{joined, left};

/// A temporary directory. It is writable for all users, because VLC refuses to run as root.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let name = format!("wmspush-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that is killed when this is dropped.
struct Player(Child);

impl Player {
    fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| {
            panic!("{command:?}: {error}; `cargo xtask test` installs what is needed")
        }))
    }

    fn finish(mut self) {
        self.0.wait().unwrap();
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a command with a time limit of one minute.
fn bounded(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["60", program]);
    command
}

/// Starts ffmpeg, which copies its input to a file.
fn ffmpeg(url: &str, into: &Path) -> Player {
    let mut command = bounded("ffmpeg");
    command.args([
        "-v", "error", "-i", url, "-c", "copy", "-f", "matroska", "-y",
    ]);
    Player::start(command.arg(into))
}

/// Starts libmms, which many players use, such as `mmssrc` of GStreamer up to 1.20.
fn libmms(url: &str, into: &Path) -> Player {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/watching/libmms.py");
    let mut command = bounded("python3");
    let out = File::create(into).unwrap();
    Player::start(command.arg(script).arg(url).stdout(out))
}

/// Starts VLC, which copies its input to a file. It refuses to run as root.
fn vlc(url: &str, into: &Path) -> Player {
    let mut command = match fs::metadata("/proc/self").unwrap().uid() {
        0 => {
            let mut command = bounded("runuser");
            command.args(["-u", "nobody", "--", "cvlc"]);
            command
        }
        _ => bounded("cvlc"),
    };
    command
        .env("HOME", into.parent().unwrap())
        .args(["--intf", "dummy", "--play-and-exit", "--demux", "dump"])
        .arg(format!("--demuxdump-file={}", into.display()))
        .arg(url);
    Player::start(command.stdout(Stdio::null()))
}

/// Returns the number of readable and of decodable frames for each stream of a file.
fn frames(file: &Path) -> String {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_packets",
            "-count_frames",
            "-of",
            "csv",
        ])
        .args([
            "-show_entries",
            "stream=codec_name,nb_read_packets,nb_read_frames",
        ])
        .arg(file)
        .output()
        .unwrap();
    let frames = String::from_utf8(output.stdout).unwrap();
    assert!(frames.contains("stream,wmv2,"), "{frames}");
    frames
}

/// Returns the same for these packets in a local file.
fn pushed(directory: &Directory, stream: &Stream, from: usize) -> String {
    let path = directory.file("pushed.asf");
    let mut file = File::create(&path).unwrap();
    file.write_all(stream.header.as_bytes()).unwrap();
    for packet in &stream.packets[from..] {
        file.write_all(packet.as_bytes()).unwrap();
    }
    frames(&path)
}

/// Several players of each kind run at once.
#[test]
fn every_player_receives_every_frame() {
    let directory = Directory::new("players");
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let http = point.url("live");
    let mmsh = http.replace("http:", "mmsh:");
    type Start = fn(&str, &Path) -> Player;
    let mut players: Vec<(&str, Start, &str)> = vec![
        ("ffmpeg.mkv", ffmpeg, &mmsh),
        ("ffmpeg-again.mkv", ffmpeg, &mmsh),
        ("ffmpeg-http.mkv", ffmpeg, &http),
    ];
    players.extend([
        ("libmms.asf", libmms as Start, &*mmsh),
        ("vlc.asf", vlc, &mmsh),
        ("vlc-http.asf", vlc, &http),
    ]);
    let mut running = Vec::new();
    for (name, start, url) in players {
        let file = directory.file(name);
        running.push((start(url, &file), file));
        joined(&point);
    }
    assert_eq!(point.viewers().len(), running.len());
    pusher.send(&stream.unpadded());
    pusher.end();
    let expected = pushed(&directory, &stream, 0);
    for (player, file) in running {
        player.finish();
        assert_eq!(frames(&file), expected, "{}", file.display());
        // Some players close the connection as soon as they have read the end.
        assert!(matches!(left(&point), Leave::End | Leave::Gone));
    }
}

/// From the latest key frame on, with the header.
#[test]
fn a_late_player_sees_each_frame_from_a_key_frame() {
    let directory = Directory::new("late");
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let unpadded = stream.unpadded();
    let start = stream.starts()[1];
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    pusher.send(&unpadded[..=start]);
    let file = directory.file("late.mkv");
    let player = ffmpeg(&point.url("live").replace("http:", "mmsh:"), &file);
    joined(&point);
    pusher.send(&unpadded[start + 1..]);
    pusher.end();
    player.finish();
    assert_eq!(frames(&file), pushed(&directory, &stream, start));
}

/// Returns the number of buffers for each stream that GStreamer's demuxer finds in the output of a source.
fn buffers(source: &str, ready: impl FnOnce()) -> Vec<(String, usize)> {
    gst::init().unwrap();
    let description = format!(
        "{source} ! asfdemux name=d  d.video_0 ! queue ! fakesink name=video signal-handoffs=true sync=false  d.audio_0 ! queue ! fakesink name=audio signal-handoffs=true sync=false"
    );
    let pipeline = gst::parse::launch(&description).unwrap();
    let bin = pipeline.clone().downcast::<gst::Bin>().unwrap();
    let counters = ["video", "audio"].map(|name| {
        let counter = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = counter.clone();
        bin.by_name(name)
            .unwrap()
            .connect("handoff", false, move |_| {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                None
            });
        (name.to_owned(), counter)
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    ready();
    let types = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(30), &types)
        .expect("an end");
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    counters
        .map(|(name, counter)| (name, counter.load(std::sync::atomic::Ordering::Relaxed)))
        .into()
}

/// Since 1.22 GStreamer has no `mmssrc`, and reads the stream by HTTP.
#[test]
fn gstreamer_receives_every_frame() {
    let directory = Directory::new("gstreamer");
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let handle: &Handle = &point;
    let watched = buffers(
        &format!("souphttpsrc location={}", point.url("live")),
        || {
            joined(handle);
            pusher.send(&stream.unpadded());
            pusher.end();
        },
    );
    pushed(&directory, &stream, 0);
    let file = directory.file("pushed.asf");
    let expected = buffers(&format!("filesrc location={}", file.display()), || {});
    assert_eq!(watched, expected);
}
