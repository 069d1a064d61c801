// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask platforms`: type-checks the libraries and programs for systems other than this one.
//!
//! Nothing is linked, so neither a C compiler nor GStreamer of those systems is needed. A target whose standard library
//! is not installed is added by rustup; without rustup the library is checked from its sources.

use std::process::Command;
use std::time::Instant;

use crate::run::{self, Result};
use crate::workspace::Workspace;

/// The targets. Between them they have both word sizes and both byte orders.
const TARGETS: &[&str] = &[
    "aarch64-apple-darwin",
    "x86_64-pc-windows-gnu",
    "x86_64-unknown-freebsd",
    "i686-unknown-linux-gnu",
    "s390x-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
];

/// Libraries and programs. Some tests need Linux, and the benches need Unix.
const CHECK: &[&str] = &["check", "--quiet", "--workspace", "--lib", "--bins"];

/// Checks each target, and fails if one fails.
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
        // Nightly's way, which a stable compiler has to be allowed.
        command.arg("-Zbuild-std").env("RUSTC_BOOTSTRAP", "1");
    }
    let suffix = target.replace('-', "_");
    command
        // In place of RUSTFLAGS, which would hide those in .cargo/config.toml.
        .args(["--config", "target.'cfg(all())'.rustflags=['-Dwarnings']"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("PKG_CONFIG_ALLOW_CROSS", "1")
        // What C there is, in ring, is neither compiled nor linked.
        .env(format!("CC_{suffix}"), "true")
        .env(format!("AR_{suffix}"), "true");
    run::through(&mut command)
}

/// Whether the compiler has the target's standard library, now or with rustup's help.
fn has_library(target: &str) -> bool {
    let installed = || {
        let mut rustc = Command::new("rustc");
        rustc.args(["--print", "target-libdir", "--target", target]);
        run::output(&mut rustc).is_ok_and(|folder| std::path::Path::new(folder.trim()).is_dir())
    };
    installed()
        || run::succeeds(Command::new("rustup").args(["target", "add", target])) && installed()
}
