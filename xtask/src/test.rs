// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask test`: the checks of a change, in order, stopping at the first failure.

use std::time::Instant;

use crate::run::{self, Result};
use crate::setup;
use crate::workspace::Workspace;

/// The steps, as arguments of cargo.
const STEPS: &[&[&str]] = &[
    &["fmt", "--all", "--check"],
    &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ],
    BUILD,
    &["test", "--workspace", "--all-features"],
    DOCUMENT,
];

/// Builds the plugin as users get it: the tests that run gst-launch-1.0 or Python load this one.
pub const BUILD: &[&str] = &["build", "--release", "--lib"];

/// Documents everything; a warning is a failure here.
const DOCUMENT: &[&str] = &["doc", "--workspace", "--no-deps", "--all-features"];

/// Runs all steps.
pub fn run() -> Result {
    setup::ensure(true)?;
    let workspace = Workspace::find()?;
    let started = Instant::now();
    for (index, step) in STEPS.iter().enumerate() {
        let place = format!("[{}/{}]", index + 1, STEPS.len());
        run_step(&workspace, &place, step)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("==> all {} steps passed in {seconds:.1} s", STEPS.len());
    Ok(())
}

/// Runs one step, with the environment that the tests and the documentation need.
fn run_step(workspace: &Workspace, place: &str, step: &[&str]) -> Result {
    let mut command = workspace.cargo(step);
    command
        .env("WMSPUSH_PLUGIN_DIR", workspace.plugin_directory())
        // A registry of its own: the user's is not touched.
        .env("GST_REGISTRY", workspace.target.join("gst-registry.bin"))
        .env_remove("GST_REGISTRY_1_0");
    if step == DOCUMENT {
        command.env("RUSTDOCFLAGS", "-D warnings");
    }
    println!("==> {place} {}", run::shown(&command));
    let started = Instant::now();
    let outcome = run::through(&mut command).and_then(|()| {
        if step == BUILD {
            workspace.require_plugin()
        } else {
            Ok(())
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    outcome.map_err(|message| format!("step {place} failed after {seconds:.1} s: {message}"))?;
    println!("==> {place} passed in {seconds:.1} s");
    Ok(())
}
