// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;

use super::Phase;
use crate::asf;
use crate::auth::{Denied, Role};
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
    /// The proxy that failed and the setting that names it, such as `http://proxy:3128 from http_proxy`.
    pub proxy: Option<String>,
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
    /// What answers there does not speak TLS.
    NotTls,
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
            proxy: None,
        }
    }

    /// The same failure, of this proxy.
    pub(super) fn with_proxy(self, proxy: Option<String>) -> Self {
        Self { proxy, ..self }
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
            Error::Tls(_) | Error::NotTls => HResult::NS_E_PUSH_CANNOTCONNECT,
            Error::ResponseTimeout(_) => HResult::NS_E_TIMEOUT,
            Error::BadResponse(_) => HResult::NS_E_BAD_SYNTAX_IN_SERVER_RESPONSE,
            Error::Protocol(
                wmhttp::Error::Refused { status, .. } | wmhttp::Error::Denied { status, .. },
            ) => HResult::from_status(*status),
            Error::Protocol(wmhttp::Error::InvalidRedirect | wmhttp::Error::InsecureRedirect) => {
                HResult::NS_E_INVALID_REDIRECT
            }
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
            Error::Tls(_) | Error::NotTls => "tls",
            Error::ConnectTimeout(_) => "connect-timeout",
            Error::ResponseTimeout(_) => "response-timeout",
            Error::BadResponse(_) => "bad-response",
            Error::Protocol(wmhttp::Error::Refused { .. }) => "refused",
            Error::Protocol(wmhttp::Error::Denied { .. }) => "denied",
            Error::Protocol(
                wmhttp::Error::InvalidRedirect
                | wmhttp::Error::InsecureRedirect
                | wmhttp::Error::TooManyHops,
            ) => "redirection",
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
                "The server ends each connection after it has received data. It may refuse the ASF file header or the \
                 packet size: some receivers take no packet over 8192 bytes (packet-size of asfmux)."
            }
            Error::Unresolvable(_) => "Check the host name in the location, and the name service.",
            Error::CannotConnect { .. } | Error::ConnectTimeout(_)
                if self.phase == Phase::Proxy =>
            {
                "Check the address of the proxy: it comes from the property proxy, or else from http_proxy or \
                 https_proxy in the environment. An empty proxy connects without one."
            }
            Error::CannotConnect { .. } => {
                "Check host and port; on Windows Media Services the HTTP Server Control Protocol plug-in must be \
                 enabled, often on port 8080. Some receivers need some seconds after a push before they take the \
                 next one: retry-first-connect=true."
            }
            Error::ConnectTimeout(_) => {
                "A firewall may discard the packets without an answer: let it pass this port. Then check host and port."
            }
            Error::NotTls => {
                "The server does not speak TLS on this port: use an http location, or the port for https."
            }
            Error::Tls(_) => {
                "Let ssl-ca-file name the authority that signed the server's certificate, and use the name in it."
            }
            Error::ResponseTimeout(_) => {
                "Something accepts connections there but does not answer; check the port and whatever stands between."
            }
            Error::Protocol(wmhttp::Error::Denied { denied, .. }) => denial_hint(denied),
            Error::Protocol(wmhttp::Error::Refused {
                role: Role::Proxy,
                status,
                ..
            }) if *status != StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                "The proxy refused a tunnel to the server. It may allow port 443 only: see its configuration."
            }
            Error::Protocol(wmhttp::Error::Refused { status, server, .. }) => {
                self.status_hint(*status, server)
            }
            Error::Protocol(wmhttp::Error::InsecureRedirect) => {
                "The server leads from https to http. If that is wanted, use the http location itself."
            }
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
                "Something accepts connections there but does not take the request; check the port. Some receivers need \
                 some seconds after a push before they take the next one: retry-first-connect=true."
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

    /// What a status means that `server` has sent.
    fn status_hint(&self, status: StatusCode, server: &str) -> &'static str {
        let is_iis = server.starts_with("Microsoft-IIS");
        match status.as_u16() {
            405 | 411 | 501 => {
                "A web server such as IIS answers on this port. The control protocol of Windows Media Services listens \
                 on another, often 8080."
            }
            404 if is_iis => {
                "IIS answers on this port. The control protocol of Windows Media Services listens on another, often 8080."
            }
            400 if self.phase == Phase::Setup => {
                "The receiver does not understand the PushSetup request. Some take none with a body: leave \
                 template-url and auto-destroy unset."
            }
            400 => {
                "The receiver does not understand the stream: it may have taken no ASF file header. Restart the push."
            }
            422 => {
                "The receiver has taken no ASF file header, or refuses the entry of a playlist that follows: all entries \
                 need the streams of the first."
            }
            401 | 403 => {
                "On Windows Media Services the account needs write and create permission in the publishing points' ACL \
                 authorization plug-in."
            }
            404 | 410 => "Create the publishing point as a push point, or give template-url.",
            407 => {
                "Check proxy-id and proxy-pw. Basic needs allow-cleartext-auth, unless the proxy itself is reached by https."
            }
            408 => "The server got no data for too long.",
            409 | 423 | 503 => {
                "The publishing point may have another source, or the server is at its limit. Some receivers need some \
                 seconds after a push before they take the next one: retry-first-connect=true."
            }
            300..=399 => "Use the location that the server redirects to.",
            500..=599 => "The server has a failure of its own: see its log.",
            _ => "The server did not say why: see its log.",
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
        }?;
        match &self.proxy {
            Some(proxy) => write!(f, " (the proxy is {proxy})"),
            None => Ok(()),
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
            Self::NotTls => {
                f.write_str("no secure connection: what answers there does not speak TLS")
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(phase: Phase, status: u16, server: &str) -> &'static str {
        let error = Error::Protocol(wmhttp::Error::Refused {
            role: Role::Server,
            status: StatusCode::from_u16(status).unwrap(),
            reason: String::new(),
            server: server.to_owned(),
            retry_after: None,
        });
        Failure::new(phase, error).hint()
    }

    /// D5 and D7: what web servers and receivers mean by a status.
    #[test]
    fn each_status_has_a_hint() {
        for status in (300..600).filter(|status| *status != 407) {
            assert!(!refused(Phase::Setup, status, "").is_empty(), "{status}");
        }
        for status in [404, 405, 411, 501] {
            let hint = refused(Phase::Setup, status, "Microsoft-IIS/10.0");
            assert!(hint.contains("8080"), "{status}: {hint}");
        }
        assert!(refused(Phase::Setup, 404, "Cougar/9.5").contains("publishing point"));
        assert!(refused(Phase::Setup, 400, "").contains("template-url"));
        assert!(refused(Phase::Push, 422, "").contains("ASF file header"));
        assert!(refused(Phase::Setup, 503, "").contains("retry-first-connect"));
    }

    /// D3: a proxy that is not there is named, with the variable that names it.
    #[test]
    fn a_failure_names_the_proxy() {
        let error = Error::CannotConnect {
            kind: io::ErrorKind::ConnectionRefused,
            message: "Connection refused".to_owned(),
        };
        let proxy = Some("http://127.0.0.1:9 from http_proxy".to_owned());
        let failure = Failure::new(Phase::Proxy, error).with_proxy(proxy);
        let text = failure.to_string();
        assert_eq!(
            text,
            "cannot connect: Connection refused (the proxy is http://127.0.0.1:9 from http_proxy)"
        );
        assert!(failure.hint().contains("http_proxy") && !failure.hint().contains("Control"));
    }
}
