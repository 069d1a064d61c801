// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask bench`: the element compared with GStreamer's own sinks, and the cost of the core.

use crate::run::{self, Result};
use crate::workspace::Workspace;

/// The parts that `benches/sinks` measures, in its order.
const SINKS: [&str; 7] = [
    "quick",
    "throughput",
    "floor",
    "tls",
    "latency",
    "many",
    "start",
];

/// The other benches: Criterion's, and the publishing point under load, which uses both processors for a minute and
/// therefore runs only if it is named.
const OTHERS: [(&str, &[&str]); 2] = [
    ("core", &["bench", "--bench", "core"]),
    (
        "load",
        &["bench", "--package", "publishing-point", "--bench", "load"],
    ),
];

/// Returns whether there is a part of this name.
pub fn is_part(name: &str) -> bool {
    SINKS.contains(&name) || OTHERS.iter().any(|(other, _)| *other == name)
}

/// Runs the named parts, or all of them.
pub fn run(workspace: &Workspace, parts: &[String]) -> Result {
    let bench =
        |arguments: &[&str]| run::through(workspace.with_registry(&mut workspace.cargo(arguments)));
    let named = |name: &str| parts.iter().any(|part| part == name);
    let sinks: Vec<&str> = SINKS.into_iter().filter(|part| named(part)).collect();
    if parts.is_empty() || !sinks.is_empty() {
        workspace.build_plugin()?;
        bench(&[&["bench", "--bench", "sinks", "--"], &sinks[..]].concat())?;
    }
    for (name, arguments) in OTHERS {
        if named(name) || (parts.is_empty() && name == "core") {
            bench(arguments)?;
        }
    }
    Ok(())
}
