// SPDX-License-Identifier: MPL-2.0

//! The project's own publishing point, as a process.

use std::io::PipeWriter;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::run::{self, Process, Result};
use crate::workspace::Workspace;

/// Builds it.
pub const BUILD: &[&str] = &["build", "--package", "publishing-point"];

/// What its first line begins with; the URL follows.
const LISTENING: &str = "listening on ";

/// The longest that it may take to listen.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The port that the README has.
const USUAL_PORT: u16 = 8080;

/// How often to look whether it listens.
const LOOK: Duration = Duration::from_millis(20);

/// The longest that it may take to finish its recordings.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A publishing point that listens. Dropping it ends the process.
#[derive(Debug)]
pub struct PublishingPoint {
    /// The process.
    process: Process,
    /// The thread that shows what it prints.
    printer: JoinHandle<()>,
    /// Where it listens, with a slash at the end.
    pub url: String,
}

impl PublishingPoint {
    /// Starts it on a free port of this machine; it records into `folder`.
    pub fn start(workspace: &Workspace, folder: &Path) -> Result<Self> {
        let program = workspace.target.join("debug").join("publishing-point");
        let mut command = Command::new(program);
        command
            .current_dir(&workspace.root)
            .args(["--listen", "127.0.0.1:0", "--record"])
            .arg(workspace.short(folder));
        println!("==> {}", run::shown(&command));
        let mut process = Process::start(&mut command)?;
        let url = first_url(&process)
            .map_err(|message| format!("the publishing point did not start: {message}"))?;
        let lines = process.take_lines();
        let printer = thread::spawn(move || show_all(&lines));
        Ok(Self {
            process,
            printer,
            url,
        })
    }

    /// Asks it to finish its recordings and end, as Ctrl-C does, and waits for it.
    pub fn stop(self) -> Result {
        let id = self.process.id().to_string();
        // The shell's own kill is everywhere; a program of that name is not.
        let mut interrupt = Command::new("sh");
        interrupt.args(["-c", "kill -INT \"$1\"", "sh", &id]);
        run::through(&mut interrupt)
            .map_err(|message| format!("the publishing point is not there any more: {message}"))?;
        let finished = self.process.finish(Instant::now() + STOP_LIMIT);
        // The process has ended, so its output has.
        let _ = self.printer.join();
        finished.map_err(|message| format!("the publishing point did not end well: {message}"))
    }
}

/// A publishing point that has the terminal, and lives as long as somebody holds its leash.
#[derive(Debug)]
pub struct Watched {
    /// Where it listens.
    pub address: SocketAddr,
    /// The other end of its standard input.
    pub leash: PipeWriter,
}

impl Watched {
    /// Starts it where the README says, or on any free port when somebody else is there.
    pub fn start(workspace: &Workspace) -> Result<Self> {
        let address = free_address().map_err(|error| format!("no port is free: {error}"))?;
        let (input, leash) =
            std::io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
        let program = workspace.target.join("debug").join("publishing-point");
        let mut command = Command::new(program);
        command.current_dir(&workspace.root).args([
            "--listen",
            &address.to_string(),
            "--end-with-stdin",
        ]);
        println!("==> {}", run::shown(&command));
        command.stdin(input);
        // Ctrl-C is for the push, which ends in good order first.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot start the publishing point: {error}"))?;
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(address).is_err() {
            let ended = child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() > deadline {
                return Err("the publishing point did not start".to_owned());
            }
            thread::sleep(LOOK);
        }
        Ok(Self { address, leash })
    }
}

/// An address of this machine that is free right now.
fn free_address() -> std::io::Result<SocketAddr> {
    let usual = TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT));
    usual
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?
        .local_addr()
}

/// Shows lines until the one that tells where it listens.
fn first_url(process: &Process) -> Result<String> {
    let deadline = Instant::now() + START_LIMIT;
    while let Some(line) = process.line(deadline)? {
        show(&line);
        if let Some(url) = line.strip_prefix(LISTENING) {
            return Ok(format!("{}/", url.trim().trim_end_matches('/')));
        }
    }
    Err(format!("it ended before it printed \"{LISTENING}...\""))
}

/// Shows all lines until the output ends.
fn show_all(lines: &Receiver<String>) {
    for line in lines {
        show(&line);
    }
}

/// Shows one line.
fn show(line: &str) {
    println!("[publishing point] {line}");
}
