// SPDX-License-Identifier: MPL-2.0

//! Runs commands: with their output shown, captured, or passed on line by line, within a time limit.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The result of every step. A failure is a message with the cause and the next step.
pub type Result<T = ()> = std::result::Result<T, String>;

/// Polling interval for a process that has closed its output and not ended yet.
const POLL: Duration = Duration::from_millis(20);

/// Variables in which cargo tells its programs about their package. Some build scripts run again when they change.
const OF_THIS_PACKAGE: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];

/// Returns the cargo that started this program, with the environment of a shell, so that nothing is built twice.
pub fn cargo() -> Command {
    clean(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Returns a command without the variables about the package of this program.
pub fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THIS_PACKAGE.iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Returns the folder of cargo's downloads.
pub fn cargo_home() -> Option<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| Some(std::env::home_dir()?.join(".cargo")))
}

/// Returns whether `PATH` has a program of this name.
pub fn found(program: &str) -> bool {
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(&file).is_file())
}

/// Returns the command line as typed in a shell, with the program's name instead of its path.
pub fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns one word of a command line, quoted if a shell needs that.
pub fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_=./:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Prints a command and runs it to its end, with its output unchanged.
pub fn through(command: &mut Command) -> Result {
    println!("==> {}", shown(command));
    let status = command
        .status()
        .map_err(|error| unstarted(command, &error))?;
    succeeded(command, status)
}

/// Runs a command to its end and returns its standard output; its error output goes where the command sends it.
pub fn output(command: &mut Command) -> Result<String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let output = child.and_then(Child::wait_with_output);
    let output = output.map_err(|error| unstarted(command, &error))?;
    succeeded(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns whether a command succeeds; its output is not shown.
pub fn succeeds(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a command within a time limit, and returns the lines of both outputs. The error of a failure contains them.
pub fn bounded(command: &mut Command, limit: Duration) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let ended = followed(command, limit, |line| lines.push(line.to_owned()));
    ended.map_err(|message| format!("{message}\n{}", lines.join("\n")))?;
    Ok(lines)
}

/// Runs a command within a time limit, and passes on each line of either output.
pub fn followed(command: &mut Command, limit: Duration, mut each: impl FnMut(&str)) -> Result {
    let deadline = Instant::now() + limit;
    let (mut process, lines) = start(command)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) => each(&line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(late(command, limit)),
        }
    }
    while Instant::now() < deadline {
        let status = process.0.try_wait().map_err(|error| error.to_string())?;
        match status {
            Some(status) => return succeeded(command, status),
            None => thread::sleep(POLL),
        }
    }
    Err(late(command, limit))
}

/// Runs `run` on each of `items`, `count` at once, and returns the failures in the order of the items. With `stops`, no
/// item begins after a failure.
pub fn at_a_time<T: Sync>(
    count: usize,
    items: &[T],
    stops: bool,
    run: impl Fn(&T) -> Result + Sync,
) -> Vec<String> {
    let state = Mutex::new((items.iter().enumerate(), BTreeMap::new()));
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let (waiting, failures) = &mut *lock();
        let goes_on = !stops || failures.is_empty();
        goes_on.then(|| waiting.next()).flatten()
    };
    let work = || {
        while let Some((place, item)) = next() {
            if let Err(message) = run(item) {
                lock().1.insert(place, message);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(work);
        }
    });
    std::mem::take(&mut lock().1).into_values().collect()
}

/// Starts a command whose outputs are read as lines.
fn start(command: &mut Command) -> Result<(Process, mpsc::Receiver<String>)> {
    let pipes =
        std::io::pipe().and_then(|(reader, writer)| Ok((reader, writer.try_clone()?, writer)));
    let (reader, stdout, stderr) = pipes.map_err(|error| format!("cannot make a pipe: {error}"))?;
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    let child = command.spawn();
    let process = Process(child.map_err(|error| unstarted(command, &error))?);
    // Drops this side's writing ends, which the command keeps: otherwise the reader would never see the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(reader)
            .split(b'\n')
            .map_while(|line| line.ok());
        lines.try_for_each(|line| sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()))
    });
    Ok((process, receiver))
}

/// A child process, which is killed when this is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the message for a command that could not be started.
fn unstarted(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start `{}`: {error}", shown(command))
}

/// Returns the message for a command that has exceeded its time limit.
fn late(command: &Command, limit: Duration) -> String {
    format!(
        "`{}` took longer than {limit:?} and was ended",
        shown(command)
    )
}

/// Converts the exit status.
fn succeeded(command: &Command, status: ExitStatus) -> Result {
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` failed ({status})", shown(command)))
    }
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

    #[test]
    fn the_failures_come_in_order_and_stop_the_rest() {
        for (stops, expected) in [(true, vec!["a", "b"]), (false, vec!["a", "b", "c", "d"])] {
            // Two fail before either worker takes another item.
            let both = std::sync::Barrier::new(2);
            let failures = at_a_time(2, &["a", "b", "c", "d"], stops, |item| {
                both.wait();
                Err((*item).to_owned())
            });
            assert_eq!(failures, expected);
        }
    }

    /// Runs a shell script within `milliseconds`.
    #[cfg(unix)]
    fn script(text: &str, limit: u64) -> Result<Vec<String>> {
        bounded(
            Command::new("sh").args(["-c", text]),
            Duration::from_millis(limit),
        )
    }

    #[cfg(unix)]
    #[test]
    fn both_outputs_come_as_lines() {
        let lines = script("echo one; echo two >&2; printf three", 60_000);
        assert_eq!(
            lines,
            Ok(["one", "two", "three"].map(String::from).to_vec())
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_takes_too_long_is_ended() {
        for text in ["exec sleep 600", "exec sleep 600 >&- 2>&-"] {
            let started = Instant::now();
            let message = script(text, 50).err().unwrap_or_default();
            assert!(message.contains("longer than 50ms"), "{message}");
            assert!(started.elapsed() < Duration::from_secs(60));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_failure_has_the_status_and_the_output() {
        let message = script("echo why; exit 3", 60_000).err().unwrap_or_default();
        assert!(
            message.contains("exit status: 3") && message.contains("why"),
            "{message}"
        );
    }
}
