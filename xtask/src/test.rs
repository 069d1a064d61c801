// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask test`: the checks of a change, in order, up to the first failure.

use std::time::Instant;

use crate::run::{self, Result};
use crate::suites::{self, Suite};
use crate::workspace::Workspace;
use crate::{conformance, deny, fuzz, size};

/// Duration of each fuzz target in seconds. Inputs that it finds are kept, so that the next run goes on from there.
const FUZZING: u32 = 20;

/// The checks before the test suites.
const BEFORE: &[(&str, Check)] = &[
    ("format", format),
    ("lint", lint),
    ("conformance", conformance::check),
    ("deny", deny::check),
    ("build", build),
];

/// The checks after the test suites.
const AFTER: &[(&str, Check)] = &[
    ("doctests", doctests),
    ("fuzz", |workspace| fuzz::check(workspace, FUZZING, &[])),
    ("document", document),
];

/// One check.
type Check = fn(&Workspace) -> Result;

/// The selected parts of `cargo xtask test`.
#[derive(Debug, PartialEq)]
pub enum Parts {
    /// All of them.
    All,
    /// These alone.
    Only(Vec<String>),
    /// This one, and all that follow it.
    From(String),
}

/// Runs the selected parts.
pub fn run(workspace: &Workspace, parts: &Parts) -> Result {
    let started = Instant::now();
    match parts {
        Parts::All => all(workspace, None)?,
        Parts::From(name) => all(workspace, Some(name))?,
        Parts::Only(names) => only(workspace, names)?,
    }
    println!("==> passed in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Runs all parts, or those from `from` on.
fn all(workspace: &Workspace, from: Option<&str>) -> Result {
    let is_from = |(name, _): &(&str, Check)| Some(*name) == from;
    let after = AFTER.iter().position(is_from);
    let before = match from {
        None => Some(0),
        Some(_) => BEFORE.iter().position(is_from),
    };
    for (name, check) in BEFORE.iter().skip(before.unwrap_or(BEFORE.len())) {
        timed(workspace, name, *check)?;
    }
    if after.is_none() {
        let mut suites = suites::all(workspace)?;
        if let (None, Some(from)) = (before, from) {
            let names: Vec<_> = suites.iter().map(Suite::name).collect();
            let place = names.iter().position(|name| *name == from);
            suites = suites.split_off(place.ok_or_else(|| unknown(from, &names))?);
        }
        suites::run(workspace, &suites)?;
    }
    for (name, check) in AFTER.iter().skip(after.unwrap_or(0)) {
        timed(workspace, name, *check)?;
    }
    Ok(())
}

/// Runs the named parts alone. Suites that load the plugin get one of the present sources first.
fn only(workspace: &Workspace, names: &[String]) -> Result {
    let with_plugin = |name: &String| suites::WITH_PLUGIN.contains(&name.as_str());
    if names.iter().any(with_plugin) && !names.iter().any(|name| name == "build") {
        workspace.build_plugin()?;
    }
    for name in names {
        let mut checks = BEFORE.iter().chain(AFTER);
        match checks.find(|(check, _)| check == name) {
            Some((name, check)) => timed(workspace, name, *check)?,
            None => suites::run(workspace, &suites::named(workspace, name)?)?,
        }
    }
    Ok(())
}

/// Returns the message for an unknown part.
fn unknown(name: &str, suites: &[&str]) -> String {
    let before = BEFORE.iter().map(|(name, _)| *name);
    let after = AFTER.iter().map(|(name, _)| *name);
    let names: Vec<_> = before.chain(suites.iter().copied()).chain(after).collect();
    format!(
        "there is no part \"{name}\"; there are {}",
        names.join(", ")
    )
}

/// Runs a check, and prints its duration.
fn timed(workspace: &Workspace, name: &str, check: Check) -> Result {
    println!("==> [{name}]");
    let started = Instant::now();
    check(workspace).map_err(|message| {
        format!("{message}\nContinue after the fix: cargo xtask test --from {name}")
    })?;
    println!("==> [{name}] {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Checks the format of both workspaces.
fn format(workspace: &Workspace) -> Result {
    run::through(&mut workspace.cargo(&["fmt", "--all", "--check"]))?;
    let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    run::through(&mut workspace.cargo(&fuzz))
}

/// Checks both workspaces with clippy.
fn lint(workspace: &Workspace) -> Result {
    let strict = ["--", "-D", "warnings"];
    let all = ["clippy", "--workspace", "--all-targets", "--all-features"];
    run::through(&mut workspace.cargo(&[&all[..], &strict].concat()))?;
    let fuzz = ["clippy", "--manifest-path", "fuzz/Cargo.toml"];
    let mut fuzz = workspace.cargo(&[&fuzz[..], &strict].concat());
    // Another workspace, with its own target directory by default.
    run::through(fuzz.env("CARGO_TARGET_DIR", &workspace.target))
}

/// Builds the plugin as users get it, and checks its size.
fn build(workspace: &Workspace) -> Result {
    size::check(&workspace.build_plugin()?)
}

/// Runs the examples in the documentation.
fn doctests(workspace: &Workspace) -> Result {
    let arguments = ["test", "--workspace", "--all-features", "--doc"];
    run::through(workspace.with_registry(&mut workspace.cargo(&arguments)))
}

/// Builds all documentation; a warning is a failure.
fn document(workspace: &Workspace) -> Result {
    let mut command = workspace.cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    run::through(command.env("RUSTDOCFLAGS", "-D warnings"))
}
