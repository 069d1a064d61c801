// SPDX-License-Identifier: MPL-2.0

//! The programs in `examples`, as users run them.
#![cfg(unix)]

mod plugin;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use gstwmspush::auth::Credentials;
use gstwmspush::wmhttp::HResult;
use publishing_point::{Closer, Event, Fault, PublishingPoint, Refuse, Running, Settings, When};

/// Upper bound on the life of a program, even on a loaded machine.
const LONG: Duration = Duration::from_secs(60);

/// Data packets that prove a push.
const PACKETS: usize = 3;

/// The system's Python, which has PyGObject: another one may precede it in `PATH`.
const PYTHON: &str = "/usr/bin/python3";

/// First line of an `acquire-credentials` handler.
const CREDENTIALS: &str = "CREDENTIALS 127.0.0.1 demands a user and a password";

/// The parts of GStreamer that a language supports.
#[derive(Clone, Copy, PartialEq)]
enum Binding {
    /// Everything that the examples use.
    Whole,
    /// No handlers of signals on foreign threads: `user-id` and `user-pw` are set before the push.
    WithoutHandlers,
    /// No sending of events: `end-session` ends the push.
    WithoutEvents,
}

/// The same tests for each program: its name, its language's binding, and its command.
macro_rules! tests {
    ($($name:ident, $binding:ident, $command:expr;)*) => {
        $(mod $name {
            use super::*;

            tests! { $binding, $command,
                ctrl_c_ends_the_push_in_good_order
                an_early_sigterm_ends_the_program
                an_error_is_shown_with_its_details
                a_second_ctrl_c_ends_the_program_at_once
                user_and_password_open_the_push
                a_wrong_password_ends_the_program
            }
        })*
    };
    ($binding:ident, $command:expr, $($test:ident)*) => {
        $(#[test]
        fn $test() {
            if let Some(command) = $command {
                super::$test(command, Binding::$binding);
            }
        })*
    };
}

tests! {
    rust, Whole, Some(not_installed(rust_program("live_push")));
    rust_with_the_plugin_installed, Whole, Some(installed(rust_program("live_push")));
    python, Whole, Some(installed(interpreted(PYTHON, &["-W", "always::DeprecationWarning:__main__", "examples/live_push.py"])));
    c, Whole, Some(installed(compiled("live_push.c", "-Wall -Wextra -Werror")));
    cpp, Whole, Some(installed(compiled("live_push.cpp", "-Wall -Wextra -Werror")));
    vala, Whole, found("valac --version").then(|| installed(compiled("live_push.vala", "--fatal-warnings")));
    ruby, WithoutEvents, found("ruby -e 'require \"gst\"'").then(|| installed(interpreted("ruby", &["-w", "examples/live_push.rb"])));
    lua, WithoutHandlers, found("lua5.3 -l lgi -e ''").then(|| installed(interpreted("lua5.3", &["examples/live_push.lua"])));
    javascript, WithoutHandlers, Some(installed(interpreted("gjs", &["-m", "examples/live_push.js"])));
}

fn ctrl_c_ends_the_push_in_good_order(command: Command, binding: Binding) {
    let point = point(Vec::new());
    let program = Program::start(command, &point);
    for _ in 0..PACKETS {
        let data = point.wait_for(|event| matches!(event, Event::Data { .. }), LONG);
        data.expect("a data packet");
    }
    program.signal("INT");
    assert_good_end(program, &point, binding);
}

/// A pipeline accepts no EOS before it plays.
fn an_early_sigterm_ends_the_program(command: Command, binding: Binding) {
    let point = point(Vec::new());
    let mut program = Program::start(command, &point);
    program.wait_for_line("PROGRESS connect start: ");
    program.signal("TERM");
    assert_good_end(program, &point, binding);
}

fn assert_good_end(mut program: Program, point: &Running, binding: Binding) {
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
        match binding {
            Binding::WithoutEvents => "STATUS WMT_CLOSED ended -> ended S_OK",
            Binding::Whole | Binding::WithoutHandlers => "EOS",
        },
    ]);
    let push = point.pushes().remove(0);
    let packets = format!("packets-sent: {}", push.data_packets);
    program.assert_shows(&[&packets, "bytes-sent: "]);
    let violation = |event: &Event| matches!(event, Event::Violation { .. });
    assert_eq!(point.wait_for(violation, Duration::ZERO), None);
}

