// SPDX-License-Identifier: MPL-2.0

//! The socket under a connection, which may belong to somebody else.
#![allow(
    unsafe_code,
    reason = "what TCP has got across is told by the system alone, and signals are the C library's"
)]

use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// A handle on the socket of a connection. It keeps the connection open for as long as it lives.
#[derive(Debug)]
pub(super) struct Socket(Handle);

#[derive(Debug)]
enum Handle {
    Shared(Arc<TcpStream>),
    /// A descriptor of its own for a socket that somebody else has.
    #[cfg(feature = "tls")]
    Duplicate(std::net::TcpStream),
}

impl Socket {
    /// The socket of a stream.
    pub(super) fn of(stream: Arc<TcpStream>) -> Self {
        Self(Handle::Shared(stream))
    }

    fn socket(&self) -> SockRef<'_> {
        match &self.0 {
            Handle::Shared(stream) => SockRef::from(&**stream),
            #[cfg(feature = "tls")]
            Handle::Duplicate(stream) => SockRef::from(stream),
        }
    }

    /// Tells the peer that nothing more comes. What it says can still be read.
    pub(super) fn close(&self) {
        // A connection that is gone needs no end.
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// Lets no more than `bytes` wait in the system that are not on their way, where it can: what waits is better kept
    /// where it can still be dropped, and sent again.
    pub(super) fn limit_unsent(&self, bytes: u32) {
        limit_unsent(&self.socket(), bytes);
    }

    /// Whether it stands, and nothing has come that is still to be read.
    pub(super) fn is_idle(&self) -> bool {
        self.peek().is_err_and(|error| is_nothing(&error))
    }

    fn peek(&self) -> io::Result<usize> {
        self.socket().peek(&mut [MaybeUninit::uninit()])
    }

    /// Bytes that were written and that the peer has not acknowledged, where the system tells.
    pub(super) fn unacknowledged(&self) -> Option<usize> {
        unacknowledged(&self.socket())
    }

    /// What TCP has got across since the connection began, where the system tells.
    pub(super) fn delivery(&self) -> Option<Delivery> {
        delivery(&self.socket())
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
        !matches!(self.socket().take_error(), Ok(None))
    }

    /// What has come in that nobody has read, up to `limit` bytes. It is taken out.
    pub(super) fn unread(&self, limit: usize) -> Vec<u8> {
        let mut unread = Vec::new();
        // The socket does not block, its owner has set it so: this ends where nothing is left.
        let _ = (&*self.socket())
            .take(limit as u64)
            .read_to_end(&mut unread);
        unread
    }
}

/// For a connection that belongs to somebody else.
#[cfg(feature = "tls")]
impl Socket {
    /// A socket by a descriptor of its own.
    pub(super) fn duplicate(duplicate: std::net::TcpStream) -> Self {
        Self(Handle::Duplicate(duplicate))
    }

    /// Whether the peer has closed the connection, or reset it, and nothing is left to be read.
    pub(super) fn is_closed(&self) -> bool {
        match self.peek() {
            Ok(count) => count == 0,
            Err(error) => !is_nothing(&error),
        }
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
    /// Bytes that were written and have not been sent even once.
    pub(super) unsent: u32,
    /// The connection is over: both ends are closed and acknowledged, or it was reset.
    pub(super) over: bool,
}

/// Linux's TCP_INFO. Its counts outlive the connection.
#[cfg(target_os = "linux")]
fn delivery(socket: &SockRef<'_>) -> Option<Delivery> {
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

#[cfg(target_os = "linux")]
fn unacknowledged(socket: &SockRef<'_>) -> Option<usize> {
    use std::os::fd::AsRawFd;

    let mut bytes: libc::c_int = 0;
    // SAFETY: The descriptor is open for as long as `socket` lives, and SIOCOUTQ, which is TIOCOUTQ by another name,
    // writes one int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    usize::try_from(bytes).ok().filter(|_| result == 0)
}

#[cfg(not(target_os = "linux"))]
fn unacknowledged(_: &SockRef<'_>) -> Option<usize> {
    None
}

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
    use std::net::TcpListener;

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

    /// Both ends of a connection.
    async fn pair() -> (Arc<TcpStream>, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        (Arc::new(near.await.unwrap()), listener.accept().unwrap().0)
    }

    /// Writes all of it, for which there is room.
    fn write(stream: &TcpStream, bytes: &[u8]) {
        assert_eq!(SockRef::from(stream).send(bytes).unwrap(), bytes.len());
    }

    #[tokio::test]
    async fn what_nobody_has_read_can_be_taken_out() {
        let (near, mut far) = pair().await;
        let socket = Socket::of(near.clone());
        assert_eq!(socket.unread(100), b"");
        assert!(socket.is_idle());
        far.write_all(b"unread").unwrap();
        near.readable().await.unwrap();
        assert!(!socket.is_idle(), "nobody has asked for it");
        assert_eq!(socket.unread(4), b"unre");
        assert_eq!(socket.unread(100), b"ad");
        assert!(socket.is_idle());
        drop(far);
        assert_eq!(near.peek(&mut [0]).await.unwrap(), 0);
        assert!(!socket.is_idle());
    }

    #[tokio::test]
    async fn what_the_peer_has_no_room_for_is_unacknowledged() {
        let (near, mut far) = pair().await;
        let socket = Socket::of(near.clone());
        let mut written = 0;
        while let Ok(count) = SockRef::from(&*near).send(&[0; 65_536]) {
            written += count;
        }
        assert!(socket.unacknowledged().unwrap() > 0);
        far.read_exact(&mut vec![0; written]).unwrap();
        assert_eq!(socket.unacknowledged(), Some(0), "the peer has it all");
    }

    /// What had arrived before a reset can still be known after it.
    #[tokio::test]
    async fn what_was_acknowledged_outlives_the_connection() {
        let (near, mut far) = pair().await;
        let socket = Socket::of(near.clone());
        let begin = socket.written().unwrap();
        assert_eq!(socket.delivery().unwrap().acknowledged, begin);
        write(&near, &[0; 1000]);
        assert_eq!(socket.written(), Some(begin + 1000));
        far.read_exact(&mut [0; 999]).unwrap();
        assert_eq!(socket.delivery().unwrap().acknowledged, begin + 1000);
        // With a byte unread, this is a reset.
        drop(far);
        assert!(near.peek(&mut [0]).await.is_err());
        assert_eq!(socket.delivery().unwrap().acknowledged, begin + 1000);
        assert_eq!(socket.written(), Some(begin + 1000));
    }
}
