// SPDX-License-Identifier: MPL-2.0

//! The packets that each viewer receives, and the disconnection of slow viewers.

use bytes::Bytes;
use publishing_point::{Event, Leave};
use wmspush_proto::asf::{DataPacket, KeyFrames};

use crate::client::{Client, ENDLESS, data_packets, end, event, packet, serve, stream_change};
use crate::stream::{AUDIO_VIDEO, Pusher, Stream};
use crate::viewer::{OLD, Packet, Viewer, joined, left};

/// Returns the numbers of the data packets among these.
fn numbers(packets: &[Packet]) -> Vec<u32> {
    let numbers = packets.iter().filter_map(|packet| match packet {
        Packet::Data { number, .. } => Some(*number),
        _ => None,
    });
    numbers.collect()
}

#[test]
fn a_late_viewer_starts_at_the_latest_key_frame() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let unpadded = stream.unpadded();
    let starts = stream.starts();
    assert!(starts.len() >= 3, "{starts:?}");
    let last = unpadded.len() as u32;
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let mut viewers = Vec::new();
    for number in 0..unpadded.len() {
        pusher.send(&unpadded[number..=number]);
        let latest = starts.iter().rfind(|start| **start <= number).unwrap();
        viewers.push((*latest as u32, Viewer::play(&point, "/live", OLD)));
        joined(&point);
    }
    pusher.end();
    for (start, mut viewer) in viewers {
        let packets = viewer.packets();
        assert!(
            matches!(&packets[0], Packet::Header(header) if header == stream.header.as_bytes())
        );
        assert_eq!(numbers(&packets), (start..last).collect::<Vec<_>>());
    }
}

/// A viewer that never reads is disconnected, and does not delay the push.
#[test]
fn a_stalled_viewer_is_disconnected_without_effect_on_others() {
    const PACKETS: usize = 24 * 1024;
    let point = serve(|settings| settings.keep = false);
    let stream = Stream::of(AUDIO_VIDEO);
    let packets: Vec<Bytes> = stream
        .unpadded()
        .into_iter()
        .cycle()
        .take(PACKETS)
        .collect();
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let stalled = Viewer::play(&point, "/live", OLD);
    let stalled_id = joined(&point);
    let mut watching = Viewer::play(&point, "/live", OLD);
    joined(&point);
    let (saw, seen) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        loop {
            match watching.packet() {
                Packet::Data { .. } => saw.send(()).unwrap(),
                Packet::End(reason) => return reason,
                _ => {}
            }
        }
    });
    // Not faster than the viewer that reads, because it has to receive every packet.
    for part in packets.chunks(256) {
        pusher.send(part);
        for _ in part {
            seen.recv().unwrap();
        }
    }
    let dropped = event(
        &point,
        |event| matches!(event, Event::ViewerLeft { viewer, .. } if *viewer == stalled_id),
    );
    assert!(
        matches!(
            dropped,
            Event::ViewerLeft {
                why: Leave::TooSlow,
                ..
            }
        ),
        "{dropped}"
    );
    pusher.end();
    assert_eq!(reader.join().unwrap(), 0);
    assert_eq!(point.pushes()[0].data_packets, PACKETS as u64);
    drop(stalled);
}

/// 3.2.7.1 TCP Connection Is Disconnected of MS-WMHTTP: viewers wait for the encoder to reconnect, and miss no
/// packet.
#[test]
fn viewers_outlast_a_lost_connection_of_the_encoder() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let unpadded = stream.unpadded();
    let (before, after) = unpadded.split_at(5);
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let mut viewer = Viewer::play(&point, "/live", OLD);
    pusher.send(before);
    let push_id = pusher.client.push_id();
    drop(pusher);
    event(&point, |event| matches!(event, Event::Closed { .. }));
    let mut client = Client::resume(&point, &push_id);
    client.start("/live", ENDLESS);
    // The client cannot know that the header was received.
    client.send(packet(b'H', stream.header.as_bytes()));
    for data in after {
        client.send(packet(b'D', data));
    }
    client.send(end(0));
    let packets = viewer.packets();
    let all: Vec<_> = (0..unpadded.len() as u32).collect();
    assert_eq!(numbers(&packets), all);
    let headers = packets
        .iter()
        .filter(|packet| matches!(packet, Packet::Header(_)));
    assert_eq!(headers.count(), 1);
}

