// SPDX-License-Identifier: MPL-2.0

//! The project's own commands, started as `cargo xtask <command>`.
//!
//! Each command does its own set-up first, so that any of them works alone on a fresh machine that has Rust. Only the
//! standard library is used: this program has to build in seconds, and where GStreamer is not installed yet.
//!
//! | module | what it knows |
//! |---|---|
//! | `setup`, `packages` | what has to be installed, and how to install it |
//! | `test` | the checks of a change, in order |
//! | `faults` | the table of what becomes of a push in each fault and phase |
//! | `fuzz`, `deny`, `tools` | the fuzz targets, each for a while; what dependencies may be; programs from crates.io |
//! | `bench` | the element beside GStreamer's own sinks, and what the core costs |
//! | `conformance`, `requirements`, `citations` | which test holds which requirement of the protocol |
//! | `demo`, `pipeline`, `messages`, `publishing_point` | ten seconds pushed through the plugin, shown as they go |
//! | `proof`, `asf` | what the demo asks of the recording afterwards |
//! | `run`, `workspace` | commands and their output; where things are |

mod asf;
mod bench;
mod citations;
mod conformance;
mod demo;
mod deny;
mod faults;
mod fuzz;
mod messages;
mod packages;
mod pipeline;
mod proof;
mod publishing_point;
mod requirements;
mod run;
mod setup;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

/// What `--help` prints.
const USAGE: &str = "\
Usage: cargo xtask <command>

Commands:
  test         format, lint, check conformance, build, test and document everything, stopping at the first failure
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
  help         print this

Each command first installs what it needs where there is apt-get, and otherwise says what is missing.
";

/// A command of this program.
#[derive(Debug, PartialEq)]
enum Task {
    /// `cargo xtask test`
    Test,
    /// `cargo xtask demo`
    Demo {
        /// `--watch`
        watch: bool,
    },
    /// `cargo xtask conformance`
    Conformance {
        /// `--strict`
        strict: bool,
    },
    /// `cargo xtask faults`
    Faults,
    /// `cargo xtask fuzz`
    Fuzz {
        /// `--seconds`
        seconds: u32,
        /// The targets; all of them when there are none.
        targets: Vec<String>,
    },
    /// `cargo xtask bench`
    Bench {
        /// The parts; all of them when there are none.
        parts: Vec<String>,
    },
    /// `cargo xtask deny`
    Deny,
    /// `cargo xtask help`
    Help,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let outcome = parse(&arguments).and_then(|task| match task {
        Task::Test => test::run(),
        Task::Demo { watch } => demo::run(watch),
        Task::Conformance { strict } => conformance::run(strict),
        Task::Faults => faults::run(),
        Task::Fuzz { seconds, targets } => fuzz::run(seconds, &targets),
        Task::Bench { parts } => bench::run(&parts),
        Task::Deny => deny::run(),
        Task::Help => {
            print!("{USAGE}");
            Ok(())
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The task that the command line asks for.
fn parse(arguments: &[String]) -> run::Result<Task> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["test"] => Ok(Task::Test),
        ["demo"] => Ok(Task::Demo { watch: false }),
        ["demo", "--watch"] => Ok(Task::Demo { watch: true }),
        ["conformance"] => Ok(Task::Conformance { strict: false }),
        ["conformance", "--strict"] => Ok(Task::Conformance { strict: true }),
        ["deny"] => Ok(Task::Deny),
        ["faults"] => Ok(Task::Faults),
        ["help"] => Ok(Task::Help),
        [] => Err(format!("a command is missing\n\n{USAGE}")),
        _ if arguments
            .iter()
            .any(|&argument| argument == "--help" || argument == "-h") =>
        {
            Ok(Task::Help)
        }
        ["conformance", "--strict", extra, ..]
        | ["demo", "--watch", extra, ..]
        | [
            "test" | "demo" | "conformance" | "deny" | "faults" | "help",
            extra,
            ..,
        ] => Err(format!("unknown argument \"{extra}\"\n\n{USAGE}")),
        ["fuzz", ref arguments @ ..] => parse_fuzz(arguments),
        ["bench", ref parts @ ..] => parse_bench(parts),
        [unknown, ..] => Err(format!("unknown command \"{unknown}\"\n\n{USAGE}")),
    }
}

/// `[--seconds N] [target…]`
fn parse_fuzz(arguments: &[&str]) -> run::Result<Task> {
    let (seconds, targets) = match *arguments {
        ["--seconds", seconds, ref targets @ ..] => match seconds.parse() {
            Ok(seconds @ 1..) => (seconds, targets),
            _ => {
                return Err(format!("\"{seconds}\" is no number of seconds\n\n{USAGE}"));
            }
        },
        ref targets => (fuzz::SECONDS, targets),
    };
    if let Some(option) = targets.iter().find(|target| target.starts_with('-')) {
        return Err(format!("unknown argument \"{option}\"\n\n{USAGE}"));
    }
    let targets = targets.iter().copied().map(String::from).collect();
    Ok(Task::Fuzz { seconds, targets })
}

/// `[part…]`
fn parse_bench(parts: &[&str]) -> run::Result<Task> {
    if let Some(part) = parts.iter().find(|part| !bench::is_part(part)) {
        return Err(format!("unknown part \"{part}\"\n\n{USAGE}"));
    }
    let parts = parts.iter().copied().map(String::from).collect();
    Ok(Task::Bench { parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a command line written as one string.
    fn parsed(line: &str) -> run::Result<Task> {
        let arguments: Vec<String> = line.split_whitespace().map(String::from).collect();
        parse(&arguments)
    }

    #[test]
    fn commands_and_help_are_understood() {
        assert_eq!(parsed("test"), Ok(Task::Test));
        assert_eq!(parsed("demo"), Ok(Task::Demo { watch: false }));
        assert_eq!(parsed("deny"), Ok(Task::Deny));
        for (line, strict) in [("conformance", false), ("conformance --strict", true)] {
            assert_eq!(parsed(line), Ok(Task::Conformance { strict }), "{line}");
        }
        for (line, seconds, targets) in [
            ("fuzz", 60, vec![]),
            (
                "fuzz --seconds 5 pair asf_reader",
                5,
                vec!["pair", "asf_reader"],
            ),
        ] {
            let targets = targets.into_iter().map(String::from).collect();
            assert_eq!(parsed(line), Ok(Task::Fuzz { seconds, targets }), "{line}");
        }
        for (line, parts) in [("bench", vec![]), ("bench core many", vec!["core", "many"])] {
            let parts = parts.into_iter().map(String::from).collect();
            assert_eq!(parsed(line), Ok(Task::Bench { parts }), "{line}");
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
            ("demo --fast", "\"--fast\""),
            ("conformance --strict x", "\"x\""),
            ("fuzz --seconds 0", "\"0\""),
            ("fuzz --seconds", "\"--seconds\""),
            ("fuzz pair --fast", "\"--fast\""),
            ("bench --fast", "\"--fast\""),
        ] {
            let message = parsed(line).err().unwrap_or_default();
            assert!(
                message.contains(named) && message.contains("Usage"),
                "{line}: {message}"
            );
        }
    }
}
