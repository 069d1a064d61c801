// SPDX-License-Identifier: MPL-2.0

//! The socket of a connection that reqwest has and does not hand out.
#![allow(
    unsafe_code,
    reason = "a descriptor that is known by its number can only be borrowed so"
)]

use std::net::{SocketAddr, TcpStream};

/// A second descriptor for the socket from `local` to `remote`, if this process has one. Only Linux tells what descriptors
/// there are; elsewhere nothing is ever found.
pub(super) fn find(local: SocketAddr, remote: SocketAddr) -> Option<TcpStream> {
    // The newest first: that is most likely the one, and nothing has to be asked about the others.
    let mut descriptors = descriptors();
    descriptors.sort_unstable_by(|one, other| other.cmp(one));
    descriptors
        .into_iter()
        .filter(|descriptor| is_socket(*descriptor))
        .filter_map(duplicate)
        .find(|socket| {
            let ends = socket.local_addr().ok().zip(socket.peer_addr().ok());
            ends == Some((local, remote))
        })
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::push::socket::Socket;

    #[test]
    fn a_socket_is_found_by_its_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let found = find(near.local_addr().unwrap(), near.peer_addr().unwrap()).unwrap();
        let found = Socket::duplicate(found);
        assert!(!found.is_closed());
        drop(far);
        near.set_nonblocking(false).unwrap();
        assert_eq!(near.peek(&mut [0]).unwrap(), 0);
        assert!(found.is_closed());
    }

    #[test]
    fn a_socket_of_other_addresses_is_not_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(find(near.local_addr().unwrap(), listener.local_addr().unwrap()).is_some());
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert!(find(near.local_addr().unwrap(), nobody).is_none());
    }
}
