// SPDX-License-Identifier: MPL-2.0

//! The kept inputs of the fuzz targets, without a fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod properties;
#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

/// A target, and what it does with an input.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 5] = [
    ("asf_reader", targets::asf_reader::run),
    ("challenges", targets::challenges::run),
    ("pair", targets::pair::run),
    ("response_heads", targets::response_heads::run),
    ("server_packets", targets::server_packets::run),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

/// The names in a folder, without what stands behind a dot.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

#[test]
fn every_target_holds_for_the_inputs_that_are_kept() {
    for (name, run) in TARGETS {
        let folder = folder("corpus").join(name);
        let mut inputs = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Shown only when the input fails.
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
