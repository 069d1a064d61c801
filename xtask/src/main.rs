// SPDX-License-Identifier: MPL-2.0

//! The project's own commands: `cargo xtask <command>`.
//!
//! Each command installs what it needs, so that it works alone on a fresh machine with Rust. Only the standard library
//! is used, because this program has to build in seconds, before GStreamer is installed.
//!
//! | module | content |
//! |---|---|
//! | `setup`, `packages` | the packages to install, and their installation |
//! | `test`, `suites`, `size` | the checks of a change, in order; the test programs; the limit on the plugin's size |
//! | `fuzz`, `deny` | the fuzz targets; the rules for dependencies |
//! | `bench` | the element compared with GStreamer's own sinks, and the cost of the core |
//! | `conformance`, `requirements`, `citations` | the tests of each requirement of the protocol |
//! | `newest`, `platforms` | the newest GStreamer beside this machine's; type-checks for other systems |
//! | `demo`, `pipeline`, `proof` | a push of ten seconds, and the checks of its recording |
//! | `run`, `workspace`, `files` | commands and their output; paths; files and folders |

mod bench;
mod citations;
mod conformance;
mod demo;
mod deny;
mod files;
mod fuzz;
mod newest;
mod packages;
mod pipeline;
mod platforms;
mod proof;
mod requirements;
mod run;
mod setup;
mod size;
mod suites;
mod test;
mod workspace;

use std::process::ExitCode;

use run::Result;
use test::Parts;
use workspace::Workspace;

/// The output of `--help`.
const USAGE: &str = "\
Usage: cargo xtask <command>

Commands:
  test         format, lint, check conformance and dependencies, build, test and document everything, stopping at the
               first failure; with --only PART... these parts alone, with --from PART that one and all behind it. Parts are
               format, lint, conformance, deny, build, each test suite by its name (unit: all unit tests), doctests,
               fuzz, document
  demo         push ten seconds of live test picture and tone to the project's own publishing point, and check what it
               recorded; with --watch instead push until Ctrl-C, and print the URLs to watch it at
  conformance  print which test holds which requirement of MS-WMHTTP, or why none does, and fail on a gap;
               with --strict also on what is not implemented yet
  faults       put the element into every fault in every phase, and print what becomes of it and how long it takes
  fuzz         run the fuzz targets, or those that are named, for a minute each; with --seconds N for so long
  bench        measure the element beside GStreamer's own sinks, or those parts that are named: throughput, floor, tls,
               latency, many, start, core; quick, which is the least of throughput, and load, 200 pushes and 1,000 viewers of
               the publishing point, run by their names only
  deny         check licences, origins and known defects of dependencies
  newest       run the demo, the examples and the suites of the elements with this machine's GStreamer and with that of
               Debian sid, in a system of its own below the target directory; as root, on Debian and its like
  platforms    type-check libraries and programs for macOS, Windows, FreeBSD and other kinds of Linux
  help         print this

Each command first installs what it needs where there is apt-get, and otherwise says what is missing.
";

/// The test that prints the table of faults and phases.
const FAULTS: &[&str] = &[
    "test",
    "--quiet",
    "--test",
    "faults",
    "--",
    "--exact",
    "every_fault_in_every_phase",
    "--nocapture",
];

