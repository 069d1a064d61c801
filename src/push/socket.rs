// SPDX-License-Identifier: MPL-2.0

//! The socket under a connection that belongs to somebody else.
#![allow(
    unsafe_code,
    reason = "a descriptor that is known by its number can only be borrowed so"
)]

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};

/// A second handle on the socket of a connection, found by its addresses.
///
/// It keeps the connection open for as long as it lives. Only Linux tells what descriptors there are; elsewhere nothing
/// is ever found.
#[derive(Debug)]
pub(super) struct Socket(TcpStream);

impl Socket {
    /// The socket from `local` to `remote`, if this process has one.
    pub(super) fn find(local: SocketAddr, remote: SocketAddr) -> Option<Self> {
        // The newest first: that is most likely the one.
        let mut descriptors = descriptors();
        descriptors.sort_unstable_by(|one, other| other.cmp(one));
        descriptors
            .into_iter()
            .filter_map(duplicate)
            .find_map(|socket| {
                let ends = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
                (ends == (local, remote)).then_some(Self(socket))
            })
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

/// The numbers of all sockets of this process.
#[cfg(target_os = "linux")]
fn descriptors() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let socket = |entry: std::fs::DirEntry| {
        let link = std::fs::read_link(entry.path()).ok()?;
        let is_socket = link.to_str()?.starts_with("socket:");
        entry
            .file_name()
            .to_str()?
            .parse()
            .ok()
            .filter(|_| is_socket)
    };
    entries.flatten().filter_map(socket).collect()
}

#[cfg(not(target_os = "linux"))]
fn descriptors() -> Vec<i32> {
    Vec::new()
}

#[cfg(unix)]
fn duplicate(descriptor: i32) -> Option<TcpStream> {
    use std::os::fd::BorrowedFd;

    // SAFETY: The borrow does not outlive this line. Should another thread close the descriptor meanwhile, or even open
    // something else under its number, the duplicate is of that, or there is none; its addresses decide what it is.
    let owned = unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned();
    owned.ok().map(TcpStream::from)
}

#[cfg(not(unix))]
fn duplicate(_: i32) -> Option<TcpStream> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

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

    #[test]
    fn a_socket_of_other_addresses_is_not_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(Socket::find(near.local_addr().unwrap(), listener.local_addr().unwrap()).is_some());
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert!(Socket::find(near.local_addr().unwrap(), nobody).is_none());
    }
}
