// SPDX-License-Identifier: MPL-2.0

//! The two requests of MS-WMHTTP 2.2.2 and their responses.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, USER_AGENT,
};
use http::{Method, StatusCode};
use url::{Position, Url};

use crate::auth::{Schemes, accept_header};

use super::Error;
use super::header::{
    Cookies, PUSH_SETUP, PUSH_START, X_ACCEPT_AUTHENTICATION, retry_after, title_case,
};

/// 2.2.2 Request Types: always a POST.
#[derive(Debug)]
pub struct Request {
    /// The publishing point.
    pub url: Url,
    /// The proxy that it goes through.
    pub proxy: Option<Url>,
    /// What the proxy is told where it only makes a tunnel.
    pub tunnel_authorization: Option<HeaderValue>,
    /// It has to go on a new connection.
    pub fresh: bool,
    /// All header fields but Host, which follows from `url`, in the order of example 4.8.
    pub headers: HeaderMap,
    /// What follows the header.
    pub body: Body,
}

/// The body of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// 2.2.2.1 PushSetup Request: a few bytes, or none.
    PushSetup(Bytes),
    /// 2.2.2.2 PushStart Request: so many bytes of packets that come one by one.
    PushStart {
        /// Content-Length, and Length-Remaining at its start.
        content_length: u64,
    },
}

impl Request {
    /// The method of every request (C-019).
    pub const METHOD: Method = Method::POST;

    pub(super) fn new(target: Target<'_>, user_agent: &str, cookies: &Cookies, body: Body) -> Self {
        let (content_type, content_length) = match &body {
            Body::PushSetup(bytes) => (PUSH_SETUP, bytes.len() as u64),
            Body::PushStart { content_length } => (PUSH_START, *content_length),
        };
        let mut headers = HeaderMap::with_capacity(10);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(schemes) = accept_header(target.schemes) {
            headers.insert(X_ACCEPT_AUTHENTICATION, schemes);
        }
        if let Ok(user_agent) = HeaderValue::from_str(user_agent) {
            headers.insert(USER_AGENT, user_agent);
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(content_length));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(COOKIE, cookies.header());
        Self {
            url: target.url.clone(),
            proxy: target.proxy.cloned(),
            tunnel_authorization: target.tunnel_authorization.cloned(),
            fresh: false,
            headers,
            body,
        }
    }
}

impl Request {
    /// RFC 9112 section 3: what stands in front of the body, with the names of fields as old servers know them, and Host
    /// behind them.
    ///
    /// What goes through a proxy names the whole URL.
    pub fn head(&self) -> Bytes {
        let target = match self.proxy {
            Some(_) => &self.url[..Position::AfterQuery],
            None => &self.url[Position::BeforePath..Position::AfterQuery],
        };
        let mut head = BytesMut::with_capacity(1024);
        let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| head.put_slice(piece));
        put(&[
            Self::METHOD.as_str().as_bytes(),
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
        let host = &self.url[Position::BeforeHost..Position::AfterPort];
        put(&[b"Host: ", host.as_bytes(), b"\r\n\r\n"]);
        head.freeze()
    }
}

/// Where a request goes, and what may let it in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) url: &'a Url,
    pub(super) proxy: Option<&'a Url>,
    pub(super) tunnel_authorization: Option<&'a HeaderValue>,
    pub(super) schemes: Schemes,
}

/// What a server answers to a [`Request`]. `Debug` does not show its fields, since a push-id is in them.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The reason phrase as the server wrote it.
    pub reason: String,
    /// All header fields.
    pub headers: HeaderMap,
    /// The beginning of the body, if there is one.
    pub body: Bytes,
}

impl Response {
    /// The error that this response is when it cannot be taken any other way.
    pub(crate) fn refusal(&self) -> Error {
        Error::Refused {
            status: self.status,
            reason: self.reason.clone(),
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
