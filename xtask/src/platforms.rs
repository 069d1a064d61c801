// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask platforms`: type-checks the libraries and programs for systems other than this one.
//!
//! Nothing is linked, so neither a C compiler nor GStreamer of those systems is needed. `rustup` adds a target whose
//! standard library is not installed. Without `rustup`, cargo builds that library from its sources.

use std::process::Command;
use std::time::Instant;

use crate::run::{self, Result};
use crate::workspace::Workspace;

/// The targets: both word sizes and both byte orders are among them.
const TARGETS: &[&str] = &[
    "aarch64-apple-darwin",
    "x86_64-pc-windows-gnu",
    "x86_64-unknown-freebsd",
    "i686-unknown-linux-gnu",
    "s390x-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
];

/// Checks libraries and programs, but not the tests, some of which need Linux, nor the benches, which need Unix.
const CHECK: &[&str] = &["check", "--quiet", "--workspace", "--lib", "--bins"];

/// Checks all targets, and prints a row for each.
///
/// # Errors
///
/// Names the targets that fail.
pub fn run(workspace: &Workspace) -> Result {
    let mut failed = Vec::new();
    for target in TARGETS {
        let started = Instant::now();
        let outcome = check(workspace, target);
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("{target:<28} type-checks   {seconds:>6.1} s"),
            Err(message) => {
                println!("{target:<28} FAILS         {seconds:>6.1} s   {message}");
                failed.push(*target);
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("does not type-check for {}", failed.join(", ")))
    }
}

/// Type-checks for one target; a warning is a failure.
fn check(workspace: &Workspace, target: &str) -> Result {
    let mut command = workspace.cargo(CHECK);
    command.args(["--target", target]);
    if !has_library(target) {
        // A stable compiler accepts this unstable option with RUSTC_BOOTSTRAP alone.
        command.arg("-Zbuild-std").env("RUSTC_BOOTSTRAP", "1");
    }
    let suffix = target.replace('-', "_");
    command
        // RUSTFLAGS would replace the flags in .cargo/config.toml.
        .args(["--config", "target.'cfg(all())'.rustflags=['-Dwarnings']"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("PKG_CONFIG_ALLOW_CROSS", "1")
        // The C code of ring is neither compiled nor linked.
        .env(format!("CC_{suffix}"), "true")
        .env(format!("AR_{suffix}"), "true");
    run::through(&mut command)
}

/// Returns whether the standard library of the target is installed. Tries to install it with `rustup` if not.
fn has_library(target: &str) -> bool {
    let installed = || {
        let mut rustc = Command::new("rustc");
        rustc.args(["--print", "target-libdir", "--target", target]);
        run::output(&mut rustc).is_ok_and(|folder| std::path::Path::new(folder.trim()).is_dir())
    };
    installed()
        || run::succeeds(Command::new("rustup").args(["target", "add", target])) && installed()
}
