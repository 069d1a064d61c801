// SPDX-License-Identifier: MPL-2.0

//! Redirections and challenges: the requests that follow them, their destinations and their order.

mod authentication;
mod nonces;
mod proxies;
mod redirections;
mod secrets;
mod silence;
mod trust;
mod tunnels;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;
use url::Url;
use wmspush_proto::auth::{CredentialRequest, Credentials, Denied, Role, Scheme};
use wmspush_proto::wmhttp::{
    AccessConfig, Body, CredentialsWanted, Error, Event, HResult, Offer, PushSession, Request,
    SessionConfig, Transmit, UNKNOWN_CONTENT_LENGTH,
};

use super::clients::{Sent, accepted, framed, header, header_with, packet, response};
use super::harness::{Fixed, Offered, Pair, config, fixture};

const DIGEST: &str = r#"Digest realm="WMS", nonce="n1", qop="auth", opaque="o""#;
const STALE: &str = r#"Digest realm="WMS", nonce="n2", qop="auth", opaque="o", stale=true"#;
const BASIC: &str = r#"Basic realm="WMS""#;

/// The second message of example 4.8.
const TYPE_2: &str = "TlRMTVNTUAACAAAADgAOADgAAAAFgoqio8hNyf74ihkAAAAAAAAAAFgAWABGAAAABgBkFgAAAA9XAE0AUwAyADIAMAA1AAIADgBXAE0AUwAyADIAMAA1AAEADgBXAE0AUwAyADIAMAA1AAQADgBXAE0AUwAyADIAMAA1AAMADgBXAE0AUwAyADIAMAA1AAcACABEkqlgclfHAQAAAAA=";

const PASSWORD: &str = "s3cret";

fn alice() -> Credentials {
    Credentials::new(r"WMDOM\alice", PASSWORD)
}

fn bob() -> Credentials {
    Credentials::new("bob", PASSWORD)
}

/// Returns settings with credentials for the server, and no proxy.
fn known() -> AccessConfig {
    AccessConfig {
        credentials: Some(alice()),
        ..AccessConfig::default()
    }
}

/// Returns settings with a proxy, and credentials for both.
fn proxied() -> AccessConfig {
    AccessConfig {
        proxy: Some(url("http://proxy:3128/")),
        proxy_credentials: Some(bob()),
        ..known()
    }
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// A session that a test drives step by step.
struct Client(PushSession);

impl Client {
    /// Returns a session and its first request.
    fn new(access: AccessConfig) -> (Self, Request) {
        let config = SessionConfig {
            access,
            remove_padding: false,
            ..config()
        };
        let mut client = Self(PushSession::new(config, Fixed));
        client.0.configure_server();
        let request = client.push_setup();
        (client, request)
    }

    /// Returns a session that has sent PushStart and `$H` without authentication.
    fn streaming(access: AccessConfig) -> Self {
        let (mut client, _) = Self::new(access);
        client.accepted();
        client.start();
        client
    }

    /// Returns a session that has answered a Digest challenge to PushSetup.
    fn digested(access: AccessConfig) -> Self {
        let (mut client, _) = Self::new(access);
        client.challenged(&[DIGEST]);
        client.push_setup();
        client
    }

    fn answer(&mut self, text: &str) {
        self.0.handle_response(&response(text)).unwrap();
    }

    fn accepted(&mut self) {
        self.0.handle_response(&accepted()).unwrap();
    }

    /// Answers with 401 and these WWW-Authenticate fields.
    fn challenged(&mut self, fields: &[&str]) {
        self.answer(&unauthorized(fields));
    }

    /// Returns all outputs.
    fn sent(&mut self) -> Sent {
        Sent::by(&mut self.0)
    }

    /// Returns the only output, which is a PushSetup.
    fn push_setup(&mut self) -> Request {
        let mut sent = self.sent();
        let request = sent.requests.pop().expect("a request");
        assert!(sent.nothing() && matches!(request.body, Body::PushSetup(_)));
        request
    }

    /// Returns the next PushStart, and the beginning of its body.
    fn push_start(&mut self) -> (Request, Vec<u8>) {
        let mut sent = self.sent();
        let request = sent.requests.pop().expect("a request");
        assert!(sent.requests.is_empty() && matches!(request.body, Body::PushStart { .. }));
        (request, sent.body)
    }

    /// Starts streaming. The body has only `$H` so far.
    fn start(&mut self) -> Request {
        assert_eq!(self.0.start_streaming(header()), Offer::Taken);
        let (request, body) = self.push_start();
        assert_eq!(body, h());
        request
    }

    fn data(&mut self) {
        assert_eq!(self.0.data_unit(packet(1500)), Offer::Taken);
    }

    /// Returns all events.
    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.0.poll_event()).collect()
    }

    /// Returns the request to the application, which is the last event.
    fn question(&mut self) -> CredentialsWanted {
        assert!(self.sent().nothing());
        match self.events().pop() {
            Some(Event::CredentialsWanted(wanted)) => wanted,
            other => panic!("{other:?}"),
        }
    }

    /// Passes on a response that ends the session.
    fn fails(&mut self, text: &str) -> Error {
        let error = self.0.handle_response(&response(text)).unwrap_err();
        self.assert_over();
        error
    }

    /// Answers the question for the proxy's credentials with none, which ends the session.
    fn is_denied_without_proxy_credentials(&mut self) {
        let error = self.0.provide(Role::Proxy, None).unwrap_err();
        let expected = Error::Denied {
            role: Role::Proxy,
            status: StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            reason: String::new(),
            denied: Denied::NoCredentials,
        };
        assert_eq!(error, expected);
        self.assert_over();
    }

    /// Checks that the session sends, accepts and awaits nothing.
    fn assert_over(&mut self) {
        assert!(self.sent().nothing());
        assert!(!self.0.is_ready() && !self.0.awaits_response() && !self.0.owes_request());
        assert!(matches!(self.0.data_unit(packet(1500)), Offer::Held(_)));
        assert_eq!(self.0.end_of_stream(HResult::S_OK), Offer::Taken);
        assert!(self.sent().nothing());
    }
}

