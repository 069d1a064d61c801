// SPDX-License-Identifier: MPL-2.0

//! Files and folders, with errors that name them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::Result;

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Reads a text file.
pub fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Writes a text file.
pub fn write(path: &Path, text: &str) -> Result {
    fs::write(path, text).map_err(|error| unusable(path, &error))
}

/// Creates a folder, unless it exists.
pub fn create(folder: &Path) -> Result {
    fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))
}

/// Creates a folder, or empties it, so that old files cannot be mistaken for new ones.
pub fn clear(folder: &Path) -> Result {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| unusable(folder, &error))?;
    }
    create(folder)
}

/// Returns the paths of a folder's entries, in the order of their names.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<std::io::Result<Vec<_>>>()
    });
    let mut paths = entries.map_err(|error| unusable(folder, &error))?;
    paths.sort();
    Ok(paths)
}

/// Returns the message for a file or folder that cannot be used.
fn unusable(path: &Path, error: &std::io::Error) -> String {
    format!("cannot use {}: {error}", path.display())
}
