// SPDX-License-Identifier: MPL-2.0

//! The two requests of MS-WMHTTP 2.2.2 Request Types, CONNECT, and the responses to them.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, SERVER, USER_AGENT,
};
use http::{HeaderName, Method, StatusCode};
use url::{Position, Url};

use crate::auth::{Role, Schemes, accept_header};

use super::header::{
    Cookies, PUSH_SETUP, PUSH_START, X_ACCEPT_AUTHENTICATION, retry_after, title_case,
};
use super::{Error, Secrets};

/// A request: a POST of 2.2.2 Request Types, or CONNECT. `Debug` hides its secrets.
pub struct Request {
    /// The publishing point.
    pub url: Url,
    /// The proxy that the connection leads to.
    ///
    /// It forwards requests to an `http` URL. For an `https` URL it opens a tunnel, for which [`Body::Connect`] asks.
    pub proxy: Option<Url>,
    /// True if the request needs a new connection.
    pub fresh: bool,
    /// All header fields except Host, which follows from `url`, in the order of example 4.8.
    pub headers: HeaderMap,
    /// The kind of the request, and its body.
    pub body: Body,
    /// The secrets to [remove from its response](Response::redacted).
    pub secrets: Secrets,
}

/// The kind of a [`Request`], and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// RFC 9110 section 9.3.6 CONNECT: asks the proxy for a tunnel to the server. It has no body.
    ///
    /// It is sent outside TLS with the server. [`ResponseReader::to_connect`](super::ResponseReader::to_connect) reads
    /// its response. After a 2xx, TLS with the server begins, and the next request goes through the tunnel.
    Connect,
    /// 2.2.2.1 PushSetup Request: a few bytes, or none.
    PushSetup(Bytes),
    /// 2.2.2.2 PushStart Request: a body of packets that [`Transmit::Body`](super::Transmit::Body) delivers.
    PushStart {
        /// Content-Length in bytes, and the initial Length-Remaining.
        content_length: u64,
    },
}

/// The field with which proxies older than HTTP/1.1 keep a connection open.
pub(super) const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

impl Body {
    /// Returns the method: POST (C-019), or CONNECT.
    pub fn method(&self) -> Method {
        match self {
            Self::Connect => Method::CONNECT,
            Self::PushSetup(_) | Self::PushStart { .. } => Request::METHOD,
        }
    }
}

impl Request {
    /// The method of every request of MS-WMHTTP (C-019).
    pub const METHOD: Method = Method::POST;

    pub(super) fn new(target: Target<'_>, user_agent: &str, cookies: &Cookies, body: Body) -> Self {
        let mut headers = HeaderMap::with_capacity(10);
        let content = match &body {
            Body::Connect => None,
            Body::PushSetup(bytes) => Some((PUSH_SETUP, bytes.len() as u64)),
            Body::PushStart { content_length } => Some((PUSH_START, *content_length)),
        };
        if let Some((content_type, _)) = content {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            if let Some(schemes) = accept_header(target.schemes) {
                headers.insert(X_ACCEPT_AUTHENTICATION, schemes);
            }
        }
        if let Ok(user_agent) = HeaderValue::from_str(user_agent) {
            headers.insert(USER_AGENT, user_agent);
        }
        match content {
            Some((_, content_length)) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(content_length));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                headers.insert(COOKIE, cookies.header());
            }
            None => {
                headers.insert(PROXY_CONNECTION, HeaderValue::from_static("Keep-Alive"));
            }
        }
        Self {
            url: target.url.clone(),
            proxy: target.proxy.cloned(),
            fresh: false,
            headers,
            body,
            secrets: Secrets::default(),
        }
    }

    /// Returns the URL for a log, without secrets, which a redirection may have put into it.
    pub fn shown_url(&self) -> String {
        self.secrets.redact(self.url.as_str())
    }

    /// Returns the request target (RFC 9112 section 3.2).
    ///
    /// It is host and port for CONNECT, the whole URL for a forwarding proxy, and the path otherwise.
    pub fn target(&self) -> String {
        match (&self.body, &self.proxy) {
            (Body::Connect, _) => authority(&self.url),
            (_, Some(_)) if !is_encrypted(&self.url) => absolute_form(&self.url),
            _ => origin_form(&self.url),
        }
    }

    /// Returns the request line and the header fields (RFC 9112 section 3), in the title case that old servers expect.
    /// Host is the last field.
    pub fn head(&self) -> Bytes {
        let target = self.target();
        let mut head = BytesMut::with_capacity(1024);
        let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| head.put_slice(piece));
        put(&[
            self.body.method().as_str().as_bytes(),
            b" ",
            target.as_bytes(),
            b" HTTP/1.1\r\n",
        ]);
        for (name, value) in &self.headers {
            put(&[
                title_case(name).as_bytes(),
                b": ",
                value.as_bytes(),
                b"\r\n",
            ]);
        }
        let host = match self.body {
            Body::Connect => &target,
            _ => &self.url[Position::BeforeHost..Position::AfterPort],
        };
        put(&[b"Host: ", host.as_bytes(), b"\r\n\r\n"]);
        head.freeze()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxy = self.proxy.as_ref();
        f.debug_struct("Request")
            .field("url", &self.shown_url())
            .field("proxy", &proxy.map(|url| self.secrets.redact(url.as_str())))
            .field("fresh", &self.fresh)
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish()
    }
}

