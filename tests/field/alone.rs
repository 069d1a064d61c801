// SPDX-License-Identifier: MPL-2.0

//! Tests in processes of their own: a failure may hang, abort, or exhaust what all tests share.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::LONG;

/// Environment variable of a process with a single test.
const ALONE: &str = "FIELD_ALONE";

/// The URL of the parent's receiver.
const LOCATION: &str = "FIELD_LOCATION";

/// A shell that sets `limits` and runs its arguments.
fn shell(limits: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{limits} exec \"$@\"");
    command.args(["-c", &script, "sh"]);
    command.arg(std::env::current_exe().unwrap());
    command
}

/// Runs `act` in a process of its own, which is killed after 45 s. `test` is the full name of the calling test.
pub fn alone(test: &str, act: impl FnOnce()) {
    limited(test, "", String::new, |_| act());
}

/// Runs `act` like `alone`, after shell commands that set `limits`. `location` runs in the parent; `act` gets its
/// result.
pub fn limited(
    test: &str,
    limits: &str,
    location: impl FnOnce() -> String,
    act: impl FnOnce(&str),
) {
    if std::env::var_os(ALONE).is_some() {
        return act(&std::env::var(LOCATION).unwrap());
    }
    let mut command = shell(limits);
    command
        .args([test, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .env(LOCATION, location());
    let output = run(&mut command);
    assert!(output.contains("1 passed"), "{output}");
}

/// Runs a program to its end, and returns its output and its exit status.
pub fn run(command: &mut Command) -> String {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // A process group, because children of the child may survive it.
    let mut child = child.process_group(0).spawn().unwrap();
    let in_time = ends_within(&mut child, LONG + Duration::from_secs(15));
    if !in_time {
        let group = format!("-{}", child.id());
        let kill = Command::new("kill").args(["-KILL", "--", &group]).status();
        assert!(kill.unwrap().success());
    }
    let output = child.wait_with_output().unwrap();
    format!(
        "{}{}{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status,
        if in_time { "" } else { ": took too long" },
    )
}

fn ends_within(child: &mut Child, time: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
