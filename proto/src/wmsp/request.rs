// SPDX-License-Identifier: MPL-2.0

//! The head of a request: 2.2.2 Request Types.

use std::fmt;

use http::header::{CONTENT_TYPE, HeaderMap, USER_AGENT};
use http::{Method, Request, StatusCode};

use super::Selection;
use super::pragma::{number, token};

/// 2.2.1.8 User-Agent: the client product with this protocol, and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    name: &'static str,
    version: (u32, u32),
}

impl Agent {
    const NAMES: [&str; 3] = ["NSPlayer", "NSServer", "WMCacheProxy"];

    /// Parses User-Agent; `None` if the client does not use this protocol (3.2.5.1 Receiving a Request).
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(USER_AGENT)?.to_str().ok()?;
        let (name, version) = value.split_once('/')?;
        let name = Self::NAMES.into_iter().find(|known| *known == name)?;
        let mut parts = version.split(|character: char| !character.is_ascii_digit());
        let mut part = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        Some(Self {
            name,
            version: (part(), part()),
        })
    }

    /// 2.2.3.6 $M (Metadata): returns whether the player requires `$M`. Older players do not understand it.
    pub fn wants_metadata(self) -> bool {
        self.version >= (9, 0)
    }

    /// 2.2.3.3 $D (Data): returns whether the player requires padding.
    pub fn wants_padding(self) -> bool {
        self.name == "NSServer" && self.version < (5, 0)
    }
}

/// The kind of a request (2.2.2 Request Types).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerKind {
    /// 2.2.2.1 Describe: asks for the ASF file header.
    Describe,
    /// 2.2.2.6 Play: asks for the stream.
    Play,
    /// 2.2.2.2 GetContentInfo: asks for information about the content.
    GetContentInfo,
    /// 2.2.2.3.1 Non-Pipelined Mode: keeps the session.
    KeepAlive,
    /// 2.2.2.3.2 Pipelined Mode: KeepAlive by OPTIONS, which needs no session.
    Options,
    /// 2.2.2.4 Log: reports statistics.
    Log,
    /// 2.2.2.8 SelectStream: selects other streams.
    SelectStream,
    /// 2.2.2.9 SendEvent: reports an event.
    SendEvent,
    /// 2.2.2.10 Stop: ends streaming.
    Stop,
}

/// The reason why the server refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request is not in 2.2.2 Request Types, or belongs to the pipelined mode, which the server does not offer.
    Unknown,
    /// The client-id is unknown, or a required one is missing (3.2.5.1 Receiving a Request).
    UnknownSession,
    /// The session is streaming on another connection (3.2.5.4 Receiving a Describe Request, 3.2.5.6 Receiving a Play
    /// Request).
    Streaming,
    /// No encoder pushes to the publishing point.
    NoSource,
    /// The server has its maximum number of players.
    TooMany,
}

impl Refusal {
    /// Returns the status code.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unknown | Self::UnknownSession => StatusCode::BAD_REQUEST,
            Self::Streaming => StatusCode::CONFLICT,
            Self::NoSource => StatusCode::NOT_FOUND,
            Self::TooMany => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the player's request is not supported",
            Self::UnknownSession => "the client-id is unknown",
            Self::Streaming => "the session is already streaming",
            Self::NoSource => "no encoder pushes to the publishing point",
            Self::TooMany => "there are too many players",
        })
    }
}

impl std::error::Error for Refusal {}

/// The parsed head of a player's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayerRequest {
    /// The kind of the request.
    pub kind: PlayerKind,
    /// The client product and its version.
    pub agent: Agent,
    /// 2.2.1.4.5 client-id
    pub client_id: Option<u32>,
    /// 2.2.1.4.27 stream-switch-entry
    pub selection: Selection,
}

impl PlayerRequest {
    /// Parses a head; `None` if the request is not one of this protocol: from another client, or a push.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unknown`] for a request of this protocol that is not in 2.2.2 Request Types, or that belongs to the
    /// pipelined mode.
    pub fn new(request: &Request<()>) -> Option<Result<Self, Refusal>> {
        let headers = request.headers();
        let agent = Agent::of(headers)?;
        let kind = match *request.method() {
            Method::GET => get(headers),
            Method::POST if is_push(headers) => return None,
            Method::POST => post(headers),
            Method::OPTIONS => Some(PlayerKind::Options),
            _ => None,
        };
        Some(kind.ok_or(Refusal::Unknown).map(|kind| Self {
            kind,
            agent,
            client_id: number(headers, "client-id"),
            selection: Selection::of(headers),
        }))
    }
}

/// Returns whether the request is a push, by its Content-Type.
fn is_push(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("application/x-wms-push")
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}

/// Returns Describe or Play; `None` for PlayNextEntry and Pipeline, which belong to the pipelined mode.
fn get(headers: &HeaderMap) -> Option<PlayerKind> {
    let has = |name| token(headers, name).is_some();
    if has("xPlayNextEntry") || has("pipeline-request") {
        return None;
    }
    if number(headers, "xPlayStrm") == Some(1) {
        return Some(PlayerKind::Play);
    }
    (!has("stream-switch-entry")).then_some(PlayerKind::Describe)
}

