// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask fuzz`: runs the fuzz targets, each for some time, from the kept inputs.

use std::path::PathBuf;
use std::time::Duration;

use crate::files;
use crate::run::{self, Result};
use crate::setup;
use crate::workspace::Workspace;

/// Default duration of each target in seconds.
pub const SECONDS: u32 = 60;

/// Version of cargo-fuzz, which builds the targets.
const VERSION: &str = "0.13.1";

/// Targets that run at the same time, for a machine with two cores.
const AT_A_TIME: usize = 2;

/// Time beyond `--seconds`: reading the inputs, and an input that takes too long.
const GRACE: Duration = Duration::from_secs(120);

/// Runs the `wanted` targets, or all of them, for `seconds` each.
pub fn check(workspace: &Workspace, seconds: u32, wanted: &[String]) -> Result {
    let targets = chosen(&known(workspace)?, wanted)?;
    build(workspace)?;
    let run = |target: &String| fuzz(workspace, target, seconds);
    let failed = run::at_a_time(AT_A_TIME, &targets, false, run);
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

/// The names of the targets.
fn known(workspace: &Workspace) -> Result<Vec<String>> {
    let targets = files::entries(&workspace.root.join("fuzz/targets"))?;
    let names = targets.iter().filter_map(|path| path.file_stem());
    Ok(names
        .map(|name| name.to_string_lossy().into_owned())
        .collect())
}

/// The targets to run.
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
    let program = setup::tool(workspace, "cargo-fuzz", VERSION)?;
    let mut command = workspace.command(&program.to_string_lossy());
    command.args(["build", "--sanitizer", "none", "--fuzz-dir", "fuzz"]);
    command.arg("--target-dir").arg(build_directory(workspace));
    run::through(&mut command)
}

/// The folder that the targets are built in.
fn build_directory(workspace: &Workspace) -> PathBuf {
    workspace.target.join("fuzz")
}

/// Runs a target. libFuzzer keeps what it finds in the first of its folders, so that the tree stays as it is.
fn fuzz(workspace: &Workspace, target: &str, seconds: u32) -> Result {
    let found = workspace.target.join("fuzz-corpus").join(target);
    let artifacts = workspace.target.join("fuzz-artifacts").join(target);
    for folder in [&found, &artifacts] {
        files::create(folder)?;
    }
    let mut command = workspace.command(&program(workspace, target)?.to_string_lossy());
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
    command.arg(workspace.root.join("fuzz/corpus").join(target));
    println!("==> {target}: {seconds} s");
    let mut lines = Vec::new();
    let limit = Duration::from_secs(seconds.into()) + GRACE;
    run::followed(&mut command, limit, |line| lines.push(line.to_owned()))
        .map_err(|message| failure(target, &message, &lines))?;
    let summary = lines.iter().rfind(|line| line.contains("DONE"));
    println!("==> {target}: {}", summary.map_or("done", String::as_str));
    Ok(())
}

/// Returns the message for a failed target: libFuzzer's output without its progress, and the next step.
fn failure(target: &str, message: &str, lines: &[String]) -> String {
    let lines: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !line.starts_with('#'))
        .collect();
    let input = lines
        .iter()
        .find_map(|line| line.split_once("Test unit written to "));
    let cure = input.map_or_else(String::new, |(_, input)| {
        format!(
            "{target} fails on {input}. Put that into fuzz/corpus/{target}, and `cargo test --test fuzz_corpus` fails on \
             it too"
        )
    });
    format!("{}\n{message}\n{cure}", lines.join("\n"))
}

/// Returns the program of a target, in the folder of the platform.
fn program(workspace: &Workspace, target: &str) -> Result<PathBuf> {
    let name = format!("release/{target}{}", std::env::consts::EXE_SUFFIX);
    files::entries(&build_directory(workspace))?
        .iter()
        .map(|platform| platform.join(&name))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("cargo-fuzz has not left {target} where it should"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_target_is_named_beside_the_known() {
        let known = ["a", "b"].map(String::from);
        assert_eq!(chosen(&known, &[]), Ok(known.to_vec()));
        assert_eq!(chosen(&known, &known[1..]), Ok(vec!["b".to_owned()]));
        let message = chosen(&known, &["c".to_owned()]).err().unwrap_or_default();
        assert!(message.contains("\"c\"") && message.contains("a, b"));
    }

    #[test]
    fn a_failure_names_its_input_without_the_progress() {
        let lines = [
            "#2\tINITED cov: 7",
            "artifact_prefix='/t/'; Test unit written to /t/crash-0a",
        ];
        let message = failure("pair", "it failed", &lines.map(String::from));
        assert!(
            message.contains("fails on /t/crash-0a") && !message.contains("INITED"),
            "{message}"
        );
        assert!(!failure("pair", "it failed", &[]).contains("fails on"));
    }
}
