// SPDX-License-Identifier: MPL-2.0

//! The route to the server: direct, through a forwarding proxy, or through a tunnel.

use url::Url;

use super::party::Party;
use crate::wmhttp::message::is_encrypted;

/// The route of the connection to the server.
#[derive(Debug)]
pub(in super::super) enum Route {
    Direct,
    /// The proxy forwards the requests.
    Proxy(Party),
    /// The proxy forwards the bytes of TLS, once CONNECT has opened the tunnel.
    Tunnel(Party, Tunnel),
}

/// The state of a tunnel, which ends with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Tunnel {
    /// The next request needs CONNECT first.
    Closed,
    /// CONNECT was sent, and its response is outstanding.
    Opening,
    /// The proxy requires credentials, and the application has not given any yet.
    AwaitingCredentials,
    /// Requests pass through the tunnel.
    Open,
}

impl Route {
    /// Returns the route to `server` through `proxy`, if there is one.
    pub(super) fn new(proxy: Option<Party>, server: &Url) -> Self {
        match proxy {
            None => Self::Direct,
            Some(proxy) if is_encrypted(server) => Self::Tunnel(proxy, Tunnel::Closed),
            Some(proxy) => Self::Proxy(proxy),
        }
    }

    /// Removes the proxy from the route.
    pub(super) fn take_proxy(&mut self) -> Option<Party> {
        match std::mem::replace(self, Self::Direct) {
            Self::Direct => None,
            Self::Proxy(proxy) | Self::Tunnel(proxy, _) => Some(proxy),
        }
    }

    pub(super) fn proxy(&self) -> Option<&Party> {
        match self {
            Self::Direct => None,
            Self::Proxy(proxy) | Self::Tunnel(proxy, _) => Some(proxy),
        }
    }

    pub(super) fn proxy_mut(&mut self) -> Option<&mut Party> {
        match self {
            Self::Direct => None,
            Self::Proxy(proxy) | Self::Tunnel(proxy, _) => Some(proxy),
        }
    }

    pub(super) fn tunnel(&self) -> Option<Tunnel> {
        match self {
            Self::Direct | Self::Proxy(_) => None,
            Self::Tunnel(_, tunnel) => Some(*tunnel),
        }
    }

    /// Sets the state of the tunnel, if there is one.
    pub(super) fn set_tunnel(&mut self, state: Tunnel) {
        if let Self::Tunnel(_, tunnel) = self {
            *tunnel = state;
        }
    }

    /// Closes the tunnel, because its connection is lost. Outstanding credentials stay outstanding.
    pub(super) fn connection_lost(&mut self) {
        if let Some(Tunnel::Opening | Tunnel::Open) = self.tunnel() {
            self.set_tunnel(Tunnel::Closed);
        }
        if let Some(proxy) = self.proxy_mut() {
            proxy.authenticator.connection_lost();
        }
    }
}
