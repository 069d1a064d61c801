// SPDX-License-Identifier: MPL-2.0

//! The programs in `examples`, as their users run them.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use gstwmspush::wmhttp::HResult;
use publishing_point::{Closer, Event, Fault, PublishingPoint, Refuse, Running, Settings, When};

/// No program lives longer, whatever else the machine does.
const LONG: Duration = Duration::from_secs(60);

/// Data packets that are enough to call it a push.
const PACKETS: usize = 3;

/// Python that comes with the system, and so with PyGObject: another one may come first in `PATH`.
const PYTHON: &str = "/usr/bin/python3";

/// The same tests for each program.
macro_rules! tests {
    ($($name:ident: $command:expr;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn ctrl_c_ends_the_push_in_good_order() {
                super::ctrl_c_ends_the_push_in_good_order($command);
            }

            #[test]
            fn sigterm_comes_as_early_as_it_likes() {
                super::sigterm_comes_as_early_as_it_likes($command);
            }

            #[test]
            fn an_error_is_shown_with_its_details() {
                super::an_error_is_shown_with_its_details($command);
            }

            #[test]
            fn a_second_ctrl_c_ends_the_program_at_once() {
                super::a_second_ctrl_c_ends_the_program_at_once($command);
            }
        })*
    };
}

tests! {
    rust: not_installed(Command::new(rust_program("live_push")));
    rust_with_the_plugin_installed: installed(Command::new(rust_program("live_push")));
    python: installed(interpreted(PYTHON, &["examples/live_push.py"]));
    c: installed(Command::new(c_program()));
    javascript: installed(interpreted("gjs", &["-m", "examples/live_push.js"]));
}

fn ctrl_c_ends_the_push_in_good_order(command: Command) {
    let point = point(Vec::new());
    let program = Program::start(command, &point);
    for _ in 0..PACKETS {
        let data = point.wait_for(|event| matches!(event, Event::Data { .. }), LONG);
        data.expect("a data packet");
    }
    program.signal("INT");
    assert_good_end(program, &point);
}

/// A pipeline takes no EOS before it plays.
fn sigterm_comes_as_early_as_it_likes(command: Command) {
    let point = point(Vec::new());
    let mut program = Program::start(command, &point);
    program.wait_for_line("PROGRESS connect start: ");
    program.signal("TERM");
    assert_good_end(program, &point);
}

fn assert_good_end(mut program: Program, point: &Running) {
    let end = point.wait_for(|event| matches!(event, Event::EndOfStream { .. }), LONG);
    let Some(Event::EndOfStream { reason, .. }) = end else {
        panic!("no $E");
    };
    assert_eq!(reason, HResult::S_OK);
    assert_eq!(program.exit_status().code(), Some(0));
    program.assert_shows(&[
        "PROGRESS connect start: ",
        "PROGRESS connect continue: ",
        "STATUS WMT_OPENED connecting -> connected S_OK",
        "PROGRESS connect complete: ",
        "STATUS WMT_STARTED connected -> streaming S_OK",
        "STATUS WMT_END_OF_STREAMING streaming -> ending S_OK",
        "STATUS WMT_STOPPED ending -> ended S_OK",
        "EOS",
    ]);
    let push = point.pushes().remove(0);
    let packets = format!("packets-sent: {}", push.data_packets);
    program.assert_shows(&[&packets, "bytes-sent: "]);
    let violation = |event: &Event| matches!(event, Event::Violation { .. });
    assert_eq!(point.wait_for(violation, Duration::ZERO), None);
}

fn an_error_is_shown_with_its_details(command: Command) {
    let refuse = Fault::Refuse(Refuse::new(404));
    let point = point(vec![(When::EveryPushSetup, refuse)]);
    let mut program = Program::start(command, &point);
    assert_eq!(program.exit_status().code(), Some(1));
    program.assert_shows(&[
        "STATUS WMT_OPENED connecting -> failed NS_E_",
        "ERROR Cannot push to http://127.0.0.1:",
        "    phase: setup",
        "    reason: ",
        "    hresult-name: NS_E_",
        "    http-status-code: 404",
        "    http-reason: Not Found",
        "    hint: ",
        "packets-sent: 0",
        "bytes-sent: 0",
    ]);
}

