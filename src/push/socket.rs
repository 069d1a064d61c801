// SPDX-License-Identifier: MPL-2.0

//! A connection's socket options and kernel counters.
#![allow(
    unsafe_code,
    reason = "TCP_INFO and the signal mask are only available from the C library"
)]

use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// The socket of a connection.
pub(super) struct Socket<'a>(SockRef<'a>);

impl<'a> Socket<'a> {
    /// Borrows the socket of `stream`.
    pub(super) fn of(stream: &'a TcpStream) -> Self {
        Self(SockRef::from(stream))
    }

    /// Sends FIN. The peer's data can still be read.
    pub(super) fn close(&self) {
        // Fails only if the connection is already closed.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Limits the unsent bytes in the kernel's send buffer to `bytes`, on Linux. Unsent data is better kept in the
    /// queue, where it can still be dropped or sent over another connection.
    pub(super) fn limit_unsent(&self, bytes: u32) {
        limit_unsent(&self.0, bytes);
    }

    /// Returns whether the connection stands and its receive buffer is empty.
    pub(super) fn is_idle(&self) -> bool {
        self.peek().is_err_and(|error| is_nothing(&error))
    }

    fn peek(&self) -> io::Result<usize> {
        self.0.peek(&mut [MaybeUninit::uninit()])
    }

    /// Returns TCP's counters since the connection began, on Linux.
    pub(super) fn counters(&self) -> Option<TcpCounters> {
        counters(&self.0)
    }

    /// Returns whether the peer has reset the connection since the last call (reads and clears SO_ERROR).
    pub(super) fn was_reset(&self) -> bool {
        !matches!(self.0.take_error(), Ok(None))
    }

    /// Reads at most `limit` bytes from the receive buffer.
    pub(super) fn unread(&self, limit: usize) -> Vec<u8> {
        let mut unread = Vec::new();
        // The socket is non-blocking, so this ends with WouldBlock when the buffer is empty.
        let _ = (&*self.0).take(limit as u64).read_to_end(&mut unread);
        unread
    }
}

/// Returns whether a read has failed because no data has been received yet.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// TCP's counters of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TcpCounters {
    /// Bytes that the peer has acknowledged, from a start that depends on the system.
    pub(super) acknowledged: u64,
    /// Smoothed round-trip time.
    pub(super) round_trip_time: Duration,
    /// The connection is closed: both FINs are acknowledged, or it was reset.
    pub(super) over: bool,
}

/// Linux's TCP_INFO. The counters remain readable after the connection is closed.
#[cfg(target_os = "linux")]
fn counters(socket: &SockRef<'_>) -> Option<TcpCounters> {
    use std::os::fd::AsRawFd;

    // Offsets of tcpi_state, tcpi_rtt and tcpi_bytes_acked in `struct tcp_info`. The C library's declaration may end
    // before them.
    const STATE: usize = 0;
    const TCP_CLOSE: u8 = 7;
    const ROUND_TRIP_TIME: usize = 68;
    const BYTES_ACKNOWLEDGED: usize = 120;
    let mut info = [0u8; 128];
    let mut size = info.len() as libc::socklen_t;
    // SAFETY: The descriptor is open for as long as `socket` lives, and no more than `size` bytes are written.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    let filled = info.get(..size as usize).filter(|_| result == 0)?;
    let microseconds = filled.get(ROUND_TRIP_TIME..)?.first_chunk()?;
    let acknowledged = filled.get(BYTES_ACKNOWLEDGED..)?.first_chunk()?;
    Some(TcpCounters {
        acknowledged: u64::from_ne_bytes(*acknowledged),
        round_trip_time: Duration::from_micros(u32::from_ne_bytes(*microseconds).into()),
        over: filled.get(STATE) == Some(&TCP_CLOSE),
    })
}

#[cfg(not(target_os = "linux"))]
fn counters(_: &SockRef<'_>) -> Option<TcpCounters> {
    None
}

#[cfg(target_os = "linux")]
fn limit_unsent(socket: &SockRef<'_>, bytes: u32) {
    use std::os::fd::AsRawFd;

    // If the option cannot be set, the system's default remains.
    // SAFETY: The descriptor is open for as long as `socket` lives, and the option is one unsigned int.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const bytes).cast(),
            size_of::<u32>() as libc::socklen_t,
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn limit_unsent(_: &SockRef<'_>, _: u32) {}

/// Blocks SIGPIPE on the calling thread, so that a write to a closed connection fails with an error.
///
/// SIGPIPE ends a process by default. Rust programs ignore it, but the plugin's host, such as gst-launch-1.0, may not.
/// The process's own signal handling stays as it is: only this thread's mask changes.
#[cfg(unix)]
pub(super) fn block_broken_pipe_signal() {
    let mut signals = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: The set is initialised by sigemptyset before its first use; a null pointer for the old mask is allowed.
    unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, signals.as_ptr(), std::ptr::null_mut());
    }
}

#[cfg(not(unix))]
pub(super) fn block_broken_pipe_signal() {}

#[cfg(all(test, target_os = "linux"))]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// Writes to a closed connection, and returns whether SIGPIPE is pending on this thread.
    pub(in crate::push) fn broken_pipe_is_pending() -> bool {
        use std::os::unix::net::UnixStream;

        let (mut near, far) = UnixStream::pair().unwrap();
        drop(far);
        let written = near.write_vectored(&[std::io::IoSlice::new(b"gone")]);
        assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigpending fills the set before it is read.
        unsafe {
            assert_eq!(libc::sigpending(pending.as_mut_ptr()), 0);
            libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
        }
    }

    #[test]
    fn a_blocked_broken_pipe_signal_stays_pending() {
        let thread = std::thread::spawn(|| {
            assert!(!broken_pipe_is_pending(), "the signal is delivered at once");
            block_broken_pipe_signal();
            broken_pipe_is_pending()
        });
        assert!(thread.join().unwrap());
    }
}