/// A command of this program.
#[derive(Debug, PartialEq)]
enum Task {
    /// `cargo xtask test [--only PART... | --from PART]`
    Test(Parts),
    /// `cargo xtask demo [--watch]`
    Demo {
        /// Without an end.
        watch: bool,
    },
    /// `cargo xtask conformance [--strict]`
    Conformance {
        /// With nothing pending.
        strict: bool,
    },
    /// `cargo xtask faults`
    Faults,
    /// `cargo xtask fuzz [--seconds N] [TARGET...]`
    Fuzz {
        /// Seconds for each target.
        seconds: u32,
        /// The targets; none means all.
        targets: Vec<String>,
    },
    /// `cargo xtask bench [PART...]`; no part means all of them.
    Bench(Vec<String>),
    /// `cargo xtask deny`
    Deny,
    /// `cargo xtask newest`
    Newest,
    /// `cargo xtask platforms`
    Platforms,
    /// `cargo xtask help`
    Help,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match parse(&arguments).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Does the set-up, then the task.
fn run(task: Task) -> Result {
    match task {
        Task::Help => {
            print!("{USAGE}");
            return Ok(());
        }
        Task::Conformance { .. } => {}
        Task::Demo { .. } => setup::ensure(false)?,
        _ => setup::ensure(true)?,
    }
    let workspace = &Workspace::find()?;
    match task {
        Task::Test(parts) => test::run(workspace, &parts),
        Task::Demo { watch } => demo::run(workspace, watch),
        Task::Conformance { strict } => conformance::run(workspace, strict),
        Task::Faults => run::through(&mut workspace.cargo(FAULTS)),
        Task::Fuzz { seconds, targets } => fuzz::check(workspace, seconds, &targets),
        Task::Bench(parts) => bench::run(workspace, &parts),
        Task::Deny => deny::check(workspace),
        Task::Newest => newest::run(workspace),
        Task::Platforms => platforms::run(workspace),
        Task::Help => Ok(()),
    }
}

/// Reads the command line.
fn parse(arguments: &[&str]) -> Result<Task> {
    if matches!(arguments, ["help"])
        || arguments
            .iter()
            .any(|&word| word == "--help" || word == "-h")
    {
        return Ok(Task::Help);
    }
    let words = |words: &[&str]| words.iter().copied().map(String::from).collect();
    // Names, none of which is an option.
    let names = |names: &[&str]| names.iter().all(|name| !name.starts_with('-'));
    match *arguments {
        [] => Err(unusable("a command is missing")),
        ["test"] => Ok(Task::Test(Parts::All)),
        ["test", "--only", ref parts @ ..] if !parts.is_empty() && names(parts) => {
            Ok(Task::Test(Parts::Only(words(parts))))
        }
        ["test", "--from", part] => Ok(Task::Test(Parts::From(part.to_owned()))),
        ["demo"] => Ok(Task::Demo { watch: false }),
        ["demo", "--watch"] => Ok(Task::Demo { watch: true }),
        ["conformance"] => Ok(Task::Conformance { strict: false }),
        ["conformance", "--strict"] => Ok(Task::Conformance { strict: true }),
        ["deny"] => Ok(Task::Deny),
        ["newest"] => Ok(Task::Newest),
        ["platforms"] => Ok(Task::Platforms),
        ["faults"] => Ok(Task::Faults),
        ["fuzz", "--seconds", seconds, ref targets @ ..] if names(targets) => match seconds.parse()
        {
            Ok(seconds @ 1..) => Ok(Task::Fuzz {
                seconds,
                targets: words(targets),
            }),
            _ => Err(unusable(&format!("\"{seconds}\" is no number of seconds"))),
        },
        ["fuzz", ref targets @ ..] if names(targets) => Ok(Task::Fuzz {
            seconds: fuzz::SECONDS,
            targets: words(targets),
        }),
        ["bench", ref parts @ ..] if parts.iter().all(|part| bench::is_part(part)) => {
            Ok(Task::Bench(words(parts)))
        }
        _ => Err(unusable(&format!(
            "\"{}\" is not understood",
            arguments.join(" ")
        ))),
    }
}

/// The message for a command line.
fn unusable(message: &str) -> String {
    format!("{message}\n\n{USAGE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a command line written as one string.
    fn parsed(line: &str) -> Result<Task> {
        parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn commands_and_help_are_parsed() {
        let words = |words: &[&str]| words.iter().copied().map(String::from).collect();
        for (line, task) in [
            ("test", Task::Test(Parts::All)),
            (
                "test --only lint bin",
                Task::Test(Parts::Only(words(&["lint", "bin"]))),
            ),
            (
                "test --from fuzz",
                Task::Test(Parts::From("fuzz".to_owned())),
            ),
            ("demo", Task::Demo { watch: false }),
            ("demo --watch", Task::Demo { watch: true }),
            ("deny", Task::Deny),
            ("newest", Task::Newest),
            ("platforms", Task::Platforms),
            ("conformance", Task::Conformance { strict: false }),
            ("conformance --strict", Task::Conformance { strict: true }),
            (
                "fuzz",
                Task::Fuzz {
                    seconds: 60,
                    targets: vec![],
                },
            ),
            (
                "fuzz --seconds 5 pair",
                Task::Fuzz {
                    seconds: 5,
                    targets: words(&["pair"]),
                },
            ),
            ("bench", Task::Bench(vec![])),
            ("bench core many", Task::Bench(words(&["core", "many"]))),
        ] {
            assert_eq!(parsed(line), Ok(task), "{line}");
        }
        for line in ["help", "--help", "-h", "demo --help", "fuzz --help"] {
            assert_eq!(parsed(line), Ok(Task::Help), "{line}");
        }
    }

    #[test]
    fn anything_else_is_an_error_with_the_usage() {
        for (line, named) in [
            ("", "missing"),
            ("tset", "\"tset\""),
            ("test --only", "--only"),
            ("test --from a b", "a b"),
            ("demo --fast", "--fast\""),
            ("conformance --strict x", "x\""),
            ("fuzz --seconds 0", "\"0\""),
            ("fuzz --seconds", "--seconds\""),
            ("fuzz pair --fast", "--fast\""),
            ("bench --fast", "--fast\""),
        ] {
            let message = parsed(line).err().unwrap_or_default();
            assert!(
                message.contains(named) && message.contains("Usage"),
                "{line}: {message}"
            );
        }
    }
}
