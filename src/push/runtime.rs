// SPDX-License-Identifier: MPL-2.0

//! The one thread on which all connections of the process run.

use std::io;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle, Runtime};

use super::socket::block_broken_pipe_signal;

/// A second worker only costs CPU: one thread carries a thousand connections at 64 kB/s in half a core.
const WORKERS: usize = 1;

/// The shared runtime, started with the first connection.
///
/// # Errors
///
/// The system's, when it grants no thread or no descriptor.
pub(super) fn handle() -> io::Result<Handle> {
    static RUNTIME: OnceCell<Runtime> = OnceCell::new();
    let runtime = RUNTIME.get_or_try_init(|| {
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("wmhttp")
            .on_thread_start(block_broken_pipe_signal)
            .enable_all()
            .build()
    })?;
    Ok(runtime.handle().clone())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::socket::tests::broken_pipe_waits;
    use super::*;

    /// gst-launch-1.0, and every program in C that does not see to it, would end.
    #[test]
    fn connections_that_are_gone_end_no_program() {
        let (tell, told) = std::sync::mpsc::channel();
        handle()
            .unwrap()
            .spawn(async move { tell.send(broken_pipe_waits()) });
        assert!(told.recv().unwrap());
    }
}
