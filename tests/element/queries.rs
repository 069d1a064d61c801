// SPDX-License-Identifier: MPL-2.0

//! Queries of the element's neighbours.

use gst::prelude::*;
use gstwmspush::asf::FileHeader;

use crate::rig::{Pipeline, Point, fixture, fixture_bytes};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// The framing header of `$C`.
const ROOM: usize = 8;

/// Returns a sink without a connection, and its pad.
fn sink_pad() -> (gst::Element, gst::Pad) {
    crate::rig::init();
    let sink = gst::ElementFactory::make("wmspushsink").build().unwrap();
    let pad = sink.static_pad("sink").unwrap();
    pad.set_active(true).unwrap();
    (sink, pad)
}

/// Returns caps like those of a streaming asfmux.
fn caps_with_header() -> gst::Caps {
    let stream = fixture_bytes(AUDIO_VIDEO);
    let header = stream[..stream.len() % 1500].to_vec();
    assert!(FileHeader::parse(header.clone().into()).is_ok());
    let header = gst::Buffer::from_slice(header);
    gst::Caps::builder("video/x-ms-asf")
        .field("streamheader", gst::Array::new([header]))
        .build()
}

/// Returns the proposed pool, and the size of its buffers.
fn proposed_pool(query: &gst::query::Allocation) -> Option<(gst::BufferPool, u32)> {
    let (pool, size, ..) = query.allocation_pools().next()?;
    Some((pool?, size))
}

fn assert_room(params: &gst::AllocationParams) {
    assert!(params.prefix() >= ROOM);
    let buffer = gst::Memory::with_size_and_params(100, params);
    assert!(buffer.offset() >= ROOM);
    assert_eq!(buffer.size(), 100);
}

#[test]
fn buffers_are_to_have_room_for_the_framing_header() {
    let (_sink, pad) = sink_pad();
    let without_header = gst::Caps::new_empty_simple("video/x-ms-asf");
    for caps in [None, Some(&without_header)] {
        for need_pool in [false, true] {
            let mut query = gst::query::Allocation::new(caps, need_pool);
            assert!(pad.query(&mut query));
            let proposed: Vec<_> = query.allocation_params().collect();
            let [(None, params)] = &proposed[..] else {
                panic!("{proposed:?}")
            };
            assert_room(params);
            assert!(proposed_pool(&query).is_none(), "of which size?");
        }
    }
}

#[test]
fn a_pool_has_buffers_for_one_data_packet_each() {
    let (_sink, pad) = sink_pad();
    let caps = caps_with_header();
    let mut query = gst::query::Allocation::new(Some(&caps), false);
    assert!(pad.query(&mut query));
    assert!(proposed_pool(&query).is_none(), "no pool was requested");

    let mut query = gst::query::Allocation::new(Some(&caps), true);
    assert!(pad.query(&mut query));
    let (pool, size) = proposed_pool(&query).expect("a pool");
    assert_eq!(size, 1500);
    pool.set_active(true).unwrap();
    let units: Vec<_> = (0..100)
        .map(|_| pool.acquire_buffer(None).unwrap())
        .collect();
    for unit in &units {
        assert_eq!(unit.size(), 1500);
        assert!(unit.peek_memory(0).offset() >= ROOM);
    }
    drop(units);
    pool.set_active(false).unwrap();
}

/// filesrc writes any number of bytes into a pool's buffers.
#[test]
fn a_file_gets_no_pool() {
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "filesrc name=source blocksize=100000 location={} ! capsfilter name=filter \
         ! wmspushsink name=sink sync=false location={}",
        fixture(AUDIO_VIDEO),
        point.location()
    ));
    let filter = pipeline.pipeline.by_name("filter").unwrap();
    filter.set_property("caps", caps_with_header());
    let messages = pipeline.run();
    assert!(!messages.iter().any(|line| line.starts_with("ERROR")));
    assert_eq!(point.ended().data_packets, 27);
}

/// The element adds nothing to the latency of a live source.
#[test]
fn latency_is_that_of_the_source() {
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "audiotestsrc is-live=true samplesperbuffer=4410 ! audio/x-raw,rate=44100 ! avenc_wmav2 \
         ! asfmux name=mux streamable=true ! wmspushsink name=sink location={}",
        point.location()
    ));
    pipeline.play();
    pipeline.messages_until("WMT_STARTED");
    let latency = |pad: &gst::Pad| {
        let mut query = gst::query::Latency::new();
        assert!(pad.query(&mut query));
        query.result()
    };
    let mux = pipeline.pipeline.by_name("mux").unwrap();
    let upstream = latency(&mux.static_pad("src").unwrap());
    let mut query = gst::query::Latency::new();
    assert!(pipeline.sink.query(&mut query));
    assert_eq!(query.result(), upstream);
    assert!(upstream.0, "live");
    let deadline = pipeline.sink.property::<u64>("processing-deadline");
    assert_eq!(deadline, 0);
}

/// A source that is not live has no latency.
#[test]
fn a_file_has_no_latency() {
    let point = Point::new();
    let pipeline = Pipeline::paced(AUDIO_VIDEO, &point.location());
    pipeline.play();
    pipeline.messages_until("WMT_STARTED");
    let mut query = gst::query::Latency::new();
    assert!(pipeline.pipeline.query(&mut query));
    let (live, minimum, _) = query.result();
    // A sink that waits for its clock reports live, for any source.
    assert_eq!((live, minimum), (true, gst::ClockTime::ZERO));
}
