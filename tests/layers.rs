// SPDX-License-Identifier: MPL-2.0

//! The layers of the crate documentation: the allowed dependencies.

use std::fs;
use std::path::{Path, PathBuf};

/// Words that no line of a folder may contain, except in comments and tests. The compiler checks the dependencies
/// between crates.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "proto/src",
        &["std::net", "Instant::now", "SystemTime::now", "getrandom"],
    ),
    (
        "proto/src/asf",
        &["std::time", "crate::auth", "crate::wmhttp", "crate::wmsp"],
    ),
    (
        "proto/src/auth",
        &["crate::asf", "crate::wmhttp", "crate::wmsp"],
    ),
    ("proto/src/wmhttp", &["crate::wmsp"]),
    (
        "src/push",
        &[
            "gst::",
            "gst_base",
            "glib",
            "crate::sink",
            "crate::bin_element",
        ],
    ),
    (
        "src/sink",
        &[
            "tokio",
            "std::net",
            "reqwest",
            "hyper",
            "crate::bin_element",
        ],
    ),
    // A push uses its own connections. reqwest serves `verify`, and `tls` gives it the trust.
    ("src/push/driver", &["reqwest", "hyper"]),
    ("src/push/verify", &["TcpStream", "Driver"]),
    // The bin uses the sink as an application does, and no lower layer.
    (
        "src/bin_element",
        &[
            "reqwest",
            "tokio",
            "std::net",
            "crate::asf",
            "crate::auth",
            "crate::push",
            "crate::wmhttp",
        ],
    ),
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn no_layer_uses_a_higher_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for (folder, words) in FORBIDDEN {
        let files = rust_files(&root.join(folder));
        assert!(!files.is_empty(), "{folder} is empty");
        for file in files {
            if file.ends_with("tests.rs") || file.ends_with("testing.rs") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
            for (number, line) in code.lines().enumerate() {
                let word = words.iter().find(|word| line.contains(**word));
                if let Some(word) = word.filter(|_| !line.trim_start().starts_with("//")) {
                    found.push(format!("{}:{}: {word}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Files with `unsafe` code, for which GStreamer and the system have no safe API. clippy requires a reason above each
/// block.
const UNSAFE: &[&str] = &[
    // Network interfaces by name.
    "src/push/connect.rs",
    // Tests that fork, and limit their process.
    "src/push/runtime/tests.rs",
    // Socket counters, and SIGPIPE.
    "src/push/socket.rs",
    // A class method and a field that the bindings lack.
    "src/sink/bindings.rs",
    // Signals by their numbers, which the bindings also lack.
    "tests/documentation.rs",
];

/// Returns whether a line of code, other than a comment, has an unsafe block, function or attribute.
fn is_unchecked(line: &str) -> bool {
    let opens = |rest: &str| {
        let words = ["{", "(", "extern", "fn", "impl", "trait"];
        words.iter().any(|word| rest.trim_start().starts_with(word))
    };
    let is_comment = line.trim_start().starts_with("//");
    !is_comment && line.split("unsafe").skip(1).any(opens)
}

#[test]
fn unsafe_code_is_only_in_listed_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "src",
        "tests",
        "examples",
        "proto",
        "publishing-point",
        "xtask/src",
        "fuzz/src",
        "fuzz/targets",
    ];
    let mut found: Vec<_> = folders
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .chain([root.join("build.rs")])
        .filter(|file| fs::read_to_string(file).unwrap().lines().any(is_unchecked))
        .map(|file| file.strip_prefix(root).unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, UNSAFE.iter().map(Path::new).collect::<Vec<_>>());
}
