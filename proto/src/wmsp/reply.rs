// SPDX-License-Identifier: MPL-2.0

//! The heads of responses, 2.2.2 Request Types and 3.2.5.2 Sending a Response.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA, SERVER,
};
use http::{HeaderMap, Response, StatusCode};

use super::{Opened, Players, Refusal};
use crate::wmhttp::server::SERVER_NAME;

/// 2.2.1.2.2 application/vnd.ms.wms-hdr.asfv1: only the ASF file header
const DESCRIPTION: HeaderValue = HeaderValue::from_static("application/vnd.ms.wms-hdr.asfv1");

/// 2.2.1.2.3 application/x-mms-framed: packets of 2.2.3 Packet Types
const FRAMED: HeaderValue = HeaderValue::from_static("application/x-mms-framed");

/// The Content-Type of an ASF file.
const ASF: HeaderValue = HeaderValue::from_static("video/x-ms-asf");

/// 2.2.1.4.8 features: a broadcast, in which players cannot seek.
const FEATURES: HeaderValue = HeaderValue::from_static("features=\"broadcast\"");

/// 2.2.1.7 Supported: the only feature that a server has to offer. Others concern playlists and speed.
const SUPPORTED: HeaderValue = HeaderValue::from_static("com.microsoft.wm.sswitch");

/// The methods that any client may use.
const METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, GET, HEAD, POST");

/// 2.2.2.1 Describe: returns the response with the packets in `body`. `entry` is the number of the playlist entry, which
/// 2.2.1.4.18 playlist-gen-id announces.
pub fn description(session: &Opened, entry: u32, body: Bytes) -> Response<Bytes> {
    let mut response = streaming(session, entry);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, DESCRIPTION);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = body;
    response
}

/// 2.2.2.6 Play: returns the head, with the number of the playlist entry. The packets follow until the connection is
/// closed.
pub fn playing(session: &Opened, entry: u32) -> Response<Bytes> {
    let mut response = streaming(session, entry);
    response.headers_mut().insert(CONTENT_TYPE, FRAMED);
    response
}

/// Returns the head of an endless ASF file, for clients without this protocol.
pub fn file() -> Response<Bytes> {
    let mut response = response(StatusCode::OK);
    response.headers_mut().insert(CONTENT_TYPE, ASF);
    response
}

/// Returns the response without a body to KeepAlive, Log, Stop and other requests.
pub fn done(session: Option<&Opened>) -> Response<Bytes> {
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    let all = HeaderValue::from_static("OPTIONS, GET, POST");
    headers.insert(HeaderName::from_static("public"), all);
    if let Some(session) = session {
        put_session(headers, session);
    }
    response
}

/// Returns the response to OPTIONS of clients without this protocol.
pub fn options() -> Response<Bytes> {
    let mut response = empty(StatusCode::OK);
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

/// Returns an HTTP error.
pub fn refused(refusal: Refusal) -> Response<Bytes> {
    empty(refusal.status())
}

/// Returns 405 with the permitted methods.
pub fn method_not_allowed() -> Response<Bytes> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, METHODS);
    response
}

/// Returns a response that consists of this body.
pub fn document(content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = response(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = body;
    response
}

fn streaming(session: &Opened, entry: u32) -> Response<Bytes> {
    let mut response = response(StatusCode::OK);
    let headers = response.headers_mut();
    put_session(headers, session);
    headers.append(PRAGMA, FEATURES);
    put_pragma(headers, &format!("playlist-gen-id={entry}"));
    response
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = response(status);
    let none = HeaderValue::from(0);
    response.headers_mut().insert(CONTENT_LENGTH, none);
    response
}

fn response(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let no_cache = HeaderValue::from_static("no-cache");
    let headers = response.headers_mut();
    headers.insert(SERVER, SERVER_NAME);
    headers.insert(CACHE_CONTROL, no_cache.clone());
    headers.insert(PRAGMA, no_cache);
    headers.insert(HeaderName::from_static("supported"), SUPPORTED);
    response
}

/// 3.2.5.2 Sending a Response: adds client-id, timeout and, if necessary, xResetStrm, each in a field of its own, as in
/// example 4.11.
fn put_session(headers: &mut HeaderMap, session: &Opened) {
    put_pragma(headers, &format!("client-id={}", session.client_id));
    let timeout = Players::ANNOUNCED_TIMEOUT.as_millis();
    put_pragma(headers, &format!("timeout={timeout}"));
    if session.reset {
        put_pragma(headers, "xResetStrm=1");
    }
}

fn put_pragma(headers: &mut HeaderMap, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(PRAGMA, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pragmas(response: &Response<Bytes>) -> Vec<&str> {
        let fields = response.headers().get_all(PRAGMA).iter();
        fields.map(|field| field.to_str().unwrap()).collect()
    }

    const SESSION: Opened = Opened {
        client_id: 1_543_854_732,
        reset: false,
    };

    /// 2.2.2.1 Describe
    #[test]
    fn a_description_has_all_required_fields() {
        let response = description(&SESSION, 1, Bytes::from_static(b"$H"));
        assert_eq!(
            pragmas(&response),
            [
                "no-cache",
                "client-id=1543854732",
                "timeout=55000",
                "features=\"broadcast\"",
                "playlist-gen-id=1"
            ]
        );
        let headers = response.headers();
        assert_eq!(headers[CONTENT_TYPE], "application/vnd.ms.wms-hdr.asfv1");
        assert_eq!(headers[CONTENT_LENGTH], "2");
        assert_eq!(headers[CACHE_CONTROL], "no-cache");
    }

    /// 2.2.2.6 Play
    #[test]
    fn a_play_response_has_no_length() {
        let reset = Opened {
            reset: true,
            ..SESSION
        };
        let response = playing(&reset, 2);
        assert!(pragmas(&response).contains(&"xResetStrm=1"));
        let headers = response.headers();
        assert_eq!(headers[CONTENT_TYPE], "application/x-mms-framed");
        assert!(!headers.contains_key(CONTENT_LENGTH));
    }

    /// 2.2.2.3.2 Pipelined Mode
    #[test]
    fn a_keep_alive_is_answered_without_a_body() {
        let response = done(Some(&SESSION));
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_LENGTH], "0");
        assert!(pragmas(&response).contains(&"client-id=1543854732"));
        assert_eq!(pragmas(&done(None)), ["no-cache"]);
    }
}
