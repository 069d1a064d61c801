// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::time::Duration;

use url::{Host, Url};

use crate::auth::Scheme;
use crate::push::{ProxySource, Settings};
use crate::wmhttp::Secrets;

/// Facts about a push at the time of a failure: its text and its hint depend on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The server of the requests.
    pub server: Option<Peer>,
    /// The proxy in front of it.
    pub proxy: Option<Proxy>,
    /// Requests to the server go over TLS.
    pub encrypted: bool,
    /// The server has accepted a push since the start.
    pub accepted: bool,
    /// The server has ended each connection since the first loss, after it had received data.
    pub repeated: bool,
    /// Attempts to reconnect that came before the failure.
    pub attempts: u32,
    /// `eos-timeout`, if it passed while the connection was lost.
    pub drained_for: Option<Duration>,
    /// The stream has ended, so that the time limit is `eos-timeout`, from that end.
    pub at_end: bool,
    /// PushSetup has a body, for `template-url` or `auto-destroy`.
    pub setup_body: bool,
    /// `retry-first-connect` is set.
    pub retries_first: bool,
    /// The user of the settings has neither a domain nor a realm.
    pub plain_user: bool,
    /// The settings have a user, and no password.
    pub no_password: bool,
    /// The settings have a user for the proxy, and no password.
    pub no_proxy_password: bool,
    /// The settings do not allow the scheme Basic.
    pub without_basic: bool,
    /// The redirection of the requests to another server.
    pub redirected: Option<Redirected>,
    /// PushSetup never succeeded.
    pub never_opened: bool,
}

/// A redirection of the location to another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirected {
    /// The server of the location.
    pub home: Peer,
    /// The URL that requests go to, without credentials.
    pub url: String,
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
    /// The setting that names it; `None`: a server named it in a redirection.
    pub source: Option<ProxySource>,
}

impl Circumstances {
    /// The circumstances before the first connection.
    pub(in crate::push) fn of(settings: &Settings) -> Self {
        let access = &settings.session.access;
        let user = access.credentials.as_ref();
        let proxy_user = access.proxy_credentials.as_ref();
        let mut circumstances = Self {
            setup_body: !settings.session.setup.to_bytes().is_empty(),
            retries_first: settings.retry_first_connect,
            plain_user: user.is_some_and(|user| !user.user_id().contains(['\\', '@'])),
            no_password: user.is_some_and(|user| !user.has_password()),
            no_proxy_password: proxy_user.is_some_and(|user| !user.has_password()),
            without_basic: !access.schemes.contains(Scheme::Basic),
            ..Self::default()
        };
        circumstances.lead_to(settings, &settings.session.url, access.proxy.as_ref());
        circumstances
    }

    /// Returns whether an HTTP proxy forwards the requests, so that a response may be its own.
    pub(super) fn is_relayed(&self) -> bool {
        self.proxy.is_some() && !self.encrypted
    }

    /// Records that requests go to `server`, through `proxy` if there is one.
    pub(in crate::push) fn lead_to(
        &mut self,
        settings: &Settings,
        server: &Url,
        proxy: Option<&Url>,
    ) {
        let home = &settings.session.url;
        let configured = settings.session.access.proxy.as_ref();
        let is_configured = |proxy: &Url| {
            configured.is_some_and(|configured| configured.origin() == proxy.origin())
        };
        let zone = zone_of(home, settings.zone.as_deref());
        let proxy_zone = configured.and_then(|url| zone_of(url, settings.proxy_zone.as_deref()));
        let zones = [zone, proxy_zone];
        let peer = |url| Peer::of(url, &zones);
        self.encrypted = server.scheme() == "https";
        self.server = peer(server);
        self.proxy = proxy.and_then(|proxy| {
            let source = settings.proxy_source.filter(|_| is_configured(proxy));
            let peer = peer(proxy)?;
            Some(Proxy { peer, source })
        });
        let elsewhere = server.origin() != home.origin();
        // A server may have put credentials that it knows into the URL.
        let access = &settings.session.access;
        let credentials = [&access.credentials, &access.proxy_credentials];
        let secrets = Secrets::of_credentials(credentials.into_iter().flatten());
        self.redirected = peer(home).filter(|_| elsewhere).map(|home| Redirected {
            home,
            url: secrets.redact(server.as_str()),
        });
    }
}

/// A host, and the interface over which it is reached.
type Zone<'a> = (Host<&'a str>, &'a str);

fn zone_of<'a>(url: &'a Url, zone: Option<&'a str>) -> Option<Zone<'a>> {
    url.host().zip(zone)
}

impl Peer {
    fn of(url: &Url, zones: &[Option<Zone<'_>>]) -> Option<Self> {
        let host = url.host()?;
        let mut zones = zones.iter().flatten();
        let zone = zones.find(|(zoned, _)| *zoned == host);
        let name = host.to_string();
        Some(Self {
            host: match zone {
                Some((_, zone)) => name.replace(']', &format!("%{zone}]")),
                None => name,
            },
            port: url.port_or_known_default()?,
        })
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
