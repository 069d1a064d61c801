// SPDX-License-Identifier: MPL-2.0

//! A server program as a child process: its directory, its port, its end.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Upper bound on the start of a server.
const START: Duration = Duration::from_secs(20);

/// Polling interval for conditions without an event.
const LOOK: Duration = Duration::from_millis(5);

/// Attempts if another process takes the port.
const TRIES: usize = 5;

/// Runs a program in a process group that ends with the program, and when standard input is closed: at the latest with
/// the test process.
const LEASH: &str = r#"("$@"; kill -KILL 0) & cat >/dev/null; kill -KILL 0"#;

/// A test's own directory for all files of a server.
///
/// It is outside the build directory, which servers may not be able to read after they give up root.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("wmspush-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o1777)).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file that every user may read.
    pub fn write(&self, name: &str, content: &str) -> String {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    /// Returns the content of a file that may not exist yet.
    pub fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.0.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn logs(&self) -> String {
        let mut logs = String::new();
        for entry in fs::read_dir(&self.0).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name.ends_with(".log") {
                write!(logs, "--- {name}\n{}", self.read(&name)).unwrap();
            }
        }
        logs
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the path of a program of a Debian package: ordinary users have no `sbin` in `PATH`.
#[track_caller]
pub fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| missing(name, package))
}

/// Returns another file of a Debian package.
#[track_caller]
pub fn part<'a>(path: &'a str, package: &str) -> &'a str {
    if Path::new(path).is_file() {
        path
    } else {
        missing(path, package)
    }
}

#[track_caller]
fn missing(what: &str, package: &str) -> ! {
    panic!(
        "{what} is missing: it is in the Debian package {package}, which `cargo xtask test` installs"
    )
}

pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Returns the output of a program.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{printed}{complained}",
        output.status
    );
    printed
}

/// A running server, which is stopped when this is dropped.
pub struct Daemon {
    pub port: u16,
    directory: Directory,
    child: Child,
}

impl Daemon {
    /// Starts `program` with the configuration that `configure` returns for a port, and waits until it listens there.
    pub fn start(
        directory: Directory,
        program: &Path,
        configure: impl Fn(&Directory, u16, &mut Command),
    ) -> Self {
        for _ in 0..TRIES {
            let port = free_port();
            let mut command = leashed(program, &directory);
            configure(&directory, port, &mut command);
            let mut child = command.spawn().unwrap();
            if listens(&mut child, port) {
                return Self {
                    port,
                    directory,
                    child,
                };
            }
        }
        panic!("{program:?} does not start\n{}", directory.logs());
    }

    #[cfg(feature = "kerberos")]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Waits until `wanted` accepts the lines of a log, and returns its result. Servers write lines after a request is
    /// completed, or later.
    #[track_caller]
    pub fn wait_for_log(&self, name: &str, wanted: impl Fn(&[&str]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + crate::rig::LONG;
        loop {
            let log = self.directory.read(name);
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            let lines: Vec<&str> = whole.lines().collect();
            if wanted(&lines) {
                return lines.into_iter().map(str::to_owned).collect();
            }
            assert!(Instant::now() < deadline, "not in {name}: {lines:#?}");
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.directory.logs());
        }
    }
}

fn leashed(program: &Path, directory: &Directory) -> Command {
    let output = fs::File::create(directory.file("output.log")).unwrap();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", LEASH, "leash"])
        .arg(program)
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .process_group(0);
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Returns whether the child listens, and not another process.
fn listens(child: &mut Child, port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        thread::sleep(LOOK);
    }
    false
}
