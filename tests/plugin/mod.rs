// SPDX-License-Identifier: MPL-2.0

//! The plugin as a file, for tests of other programs that load it.

use std::env::{self, consts};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Returns the folder of the plugin: `WMSPUSH_PLUGIN_DIR`, which `cargo xtask test` sets to that of the release build;
/// without it, a folder with the plugin that cargo has built beside the tests.
pub fn directory() -> PathBuf {
    let directory = env::var_os("WMSPUSH_PLUGIN_DIR").map(PathBuf::from);
    directory.unwrap_or_else(|| {
        static BUILT: OnceLock<PathBuf> = OnceLock::new();
        BUILT.get_or_init(link_to_built).clone()
    })
}

/// Links to the plugin from a folder without other libraries, because GStreamer tries to load each library of a folder.
fn link_to_built() -> PathBuf {
    let name = format!("{}gstwmspush{}", consts::DLL_PREFIX, consts::DLL_SUFFIX);
    let built = env::current_exe().unwrap().with_file_name(&name);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin");
    fs::create_dir_all(&folder).unwrap();
    let link = folder.join(name);
    // Leads to an older build, if there is one.
    let _ = fs::remove_file(&link);
    fs::hard_link(built, link).unwrap();
    folder
}
