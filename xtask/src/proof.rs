// SPDX-License-Identifier: MPL-2.0

//! The checks of the demo's recording: nothing was lost, and other programs can decode it.

use std::path::Path;
use std::time::Duration;

use crate::files;
use crate::run::{self, Result};
use crate::workspace::Workspace;

/// Minimum number of decoded frames of each kind: of 300 pictures, and of about 215 frames of 2048 samples.
const FRAMES: [(&str, u64); 2] = [("video", 250), ("audio", 201)];

/// The longest that FFmpeg's programs may take over ten seconds of material.
const LIMIT: Duration = Duration::from_secs(60);

/// The first bytes of every PNG file.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// ASF 10.1: the Data Object's GUID, as it stands in a file.
const DATA_OBJECT: [u8; 16] = [
    0x36, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C,
];

/// Size of the Data Object before its first packet, in bytes (ASF 5.1).
const DATA_START: usize = 50;

/// Checks that the recording has as many bytes of packets as were pushed, and each pushed frame, by FFmpeg's hash. The
/// bytes differ, because the plugin corrects padding that asfmux gets wrong.
pub fn same_packets(workspace: &Workspace, pushed: &Path, recording: &Path) -> Result {
    let (bytes, recorded_bytes) = (packets(workspace, pushed)?, packets(workspace, recording)?);
    let (frames, recorded_frames) = (frames(workspace, pushed)?, frames(workspace, recording)?);
    println!(
        "    bytes of packets pushed {bytes}, recorded {recorded_bytes}; frames pushed {}, recorded {}",
        frames.len(),
        recorded_frames.len()
    );
    if bytes == recorded_bytes && bytes > 0 && recorded_frames.starts_with(&frames) {
        return Ok(());
    }
    let differs = frames.iter().find(|frame| !recorded_frames.contains(frame));
    Err(format!(
        "the recording differs from what was pushed; the first frame that is missing: {differs:?}"
    ))
}

/// The number of bytes behind the start of the Data Object.
fn packets(workspace: &Workspace, path: &Path) -> Result<usize> {
    let name = workspace.short(path);
    let file = files::read(path)?;
    let mut places = file.windows(DATA_OBJECT.len());
    let place = places.position(|bytes| bytes == DATA_OBJECT);
    let place = place.ok_or_else(|| format!("{name} has no ASF Data Object"))?;
    Ok(file.len().saturating_sub(place + DATA_START))
}

/// The compressed frames that FFmpeg finds in a file.
fn frames(workspace: &Workspace, file: &Path) -> Result<Vec<String>> {
    let entries = "packet=stream_index,pts,size,data_hash";
    let mut lines = ffprobe(workspace, file, &["-show_data_hash", "CRC32"], entries)?;
    // The others are remarks of FFmpeg.
    lines.retain(|line| line.starts_with("stream_index="));
    Ok(lines)
}

/// Checks that FFmpeg decodes picture and tone.
pub fn decoded(workspace: &Workspace, recording: &Path) -> Result {
    let entries = "stream=codec_type,codec_name,nb_read_frames";
    let lines = ffprobe(workspace, recording, &["-count_frames"], entries)?;
    for (kind, least) in FRAMES {
        let stream = format!("|codec_type={kind}|nb_read_frames=");
        let found = lines.iter().find_map(|line| line.split_once(&stream));
        let frames = found.and_then(|(_, frames)| frames.parse().ok());
        println!("    ffprobe decoded {} {kind} frames", frames.unwrap_or(0));
        if frames.is_none_or(|frames: u64| frames < least) {
            return Err(format!(
                "too few {kind} frames in the recording: expected {least} or more\n{}",
                lines.join("\n")
            ));
        }
    }
    Ok(())
}

/// The lines that ffprobe prints about a file.
fn ffprobe(
    workspace: &Workspace,
    file: &Path,
    options: &[&str],
    entries: &str,
) -> Result<Vec<String>> {
    let mut command = workspace.command("ffprobe");
    command.args(["-v", "error", "-of", "compact=p=0"]);
    command.args(options).args(["-show_entries", entries]);
    run::bounded(command.arg(workspace.short(file)), LIMIT)
}

/// Writes the picture of the recording at two seconds.
pub fn picture(workspace: &Workspace, recording: &Path, picture: &Path) -> Result {
    let mut command = workspace.command("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .arg(workspace.short(recording))
        .args(["-ss", "2", "-frames:v", "1", "-update", "1"])
        .arg(workspace.short(picture));
    let lines = run::bounded(&mut command, LIMIT)?;
    if std::fs::read(picture).is_ok_and(|file| file.starts_with(PNG)) {
        return Ok(());
    }
    Err(format!(
        "ffmpeg did not make a picture: expected a PNG file {}\n{}",
        workspace.short(picture),
        lines.join("\n")
    ))
}
