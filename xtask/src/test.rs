// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask test`: the checks of a change, in order, stopping at the first failure.

use std::time::Instant;

use crate::conformance;
use crate::deny;
use crate::fuzz;
use crate::run::{self, Result};
use crate::setup;
use crate::workspace::Workspace;

/// One check.
enum Step {
    /// Arguments of cargo.
    Cargo(&'static [&'static str]),
    /// What `cargo xtask conformance` checks.
    Conformance,
    /// What `cargo xtask deny` checks.
    Deny,
    /// What `cargo xtask fuzz` does.
    Fuzz,
}

/// The steps.
const STEPS: &[Step] = &[
    Step::Cargo(&["fmt", "--all", "--check"]),
    Step::Cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]),
    Step::Cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]),
    Step::Cargo(&[
        "clippy",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--",
        "-D",
        "warnings",
    ]),
    Step::Conformance,
    Step::Deny,
    Step::Cargo(BUILD),
    Step::Cargo(&["test", "--workspace", "--all-features"]),
    // By itself: there are tests of timing.
    Step::Fuzz,
    Step::Cargo(DOCUMENT),
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

/// Runs one step and tells how long it took.
fn run_step(workspace: &Workspace, place: &str, step: &Step) -> Result {
    let started = Instant::now();
    let outcome = match step {
        Step::Cargo(arguments) => run_cargo(workspace, place, arguments),
        Step::Conformance => {
            println!("==> {place} cargo xtask conformance");
            conformance::check(workspace)
        }
        Step::Deny => {
            println!("==> {place} cargo xtask deny");
            deny::check(workspace)
        }
        Step::Fuzz => {
            println!("==> {place} cargo xtask fuzz");
            fuzz::check(workspace, fuzz::SECONDS, &[])
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    outcome.map_err(|message| format!("step {place} failed after {seconds:.1} s: {message}"))?;
    println!("==> {place} passed in {seconds:.1} s");
    Ok(())
}

/// Runs cargo, with the environment that the tests and the documentation need.
fn run_cargo(workspace: &Workspace, place: &str, arguments: &[&str]) -> Result {
    let mut command = workspace.cargo(arguments);
    command
        .env("WMSPUSH_PLUGIN_DIR", workspace.plugin_directory())
        // A registry of its own: the user's is not touched.
        .env("GST_REGISTRY", workspace.target.join("gst-registry.bin"))
        .env_remove("GST_REGISTRY_1_0");
    if arguments.contains(&"--manifest-path") {
        // Another workspace, which has a target directory of its own otherwise.
        command.env("CARGO_TARGET_DIR", &workspace.target);
    }
    if arguments == DOCUMENT {
        command.env("RUSTDOCFLAGS", "-D warnings");
    }
    println!("==> {place} {}", run::shown(&command));
    run::through(&mut command)?;
    if arguments == BUILD {
        workspace.require_plugin()?;
    }
    Ok(())
}