fn post(headers: &HeaderMap) -> Option<PlayerKind> {
    let has = |name| token(headers, name).is_some();
    let content_type = content_type(headers);
    let is = |name: &str| content_type.starts_with(name);
    Some(if is("application/x-wms-getcontentinfo") {
        PlayerKind::GetContentInfo
    } else if is("application/x-wms-sendevent") {
        PlayerKind::SendEvent
    } else if is("application/x-wms-logstats") || has("log-line") {
        PlayerKind::Log
    } else if has("xKeepAliveInPause") {
        PlayerKind::KeepAlive
    } else if has("xStopStrm") {
        PlayerKind::Stop
    } else if has("stream-switch-entry") {
        PlayerKind::SelectStream
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(method: &str, fields: &[(&str, &str)]) -> Option<Result<PlayerRequest, Refusal>> {
        let mut request = Request::builder().method(method).uri("/live");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        PlayerRequest::new(&request.body(()).unwrap())
    }

    fn kind(method: &str, fields: &[(&str, &str)]) -> Result<PlayerKind, Refusal> {
        let fields = [&[("User-Agent", "NSPlayer/12.0.7680.0")], fields].concat();
        parsed(method, &fields).unwrap().map(|parsed| parsed.kind)
    }

    /// The Describe of 2.2.2.1 and the Play of 2.2.2.6; ffmpeg sends the latter without a required line end
    #[test]
    fn a_get_describes_or_plays() {
        let pragma = "no-cache,rate=1.000,stream-time=0,stream-offset=0:0,max-duration=0";
        assert_eq!(kind("GET", &[("Pragma", pragma)]), Ok(PlayerKind::Describe));
        let play = [
            ("Pragma", "xPlayStrm=1"),
            ("Pragma", "stream-switch-entry=ffff:1:0 ffff:2:0 "),
            ("Pragma", "no-cache,stream-time=0Connection: Close"),
        ];
        assert_eq!(kind("GET", &play), Ok(PlayerKind::Play));
        assert_eq!(
            kind("GET", &[("Pragma", "xPlayStrm=0")]),
            Ok(PlayerKind::Describe)
        );
    }

    /// 2.2.2.5 Pipeline, 2.2.2.7 PlayNextEntry
    #[test]
    fn the_pipelined_mode_is_refused() {
        for pragma in [
            "xPlayNextEntry=1",
            "pipeline-request=1",
            "stream-switch-entry=1:1:1",
        ] {
            assert_eq!(
                kind("GET", &[("Pragma", pragma)]),
                Err(Refusal::Unknown),
                "{pragma}"
            );
        }
        assert_eq!(kind("HEAD", &[]), Err(Refusal::Unknown));
        assert_eq!(kind("POST", &[]), Err(Refusal::Unknown));
    }

    /// 2.2.2.2 to 2.2.2.10
    #[test]
    fn a_post_is_identified_by_its_content_type_or_token() {
        for (name, value, expected) in [
            ("Pragma", "xKeepAliveInPause=1", PlayerKind::KeepAlive),
            ("Pragma", "log-line=a b", PlayerKind::Log),
            (
                "Content-Type",
                "application/x-wms-LogStats",
                PlayerKind::Log,
            ),
            (
                "Content-Type",
                "application/x-wms-sendevent",
                PlayerKind::SendEvent,
            ),
            (
                "Content-Type",
                "application/x-wms-getcontentinfo",
                PlayerKind::GetContentInfo,
            ),
            ("Pragma", "xStopStrm=1", PlayerKind::Stop),
            (
                "Pragma",
                "stream-switch-entry=1:1:1",
                PlayerKind::SelectStream,
            ),
        ] {
            assert_eq!(kind("POST", &[(name, value)]), Ok(expected), "{value}");
        }
        assert_eq!(kind("OPTIONS", &[]), Ok(PlayerKind::Options));
    }

    /// 2.2.1.8 User-Agent, 2.2.3.3 $D (Data), 2.2.3.6 $M (Metadata)
    #[test]
    fn versions_decide_on_metadata_and_padding() {
        for (user_agent, metadata, padding) in [
            ("NSPlayer/12.0.7680.0", true, false),
            ("NSPlayer/9.0", true, false),
            ("NSPlayer/7.10.0.3059", false, false),
            ("NSPlayer/4.1.0.3856", false, false),
            ("NSServer/4.1.0.3856", false, true),
            ("NSServer/9.0.0.3171", true, false),
            ("WMCacheProxy/9.0", true, false),
            ("NSPlayer/", false, false),
        ] {
            let parsed = parsed("GET", &[("User-Agent", user_agent)]);
            let agent = parsed.unwrap().unwrap().agent;
            assert_eq!(agent.wants_metadata(), metadata, "{user_agent}");
            assert_eq!(agent.wants_padding(), padding, "{user_agent}");
        }
    }

    /// 3.2.5.1 Receiving a Request
    #[test]
    fn other_clients_do_not_use_this_protocol() {
        for user_agent in ["Lavf/59", "WMEncoder/12.0", "NSPlayers/1.0", ""] {
            assert_eq!(parsed("GET", &[("User-Agent", user_agent)]), None);
        }
        let push = [
            ("User-Agent", "NSPlayer/12.0"),
            ("Content-Type", "application/x-wms-pushsetup"),
        ];
        assert_eq!(parsed("POST", &push), None);
    }
}
