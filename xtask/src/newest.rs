// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask newest`: runs the plugin with this machine's GStreamer and with Debian's newest.
//!
//! Debian's newest is installed in a Debian sid below the target directory. `chroot` runs programs in it. The workspace
//! and the target directory have the same paths inside and outside, so that the same plugin and the same test programs
//! run with both.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::files;
use crate::run::{self, Result};
use crate::workspace::Workspace;

/// The packages of the sid system, beside a minimal system.
const PACKAGES: &str = "ca-certificates,ffmpeg,g++,gir1.2-gst-plugins-base-1.0,gir1.2-gstreamer-1.0,gjs,\
    gstreamer1.0-libav,gstreamer1.0-plugins-bad,gstreamer1.0-plugins-base,gstreamer1.0-plugins-good,\
    gstreamer1.0-plugins-ugly,gstreamer1.0-tools,libc6-dev,libgssapi-krb5-2,libgstreamer1.0-dev,lua-lgi,lua5.3,\
    pkg-config,python3-gi,ruby-gstreamer,valac";

/// The arguments of `mmdebstrap`, which installs the system. It accepts a mirror that is out of date.
const MAKE_SYSTEM: &[&str] = &[
    "--quiet",
    "--variant=apt",
    "--aptopt=Acquire::Check-Valid-Until \"false\"",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "sid",
];

/// A shell script that runs its arguments in the system, in the current folder. Its mounts end with the process.
const ENTER: &str = r#"#!/bin/sh
exec unshare --mount sh -euc '
system=$1
for folder in "$2" "$3"; do
    mkdir -p "$system$folder"
    mount --bind "$folder" "$system$folder"
done
shift 3
mount -t proc proc "$system/proc"
mount --rbind /dev "$system/dev"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec chroot "$system" sh -c "cd \"\$0\" && exec \"\$@\"" "$PWD" "$@"
' sh SYSTEM ROOT TARGET PROGRAM "$@"
"#;

/// The names of scripts, and the program that each runs in the system. `enter` runs its first argument.
const PROGRAMS: &[(&str, &str)] = &[
    ("enter", ""),
    ("gst-inspect-1.0", "gst-inspect-1.0"),
    ("gst-launch-1.0", "gst-launch-1.0"),
];

/// The checks, each of which runs with both GStreamers.
const CHECKS: &[Check] = &[
    Check::Inspected("wmspushsink"),
    Check::Inspected("wmspushbin"),
    Check::Demo,
    Check::Suite("contract"),
    Check::Suite("examples"),
    // Live and stored streams through real encoders and muxers.
    Check::Suite("pipelines"),
    // State changes, pauses, seeks and restarts.
    Check::Suite("element"),
    Check::Suite("bin"),
];

/// Builds the programs that the tests start.
const EXAMPLES: &[&str] = &["build", "--workspace", "--all-features", "--examples"];

/// Limit on a check.
const LIMIT: Duration = Duration::from_secs(1200);

/// A check.
#[derive(Clone, Copy)]
enum Check {
    /// `gst-inspect-1.0` shows the element of this name.
    Inspected(&'static str),
    /// `cargo xtask demo` succeeds.
    Demo,
    /// The test suite of this name passes.
    Suite(&'static str),
}

/// One GStreamer.
struct GStreamer<'a> {
    /// The workspace of the plugin.
    workspace: &'a Workspace,
    /// The folder for logs and the registry.
    folder: PathBuf,
    /// The folder of the scripts, which precedes the others in `PATH`; `None` for this machine's GStreamer.
    programs: Option<PathBuf>,
}

/// Runs all checks with both GStreamers, and prints a table.
///
/// # Errors
///
/// A check failed, or the system cannot be installed.
pub fn run(workspace: &Workspace) -> Result {
    let folder = workspace.target.join("newest");
    make_system(workspace, &folder)?;
    let programs = make_programs(workspace, &folder)?;
    workspace.build_plugin()?;
    run::through(&mut workspace.cargo(EXAMPLES))?;
    let both = [("here", None), ("newest", Some(programs))].map(|(name, programs)| GStreamer {
        workspace,
        folder: folder.join(name),
        programs,
    });
    let mut columns = Vec::new();
    for gstreamer in &both {
        columns.push((gstreamer.version()?, gstreamer.results()?));
    }
    print!("{}", table(&columns));
    let failed = columns.iter().flat_map(|(_, results)| results);
    match failed.filter(|result| result.is_err()).count() {
        0 => Ok(()),
        failed => Err(format!(
            "{failed} checks failed; the logs are in {}",
            workspace.short(&folder)
        )),
    }
}

/// The duration of a check in seconds; the error is that of a check that failed.
type Outcome = std::result::Result<f64, f64>;

impl GStreamer<'_> {
    /// Returns the version as `gst-inspect-1.0` prints it.
    fn version(&self) -> Result<String> {
        let printed = run::output(self.command("gst-inspect-1.0").arg("--version"))?;
        let version = printed.lines().find(|line| line.starts_with("GStreamer "));
        version
            .map(str::to_owned)
            .ok_or_else(|| format!("gst-inspect-1.0 has no version: {printed}"))
    }

