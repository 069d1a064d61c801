// SPDX-License-Identifier: MPL-2.0

//! Stands in for TLS in a build without the feature `tls`.

use std::io;
use std::path::Path;

use url::Url;

use super::line::Line;
use super::{Error, TlsError};

/// The trust of a build without TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust(());

impl Trust {
    /// Creates a value without trust anchors.
    ///
    /// # Errors
    ///
    /// `Unsupported` if there is a file.
    pub fn new(_: bool, ca_file: Option<&Path>) -> io::Result<Self> {
        match ca_file {
            Some(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this plugin was built without TLS",
            )),
            None => Ok(Self(())),
        }
    }

    /// Fails.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`], always.
    pub(super) async fn secure(&self, _: Line, _: &Url) -> Result<Line, Error> {
        Err(Error::Tls(TlsError::NotBuilt))
    }
}

/// Returns the builder unchanged: without TLS.
///
/// # Errors
///
/// [`Error::Tls`] for an `https` location.
#[cfg(feature = "verify")]
pub(super) async fn preconfigured(
    builder: reqwest::ClientBuilder,
    settings: &super::Settings,
) -> Result<reqwest::ClientBuilder, Error> {
    match settings.session.url.scheme() {
        "https" => Err(Error::Tls(TlsError::NotBuilt)),
        _ => Ok(builder),
    }
}

/// Returns `None`: there are no TLS errors.
#[cfg(feature = "verify")]
pub(super) fn error_in(_: &io::Error) -> Option<Error> {
    None
}
