// SPDX-License-Identifier: MPL-2.0

//! TCP connections to names, and why there is none.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tower_service::Service;
use url::{Host, Position, Url};

use super::transport::Progress;
use super::{Error, blocking};

/// How often a connection on which nothing happens is asked whether there is still somebody.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;

/// Connects to the host of `url`, by whichever of its addresses answers first (RFC 8305), and tells how that goes.
///
/// What is written and not acknowledged within `stall_timeout` breaks the connection.
pub(super) async fn connect(
    url: &Url,
    stall_timeout: Duration,
    progress: mpsc::UnboundedSender<Progress>,
) -> Result<TcpStream, Error> {
    if !matches!(url.host(), Some(Host::Domain(_))) {
        let _ = progress.send(Progress::Resolved);
    }
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let uri = Uri::builder().scheme("http").authority(authority);
    let uri = uri.path_and_query("/").build();
    let uri = uri.map_err(|error| Error::Unresolvable(error.to_string()))?;
    let mut connector = HttpConnector::new_with_resolver(Resolver::new(progress));
    connector.set_nodelay(true);
    connector.set_keepalive(Some(KEEPALIVE));
    connector.set_keepalive_interval(Some(KEEPALIVE));
    connector.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    #[cfg(target_os = "linux")]
    connector.set_tcp_user_timeout(Some(stall_timeout));
    #[cfg(not(target_os = "linux"))]
    let _ = stall_timeout;
    match connector.call(uri).await {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => Err(unresolvable(&error).unwrap_or_else(|| cannot_connect(&error))),
    }
}

/// The system's resolver, which says when it is done and can be told apart when it fails.
#[derive(Clone)]
pub(super) struct Resolver {
    progress: mpsc::UnboundedSender<Progress>,
}

/// The addresses of a name.
type Addresses = std::vec::IntoIter<SocketAddr>;

impl Resolver {
    pub(super) fn new(progress: mpsc::UnboundedSender<Progress>) -> Self {
        Self { progress }
    }

    pub(super) async fn resolve(self, name: String) -> Result<Addresses, Unresolvable> {
        let lookup = blocking::run(move || (name, 0).to_socket_addrs()).map_err(Unresolvable)?;
        let no_answer = || Err(io::Error::other("the resolver gave no answer"));
        let addresses = lookup.await.unwrap_or_else(no_answer);
        let addresses = addresses.map_err(Unresolvable)?;
        let _ = self.progress.send(Progress::Resolved);
        Ok(addresses)
    }
}

impl Service<Name> for Resolver {
    type Response = Addresses;
    type Error = Unresolvable;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, Unresolvable>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolvable>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().resolve(name.as_str().to_owned()))
    }
}

/// There is no address of that name.
#[derive(Debug)]
pub(super) struct Unresolvable(io::Error);

impl fmt::Display for Unresolvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Unresolvable {}

/// What `error` is if a name is in its way.
pub(super) fn unresolvable(error: &(dyn StdError + 'static)) -> Option<Error> {
    let unresolvable = cause::<Unresolvable>(error)?;
    Some(Error::Unresolvable(unresolvable.to_string()))
}

/// What `error` is if a connection was being made.
pub(super) fn cannot_connect(error: &(dyn StdError + 'static)) -> Error {
    Error::CannotConnect {
        kind: cause::<io::Error>(error).map_or(io::ErrorKind::Other, innermost_kind),
        message: root_cause(error).to_string(),
    }
}

/// What `error` is if it came over a connection that stood.
pub(super) fn lost(error: &io::Error, stall_timeout: Duration) -> Error {
    match error.kind() {
        // A pipe is broken by a reset that came after the peer's end.
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Error::Reset,
        io::ErrorKind::UnexpectedEof => Error::Closed,
        io::ErrorKind::TimedOut => Error::Stalled(stall_timeout),
        _ => Error::Lost(root_cause(error).to_string()),
    }
}

/// What an error of the system is about that others are wrapped around.
fn innermost_kind(error: &io::Error) -> io::ErrorKind {
    let wrapped = error.get_ref().and_then(|error| error.downcast_ref());
    wrapped.map_or(error.kind(), innermost_kind)
}

/// The first error of type `E` in the chain.
pub(super) fn cause<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// The end of the chain: what libraries put around it says less.
pub(super) fn root_cause<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

pub(super) fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