fn unauthorized(fields: &[&str]) -> String {
    let fields = fields
        .iter()
        .map(|field| format!("\nWWW-Authenticate: {field}"));
    format!(
        "HTTP/1.1 401 Who are you?\nServer: Cougar/9.5{}",
        String::from_iter(fields)
    )
}

fn proxy_unauthorized(field: &str) -> String {
    format!("HTTP/1.1 407 And you?\nProxy-Authenticate: {field}")
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\nServer: Cougar/9.5\nLocation: {location}")
}

/// Returns `$H` with the header of these tests.
fn h() -> Vec<u8> {
    let header = header();
    framed(b"$H", header.as_bytes().len(), header.as_bytes())
}

/// Returns `$D` with a packet of these tests.
fn d() -> Vec<u8> {
    framed(b"$D", 1500, &[0xAB; 1500])
}

fn field<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let value = request.headers.get(name)?;
    Some(value.to_str().unwrap())
}

fn cookie(request: &Request) -> &str {
    field(request, "cookie").unwrap()
}

fn assert_anonymous(request: &Request) {
    assert_eq!(field(request, "authorization"), None);
    assert_eq!(field(request, "proxy-authorization"), None);
}

/// RFC 7616 section 3.4 The Authorization Header Field
fn assert_digest(request: &Request, name: &str, parts: &[&str]) {
    let value = field(request, name).unwrap();
    assert!(value.starts_with("Digest "), "{value}");
    for part in parts {
        assert!(value.contains(part), "{part} in {value}");
    }
}

fn names(events: &[Event]) -> Vec<&str> {
    let name = |event: &Event| match event {
        Event::CredentialsWanted(_) => "CredentialsWanted",
        Event::Authenticating => "Authenticating",
        Event::ServerConfigured { .. } => "ServerConfigured",
        Event::PushStartSent { .. } => "PushStartSent",
        Event::PushStartRepeated => "PushStartRepeated",
        Event::PushStartCompleted => "PushStartCompleted",
        Event::SessionEnded => "SessionEnded",
    };
    events.iter().map(name).collect()
}

/// Returns a Content-Length that leaves `rest` bytes after `$H` and three packets of these tests.
fn length(rest: usize) -> u64 {
    (h().len() + 3 * d().len() + rest) as u64
}

/// Returns a client in its second PushStart, after `offer` found too little room in the first body.
fn in_second_body(rest: usize, offer: impl Fn(&mut PushSession)) -> Client {
    let config = SessionConfig {
        access: known(),
        content_length: Some(length(rest)),
        remove_padding: false,
        ..config()
    };
    let mut client = Client(PushSession::new(config, Fixed));
    client.0.configure_server();
    client.push_setup();
    client.challenged(&[DIGEST]);
    client.push_setup();
    client.accepted();
    client.start();
    for _ in 0..3 {
        client.data();
    }
    offer(&mut client.0);
    client.sent();
    assert!(client.0.awaits_response());
    client.accepted();
    client.push_start();
    client
}
