// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask bench`: the element beside GStreamer's own sinks, and what the core costs.

use crate::run::{self, Result};
use crate::setup;
use crate::test::BUILD;
use crate::workspace::Workspace;

/// What Criterion measures, as a part of its own.
const CORE: &str = "core";

/// The publishing point under load. By its name only, since it takes both processors for a minute.
const LOAD: &str = "load";

/// What `benches/sinks` measures, in its order.
const SINKS: [&str; 7] = [
    "quick",
    "throughput",
    "floor",
    "tls",
    "latency",
    "many",
    "start",
];

/// Whether there is a part of this name.
pub fn is_part(name: &str) -> bool {
    name == CORE || name == LOAD || SINKS.contains(&name)
}

/// Runs the parts that are named, or all of them.
pub fn run(parts: &[String]) -> Result {
    setup::ensure(true)?;
    let workspace = Workspace::find()?;
    // The load is the only part without the plugin.
    if parts.iter().any(|part| part != LOAD) || parts.is_empty() {
        bench(&workspace, BUILD)?;
    }
    let sinks = parts
        .iter()
        .map(String::as_str)
        .filter(|part| *part != CORE && *part != LOAD);
    let sinks: Vec<&str> = sinks.collect();
    let named = |name| parts.iter().any(|part| part == name);
    if parts.is_empty() || !sinks.is_empty() {
        bench(
            &workspace,
            &[&["bench", "--bench", "sinks", "--"], &sinks[..]].concat(),
        )?;
    }
    if parts.is_empty() || named(CORE) {
        bench(&workspace, &["bench", "--bench", CORE])?;
    }
    if named(LOAD) {
        let load = ["bench", "--package", "publishing-point", "--bench", LOAD];
        bench(&workspace, &load)?;
    }
    Ok(())
}

/// Runs cargo, with a registry of its own for GStreamer.
fn bench(workspace: &Workspace, arguments: &[&str]) -> Result {
    let mut command = workspace.cargo(arguments);
    command
        .env("GST_REGISTRY", workspace.target.join("gst-registry.bin"))
        .env_remove("GST_REGISTRY_1_0");
    println!("==> {}", run::shown(&command));
    run::through(&mut command)
}
