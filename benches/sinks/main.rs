// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask bench`: `wmspushsink` compared with GStreamer's own sinks, on the same bytes, in turns, in one run.
//!
//! Each measurement has a process of its own, which loads the plugin as users get it. This process reads its data.
//!
//! | module | measurement |
//! |---|---|
//! | `throughput` | wall and CPU time of 400 MB |
//! | `floor` | the lower bound of framing and writing: a loop in C |
//! | `tls` | CPU time of 400 MB over TLS, compared with curl |
//! | `latency` | time from `render` to the peer's `read`, at live rate |
//! | `many` | CPU, memory and threads of 1, 100 and 1,000 sinks in one process |
//! | `start` | time until there is an element |
//! | `child` | the measured process |
//! | `drain` | the receiver |
//! | `packets`, `streams`, `table` | the data, also in files; the printed tables |

mod child;
mod drain;
mod floor;
mod latency;
mod many;
mod packets;
mod start;
mod streams;
mod table;
mod throughput;
mod tls;

use std::error::Error;

/// Any error ends the program.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A name and its measurement.
type Part = (&'static str, fn() -> Outcome);

/// The parts, in their order.
const PARTS: [Part; 7] = [
    // Runs only if it is named.
    (QUICK, throughput::quick),
    ("throughput", throughput::run),
    ("floor", throughput::floor),
    ("tls", tls::run),
    ("latency", latency::run),
    ("many", many::run),
    ("start", start::run),
];

const QUICK: &str = "quick";

fn main() -> Outcome {
    // `cargo bench` adds an option.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let [child::COMMAND, arguments @ ..] =
        &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    {
        return measure(arguments);
    }
    for name in &arguments {
        if !PARTS.iter().any(|(part, _)| part == name) {
            return Err(format!("unknown part \"{name}\"").into());
        }
    }
    table::machine();
    for (name, run) in PARTS {
        let unasked = arguments.is_empty() && name != QUICK;
        if unasked || arguments.iter().any(|argument| argument == name) {
            run()?;
        }
    }
    Ok(())
}

/// Runs a measurement in this process, which a part has started.
fn measure(arguments: &[&str]) -> Outcome {
    match arguments {
        ["file", file, block, sink] => child::push_file(file, block, sink),
        ["start"] => start::measure(),
        ["many", count, seconds, sink] => many::measure(count.parse()?, seconds.parse()?, sink),
        _ => Err("unknown arguments".into()),
    }
}
