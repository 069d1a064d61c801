// SPDX-License-Identifier: MPL-2.0

//! Memory that upstream waits for, while the server reads nothing.

use std::time::Instant;

use gst::prelude::*;
use publishing_point::{Fault, MidBody, Settings, When};

use crate::rig::{LONG, Pipeline, Point, fixture_bytes};
#[cfg(unix)]
use crate::rig::{init, long_file};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// Returns a pipeline whose server reads three packets and then nothing.
fn stalled(source: &str) -> (Pipeline, Point) {
    let faults = vec![(When::EveryPushStart, Fault::AfterPackets(3, MidBody::Stall))];
    let point = Point::with(Settings {
        faults,
        ..Settings::default()
    });
    let pipeline = Pipeline::new(&format!(
        "{source} ! wmspushsink name=sink async=false sync=false max-size-time=0 location={}",
        point.location()
    ));
    pipeline.play();
    (pipeline, point)
}

/// Waits until `bytes` are queued in the element.
fn wait_for_queued(pipeline: &Pipeline, bytes: u32) {
    let queued = || {
        let stats = pipeline.sink.property::<gst::Structure>("stats");
        stats.get::<u32>("queued-bytes").unwrap()
    };
    let begun = Instant::now();
    while queued() < bytes {
        assert!(begun.elapsed() < LONG, "{} bytes wait", queued());
        std::thread::yield_now();
    }
}

/// Returns a pool of four buffers, like that of `v4l2src`.
fn pool_of_four() -> gst::BufferPool {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    config.set_params(None, 1500, 4, 4);
    pool.set_config(config).unwrap();
    pool.set_active(true).unwrap();
    pool
}

/// Waits for the next buffer that is returned to a pool.
fn acquire(pool: &gst::BufferPool) -> gst::Buffer {
    let at_once = gst::BufferPoolAcquireParams::with_flags(gst::BufferPoolAcquireFlags::DONTWAIT);
    let begun = Instant::now();
    loop {
        if let Ok(buffer) = pool.acquire_buffer(Some(&at_once)) {
            return buffer;
        }
        assert!(begun.elapsed() < LONG, "no buffer comes back");
        std::thread::yield_now();
    }
}

#[test]
fn a_pool_of_four_buffers_never_runs_empty() {
    let (pipeline, _point) = stalled("appsrc name=source is-live=true");
    let source = pipeline.pipeline.by_name("source").unwrap();
    let push = |buffer: gst::Buffer| {
        let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
        assert_eq!(pushed, gst::FlowReturn::Ok);
    };
    let stream = fixture_bytes(AUDIO_VIDEO);
    let (header, packets) = stream.split_at(stream.len() % 1500);
    push(gst::Buffer::from_slice(header.to_vec()));
    let pool = pool_of_four();
    for packet in packets.chunks(1500).cycle().take(1000) {
        let mut buffer = acquire(&pool);
        buffer.make_mut().copy_from_slice(0, packet).unwrap();
        push(buffer);
    }
    wait_for_queued(&pipeline, 1_000_000);
    pool.set_active(false).unwrap();
}

/// `shmsink` cannot reuse memory until `shmsrc` has freed it.
#[cfg(unix)]
#[test]
fn shared_memory_never_runs_empty() {
    init();
    let directory = env!("CARGO_TARGET_TMPDIR");
    let socket = format!("{directory}/shm-{}", std::process::id());
    let producer = gst::parse::launch(&format!(
        "filesrc location={} blocksize=15000 ! shmsink sync=false shm-size=100000 socket-path={socket}",
        long_file(8_000_000)
    ))
    .unwrap();
    producer.set_state(gst::State::Playing).unwrap();
    let (pipeline, _point) = stalled(&format!("shmsrc is-live=true socket-path={socket}"));
    wait_for_queued(&pipeline, 4_000_000);
    drop(pipeline);
    producer.set_state(gst::State::Null).unwrap();
}
