// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask fuzz`: the fuzz targets, each for a while, from the inputs that are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::run::{self, Process, Result};
use crate::tools::{self, Tool};
use crate::workspace::Workspace;

/// How long each target runs when nothing else is said.
pub const SECONDS: u32 = 60;

/// What builds the targets.
const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.1",
};

/// How many run at a time: as many cores as any machine has.
const AT_A_TIME: usize = 2;

/// What may come on top: reading the inputs, and an input that takes too long.
const GRACE: Duration = Duration::from_secs(120);

/// A target that is running.
struct Running {
    /// Its name.
    target: String,
    /// Its process.
    process: Process,
    /// When it has to be done.
    deadline: Instant,
}

/// Does the set-up, then [`check`].
pub fn run(seconds: u32, targets: &[String]) -> Result {
    crate::setup::ensure(true)?;
    check(&Workspace::find()?, seconds, targets)
}

/// Runs targets, all of them when none is named, for so many seconds each.
pub fn check(workspace: &Workspace, seconds: u32, wanted: &[String]) -> Result {
    let targets = chosen(&known(workspace)?, wanted)?;
    build(workspace)?;
    let mut waiting = targets.into_iter();
    let mut running = Vec::new();
    let mut failed = Vec::new();
    loop {
        while running.len() < AT_A_TIME
            && let Some(target) = waiting.next()
        {
            running.push(start(workspace, target, seconds)?);
        }
        if running.is_empty() {
            break;
        }
        // They all take the same time: whoever began first is done first.
        if let Err(message) = finish(workspace, running.remove(0)) {
            failed.push(message);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

/// The targets that there are.
fn known(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("fuzz/targets");
    let mut names: Vec<_> = files(&folder)?
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Those of them that are wanted.
fn chosen(known: &[String], wanted: &[String]) -> Result<Vec<String>> {
    match wanted.iter().find(|target| !known.contains(target)) {
        Some(unknown) => Err(format!(
            "there is no fuzz target \"{unknown}\"; there are {}",
            known.join(", ")
        )),
        None if wanted.is_empty() => Ok(known.to_vec()),
        None => Ok(wanted.to_vec()),
    }
}

/// Builds all targets.
///
/// Without a sanitizer: there is no `unsafe` in what they run, sanitizers need a nightly compiler, and what libFuzzer
/// itself needs is on every stable one.
fn build(workspace: &Workspace) -> Result {
    let program = tools::installed(workspace, &CARGO_FUZZ)?;
    let mut command = workspace.command(&program.to_string_lossy());
    command.args(["build", "--sanitizer", "none", "--fuzz-dir", "fuzz"]);
    command.arg("--target-dir").arg(build_directory(workspace));
    println!("==> {}", run::shown(&command));
    run::through(&mut command)
}

/// Where the targets are built.
fn build_directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("fuzz")
}

/// Starts a target. libFuzzer keeps what it finds in the first of its folders, so that the tree stays as it is.
fn start(workspace: &Workspace, target: String, seconds: u32) -> Result<Running> {
    let found = make(workspace.target.join("fuzz-corpus").join(&target))?;
    let artifacts = make(artifacts(workspace, &target))?;
    let mut command = workspace.command(&program(workspace, &target)?.to_string_lossy());
    // An input that takes 10 s, or 512 MB, is a failure.
    command.args(["-timeout=10", "-rss_limit_mb=512", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    let words = workspace
        .root
        .join(format!("fuzz/dictionaries/{target}.dict"));
    if words.exists() {
        command.arg(format!("-dict={}", words.display()));
    }
    command.arg(&found);
    command.arg(workspace.root.join("fuzz/corpus").join(&target));
    println!("==> {target}: {seconds} s");
    Ok(Running {
        process: Process::start(&mut command)?,
        target,
        deadline: Instant::now() + Duration::from_secs(seconds.into()) + GRACE,
    })
}

/// Waits for a target, and tells what came of it.
fn finish(workspace: &Workspace, running: Running) -> Result {
    let Running {
        target,
        process,
        deadline,
    } = running;
    let mut lines = Vec::new();
    let ended = loop {
        match process.line(deadline) {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => break process.finish(deadline),
            Err(message) => break Err(message),
        }
    };
    let Err(message) = ended else {
        let summary = lines.iter().rfind(|line| line.contains("DONE"));
        println!("==> {target}: {}", summary.map_or("done", String::as_str));
        return Ok(());
    };
    for line in lines.iter().filter(|line| !is_progress(line)) {
        println!("{target}: {line}");
    }
    let input = lines.iter().find_map(|line| input_of(line));
    Err(match input {
        Some(input) => format!(
            "{message}: it fails on {input}. Put that into fuzz/corpus/{target}, and `cargo test --test fuzz_corpus` \
             fails on it too"
        ),
        None => format!("{message}; see {target}'s lines above, and {}", {
            workspace.short(&artifacts(workspace, &target))
        }),
    })
}

/// Where inputs go that a target fails on.
fn artifacts(workspace: &Workspace, target: &str) -> PathBuf {
    workspace.target.join("fuzz-artifacts").join(target)
}

/// Whether libFuzzer tells how far it is.
fn is_progress(line: &str) -> bool {
    line.starts_with('#')
}

/// The file that libFuzzer says it has left an input in.
fn input_of(line: &str) -> Option<&str> {
    let (_, path) = line.split_once("Test unit written to ")?;
    Some(path)
}

/// The program of a target, below the directory of whichever platform this is.
fn program(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    let name = format!("release/{target}{}", std::env::consts::EXE_SUFFIX);
    files(&build_directory(workspace))?
        .iter()
        .map(|platform| platform.join(&name))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("cargo-fuzz has not left {target} where it should"))
}

/// What is in a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| unusable(folder, &error))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// Makes sure that a folder is there.
fn make(folder: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&folder).map_err(|error| unusable(&folder, &error))?;
    Ok(folder)
}

/// The message for a folder.
fn unusable(folder: &Path, error: &std::io::Error) -> String {
    format!("cannot use {}: {error}", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_those_that_there_are() {
        let known = ["a", "b"].map(String::from);
        assert_eq!(chosen(&known, &[]), Ok(known.to_vec()));
        assert_eq!(chosen(&known, &known[1..]), Ok(vec!["b".to_owned()]));
        let message = chosen(&known, &["c".to_owned()]).err().unwrap_or_default();
        assert!(message.contains("\"c\"") && message.contains("a, b"));
    }

    #[test]
    fn the_input_of_a_failure_is_found() {
        let line = "artifact_prefix='/t/'; Test unit written to /t/crash-0a";
        assert_eq!(input_of(line), Some("/t/crash-0a"));
        assert_eq!(input_of("==1== ERROR: libFuzzer: deadly signal"), None);
        assert!(is_progress("#2\tINITED cov: 7") && !is_progress(line));
    }
}
