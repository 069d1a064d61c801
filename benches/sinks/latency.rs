// SPDX-License-Identifier: MPL-2.0

//! The latency from `render` to the peer's `read`, at live rate.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::Outcome;
use crate::child;
use crate::drain::{Drain, Drained};
use crate::packets;

const PACKET: usize = 1400;
/// 2.2 Mbit/s.
const INTERVAL: Duration = Duration::from_millis(5);
const PACKETS: usize = 2000;
const ROUNDS: usize = 3;

/// The sinks, and the bytes around each packet on the wire.
const SINKS: [(&str, &str, usize); 2] = [
    (
        "wmspushsink",
        "wmspushsink location=http://127.0.0.1:PORT/live",
        4,
    ),
    ("tcpclientsink", "tcpclientsink host=127.0.0.1 port=PORT", 0),
];

pub fn run() -> Outcome {
    child::init()?;
    println!(
        "\n### Latency: one packet of {PACKET} bytes each {INTERVAL:?}, from render to the peer's read, in µs\n"
    );
    println!("| sink | p50 | p99 | p99.9 | most |\n| --- | --- | --- | --- | --- |");
    let mut latencies = [const { Vec::new() }; SINKS.len()];
    for _ in 0..ROUNDS {
        for ((_, sink, frame), latencies) in SINKS.iter().zip(&mut latencies) {
            latencies.extend(measure(sink, *frame)?);
        }
    }
    for ((name, ..), mut latencies) in SINKS.iter().zip(latencies) {
        latencies.sort_unstable();
        let at =
            |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_micros();
        println!(
            "| {name} | {} | {} | {} | {} |",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
    Ok(())
}

/// Returns the latencies of all packets but the first few, in the order in which they were sent.
fn measure(sink: &str, frame: usize) -> Outcome<Vec<Duration>> {
    let drain = Drain::start(true)?;
    let sink = sink.replace("PORT", &drain.address.port().to_string());
    let description = format!("appsrc name=source is-live=true format=time ! {sink} name=sink");
    let pipeline = gst::parse::launch(&description)?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| "no pipeline")?;
    let rendered = Arc::new(Mutex::new(Vec::with_capacity(PACKETS + 1)));
    let pad = pipeline
        .by_name("sink")
        .and_then(|sink| sink.static_pad("sink"));
    let times = rendered.clone();
    pad.ok_or("no pad")?
        .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            times.lock().expect("no panic").push(Instant::now());
            gst::PadProbeReturn::Ok
        });
    pipeline.set_state(gst::State::Playing)?;
    let source = pipeline.by_name("source").ok_or("no source")?;
    let mut due = Instant::now();
    for buffer in std::iter::once(packets::header(PACKET))
        .chain((0..PACKETS).map(|number| packets::packet(PACKET, number, false)))
    {
        let buffer = gst::Buffer::from_slice(buffer);
        let _ = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
        due += INTERVAL;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let _ = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    child::await_eos(pipeline.upcast_ref())?;
    pipeline.set_state(gst::State::Null)?;
    let rendered = rendered.lock().expect("no panic");
    Ok(latencies(&rendered[1..], &drain.next()?, PACKET + frame))
}

/// Counts from the end, because the sinks send different bytes in front of the packets.
fn latencies(rendered: &[Instant], drained: &Drained, framed: usize) -> Vec<Duration> {
    const WARM: usize = 20;
    let end = if framed > PACKET { 8 } else { 0 };
    let read = |number: usize| {
        let behind = (rendered.len() - 1 - number) * framed + end;
        let marks = &drained.marks;
        marks[marks.partition_point(|(bytes, _)| bytes + (behind as u64) < drained.bytes)].1
    };
    let times = rendered.iter().enumerate().skip(WARM);
    times
        .map(|(number, rendered)| read(number).saturating_duration_since(*rendered))
        .collect()
}
