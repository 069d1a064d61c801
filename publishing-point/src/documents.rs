// SPDX-License-Identifier: MPL-2.0

//! Documents about the publishing point: a page for people, JSON, and metrics for Prometheus.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response};

use super::connection::{Connection, Next};
use super::lock::lock;
use super::metrics;
use super::wire::{has_body, point_of};
use wmspush_proto::wmhttp::server::{AccessRequest, Reply};
use wmspush_proto::wmsp::reply;

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// A document. A publishing point of the same path accepts pushes, but only players with MS-WMSP can watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Page,
    Status,
    Metrics,
}

impl Document {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Page),
            "/status" => Some(Self::Status),
            "/metrics" => Some(Self::Metrics),
            _ => None,
        }
    }
}

impl Connection {
    /// Serves a document to clients that may push.
    pub(super) async fn document(
        &mut self,
        request: &Request<()>,
        document: Document,
    ) -> io::Result<Next> {
        let now = self.shared.now();
        let authorised = lock(&self.shared.sessions).authorise(&AccessRequest::of(request), now);
        if let Err(refusal) = authorised {
            self.shared
                .refused(&point_of(request), refusal.status(), &refusal);
            return self.respond(request, "", refusal.reply(request)).await;
        }
        let response = match document {
            Document::Page => page(),
            Document::Status => {
                let address = canonical(self.stream.local_addr()?);
                let json = match first_sample(request.uri().query()) {
                    Some(from) => self.shared.page_json(address, from),
                    None => self.shared.status_json(address),
                };
                reply::document("application/json", json)
            }
            Document::Metrics => reply::document(metrics::CONTENT_TYPE, self.shared.metrics()),
        };
        let reply = Reply {
            response: unsniffed(response),
            close: has_body(request),
        };
        self.respond(request, "", reply).await
    }
}

/// Returns the IPv4 address of a connection by IPv4 to a socket of IPv6, which would be `[::ffff:192.0.2.1]` in a URL.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Parses `samples=N`, the first sample of the history that the page asks for.
fn first_sample(query: Option<&str>) -> Option<u64> {
    query?.strip_prefix("samples=")?.parse().ok()
}

/// Returns the page. It runs only scripts with the nonce of this response, and loads nothing from other origins.
fn page() -> Response<Bytes> {
    let nonce = nonce();
    let html = HTML
        .replace("{nonce}", &nonce)
        .replace("{style}", STYLE)
        .replace("{script}", SCRIPT);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = reply::document("text/html; charset=utf-8", html.into());
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        let name = HeaderName::from_static("content-security-policy");
        response.headers_mut().insert(name, policy);
    }
    response
}

/// Returns a random nonce, which injected elements cannot know.
fn nonce() -> String {
    let mut random = [0; 16];
    let _ = getrandom::fill(&mut random);
    format!("{:032x}", u128::from_le_bytes(random))
}

/// Adds fields that stop browsers from guessing another type, and from sending a Referer to other sites.
fn unsniffed(mut response: Response<Bytes>) -> Response<Bytes> {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_contain_no_end_tags() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("{nonce}"));
        }
        assert!(!STYLE.contains("{script}"));
    }

    #[test]
    fn every_page_has_a_nonce_of_its_own() {
        let policy = || page().headers()["content-security-policy"].clone();
        assert_ne!(policy(), policy());
    }

    #[test]
    fn an_ipv4_address_is_shown_as_such() {
        let shown = |address: &str| canonical(address.parse().unwrap()).to_string();
        assert_eq!(shown("[::ffff:192.0.2.1]:80"), "192.0.2.1:80");
        assert_eq!(shown("[2001:db8::1]:80"), "[2001:db8::1]:80");
        assert_eq!(shown("192.0.2.1:80"), "192.0.2.1:80");
    }

    #[test]
    fn samples_are_requested_by_number() {
        assert_eq!(first_sample(Some("samples=12")), Some(12));
        for query in [
            None,
            Some(""),
            Some("samples="),
            Some("samples=-1"),
            Some("a=1"),
        ] {
            assert_eq!(first_sample(query), None);
        }
    }
}
