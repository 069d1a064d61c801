// SPDX-License-Identifier: MPL-2.0

//! Programs from crates.io: found in one version, or built once.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::run::{self, Result};
use crate::workspace::Workspace;

/// A program that a check needs, in the version that the check was written for.
#[derive(Debug)]
pub struct Tool {
    /// Of the program and its crate.
    pub name: &'static str,
    /// Of the crate.
    pub version: &'static str,
}

/// The program; it is installed below the target directory when it is nowhere.
pub fn installed(workspace: &Workspace, tool: &Tool) -> Result<PathBuf> {
    let root = workspace.target.join("tools");
    let own = root
        .join("bin")
        .join(format!("{}{}", tool.name, std::env::consts::EXE_SUFFIX));
    if let Some(program) = [own.clone(), tool.name.into()]
        .into_iter()
        .find(|program| is_it(Command::new(program), tool))
    {
        return Ok(program);
    }
    let version = format!("={}", tool.version);
    let mut install = workspace.cargo(&["install", "--locked", tool.name, "--version", &version]);
    install.arg("--root").arg(root);
    println!("==> set-up: {}", run::shown(&install));
    run::through(&mut install)?;
    Ok(own)
}

/// Whether a program is there, and of that version.
fn is_it(mut program: Command, tool: &Tool) -> bool {
    let output = program
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| {
        let printed = String::from_utf8_lossy(&output.stdout);
        printed.trim() == format!("{} {}", tool.name, tool.version)
    })
}
