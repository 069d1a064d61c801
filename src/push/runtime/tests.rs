// SPDX-License-Identifier: MPL-2.0

//! Processes without threads or descriptors, and forked processes.
#![allow(unsafe_code, reason = "limits, users and forks need the C library")]

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::super::socket::tests::broken_pipe_is_pending;
use super::*;

/// Upper bound on any wait, even on a loaded machine.
const LONG: Duration = Duration::from_secs(20);

/// Environment variable of a test that runs in a process of its own.
const OWN_PROCESS: &str = "WMSPUSH_OWN_PROCESS";

/// Runs `act` in a process of its own, started by `launcher` (a command with its arguments; empty: none).
pub(in crate::push) fn in_own_process(test: &str, launcher: &[&str], act: impl FnOnce()) {
    if std::env::var_os(OWN_PROCESS).is_some() {
        return act();
    }
    let program = std::env::current_exe().unwrap();
    let mut command = match launcher {
        [launcher, arguments @ ..] => {
            let mut command = Command::new(launcher);
            command.args(arguments).arg(program);
            command
        }
        [] => Command::new(program),
    };
    let output = command
        .args([test, "--exact", "--nocapture"])
        .env(OWN_PROCESS, "1")
        .output()
        .unwrap();
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{error}");
    assert!(out.contains("1 passed"), "{out}");
}

/// A resource that a system may run out of.
#[derive(Clone, Copy)]
pub(in crate::push) enum Resource {
    Threads,
    Descriptors,
}

impl Resource {
    fn limits(self) -> libc::rlimit {
        let mut limits = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: The limits are written to a local structure.
        let result = unsafe {
            match self {
                Self::Threads => libc::getrlimit(libc::RLIMIT_NPROC, &raw mut limits),
                Self::Descriptors => libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits),
            }
        };
        assert_eq!(result, 0);
        limits
    }

    fn set_limits(self, limits: libc::rlimit) {
        // SAFETY: The limits are read from a local structure.
        let result = unsafe {
            match self {
                Self::Threads => libc::setrlimit(libc::RLIMIT_NPROC, &raw const limits),
                Self::Descriptors => libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits),
            }
        };
        assert_eq!(result, 0);
    }
}

/// A limit that ends when this is dropped.
pub(in crate::push) struct Limited {
    resource: Resource,
    before: libc::rlimit,
}

/// Limits a resource of this process, which should be [its own](in_own_process). Gives up root for good, because root
/// has no limit on threads.
pub(in crate::push) fn limit(resource: Resource, most: libc::rlim_t) -> Limited {
    const NOBODY: libc::uid_t = 65_534;
    // SAFETY: The calls take integers only.
    unsafe {
        if libc::geteuid() == 0 {
            assert_eq!(libc::setuid(NOBODY), 0);
        }
    }
    let before = resource.limits();
    resource.set_limits(libc::rlimit {
        rlim_cur: most,
        ..before
    });
    Limited { resource, before }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.resource.set_limits(self.before);
    }
}

/// Forks. The child succeeds if `act` returns `true`. Returns the child's process id.
fn fork(act: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: The child makes the calls that a child of a GStreamer application makes, and exits without running the
    // parent's code. SIGALRM ends it if it hangs.
    unsafe {
        match libc::fork() {
            0 => {
                libc::alarm(LONG.as_secs() as u32);
                let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
                libc::_exit(i32::from(!worked.unwrap_or(false)))
            }
            child => child,
        }
    }
}

/// Waits for a child. Returns true if it ended with success.
fn succeeds(child: libc::pid_t) -> bool {
    let mut status = -1;
    // SAFETY: The status is written to a local number.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

/// Returns true if a task of the runtime connects to a server.
fn a_task_connects() -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    handle().unwrap().spawn(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        sender.send(TcpStream::connect(address).await.is_ok())
    });
    receiver.recv_timeout(LONG).unwrap_or(false)
}

/// Initialises tokio's signal state, which only a feature of the tests brings. That takes a lock, and panics without a
/// descriptor.
fn prepare_signals() {
    drop(Builder::new_current_thread().enable_all().build());
}

/// SIGPIPE would end gst-launch-1.0 and every C program that does not ignore it.
#[test]
fn a_broken_pipe_raises_no_signal_on_the_network_thread() {
    let (sender, receiver) = mpsc::channel();
    let task = async move { sender.send(broken_pipe_is_pending()) };
    handle().unwrap().spawn(task);
    assert!(receiver.recv_timeout(LONG).unwrap());
}

#[test]
fn a_process_has_one_network_thread() {
    let thread = || {
        let (sender, receiver) = mpsc::channel();
        let task = async move { sender.send(thread::current().id()) };
        handle().unwrap().spawn(task);
        receiver.recv_timeout(LONG).unwrap()
    };
    let threads: Vec<_> = (0..8).map(|_| thread::spawn(thread)).collect();
    let mut threads: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
    threads.dedup();
    assert_eq!(threads.len(), 1);
}

#[test]
fn a_superfluous_runtime_ends_its_thread() {
    let network = Network::start().unwrap();
    let (sender, receiver) = mpsc::channel::<()>();
    network.handle.spawn(async move {
        let _sender = sender;
        std::future::pending::<()>().await;
    });
    drop(network);
    assert_eq!(
        receiver.recv_timeout(LONG),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
}

#[test]
fn each_process_of_a_fork_has_a_runtime() {
    let test = "push::runtime::tests::each_process_of_a_fork_has_a_runtime";
    in_own_process(test, &[], || {
        assert!(a_task_connects());
        let child = fork(|| {
            let grandchild = fork(a_task_connects);
            a_task_connects() && succeeds(grandchild) && succeeds(fork(a_task_connects))
        });
        assert!(a_task_connects(), "parent");
        assert!(succeeds(child), "child");
        assert!(a_task_connects(), "parent, after the child");
    });
}

#[test]
fn a_fork_during_the_start_hangs_no_child() {
    let test = "push::runtime::tests::a_fork_during_the_start_hangs_no_child";
    in_own_process(test, &[], || {
        prepare_signals();
        for round in 0..50 {
            // The runtime starts in a process without one.
            let starting = fork(|| {
                let starting = thread::spawn(|| handle().is_ok());
                thread::sleep(Duration::from_micros(10 * round));
                let child = fork(a_task_connects);
                succeeds(child) && starting.join().unwrap() && a_task_connects()
            });
            assert!(succeeds(starting), "round {round}");
        }
    });
}

#[test]
fn a_runtime_without_threads_fails_and_can_be_retried() {
    let test = "push::runtime::tests::a_runtime_without_threads_fails_and_can_be_retried";
    in_own_process(test, &[], || {
        let limited = limit(Resource::Threads, 0);
        let error = handle().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
        drop(limited);
        assert!(a_task_connects());
    });
}

#[test]
fn a_runtime_without_descriptors_fails_and_can_be_retried() {
    let test = "push::runtime::tests::a_runtime_without_descriptors_fails_and_can_be_retried";
    in_own_process(test, &[], || {
        prepare_signals();
        let free = File::open("/dev/null").unwrap().as_raw_fd() as libc::rlim_t;
        let mut granted = 0;
        loop {
            let _limited = limit(Resource::Descriptors, free + granted);
            let Err(error) = handle() else { break };
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{granted}");
            granted += 1;
        }
        assert!(granted > 0);
        assert!(a_task_connects());
    });
}
