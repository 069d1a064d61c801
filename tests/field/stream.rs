// SPDX-License-Identifier: MPL-2.0

//! Streams at a stalled receiver: flushes, upstream's memory, other branches, drops.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::LONG;
use crate::alone::alone;
use crate::asf::Stream;
use crate::connection::Connection;
use crate::push::{Pace, Push, Stats, feed, init};
use crate::receiver::Receiver;

/// A receiver that reads no packet until the test sends something to it.
fn stalled() -> (Receiver, Sender<()>) {
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let receiver = Receiver::narrow(4096, Some(1024), move |mut connection| {
        connection.let_in()?;
        let _ = wait.lock().unwrap().recv_timeout(LONG);
        connection.serve_data()
    });
    (receiver, go)
}

/// The element without a pipeline, fed by the test's thread.
struct Bare {
    harness: gst_check::Harness,
    sink: gst::Element,
}

impl Bare {
    fn new(location: &str) -> Self {
        init();
        let sink = gst::ElementFactory::make("wmspushsink")
            .property("location", location)
            .property("sync", false)
            .property("max-size-time", 0u64)
            .build()
            .unwrap();
        let mut harness = gst_check::Harness::with_element(&sink, Some("sink"), None);
        harness.play();
        let mut bare = Self { harness, sink };
        bare.event(gst::event::StreamStart::new("test"));
        bare.segment();
        bare
    }

    fn event(&mut self, event: gst::Event) {
        assert!(self.harness.push_event(event));
    }

    fn segment(&mut self) {
        let segment = gst::FormattedSegment::<gst::format::Bytes>::new();
        self.event(gst::event::Segment::new(&segment));
    }

    fn push(&mut self, stream: &Stream) {
        for chunk in stream.chunks() {
            self.harness
                .push(gst::Buffer::from_mut_slice(chunk))
                .unwrap();
        }
    }

