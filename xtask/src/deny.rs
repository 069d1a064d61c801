// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask deny`: licences, origins and known vulnerabilities of the dependencies of the plugin, its tests and its
//! commands.
//!
//! RustSec lists the vulnerabilities. Its database is a repository on github.com and in no package registry. If that is
//! unreachable, the copy of an earlier run is used; without one, a line says that vulnerabilities were not checked.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::run::{self, Result};
use crate::setup;
use crate::workspace::Workspace;

/// Version of cargo-deny.
const VERSION: &str = "0.20.2";

/// The two workspaces, and the part of `deny.toml` that does not apply to each.
const WORKSPACES: [(&str, &str); 2] = [
    ("Cargo.toml", "license-exception-not-encountered"),
    ("fuzz/Cargo.toml", "license-not-encountered"),
];

/// Limit on fetching the database.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// Checks both workspaces.
pub fn check(workspace: &Workspace) -> Result {
    let program = setup::tool(workspace, "cargo-deny", VERSION)?;
    for (manifest, unconcerned) in WORKSPACES {
        let mut command = deny(workspace, &program, manifest);
        command.args(["check", "--allow", unconcerned]);
        run::through(command.args(["licenses", "bans", "sources"]))?;
    }
    advisories(workspace, &program)
}

/// Checks for known vulnerabilities and for yanked releases.
fn advisories(workspace: &Workspace, program: &Path) -> Result {
    let mut fetch = deny(workspace, program, WORKSPACES[0].0);
    let fetched = run::bounded(fetch.args(["fetch", "db"]), FETCH_LIMIT).is_ok();
    if !fetched && !has_copy() {
        println!(
            "==> defects and withdrawn releases: NOT CHECKED, because RustSec's database is out of reach"
        );
        return Ok(());
    }
    for (manifest, _) in WORKSPACES {
        let mut command = deny(workspace, program, manifest);
        if !fetched {
            println!("==> RustSec's database is out of reach; using the copy of an earlier run");
            command.arg("--offline");
        }
        run::through(command.args(["check", "advisories"]))?;
    }
    Ok(())
}

/// Returns cargo-deny for a whole workspace.
fn deny(workspace: &Workspace, program: &Path, manifest: &str) -> Command {
    let mut command = workspace.command(&program.to_string_lossy());
    command.args(["--manifest-path", manifest, "--workspace", "--all-features"]);
    command.args(["--config", "deny.toml"]);
    command
}

/// Returns whether there is a copy of the database from an earlier run.
fn has_copy() -> bool {
    let folder = run::cargo_home().and_then(|home| home.join("advisory-dbs").read_dir().ok());
    folder.is_some_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.path().join(".git").exists()))
    })
}
