// SPDX-License-Identifier: MPL-2.0

//! What stands where [`Trust`] and the transport for `https` would, in a build without the feature `tls`.

use std::future::ready;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::transport::{Exchange, Progress, Transport};
use super::{Error, Settings};
use crate::wmhttp::Request;

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

/// Refuses whatever wants to be encrypted.
pub(super) struct HttpsTransport(());

impl HttpsTransport {
    pub(super) fn new(_: &Settings, _: mpsc::UnboundedSender<Progress>) -> Self {
        Self(())
    }

    pub(super) fn leave(&mut self) {}
}

impl Transport for HttpsTransport {
    fn connection_stands(&self) -> bool {
        false
    }

    fn acknowledged(&self, _: Option<u64>) -> Option<u64> {
        None
    }

    fn round_trip_time(&self) -> Option<Duration> {
        None
    }

    fn unacknowledged(&self) -> Option<usize> {
        None
    }

    fn was_reset(&self, _: u64) -> bool {
        false
    }

    fn start(&mut self, _: Request) -> Exchange {
        let text = "this plugin was built without TLS";
        Exchange {
            response: Box::pin(ready(Err(Error::Tls(text.to_owned())))),
            body: None,
        }
    }
}
