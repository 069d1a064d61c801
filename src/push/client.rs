// SPDX-License-Identifier: MPL-2.0

//! Sequential requests, over one connection for as long as it lasts.

use std::time::Duration;

use url::Url;

use super::Error;
use super::exchange::{Exchange, Opening};
use super::line::Link;
use crate::wmhttp::{Body, Request};

/// Makes connections.
pub(super) trait Connector: Send + 'static {
    /// The type of the connections.
    type Link: Link;

    /// Connects to the host and port of `peer`.
    fn connect(&self, peer: &Url) -> Opening<Self::Link>;

    /// Performs a TLS handshake with the host of `server` over `opening`.
    fn secure(&self, opening: Opening<Self::Link>, server: &Url) -> Opening<Self::Link>;
}

/// Sends requests and keeps the connection between them.
pub(super) struct Client<C: Connector> {
    connector: C,
    exchange: Option<Exchange<C::Link>>,
    /// The connection between two requests.
    idle: Option<C::Link>,
    /// The route of the last connection.
    route: Option<Route>,
    /// The destination of the last request.
    destination: Option<Destination>,
}

/// The server of a request, and the proxy on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// The URL on the server.
    pub(super) server: Url,
    /// The proxy in front of it.
    pub(super) proxy: Option<Url>,
}

/// The two ends of a connection.
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

    /// Returns the request under way.
    pub(super) fn exchange(&self) -> Option<&Exchange<C::Link>> {
        self.exchange.as_ref()
    }

    /// Returns the request under way.
    pub(super) fn exchange_mut(&mut self) -> Option<&mut Exchange<C::Link>> {
        self.exchange.as_mut()
    }

    /// Returns the destination of the last request, sent or not; `None` before the first one.
    pub(super) fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    /// Returns whether the next request can go over the connection of the last.
    pub(super) fn is_connected(&mut self) -> bool {
        self.idle.as_mut().is_some_and(Link::is_idle)
    }

    /// Returns the bytes of the current PushStart's body that the connection has accepted.
    pub(super) fn body_written(&self) -> Option<u64> {
        let exchange = self.exchange.as_ref();
        let exchange = exchange.filter(|exchange| exchange.is_push_start());
        exchange.map(Exchange::written)
    }

    /// Returns the round-trip time of the connection; `None` where the kernel does not report it.
    pub(super) fn round_trip_time(&self) -> Option<Duration> {
        match (&self.exchange, &self.idle) {
            (Some(exchange), _) => exchange.round_trip_time(),
            (None, Some(idle)) => idle.round_trip_time(),
            (None, None) => None,
        }
    }

    /// Begins a request. Drops the request before it, unless that is [finished](Self::finish).
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
            // The proxy has made a tunnel: the TLS handshake goes through it.
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

    /// Ends a request whose response has been received, and keeps its connection if that can be reused.
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

/// Returns whether the request goes over TLS, as all requests to `https` URLs but CONNECT do.
fn is_secured(request: &Request) -> bool {
    request.url.scheme() == "https" && !matches!(request.body, Body::Connect)
}