fn an_error_is_shown_with_its_details(command: Command, _: Binding) {
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

/// The server does not respond, so that an end in good order would take its time.
fn a_second_ctrl_c_ends_the_program_at_once(command: Command, _: Binding) {
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

fn user_and_password_open_the_push(command: Command, binding: Binding) {
    let point = point_with_an_account();
    let mut program = start_with_password(command, &point, "s3cret");
    let data = point.wait_for(|event| matches!(event, Event::Data { .. }), LONG);
    data.expect("a data packet");
    program.signal("INT");
    assert_eq!(program.exit_status().code(), Some(0));
    program.assert_asked(if binding == Binding::WithoutHandlers {
        0
    } else {
        1
    });
}

/// A handler sees `hresult` of the refusal, and returns no answer.
fn a_wrong_password_ends_the_program(command: Command, binding: Binding) {
    let point = point_with_an_account();
    let mut program = start_with_password(command, &point, "wrong");
    assert_eq!(program.exit_status().code(), Some(1));
    program.assert_shows(&["ERROR ", "    hresult-name: NS_E_SERVER_ACCESSDENIED"]);
    program.assert_asked(if binding == Binding::WithoutHandlers {
        0
    } else {
        2
    });
}

fn point_with_an_account() -> Running {
    let settings = Settings {
        keep: true,
        accounts: vec![Credentials::new("encoder", "s3cret")],
        ..Settings::default()
    };
    PublishingPoint::bind(settings).unwrap().spawn().unwrap()
}

fn start_with_password(mut command: Command, point: &Running, password: &str) -> Program {
    command.envs([("PUSH_USER", "encoder"), ("PUSH_PASSWORD", password)]);
    Program::start(command, point)
}

/// One server is lost and returns, one refuses for good, and one is not affected.
#[test]
fn a_fan_out_survives_a_lost_and_a_refusing_server() {
    let steady = point(Vec::new());
    let refuse = Fault::Refuse(Refuse::new(404));
    let refusing = point(vec![(When::EveryPushSetup, refuse)]);
    let mortal = point(Vec::new());
    let urls = [&steady, &refusing, &mortal].map(|point| point.url("live"));
    let mut command = not_installed(rust_program("fan_out"));
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

/// Runs the command with the plugin in `GST_PLUGIN_PATH`.
fn installed(mut command: Command) -> Command {
    command.env("GST_PLUGIN_PATH", plugin::directory());
    command
}

/// Runs the command with its own plugin only.
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

/// Returns the example, which cargo builds with the tests unless only this one was requested.
fn rust_program(name: &str) -> Command {
    static BUILDING: Mutex<()> = Mutex::new(());
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(name);
    let _one_at_a_time = BUILDING.lock();
    if is_older(&program, &Path::new("examples").join(format!("{name}.rs"))) {
        build_rust_program(name);
    }
    Command::new(program)
}

fn build_rust_program(name: &str) {
    let mut build = Command::new(env!("CARGO"));
    // With the environment of a shell, cargo does not rebuild everything.
    build.args(["build", "--quiet", "--example", name]);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let of_this_test = ["OUT_DIR", "CARGO_PKG_", "CARGO_MANIFEST_"];
        if of_this_test.iter().any(|start| name.starts_with(start)) {
            build.env_remove(&*name);
        }
    }
    succeed(&mut build);
}

/// Returns whether a program is missing, or older than its source.
fn is_older(program: &Path, source: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    modified(program).ok() < modified(source).ok()
}

/// Returns whether the tools of a language are installed.
fn found(probe: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", probe]).stdin(Stdio::null());
    let found = shell.output().unwrap().status.success();
    if !found {
        eprintln!("not installed, its example is left out: {probe}");
    }
    found
}

/// Returns the program, compiled as its source's comment says, with more arguments.
fn compiled(source: &str, arguments: &str) -> Command {
    static BUILDING: Mutex<()> = Mutex::new(());
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(source);
    let program = scratch(
        &source
            .file_name()
            .unwrap()
            .to_string_lossy()
            .replace('.', "-"),
    );
    let _one_at_a_time = BUILDING.lock();
    if is_older(&program, &source) {
        compile(&source, arguments, &program);
    }
    Command::new(program)
}

fn compile(source: &Path, arguments: &str, program: &Path) {
    let text = fs::read_to_string(source).unwrap();
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.split_once("$ ")?.1.split_once(" -o live_push "));
    let (compiler, rest) = line.expect("how to compile it");
    let folder = source.parent().unwrap().to_str().unwrap();
    let rest = rest.replace("examples", folder);
    let script = format!("{compiler} {arguments} -o \"$0\" {rest}");
    let mut shell = Command::new("sh");
    // Some compilers leave files in the current directory.
    shell
        .args(["-c", &script])
        .arg(program)
        .current_dir(program.parent().unwrap());
    succeed(&mut shell);
}

fn succeed(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// Returns a file for the tests of this file.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
    fs::create_dir_all(&directory).unwrap();
    directory.join(name)
}

/// A running program, which is killed after [`LONG`] or when this is dropped.
struct Program {
    child: Child,
    deadline: Instant,
    lines: Receiver<String>,
    /// The lines so far.
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
            // These would take precedence over the others.
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

    /// Returns the next line of standard output; `None` when it is closed.
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

    /// Waits for the end of the program, which prints nothing to standard error.
    fn exit_status(&mut self) -> ExitStatus {
        while self.next_line().is_some() {}
        // Standard output is closed, so this does not wait.
        let status = self.child.wait().unwrap();
        let complaints = fs::read_to_string(&self.complaints).unwrap();
        assert_eq!(complaints, "");
        status
    }

    /// Asserts the number of requests for user and password.
    fn assert_asked(&self, times: usize) {
        let asked = self.shown.iter().filter(|line| *line == CREDENTIALS);
        assert_eq!(asked.count(), times);
    }

    /// Asserts that there were lines with these beginnings, in this order.
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

/// Reads on a thread of its own until all writers have closed the pipe.
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
