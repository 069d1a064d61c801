// SPDX-License-Identifier: MPL-2.0

//! Running commands: with their output let through, captured, or read line by line within a time bound.

use std::io::{BufRead, BufReader, PipeReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// What every step gives: a failure is a message that says what failed and what to do.
pub type Result<T = ()> = std::result::Result<T, String>;

/// How often a process that has closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// What cargo tells the programs that it starts about their package. Some build scripts run again when it changes.
const OF_THIS_PACKAGE: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];

/// The cargo that started this program. It builds what it would build in a shell, and so not everything twice.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THIS_PACKAGE.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Whether a program of this name stands in one of the directories of `PATH`, or where servers are, which is not in
/// everybody's.
pub fn found(program: &str) -> bool {
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .chain(["/usr/sbin".into()])
        .any(|folder| folder.join(&file).is_file())
}

/// The command as one would type it, with the program's name for its path.
pub fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// One word of a command line, in quotes where a shell needs them.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_=./:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs a command to its end, its output let through unchanged.
pub fn through(command: &mut Command) -> Result {
    let status = command
        .status()
        .map_err(|error| unstarted(command, &error))?;
    succeeded(command, status)
}

/// Runs a command to its end and gives its standard output; its error output is let through.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| unstarted(command, &error))?;
    succeeded(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a command succeeds; its output is not shown.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a command within a time bound and gives all that it printed, on both outputs.
pub fn bounded(command: &mut Command, limit: Duration) -> Result<Vec<String>> {
    let process = Process::start(command)?;
    let deadline = Instant::now() + limit;
    let mut lines = Vec::new();
    while let Some(line) = process.line(deadline)? {
        lines.push(line);
    }
    process
        .finish(deadline)
        .map_err(|message| format!("{message}\n{}", lines.join("\n")))?;
    Ok(lines)
}

/// The message for a command that could not be started.
fn unstarted(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start `{}`: {error}", shown(command))
}

/// The exit status as a result.
fn succeeded(command: &Command, status: ExitStatus) -> Result {
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` failed ({status})", shown(command)))
    }
}

/// A process whose two outputs come here as lines. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    /// The process itself.
    child: Child,
    /// What it prints.
    lines: Receiver<String>,
    /// Its program, for messages.
    name: String,
}

impl Process {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Result<Self> {
        let pipes =
            std::io::pipe().and_then(|(reader, writer)| Ok((reader, writer.try_clone()?, writer)));
        let (reader, stdout, stderr) =
            pipes.map_err(|error| format!("cannot make a pipe: {error}"))?;
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let child = command
            .spawn()
            .map_err(|error| unstarted(command, &error))?;
        // The command keeps this side's writing ends: without this the reader would never see the end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let name = command.get_program().to_string_lossy().into_owned();
        Ok(Self {
            child,
            lines: lines_of(reader),
            name,
        })
    }

    /// The next line, or nothing when the output has ended. An error when the deadline comes first.
    pub fn line(&self, deadline: Instant) -> Result<Option<String>> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("{} took too long and was ended", self.name))
            }
        }
    }

    /// The process id, for signals.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Takes the lines away, for a thread that shows them. [`Process::line`] then gives nothing.
    pub fn take_lines(&mut self) -> Receiver<String> {
        let (_, nothing) = mpsc::channel();
        std::mem::replace(&mut self.lines, nothing)
    }

    /// Waits for the end, which has to be a success.
    pub fn finish(mut self, deadline: Instant) -> Result {
        loop {
            let status = self.child.try_wait().map_err(|error| error.to_string())?;
            match status {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("{} failed ({status})", self.name)),
                None if Instant::now() >= deadline => {
                    return Err(format!("{} did not end in time and was ended", self.name));
                }
                None => thread::sleep(POLL),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines in a thread until the output ends.
fn lines_of(reader: PipeReader) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        let mut command = Command::new("/usr/bin/tool");
        command.args(["a=b", "!", "video/x-raw,width=320", "it's", ""]);
        assert_eq!(
            shown(&command),
            r"tool a=b '!' video/x-raw,width=320 'it'\''s' ''"
        );
    }

    #[cfg(unix)]
    #[test]
    fn both_outputs_come_as_lines() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; printf three"]);
        let lines = bounded(&mut command, Duration::from_secs(60));
        assert_eq!(
            lines,
            Ok(vec!["one".to_owned(), "two".to_owned(), "three".to_owned()])
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_takes_too_long_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let started = Instant::now();
        let message = bounded(&mut command, Duration::from_millis(50));
        assert_eq!(message, Err("sleep took too long and was ended".to_owned()));
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[cfg(unix)]
    #[test]
    fn a_failure_tells_the_status_and_what_was_printed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo why; exit 3"]);
        let message = bounded(&mut command, Duration::from_secs(60));
        let message = message.err().unwrap_or_default();
        assert!(
            message.contains("exit status: 3") && message.contains("why"),
            "{message}"
        );
    }
}
