// SPDX-License-Identifier: MPL-2.0

//! The head of a request: its kind, and the checks that it has to pass.

use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING,
    USER_AGENT,
};
use http::{Method, Request, Version};

use super::{Refusal, point_name};
use crate::auth::{Challenged, Guard, RequestLine, Scheme, Schemes};
use crate::wmhttp::header::{X_ACCEPT_AUTHENTICATION, decimal};
use crate::wmhttp::{PUSH_SETUP, PUSH_START, PushId, requested_push_id};

/// Characters to keep of an encoder's User-Agent, at most.
const MAX_USER_AGENT: usize = 200;

/// The kind of a request (2.2.2 Request Types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// 2.2.2.1 PushSetup Request
    PushSetup,
    /// 2.2.2.2 PushStart Request
    PushStart,
}

/// The valid head of a request, for [`Sessions`](super::Sessions).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRequest {
    pub(super) kind: RequestKind,
    pub(super) point: String,
    pub(super) push_id: Option<PushId>,
    pub(super) content_length: u64,
    pub(super) user_agent: String,
    pub(super) access: AccessRequest,
}

/// The part of a request that concerns authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    method: Method,
    uri: String,
    /// Authorization only. It is marked sensitive.
    headers: HeaderMap,
    accepted: Schemes,
}

impl AccessRequest {
    /// Extracts it from any request.
    pub fn of(request: &Request<()>) -> Self {
        let mut headers = HeaderMap::new();
        for value in request.headers().get_all(AUTHORIZATION) {
            let mut value = value.clone();
            value.set_sensitive(true);
            headers.append(AUTHORIZATION, value);
        }
        Self {
            method: request.method().clone(),
            uri: request.uri().to_string(),
            headers,
            accepted: accepted(request.headers()),
        }
    }

    pub(super) fn check(&self, guard: &mut Guard, now: Duration) -> Result<(), Challenged> {
        let line = RequestLine {
            method: &self.method,
            uri: &self.uri,
            is_push_start: false,
        };
        guard.check(line, &self.headers, self.accepted, now)
    }
}

/// 2.2.1.9 X-Accept-Authentication; if it is missing, the client accepts any scheme (3.2.5.1 Receiving a PushSetup
/// Request).
fn accepted(headers: &HeaderMap) -> Schemes {
    if !headers.contains_key(X_ACCEPT_AUTHENTICATION) {
        return Schemes::ALL;
    }
    let fields = headers.get_all(X_ACCEPT_AUTHENTICATION).iter();
    fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .filter_map(|name| Scheme::from_name(name.trim()))
        .collect()
}

impl PushRequest {
    /// Checks the request line and the header fields (3.2.5.1 Receiving a PushSetup Request, 3.2.5.2 Receiving a
    /// PushStart Request).
    ///
    /// # Errors
    ///
    /// Refuses a request that does not follow the specification. Only the beginning of User-Agent is checked, because
    /// real encoders exceed the grammar of 2.2.1.8 User-Agent (D-7).
    pub fn new(request: &Request<()>) -> Result<Self, Refusal> {
        let headers = request.headers();
        if request.method() != Method::POST {
            return Err(Refusal::Method);
        }
        let user_agent = user_agent(headers, MAX_USER_AGENT).unwrap_or_default();
        if !user_agent.starts_with("WMEncoder/") {
            return Err(Refusal::NotAnEncoder);
        }
        if request.version() == Version::HTTP_11 && !headers.contains_key(HOST) {
            return Err(Refusal::HostMissing);
        }
        let kind = kind(headers)?;
        Ok(Self {
            kind,
            point: point_name(request.uri().path()),
            push_id: requested_push_id(headers).map_err(Refusal::PushId)?,
            content_length: content_length(headers)?,
            user_agent,
            access: AccessRequest::of(request),
        })
    }

    /// Checks that the request is of this kind: each has its own Content-Type.
    pub(super) fn check_kind(&self, kind: RequestKind) -> Result<(), Refusal> {
        match self.kind == kind {
            true => Ok(()),
            false => Err(Refusal::ContentType),
        }
    }

    /// Returns the kind of the request.
    pub fn kind(&self) -> RequestKind {
        self.kind
    }

    /// Returns the [name](point_name) of the publishing point, from the path of the Request-URI (2.2.2.1 PushSetup
    /// Request).
    pub fn point(&self) -> &str {
        &self.point
    }

    /// Returns the size of the message body in bytes.
    pub fn content_length(&self) -> u64 {
        self.content_length
    }

    /// Returns 2.2.1.8 User-Agent.
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }
}

/// Returns User-Agent as text, up to this many characters; `None` if there is none.
pub fn user_agent(headers: &HeaderMap, max: usize) -> Option<String> {
    let text = String::from_utf8_lossy(headers.get(USER_AGENT)?.as_bytes());
    Some(text.chars().take(max).collect())
}

/// Returns the kind by 2.2.1.1 Content-Type, ignoring its parameters.
fn kind(headers: &HeaderMap) -> Result<RequestKind, Refusal> {
    let value = text(headers, CONTENT_TYPE).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(PUSH_SETUP) {
        Ok(RequestKind::PushSetup)
    } else if media_type.eq_ignore_ascii_case(PUSH_START) {
        Ok(RequestKind::PushStart)
    } else {
        Err(Refusal::ContentType)
    }
}

