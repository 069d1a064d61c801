// SPDX-License-Identifier: MPL-2.0

//! The transport for `https`: on reqwest, and the only file that knows it.
//!
//! reqwest carries MS-WMHTTP given three idioms:
//!
//! * A gate in front of the connector. hyper's pool races a new connection against the idle one, so that without it
//!   PushStart would now and then leave the connection that PushSetup (and NTLM) went over.
//! * The body ends on any response. hyper would go on sending it for ever.
//! * The last bytes tell when they are on the wire, see [`notify_when_written`](super::body::notify_when_written); only then may the exchange be dropped.
//!   Ending the body right after them would lose them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::ext::ReasonPhrase;
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::mpsc;
use url::{Host, Url};

use super::body::BodySender;
use super::connect::lost;
use super::connector::{Resolver, cannot_connect, cause, chain, root_cause, unresolvable};
use super::tls::handshake_failure;
use super::transport::{Exchange, Progress, RESPONSE_BODY_TIMEOUT, Transport};
use super::{Error, Settings, Trust};
use crate::wmhttp::{self, Body, Request, Response, keeps_alive};
use gate::{Gate, GateClosed};
use packets::Packets;

mod descriptors;
mod gate;
mod packets;

/// Most bytes of a response body that are looked at.
const MAX_RESPONSE_BODY: usize = 16 * 1024;

/// Sends requests with reqwest.
pub(super) struct HttpsTransport {
    /// Whose pool has the connection, if there was one yet.
    client: Option<Client>,
    /// The proxy that `client` goes through.
    proxy: Option<Url>,
    gate: Gate,
    options: Options,
}

/// What every client is made with.
struct Options {
    stall_timeout: Duration,
    trust: Trust,
    progress: mpsc::UnboundedSender<Progress>,
}

impl HttpsTransport {
    /// A transport that tells `progress` how connecting goes.
    pub(super) fn new(settings: &Settings, progress: mpsc::UnboundedSender<Progress>) -> Self {
        let gate = Gate::new(progress.clone());
        let options = Options {
            stall_timeout: settings.stall_timeout,
            trust: settings.trust.clone(),
            progress,
        };
        Self {
            client: None,
            proxy: None,
            gate,
            options,
        }
    }

    /// Closes the connection, if there is one.
    pub(super) fn leave(&mut self) {
        if self.client.take().is_some() {
            // It has a descriptor of the connection, too.
            self.gate = Gate::new(self.options.progress.clone());
        }
    }

    /// Makes way for a new connection. The old one may still be in the pool, though it is closed: the pool goes.
    fn reconnect(&mut self, request: &Request) -> Result<Client, Error> {
        self.client = None;
        let client = client(&self.gate, &self.options, request)?;
        self.client = Some(client.clone());
        self.proxy.clone_from(&request.proxy);
        self.gate.permit();
        let peer = request.proxy.as_ref().unwrap_or(&request.url);
        if !matches!(peer.host(), Some(Host::Domain(_))) {
            let _ = self.options.progress.send(Progress::Resolved);
        }
        Ok(client)
    }
}

impl Transport for HttpsTransport {
    fn connection_stands(&self) -> bool {
        self.gate.connection_stands()
    }

    fn round_trip_time(&self) -> Option<Duration> {
        self.gate.wire().round_trip_time()
    }

    fn acknowledged(&self, handed_over: Option<u64>) -> Option<u64> {
        let acknowledged = self.gate.wire().acknowledged();
        // What is written is longer than the body, by a little for each write: the place in it is looked up
        // whenever nothing is between here and the system. What is off since then is less than a packet.
        if let Some(body) = handed_over.filter(|_| self.gate.wire().is_flushed()) {
            self.gate.wire().body_written(body);
        }
        acknowledged
    }

    fn unacknowledged(&self) -> Option<usize> {
        self.gate.wire().unacknowledged()
    }

    fn was_reset(&self, _: u64) -> bool {
        // What is written has another length than the body.
        self.gate.wire().was_reset(None)
    }

    fn start(&mut self, request: Request) -> Exchange {
        let reusable = !request.fresh && request.proxy == self.proxy && self.connection_stands();
        let client = match &self.client {
            Some(client) if reusable => Ok(client.clone()),
            _ => self.reconnect(&request),
        };
        let (body, sender) = Source::new(&request.body, &self.gate);
        let gate = self.gate.clone();
        let stall_timeout = self.options.stall_timeout;
        let response =
            async move { exchange(&client?, &gate, &request, &body, stall_timeout).await };
        Exchange {
            response: Box::pin(response),
            body: sender,
        }
    }
}

/// A client for requests that go as `request` does.
fn client(gate: &Gate, options: &Options, request: &Request) -> Result<Client, Error> {
    let unusable = |error: reqwest::Error| Error::Lost(root_cause(&error).to_string());
    let resolver = Resolver::new(options.progress.clone());
    let mut builder = Client::builder()
        .http1_only()
        .http1_title_case_headers()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(None)
        .tcp_nodelay(true)
        .tcp_user_timeout(None)
        .dns_resolver(Arc::new(resolver))
        .connector_layer(gate.clone());
    if let Some(proxy) = request.proxy.clone() {
        let mut proxy = reqwest::Proxy::all(proxy).map_err(unusable)?;
        if let Some(tunnel) = request.tunnel_authorization.clone() {
            proxy = proxy.custom_http_auth(tunnel);
        }
        builder = builder.proxy(proxy);
    }
    let config = options.trust.client_config()?;
    let builder = builder.tls_backend_preconfigured(config);
    builder.build().map_err(unusable)
}

