// SPDX-License-Identifier: MPL-2.0

//! Many sinks in one process, behind a tee, at 64 kB/s each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::Outcome;
use crate::child::{self, Measured, cpu, status};
use crate::drain::Drain;
use crate::packets;
use crate::tls::Tunnel;

const PACKET: usize = 1400;
const BYTES_PER_SECOND: usize = 64_000;
const SECONDS: u32 = 10;
const COUNTS: [usize; 3] = [1, 100, 1000];

/// The first one is the cost of any sink. A tee pushes to one branch after the other, so none may block while it
/// starts.
const SINKS: [(&str, &str); 4] = [
    ("fakesink", "fakesink async=false"),
    (
        "tcpclientsink",
        "tcpclientsink async=false host=127.0.0.1 port=PORT",
    ),
    (
        "wmspushsink",
        "wmspushsink async=false location=http://127.0.0.1:PORT/live",
    ),
    (
        "wmspushsink, TLS",
        "wmspushsink async=false ssl-strict=false location=https://127.0.0.1:TLS/live",
    ),
];

pub fn run() -> Outcome {
    println!("\n### Sinks behind a tee, {BYTES_PER_SECOND} bytes a second each\n");
    println!(
        "| sinks | | CPU, cores | memory beyond fakesink, kB a sink | threads | CRITICAL |\n\
        | --- | --- | --- | --- | --- | --- |"
    );
    for count in COUNTS {
        let mut own = 0.0;
        for (name, sink) in SINKS {
            let drain = Drain::start(false)?;
            let tunnel = match sink.contains("TLS") {
                true => Some(Tunnel::start(drain.address)?),
                false => None,
            };
            let tls = tunnel.as_ref().map_or(0, |tunnel| tunnel.port);
            let sink = sink.replace("PORT", &drain.address.port().to_string());
            let sink = sink.replace("TLS", &tls.to_string());
            let mut child =
                Measured::start(&["many", &count.to_string(), &SECONDS.to_string(), &sink])?;
            child.go()?;
            let [cpu, memory, threads, critical] = child.line()?[..] else {
                return Err("four numbers are missing".into());
            };
            child.end()?;
            if name == "fakesink" {
                own = memory;
            }
            println!(
                "| {count} | {name} | {cpu:.3} | {:.1} | {threads} | {critical} |",
                (memory - own) / count as f64
            );
        }
    }
    Ok(())
}

/// Runs in a process of its own.
pub fn measure(count: usize, seconds: u32, sink: &str) -> Outcome {
    child::init()?;
    count_critical();
    let branches = format!(" tee. ! {sink}").repeat(count);
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=source is-live=true format=time ! tee name=tee {branches}"
    ))?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| "no pipeline")?;
    let source = pipeline.by_name("source").ok_or("no source")?;
    child::wait()?;
    let interval = Duration::from_secs(1) * PACKET as u32 / BYTES_PER_SECOND as u32;
    pipeline.set_state(gst::State::Playing)?;
    push(&source, packets::header(PACKET));
    let mut due = Instant::now();
    let mut measured = (due, cpu());
    // The connections are made in the first third.
    let packets =
        (Duration::from_secs(seconds.into()).as_nanos() * 3 / 2 / interval.as_nanos()) as usize;
    for number in 0..packets {
        if number == packets / 3 {
            measured = (Instant::now(), cpu());
        }
        push(&source, packets::packet(PACKET, number, false));
        due += interval;
        sleep(due.saturating_duration_since(Instant::now()));
    }
    let cores = (cpu() - measured.1).as_secs_f64() / measured.0.elapsed().as_secs_f64();
    let critical = CRITICAL.load(Ordering::Relaxed);
    println!(
        "{cores} {} {} {critical}",
        status("VmRSS")?,
        status("Threads")?
    );
    child::await_line()?;
    pipeline.set_state(gst::State::Null)?;
    Ok(())
}

/// Number of critical warnings from GStreamer.
static CRITICAL: AtomicU64 = AtomicU64::new(0);

fn count_critical() {
    let level = glib::LogLevels::LEVEL_CRITICAL;
    glib::log_set_handler(Some("GStreamer"), level, false, false, |_, _, _| {
        CRITICAL.fetch_add(1, Ordering::Relaxed);
    });
}

fn push(source: &gst::Element, bytes: Vec<u8>) {
    // System memory, as muxers allocate it: the sink maps it, and copies other memory.
    let mut buffer = gst::Buffer::with_size(bytes.len()).expect("memory");
    let map = buffer
        .get_mut()
        .map(|buffer| buffer.copy_from_slice(0, &bytes));
    assert_eq!(map, Some(Ok(())));
    let _ = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
}
