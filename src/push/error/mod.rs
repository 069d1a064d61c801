// SPDX-License-Identifier: MPL-2.0

//! What can fail, and what the user reads of it.
//!
//! A failure is a [`Symptom`](table::Symptom) by its error and its phase. That is a row of the table: the reason, the text,
//! and the hints for different circumstances. The tables of `docs/troubleshooting.md` are made from it.

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

/// Why a push failed, and when. `Display` is a clause of a sentence; [`sentence`](Self::sentence) is all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was being done.
    pub phase: Phase,
    /// What went wrong.
    pub error: Error,
    /// What else the text and the hint depend on.
    pub circumstances: Box<Circumstances>,
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
    /// No agreement on TLS.
    Tls(TlsError),
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
    /// The peer took nothing for this time.
    Stalled(Duration),
    /// The peer did not take the rest of the stream within this time after the end was announced.
    DrainTimeout(Duration),
    /// The input cannot be pushed.
    Input(asf::Error),
}

impl Failure {
    /// A failure of which nothing else is known.
    pub fn new(phase: Phase, error: Error) -> Self {
        Self {
            phase,
            error,
            circumstances: Box::default(),
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
            Error::Stalled(_) | Error::DrainTimeout(_) => HResult::NS_E_NET_WRITE,
            Error::Input(error) => input_hresult(error),
        }
    }

    /// A word that programs can look at; it never changes.
    pub fn reason(&self) -> &'static str {
        self.row().reason
    }

    /// The HTTP status that ended it, if one did.
    pub fn http_status(&self) -> Option<(StatusCode, &str)> {
        self.error.http_status()
    }
}

/// The SDK's codes for bad input.
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

    /// The Server field of the response; empty if there is none.
    fn software(&self) -> &str {
        match self {
            Self::Protocol(
                wmhttp::Error::Refused { server, .. }
                | wmhttp::Error::IncompatibleServer { server },
            ) => server,
            _ => "",
        }
    }

    /// The time limit that was exceeded.
    fn limit(&self) -> Option<Duration> {
        match self {
            Self::Tls(TlsError::Timeout(limit))
            | Self::ConnectTimeout(limit)
            | Self::ResponseTimeout(limit)
            | Self::Stalled(limit)
            | Self::DrainTimeout(limit) => Some(*limit),
            _ => None,
        }
    }

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
