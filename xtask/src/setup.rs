// SPDX-License-Identifier: MPL-2.0

//! Set-up, the only place that installs: packages by apt-get, components of the toolchain, and programs of crates.io.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::packages::{self, Package};
use crate::run::{self, Result};
use crate::workspace::Workspace;

/// The oldest supported GStreamer, for pkg-config.
const OLDEST_GSTREAMER: &str = "gstreamer-1.0 >= 1.18";

/// Runs the command in its arguments, as root, so that packages start no services: all mechanisms ask policy-rc.d
/// (deb-systemd-invoke(1p), invoke-rc.d(8)). An existing policy of the administrator stays.
const WITHOUT_SERVICES: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi
"$@"
"#;

/// apt-get in non-interactive mode.
const APT_GET: [&str; 5] = [
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    "-o",
    "DPkg::Lock::Timeout=300",
];

/// Installs missing packages of a command; with `tests`, also those of the tests.
pub fn ensure(tests: bool) -> Result {
    let missing = packages::missing(packages::needed(tests)?)?;
    let (optional, needed) = missing.into_iter().partition(Package::is_optional);
    require(needed)?;
    offer(&optional);
    if !run::succeeds(Command::new("pkg-config").args(["--exists", OLDEST_GSTREAMER])) {
        return Err(format!(
            "pkg-config does not find {OLDEST_GSTREAMER}; install a newer GStreamer (Debian 11, Ubuntu 22.04 or later \
             have it) or point PKG_CONFIG_PATH to one"
        ));
    }
    if tests { rust_components() } else { Ok(()) }
}

/// Installs packages, and fails when they are not there then.
fn require(missing: Vec<Package>) -> Result {
    if missing.is_empty() {
        return Ok(());
    }
    if !run::found("apt-get") {
        return Err(by_hand(&missing));
    }
    install(&missing)?;
    let missing = packages::missing(missing)?;
    if missing.is_empty() {
        return Ok(());
    }
    let list = list(&missing);
    Err(format!(
        "installed, and not found all the same; xtask/packages.tsv has the probes:\n{list}"
    ))
}

/// Installs packages where that is possible, and names them where it is not.
fn offer(missing: &[Package]) {
    let there = missing.is_empty() || (run::found("apt-get") && install(missing).is_ok());
    if !there {
        let list = list(missing);
        println!(
            "==> set-up: continues without these packages, and skips the tests that need them\n{list}"
        );
    }
}

/// Installs packages with apt-get.
fn install(missing: &[Package]) -> Result {
    println!(
        "==> set-up: these packages are missing and will be installed\n{}",
        list(missing)
    );
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(missing.iter().map(|package| package.name));
    if !is_root() && !run::found("sudo") {
        return Err(format!(
            "installing packages needs root and there is no sudo; as root, run: apt-get update && apt-get {}",
            install.join(" ")
        ));
    }
    if let Err(message) = as_root(&[&APT_GET[..], &["update"]].concat()) {
        println!("==> set-up: {message}; using the package lists of the last update");
    }
    let shell = ["sh", "-c", WITHOUT_SERVICES, "sh"];
    as_root(&[&shell[..], &APT_GET, &install].concat())
        .map_err(|message| format!("set-up: {message}; see apt-get's messages above"))?;
    // Nor with the next start of the system.
    for service in missing.iter().flat_map(|package| &package.services) {
        if let Err(message) = as_root(&["update-rc.d", service, "disable"]) {
            println!("==> set-up: {message}; {service} may start with the system");
        }
    }
    Ok(())
}

/// Runs a command as root.
fn as_root(words: &[&str]) -> Result {
    let mut command = Command::new(if is_root() { "env" } else { "sudo" });
    run::through(command.args(words))
}

/// Returns whether this process may install packages itself.
fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Returns packages with their reasons, one per line.
fn list(packages: &[Package]) -> String {
    let line = |package: &Package| format!("  {:<34} {}", package.name, package.reason);
    packages.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the message for a system without apt-get.
fn by_hand(missing: &[Package]) -> String {
    format!(
        "this system has no apt-get, and something that is needed is missing. By the names of Debian:\n{}\n\
         docs/recipes.md has the names of other systems for the first of them. Install it and run this again.",
        list(missing)
    )
}

/// Adds rustfmt and clippy to the toolchain if they are missing.
fn rust_components() -> Result {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if run::succeeds(run::cargo().args([subcommand, "--version"])) {
            continue;
        }
        if !run::found("rustup") {
            return Err(format!(
                "`cargo {subcommand}` is missing; install {component} of the same release as rustc"
            ));
        }
        run::through(Command::new("rustup").args(["component", "add", component]))?;
    }
    Ok(())
}

/// Returns the path of a program of crates.io in one version. Builds it below the target directory if it is not
/// installed.
pub fn tool(workspace: &Workspace, name: &str, version: &str) -> Result<PathBuf> {
    let root = workspace.target.join("tools");
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let own = root.join("bin").join(file);
    let expected = format!("{name} {version}");
    let is_it = |program: &PathBuf| {
        let mut command = Command::new(program);
        let output = command.arg("--version").stdin(Stdio::null()).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == expected)
    };
    if let Some(program) = [own.clone(), name.into()].into_iter().find(is_it) {
        return Ok(program);
    }
    let version = format!("={version}");
    let install = ["install", "--locked", name, "--version", &version];
    run::through(workspace.cargo(&install).arg("--root").arg(root))?;
    Ok(own)
}
