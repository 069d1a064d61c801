// SPDX-License-Identifier: MPL-2.0

//! The resolver for reqwest, and what the errors of reqwest's connections mean.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::sync::mpsc;

use super::transport::Progress;
use super::{Error, connect};

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
        let addresses = connect::resolve(&name, 0).await.map_err(Unresolvable)?;
        let _ = self.progress.send(Progress::Resolved);
        Ok(addresses.into_iter())
    }
}

/// There is no address of that name.
#[derive(Debug)]
pub(super) struct Unresolvable(Error);

impl fmt::Display for Unresolvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Unresolvable {}

/// What `error` is if a name is in its way.
pub(super) fn unresolvable(error: &(dyn StdError + 'static)) -> Option<Error> {
    Some(cause::<Unresolvable>(error)?.0.clone())
}

/// What `error` is if a connection was being made.
pub(super) fn cannot_connect(error: &(dyn StdError + 'static)) -> Error {
    Error::CannotConnect {
        kind: cause::<io::Error>(error).map_or(io::ErrorKind::Other, innermost_kind),
        message: root_cause(error).to_string(),
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