/// The server does not answer: an end in good order would take its time.
fn a_second_ctrl_c_ends_the_program_at_once(command: Command) {
    let point = point(vec![(When::EveryPushSetup, Fault::Silent)]);
    let mut program = Program::start(command, &point);
    program.wait_for_line("PROGRESS connect continue: Setting up ");
    program.signal("INT");
    program.wait_for_line("Ending the push");
    program.signal("INT");
    assert!(!program.exit_status().success());
    let waited = |line: &&String| line.starts_with("ERROR") || line.starts_with("EOS");
    assert_eq!(program.shown.iter().find(waited), None);
}

/// One server dies and comes back, one refuses for good, and one does not notice.
#[test]
fn a_fan_out_outlives_a_server_that_dies_and_one_that_refuses() {
    let steady = point(Vec::new());
    let refuse = Fault::Refuse(Refuse::new(404));
    let refusing = point(vec![(When::EveryPushSetup, refuse)]);
    let mortal = point(Vec::new());
    let urls = [&steady, &refusing, &mortal].map(|point| point.url("live"));
    let mut command = not_installed(Command::new(rust_program("fan_out")));
    command.args(&urls);
    let mut program = Program::spawn(command);
    program.wait_for_line(&format!("{}: ERROR Cannot push", urls[1]));
    let more = |point: &Running| {
        for _ in 0..PACKETS {
            let data = point.wait_for(|event| matches!(event, Event::Data { .. }), LONG);
            data.expect("a data packet");
        }
    };
    more(&mortal);
    let address = mortal.local_addr();
    mortal.shutdown();
    program.wait_for_line(&format!("{}: WMT_RECONNECT_START", urls[2]));
    more(&steady);
    let settings = Settings {
        listen: address,
        keep: true,
        ..Settings::default()
    };
    let mortal = PublishingPoint::bind(settings).unwrap().spawn().unwrap();
    more(&mortal);
    program.signal("INT");
    for point in [&steady, &mortal] {
        let end = point.wait_for(|event| matches!(event, Event::EndOfStream { .. }), LONG);
        assert!(end.is_some_and(|end| end.to_string().contains("S_OK")));
        assert_eq!(point.pushes().len(), 1);
    }
    assert_eq!(program.exit_status().code(), Some(0));
    let missed = |event: &Event| matches!(event, Event::Closed { by, .. } if *by == Closer::Client);
    assert_eq!(steady.wait_for(missed, Duration::ZERO), None);
}

fn point(faults: Vec<(When, Fault)>) -> Running {
    let settings = Settings {
        keep: true,
        faults,
        ..Settings::default()
    };
    PublishingPoint::bind(settings).unwrap().spawn().unwrap()
}

/// With the plugin where `GST_PLUGIN_PATH` says.
fn installed(mut command: Command) -> Command {
    let directory = std::env::var_os("WMSPUSH_PLUGIN_DIR").expect(
        "WMSPUSH_PLUGIN_DIR is where `cargo build --release --lib` leaves the plugin; `cargo xtask test` sets it",
    );
    command.env("GST_PLUGIN_PATH", directory);
    command
}

/// With no plugin but its own.
fn not_installed(mut command: Command) -> Command {
    command.env_remove("GST_PLUGIN_PATH");
    command
}

