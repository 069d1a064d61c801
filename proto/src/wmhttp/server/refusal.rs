// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use http::{Request, StatusCode};

use super::Reply;
use crate::auth::Challenged;
use crate::wmhttp::{BadPushId, BadSetupBody};

/// The reason why the server refuses a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The method is not POST (2.2.2 Request Types).
    Method,
    /// User-Agent does not begin with `WMEncoder/` (3.2.5.1 Receiving a PushSetup Request).
    NotAnEncoder,
    /// HTTP/1.1 without Host (RFC 2616 section 14.23).
    HostMissing,
    /// Content-Type is not that of PushSetup or PushStart (2.2.1.1).
    ContentType,
    /// Content-Length is missing, or there is a transfer coding (3.1.4.1.1 Sending the PushSetup Request, 3.1.4.2.1
    /// Sending the PushStart Request).
    LengthRequired,
    /// Content-Length is not a number, or is repeated.
    ContentLength,
    /// The push-id does not follow 2.2.1.3.1 push-id.
    PushId(BadPushId),
    /// The body of the PushSetup does not follow 2.2.2.1 PushSetup Request.
    SetupBody(BadSetupBody),
    /// The push-id is unknown or missing (3.2.5.1 Receiving a PushSetup Request, 3.2.5.2 Receiving a PushStart
    /// Request).
    UnknownSession,
    /// The publishing point does not exist, has no existing template, or is not the session's.
    UnknownPoint,
    /// The session or its publishing point already receives on another connection.
    Busy,
    /// The server has [`Sessions::MAX`](super::Sessions::MAX) sessions.
    TooManySessions,
    /// The credentials are missing, or match no account (3.2.5.1 Receiving a PushSetup Request, 3.2.5.2 Receiving a
    /// PushStart Request).
    Unauthorised(Challenged),
    /// The publishing point is on another server (3.2.5.1 Receiving a PushSetup Request).
    Redirected(Redirect),
}

/// The destination of a redirection (3.2.5.1 Receiving a PushSetup Request).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The URL of the other server, or of the proxy.
    pub location: String,
    /// True if the client has to use `location` as its proxy: 305 instead of 302.
    pub is_proxy: bool,
}

impl Refusal {
    /// Returns the status code.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAnEncoder => StatusCode::OK,
            Self::HostMissing
            | Self::ContentLength
            | Self::PushId(_)
            | Self::SetupBody(_)
            | Self::UnknownSession => StatusCode::BAD_REQUEST,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Self::UnknownPoint => StatusCode::NOT_FOUND,
            Self::Busy => StatusCode::CONFLICT,
            Self::TooManySessions => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthorised(_) => StatusCode::UNAUTHORIZED,
            Self::Redirected(redirect) if redirect.is_proxy => StatusCode::USE_PROXY,
            Self::Redirected(_) => StatusCode::FOUND,
        }
    }

    /// Returns the response to `request`. The connection closes after it, because the body may be unread. After a
    /// challenge it stays open.
    pub fn reply(&self, request: &Request<()>) -> Reply {
        match self {
            Self::NotAnEncoder => Reply::announcement(request),
            Self::Method => Reply::method_not_allowed(),
            Self::Unauthorised(challenged) => Reply::challenge(challenged),
            Self::Redirected(redirect) => Reply::redirect(redirect),
            _ => Reply::last(self.status()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "the method is not POST",
            Self::NotAnEncoder => {
                "the client gets a playlist, because its User-Agent is not that of an encoder"
            }
            Self::HostMissing => "Host is missing",
            Self::ContentType => "Content-Type is neither that of PushSetup nor of PushStart",
            Self::LengthRequired => "Content-Length is missing",
            Self::ContentLength => "Content-Length is not one number",
            Self::PushId(error) => return fmt::Display::fmt(error, f),
            Self::SetupBody(error) => return fmt::Display::fmt(error, f),
            Self::UnknownSession => "no session has the push-id",
            Self::UnknownPoint => "there is no such publishing point",
            Self::Busy => "the publishing point already receives",
            Self::TooManySessions => "there are too many sessions",
            Self::Unauthorised(_) => "the credentials of an account are required",
            Self::Redirected(_) => "the publishing point is on another server",
        })
    }
}

impl std::error::Error for Refusal {}
