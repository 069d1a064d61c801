// SPDX-License-Identifier: MPL-2.0

//! Parsing and writing of HTTP/1.x messages.

use std::fmt;
use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Uri, Version};

use wmspush_proto::wmhttp::server::point_name;
use wmspush_proto::wmhttp::title_case;

/// Size of the head of a request in bytes, at most.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// Longest path of a request in bytes, because the names of points are stored and shown.
pub(super) const MAX_PATH: usize = 1024;

/// Characters to show of a path that is too long.
const MAX_SHOWN: usize = 60;

/// Header fields of a request, at most.
const MAX_HEADERS: usize = 64;

/// The reason why the received bytes are not served as a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHead {
    /// A TLS handshake.
    Tls,
    /// The preface of HTTP/2.
    Http2,
    /// A request of another version of HTTP, or of a similar protocol.
    Version,
    /// A request of RTSP.
    Rtsp,
    /// The first message of MMS over TCP, MS-MMSP 2.2.3 TcpMessageHeader.
    Mms,
    /// The head is larger than [`MAX_HEAD`], or has more than [`MAX_HEADERS`] fields.
    TooLarge,
    /// The head was not complete within the time limit.
    TooSlow,
    /// Anything else.
    Malformed,
}

impl BadHead {
    /// Returns the reason why httparse rejects `input`.
    fn of(input: &[u8], error: httparse::Error) -> Self {
        let first_line = input.split(|byte| *byte == b'\r').next();
        match input {
            [0x16, 3, ..] => Self::Tls,
            [1, 0, 0, 0, 0xCE, 0xFA, 0x0B, 0xB0, ..] => Self::Mms,
            _ if input.starts_with(b"PRI * HTTP/2") => Self::Http2,
            _ if first_line.is_some_and(|line| line.ends_with(b" RTSP/1.0")) => Self::Rtsp,
            _ if error == httparse::Error::TooManyHeaders => Self::TooLarge,
            _ if error == httparse::Error::Version => Self::Version,
            _ => Self::Malformed,
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Http2 | Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Tls | Self::Rtsp | Self::Mms | Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for BadHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls => f.write_str(
                "the client speaks TLS, but this port has none: use http:// in place of https://",
            ),
            Self::Http2 => f.write_str("the client speaks HTTP/2, but this port has HTTP/1.1 only"),
            Self::Rtsp => f.write_str(
                "the client speaks RTSP, but this port has HTTP only: use mmsh:// or http://",
            ),
            Self::Mms => f.write_str(
                "the client speaks MMS over TCP, but this port has HTTP only: use mmsh://",
            ),
            Self::TooLarge => write!(
                f,
                "the head of the request has more than {MAX_HEAD} bytes or {MAX_HEADERS} fields"
            ),
            Self::Version => f.write_str("the request is of neither HTTP/1.0 nor HTTP/1.1"),
            Self::TooSlow => f.write_str("the head of the request is too slow"),
            Self::Malformed => f.write_str("not the head of an HTTP request"),
        }
    }
}

/// Removes the head of a request from `input`. Returns it parsed and as received; `None` if it is incomplete.
pub(super) fn take_head(input: &mut BytesMut) -> Result<Option<(Request<()>, Bytes)>, BadHead> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(input) {
        Ok(httparse::Status::Complete(size)) if size <= MAX_HEAD => {
            let request = request(&parsed).ok_or(BadHead::Malformed)?;
            Ok(Some((request, input.split_to(size).freeze())))
        }
        Ok(httparse::Status::Partial) if input.len() < MAX_HEAD => Ok(None),
        Ok(_) => Err(BadHead::TooLarge),
        Err(error) => Err(BadHead::of(input, error)),
    }
}

fn request(parsed: &httparse::Request<'_, '_>) -> Option<Request<()>> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    *request.uri_mut() = Uri::try_from(parsed.path?).ok()?;
    *request.version_mut() = match parsed.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(header.value).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

/// Returns whether a body follows the head. Unread, it would be taken for the next request.
pub(super) fn has_body(request: &Request<()>) -> bool {
    let headers = request.headers();
    let length = headers.get(CONTENT_LENGTH);
    headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
}

/// Returns the name of the publishing point that a request is about. Of a path that is too long it is the beginning.
pub(super) fn point_of(request: &Request<()>) -> String {
    let path = request.uri().path();
    if path.len() <= MAX_PATH {
        return point_name(path);
    }
    let beginning: String = path.chars().take(MAX_SHOWN).collect();
    point_name(&beginning) + "…"
}

