// SPDX-License-Identifier: MPL-2.0

//! The socket under a connection that belongs to somebody else.
#![allow(
    unsafe_code,
    reason = "a descriptor that is known by its number can only be borrowed so, and signals are the C library's"
)]

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A second handle on the socket of a connection, found by its addresses.
///
/// It keeps the connection open for as long as it lives. Only Linux tells what descriptors there are; elsewhere nothing
/// is ever found.
#[derive(Debug)]
pub(super) struct Socket(TcpStream);

impl Socket {
    /// The socket from `local` to `remote`, if this process has one.
    pub(super) fn find(local: SocketAddr, remote: SocketAddr) -> Option<Self> {
        // The newest first: that is most likely the one, and nothing has to be asked about the others.
        let mut descriptors = descriptors();
        descriptors.sort_unstable_by(|one, other| other.cmp(one));
        descriptors
            .into_iter()
            .filter(|descriptor| is_socket(*descriptor))
            .filter_map(duplicate)
            .find_map(|socket| {
                let ends = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
                (ends == (local, remote)).then_some(Self(socket))
            })
    }

    /// Lets no more than `bytes` wait in the system that are not on their way, where it can: what waits is better kept
    /// where it can still be dropped, and sent again.
    pub(super) fn limit_unsent(&self, bytes: u32) {
        limit_unsent(&self.0, bytes);
    }

    /// Whether the peer has closed the connection, or reset it, and nothing is left to be read.
    pub(super) fn is_closed(&self) -> bool {
        match self.0.peek(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Bytes that were written and that the peer has not acknowledged, where the system tells.
    pub(super) fn unacknowledged(&self) -> Option<usize> {
        unacknowledged(&self.0)
    }

    /// What TCP has got across since the connection began, where the system tells.
    pub(super) fn delivery(&self) -> Option<Delivery> {
        delivery(&self.0)
    }

    /// Bytes that were written since the connection began, by the count of [`Delivery::acknowledged`].
    pub(super) fn written(&self) -> Option<u64> {
        const ATTEMPTS: usize = 8;
        let mut before = self.delivery()?.acknowledged;
        for _ in 0..ATTEMPTS {
            let waiting = self.unacknowledged()?;
            let after = self.delivery()?.acknowledged;
            if before == after {
                return Some(after + waiting as u64);
            }
            // Something has arrived between the two questions.
            before = after;
        }
        None
    }

    /// Whether the peer has reset the connection since it was last asked, and nobody has met that reset yet.
    pub(super) fn was_reset(&self) -> bool {
        !matches!(self.0.take_error(), Ok(None))
    }

    /// What has come in that nobody has read, up to `limit` bytes. It is taken out.
    pub(super) fn unread(&self, limit: usize) -> Vec<u8> {
        let mut unread = Vec::new();
        // The socket does not block, its owner has set it so: this ends where nothing is left.
        let _ = (&self.0).take(limit as u64).read_to_end(&mut unread);
        unread
    }
}

/// What TCP has got across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// Bytes that the peer has acknowledged. Where the count begins is the system's affair.
    pub(super) acknowledged: u64,
    /// How long it takes there and back, on average.
    pub(super) round_trip_time: Duration,
    /// Bytes that were written and have not been sent even once.
    pub(super) unsent: u32,
    /// The connection is over: both ends are closed and acknowledged, or it was reset.
    pub(super) over: bool,
}

/// Linux's TCP_INFO. Its counts outlive the connection.
#[cfg(target_os = "linux")]
fn delivery(socket: &TcpStream) -> Option<Delivery> {
    use std::os::fd::AsRawFd;

    // Where `struct tcp_info` has tcpi_state, tcpi_rtt, tcpi_bytes_acked and tcpi_notsent_bytes: the C library's declaration may end before them.
    const STATE: usize = 0;
    const TCP_CLOSE: u8 = 7;
    const ROUND_TRIP_TIME: usize = 68;
    const BYTES_ACKNOWLEDGED: usize = 120;
    const UNSENT: usize = 144;
    let mut info = [0u8; 148];
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
    let unsent = filled.get(UNSENT..)?.first_chunk()?;
    Some(Delivery {
        unsent: u32::from_ne_bytes(*unsent),
        acknowledged: u64::from_ne_bytes(*acknowledged),
        round_trip_time: Duration::from_micros(u32::from_ne_bytes(*microseconds).into()),
        over: filled.get(STATE) == Some(&TCP_CLOSE),
    })
}

#[cfg(not(target_os = "linux"))]
fn delivery(_: &TcpStream) -> Option<Delivery> {
    None
}

#[cfg(target_os = "linux")]
fn limit_unsent(socket: &TcpStream, bytes: u32) {
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
fn limit_unsent(_: &TcpStream, _: u32) {}

#[cfg(target_os = "linux")]
fn unacknowledged(socket: &TcpStream) -> Option<usize> {
    use std::os::fd::AsRawFd;

    let mut bytes: libc::c_int = 0;
    // SAFETY: The descriptor is open for as long as `socket` lives, and SIOCOUTQ, which is TIOCOUTQ by another name,
    // writes one int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    usize::try_from(bytes).ok().filter(|_| result == 0)
}

#[cfg(not(target_os = "linux"))]
fn unacknowledged(_: &TcpStream) -> Option<usize> {
    None
}

/// The numbers of all descriptors of this process.
#[cfg(target_os = "linux")]
fn descriptors() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries.flatten().filter_map(number).collect()
}

#[cfg(not(target_os = "linux"))]
fn descriptors() -> Vec<i32> {
    Vec::new()
}

fn is_socket(descriptor: i32) -> bool {
    let link = std::fs::read_link(format!("/proc/self/fd/{descriptor}"));
    link.is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
}

/// Another thread may close the descriptor meanwhile, and even open something else under its number: then this is of that,
/// or there is none. Its addresses decide what it is.
#[cfg(unix)]
fn duplicate(descriptor: i32) -> Option<TcpStream> {
    use std::os::fd::{FromRawFd, OwnedFd};

    /// Behind the standard streams.
    const LEAST: libc::c_int = 3;
    // SAFETY: It only takes numbers, and fails where the first is of no open descriptor.
    let duplicate = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, LEAST) };
    if duplicate < 0 {
        return None;
    }
    // SAFETY: The descriptor is new, and nobody else knows it.
    let owned = unsafe { OwnedFd::from_raw_fd(duplicate) };
    Some(owned.into())
}

