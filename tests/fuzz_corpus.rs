// SPDX-License-Identifier: MPL-2.0

//! The kept inputs of the fuzz targets, without a fuzzer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../proto/tests/invariants/mod.rs"]
mod invariants;
#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

/// A target, and its function.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 8] = [
    ("asf_reader", targets::asf_reader::run),
    ("challenges", targets::challenges::run),
    ("locations", targets::locations::run),
    ("pair", targets::pair::run),
    ("player_responses", targets::player_responses::run),
    ("response_heads", targets::response_heads::run),
    ("responses", targets::responses::run),
    ("server_packets", targets::server_packets::run),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

/// Returns the names in a folder, without extensions.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

#[test]
fn every_target_accepts_its_kept_inputs() {
    for (name, run) in TARGETS {
        let folder = folder("corpus").join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Only shown if the input fails.
            println!("{}", path.display());
            run(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 10, "{inputs} inputs for {name}");
    }
}

#[test]
fn every_target_has_inputs() {
    let known: BTreeSet<_> = TARGETS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names(&folder("targets")), known);
    assert_eq!(names(&folder("corpus")), known);
    assert!(names(&folder("dictionaries")).is_subset(&known));
}

/// Returns the versions of each package in a lock file.
fn locked(file: &str) -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let mut versions = BTreeMap::<_, BTreeSet<_>>::new();
    for package in fs::read_to_string(path)
        .unwrap()
        .split("[[package]]")
        .skip(1)
    {
        let value = |name: &str| {
            let mut lines = package.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            value.unwrap().trim_matches('"').to_owned()
        };
        versions
            .entry(value("name"))
            .or_default()
            .insert(value("version"));
    }
    versions
}

/// The fuzzed code is the released code.
#[test]
fn fuzz_targets_have_the_plugin_s_dependencies() {
    let ours = locked("Cargo.lock");
    let mut compared = 0;
    for (name, versions) in locked("fuzz/Cargo.lock") {
        if let Some(ours) = ours.get(&name) {
            assert!(versions.is_subset(ours), "{name}: {versions:?}, {ours:?}");
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}