    /// Runs all checks, and returns their outcomes.
    fn results(&self) -> Result<Vec<Outcome>> {
        files::clear(&self.folder)?;
        CHECKS.iter().map(|check| self.result(*check)).collect()
    }

    /// Runs a check, and writes its output to a log.
    fn result(&self, check: Check) -> Result<Outcome> {
        let log = self.folder.join(format!("{}.log", check.name()));
        println!("==> {}", self.workspace.short(&log));
        let started = Instant::now();
        let outcome = run::bounded(&mut self.check(check), LIMIT);
        let seconds = started.elapsed().as_secs_f64();
        let (text, outcome) = match outcome {
            Ok(lines) => (lines.join("\n"), Ok(seconds)),
            Err(message) => (message, Err(seconds)),
        };
        files::write(&log, &text)?;
        Ok(outcome)
    }

    /// Returns the command of a check.
    fn check(&self, check: Check) -> Command {
        match check {
            Check::Inspected(element) => {
                let mut command = self.command("gst-inspect-1.0");
                command
                    .arg(element)
                    .env("GST_PLUGIN_PATH", self.workspace.plugin_directory());
                command
            }
            Check::Demo => {
                let this = std::env::current_exe().unwrap_or_default();
                let mut command = self.command(&this.to_string_lossy());
                command.arg("demo");
                command
            }
            Check::Suite(name) => {
                let mut command = self.command("cargo");
                if let Some(programs) = &self.programs {
                    let runner = format!("target.'cfg(all())'.runner={:?}", programs.join("enter"));
                    command.args(["--config", &runner]);
                }
                command.args(["test", "--workspace", "--all-features", "--test", name]);
                command
            }
        }
    }

    /// Returns the command of a program that finds this GStreamer. A critical warning ends it.
    fn command(&self, program: &str) -> Command {
        let mut command = self.workspace.command(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = self
            .programs
            .iter()
            .cloned()
            .chain(std::env::split_paths(&path));
        command
            .env(
                "PATH",
                std::env::join_paths(path).unwrap_or_else(|_| OsString::new()),
            )
            .env("G_DEBUG", "fatal-criticals")
            .env("GST_REGISTRY", self.folder.join("registry.bin"))
            .env("WMSPUSH_PLUGIN_DIR", self.workspace.plugin_directory());
        command
    }
}

impl Check {
    /// Returns the name of its row in the table.
    fn name(self) -> &'static str {
        match self {
            Self::Inspected(name) | Self::Suite(name) => name,
            Self::Demo => "demo",
        }
    }
}

/// Installs the system, unless it is installed already.
fn make_system(workspace: &Workspace, folder: &Path) -> Result {
    let (system, stamp) = (folder.join("system"), folder.join("packages"));
    if files::text(&stamp).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(());
    }
    if !run::found("mmdebstrap") || !run::found("unshare") {
        return Err("this command needs mmdebstrap and unshare; as root, run: apt-get install mmdebstrap util-linux".into());
    }
    files::clear(folder)?;
    let mut make = workspace.command("mmdebstrap");
    make.args(MAKE_SYSTEM).arg(&system);
    make.arg(format!("--include={PACKAGES}"));
    run::through(&mut make)?;
    files::write(&stamp, PACKAGES)
}

/// Writes the scripts, and returns their folder.
fn make_programs(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let programs = folder.join("programs");
    files::create(&programs)?;
    for (name, program) in PROGRAMS {
        let script = [
            ("SYSTEM", &folder.join("system")),
            ("ROOT", &workspace.root),
            ("TARGET", &workspace.target),
        ]
        .into_iter()
        .fold(ENTER.replace("PROGRAM", program), |script, (word, path)| {
            script.replace(word, &run::quoted(&path.to_string_lossy()))
        });
        let path = programs.join(name);
        files::write(&path, &script)?;
        run::output(workspace.command("chmod").arg("755").arg(&path))?;
    }
    Ok(programs)
}

/// Returns a table with a row for each check and a column for each GStreamer.
fn table(columns: &[(String, Vec<Outcome>)]) -> String {
    let mut table = format!("{:<12}", "");
    for (version, _) in columns {
        table += &format!("  {version:<18}");
    }
    for (row, check) in CHECKS.iter().enumerate() {
        table += &format!("\n{:<12}", check.name());
        for (_, outcomes) in columns {
            let (word, seconds) = match outcomes.get(row) {
                Some(Ok(seconds)) => ("passed", seconds),
                Some(Err(seconds)) => ("FAILED", seconds),
                None => ("not run", &0.0),
            };
            table += &format!("  {word:<8}{seconds:>6.1} s  ");
        }
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stands_in_its_column() {
        let passed = vec![Ok(0.25); CHECKS.len()];
        let mut failed = passed.clone();
        failed[2] = Err(11.0);
        let columns = [("GStreamer 1.22.0", passed), ("GStreamer 1.28.8", failed)];
        let table = table(&columns.map(|(version, outcomes)| (version.to_owned(), outcomes)));
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 1 + CHECKS.len());
        assert_eq!(
            lines[3],
            "demo          passed     0.2 s    FAILED    11.0 s"
        );
    }
}
