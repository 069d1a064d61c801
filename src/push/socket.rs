// SPDX-License-Identifier: MPL-2.0

//! What the kernel knows of a connection.
#![allow(
    unsafe_code,
    reason = "what TCP has got across is told by the system alone, and signals are the C library's"
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
    /// The socket of `stream`.
    pub(super) fn of(stream: &'a TcpStream) -> Self {
        Self(SockRef::from(stream))
    }

    /// Tells the peer that nothing more comes. What it says can still be read.
    pub(super) fn close(&self) {
        // A connection that is gone needs no end.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Lets no more than `bytes` wait in the system that are not on their way, where it can: what waits is better kept
    /// where it can still be dropped, and sent again.
    pub(super) fn limit_unsent(&self, bytes: u32) {
        limit_unsent(&self.0, bytes);
    }

    /// Whether it stands, and nothing has come that is still to be read.
    pub(super) fn is_idle(&self) -> bool {
        self.peek().is_err_and(|error| is_nothing(&error))
    }

    fn peek(&self) -> io::Result<usize> {
        self.0.peek(&mut [MaybeUninit::uninit()])
    }

    /// What TCP has got across since the connection began, where the system tells.
    pub(super) fn delivery(&self) -> Option<Delivery> {
        delivery(&self.0)
    }

    /// Whether the peer has reset the connection since it was last asked, and nobody has met that reset yet.
    pub(super) fn was_reset(&self) -> bool {
        !matches!(self.0.take_error(), Ok(None))
    }

    /// What has come in that nobody has read, up to `limit` bytes. It is taken out.
    pub(super) fn unread(&self, limit: usize) -> Vec<u8> {
        let mut unread = Vec::new();
        // The socket does not block, its owner has set it so: this ends where nothing is left.
        let _ = (&*self.0).take(limit as u64).read_to_end(&mut unread);
        unread
    }
}

/// Whether there is nothing yet.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// What TCP has got across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// Bytes that the peer has acknowledged. Where the count begins is the system's affair.
    pub(super) acknowledged: u64,
    /// How long it takes there and back, on average.
    pub(super) round_trip_time: Duration,
    /// The connection is over: both ends are closed and acknowledged, or it was reset.
    pub(super) over: bool,
}

/// Linux's TCP_INFO. Its counts outlive the connection.
#[cfg(target_os = "linux")]
fn delivery(socket: &SockRef<'_>) -> Option<Delivery> {
    use std::os::fd::AsRawFd;

    // Where `struct tcp_info` has tcpi_state, tcpi_rtt and tcpi_bytes_acked: the C library's declaration
    // may end before them.
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
    Some(Delivery {
        acknowledged: u64::from_ne_bytes(*acknowledged),
        round_trip_time: Duration::from_micros(u32::from_ne_bytes(*microseconds).into()),
        over: filled.get(STATE) == Some(&TCP_CLOSE),
    })
}

#[cfg(not(target_os = "linux"))]
fn delivery(_: &SockRef<'_>) -> Option<Delivery> {
    None
}

#[cfg(target_os = "linux")]
fn limit_unsent(socket: &SockRef<'_>, bytes: u32) {
    use std::os::fd::AsRawFd;

    // Where it cannot be set, the system's own limit stays.
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

/// Lets writing to a connection that is gone fail on this thread, and nothing more.
///
/// The signal that comes with it ends a process by default. Rust's own programs ignore it; a plugin lives in others, such
/// as gst-launch-1.0, and what they do with signals is theirs to say: this is about the calling thread alone.
#[cfg(unix)]
pub(super) fn block_broken_pipe_signal() {
    let mut signals = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: The set is made empty before anything else is done with it; the old mask is not asked for.
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

    /// Writes to a connection that is gone; whether the signal of that waits on this thread, and does no harm.
    pub(in crate::push) fn broken_pipe_waits() -> bool {
        use std::os::unix::net::UnixStream;

        let (mut near, far) = UnixStream::pair().unwrap();
        drop(far);
        let written = near.write_vectored(&[std::io::IoSlice::new(b"gone")]);
        assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: The set is filled before it is looked at.
        unsafe {
            assert_eq!(libc::sigpending(pending.as_mut_ptr()), 0);
            libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
        }
    }

    #[test]
    fn a_broken_pipe_is_no_signal_where_that_is_blocked() {
        let thread = std::thread::spawn(|| {
            assert!(!broken_pipe_waits(), "it comes at once");
            block_broken_pipe_signal();
            broken_pipe_waits()
        });
        assert!(thread.join().unwrap());
    }
}