/// Returns the bytes of a response. Date follows Content-Length, as in example 4.8, or is the last field.
pub(super) fn response_bytes(
    version: Version,
    reason: &str,
    response: &Response<Bytes>,
    time: SystemTime,
) -> BytesMut {
    let status = response.status();
    let reason = match reason {
        "" => status.canonical_reason().unwrap_or("Unknown"),
        given => given,
    };
    let mut out = BytesMut::with_capacity(512);
    let date = format!("Date: {}\r\n", httpdate::fmt_http_date(time));
    let line = format!("{version:?} {} {reason}\r\n", status.as_u16());
    out.put_slice(line.as_bytes());
    for (name, value) in response.headers() {
        out.put_slice(title_case(name).as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
        if name == CONTENT_LENGTH {
            out.put_slice(date.as_bytes());
        }
    }
    if !response.headers().contains_key(CONTENT_LENGTH) {
        out.put_slice(date.as_bytes());
    }
    out.put_slice(b"\r\n");
    out.put_slice(response.body());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_removed_without_the_body() {
        let wire = "POST /live HTTP/1.1\r\nHost: a\r\ncontent-length: 3\r\n\r\n$H\x01";
        let mut input = BytesMut::from(wire);
        let (request, head) = take_head(&mut input).unwrap().unwrap();
        assert_eq!(request.uri(), "/live");
        assert_eq!(request.headers()["content-length"], "3");
        assert_eq!(head.len(), wire.len() - 3);
        assert_eq!(input, "$H\x01");
    }

    #[test]
    fn a_head_is_complete_at_its_empty_line_only() {
        let wire = b"POST / HTTP/1.0\r\nHost: a\r\n\r\n";
        for end in 0..wire.len() {
            assert_eq!(
                take_head(&mut BytesMut::from(&wire[..end])).map(|head| head.is_some()),
                Ok(false),
                "{end}"
            );
        }
    }

    #[test]
    fn an_endless_head_is_refused() {
        let mut wire = b"POST / HTTP/1.1\r\nA: ".to_vec();
        wire.resize(MAX_HEAD, b'a');
        assert_eq!(
            take_head(&mut BytesMut::from(&wire[..])).unwrap_err(),
            BadHead::TooLarge
        );
        let many = format!("POST / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65));
        assert_eq!(
            take_head(&mut BytesMut::from(many.as_str())).unwrap_err(),
            BadHead::TooLarge
        );
    }

    #[test]
    fn another_protocol_is_named() {
        for (wire, expected) in [
            (&b"\x16\x03\x01\x02\0\x01"[..], BadHead::Tls),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BadHead::Http2),
            (
                b"OPTIONS rtsp://a/live RTSP/1.0\r\nCSeq: 1\r\n\r\n",
                BadHead::Rtsp,
            ),
            (b"\x01\0\0\0\xce\xfa\x0b\xb0\x90\0\0\0MMS ", BadHead::Mms),
            (b"GET / HTTP/1.2\r\n\r\n", BadHead::Version),
            (b"SOURCE /live ICE/1.0\r\n\r\n", BadHead::Version),
            (b"\x05\x01\0", BadHead::Malformed),
            (b"$H\x04\0", BadHead::Malformed),
        ] {
            let bad = take_head(&mut BytesMut::from(wire)).unwrap_err();
            assert_eq!(bad, expected);
        }
    }

    #[test]
    fn the_empty_name_of_an_old_encoder_is_a_path() {
        let mut input = BytesMut::from("POST // HTTP/1.1\r\nHost: a\r\n\r\n");
        let (request, _) = take_head(&mut input).unwrap().unwrap();
        assert_eq!(request.uri().path(), "//");
    }

    #[test]
    fn header_names_are_in_title_case() {
        let mut response = Response::new(Bytes::from_static(b"body"));
        let headers = response.headers_mut();
        headers.insert("www-authenticate", HeaderValue::from_static("Digest"));
        headers.insert("content-length", HeaderValue::from_static("4"));
        headers.insert("set-cookie", HeaderValue::from_static("push-id=1"));
        let wire = response_bytes(Version::HTTP_10, "Fine", &response, SystemTime::UNIX_EPOCH);
        assert_eq!(
            wire,
            "HTTP/1.0 200 Fine\r\n\
             WWW-Authenticate: Digest\r\n\
             Content-Length: 4\r\n\
             Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
             Set-Cookie: push-id=1\r\n\r\nbody"
        );
    }
}
