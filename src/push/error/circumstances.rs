// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::time::Duration;

use url::Origin;

use crate::push::{ProxySource, Settings};

/// Facts about a push at the time of a failure: its text and its hint depend on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The server that requests were sent to, or were to be sent to.
    pub server: Option<Peer>,
    /// The proxy in front of it.
    pub proxy: Option<Proxy>,
    /// Requests to the server go over TLS.
    pub encrypted: bool,
    /// The server has accepted a push before, in this run.
    pub accepted: bool,
    /// The server has ended each connection since the first loss, after it had received data.
    pub repeated: bool,
    /// Attempts to reconnect that came before the failure.
    pub attempts: u32,
    /// `eos-timeout`, if it has passed while the connection was lost.
    pub drained_for: Option<Duration>,
    /// PushSetup has a body, for `template-url` or `auto-destroy`.
    pub setup_body: bool,
    /// `retry-first-connect` is set.
    pub retries_first: bool,
    /// The user of the settings has neither a domain nor a realm.
    pub plain_user: bool,
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// A name or an address. An IPv6 address has brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A proxy, and the setting that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its host and port.
    pub peer: Peer,
    /// `None`: a server has named it in a redirection.
    pub source: Option<ProxySource>,
}

impl Circumstances {
    /// The circumstances before the first connection.
    pub(in crate::push) fn of(settings: &Settings) -> Self {
        let access = &settings.session.access;
        let user = access.credentials.as_ref().map(|user| user.user_id());
        let mut circumstances = Self {
            setup_body: !settings.session.setup.to_bytes().is_empty(),
            retries_first: settings.retry_first_connect,
            plain_user: user.is_some_and(|user| !user.contains(['\\', '@'])),
            ..Self::default()
        };
        let proxy = access.proxy.as_ref().map(url::Url::origin);
        circumstances.lead_to(settings, &settings.session.url.origin(), proxy.as_ref());
        circumstances
    }

    /// Returns whether a proxy passes the requests on, so that a response may be its own.
    pub(super) fn is_relayed(&self) -> bool {
        self.proxy.is_some() && !self.encrypted
    }

    /// Requests go to `server`, through `proxy` if there is one.
    pub(in crate::push) fn lead_to(
        &mut self,
        settings: &Settings,
        server: &Origin,
        proxy: Option<&Origin>,
    ) {
        let configured = settings.session.access.proxy.as_ref();
        let configured = configured.map(url::Url::origin);
        self.encrypted = matches!(server, Origin::Tuple(scheme, ..) if scheme == "https");
        self.server = Peer::of(server);
        self.proxy = proxy.and_then(|proxy| {
            let peer = Peer::of(proxy)?;
            let source = settings.proxy_source;
            let source = source.filter(|_| configured.as_ref() == Some(proxy));
            Some(Proxy { peer, source })
        });
    }
}

impl Peer {
    fn of(origin: &Origin) -> Option<Self> {
        match origin {
            Origin::Tuple(_, host, port) => Some(Self {
                host: host.to_string(),
                port: *port,
            }),
            Origin::Opaque(_) => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = &self.peer;
        match self.source {
            Some(ProxySource::Property) => write!(f, "{peer} (property proxy)"),
            Some(ProxySource::Environment(name)) => write!(f, "{peer} (from {name})"),
            None => write!(f, "{peer} (named by the server)"),
        }
    }
}
