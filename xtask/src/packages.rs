// SPDX-License-Identifier: MPL-2.0

//! The packages that the commands need: the rows of `packages.tsv`, and the missing ones.

use std::process::{Command, Stdio};

use crate::run::{self, Result};

/// The only list of packages. Its first lines explain its fields.
const TABLE: &str = include_str!("../packages.tsv");

/// One package of Debian and Ubuntu.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// The name that apt-get knows.
    pub name: &'static str,
    /// `all`, `tests`, `servers` or `languages`.
    needed_for: &'static str,
    /// The shell command that succeeds if the package, or its counterpart on another system, is installed.
    probe: &'static str,
    /// Services that must not start with the system because of the installation.
    pub services: Vec<&'static str>,
    /// The use that the commands make of it.
    pub reason: &'static str,
}

impl Package {
    /// Returns whether the commands work without it, and only leave something out.
    pub fn is_optional(&self) -> bool {
        self.needed_for == "languages"
    }
}

/// Returns the packages that a command needs, with or without those of the tests.
pub fn needed(tests: bool) -> Result<Vec<Package>> {
    let linux = cfg!(target_os = "linux");
    let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    let mut packages = rows.map(package).collect::<Result<Vec<_>>>()?;
    packages.retain(|package| match package.needed_for {
        "tests" | "languages" => tests,
        "servers" => tests && linux,
        _ => true,
    });
    Ok(packages)
}

/// Reads one row.
fn package(row: &'static str) -> Result<Package> {
    let fields: Vec<&str> = row.split('\t').collect();
    let [
        name,
        needed_for @ ("all" | "tests" | "servers" | "languages"),
        probe,
        services,
        reason,
    ] = fields[..]
    else {
        return Err(format!("packages.tsv: \"{row}\" is no package"));
    };
    let services = services.split(' ').filter(|&service| service != "-");
    Ok(Package {
        name,
        needed_for,
        probe,
        services: services.collect(),
        reason,
    })
}

/// Returns the packages whose probes fail.
pub fn missing(packages: Vec<Package>) -> Result<Vec<Package>> {
    let script: String = packages
        .iter()
        .map(|package| {
            format!(
                "({}) >/dev/null 2>&1 || echo {}\n",
                package.probe, package.name
            )
        })
        .collect();
    // Servers are in directories that not every user has in PATH.
    let script = format!("PATH=\"$PATH:/usr/sbin:/sbin\"\n{script}exit 0");
    let mut probes = Command::new("sh");
    probes.args(["-c", &script]).stderr(Stdio::null());
    let failed = run::output(&mut probes)?;
    Ok(packages
        .into_iter()
        .filter(|package| failed.lines().any(|name| name == package.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_a_package_with_a_reason() {
        let packages = needed(true).unwrap_or_default();
        assert!(packages.iter().any(|package| package.name == "ffmpeg"));
        assert!(packages.iter().all(|package| !package.reason.is_empty()));
    }

    #[test]
    fn only_the_tests_need_python() {
        let python = |tests| {
            let packages = needed(tests).unwrap_or_default();
            packages.iter().any(|package| package.name == "python3-gi")
        };
        assert!(python(true) && !python(false));
    }

    #[test]
    fn languages_of_examples_are_optional() {
        let packages = needed(true).unwrap_or_default();
        let optional = packages.iter().filter(|package| package.is_optional());
        let names: Vec<_> = optional.map(|package| package.name).collect();
        assert_eq!(names, ["valac", "ruby-gstreamer", "lua5.3", "lua-lgi"]);
    }

    #[test]
    fn a_row_with_other_fields_is_named() {
        for row in ["a\tall\ttrue\t-", "a\tsome\ttrue\t-\twhy"] {
            let message = package(row).err().unwrap_or_default();
            assert!(message.contains(row), "{message}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_package_is_missing_when_its_probe_fails() {
        let rows = ["here\tall\ttrue\t-\tx", "gone\tall\tfalse\ta b\tx"];
        let packages: Vec<_> = rows.into_iter().flat_map(package).collect();
        assert_eq!(missing(packages.clone()), Ok(packages[1..].to_vec()));
        assert_eq!(packages[1].services, ["a", "b"]);
    }
}