#[cfg(not(unix))]
fn duplicate(_: i32) -> Option<TcpStream> {
    None
}

/// Lets writing to a connection that is gone fail on this thread, and nothing more.
///
/// The signal that comes with it ends a process by default. Rust's own programs ignore it; a plugin lives in others, such
/// as gst-launch-1.0, and what they do with signals is theirs to say: this is about the calling thread alone.
#[cfg(unix)]
pub(super) fn block_broken_pipe_signal() {
    use std::mem::MaybeUninit;

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
    use std::net::TcpListener;

    use super::*;

    /// Writes to a connection that is gone; whether the signal of that waits on this thread, and does no harm.
    pub(in crate::push) fn broken_pipe_waits() -> bool {
        use std::mem::MaybeUninit;
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

    #[test]
    fn a_socket_is_found_by_its_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let found = Socket::find(near.local_addr().unwrap(), near.peer_addr().unwrap()).unwrap();
        assert_eq!(found.unread(100), b"");
        far.write_all(b"unread").unwrap();
        // It has arrived when it can be looked at.
        near.set_nonblocking(false).unwrap();
        near.peek(&mut [0; 6]).unwrap();
        near.set_nonblocking(true).unwrap();
        assert_eq!(found.unread(4), b"unre");
        assert_eq!(found.unread(100), b"ad");
        assert!(!found.is_closed());
        drop(far);
        near.set_nonblocking(false).unwrap();
        assert_eq!(near.peek(&mut [0]).unwrap(), 0);
        assert!(found.is_closed());
    }

    #[test]
    fn what_the_peer_has_no_room_for_is_unacknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let found = Socket::find(near.local_addr().unwrap(), near.peer_addr().unwrap()).unwrap();
        let mut written = 0;
        while let Ok(count) = (&near).write(&[0; 65_536]) {
            written += count;
        }
        assert!(found.unacknowledged().unwrap() > 0);
        let mut sink = vec![0; written];
        far.read_exact(&mut sink).unwrap();
        assert_eq!(found.unacknowledged(), Some(0), "the peer has it all");
    }

    /// What had arrived before a reset can still be known after it.
    #[test]
    fn what_was_acknowledged_outlives_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let found = Socket::find(near.local_addr().unwrap(), near.peer_addr().unwrap()).unwrap();
        let begin = found.written().unwrap();
        assert_eq!(found.delivery().unwrap().acknowledged, begin);
        (&near).write_all(&[0; 1000]).unwrap();
        assert_eq!(found.written(), Some(begin + 1000));
        far.read_exact(&mut [0; 999]).unwrap();
        assert_eq!(found.delivery().unwrap().acknowledged, begin + 1000);
        // With a byte unread, this is a reset.
        drop(far);
        near.set_nonblocking(false).unwrap();
        assert!((&near).read(&mut [0]).is_err());
        assert_eq!(found.delivery().unwrap().acknowledged, begin + 1000);
        assert_eq!(found.written(), Some(begin + 1000));
    }

    #[test]
    fn a_socket_of_other_addresses_is_not_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(Socket::find(near.local_addr().unwrap(), listener.local_addr().unwrap()).is_some());
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert!(Socket::find(near.local_addr().unwrap(), nobody).is_none());
    }
}
