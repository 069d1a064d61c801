// SPDX-License-Identifier: MPL-2.0

//! The settings of a session, its entropy, the content for it, and the messages between the two halves.

use std::time::SystemTime;

use bytes::Bytes;
use wmspush_proto::asf::{DataPacket, FileHeader};
use wmspush_proto::wmhttp::{
    Entropy, HResult, Offer, PushSession, Request, Response, SessionConfig,
};

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

/// Content that a writer offers to a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Offered {
    Header(FileHeader),
    Data(DataPacket),
    End,
}

impl Offered {
    /// Offers the content. Returns it if the session cannot accept it now.
    pub fn offer_to(self, client: &mut PushSession) -> Option<Self> {
        match self {
            Self::Header(header) => held(client.start_streaming(header)).map(Self::Header),
            Self::Data(packet) => held(client.data_unit(packet)).map(Self::Data),
            Self::End => held(client.end_of_stream(HResult::S_OK)).map(|_| Self::End),
        }
    }
}

fn held<T>(offer: Offer<T>) -> Option<T> {
    match offer {
        Offer::Held(content) => Some(content),
        Offer::Taken => None,
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
