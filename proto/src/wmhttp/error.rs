// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::auth::{Denied, Role};

/// The reason why a [`PushSession`](super::PushSession) has failed: what its server or proxy answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The server, or a proxy, refused the request with an HTTP status.
    Refused {
        /// The proxy if it refused CONNECT or the status is 407; otherwise the server.
        role: Role,
        /// The status code.
        status: StatusCode,
        /// The reason phrase of the response.
        reason: String,
        /// The Server field of the response; empty if it is missing.
        server: String,
        /// RFC 7231 section 7.1.3 Retry-After, if it is in seconds.
        retry_after: Option<Duration>,
    },
    /// The server or a proxy requires authentication, and it failed for good.
    Denied {
        /// The peer that denies access.
        role: Role,
        /// The status code: 401 or 407.
        status: StatusCode,
        /// The reason phrase as the server wrote it.
        reason: String,
        /// The reason.
        denied: Denied,
    },
    /// A redirection has no usable Location (decision D-13).
    InvalidRedirect,
    /// A redirection leads from `https` to `http`, which would send the content unencrypted.
    InsecureRedirect {
        /// The destination without credentials.
        url: String,
    },
    /// The server redirected more than five times (decision D-13).
    TooManyHops,
    /// The server answered with success but is not a Windows Media server (3.1.5.1 Receiving a PushSetup Response).
    IncompatibleServer {
        /// Its Server field; empty if it is missing.
        server: String,
    },
    /// The server answered PushSetup like the request of a player, because it does not take the client for an encoder
    /// (note <8>).
    NotAnEncoder,
    /// The server answered a PushStart with success before its body was complete.
    EndedEarly,
    /// The server answered a PushStart that resumes a session with a new push-id, because it no longer knows the
    /// session (3.2.6 Timer Events).
    Forgotten,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                role,
                status,
                reason,
                ..
            } => {
                let status = status.as_u16();
                write!(f, "{} refused with {status}", name(*role))?;
                match reason.is_empty() {
                    true => Ok(()),
                    false => write!(f, " {reason}"),
                }
            }
            Self::Denied { role, denied, .. } => {
                write!(f, "{} denies access: {denied}", name(*role))
            }
            Self::InvalidRedirect => f.write_str("the server redirects without a usable Location"),
            Self::InsecureRedirect { .. } => {
                f.write_str("the server redirects from https to http, which is not encrypted")
            }
            Self::TooManyHops => f.write_str("the server redirects more than five times"),
            Self::IncompatibleServer { server } if server.is_empty() => {
                f.write_str("the response has no Server field of a Windows Media server")
            }
            Self::IncompatibleServer { server } => {
                write!(f, "the server is {server:?}, not a Windows Media server")
            }
            Self::NotAnEncoder => f.write_str("the server responded as it does to a player"),
            Self::EndedEarly => {
                f.write_str("the server answered with success before the end of the stream")
            }
            Self::Forgotten => f.write_str("the server no longer knows the session"),
        }
    }
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Server => "the server",
        Role::Proxy => "the proxy",
    }
}

impl std::error::Error for Error {}
