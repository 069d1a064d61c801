// SPDX-License-Identifier: MPL-2.0

//! The way to the server: straight, by a proxy that passes requests on, or through a tunnel that a proxy opens.

use url::Url;

use super::party::Party;
use crate::wmhttp::message::is_encrypted;

/// The way of the connection to the server.
#[derive(Debug)]
pub(in super::super) enum Way {
    Direct,
    /// The proxy passes the requests on.
    Proxy(Party),
    /// The proxy passes on the bytes of TLS, after CONNECT has opened the tunnel.
    Tunnel(Party, Tunnel),
}

/// The state of a tunnel, which is gone with its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Tunnel {
    /// The next request needs CONNECT first.
    Closed,
    /// CONNECT was sent, and has not been answered.
    Opening,
    /// The proxy wants credentials, and the application has not answered.
    AwaitingCredentials,
    /// Requests go through it.
    Open,
}

impl Way {
    /// The way to `server` by `proxy`, if there is one.
    pub(super) fn new(proxy: Option<Party>, server: &Url) -> Self {
        match proxy {
            None => Self::Direct,
            Some(proxy) if is_encrypted(server) => Self::Tunnel(proxy, Tunnel::Closed),
            Some(proxy) => Self::Proxy(proxy),
        }
    }

    /// Takes the proxy out of the way.
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

    /// Closes the tunnel, because its connection is gone. The application's answer is still awaited.
    pub(super) fn connection_lost(&mut self) {
        if let Some(Tunnel::Opening | Tunnel::Open) = self.tunnel() {
            self.set_tunnel(Tunnel::Closed);
        }
        if let Some(proxy) = self.proxy_mut() {
            proxy.authenticator.connection_lost();
        }
    }
}
