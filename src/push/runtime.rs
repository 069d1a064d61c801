// SPDX-License-Identifier: MPL-2.0

//! The one thread on which all connections of a process run.

use std::convert::Infallible;
use std::io;
use std::process;
use std::thread;

use once_cell::race::OnceBox;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::answer;
use super::socket::block_broken_pipe_signal;

/// The runtime of the first process that needed one. Runtimes of forked children are linked behind it.
///
/// The cell has no lock, because `fork` may copy the memory of this process while another thread is in [`handle`], and
/// a lock would stay closed in the child. Threads that call at the same time may each start a runtime; one is kept.
static FIRST: OnceBox<Network> = OnceBox::new();

/// The runtime of one process.
struct Network {
    process: u32,
    handle: Handle,
    /// The runtime of a child that was forked after this one had started. The thread of this one does not exist there.
    /// Its tasks are leaked, because they share descriptors with the parent.
    forked: OnceBox<Network>,
    /// Ends the thread when it is dropped.
    _alive: oneshot::Sender<Infallible>,
}

/// Returns the handle of this process's runtime, which starts with the first connection.
///
/// # Errors
///
/// The operating system's, if it grants no thread or no descriptor. A later call tries again.
pub(super) fn handle() -> io::Result<Handle> {
    let mut network = FIRST.get_or_try_init(Network::start)?;
    while let Some(forked) = network.forked.get() {
        network = forked;
    }
    if network.process != process::id() {
        network = network.forked.get_or_try_init(Network::start)?;
    }
    Ok(network.handle.clone())
}

impl Network {
    /// Starts a runtime on a thread of its own, because tokio's multi-thread runtime panics if it gets no thread.
    fn start() -> io::Result<Box<Self>> {
        let (sender, receiver) = answer::channel();
        let (alive, dropped) = oneshot::channel();
        thread::Builder::new()
            .name("wmhttp".to_owned())
            .spawn(move || {
                block_broken_pipe_signal();
                let built = Builder::new_current_thread().enable_all().build();
                let (runtime, handle) = match built {
                    Ok(runtime) => {
                        let handle = runtime.handle().clone();
                        (Some(runtime), Ok(handle))
                    }
                    Err(error) => (None, Err(error)),
                };
                sender.send(handle);
                if let Some(runtime) = runtime {
                    let _ = runtime.block_on(dropped);
                }
            })?;
        let handle = receiver
            .wait()
            .ok_or_else(|| io::Error::other("the network thread did not start"))??;
        Ok(Box::new(Self {
            process: process::id(),
            handle,
            forked: OnceBox::new(),
            _alive: alive,
        }))
    }
}

#[cfg(all(test, target_os = "linux"))]
pub(super) mod tests;