async fn exchange(
    client: &Client,
    gate: &Gate,
    request: &Request,
    body: &Source,
    stall_timeout: Duration,
) -> Result<Response, Error> {
    let connection = gate.exchange();
    let response = match send(client, request, body).await {
        // The connection went while it was idle: a new one, once.
        Err(error) if is_gate_closed(&error) => {
            gate.permit();
            send(client, request, body).await
        }
        sent => sent,
    };
    let response = response.map_err(|error| classify(&error, request, stall_timeout))?;
    let reusable = keeps_alive(response.version(), response.headers());
    // A response that comes while the body flows has to stop it at once.
    let wanted = body.is_complete();
    let (response, complete) = read(response, wanted).await;
    if reusable && complete {
        connection.keep();
    }
    Ok(response)
}

async fn send(
    client: &Client,
    request: &Request,
    body: &Source,
) -> reqwest::Result<reqwest::Response> {
    client
        .request(Request::METHOD, request.url.clone())
        .headers(request.headers.clone())
        .body(body.to_body())
        .send()
        .await
}

/// The response with the beginning of its body, if that is wanted, and whether that was all.
async fn read(mut response: reqwest::Response, wanted: bool) -> (Response, bool) {
    let reason = match response.extensions().get::<ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => response
            .status()
            .canonical_reason()
            .unwrap_or_default()
            .to_owned(),
    };
    let mut body = BytesMut::new();
    let complete = wanted && {
        let all = read_body(&mut response, &mut body);
        tokio::time::timeout(RESPONSE_BODY_TIMEOUT, all)
            .await
            .unwrap_or(false)
    };
    let (status, headers) = (response.status(), response.headers().clone());
    (
        Response {
            status,
            reason,
            headers,
            body: body.freeze(),
        },
        complete,
    )
}

/// Whether the body ended, and within [`MAX_RESPONSE_BODY`].
async fn read_body(response: &mut reqwest::Response, body: &mut BytesMut) -> bool {
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_RESPONSE_BODY.saturating_sub(body.len());
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if chunk.len() > room {
            return false;
        }
    }
    true
}

/// Where the body of a request comes from. It outlives an attempt that found no connection.
enum Source {
    Fixed(Bytes),
    Packets(Packets),
}

impl Source {
    fn new(body: &Body, gate: &Gate) -> (Self, Option<Arc<BodySender>>) {
        match body {
            Body::PushSetup(bytes) => (Self::Fixed(bytes.clone()), None),
            Body::PushStart { content_length } => {
                gate.wire().begin_body();
                let (packets, sender) = Packets::new(*content_length, gate.clone());
                (Self::Packets(packets), Some(Arc::new(sender)))
            }
        }
    }

    fn to_body(&self) -> reqwest::Body {
        match self {
            Self::Fixed(bytes) => bytes.clone().into(),
            Self::Packets(packets) => reqwest::Body::wrap_stream(packets.clone()),
        }
    }

    /// Whether all of it has been handed over.
    fn is_complete(&self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Packets(packets) => packets.is_complete(),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolving = self.clone().resolve(name.as_str().to_owned());
        Box::pin(async { Ok(Box::new(resolving.await?) as Addrs) })
    }
}

/// What an error of reqwest's is about.
fn classify(error: &reqwest::Error, request: &Request, stall_timeout: Duration) -> Error {
    if let Some(unresolvable) = unresolvable(error) {
        return unresolvable;
    }
    if let Some(failure) = chain(error).find_map(handshake_failure) {
        return Error::Tls(failure);
    }
    // hyper-util does not let its tunnel's errors out: only their text tells them.
    if chain(error).any(|cause| cause.to_string().ends_with("proxy authorization required")) {
        let status = reqwest::StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        let reason = status.canonical_reason().unwrap_or_default().to_owned();
        let retry_after = None;
        return Error::Protocol(wmhttp::Error::Refused {
            status,
            reason,
            retry_after,
        });
    }
    if error.is_connect() {
        let failure = cannot_connect(error);
        let Error::CannotConnect { kind, .. } = failure else {
            return failure;
        };
        // What can happen only to a connection that there is.
        let stood = matches!(
            kind,
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        );
        if stood && request.proxy.is_none() {
            return Error::Tls(root_cause(error).to_string());
        }
        return failure;
    }
    if let Some(http) = cause::<hyper::Error>(error) {
        if http.is_parse() {
            return Error::BadResponse(root_cause(error).to_string());
        }
        if http.is_incomplete_message() {
            return Error::Closed;
        }
    }
    match cause::<io::Error>(error) {
        Some(system) => lost(system, stall_timeout),
        None => Error::Lost(root_cause(error).to_string()),
    }
}

fn is_gate_closed(error: &reqwest::Error) -> bool {
    cause::<GateClosed>(error).is_some()
}
