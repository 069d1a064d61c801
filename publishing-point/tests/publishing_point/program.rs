// SPDX-License-Identifier: MPL-2.0

//! The program from the user's point of view.

#[cfg(unix)]
use std::io::Read;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

#[cfg(unix)]
use super::client::{Client, packet};

const PROGRAM: &str = env!("CARGO_BIN_EXE_publishing-point");

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub struct Program {
    pub child: Child,
    lines: BufReader<ChildStdout>,
}

impl Program {
    /// Starts the program with these arguments on a free port. Returns it with its URL.
    ///
    /// It ends with this process, whichever way that ends.
    pub fn with(arguments: &[&str]) -> (Self, String) {
        Self::of(Command::new(PROGRAM), arguments)
    }

    fn of(mut command: Command, arguments: &[&str]) -> (Self, String) {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--end-with-stdin"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut program = Self { child, lines };
        let line = program.line();
        let url = line.strip_prefix("listening on ").unwrap();
        (program, url.to_owned())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

#[cfg(unix)]
impl Program {
    fn start() -> (Self, String) {
        Self::with(&[])
    }

    /// Starts the program with a limit on the size of each file, in blocks of 512 bytes.
    pub fn limited(blocks: u32, arguments: &[&str]) -> (Self, String) {
        let mut command = Command::new("sh");
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.args(["-c", &limit, PROGRAM]);
        Self::of(command, arguments)
    }

    /// Returns the next line that contains this text.
    pub fn line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the program has ended");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Returns the next line that is not a periodic status line.
    fn event(&mut self) -> String {
        loop {
            let line = self.line();
            if !line.contains(" kbit/s") {
                return line;
            }
        }
    }

    /// Stops the program with a signal, or by closing its standard input.
    fn stop(&mut self, way: &str) {
        if way == "end of input" {
            self.child.stdin = None;
        } else {
            self.signal(way);
        }
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn the_program_prints_address_and_events_and_exits_cleanly() {
    for way in ["INT", "TERM", "end of input"] {
        let (mut program, url) = Program::start();
        let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
        let mut client = Client::to(address.parse().unwrap(), "0");
        client.setup("/live");
        client.start("/live", 1000);
        client.send(packet(b'H', b"header"));
        assert_eq!(
            program.event(),
            "/live (session 1): setup accepted from WMEncoder/12.0 GStreamer/1.22"
        );
        assert_eq!(program.event(), "/live (session 1): streaming");
        while !program.line().contains("ASF file header of 6 bytes") {}
        program.stop(way);
        assert_eq!(client.response().status(), 503);
        let mut rest = String::new();
        program.lines.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("closed: by the server"), "{rest}");
        assert!(program.child.wait().unwrap().success());
    }
}

#[cfg(unix)]
#[test]
fn aborted_pushes_do_not_fill_the_log() {
    let (mut program, url) = Program::start();
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    for _ in 0..60 {
        let mut client = loop {
            let mut client = Client::to(address.parse().unwrap(), "0");
            // The last push may not have ended yet.
            if client.setup("/live").status() == 204 {
                break client;
            }
        };
        client.start("/live", 1000);
        client.send(packet(b'H', b"header"));
    }
    program.signal("TERM");
    let mut rest = String::new();
    program.lines.read_to_string(&mut rest).unwrap();
    let lines: Vec<_> = rest
        .lines()
        .filter(|line| !line.contains("kbit/s"))
        .collect();
    assert!(lines.len() < 20, "{rest}");
    assert!(rest.contains("streaming (and "), "{rest}");
    assert!(program.child.wait().unwrap().success());
}

/// The point has one line, which is repainted.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_has_a_live_line_of_each_push() {
    // Under nohup the program ignores the SIGHUP of its closed terminal. Its input ends all the same.
    let command = format!("exec {PROGRAM} --listen 127.0.0.1:0 --end-with-stdin");
    let mut child = Command::new("script")
        .args(["--quiet", "--flush", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let mut program = Program { child, lines };
    let line = program.line();
    let url = line.strip_prefix("listening on http://").unwrap();
    let mut client = Client::to(url.trim_end_matches('/').parse().unwrap(), "0");
    client.setup("/live");
    client.start("/live", 1000);
    client.send([packet(b'H', b"header"), packet(b'D', b"1")].concat());
    // Escapes of repainting precede it, if an earlier line was painted before the packet arrived.
    let painted = |line: &str| line.contains("\x1b[?7l/live  receiving  0:00:");
    let mut line = program.line();
    while !(painted(&line) && line.contains("  1 packets  0 viewers")) {
        assert_ne!(line, "", "the program has ended");
        line = program.line();
    }
    let next = program.line();
    assert!(next.starts_with("\x1b[1A\x1b[J"), "{next:?}");
    drop(program);
    assert!(client.is_ended());
}

#[test]
fn an_address_in_use_is_a_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    let expected = format!("publishing-point: cannot listen on {address}: ");
    assert!(message.starts_with(&expected), "{message}");
}

#[test]
fn unusable_arguments_are_a_mistake_of_the_user() {
    let output = run(&["--record", "/no/such/directory"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/no/such/directory is not a directory"));
    assert!(output.stdout.is_empty());
}

#[test]
fn help_and_version_are_shown() {
    let output = run(&["--version"]);
    assert!(output.status.success());
    let version = concat!("publishing-point ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(text(&output.stdout), version);
    let output = run(&["--help"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).starts_with("Usage: publishing-point "));
}
