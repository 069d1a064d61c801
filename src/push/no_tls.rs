// SPDX-License-Identifier: MPL-2.0

//! What stands where [`Trust`] would, in a build without the feature `tls`.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

/// Nothing is encrypted, and nobody need be trusted.
#[derive(Clone, Debug, Default)]
pub struct Trust(());

impl Trust {
    /// Nothing of this can be had.
    ///
    /// # Errors
    ///
    /// Always when there is a file.
    pub fn new(_: bool, ca_file: Option<&Path>) -> io::Result<Self> {
        match ca_file {
            Some(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
            None => Ok(Self(())),
        }
    }
}

pub(super) fn handshake_failure(_: &(dyn StdError + 'static)) -> Option<String> {
    None
}