fn interpreted(interpreter: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(interpreter);
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// The example, which cargo builds beside the tests unless it is asked for this one alone.
fn rust_program(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(name);
    let _one_at_a_time = BUILDING.lock();
    if is_older(&program, &Path::new("examples").join(format!("{name}.rs"))) {
        build_rust_program(name);
    }
    program
}

fn build_rust_program(name: &str) {
    let mut build = Command::new(env!("CARGO"));
    // The same feature and environment spare cargo another build of everything.
    build.args(["build", "--quiet", "--features", "publishing-point"]);
    build.args(["--example", name]);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let of_this_test = ["OUT_DIR", "CARGO_PKG_", "CARGO_MANIFEST_"];
        if of_this_test.iter().any(|start| name.starts_with(start)) {
            build.env_remove(&*name);
        }
    }
    succeed(&mut build);
}

/// Whether a program is not there at all, or was built from something else.
fn is_older(program: &Path, source: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    modified(program).ok() < modified(source).ok()
}

/// The program, compiled as the comment in it says, and without any warning.
fn c_program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let compile = || {
        let source = include_str!("../examples/live_push.c");
        let mut lines = source.lines();
        let arguments = lines.find_map(|line| line.split_once("$ cc -o live_push "));
        let (_, arguments) = arguments.expect("how to compile it");
        let program = scratch("live_push");
        let script = format!("cc -Wall -Wextra -Werror -o \"$0\" {arguments}");
        let mut compiler = interpreted("sh", &["-c", &script]);
        succeed(compiler.arg(&program));
        program
    };
    PROGRAM.get_or_init(compile).clone()
}

fn succeed(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// A file of the tests in this one.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
    fs::create_dir_all(&directory).unwrap();
    directory.join(name)
}

/// A program that runs, for [`LONG`] at most and not longer than this value.
struct Program {
    child: Child,
    deadline: Instant,
    lines: Receiver<String>,
    /// What came of `lines` so far.
    shown: Vec<String>,
    complaints: PathBuf,
}

impl Program {
    fn start(mut command: Command, point: &Running) -> Self {
        command.arg(point.url("live"));
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let test = thread::current().name().unwrap().replace("::", "-");
        let complaints = scratch(&format!("{test}.stderr"));
        let mut child = command
            .env("GST_REGISTRY", scratch(&format!("{test}.registry")))
            // These would win over others.
            .env_remove("GST_PLUGIN_PATH_1_0")
            .env_remove("GST_REGISTRY_1_0")
            .env("no_proxy", "127.0.0.1")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&complaints).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            lines: lines_of(child.stdout.take().unwrap()),
            child,
            deadline: Instant::now() + LONG,
            shown: Vec::new(),
            complaints,
        }
    }

    /// The next line of standard output, or nothing when it is closed.
    fn next_line(&mut self) -> Option<&str> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => self.shown.push(line),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => panic!("the program takes too long"),
        }
        self.shown.last().map(String::as_str)
    }

    fn wait_for_line(&mut self, start: &str) {
        loop {
            let line = self.next_line();
            let line = line.unwrap_or_else(|| panic!("the program ends before {start:?}"));
            if line.starts_with(start) {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        succeed(Command::new("kill").args(["-s", name, &id]));
    }

    /// How it ends by itself, without a complaint.
    fn exit_status(&mut self) -> ExitStatus {
        while self.next_line().is_some() {}
        // Standard output was closed: this takes no time.
        let status = self.child.wait().unwrap();
        let complaints = fs::read_to_string(&self.complaints).unwrap();
        assert_eq!(complaints, "");
        status
    }

    /// Whether there were lines that begin so, in this order.
    fn assert_shows(&self, starts: &[&str]) {
        let mut lines = self.shown.iter();
        for start in starts {
            let found = lines.any(|line| line.starts_with(start));
            assert!(found, "no {start:?} in its place");
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let complaints = fs::read_to_string(&self.complaints).unwrap_or_default();
            let shown: Vec<_> = self.shown.drain(..).chain(self.lines.try_iter()).collect();
            eprintln!("{}\n{complaints}", shown.join("\n"));
        }
    }
}

/// Reads on a thread of its own until nobody can write any more.
fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
