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

/// Fails with the lines of one set that the other lacks.
fn assert_is_contract(seen: &BTreeSet<String>, contract: &BTreeSet<String>) {
    let missing: Vec<_> = contract.difference(seen).collect();
    let added: Vec<_> = seen.difference(contract).collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "only in contract.tsv: {missing:#?}\nonly in the plugin: {added:#?}"
    );
}

#[test]
fn python_sees_the_contract() {
    let contract: BTreeSet<_> = CONTRACT.lines().map(str::to_owned).collect();
    // The system's Python has GStreamer's bindings: another one may precede it in PATH.
    let seen = printed(&mut Command::new("/usr/bin/python3"), "introspect.py");
    assert_is_contract(&seen, &contract);
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
    let seen = printed(&mut Command::new("gjs"), "introspect.js");
    assert_is_contract(&seen, &contract);
}

/// Each entry has a row or a paragraph, and the row of a property its default.
#[test]
fn the_reference_has_the_contract() {
    let rows: Vec<Vec<_>> = include_str!("../../docs/reference.md")
        .lines()
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let missing: Vec<_> = CONTRACT
        .lines()
        .filter(|line| {
            let entry: Vec<_> = line.split('\t').collect();
            !rows.iter().any(|row| is_row_of(row, &entry))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

fn is_row_of(row: &[&str], entry: &[&str]) -> bool {
    let names = |cell: &str, name: &str| cell.contains(&format!("`{name}`"));
    match (entry, row) {
        (["property" | "bin-property", name, _, "-", ..], ["", cell, ..]) => names(cell, name),
        (["property" | "bin-property", name, _, default, ..], ["", cell, _, defaults, ..]) => {
            names(cell, name) && defaults.contains(default)
        }
        (["stats", name, ..], ["", cell, ..]) => names(cell, name),
        (["action", name, ..], ["", cell, ..]) => cell.starts_with(&format!("`{name} (")),
        (["signal", name, ..], [text]) => text.starts_with(&format!("`{name} (")),
        (["bin-pad", name, ..], [text]) => names(text, name),
        _ => false,
    }
}