/// Returns Content-Length, which has to be a single number without a transfer coding (3.1.4.1.1 Sending the PushSetup
/// Request, 3.1.4.2.1 Sending the PushStart Request).
fn content_length(headers: &HeaderMap) -> Result<u64, Refusal> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::LengthRequired);
    }
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let value = values.next().ok_or(Refusal::LengthRequired)?;
    match decimal(value.to_str().unwrap_or_default()) {
        Some(length) if values.next().is_none() => Ok(length),
        _ => Err(Refusal::ContentLength),
    }
}

pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wmhttp::server::testing::request;

    fn refused(change: impl FnOnce(&mut Request<()>)) -> http::StatusCode {
        let mut request = request(PUSH_START, "4711", 100);
        change(&mut request);
        PushRequest::new(&request).unwrap_err().status()
    }

    /// 2.2.2.1 PushSetup Request, 2.2.2.2 PushStart Request
    #[test]
    fn a_request_names_its_kind_point_session_and_length() {
        let parsed = PushRequest::new(&request(PUSH_START, "4711", 100)).unwrap();
        assert_eq!(parsed.kind(), RequestKind::PushStart);
        assert_eq!(parsed.point(), "/live");
        assert_eq!(parsed.push_id, Some(PushId::new("4711").unwrap()));
        assert_eq!(parsed.content_length(), 100);
        assert!(parsed.user_agent().starts_with("WMEncoder/12.0"));
        let parsed = PushRequest::new(&request(PUSH_SETUP, "0", 0)).unwrap();
        assert_eq!(parsed.kind(), RequestKind::PushSetup);
    }

    /// RFC 9110 section 5.5 Field Values: other octets are opaque.
    #[test]
    fn a_user_agent_is_any_text_of_bounded_length() {
        let mut request = request(PUSH_SETUP, "0", 0);
        let long = format!("WMEncoder/12.0 Студия {}", "x".repeat(9000));
        let value = http::HeaderValue::from_bytes(long.as_bytes()).unwrap();
        request.headers_mut().insert(USER_AGENT, value);
        let parsed = PushRequest::new(&request).unwrap();
        assert!(parsed.user_agent().starts_with("WMEncoder/12.0 Студия x"));
        assert_eq!(parsed.user_agent().chars().count(), MAX_USER_AGENT);
    }

    /// 1.4, 2.2.2 Request Types
    #[test]
    fn methods_other_than_post_are_refused() {
        assert_eq!(refused(|request| *request.method_mut() = Method::GET), 405);
    }

    /// 2.2.1.1 Content-Type
    #[test]
    fn any_other_content_type_is_refused() {
        for other in ["text/plain", "application/x-wms-push", ""] {
            let status = refused(|request| {
                let value = other.parse().unwrap();
                request.headers_mut().insert(CONTENT_TYPE, value);
            });
            assert_eq!(status, 415, "{other}");
        }
    }

    /// 2.2.1.1 Content-Type
    #[test]
    fn a_charset_after_the_content_type_is_ignored() {
        let mut request = request(PUSH_START, "1", 0);
        let value = format!("{PUSH_START};charset=UTF-8").parse().unwrap();
        request.headers_mut().insert(CONTENT_TYPE, value);
        assert_eq!(
            PushRequest::new(&request).unwrap().kind(),
            RequestKind::PushStart
        );
    }

    /// 3.1.4.1.1 Sending the PushSetup Request, 3.1.4.2.1 Sending the PushStart Request
    #[test]
    fn a_body_has_one_content_length_and_no_coding() {
        for (length, status) in [("-1", 400), ("+1", 400), ("", 400), ("1x", 400)] {
            let refused = refused(|request| {
                let value = length.parse().unwrap();
                request.headers_mut().insert(CONTENT_LENGTH, value);
            });
            assert_eq!(refused, status, "{length}");
        }
        let twice = refused(|request| {
            let value = "100".parse().unwrap();
            request.headers_mut().append(CONTENT_LENGTH, value);
        });
        assert_eq!(twice, 400);
        let none = refused(|request| {
            request.headers_mut().remove(CONTENT_LENGTH);
        });
        assert_eq!(none, 411);
        let chunked = refused(|request| {
            let value = "chunked".parse().unwrap();
            request.headers_mut().insert(TRANSFER_ENCODING, value);
        });
        assert_eq!(chunked, 411);
    }

    /// RFC 2616 section 14.23 Host
    #[test]
    fn http_1_1_needs_a_host() {
        let without = |version| {
            let mut request = request(PUSH_START, "1", 0);
            *request.version_mut() = version;
            request.headers_mut().remove(HOST);
            PushRequest::new(&request).is_ok()
        };
        assert!(!without(Version::HTTP_11));
        assert!(without(Version::HTTP_10));
    }

    /// 3.2.5.1 Receiving a PushSetup Request and note <8>
    #[test]
    fn a_player_gets_a_playlist() {
        let mut request = request(PUSH_SETUP, "0", 0);
        let value = "NSPlayer/12.0".parse().unwrap();
        request.headers_mut().insert(USER_AGENT, value);
        let reply = PushRequest::new(&request).unwrap_err().reply(&request);
        assert_eq!(reply.response.status(), 200);
        let body = std::str::from_utf8(reply.response.body()).unwrap();
        assert!(body.contains("http://media.example/live"), "{body}");
    }
}
