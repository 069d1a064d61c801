// SPDX-License-Identifier: MPL-2.0

//! TCP connections to hosts: resolves the name, and races its addresses (RFC 8305).

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use url::Host;

use super::{Error, blocking};

/// Time between the starts of two attempts (RFC 8305 section 8, Connection Attempt Delay).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Idle time before the first keepalive probe, and between two probes.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Unanswered keepalive probes after which the system gives the connection up.
const KEEPALIVE_RETRIES: u32 = 3;

/// Connects to `port` of `host`, over the first of its addresses that accepts.
///
/// `zone` is the interface, by name or index, over which an IPv6 link-local address is reached (RFC 4007 section 11).
/// `resolved` is called once when the addresses are known, for an address in `host` at once. The caller limits the time;
/// dropping the future gives up.
///
/// # Errors
///
/// [`Error::Unresolvable`] without an address. Otherwise [`Error::CannotConnect`] with the most specific failure.
pub(super) async fn connect(
    host: &Host<&str>,
    port: u16,
    zone: Option<&str>,
    resolved: impl FnOnce() + Send,
) -> Result<TcpStream, Error> {
    let addresses = addresses(host, port, zone).await?;
    resolved();
    race(interleave(addresses), open)
        .await
        .map_err(|error| cannot_connect(&error))
}

fn cannot_connect(error: &io::Error) -> Error {
    Error::CannotConnect {
        kind: error.kind(),
        message: error.to_string(),
    }
}

/// Returns the addresses of `host`, in the order of the system's resolver (RFC 6724).
async fn addresses(
    host: &Host<&str>,
    port: u16,
    zone: Option<&str>,
) -> Result<Vec<SocketAddr>, Error> {
    let scope_id = match (host, zone) {
        (Host::Ipv6(address), Some(zone)) if address.is_unicast_link_local() => scope_id(zone)?,
        _ => 0,
    };
    match host {
        Host::Domain(name) => resolve(name, port).await,
        Host::Ipv4(address) => Ok(vec![SocketAddr::from((*address, port))]),
        Host::Ipv6(address) => Ok(vec![SocketAddrV6::new(*address, port, 0, scope_id).into()]),
    }
}

/// Returns the addresses of a name, never none.
pub(super) async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let name = name.to_owned();
    let lookup = blocking::run(move || (name, port).to_socket_addrs());
    let lookup = lookup.map_err(|error| Error::NoResources(error.to_string()))?;
    let addresses = match lookup.await {
        Some(Ok(addresses)) => addresses.collect(),
        Some(Err(error)) => return Err(Error::Unresolvable(error.to_string())),
        None => Vec::new(),
    };
    if addresses.is_empty() {
        return Err(Error::Unresolvable("the name has no address".to_owned()));
    }
    Ok(addresses)
}

/// Returns the scope id of a zone: the index of the interface of that name, or else the number that it is.
fn scope_id(zone: &str) -> Result<u32, Error> {
    let index = interface_index(zone).or_else(|| zone.parse().ok());
    index.ok_or_else(|| Error::Unresolvable(format!("there is no network interface {zone:?}")))
}

#[cfg(unix)]
#[allow(
    unsafe_code,
    reason = "interface names are only available from the C library"
)]
fn interface_index(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: `name` ends with a NUL and lives during the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    Some(index).filter(|&index| index != 0)
}

#[cfg(not(unix))]
fn interface_index(_: &str) -> Option<u32> {
    None
}

/// Returns `addresses` without repetitions, the families in turn, beginning with that of the first address (RFC 8305
/// section 4, with a First Address Family Count of 1). Within a family the order stays.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_ipv6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut interleaved = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return interleaved;
        }
        for address in pair.into_iter().flatten() {
            if !interleaved.contains(&address) {
                interleaved.push(address);
            }
        }
    }
}

/// Tries `addresses` in their order, and returns the first success. The other attempts are dropped.
///
/// An attempt starts [`ATTEMPT_DELAY`] after the one before it, or at once when an attempt fails (RFC 8305 section 5).
///
/// # Errors
///
/// The most specific failure, after all attempts have failed.
async fn race<T, A: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> A,
) -> io::Result<T> {
    let mut addresses = addresses.into_iter();
    let mut attempts = Attempts(Vec::new());
    let mut failure: Option<io::Error> = None;
    loop {
        if let Some(address) = addresses.next() {
            attempts.0.push(Box::pin(attempt(address)));
        } else if attempts.0.is_empty() {
            return Err(failure.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into()));
        }
        let ended = if addresses.len() == 0 {
            Some(attempts.next().await)
        } else {
            timeout(ATTEMPT_DELAY, attempts.next()).await.ok()
        };
        match ended {
            Some(Ok(winner)) => return Ok(winner),
            Some(Err(error)) => failure = Some(more_telling(failure, error)),
            None => {}
        }
    }
}

/// Attempts under way, not empty, oldest first.
struct Attempts<A>(Vec<Pin<Box<A>>>);

impl<A: Future> Attempts<A> {
    /// Waits until an attempt ends, and removes it.
    async fn next(&mut self) -> A::Output {
        poll_fn(|cx| {
            for (place, attempt) in self.0.iter_mut().enumerate() {
                if let Poll::Ready(output) = attempt.as_mut().poll(cx) {
                    drop(self.0.remove(place));
                    return Poll::Ready(output);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Returns the more specific failure, or the earlier one.
fn more_telling(earlier: Option<io::Error>, later: io::Error) -> io::Error {
    match earlier {
        Some(earlier) if weight(&earlier) >= weight(&later) => earlier,
        _ => later,
    }
}

/// Ranks failures to connect by the sender of the answer: the host, a firewall, a router, and last this system.
fn weight(error: &io::Error) -> u8 {
    match error.kind() {
        ErrorKind::ConnectionRefused => 5,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => 4,
        ErrorKind::PermissionDenied => 3,
        ErrorKind::TimedOut => 2,
        ErrorKind::HostUnreachable => 1,
        // Includes errors about missing IPv6: no such address family, no such source address.
        _ => 0,
    }
}

/// Connects to one address.
async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    set_options(&socket);
    socket.connect(address).await
}

/// Sets socket options. If the system refuses one, its default remains.
///
/// TCP_USER_TIMEOUT is not set: Linux counts it from the moment when the peer's receive buffer is full, and does not
/// stop for a slow peer that goes on reading and acknowledging data. The driver detects stalls.
fn set_options(socket: &TcpSocket) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    #[cfg(not(any(target_os = "haiku", target_os = "openbsd", target_os = "solaris")))]
    let keepalive = keepalive
        .with_interval(KEEPALIVE)
        .with_retries(KEEPALIVE_RETRIES);
    let _ = SockRef::from(socket).set_tcp_keepalive(&keepalive);
    let _ = socket.set_nodelay(true);
}

#[cfg(test)]
mod tests;