/// Returns the request target for the server itself (RFC 9112 section 3.2.1 origin-form).
pub(super) fn origin_form(url: &Url) -> String {
    url[Position::BeforePath..Position::AfterQuery].to_owned()
}

/// Returns the request target for a forwarding proxy (RFC 9112 section 3.2.2 absolute-form).
pub(super) fn absolute_form(url: &Url) -> String {
    url[..Position::AfterQuery].to_owned()
}

/// Returns the request target of CONNECT, which always includes the port (RFC 9112 section 3.2.3 authority-form).
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{host}:{port}")
}

/// Returns whether requests to `url` use TLS.
pub(super) fn is_encrypted(url: &Url) -> bool {
    url.scheme() == "https"
}

/// The destination of a request, and the schemes that may authenticate it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) url: &'a Url,
    pub(super) proxy: Option<&'a Url>,
    pub(super) schemes: Schemes,
}

/// The response to a [`Request`]. `Debug` hides its fields, because they contain the push-id.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The reason phrase as the server wrote it.
    pub reason: String,
    /// All header fields.
    pub headers: HeaderMap,
    /// The beginning of the body, at most 16 KiB.
    pub body: Bytes,
}

impl Response {
    /// Returns this response as an error. Only proxies send 407; any other status counts as the server's.
    pub fn refusal(&self) -> Error {
        self.refusal_by(match self.status {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Role::Proxy,
            _ => Role::Server,
        })
    }

    /// Returns this response as an error of `role`.
    pub(super) fn refusal_by(&self, role: Role) -> Error {
        Error::Refused {
            role,
            status: self.status,
            reason: self.reason.clone(),
            server: server_name(&self.headers),
            retry_after: retry_after(&self.headers),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("headers", &format_args!("{} fields", self.headers.len()))
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

/// Returns the Server field; empty if it is missing.
pub(super) fn server_name(headers: &HeaderMap) -> String {
    let value = headers.get(SERVER).map(HeaderValue::as_bytes);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, proxy: Option<&str>, body: Body) -> Request {
        let url = url.parse().unwrap();
        let proxy = proxy.map(|proxy| proxy.parse().unwrap());
        let target = Target {
            url: &url,
            proxy: proxy.as_ref(),
            schemes: Schemes::ALL,
        };
        Request::new(target, "WMEncoder/12.0", &Cookies::default(), body)
    }

    /// RFC 9110 section 9.3.6 CONNECT, RFC 9112 section 3.2.3 authority-form
    #[test]
    fn connect_names_host_and_port_only() {
        for (url, authority) in [
            ("https://media/live?a=b#c", "media:443"),
            ("https://media:8443/live", "media:8443"),
            ("https://[::1]/live", "[::1]:443"),
            ("https://b%C3%BCcher.example/", "xn--bcher-kva.example:443"),
        ] {
            let request = request(url, Some("http://proxy:3128/"), Body::Connect);
            let expected = format!(
                "CONNECT {authority} HTTP/1.1\r\nUser-Agent: WMEncoder/12.0\r\n\
                 Proxy-Connection: Keep-Alive\r\nHost: {authority}\r\n\r\n"
            );
            assert_eq!(request.head(), expected.as_bytes());
        }
    }

    /// RFC 9112 section 3.2 Request Target
    #[test]
    fn a_target_has_the_form_for_the_next_hop() {
        let proxy = Some("http://proxy:3128/");
        for (url, proxy, target) in [
            ("http://media/live?a=b#c", None, "/live?a=b"),
            ("http://media/live?a=b#c", proxy, "http://media/live?a=b"),
            ("https://media/live?a=b#c", None, "/live?a=b"),
            ("https://media/live?a=b#c", proxy, "/live?a=b"),
        ] {
            let request = request(url, proxy, Body::PushStart { content_length: 9 });
            let head = String::from_utf8(request.head().to_vec()).unwrap();
            let line = format!("POST {target} HTTP/1.1\r\n");
            assert!(head.starts_with(&line), "{head}");
            assert!(head.ends_with("\r\nHost: media\r\n\r\n"), "{head}");
        }
    }
}
