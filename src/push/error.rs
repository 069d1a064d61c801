// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;

use super::Phase;
use crate::asf;
use crate::auth::Denied;
use crate::wmhttp::{self, HResult};

/// Why a push failed, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was being done.
    pub phase: Phase,
    /// What went wrong.
    pub error: Error,
    /// The server has ended each connection since the first loss, after it had received data.
    pub repeated: bool,
}

/// What goes wrong between this client and the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server's name has no address.
    Unresolvable(String),
    /// No connection: refused, unreachable and so on.
    CannotConnect {
        /// What kind of failure the system reports.
        kind: io::ErrorKind,
        /// The system's words.
        message: String,
    },
    /// No agreement on TLS: most often the server's certificate is not trusted.
    Tls(String),
    /// Resolving or connecting took longer than `timeout`.
    ConnectTimeout(Duration),
    /// No response came within `timeout`.
    ResponseTimeout(Duration),
    /// The response is no HTTP, or too large.
    BadResponse(String),
    /// The server's answer ends the session.
    Protocol(wmhttp::Error),
    /// The server reset the connection.
    Reset,
    /// The server closed the connection.
    Closed,
    /// The connection broke for another reason.
    Broken {
        /// What kind of failure the system reports.
        kind: io::ErrorKind,
        /// The system's words.
        message: String,
    },
    /// The server demanded authentication for a stream that it had taken for so long that its beginning is gone.
    LateChallenge,
    /// The system grants no thread, no descriptor or no memory.
    NoResources(String),
    /// Nothing was taken by the peer for so long.
    Stalled(Duration),
    /// What was left to send did not go out in time at the end.
    DrainTimeout(Duration),
    /// The input cannot be pushed.
    Input(asf::Error),
}

impl Failure {
    /// A failure that happened once.
    pub fn new(phase: Phase, error: Error) -> Self {
        Self {
            phase,
            error,
            repeated: false,
        }
    }

    /// What the SDK's callback would be given.
    pub fn hresult(&self) -> HResult {
        match &self.error {
            Error::Unresolvable(_) if self.phase == Phase::Proxy => HResult::NS_E_PROXY_NOT_FOUND,
            Error::Unresolvable(_) => HResult::NS_E_SERVER_NOT_FOUND,
            Error::CannotConnect { .. } if self.phase == Phase::Proxy => {
                HResult::NS_E_CANNOT_CONNECT_TO_PROXY
            }
            Error::CannotConnect { .. } => HResult::NS_E_PUSH_CANNOTCONNECT,
            Error::ConnectTimeout(_) if self.phase == Phase::Proxy => {
                HResult::NS_E_PROXY_CONNECT_TIMEOUT
            }
            Error::ConnectTimeout(_) if self.phase == Phase::Resolve => {
                HResult::NS_E_SERVER_DNS_TIMEOUT
            }
            Error::ConnectTimeout(_) => HResult::NS_E_CONNECT_TIMEOUT,
            Error::Tls(_) => HResult::NS_E_PUSH_CANNOTCONNECT,
            Error::ResponseTimeout(_) => HResult::NS_E_TIMEOUT,
            Error::BadResponse(_) => HResult::NS_E_BAD_SYNTAX_IN_SERVER_RESPONSE,
            Error::Protocol(
                wmhttp::Error::Refused { status, .. } | wmhttp::Error::Denied { status, .. },
            ) => HResult::from_status(*status),
            Error::Protocol(wmhttp::Error::InvalidRedirect) => HResult::NS_E_INVALID_REDIRECT,
            Error::Protocol(wmhttp::Error::TooManyHops) => HResult::NS_E_TOO_MANY_HOPS,
            Error::Protocol(
                wmhttp::Error::IncompatibleServer { .. } | wmhttp::Error::NotAnEncoder,
            ) => HResult::NS_E_INCOMPATIBLE_PUSH_SERVER,
            Error::Protocol(_) | Error::Closed | Error::Broken { .. } | Error::LateChallenge => {
                HResult::NS_E_CONNECTION_FAILURE
            }
            Error::NoResources(_) => HResult::E_OUTOFMEMORY,
            Error::Reset => HResult::NS_E_RESET_SOCKET_CONNECTION,
            Error::Stalled(_) | Error::DrainTimeout(_) => HResult::NS_E_NET_WRITE,
            Error::Input(error) => input_hresult(error),
        }
    }

