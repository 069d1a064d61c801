// SPDX-License-Identifier: MPL-2.0

//! Tells the plugin definition which commit and date it was built from, and the linker to make the plugin small.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Keeps one of several functions with the same code, which makes the plugin 0.05 MB smaller. Nothing in it compares the
/// addresses of functions.
const FOLDING: &str = "-Wl,--icf=all";

fn main() {
    gst_plugin_version_helper::info();
    if packs_relocations() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,pack-relative-relocs");
    }
    // Not for debugging, because a folded function has the name of another.
    if has("PROFILE", "release") && has("CARGO_CFG_TARGET_FAMILY", "unix") && links_with(FOLDING) {
        println!("cargo:rustc-cdylib-link-arg={FOLDING}");
    }
}

/// Returns whether the environment variable `name` is `value`.
fn has(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|found| found == value)
}

/// Returns whether the linker takes `argument`. LLVM's, which Rust has by default for some targets, folds functions; GNU's
/// ends with an error.
fn links_with(argument: &str) -> bool {
    let variable = |name| env::var(name).unwrap_or_default();
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["--crate-name", "probe", "--crate-type", "cdylib"])
        .args(["--target", &variable("TARGET")])
        .args(variable("CARGO_ENCODED_RUSTFLAGS").split_terminator('\x1f'))
        .arg(format!("-Clink-arg={argument}"))
        .arg("-o")
        .arg(PathBuf::from(variable("OUT_DIR")).join("probe"))
        .arg("-")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.status().is_ok_and(|status| status.success())
}

/// Returns whether the loader of the target reads packed relocations, which make the plugin 0.2 MB smaller: glibc from 2.36
/// on. GStreamer 1.22 comes with that in most distributions. Linkers that do not know the option ignore it.
fn packs_relocations() -> bool {
    let native = env::var_os("HOST") == env::var_os("TARGET");
    let glibc = has("CARGO_CFG_TARGET_OS", "linux") && has("CARGO_CFG_TARGET_ENV", "gnu");
    native && glibc && glibc_version().is_some_and(|version| version >= (2, 36))
}

/// Returns the version of this computer's glibc.
fn glibc_version() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor: String = minor.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}
