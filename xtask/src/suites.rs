// SPDX-License-Identifier: MPL-2.0

//! The test suites, which are the test programs that cargo builds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::run::{self, Result};
use crate::workspace::{Workspace, json_string};

/// Suites that keep the processors busy, but measure no time.
const BUSY: &[&str] = &[
    "asf_inputs",
    "asf_invariants",
    "installation",
    "leaks",
    "long_life",
    "pair",
];

/// Suites that measure time or memory while they do much.
const ALONE: &[&str] = &["bin", "early_status", "unit:gstwmspush"];

/// Suites that load the plugin as users get it, from WMSPUSH_PLUGIN_DIR.
pub const WITH_PLUGIN: &[&str] = &["bin", "contract", "examples", "field", "leaks"];

/// Limit on a suite.
const LIMIT: Duration = Duration::from_secs(900);

/// Arguments of cargo for all test programs.
const ALL: &[&str] = &["--workspace", "--all-features"];

/// The company in which suites run, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Company {
    /// They mostly wait for a clock or another process.
    Waiting,
    /// They are [`BUSY`].
    Busy,
    /// They run [`ALONE`].
    Alone,
}

impl Company {
    /// The number of suites that run at the same time.
    fn size(self) -> usize {
        match self {
            Self::Waiting | Self::Busy => 2,
            Self::Alone => 1,
        }
    }
}

/// One test program.
#[derive(Debug, PartialEq)]
pub struct Suite {
    /// The name of its target, prefixed with `unit:` for unit tests.
    name: String,
    /// The program.
    program: PathBuf,
    /// The folder of its package, which is its current directory.
    folder: PathBuf,
}

impl Suite {
    /// The name for `--only` and `--from`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the company that it needs.
    fn company(&self) -> Company {
        match self.name() {
            name if ALONE.contains(&name) => Company::Alone,
            name if BUSY.contains(&name) => Company::Busy,
            _ => Company::Waiting,
        }
    }
}

/// Builds all suites.
pub fn all(workspace: &Workspace) -> Result<Vec<Suite>> {
    build(workspace, ALL)
}

/// Builds the suite of a name; `unit` is all unit tests.
pub fn named(workspace: &Workspace, name: &str) -> Result<Vec<Suite>> {
    let which = match name {
        "unit" => &["--lib", "--bins"][..],
        name => &["--test", name],
    };
    build(workspace, &[ALL, which].concat())
}

/// Builds test programs.
fn build(workspace: &Workspace, which: &[&str]) -> Result<Vec<Suite>> {
    let mut command = workspace.cargo(&["test", "--no-run"]);
    command.args(which);
    println!("==> {}", run::shown(&command));
    let messages = run::output(command.arg("--message-format=json-render-diagnostics"))?;
    let mut suites: Vec<_> = messages.lines().filter_map(suite).collect();
    // In the order in which they run, so that `--from` skips those that have run.
    suites.sort_by_key(|suite| (suite.company() as usize, suite.name.clone()));
    Ok(suites)
}

/// Returns the suite that a message of cargo is about.
fn suite(message: &str) -> Option<Suite> {
    if !message.contains("\"test\":true},\"features\"") {
        return None;
    }
    let program = json_string(message, "executable")?.into();
    let manifest = json_string(message, "manifest_path")?;
    let target = json_string(message, "name")?;
    let is_unit = !message.contains("\"kind\":[\"test\"]");
    Some(Suite {
        name: if is_unit {
            format!("unit:{target}")
        } else {
            target
        },
        program,
        folder: Path::new(&manifest).parent()?.to_path_buf(),
    })
}

/// Runs suites, and stops at the first failure.
pub fn run(workspace: &Workspace, suites: &[Suite]) -> Result {
    for company in suites.chunk_by(|a, b| a.company() == b.company()) {
        let count = company[0].company().size();
        let failures = run::at_a_time(count, company, true, |suite| one(workspace, suite));
        if let Some(first) = failures.into_iter().next() {
            return Err(first);
        }
    }
    Ok(())
}

/// The configuration of Kerberos for tests that are not about it, which would query servers in the Internet otherwise.
const NO_REALM: &str = "tests/real_servers/no_realm.conf";

/// Runs one suite, and prints its output if it fails.
fn one(workspace: &Workspace, suite: &Suite) -> Result {
    let started = Instant::now();
    let mut command = run::clean(&suite.program);
    command
        .current_dir(&suite.folder)
        .env("CARGO_MANIFEST_DIR", &suite.folder)
        .env("KRB5_CONFIG", workspace.root.join(NO_REALM))
        .env("WMSPUSH_PLUGIN_DIR", workspace.plugin_directory());
    let name = suite.name();
    let lines = run::bounded(workspace.with_registry(&mut command), LIMIT).map_err(|message| {
        format!("{message}\nContinue after the fix: cargo xtask test --from {name}")
    })?;
    let result = lines.iter().rfind(|line| line.starts_with("test result"));
    let result = result.map_or("no tests", String::as_str);
    println!(
        "==> [{name}] {:.1} s; {result}",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of cargo about a target of a kind.
    fn message(kind: &str, test: bool) -> String {
        format!(
            "{{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/w/proto/Cargo.toml\",\"target\":{{\"kind\":[\"{kind}\"],\
             \"name\":\"pair\"}},\"profile\":{{\"opt_level\":\"0\",\"test\":{test}}},\"features\":[],\"executable\":\"/w/target/pair-1\"}}"
        )
    }

    #[test]
    fn a_test_program_is_a_suite_in_its_folder() {
        for (kind, name) in [("test", "pair"), ("lib", "unit:pair")] {
            let expected = Suite {
                name: name.to_owned(),
                program: "/w/target/pair-1".into(),
                folder: "/w/proto".into(),
            };
            assert_eq!(suite(&message(kind, true)), Some(expected));
        }
    }

    #[test]
    fn a_program_without_tests_is_no_suite() {
        assert_eq!(suite(&message("bin", false)), None);
    }
}
