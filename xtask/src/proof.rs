// SPDX-License-Identifier: MPL-2.0

//! What the demo asks of the recording: that nothing was lost on the way, and that others can decode it.

use std::path::Path;
use std::time::Duration;

use crate::asf::{self, Summary};
use crate::pipeline;
use crate::run::{self, Result};
use crate::workspace::Workspace;

/// The fewest pictures of the 300 that have to come out again.
const VIDEO_FRAMES: u64 = 250;

/// The fewest audio frames; ten seconds are about 215 frames of 2048 samples.
const AUDIO_FRAMES: u64 = 201;

/// The longest that FFmpeg's programs may take over ten seconds of material.
const LIMIT: Duration = Duration::from_secs(60);

/// What every PNG file begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Requires that the recording has exactly the packets that were pushed.
pub fn same_packets(workspace: &Workspace, pushed: &Path, recording: &Path) -> Result {
    let pushed = read(workspace, pushed)?;
    let recorded = read(workspace, recording)?;
    println!(
        "    packets pushed {}, recorded {}, of {} bytes each",
        pushed.packets, recorded.packets, recorded.packet_size
    );
    if pushed == recorded && pushed.packets > 0 {
        return Ok(());
    }
    Err(format!(
        "the recording differs from what was pushed: expected {} packets (more than 0) of {} bytes, found {} of {}",
        pushed.packets, pushed.packet_size, recorded.packets, recorded.packet_size
    ))
}

/// Reads an ASF file's summary.
fn read(workspace: &Workspace, path: &Path) -> Result<Summary> {
    let name = workspace.short(path);
    let file = std::fs::read(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    asf::summary(&file).map_err(|message| format!("{name} is not as expected: {message}"))
}

/// Requires that FFmpeg decodes picture and tone.
pub fn decoded_by_ffmpeg(workspace: &Workspace, pushed: &Path, recording: &Path) -> Result {
    let (streams, remarks) = probe(workspace, recording)?;
    for (kind, least) in [("video", VIDEO_FRAMES), ("audio", AUDIO_FRAMES)] {
        let Some(found) = streams.iter().find(|stream| stream.kind == kind) else {
            return Err(format!(
                "ffprobe finds no {kind} stream in the recording: expected {least} frames or more\n{}",
                remarks.join("\n")
            ));
        };
        println!(
            "    ffprobe decoded {} {kind} frames ({})",
            found.frames, found.codec
        );
        if found.frames < least {
            return Err(format!(
                "too few {kind} frames in the recording: expected {least} or more, found {}\n{}",
                found.frames,
                remarks.join("\n")
            ));
        }
    }
    show_remarks(workspace, pushed, &remarks)
}

/// Counts frames with ffprobe: the streams, and the other lines that it printed.
fn probe(workspace: &Workspace, file: &Path) -> Result<(Vec<Stream>, Vec<String>)> {
    let mut command = workspace.command("ffprobe");
    command
        .args(["-v", "error", "-count_frames", "-of", "compact=p=0"])
        .args([
            "-show_entries",
            "stream=codec_type,codec_name,nb_read_frames",
        ])
        .arg(workspace.short(file));
    let lines = run::bounded(&mut command, LIMIT)?;
    let streams = lines.iter().filter_map(|line| stream(line)).collect();
    let remarks = lines
        .into_iter()
        .filter(|line| stream(line).is_none())
        .collect();
    Ok((streams, remarks))
}

/// Shows what ffprobe remarked on the recording, and whether what asfmux wrote was any better.
fn show_remarks(workspace: &Workspace, pushed: &Path, remarks: &[String]) -> Result {
    if remarks.is_empty() {
        return Ok(());
    }
    for remark in remarks {
        println!("    ffprobe remarks: {remark}");
    }
    let (_, of_pushed) = probe(workspace, pushed)?;
    println!(
        "    that is {} remarks; on {}, as asfmux wrote it, there are {}",
        remarks.len(),
        workspace.short(pushed),
        of_pushed.len()
    );
    Ok(())
}

/// One stream, as ffprobe counted it.
#[derive(Debug, PartialEq)]
struct Stream {
    /// `video` or `audio`.
    kind: String,
    /// The codec's name.
    codec: String,
    /// How many frames could be decoded.
    frames: u64,
}

/// Reads a line like `codec_name=wmv2|codec_type=video|nb_read_frames=300`; `N/A` is no frame.
fn stream(line: &str) -> Option<Stream> {
    let field = |name: &str| {
        line.split('|')
            .filter_map(|field| field.split_once('='))
            .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
    };
    Some(Stream {
        kind: field("codec_type")?,
        codec: field("codec_name")?,
        frames: field("nb_read_frames")?.parse().unwrap_or(0),
    })
}

/// Requires that GStreamer decodes picture and tone.
pub fn decoded_by_gstreamer(workspace: &Workspace, recording: &Path, registry: &Path) -> Result {
    pipeline::decode(workspace, recording, registry)
        .map_err(|message| format!("GStreamer does not decode the recording: {message}"))?;
    println!("    GStreamer decoded it to the end");
    Ok(())
}

/// Makes a picture of what the recording shows after two seconds.
pub fn picture(workspace: &Workspace, recording: &Path, picture: &Path) -> Result {
    let mut command = workspace.command("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .arg(workspace.short(recording))
        .args(["-ss", "2", "-frames:v", "1", "-update", "1"])
        .arg(workspace.short(picture));
    let lines = run::bounded(&mut command, LIMIT)?;
    let name = workspace.short(picture);
    if !std::fs::read(picture).is_ok_and(|file| file.starts_with(PNG)) {
        return Err(format!(
            "ffmpeg did not make a picture: expected a PNG file {name}\n{}",
            lines.join("\n")
        ));
    }
    println!("    one decoded picture is {name}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_line_is_read_by_its_names() {
        let expected = Stream {
            kind: "video".to_owned(),
            codec: "wmv2".to_owned(),
            frames: 300,
        };
        assert_eq!(
            stream("codec_name=wmv2|codec_type=video|nb_read_frames=300"),
            Some(expected)
        );
    }

    #[test]
    fn a_stream_that_cannot_be_decoded_has_no_frames() {
        let frames = stream("codec_name=unknown|codec_type=audio|nb_read_frames=N/A");
        assert_eq!(frames.map(|stream| stream.frames), Some(0));
    }

    #[test]
    fn a_remark_is_not_a_stream() {
        assert_eq!(
            stream("[asf @ 0x55b0] invalid padsize 4181 at:600651"),
            None
        );
    }
}