    /// A word that programs can look at; it never changes.
    pub fn reason(&self) -> &'static str {
        match &self.error {
            Error::Unresolvable(_) => "unresolvable",
            Error::CannotConnect {
                kind: io::ErrorKind::ConnectionRefused,
                ..
            } => "connection-refused",
            Error::CannotConnect { .. } => "unreachable",
            Error::Tls(_) => "tls",
            Error::ConnectTimeout(_) => "connect-timeout",
            Error::ResponseTimeout(_) => "response-timeout",
            Error::BadResponse(_) => "bad-response",
            Error::Protocol(wmhttp::Error::Refused { .. }) => "refused",
            Error::Protocol(wmhttp::Error::Denied { .. }) => "denied",
            Error::Protocol(wmhttp::Error::InvalidRedirect | wmhttp::Error::TooManyHops) => {
                "redirection"
            }
            Error::Protocol(wmhttp::Error::IncompatibleServer { .. }) => "incompatible-server",
            Error::Protocol(wmhttp::Error::NotAnEncoder) => "not-an-encoder",
            Error::Protocol(wmhttp::Error::Forgotten) => "session-forgotten",
            Error::Protocol(_) => "ended-by-server",
            Error::Reset => "connection-reset",
            Error::Closed => "connection-closed",
            Error::Broken { .. } => "connection-lost",
            Error::LateChallenge => "late-challenge",
            Error::NoResources(_) => "no-resources",
            Error::Stalled(_) => "stalled",
            Error::DrainTimeout(_) => "drain-timeout",
            Error::Input(error) if error.is_wrong_type() => "not-asf",
            Error::Input(_) => "malformed-asf",
        }
    }

    /// The HTTP status that ended it, if one did.
    pub fn http_status(&self) -> Option<(StatusCode, &str)> {
        match &self.error {
            Error::Protocol(
                wmhttp::Error::Refused { status, reason, .. }
                | wmhttp::Error::Denied { status, reason, .. },
            ) => Some((*status, reason)),
            _ => None,
        }
    }

    /// What the user can do about it, in a sentence; empty when nothing comes to mind.
    pub fn hint(&self) -> &'static str {
        match &self.error {
            Error::Reset | Error::Closed if self.repeated => {
                "The server ends each connection after it has received data. It may refuse the ASF file header, or packets \
                 of this size: some receivers take no packet over 8192 bytes (packet-size of asfmux)."
            }
            Error::Unresolvable(_) => "Check the host name in the location, and the name service.",
            Error::CannotConnect { .. } | Error::ConnectTimeout(_) => {
                "Check host and port; on Windows Media Services the HTTP Server Control Protocol plug-in must be \
                 enabled, often on port 8080."
            }
            Error::Tls(_) => {
                "Let ssl-ca-file name the authority that signed the server's certificate, and use the name in it."
            }
            Error::ResponseTimeout(_) => {
                "Something accepts connections there but does not answer; check the port and whatever stands between."
            }
            Error::Protocol(wmhttp::Error::Denied { denied, .. }) => denial_hint(denied),
            Error::Protocol(wmhttp::Error::Refused { status, .. }) => status_hint(*status),
            Error::Protocol(wmhttp::Error::InvalidRedirect | wmhttp::Error::TooManyHops) => {
                "Use the location that the server redirects to."
            }
            Error::BadResponse(_)
            | Error::Protocol(
                wmhttp::Error::IncompatibleServer { .. } | wmhttp::Error::NotAnEncoder,
            ) => {
                "Another web server may answer on this port; Windows Media Services often uses 8080 beside it."
            }
            Error::Reset | Error::Closed | Error::Broken { .. } if self.phase == Phase::Setup => {
                "Something accepts connections there but does not take the request; check the port."
            }
            Error::NoResources(_) => {
                "Close other programs, or raise their limits: ulimit -n, ulimit -u."
            }
            Error::Protocol(_)
            | Error::Reset
            | Error::Closed
            | Error::Broken { .. }
            | Error::LateChallenge => {
                "See the server's log; another encoder may have taken the publishing point over."
            }
            Error::DrainTimeout(_) if self.phase == Phase::Setup => {
                "The server has not let the push in yet: give it more time, eos-timeout, or see its log."
            }
            Error::Stalled(_) | Error::DrainTimeout(_) => {
                "The network or the server takes less than the stream's bit rate."
            }
            Error::Input(_) => {
                "Push what asfmux, avmux_asf or a file in Advanced Systems Format delivers."
            }
        }
    }
}

