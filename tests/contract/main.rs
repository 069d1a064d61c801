// SPDX-License-Identifier: MPL-2.0

//! The public API as other languages see it: the entries of `contract.tsv` are neither renamed nor retyped.
#![cfg(unix)]

#[path = "../plugin/mod.rs"]
mod plugin;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const CONTRACT: &str = include_str!("contract.tsv");

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/contract")
        .join(name)
}

/// Returns the lines that `interpreter` prints with the plugin as users have it.
fn printed(interpreter: &mut Command, name: &str) -> BTreeSet<String> {
    let registry = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("contract-{name}.registry"));
    let output = interpreter
        .arg(script(name))
        .env("GST_PLUGIN_PATH", plugin::directory())
        .env("GST_REGISTRY", registry)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn python_sees_the_contract() {
    let contract: BTreeSet<_> = CONTRACT.lines().map(str::to_owned).collect();
    // The system's Python has GStreamer's bindings: another one may precede it in PATH.
    assert_eq!(
        printed(&mut Command::new("/usr/bin/python3"), "introspect.py"),
        contract
    );
}

/// gjs has no default values and no signals.
#[test]
fn javascript_sees_the_contract() {
    let without_default = |line: &str| {
        let columns: Vec<_> = line.split('\t').collect();
        match columns[..] {
            [
                kind @ ("property" | "bin-property"),
                name,
                type_,
                _,
                access,
                mutability,
            ] => Some([kind, name, type_, access, mutability].join("\t")),
            ["stats", ..] => Some(line.to_owned()),
            _ => None,
        }
    };
    let contract: BTreeSet<_> = CONTRACT.lines().filter_map(without_default).collect();
    assert_eq!(printed(&mut Command::new("gjs"), "introspect.js"), contract);
}
