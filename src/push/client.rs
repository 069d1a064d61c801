// SPDX-License-Identifier: MPL-2.0

//! Requests one after the other, over one connection for as long as it lasts.

use std::time::Duration;

use url::Url;

use super::Error;
use super::exchange::{Exchange, Opening};
use super::line::Link;
use crate::wmhttp::{Body, Request};

/// Makes connections.
pub(super) trait Connector: Send + 'static {
    /// The connections that it makes.
    type Link: Link;

    /// Connects to the host and port of `peer`.
    fn connect(&self, peer: &Url) -> Opening<Self::Link>;

    /// Agrees on TLS with the host of `server`, over `opening`.
    fn secure(&self, opening: Opening<Self::Link>, server: &Url) -> Opening<Self::Link>;
}

/// Sends requests.
pub(super) struct Client<C: Connector> {
    connector: C,
    exchange: Option<Exchange<C::Link>>,
    /// The connection between two requests.
    idle: Option<C::Link>,
    /// Where the last connection led.
    route: Option<Route>,
    /// Where the last request went.
    destination: Option<Destination>,
}

/// The way of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// The URL on the server.
    pub(super) server: Url,
    /// The proxy in front of it.
    pub(super) proxy: Option<Url>,
}

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    /// The server, or the proxy.
    peer: url::Origin,
    /// The server at the other end of TLS.
    secured: Option<url::Origin>,
}

impl<C: Connector> Client<C> {
    /// A client without a connection.
    pub(super) fn new(connector: C) -> Self {
        Self {
            connector,
            exchange: None,
            idle: None,
            route: None,
            destination: None,
        }
    }

    /// The request under way.
    pub(super) fn exchange(&self) -> Option<&Exchange<C::Link>> {
        self.exchange.as_ref()
    }

    /// The request under way.
    pub(super) fn exchange_mut(&mut self) -> Option<&mut Exchange<C::Link>> {
        self.exchange.as_mut()
    }

    /// Where the last request went, or was to go; `None` before the first one.
    pub(super) fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    /// Returns whether the next request can go over the connection of the last.
    pub(super) fn is_connected(&mut self) -> bool {
        self.idle.as_mut().is_some_and(Link::is_idle)
    }

    /// Bytes of the current PushStart's body that the connection has accepted.
    pub(super) fn body_written(&self) -> Option<u64> {
        let exchange = self.exchange.as_ref();
        let exchange = exchange.filter(|exchange| exchange.is_push_start());
        exchange.map(Exchange::written)
    }

    /// Round-trip time of the connection, where the kernel tells.
    pub(super) fn round_trip_time(&self) -> Option<Duration> {
        match (&self.exchange, &self.idle) {
            (Some(exchange), _) => exchange.round_trip_time(),
            (None, Some(idle)) => idle.round_trip_time(),
            (None, None) => None,
        }
    }

    /// Begins a request. The one before it is dropped, unless it is [finished](Self::finish).
    pub(super) fn start(&mut self, request: &Request) {
        self.exchange = None;
        let idle = self.idle.take().filter(|_| !request.fresh);
        let idle = idle.and_then(|mut link| link.is_idle().then_some(link));
        let peer = request.proxy.as_ref().unwrap_or(&request.url);
        self.destination = Some(Destination {
            server: request.url.clone(),
            proxy: request.proxy.clone(),
        });
        let secured = is_secured(request).then(|| request.url.origin());
        let last = self.route.replace(Route {
            peer: peer.origin(),
            secured: secured.clone(),
        });
        let last = last.filter(|last| last.peer == peer.origin());
        self.exchange = Some(match (idle, last, secured) {
            (Some(link), Some(last), secured) if last.secured == secured => {
                Exchange::over(link, request)
            }
            // The proxy has made a tunnel, and TLS begins in it.
            (Some(link), Some(last), Some(_)) if last.secured.is_none() => {
                let tunnel = Box::pin(std::future::ready(Ok::<_, Error>(link)));
                Exchange::through_tunnel(self.connector.secure(tunnel, &request.url), request)
            }
            (_, _, secured) => {
                let opening = self.connector.connect(peer);
                let opening = match secured {
                    Some(_) => self.connector.secure(opening, &request.url),
                    None => opening,
                };
                Exchange::opening(opening, request)
            }
        });
    }

    /// Ends a request whose response has come, and keeps its connection where that can be used again.
    pub(super) fn finish(&mut self) {
        self.idle = self.exchange.take().and_then(Exchange::into_idle);
    }

    /// Closes the connection, and drops the request under way.
    pub(super) fn abandon(&mut self) {
        self.exchange = None;
        self.idle = None;
    }

    /// Closes the connection behind the end of the stream.
    pub(super) fn close(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.close();
        }
    }
}

/// Returns whether the request goes over TLS: all to `https` URLs but CONNECT.
fn is_secured(request: &Request) -> bool {
    request.url.scheme() == "https" && !matches!(request.body, Body::Connect)
}