    /// Returns `stats` after 300 ms in which nothing was sent.
    fn settled(&self) -> Stats {
        let (mut sent, mut since) = (0, Instant::now());
        loop {
            let stats = Stats(self.sink.property("stats"));
            let now = stats.large("bytes-sent");
            if now != sent {
                (sent, since) = (now, Instant::now());
            }
            if sent > 0 && since.elapsed() > Duration::from_millis(300) {
                return stats;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// B2
#[test]
fn a_flush_discards_what_was_not_sent() {
    /// Packets that the driver may have taken from the queue and not counted as sent.
    const IN_BETWEEN: u64 = 200;
    let (receiver, go) = stalled();
    let mut bare = Bare::new(&receiver.location());
    let before = Stream::of(3000);
    bare.push(&before);
    let sent = bare.settled().large("packets-sent");
    assert!(sent + IN_BETWEEN < 2000, "{sent}");
    bare.event(gst::event::FlushStart::new());
    bare.event(gst::event::FlushStop::new(true));
    bare.segment();
    let after = Stream {
        first: 10_000,
        ..Stream::of(100)
    };
    bare.push(&after);
    go.send(()).unwrap();
    bare.event(gst::event::Eos::new());
    receiver.wait("the end", |records| records[0].closed.is_some());
    let records = receiver.records();
    let numbers = records[0].packets.iter().filter_map(|packet| packet.number);
    let numbers: Vec<_> = numbers.collect();
    let old = numbers.iter().filter(|number| **number < after.first);
    let old = old.count() as u64;
    assert!(old <= sent + IN_BETWEEN, "{old} arrived, {sent} were sent");
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert!(receiver.missing(&after).is_empty());
}

/// Feeds `stream` in buffers of `pool`. Returns false if the pool was deactivated meanwhile.
fn feed_from_pool(source: &gst::Element, pool: &gst::BufferPool, stream: &Stream) -> bool {
    let mut chunks = stream.chunks();
    let first = gst::Buffer::from_mut_slice(chunks.next().unwrap());
    feed(source, &first);
    for chunk in chunks {
        let Ok(mut buffer) = pool.acquire_buffer(None) else {
            return false;
        };
        let writable = buffer.get_mut().unwrap();
        writable.copy_from_slice(0, &chunk).unwrap();
        feed(source, &buffer);
    }
    let _ = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    true
}

fn pool_of_four(size: usize) -> gst::BufferPool {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    config.set_params(None, size as u32, 4, 4);
    pool.set_config(config).unwrap();
    pool.set_active(true).unwrap();
    pool
}

/// B12
#[test]
fn a_small_upstream_pool_does_not_run_empty() {
    let (receiver, go) = stalled();
    let mut push = Push::launch(&format!(
        "appsrc name=source max-bytes=0 ! wmspushsink name=sink sync=false max-size-time=0 location={}",
        receiver.location()
    ));
    let stream = Stream::of(1000);
    push.play();
    let source = push.pipeline.by_name("source").unwrap();
    let pool = pool_of_four(stream.packet_size);
    let (done, is_done) = mpsc::channel();
    let (feeding, fed) = (pool.clone(), stream.clone());
    std::thread::spawn(move || done.send(feed_from_pool(&source, &feeding, &fed)));
    let done = is_done.recv_timeout(LONG / 3);
    pool.set_active(false).unwrap();
    assert_eq!(done, Ok(true), "{}", push.stats().0);
    go.send(()).unwrap();
    push.end_well();
    assert!(receiver.missing(&stream).is_empty());
}

/// B12: buffers of `shmsrc` have no pool. Their memory is wrapped system memory, which is returned when it is freed.
#[test]
fn a_small_shared_memory_does_not_run_empty() {
    let test = "stream::a_small_shared_memory_does_not_run_empty";
    // `shmsink` hangs if none of its memory is returned.
    alone(test, push_from_shared_memory);
}

fn push_from_shared_memory() {
    let (receiver, go) = stalled();
    let socket = format!(
        "{}/field-{}.shm",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    // The shared memory holds 120 packets. With several hundreds, `shmsink` and `shmsrc` can deadlock.
    let stream = Stream {
        packet_size: 8000,
        ..Stream::of(500)
    };
    let writer = Push::launch(&format!(
        "appsrc name=source max-bytes=0 ! shmsink name=sink sync=false shm-size=1000000 socket-path={socket}"
    ));
    let writer = writer.feeding(&stream, Pace::Flood);
    writer.play();
    let reader = Push::launch(&format!(
        "shmsrc is-live=true socket-path={socket} ! wmspushsink name=sink sync=false max-size-time=0 location={}",
        receiver.location()
    ));
    let (seen, arrived) = (Arc::new(AtomicUsize::new(0)), mpsc::channel());
    let pad = reader.sink.static_pad("sink").unwrap();
    let packets = stream.packets as usize;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if seen.fetch_add(1, Ordering::Relaxed) + 1 == packets {
            let _ = arrived.0.send(());
        }
        gst::PadProbeReturn::Ok
    });
    reader.play();
    let all = arrived.1.recv_timeout(LONG / 3);
    assert_eq!(all, Ok(()), "{}", reader.stats().0);
    go.send(()).unwrap();
    receiver.wait_for_packets(packets + 1);
    assert!(receiver.missing(&stream).is_empty());
}

/// B14
#[test]
fn a_dead_server_does_not_block_other_branches() {
    let (dead, _go) = stalled();
    let healthy = [Connection::serve, Connection::serve].map(Receiver::new);
    let branch = |receiver: &Receiver, properties: &str| {
        let location = receiver.location();
        format!("t. ! queue ! wmspushsink location={location} {properties}")
    };
    let push = Push::launch(&format!(
        "appsrc name=source format=time is-live=true max-bytes=0 ! tee name=t {} {} {}",
        branch(&healthy[0], "name=sink"),
        branch(&dead, "max-size-bytes=200000"),
        branch(&healthy[1], ""),
    ));
    let stream = Stream {
        packet_size: 4000,
        interval: Duration::from_millis(3),
        ..Stream::of(1000)
    };
    let push = push.feeding(&stream, Pace::Live);
    push.play();
    for receiver in &healthy {
        receiver.wait_for_packets(1 + stream.packets as usize);
        assert!(receiver.missing(&stream).is_empty());
    }
}

/// D2
#[test]
fn the_last_warning_has_the_final_count_of_drops() {
    let (receiver, go) = stalled();
    let stream = Stream {
        packet_size: 4000,
        interval: Duration::from_millis(4),
        ..Stream::of(500)
    };
    let properties = "leaky=downstream max-size-bytes=100000";
    let mut push = Push::with(Pace::Live, &stream, &receiver.location(), properties);
    push.play();
    push.wait_for_stats(|stats| stats.large("packets-dropped") >= 30);
    go.send(()).unwrap();
    push.end_well();
    let warnings = push.warnings().into_iter();
    let posted: Vec<u64> = warnings
        .filter(|warning| warning.field("reason") == "packets-dropped")
        .map(|warning| warning.details.get("packets-dropped").unwrap())
        .collect();
    let dropped = push.stats().large("packets-dropped");
    assert_eq!(posted.last(), Some(&dropped), "{posted:?}{}", push.story());
    let missing = receiver.missing(&stream).len() as u64;
    assert_eq!(missing, dropped, "{}", push.story());
}