/// The SDK's codes for bad input.
fn input_hresult(error: &asf::Error) -> HResult {
    match error {
        asf::Error::NotAsf { .. } | asf::Error::Incomplete { .. } => HResult::ASF_E_NOHEADEROBJECT,
        asf::Error::HeaderTooLarge { .. } => HResult::ASF_E_HEADERSIZE,
        asf::Error::NoFileProperties => HResult::ASF_E_NOFILEPROPS,
        asf::Error::NoStreamProperties => HResult::ASF_E_NOSTREAMPROPS,
        asf::Error::NotDataObject { .. } => HResult::ASF_E_NODATAOBJECT,
        asf::Error::PacketSizesDiffer { .. } => HResult::ASF_E_UNKNOWNPACKETSIZE,
        asf::Error::PacketSize { .. } => HResult::ASF_E_PACKETCONTENTTOOLARGE,
        _ => HResult::ASF_E_INVALIDHEADER,
    }
}

fn denial_hint(denied: &Denied) -> &'static str {
    match denied {
        Denied::WrongCredentials => {
            "Check user-id and user-pw (proxy-id and proxy-pw for a proxy), and whether the account may push."
        }
        Denied::NoCredentials => "Set user-id and user-pw (proxy-id and proxy-pw for a proxy).",
        _ => {
            "Allow a scheme that is offered: auth-methods, and for Basic in the clear allow-cleartext-auth."
        }
    }
}

fn status_hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => {
            "On Windows Media Services the account needs write and create permission in the publishing points' ACL \
             authorization plug-in."
        }
        404 | 410 => "Create the publishing point as a push point, or give template-url.",
        407 => {
            "Check proxy-id and proxy-pw; where the location is https, the proxy is shown Basic only, and only with \
             allow-cleartext-auth."
        }
        408 => "The server got no data for too long.",
        409 | 423 | 503 => {
            "The publishing point may have another source, or the server is at its limit."
        }
        300..=399 => "Use the location that the server redirects to.",
        _ => "",
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error {
            Error::ConnectTimeout(timeout) if self.phase == Phase::Resolve => {
                write!(
                    f,
                    "resolving the server's name took longer than {} ms",
                    timeout.as_millis()
                )
            }
            _ => fmt::Display::fmt(&self.error, f),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolvable(message) => {
                write!(f, "the server's name cannot be resolved: {message}")
            }
            Self::CannotConnect { message, .. } => write!(f, "cannot connect: {message}"),
            Self::Tls(message) => write!(f, "no secure connection: {message}"),
            Self::ConnectTimeout(timeout) => {
                write!(f, "connecting took longer than {} ms", timeout.as_millis())
            }
            Self::ResponseTimeout(timeout) => {
                write!(f, "no response within {} ms", timeout.as_millis())
            }
            Self::BadResponse(message) => write!(f, "the response was not understood: {message}"),
            Self::Protocol(error) => fmt::Display::fmt(error, f),
            Self::Reset => f.write_str("the server reset the connection"),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Broken { message, .. } => write!(f, "the connection broke: {message}"),
            Self::LateChallenge => {
                f.write_str("the server demanded authentication for a stream that it had taken")
            }
            Self::NoResources(message) => write!(f, "the system has no resources: {message}"),
            Self::Stalled(timeout) => {
                write!(f, "the server took no data for {} ms", timeout.as_millis())
            }
            Self::Input(error) => write!(f, "the input cannot be pushed: {error}"),
            Self::DrainTimeout(timeout) => {
                write!(
                    f,
                    "what was left could not be sent within {} ms",
                    timeout.as_millis()
                )
            }
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// How long the server wants to be left alone, if it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Protocol(wmhttp::Error::Refused { retry_after, .. }) => *retry_after,
            _ => None,
        }
    }
}

impl From<wmhttp::Error> for Error {
    fn from(error: wmhttp::Error) -> Self {
        Self::Protocol(error)
    }
}
