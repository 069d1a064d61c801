// SPDX-License-Identifier: MPL-2.0

//! The settings of a session, its entropy, and the messages between the two halves.

use std::time::SystemTime;

use bytes::Bytes;
use wmspush_proto::wmhttp::{Entropy, Request, Response, SessionConfig};

pub fn config() -> SessionConfig {
    let url = "http://media:8080/live".parse().unwrap();
    SessionConfig {
        remove_padding: true,
        ..SessionConfig::new(url, "WMEncoder/12.0 test/1")
    }
}

/// Entropy with a fixed time and fixed bytes.
pub struct Fixed;

impl Entropy for Fixed {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn random(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// Converts a request like a transport does.
pub fn head(request: &Request) -> http::Request<()> {
    let mut head = http::Request::new(());
    *head.method_mut() = Request::METHOD;
    *head.uri_mut() = request.url.path().parse().unwrap();
    *head.headers_mut() = request.headers.clone();
    let host = request.url.authority().parse().unwrap();
    head.headers_mut().insert(http::header::HOST, host);
    head
}

pub fn response(response: &http::Response<Bytes>) -> Response {
    Response {
        status: response.status(),
        reason: response
            .status()
            .canonical_reason()
            .unwrap_or_default()
            .to_owned(),
        headers: response.headers().clone(),
        body: response.body().clone(),
    }
}
