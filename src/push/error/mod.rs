// SPDX-License-Identifier: MPL-2.0

//! Failures of a push, and their texts and hints.
//!
//! The error and the phase of a failure determine its [`Symptom`](table::Symptom): a row of the table with the reason,
//! the text, and hints for different circumstances. The tables of `docs/troubleshooting.md` are generated from it.

use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;

use super::Phase;
use crate::asf;
use crate::wmhttp::{self, HResult};
#[cfg(test)]
use circumstances::Redirected;
pub use circumstances::{Circumstances, Peer, Proxy};
pub use tls::TlsError;
pub(super) use words::{quoted, time};

mod circumstances;
mod symptom;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod words;

/// A failure of a push. `Display` writes a clause; [`sentence`](Self::sentence) returns the complete sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step that failed.
    pub phase: Phase,
    /// The error.
    pub error: Error,
    /// Facts that the text and the hint depend on.
    pub circumstances: Box<Circumstances>,
}

/// An error between this client and the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The server's name has no address.
    Unresolvable(String),
    /// The connection was refused, the host is unreachable, and so on.
    CannotConnect {
        /// The kind that the system reports.
        kind: io::ErrorKind,
        /// The system's message.
        message: String,
    },
    /// The TLS handshake failed.
    Tls(TlsError),
    /// Resolving or connecting took longer than `timeout`.
    ConnectTimeout(Duration),
    /// No response was received within `timeout`.
    ResponseTimeout(Duration),
    /// The response is not HTTP, or too large.
    BadResponse(String),
    /// The server's answer ends the session.
    Protocol(wmhttp::Error),
    /// The server reset the connection.
    Reset,
    /// The server closed the connection.
    Closed,
    /// The connection broke for another reason.
    Broken {
        /// The kind that the system reports.
        kind: io::ErrorKind,
        /// The system's message.
        message: String,
    },
    /// The server demanded authentication so late that the beginning of the stream is no longer kept.
    LateChallenge,
    /// The system grants no thread, no descriptor or no memory.
    NoResources(String),
    /// The peer acknowledged nothing for this time.
    Stalled(Duration),
    /// The peer did not acknowledge the rest of the stream within this time after the end was announced.
    DrainTimeout(Duration),
    /// The credentials or the ticket of a login were not there within this time after the end of the stream.
    LoginTimeout(Duration),
    /// The input cannot be pushed.
    Input(asf::Error),
}

impl Failure {
    /// A failure without circumstances.
    pub fn new(phase: Phase, error: Error) -> Self {
        Self {
            phase,
            error,
            circumstances: Box::default(),
        }
    }

    /// Returns the HRESULT that the SDK's callback would receive.
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
            Error::Tls(TlsError::Timeout(_)) => HResult::NS_E_CONNECT_TIMEOUT,
            Error::Tls(_) => HResult::NS_E_PUSH_CANNOTCONNECT,
            Error::ResponseTimeout(_) => HResult::NS_E_TIMEOUT,
            Error::BadResponse(_) => HResult::NS_E_BAD_SYNTAX_IN_SERVER_RESPONSE,
            Error::Protocol(
                wmhttp::Error::Refused { status, .. } | wmhttp::Error::Denied { status, .. },
            ) => HResult::from_status(*status),
            Error::Protocol(
                wmhttp::Error::InvalidRedirect | wmhttp::Error::InsecureRedirect { .. },
            ) => HResult::NS_E_INVALID_REDIRECT,
            Error::Protocol(wmhttp::Error::TooManyHops) => HResult::NS_E_TOO_MANY_HOPS,
            Error::Protocol(
                wmhttp::Error::IncompatibleServer { .. } | wmhttp::Error::NotAnEncoder,
            ) => HResult::NS_E_INCOMPATIBLE_PUSH_SERVER,
            Error::Protocol(_) | Error::Closed | Error::Broken { .. } | Error::LateChallenge => {
                HResult::NS_E_CONNECTION_FAILURE
            }
            Error::NoResources(_) => HResult::E_OUTOFMEMORY,
            Error::Reset => HResult::NS_E_RESET_SOCKET_CONNECTION,
            Error::LoginTimeout(_) => HResult::NS_E_TIMEOUT,
            Error::Stalled(_) | Error::DrainTimeout(_) => HResult::NS_E_NET_WRITE,
            Error::Input(error) => input_hresult(error),
        }
    }

    /// Returns the `reason` for programs. It never changes.
    pub fn reason(&self) -> &'static str {
        self.row().reason
    }

    /// Returns the HTTP status that ended the push, if one did.
    pub fn http_status(&self) -> Option<(StatusCode, &str)> {
        self.error.http_status()
    }
}

/// Returns the SDK's code for bad input.
fn input_hresult(error: &asf::Error) -> HResult {
    match error {
        asf::Error::NotAsf { .. } | asf::Error::Foreign(_) | asf::Error::Incomplete { .. } => {
            HResult::ASF_E_NOHEADEROBJECT
        }
        asf::Error::HeaderTooLarge { .. } => HResult::ASF_E_HEADERSIZE,
        asf::Error::NoFileProperties => HResult::ASF_E_NOFILEPROPS,
        asf::Error::NoStreamProperties => HResult::ASF_E_NOSTREAMPROPS,
        asf::Error::NotDataObject { .. } => HResult::ASF_E_NODATAOBJECT,
        asf::Error::PacketSizesDiffer { .. } => HResult::ASF_E_UNKNOWNPACKETSIZE,
        asf::Error::PacketSize { .. } => HResult::ASF_E_PACKETCONTENTTOOLARGE,
        _ => HResult::ASF_E_INVALIDHEADER,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.clause())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Failure::new(Phase::Push, self.clone()), f)
    }
}

impl std::error::Error for Error {}

impl Error {
    fn http_status(&self) -> Option<(StatusCode, &str)> {
        match self {
            Self::Protocol(
                wmhttp::Error::Refused { status, reason, .. }
                | wmhttp::Error::Denied { status, reason, .. },
            ) => Some((*status, reason)),
            _ => None,
        }
    }

    /// Returns the Server field of the response; empty if there is none.
    fn software(&self) -> &str {
        match self {
            Self::Protocol(
                wmhttp::Error::Refused { server, .. }
                | wmhttp::Error::IncompatibleServer { server },
            ) => server,
            _ => "",
        }
    }

    /// Returns the timeout that was exceeded.
    fn limit(&self) -> Option<Duration> {
        match self {
            Self::Tls(TlsError::Timeout(limit))
            | Self::ConnectTimeout(limit)
            | Self::ResponseTimeout(limit)
            | Self::Stalled(limit)
            | Self::DrainTimeout(limit)
            | Self::LoginTimeout(limit) => Some(*limit),
            _ => None,
        }
    }

    /// Returns the server's `Retry-After`, if it sent one.
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
