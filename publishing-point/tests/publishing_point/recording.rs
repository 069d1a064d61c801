// SPDX-License-Identifier: MPL-2.0

//! Recordings that play in other programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use gst::prelude::*;
use publishing_point::{Closer, Event, Running};
use wmspush_proto::asf::{DataPacket, FileHeader, Item, KeyFrames, Reader};

use super::client::{Client, ENDLESS, data_packets, end, event, packet, serve, stream_change};
use super::closed_by;
#[cfg(unix)]
use super::program::Program;
use payloads::payloads;

#[path = "../../../proto/tests/invariants/payloads.rs"]
mod payloads;

/// A temporary directory.
pub struct Directory(PathBuf);

impl std::ops::Deref for Directory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn directory(test: &str) -> Directory {
    let name = format!("recording_{test}_{}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&path).unwrap();
    Directory(path)
}

fn recording(directory: &Path) -> Running {
    serve(|settings| settings.record = Some(directory.to_owned()))
}

pub fn read(path: impl AsRef<Path>) -> (FileHeader, Vec<DataPacket>) {
    let mut reader = Reader::new();
    reader.push(std::fs::read(path).unwrap().into());
    let Some(Item::Header(header)) = reader.next_item().unwrap() else {
        panic!("no header");
    };
    let mut packets = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::DataUnit(packet) => packets.push(packet),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reader.finish(), Ok(None));
    (header, packets)
}

/// Returns the header of a live stream and its packets, without indexes.
pub fn live(fixture: &str) -> (Bytes, Vec<DataPacket>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/fixtures");
    let mut reader = Reader::new();
    reader.push(std::fs::read(path.join(fixture)).unwrap().into());
    let (mut header, mut packets) = (None, Vec::new());
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Header(found) => header = Some(found.to_live().as_bytes().clone()),
            Item::DataUnit(packet) => packets.push(packet),
            Item::Skipped(_) => {}
        }
    }
    (header.unwrap(), packets)
}

pub fn unpadded(packet: &DataPacket) -> Vec<u8> {
    let unpadded = packet.without_padding();
    [unpadded.head.as_slice(), &unpadded.body].concat()
}

/// Sends PushSetup, PushStart and `$H`.
fn streaming(point: &Running, header: &[u8]) -> Client {
    let mut client = Client::connect(point);
    client.setup("/live");
    client.start("/live", ENDLESS);
    client.send(packet(b'H', header));
    client
}

fn recorded(point: &Running) -> (PathBuf, u64) {
    match event(point, |event| matches!(event, Event::Recorded { .. })) {
        Event::Recorded { path, packets, .. } => (path, packets),
        other => panic!("{other}"),
    }
}

/// Streams; the last one has packets that the reader has split
pub const FIXTURES: [&str; 4] = [
    "audio_ffmpeg_p3200.asf",
    "av_asfmux_p1500_streamable.asf",
    "av_index_ffmpeg_p3200.asf",
    "audio_64_payloads_asfmux_p20000.asf",
];

/// Returns the number of media objects in these packets for each stream, by stream number
pub fn objects(packets: &[DataPacket]) -> Vec<usize> {
    let mut objects = BTreeMap::<_, usize>::new();
    for packet in packets {
        for payload in payloads(packet.as_bytes()).unwrap() {
            let first = usize::from(payload.offset == 0);
            *objects.entry(payload.stream & 0x7f).or_default() += first;
        }
    }
    objects.into_values().collect()
}

/// Returns ffprobe's packet count for each stream
pub fn probed(path: &Path) -> Vec<usize> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=nb_read_packets"])
        .arg(path)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| line.parse().unwrap()).collect()
}

/// Returns the number of buffers of all streams from asfdemux after asfparse
fn demuxed(path: &Path) -> usize {
    demuxed_by("asfparse ! asfdemux", path)
}

/// Returns the number of buffers of all streams from asfdemux, the last of these elements
pub fn demuxed_by(elements: &str, path: &Path) -> usize {
    gst::init().unwrap();
    let description = format!(
        "filesrc location={} ! {elements} name=demux",
        path.display()
    );
    let pipeline = gst::parse::launch(&description).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let (sender, buffers) = std::sync::mpsc::channel();
    let weak = pipeline.downgrade();
    pipeline
        .by_name("demux")
        .unwrap()
        .connect_pad_added(move |_, pad| {
            let sink = gst::ElementFactory::make("fakesink").property("async", false);
            let sink = sink.property("sync", false).build().unwrap();
            weak.upgrade().unwrap().add(&sink).unwrap();
            sink.sync_state_with_parent().unwrap();
            let sender = sender.clone();
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                let _ = sender.send(());
                gst::PadProbeReturn::Ok
            });
            pad.link(&sink.static_pad("sink").unwrap()).unwrap();
        });
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let last = bus.timed_pop_filtered(gst::ClockTime::from_seconds(30), &wanted);
    pipeline.set_state(gst::State::Null).unwrap();
    let last = last.map(|last| last.type_());
    assert_eq!(last, Some(gst::MessageType::Eos), "{}", path.display());
    buffers.try_iter().count()
}

