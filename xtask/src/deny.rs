// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask deny`: licences, origins and known defects of what the plugin, its tests and its commands depend on.
//!
//! Defects are known to RustSec, whose database is a repository on github.com and in no package registry. Where that
//! cannot be reached, a copy of an earlier run is asked; where there is none, a line says that nobody was asked. That a
//! release was withdrawn is in the registry's index, and is asked in either case.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::run::{self, Result};
use crate::tools::{self, Tool};
use crate::workspace::Workspace;

/// What checks.
const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// The two workspaces, and what of `deny.toml` does not concern each.
const WORKSPACES: [(&str, &str); 2] = [
    ("Cargo.toml", "license-exception-not-encountered"),
    ("fuzz/Cargo.toml", "license-not-encountered"),
];

/// What is allowed, seen from the root.
const SETTINGS: &str = "deny.toml";

/// Where RustSec's database is.
const DATABASE: &str = "https://github.com/RustSec/advisory-db";

/// How long it may take to get it.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// The only advisory of a database that knows of nothing: cargo-deny wants one, and looks for withdrawn releases only
/// when it has a database.
const NO_ADVISORY: &str = r#"```toml
[advisory]
id = "RUSTSEC-2000-0001"
package = "no-crate-has-this-name"
date = "2000-01-01"

[versions]
patched = []
```

# Nothing

Nothing.
"#;

/// Does the set-up, then [`check`].
pub fn run() -> Result {
    crate::setup::ensure(true)?;
    check(&Workspace::find()?)
}

/// Checks both workspaces.
pub fn check(workspace: &Workspace) -> Result {
    let program = tools::installed(workspace, &CARGO_DENY)?;
    let settings = Path::new(SETTINGS);
    for (manifest, unconcerned) in WORKSPACES {
        let mut command = deny(workspace, &program, manifest, settings);
        command.args(["check", "--allow", unconcerned]);
        command.args(["licenses", "bans", "sources"]);
        shown(&mut command)?;
    }
    advisories(workspace, &program)
}

/// Checks for known defects and for withdrawn releases.
fn advisories(workspace: &Workspace, program: &Path) -> Result {
    let settings = Path::new(SETTINGS);
    let mut fetch = deny(workspace, program, "Cargo.toml", settings);
    let fetched = run::bounded(fetch.args(["fetch", "db"]), FETCH_LIMIT);
    let Err(message) = fetched else {
        return each(|manifest| {
            let mut command = deny(workspace, program, manifest, settings);
            command.args(["check", "advisories"]);
            command
        });
    };
    let first = message.lines().find(|line| line.starts_with("fatal"));
    let why = first.unwrap_or("cargo-deny cannot fetch it");
    println!("==> advisories: withdrawn releases, which the registry knows");
    withdrawn(workspace, program)?;
    if !has_copy() {
        println!("==> advisories: NOT CHECKED, since {DATABASE} is out of reach ({why})");
        return Ok(());
    }
    println!(
        "==> advisories: {DATABASE} is out of reach ({why}); the copy of an earlier run is asked"
    );
    each(|manifest| {
        let mut command = deny(workspace, program, manifest, settings);
        command.args(["--offline", "check", "advisories"]);
        command
    })
}

/// Checks for withdrawn releases alone, which takes the registry and no database.
fn withdrawn(workspace: &Workspace, program: &Path) -> Result {
    let folder = workspace.target.join("deny");
    let (database, settings) = (folder.join("no-advisories"), folder.join("withdrawn.toml"));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| unusable(&folder, &error))?;
    }
    write(
        &database.join("crates/nothing/RUSTSEC-2000-0001.md"),
        NO_ADVISORY,
    )?;
    let place = folder.join("databases");
    let text = format!(
        "[advisories]\nyanked = \"deny\"\ndb-path = {:?}\n",
        place.display().to_string()
    );
    write(&settings, &text)?;
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &[
            "-c",
            "user.name=xtask",
            "-c",
            "user.email=",
            "commit",
            "--quiet",
            "--message=Nothing",
        ],
    ] {
        run::output(Command::new("git").args(arguments).current_dir(&database))?;
    }
    each(|manifest| {
        let mut command = deny(workspace, program, manifest, &settings);
        command.args(["check", "advisories"]);
        // git goes there for the database.
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env(
                "GIT_CONFIG_KEY_0",
                format!("url.{}.insteadOf", database.display()),
            )
            .env("GIT_CONFIG_VALUE_0", DATABASE);
        command
    })
}

/// Runs a command on each of the workspaces.
fn each(command: impl Fn(&str) -> Command) -> Result {
    for (manifest, _) in WORKSPACES {
        shown(&mut command(manifest))?;
    }
    Ok(())
}

/// cargo-deny for all of a workspace.
fn deny(workspace: &Workspace, program: &Path, manifest: &str, settings: &Path) -> Command {
    let mut command = workspace.command(&program.to_string_lossy());
    command.args(["--manifest-path", manifest, "--workspace", "--all-features"]);
    command.arg("--config").arg(settings);
    command
}

/// Whether there is a copy of the database from an earlier run.
fn has_copy() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let folder = home.and_then(|home| fs::read_dir(home.join("advisory-dbs")).ok());
    folder.is_some_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.path().join(".git").exists())
    })
}

/// Runs a command and shows it.
fn shown(command: &mut Command) -> Result {
    println!("==> {}", run::shown(command));
    run::through(command)
}

/// Writes a file, and the folders that it is in.
fn write(path: &Path, text: &str) -> Result {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| unusable(path, &error))
}

/// The message for a file or folder.
fn unusable(path: &Path, error: &std::io::Error) -> String {
    format!("cannot use {}: {error}", path.display())
}
