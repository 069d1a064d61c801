// SPDX-License-Identifier: MPL-2.0

//! [`Trust`] in a build without the feature `tls`.

use std::io::{self, ErrorKind};
use std::path::Path;

/// No trust anchors: this build has no TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust(());

impl Trust {
    /// Trusts no server.
    ///
    /// # Errors
    ///
    /// There is a `ca_file`.
    pub fn new(_strict: bool, ca_file: Option<&Path>) -> io::Result<Self> {
        match ca_file {
            Some(_) => Err(io::Error::new(
                ErrorKind::Unsupported,
                "this plugin was built without TLS",
            )),
            None => Ok(Self(())),
        }
    }
}
