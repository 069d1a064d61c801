// SPDX-License-Identifier: MPL-2.0

//! The paths of the workspace and of its build products.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{self, Result};

/// The file name of the plugin, as `cargo build --lib` leaves it.
const PLUGIN: &str = if cfg!(target_os = "macos") {
    "libgstwmspush.dylib"
} else if cfg!(windows) {
    "gstwmspush.dll"
} else {
    "libgstwmspush.so"
};

/// Builds the plugin as users get it.
const BUILD: &[&str] = &["build", "--release", "--lib"];

/// The directories that the commands work in.
#[derive(Debug)]
pub struct Workspace {
    /// The directory of the root `Cargo.toml`; every command is started here.
    pub root: PathBuf,
    /// Cargo's target directory, wherever the user has put it.
    pub target: PathBuf,
}

impl Workspace {
    /// Finds the workspace of this program, whatever the current directory is.
    pub fn find() -> Result<Self> {
        let member = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = member
            .parent()
            .map(Path::to_path_buf)
            .ok_or_else(|| format!("{} has no parent directory", member.display()))?;
        let mut metadata = run::cargo();
        metadata
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(&root);
        let json = run::output(&mut metadata)?;
        let target = json_string(&json, "target_directory")
            .map(PathBuf::from)
            .ok_or("`cargo metadata` does not tell the target directory")?;
        Ok(Self { root, target })
    }

    /// A command that is started from the root.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// A cargo command that is started from the root.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = run::cargo();
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// Gives a command a plugin registry below the target directory: the user's is not touched.
    pub fn with_registry<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let registry = self.target.join("gst-registry.bin");
        command
            .env("GST_REGISTRY", registry)
            // It would win over the one above.
            .env_remove("GST_REGISTRY_1_0")
    }

    /// The directory of the plugin as users get it.
    pub fn plugin_directory(&self) -> PathBuf {
        self.target.join("release")
    }

    /// Builds the plugin as users get it, and returns its file.
    pub fn build_plugin(&self) -> Result<PathBuf> {
        run::through(&mut self.cargo(BUILD))?;
        let plugin = self.plugin_directory().join(PLUGIN);
        if plugin.is_file() {
            return Ok(plugin);
        }
        Err(format!(
            "the build did not leave the plugin at {}; if CARGO_BUILD_TARGET or `build.target` is set, unset it",
            plugin.display()
        ))
    }

    /// Returns a path for arguments and messages: relative to the root if it is below it.
    pub fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// Returns the first string member called `name` in a JSON text. Enough for what cargo prints.
pub fn json_string(json: &str, name: &str) -> Option<String> {
    let start = format!("\"{name}\":\"");
    let (_, rest) = json.split_once(&start)?;
    let mut value = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_member_is_found_and_unescaped() {
        let json = r#"{"packages":[],"target_directory":"C:\\a \"b\"","version":1}"#;
        assert_eq!(
            json_string(json, "target_directory").as_deref(),
            Some(r#"C:\a "b""#)
        );
        assert_eq!(json_string(json, "workspace_root"), None);
        assert_eq!(
            json_string(r#"{"target_directory":"/cut"#, "target_directory"),
            None
        );
    }
}
