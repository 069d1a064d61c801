// SPDX-License-Identifier: MPL-2.0

//! The pushed streams.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use publishing_point::Handle;
use wmspush_proto::asf::{DataPacket, FileHeader, Item, KeyFrames, Reader};

use crate::client::{Client, ENDLESS, data_packets, end, packet};

/// Video and sound, with key frames in several packets.
pub const AUDIO_VIDEO: &str = "av_index_ffmpeg_p3200.asf";

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../proto/tests/fixtures")
        .join(name)
}

/// A live stream: its header and its packets with padding.
pub struct Stream {
    pub header: FileHeader,
    pub packets: Vec<DataPacket>,
}

impl Stream {
    pub fn of(name: &str) -> Self {
        let mut reader = Reader::new();
        reader.push(std::fs::read(fixture(name)).unwrap().into());
        let (mut header, mut packets) = (None, Vec::new());
        while let Some(item) = reader.next_item().unwrap() {
            match item {
                Item::Header(found) => header = Some(found.to_live()),
                Item::DataUnit(packet) => packets.push(packet),
                Item::Skipped(_) => {}
            }
        }
        let header = header.unwrap();
        Self { header, packets }
    }

    /// Returns the packets without padding.
    pub fn unpadded(&self) -> Vec<Bytes> {
        let unpadded = self.packets.iter().map(|packet| {
            let unpadded = packet.without_padding();
            [unpadded.head.as_slice(), &unpadded.body].concat().into()
        });
        unpadded.collect()
    }

    /// Returns the numbers of the packets where decoding can begin.
    pub fn starts(&self) -> Vec<usize> {
        let key_frames = KeyFrames::of(&self.header);
        let numbers = 0..self.packets.len();
        numbers
            .filter(|number| *number == 0 || key_frames.begins_in(&self.packets[*number]))
            .collect()
    }
}

/// A conforming encoder that pushes without padding.
pub struct Pusher {
    pub client: Client,
    point: Handle,
    sent: u64,
}

impl Pusher {
    /// Sends PushSetup, PushStart and `$H`, and waits until `$H` was received.
    pub fn start(point: &Handle, path: &str, header: &FileHeader) -> Self {
        let mut client = Client::connect(point);
        assert_eq!(client.setup(path).status(), 204);
        client.start(path, ENDLESS);
        client.send(packet(b'H', header.as_bytes()));
        let pusher = Self {
            client,
            point: point.clone(),
            sent: 0,
        };
        crate::client::event(point, |event| {
            matches!(event, publishing_point::Event::Header { .. })
        });
        pusher
    }

    /// Sends packets, and waits until they were received.
    pub fn send(&mut self, packets: &[Bytes]) {
        for data in packets {
            self.client.send(packet(b'D', data));
        }
        self.sent += packets.len() as u64;
        data_packets(&self.point, self.sent);
    }

    pub fn end(mut self) {
        self.client.send(end(0));
        assert!(self.client.rest().is_empty());
    }
}
