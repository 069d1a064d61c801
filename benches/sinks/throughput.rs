// SPDX-License-Identifier: MPL-2.0

//! 400 MB through each sink, in turns, in several rounds.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::child::Measured;
use crate::drain::Drain;
use crate::floor::Floor;
use crate::streams;
use crate::table::{self, Sample, spread};

pub const SIZE: usize = 400_000_000;
const ROUNDS: usize = 7;
/// Rounds of the slow sinks.
const SLOW_ROUNDS: usize = 3;

/// Packet size, padding, and `blocksize` of filesrc.
const STREAMS: [(usize, bool, usize); 5] = [
    (1400, false, 1400),
    (1400, true, 1400),
    (8000, false, 8000),
    (8000, true, 8000),
    // filesrc's default: packets cross buffer boundaries.
    (1400, false, 4096),
];

/// Number of the fast ones among them.
const FAST: usize = 4;
/// The sinks, with PORT for the receiver's port and NULL for a descriptor of /dev/null. The others are compared with
/// the second one.
const SINKS: [(&str, &str, bool); 6] = [
    (
        "wmspushsink",
        "wmspushsink sync=false location=http://127.0.0.1:PORT/live",
        true,
    ),
    (
        "tcpclientsink",
        "tcpclientsink sync=false host=127.0.0.1 port=PORT",
        true,
    ),
    ("fdsink /dev/null", "fdsink sync=false fd=NULL", false),
    (
        "filesink /dev/null",
        "filesink sync=false location=/dev/null",
        false,
    ),
    (
        "curlhttpsink",
        "curlhttpsink sync=false location=http://127.0.0.1:PORT/live",
        true,
    ),
    (
        "souphttpclientsink",
        "souphttpclientsink sync=false location=http://127.0.0.1:PORT/live",
        true,
    ),
];

pub fn run() -> Outcome {
    STREAMS
        .iter()
        .try_for_each(|stream| compare(*stream, SINKS.len()))
}

/// Measures only the limits of the project, for quick checks during development.
pub fn quick() -> Outcome {
    compare(STREAMS[0], 2)?;
    compare(STREAMS[2], 2)
}

/// Packets of an almost empty stream, whose push measures the cost of start and end.
const NOTHING: usize = 2;

/// Prints the CPU time of the push above fakesink, as a multiple of a loop in C that frames and writes the same
/// packets.
pub fn floor() -> Outcome {
    let floor = Floor::build()?;
    println!("\n### CPU above fakesink, in multiples of the floor\n");
    println!("| packets | floor, s | multiple |");
    println!("| --- | --- | --- |");
    for (packet, padded, block) in [STREAMS[0], STREAMS[2]] {
        let file = streams::file(packet, padded, SIZE)?;
        let file = file.to_str().ok_or("no text")?;
        std::fs::read(file)?;
        let (mut floors, mut multiples) = (vec![], vec![]);
        for _ in 0..ROUNDS {
            let push = push(file, packet, block, SINKS[0].1, true)?
                .cpu
                .as_secs_f64();
            let nothing = cpu(file, block, "fakesink sync=false")?;
            let least = floor.cpu(file, packet)?;
            multiples.push((push - nothing) / least);
            floors.push(least);
        }
        let [least, median, most] = spread(multiples);
        println!(
            "| {packet} | {:.3} | {least:.2} / **{median:.2}** / {most:.2} |",
            spread(floors)[1]
        );
    }
    Ok(())
}

fn compare((packet, padded, block): (usize, bool, usize), sinks: usize) -> Outcome {
    let file = streams::file(packet, padded, SIZE)?;
    let file = file.to_str().ok_or("no text")?;
    // Loads the file into the page cache.
    std::fs::read(file)?;
    let mut samples = vec![Vec::new(); sinks];
    for round in 0..ROUNDS {
        for (number, samples) in samples.iter_mut().enumerate() {
            if number < FAST || round < SLOW_ROUNDS {
                let (_, sink, drained) = SINKS[number];
                samples.push(push(file, packet, block, sink, drained)?);
            }
        }
    }
    let padding = if padded {
        "a tenth of it padding"
    } else {
        "no padding"
    };
    println!("\n### Packets of {packet} bytes, {padding}, in buffers of {block}\n");
    let names = SINKS.map(|(name, ..)| name);
    table::throughput(&names, &samples, SIZE, packet);
    Ok(())
}

/// Returns one run, without the cost of start and end.
fn push(file: &str, packet: usize, block: usize, sink: &str, drained: bool) -> Outcome<Sample> {
    let nothing = streams::file(packet, false, NOTHING * packet)?;
    let nothing = nothing.to_str().ok_or("no text")?;
    let before = push_once(nothing, block, sink, drained.then_some(1))?;
    let all = push_once(file, block, sink, drained.then_some(SIZE as u64 * 4 / 5))?;
    Ok(Sample {
        wall: all.wall.saturating_sub(before.wall),
        cpu: all.cpu.saturating_sub(before.cpu),
    })
}

/// Returns one run. With `least`, waits until the receiver has read at least `least` bytes and the connection is
/// closed.
fn push_once(file: &str, block: usize, sink: &str, least: Option<u64>) -> Outcome<Sample> {
    let drain = Drain::start(false)?;
    let sink = sink.replace("PORT", &drain.address.port().to_string());
    let mut child = Measured::start(&["file", file, &block.to_string(), &sink])?;
    let begun = child.go()?;
    let line = child.line()?;
    let mut end = Instant::now();
    child.end()?;
    if let Some(least) = least {
        let mut bytes = 0;
        while bytes < least {
            let drained = drain.next()?;
            bytes += drained.bytes;
            end = drained.last.unwrap_or(end);
        }
    }
    let cpu = *line.first().ok_or("no CPU time")?;
    Ok(Sample {
        wall: end - begun,
        cpu: Duration::from_nanos(cpu as u64),
    })
}

/// Returns the CPU time in seconds of a push, without the cost of start and end.
pub fn cpu(file: &str, block: usize, sink: &str) -> Outcome<f64> {
    Ok(push(file, block, block, sink, false)?.cpu.as_secs_f64())
}
