// SPDX-License-Identifier: MPL-2.0

//! The limit on the size of the plugin as users get it.

use std::ffi::OsString;
use std::path::Path;

use crate::files;
use crate::run::{self, Result};

/// Limit in bytes, without the path of cargo's folder, which panics in dependencies name. The plugin is loaded into
/// other people's processes.
const BAR: usize = 4_000_000;

/// Notes in the file of a build that the bar is about, and their meaning. Another compiler makes other code of the same
/// sources. GNU's linker keeps each of several functions with the same code: 0.05 MB. For an older glibc, relocations
/// are not packed: 0.2 MB.
const REFERENCE: [(&str, &str); 3] = [
    ("rustc version 1.95.", "by Rust 1.95"),
    ("Linker: LLD ", "with LLVM's linker"),
    (".relr.dyn", "for glibc 2.36 or newer"),
];

/// Prints the size of the plugin, and checks it if the bar is about this build.
pub fn check(plugin: &Path) -> Result {
    let content = files::read(plugin)?;
    let name = |(name, _): (OsString, OsString)| name.to_string_lossy().into_owned();
    let environment: Vec<_> = std::env::vars_os().map(name).collect();
    let home = run::cargo_home().unwrap_or_default();
    println!(
        "==> {}",
        verdict(&content, &home.to_string_lossy(), &environment)?
    );
    Ok(())
}

/// Returns a line about the size. The error is about a plugin that is too large because of its code.
fn verdict(content: &[u8], home: &str, environment: &[String]) -> Result<String> {
    let size = content.len();
    if size <= BAR || size - count(content, home) * home.len() <= BAR {
        return Ok(format!("the plugin has {size} bytes, and may have {BAR}"));
    }
    if let Some(build) = unlike_this(content, environment) {
        return Ok(format!(
            "the plugin has {size} bytes. NOT CHECKED: it may have {BAR} if it is built {build}"
        ));
    }
    Err(format!(
        "the plugin has {size} bytes, and may have {BAR}. Compare `cargo tree --edges normal` and Cargo.toml's \
         [profile.release] with those of the last commit that passes: most often, a dependency or a feature of one is \
         new, or is not in the list of optimisations. CARGO_PROFILE_RELEASE_STRIP=none keeps the names of functions, for \
         `nm --size-sort`"
    ))
}

/// Returns how the builds that the bar is about are made, if this is none of them.
fn unlike_this(content: &[u8], environment: &[String]) -> Option<String> {
    if !cfg!(all(
        target_arch = "x86_64",
        target_os = "linux",
        target_env = "gnu"
    )) {
        return Some("for x86-64 Linux with glibc".to_owned());
    }
    let is_setting =
        |name: &&String| name.ends_with("RUSTFLAGS") || name.starts_with("CARGO_PROFILE_RELEASE_");
    if let Some(name) = environment.iter().find(is_setting) {
        return Some(format!("without {name} in the environment"));
    }
    let mut notes = REFERENCE.into_iter();
    let missing = notes.find(|(note, _)| count(content, note) == 0);
    missing.map(|(_, build)| build.to_owned())
}

/// Returns how often a text is in the file.
fn count(content: &[u8], text: &str) -> usize {
    let text = text.as_bytes();
    match text.first() {
        Some(first) => (content.iter().enumerate())
            .filter(|(place, byte)| *byte == first && content[*place..].starts_with(text))
            .count(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a file with a text and zeros, of a size.
    fn file(text: &str, size: usize) -> Vec<u8> {
        let mut content = text.as_bytes().to_vec();
        content.resize(size, 0);
        content
    }

    /// Returns the notes of a build that the bar is about.
    fn reference() -> String {
        REFERENCE.map(|(note, _)| note).concat()
    }

    #[test]
    fn a_plugin_may_be_as_large_as_the_bar() {
        let line = verdict(&file("", BAR), "/h", &[]);
        assert_eq!(
            line,
            Ok("the plugin has 4000000 bytes, and may have 4000000".to_owned())
        );
    }

    #[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
    #[test]
    fn a_plugin_above_the_bar_fails_with_size_bar_and_cure() {
        let message = verdict(&file(&reference(), BAR + 1), "/h", &[]).err();
        let message = message.unwrap_or_default();
        for part in ["4000001 bytes", "may have 4000000", "cargo tree"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_build_of_another_kind_is_not_checked() {
        let unchecked = |text: &str, environment: &[&str]| {
            let environment: Vec<_> = environment.iter().copied().map(String::from).collect();
            let line = verdict(&file(text, BAR + 1), "/h", &environment);
            line.is_ok_and(|line| line.contains("NOT CHECKED"))
        };
        for (note, _) in REFERENCE {
            assert!(unchecked(&reference().replace(note, ""), &[]), "{note}");
        }
        for name in ["CARGO_ENCODED_RUSTFLAGS", "CARGO_PROFILE_RELEASE_LTO"] {
            assert!(unchecked(&reference(), &["PATH", name]), "{name}");
        }
    }

    #[test]
    fn paths_of_dependencies_do_not_count() {
        let content = file(&format!("{}/h/.cargo/a /h/.cargo/b", reference()), BAR + 16);
        assert!(verdict(&content, "/h/.cargo", &[]).is_ok());
    }
}
