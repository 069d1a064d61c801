// SPDX-License-Identifier: MPL-2.0

//! Allocations of the streaming thread per buffer, while a stream is sent.

use std::fs;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use publishing_point::{PublishingPoint, Push, Running, Settings};

const PACKET: usize = 1500;

/// More packets than are kept for a server that may still refuse the stream.
const FIRST: usize = 4000;

const MEASURED: u64 = 1000;

/// Allowed reallocations of growing lists.
const GROWTH: u64 = 30;

/// Upper bound on any wait.
const LONG: Duration = Duration::from_secs(30);

/// Elements that get the same buffers from this thread, and their publishing points.
struct Sinks {
    point: Running,
    pads: Vec<gst_check::Harness>,
    stream: Vec<u8>,
    pushed: usize,
}

impl Sinks {
    fn new(count: usize) -> Self {
        gst::init().unwrap();
        gstwmspush::plugin_register_static().unwrap();
        let point = PublishingPoint::bind(Settings::default()).unwrap();
        let point = point.spawn().unwrap();
        let pads = (0..count).map(|number| {
            let sink = gst::ElementFactory::make("wmspushsink")
                .property("location", point.url(&format!("live{number}")))
                .property("sync", false)
                .build()
                .unwrap();
            let mut harness = gst_check::Harness::with_element(&sink, Some("sink"), None);
            harness.play();
            harness.push_event(gst::event::StreamStart::new("test"));
            let segment = gst::FormattedSegment::<gst::format::Bytes>::new();
            harness.push_event(gst::event::Segment::new(&segment));
            harness
        });
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/tests/fixtures");
        Self {
            pads: pads.collect(),
            point,
            stream: fs::read(format!("{fixtures}/av_asfmux_p1500_streamable.asf")).unwrap(),
            pushed: 0,
        }
    }

    /// Pushes the header.
    fn push_header(&mut self) {
        let header = self.stream.len() % PACKET;
        let packets = self.stream.split_off(header);
        let header = std::mem::replace(&mut self.stream, packets);
        self.push(vec![gst::Buffer::from_slice(header)]);
    }

    /// Returns the packets of the file, repeated, in GStreamer's memory.
    fn packets(&self, count: usize) -> Vec<gst::Buffer> {
        let packets = self.stream.chunks(PACKET).cycle().take(count);
        let buffers = packets.map(|packet| {
            let mut buffer = gst::Buffer::with_size(PACKET).unwrap();
            buffer.make_mut().copy_from_slice(0, packet).unwrap();
            buffer
        });
        buffers.collect()
    }

    fn push(&mut self, buffers: Vec<gst::Buffer>) {
        for buffer in buffers {
            let (last, others) = self.pads.split_last_mut().unwrap();
            for pad in others {
                pad.push(buffer.clone()).unwrap();
            }
            last.push(buffer).unwrap();
        }
    }

    /// Pushes `packets` packets, and waits until the last was received. Returns the allocations of this thread.
    fn allocations(&mut self, packets: usize) -> AllocationInfo {
        let buffers = self.packets(packets);
        let allocated = measure(|| self.push(buffers));
        self.pushed += packets;
        let (sinks, pushed) = (self.pads.len(), self.pushed as u64);
        let arrived = |pushes: &[&Push]| {
            pushes.len() == sinks && pushes.iter().all(|push| push.data_packets == pushed)
        };
        let pushes = self.point.wait_for_pushes(arrived, LONG);
        assert!(pushes.is_some(), "{pushed} packets do not arrive");
        allocated
    }
}

/// Returns the allocations for `sinks` sinks whose streams succeed.
fn allocations(sinks: usize) -> AllocationInfo {
    let mut sinks = Sinks::new(sinks);
    sinks.push_header();
    sinks.allocations(FIRST);
    let allocated = sinks.allocations(MEASURED as usize);
    sinks.pads.clear();
    sinks.point.shutdown();
    allocated
}

/// Asserts that there were `each` allocations per buffer, and few more.
fn assert_each(each: u64, allocated: AllocationInfo) {
    let expected = each * MEASURED..=each * MEASURED + GROWTH;
    assert!(expected.contains(&allocated.count_total), "{allocated:?}");
}

/// The allocation keeps the buffer and counts the references to its bytes.
#[test]
fn one_sink_allocates_once_a_buffer() {
    assert_each(1, allocations(1));
}

/// One allocation keeps the buffer for all sinks, and each sink has one for its reference.
#[test]
fn several_sinks_allocate_once_each_and_once_together() {
    assert_each(1 + 3, allocations(3));
}
