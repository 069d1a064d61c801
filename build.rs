// SPDX-License-Identifier: MPL-2.0

//! Tells the plugin definition which commit and date it was built from, and the linker to pack relocations.

use std::env;
use std::process::Command;

fn main() {
    gst_plugin_version_helper::info();
    if packs_relocations() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,pack-relative-relocs");
    }
}

/// Returns whether the loader of the target reads packed relocations, which make the plugin 0.2 MB smaller: glibc from 2.36
/// on. GStreamer 1.22 comes with that in most distributions. Linkers that do not know the option ignore it.
fn packs_relocations() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let native = env::var_os("HOST") == env::var_os("TARGET");
    let glibc = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    native && glibc && glibc_version().is_some_and(|version| version >= (2, 36))
}

/// The version of this computer's glibc.
fn glibc_version() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor: String = minor.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}