#[test]
fn a_recording_opens_in_other_programs() {
    for fixture in FIXTURES {
        let directory = directory("programs");
        let point = recording(&directory);
        let (header, packets) = live(fixture);
        let mut client = streaming(&point, &header);
        for data in &packets {
            client.send(packet(b'D', &unpadded(data)));
        }
        data_packets(&point, packets.len() as u64);
        // The file of a server that was killed.
        let killed = directory.join("killed.asf");
        std::fs::copy(directory.join("live.asf"), &killed).unwrap();
        client.send(end(0));
        assert!(client.rest().is_empty());
        let whole = directory.join("live.asf");
        assert_eq!(recorded(&point).0, whole);
        let expected = objects(&packets);
        for (path, broadcast) in [(killed, true), (whole, false)] {
            let (header, found) = read(&path);
            assert_eq!(header.is_broadcast(), broadcast);
            assert_eq!(found.len(), packets.len(), "{fixture}");
            assert_eq!(probed(&path), expected, "{fixture}");
            assert_eq!(demuxed(&path), expected.iter().sum::<usize>(), "{fixture}");
        }
    }
}

#[test]
fn a_push_becomes_a_file_with_the_same_packets() {
    for fixture in FIXTURES {
        let directory = directory("same_packets");
        let point = recording(&directory);
        let (header, packets) = live(fixture);
        let mut client = streaming(&point, &header);
        for data in &packets {
            client.send(packet(b'D', &unpadded(data)));
        }
        client.send(end(0));
        assert!(client.rest().is_empty());
        let count = packets.len() as u64;
        assert_eq!(recorded(&point), (directory.join("live.asf"), count));
        let (recorded_header, recorded) = read(directory.join("live.asf"));
        assert_eq!(recorded_header.data_packets(), Some(count));
        assert!(!recorded_header.is_broadcast());
        assert_eq!(recorded_header.to_live().as_bytes(), &header);
        for (sent, recorded) in packets.iter().zip(&recorded) {
            assert_eq!(recorded.len(), recorded_header.packet_size());
            let [sent_payloads, recorded_payloads] =
                [sent, recorded].map(|packet| payloads(packet.as_bytes()));
            assert_eq!(recorded_payloads, sent_payloads);
            assert_eq!(recorded.send_time(), sent.send_time());
        }
        let violation = point.wait_for(
            |event| matches!(event, Event::Violation { .. }),
            std::time::Duration::ZERO,
        );
        assert_eq!(violation, None, "{fixture}");
    }
}

/// 3.2.7.1 TCP Connection Is Disconnected
#[test]
fn a_file_is_whole_after_a_loss_and_continues() {
    let directory = directory("loss");
    let point = recording(&directory);
    let (header, packets) = live("audio_ffmpeg_p3200.asf");
    let mut client = streaming(&point, &header);
    client.send(packet(b'D', &unpadded(&packets[0])));
    data_packets(&point, 1);
    let push_id = client.push_id();
    drop(client);
    event(&point, closed_by(Closer::Client));
    assert_eq!(read(directory.join("live.asf")).1.len(), 1);
    let mut client = Client::resume(&point, &push_id);
    client.start("/live", ENDLESS);
    client.send(packet(b'H', &header));
    client.send(packet(b'D', &unpadded(&packets[1])));
    data_packets(&point, 2);
    let (header_so_far, so_far) = read(directory.join("live.asf"));
    assert_eq!((header_so_far.is_broadcast(), so_far.len()), (true, 2));
    point.shutdown();
    assert_eq!(client.response().status(), 503);
    let (header, packets) = read(directory.join("live.asf"));
    assert_eq!((header.data_packets(), packets.len()), (Some(2), 2));
    assert!(!directory.join("live-2.asf").exists());
}

#[test]
fn a_lost_push_is_finished_at_shutdown() {
    let directory = directory("shutdown");
    let point = recording(&directory);
    let handle = (*point).clone();
    let (header, packets) = live("audio_ffmpeg_p3200.asf");
    let mut client = streaming(&point, &header);
    client.send(packet(b'D', &unpadded(&packets[0])));
    data_packets(&point, 1);
    drop(client);
    event(&point, closed_by(Closer::Client));
    point.shutdown();
    let recorded = |event: &Event| matches!(event, Event::Recorded { packets: 1, .. });
    event(&handle, recorded);
}

/// 3.2.5.6 Receiving a $C Packet
#[test]
fn every_playlist_entry_has_its_own_file() {
    let directory = directory("playlist");
    let point = recording(&directory);
    let (first, first_packets) = live("audio_ffmpeg_p3200.asf");
    let (second, second_packets) = live("av_asfmux_p1500_streamable.asf");
    let mut client = streaming(&point, &first);
    client.send(packet(b'D', &unpadded(&first_packets[0])));
    client.send([end(1), stream_change(&second)].concat());
    client.send(packet(b'D', &unpadded(&second_packets[0])));
    client.send([packet(b'D', &unpadded(&second_packets[1])), end(0)].concat());
    assert!(client.rest().is_empty());
    assert_eq!(recorded(&point), (directory.join("live.asf"), 1));
    assert_eq!(recorded(&point), (directory.join("live-2.asf"), 2));
    assert_eq!(read(directory.join("live-2.asf")).0.packet_size(), 1500);
}

