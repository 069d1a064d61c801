// SPDX-License-Identifier: MPL-2.0

//! The element with buffers pushed directly into its pad, and the packets that a server should receive for a file.

use bytes::Bytes;
use gst::prelude::*;
use gstwmspush::asf::{Bitrates, DataPacket, FileHeader, Item, Reader};
use gstwmspush::wmhttp::HResult;
use gstwmspush::wmhttp::server::Received;
use publishing_point::Push;

use crate::rig::{LONG, Point, fixture_bytes, init};

/// Returns the packets that a server should receive for a file: `$H` with the live header, each packet without padding,
/// then `$E`.
pub fn expected(name: &str) -> Vec<Received> {
    let mut reader = Reader::new();
    reader.push(fixture_bytes(name).into());
    let mut expected = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Header(header) if expected.is_empty() => {
                expected.push(Received::Header(live(&header)));
            }
            Item::Header(header) => {
                expected.push(Received::EndOfStream(HResult::S_FALSE));
                expected.push(Received::StreamChange(live(&header)));
            }
            Item::DataUnit(packet) => expected.push(Received::Data(unpadded(&packet))),
            Item::Skipped(_) => {}
        }
    }
    expected.push(Received::EndOfStream(HResult::S_OK));
    expected
}

/// Returns the header as it is sent if bit rates are unknown.
pub fn live(header: &FileHeader) -> Bytes {
    let live = header.to_live_with(&Bitrates::default());
    live.as_bytes().clone()
}

pub fn unpadded(packet: &DataPacket) -> Bytes {
    let unpadded = packet.without_padding();
    [unpadded.head.as_slice(), &unpadded.body].concat().into()
}

/// Pushes buffers directly into the pad, and ends.
pub struct Harness {
    pub harness: gst_check::Harness,
    pub point: Point,
}

impl Harness {
    /// Waits until `packets` data packets were sent.
    pub fn wait_until_sent(&self, packets: u64) {
        let sink = self.harness.element().unwrap();
        let begun = std::time::Instant::now();
        loop {
            let stats = sink.property::<gst::Structure>("stats");
            if stats.get::<u64>("packets-sent") == Ok(packets) {
                return;
            }
            assert!(begun.elapsed() < LONG, "{stats:?}");
            std::thread::yield_now();
        }
    }

    pub fn new() -> Self {
        init();
        let point = Point::new();
        let sink = gst::ElementFactory::make("wmspushsink");
        let sink = sink
            .property("location", point.location())
            .property("sync", false)
            .build()
            .unwrap();
        let mut harness = gst_check::Harness::with_element(&sink, Some("sink"), None);
        harness.play();
        Self { harness, point }
    }

    pub fn event(&mut self, event: gst::Event) {
        assert!(self.harness.push_event(event));
    }

    pub fn start(&mut self, format: gst::Format) {
        self.event(gst::event::StreamStart::new("test"));
        let mut segment = gst::Segment::new();
        segment.reset_with_format(format);
        self.event(gst::event::Segment::new(&segment));
    }

    pub fn segment_at(&mut self, start: u64) {
        let mut segment = gst::FormattedSegment::<gst::format::Bytes>::new();
        segment.set_start(gst::format::Bytes::from_u64(start));
        self.event(gst::event::Segment::new(&segment));
    }

    pub fn push(&mut self, bytes: &[u8], size: usize) {
        for chunk in bytes.chunks(size) {
            self.harness
                .push(gst::Buffer::from_slice(chunk.to_vec()))
                .unwrap();
        }
    }

    /// Pushes bytes in lists of ten buffers.
    pub fn push_lists(&mut self, bytes: &[u8], size: usize) {
        let pad = self.harness.srcpad().unwrap();
        for chunks in bytes.chunks(10 * size) {
            let buffers = chunks.chunks(size).map(<[u8]>::to_vec);
            let list: gst::BufferList = buffers.map(gst::Buffer::from_slice).collect();
            pad.push_list(list).unwrap();
        }
    }

    pub fn caps(&mut self, header: Option<&[u8]>) {
        let mut caps = gst::Caps::builder("video/x-ms-asf").field("parsed", true);
        if let Some(header) = header {
            caps = caps.field(
                "streamheader",
                gst::Array::new([gst::Buffer::from_slice(header.to_vec())]),
            );
        }
        self.event(gst::event::Caps::new(&caps.build()));
    }

    pub fn end(mut self) -> Push {
        self.event(gst::event::Eos::new());
        self.point.ended()
    }
}
