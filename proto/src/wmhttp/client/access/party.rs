// SPDX-License-Identifier: MPL-2.0

//! Servers and proxies, each with its own authenticator.

use url::{Origin, Url};

use super::AccessConfig;
use crate::auth::{Authenticator, Credentials, Policy, Role};
use crate::wmhttp::message::is_encrypted;

/// Parties remembered, at most.
const MAX_LEFT: usize = 16;

/// A server or a proxy.
#[derive(Debug)]
pub(in super::super) struct Party {
    pub(super) url: Url,
    /// The proxy that reads the requests to this server, if a server has redirected to it.
    reader: Option<Origin>,
    pub(super) authenticator: Authenticator,
}

impl Party {
    pub(super) fn new(
        config: &AccessConfig,
        role: Role,
        url: Url,
        reader: Option<Origin>,
        credentials: Option<Credentials>,
    ) -> Self {
        let policy = Policy {
            schemes: config.schemes,
            encrypted: is_encrypted(&url),
            cleartext_basic: config.cleartext_basic,
        };
        let host = url.host_str().unwrap_or_default();
        let mut authenticator = Authenticator::new(role, host, policy);
        authenticator.set_credentials(credentials);
        Self {
            url,
            reader,
            authenticator,
        }
    }

    /// Returns whether this is the party at `url` whose requests `reader` can read.
    pub(super) fn is(&self, role: Role, url: &Url, reader: Option<&Origin>) -> bool {
        self.authenticator.role() == role
            && self.url.origin() == url.origin()
            && self.reader.as_ref() == reader
    }
}

/// Parties that the session was redirected from. Each keeps the credentials that the application gave for it.
#[derive(Debug, Default)]
pub(super) struct LeftParties(Vec<Party>);

impl LeftParties {
    pub(super) fn remember(&mut self, mut party: Party) {
        party.authenticator.connection_lost();
        if self.0.len() >= MAX_LEFT {
            self.0.remove(0);
        }
        self.0.push(party);
    }

    /// Removes and returns the party at `url`, if it is remembered.
    pub(super) fn take(&mut self, role: Role, url: &Url, reader: Option<&Origin>) -> Option<Party> {
        let mut parties = self.0.iter();
        let known = parties.position(|party| party.is(role, url, reader))?;
        let party = self.0.remove(known);
        Some(Party {
            url: url.clone(),
            ..party
        })
    }
}