#[test]
fn files_of_earlier_runs_are_unchanged() {
    let directory = directory("earlier");
    std::fs::write(directory.join("live.asf"), "earlier").unwrap();
    let point = recording(&directory);
    let (header, _) = live("audio_ffmpeg_p3200.asf");
    let mut client = streaming(&point, &header);
    client.send(end(0));
    assert_eq!(recorded(&point), (directory.join("live-2.asf"), 0));
    assert_eq!(
        std::fs::read(directory.join("live.asf")).unwrap(),
        b"earlier"
    );
}

#[test]
fn a_push_continues_if_its_recording_fails() {
    let missing = directory("missing");
    let point = recording(&missing);
    std::fs::remove_dir(&*missing).unwrap();
    let (header, packets) = live("audio_ffmpeg_p3200.asf");
    for header in [&header[..], b"no header"] {
        let mut client = streaming(&point, header);
        client.send(packet(b'D', &unpadded(&packets[0])));
        client.send(end(0));
        assert!(client.rest().is_empty());
        let failed = |event: &Event| matches!(event, Event::RecordingFailed { .. });
        let failed = event(&point, failed).to_string();
        assert!(failed.contains(missing.to_str().unwrap()), "{failed}");
    }
    assert!(point.pushes().iter().all(|push| push.data_packets == 1));
}

/// Pushes a packet, deletes the recording, and closes the connection. Returns the push-id and the event of the recording.
#[cfg(unix)]
fn interrupted(
    point: &Running,
    path: &Path,
    header: &[u8],
    first: &DataPacket,
) -> (String, String) {
    let mut client = streaming(point, header);
    client.send(packet(b'D', &unpadded(first)));
    data_packets(point, 1);
    std::fs::remove_file(path).unwrap();
    let push_id = client.push_id();
    drop(client);
    let failed = |event: &Event| matches!(event, Event::RecordingFailed { .. });
    (push_id, event(point, failed).to_string())
}

/// A file that is moved to another disk is deleted here.
#[cfg(unix)]
#[test]
fn a_deleted_recording_is_reported_and_begun_again() {
    let directory = directory("deleted");
    let path = directory.join("live.asf");
    let point = recording(&directory);
    let (header, packets) = live("audio_ffmpeg_p3200.asf");
    let (push_id, failed) = interrupted(&point, &path, &header, &packets[0]);
    let expected = format!("cannot record to {}: the file was deleted", path.display());
    assert!(failed.contains(&expected), "{failed}");
    let mut client = Client::resume(&point, &push_id);
    client.start("/live", ENDLESS);
    client.send([packet(b'D', &unpadded(&packets[1])), end(0)].concat());
    assert!(client.rest().is_empty());
    assert_eq!(recorded(&point), (path.clone(), 1));
    assert_eq!(read(&path).1.len(), 1);
    let status = point.status();
    assert!(status.points.iter().all(|point| point.last_error.is_none()));
}

#[cfg(unix)]
#[test]
fn a_second_file_begins_with_a_key_frame() {
    let directory = directory("key_frame");
    let path = directory.join("live.asf");
    let point = recording(&directory);
    let (header, packets) = live("av_index_ffmpeg_p3200.asf");
    let (push_id, _) = interrupted(&point, &path, &header, &packets[0]);
    let mut client = Client::resume(&point, &push_id);
    client.start("/live", ENDLESS);
    for data in &packets[1..] {
        client.send(packet(b'D', &unpadded(data)));
    }
    client.send(end(0));
    assert!(client.rest().is_empty());
    let key_frames = KeyFrames::of(&FileHeader::parse(header).unwrap());
    let skipped = packets[1..]
        .iter()
        .take_while(|packet| !key_frames.begins_in(packet))
        .count();
    assert!(skipped > 0);
    assert_eq!(recorded(&point).1, (packets.len() - 1 - skipped) as u64);
    assert!(key_frames.begins_in(&read(&path).1[0]));
}

/// A limit on the size of files acts as a full disk.
#[cfg(unix)]
#[test]
fn a_file_on_a_full_disk_has_whole_packets() {
    let directory = directory("full");
    let (header, packets) = live("audio_ffmpeg_p3200.asf");
    let (mut program, url) = Program::limited(16, &["--record", directory.to_str().unwrap()]);
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut client = Client::to(address.parse().unwrap(), "0");
    client.setup("/live");
    client.start("/live", ENDLESS);
    client.send(packet(b'H', &header));
    for data in &packets[..5] {
        client.send(packet(b'D', &unpadded(data)));
    }
    let path = directory.join("live.asf");
    let failed = program.line_with("cannot record to ");
    let expected = format!("cannot record to {}: File too large", path.display());
    assert!(failed.contains(&expected), "{failed}");
    client.send(end(0));
    assert!(client.rest().is_empty());
    let (header, found) = read(&path);
    assert_eq!((header.data_packets(), found.len()), (Some(2), 2));
}