/// 2.2.3.2 $C (Stream Change Notification), 3.2.4.2 Notification That a New ASF Header Is Available
#[test]
fn another_playlist_entry_begins_with_its_header_and_number_0() {
    let point = serve(|_| {});
    let first = Stream::of(AUDIO_VIDEO);
    let second = Stream::of("video_asfmux_p3200_streamable.asf");
    let mut pusher = Pusher::start(&point, "/live", &first.header);
    let mut viewer = Viewer::play(&point, "/live", OLD);
    joined(&point);
    let mut file = Viewer::ask(&point, "GET /live HTTP/1.1\nHost: a");
    joined(&point);
    pusher.send(&first.unpadded()[..2]);
    pusher.client.send(end(1));
    pusher.client.send(stream_change(second.header.as_bytes()));
    pusher.send(&second.unpadded()[..2]);
    // An ASF file cannot express the next entry.
    assert_eq!(left(&point), Leave::Change);
    assert_eq!(
        file.rest().len(),
        first.header.as_bytes().len() + 2 * first.header.packet_size()
    );
    pusher.end();
    let packets = viewer.packets();
    assert_eq!(numbers(&packets), [0, 1, 0, 1]);
    assert_eq!(packets[3], Packet::Change);
    assert_eq!(
        packets[4],
        Packet::Header(second.header.as_bytes().to_vec())
    );
    assert_eq!(packets.last(), Some(&Packet::End(0)));
}

/// 3.2.4.1 Notification That the Last $D Packet Has Been Sent: the Reason shows that the stream did not end normally
#[test]
fn viewers_get_a_reason_when_a_push_is_abandoned() {
    let point = serve(|settings| {
        settings.timeouts.idle = std::time::Duration::from_millis(50);
    });
    let stream = Stream::of(AUDIO_VIDEO);
    let mut client = Client::connect(&point);
    client.setup("/live");
    client.start("/live", ENDLESS);
    client.send(packet(b'H', stream.header.as_bytes()));
    client.send(packet(b'D', &stream.unpadded()[0]));
    data_packets(&point, 1);
    let mut viewer = Viewer::play(&point, "/live", OLD);
    assert_eq!(viewer.packets().last(), Some(&Packet::End(0x8000_4004)));
    assert_eq!(client.response().status(), 408);
    let request = format!("GET /live HTTP/1.0\nUser-Agent: {OLD}\nPragma: xPlayStrm=1");
    assert_eq!(Viewer::ask(&point, &request).status(), 404);
}

/// A push of other data than ASF is received, and cannot be watched.
#[test]
fn a_push_without_a_file_header_cannot_be_watched() {
    let point = serve(|_| {});
    let mut client = Client::streaming(&point);
    client.send(packet(b'D', b"1"));
    data_packets(&point, 1);
    assert_eq!(
        Viewer::ask(&point, "GET /live HTTP/1.1\nHost: a").status(),
        404
    );
}

/// A late viewer gets the first packet without the frames before its key frame.
#[test]
fn a_late_viewer_begins_with_the_key_frame() {
    let point = serve(|_| {});
    let stream = Stream::of("av_asfmux_p1500_streamable.asf");
    let unpadded = stream.unpadded();
    let key_frames = KeyFrames::of(&stream.header);
    let shorter = |start: &usize| {
        let joined = key_frames.join_at(&DataPacket::parse(unpadded[*start].clone()));
        joined.len() < unpadded[*start].len()
    };
    let start = stream.starts().into_iter().find(shorter).unwrap();
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    pusher.send(&unpadded[..=start]);
    let mut viewer = Viewer::play(&point, "/live", OLD);
    joined(&point);
    pusher.end();
    let packets = viewer.packets();
    let Packet::Data { number, bytes, .. } = &packets[1] else {
        panic!();
    };
    assert_eq!(*number as usize, start);
    let first = DataPacket::parse(bytes.clone().into());
    assert_eq!(first.defect(), None);
    assert!(key_frames.begins_in(&first));
    assert!(bytes.len() < unpadded[start].len());
    assert_eq!(key_frames.join_at(&first), bytes.as_slice());
}

/// Behind it, a player would not find the next packet.
#[test]
fn a_packet_larger_than_its_header_allows_reaches_no_viewer() {
    let directory = std::env::temp_dir().join(format!("larger-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let point = serve(|settings| settings.record = Some(directory.clone()));
    let stream = Stream::of(AUDIO_VIDEO);
    let unpadded = stream.unpadded();
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let mut player = Viewer::play(&point, "/live", OLD);
    let mut file = Viewer::ask(&point, "GET /live HTTP/1.1\nHost: a\nUser-Agent: a file");
    let larger = [&unpadded[0][..], &[0; 4000]].concat();
    pusher.send(&[unpadded[0].clone(), larger.into(), unpadded[1].clone()]);
    pusher.end();
    assert_eq!(numbers(&player.packets()), [0, 2]);
    let header = stream.header.as_bytes().len();
    assert_eq!(file.rest().len(), header + 2 * 3200);
    let recorded = |event: &Event| matches!(event, Event::Recorded { packets: 2, .. });
    event(&point, recorded);
    let recorded = std::fs::read(directory.join("live.asf")).unwrap();
    assert_eq!(recorded.len(), header + 2 * 3200);
    std::fs::remove_dir_all(directory).unwrap();
}
