// SPDX-License-Identifier: MPL-2.0

use std::fmt;

use http::{Request, StatusCode};

use super::Reply;
use crate::auth::Challenged;
use crate::wmhttp::Error;

/// Why a request is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The method is not POST (2.2.2).
    Method,
    /// User-Agent does not begin with `WMEncoder/` (3.2.5.1).
    NotAnEncoder,
    /// HTTP/1.1 without Host (RFC 2616 section 14.23).
    HostMissing,
    /// Content-Type is of neither request (2.2.1.1).
    ContentType,
    /// There is no Content-Length, or a transfer coding (3.1.4.1.1, 3.1.4.2.1).
    LengthRequired,
    /// Content-Length is no number, or comes twice.
    ContentLength,
    /// The request itself does not follow the specification.
    Malformed(Error),
    /// No session has the push-id, or none was sent (3.2.5.1, 3.2.5.2).
    UnknownSession,
    /// The publishing point neither exists nor has a template that does, or is not the session's.
    UnknownPoint,
    /// The session or its publishing point already receives on another connection.
    Busy,
    /// There are too many sessions.
    TooManySessions,
    /// Credentials are wanted, and those that came are none of an account (3.2.5.1, 3.2.5.2).
    Unauthorised(Challenged),
    /// The publishing point is elsewhere (3.2.5.1).
    Redirected(Redirect),
}

/// Where a client is sent (3.2.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The URL of the other server, or of the proxy.
    pub location: String,
    /// Whether it is a proxy to go through: 305 instead of 302.
    pub is_proxy: bool,
}

impl Refusal {
    /// The status that says so.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAnEncoder => StatusCode::OK,
            Self::HostMissing | Self::ContentLength | Self::Malformed(_) | Self::UnknownSession => {
                StatusCode::BAD_REQUEST
            }
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

    /// What to answer to `request`. The connection closes, since its body may not have been read; after a challenge
    /// alone it should not.
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
            Self::NotAnEncoder => "the client is no encoder",
            Self::HostMissing => "Host is missing",
            Self::ContentType => "Content-Type is neither that of PushSetup nor of PushStart",
            Self::LengthRequired => "there is no Content-Length",
            Self::ContentLength => "Content-Length is not one number",
            Self::Malformed(error) => return fmt::Display::fmt(error, f),
            Self::UnknownSession => "no session has the push-id",
            Self::UnknownPoint => "there is no such publishing point",
            Self::Busy => "the publishing point already receives",
            Self::TooManySessions => "there are too many sessions",
            Self::Unauthorised(_) => "credentials of an account are wanted",
            Self::Redirected(_) => "the publishing point is elsewhere",
        })
    }
}

impl std::error::Error for Refusal {}
