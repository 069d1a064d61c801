// SPDX-License-Identifier: MPL-2.0

//! Set-up: installs what is missing where there is apt-get, and otherwise says what is missing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::packages::{self, Package, Probe, Use};
use crate::run::{self, Result};

/// The oldest GStreamer that the plugin works with, for pkg-config.
const OLDEST_GSTREAMER: &str = "gstreamer-1.0 >= 1.22";

/// Runs the command in its arguments, as root, so that packages start no services: the ways in which they do all ask
/// policy-rc.d (deb-systemd-invoke(1p), invoke-rc.d(8)). One that is there already is the administrator's, and stays.
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

/// Makes sure that everything a command needs is there.
pub fn ensure(tests: bool) -> Result {
    if run::found("apt-get") && run::found("dpkg-query") {
        install(&missing_on_debian(tests)?)?;
    } else {
        report(&missing_elsewhere(tests))?;
    }
    if !run::succeeds(Command::new("pkg-config").args(["--exists", OLDEST_GSTREAMER])) {
        return Err(format!(
            "pkg-config does not find {OLDEST_GSTREAMER}; install a newer GStreamer (Debian 12, Ubuntu 23.04 or later \
             have it) or point PKG_CONFIG_PATH to one"
        ));
    }
    if tests { rust_components() } else { Ok(()) }
}

/// The packages that dpkg does not have.
fn missing_on_debian(tests: bool) -> Result<Vec<&'static Package>> {
    let mut query = Command::new("dpkg-query");
    query
        .args(["-W", "-f", packages::DPKG_FORMAT])
        .args(packages::needed(tests).map(|package| package.name))
        .stderr(Stdio::null());
    // It fails when it does not know one of the packages, and still prints the others.
    let output = query
        .output()
        .map_err(|error| format!("cannot start dpkg-query: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(packages::missing(
        packages::needed(tests),
        &printed,
        run::found,
    ))
}

/// Installs packages with apt-get, showing what is done.
fn install(missing: &[&Package]) -> Result {
    if missing.is_empty() {
        return Ok(());
    }
    println!("==> set-up: these packages are missing and will be installed");
    for package in missing {
        println!("      {:<34} {}", package.name, package.reason);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let services: Vec<&str> = missing
        .iter()
        .flat_map(|package| package.services())
        .copied()
        .collect();
    let install = ["install", "-y", "--no-install-recommends"];
    let install = [&install[..], &names].concat();
    if !is_root() && !run::found("sudo") {
        return Err(format!(
            "installing packages needs root and there is no sudo; as root, run: apt-get update && apt-get {}",
            install.join(" ")
        ));
    }
    if let Err(message) = as_root(&[&APT_GET[..], &["update"]].concat()) {
        println!("==> set-up: {message}; trying with the package lists that are there");
    }
    if services.is_empty() {
        as_root(&[&APT_GET[..], &install].concat())
    } else {
        println!("==> set-up: without starting {}", services.join(", "));
        let shell = ["sh", "-c", WITHOUT_SERVICES, "sh"];
        as_root(&[&shell[..], &APT_GET, &install].concat())
    }
    .map_err(|message| format!("set-up: {message}; see apt-get's messages above"))?;
    // Nor with the system next time.
    for service in services {
        if let Err(message) = as_root(&["update-rc.d", service, "disable"]) {
            println!("==> set-up: {message}; {service} may start with the system");
        }
    }
    Ok(())
}

/// apt-get without questions.
const APT_GET: [&str; 5] = [
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    "-o",
    "DPkg::Lock::Timeout=300",
];

/// Runs a command as root.
fn as_root(words: &[&str]) -> Result {
    let mut command = Command::new(if is_root() { "env" } else { "sudo" });
    command.args(words);
    println!("==> set-up: {}", run::shown(&command));
    run::through(&mut command)
}

/// Whether this process may install packages itself.
fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// What is missing on a system without apt-get, by trying what the packages bring.
fn missing_elsewhere(tests: bool) -> Vec<&'static Package> {
    packages::needed(tests)
        .filter(|package| !is_there(package.probe))
        .collect()
}

/// Tries one probe.
fn is_there(probe: Probe) -> bool {
    match probe {
        Probe::Program(program) => run::found(program),
        Probe::Module(module) => {
            run::succeeds(Command::new("pkg-config").args(["--exists", module]))
        }
        Probe::Element(element) => {
            run::succeeds(Command::new("gst-inspect-1.0").args(["--exists", element]))
        }
        Probe::Python(statement) => run::succeeds(Command::new("python3").args(["-c", statement])),
        Probe::File(places) => places.iter().any(|place| Path::new(place).exists()),
    }
}

/// Fails with a list of what to install by hand, if anything is missing.
fn report(missing: &[&Package]) -> Result {
    if missing.is_empty() {
        return Ok(());
    }
    let list: String = missing
        .iter()
        .map(|package| format!("  {:<34} {}\n", package.name, package.reason))
        .collect();
    Err(format!(
        "this system has no apt-get, and something that is needed is missing. By the names of Debian:\n{list}\
         Elsewhere that is: GStreamer 1.22 or later with its tools, its development files and the base, good, bad, \
         ugly and libav plugins; pkg-config and a C compiler; ffmpeg with ffprobe{}. Install it and run this again.",
        if missing
            .iter()
            .any(|package| package.needed_for != Use::Everything)
        {
            "; Python 3 with PyGObject and GStreamer's typelibs, gjs, libclang, MIT Kerberos, meson with ninja, and for \
             the tests on Linux the servers above"
        } else {
            ""
        }
    ))
}

/// Adds rustfmt and clippy to the toolchain where they are missing.
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
        let mut command = Command::new("rustup");
        command.args(["component", "add", component]);
        println!("==> set-up: {}", run::shown(&command));
        run::through(&mut command)?;
    }
    Ok(())
}
