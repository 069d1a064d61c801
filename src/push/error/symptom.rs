// SPDX-License-Identifier: MPL-2.0

//! The row of the table for a failure, and the conditions of its hints.

use std::io::ErrorKind;

use http::StatusCode;

use super::table::{Symptom, When};
use super::{Error, Failure, TlsError};
use crate::auth::{Denied, Role, Scheme, Schemes};
use crate::push::Phase;
use crate::wmhttp;

/// Prefixes of the Server fields of web servers, which answer on a wrong port.
const WEB_SERVERS: [&str; 6] = [
    "Microsoft-IIS",
    "Microsoft-HTTPAPI",
    "Apache",
    "nginx",
    "lighttpd",
    "Icecast",
];

/// Prefixes of the Server fields of proxies.
const PROXIES: [&str; 7] = [
    "squid",
    "tinyproxy",
    "privoxy",
    "Varnish",
    "HAProxy",
    "mitmproxy",
    "Zscaler",
];

/// Prefixes of the Server fields of Windows Media Services and of the encoder's own server.
const MEDIA_SERVERS: [&str; 2] = ["Cougar/", "Rex/"];

impl Symptom {
    /// Returns the symptom of an error in a phase.
    pub(super) fn of(phase: Phase, error: &Error) -> Self {
        match error {
            Error::Unresolvable(_)
            | Error::CannotConnect { .. }
            | Error::ConnectTimeout(_)
            | Error::Tls(_) => Self::of_connecting(phase, error),
            Error::ResponseTimeout(_) if phase == Phase::Proxy => Self::ProxyResponseTimeout,
            Error::ResponseTimeout(_) => Self::ResponseTimeout,
            Error::BadResponse(_) if phase == Phase::Proxy => Self::ProxyBadResponse,
            Error::BadResponse(_) => Self::BadResponse,
            Error::Protocol(error) => Self::of_protocol(error),
            Error::Reset => Self::Reset,
            Error::Closed => Self::Closed,
            Error::Broken { .. } => Self::Broken,
            Error::LateChallenge => Self::LateChallenge,
            Error::NoResources(_) => Self::NoResources,
            Error::Stalled(_) => Self::Stalled,
            Error::DrainTimeout(_) => Self::DrainTimeout,
            Error::LoginTimeout(_) => Self::LoginTimeout,
            Error::Input(error) if error.is_wrong_type() => Self::NotAsf,
            Error::Input(_) => Self::MalformedAsf,
        }
    }

    fn of_connecting(phase: Phase, error: &Error) -> Self {
        let refused = |kind: &ErrorKind| matches!(kind, ErrorKind::ConnectionRefused);
        match (error, phase) {
            (Error::Tls(error), _) => Self::of_tls(error),
            (Error::Unresolvable(_), Phase::Proxy) => Self::ProxyUnresolvable,
            (Error::Unresolvable(_), _) => Self::Unresolvable,
            (Error::CannotConnect { kind, .. }, Phase::Proxy) if refused(kind) => {
                Self::ProxyConnectionRefused
            }
            (Error::CannotConnect { kind, .. }, _) if refused(kind) => Self::ConnectionRefused,
            (Error::CannotConnect { .. }, Phase::Proxy) => Self::ProxyUnreachable,
            (Error::CannotConnect { .. }, _) => Self::Unreachable,
            (_, Phase::Proxy) => Self::ProxyConnectTimeout,
            (_, Phase::Resolve) => Self::ResolveTimeout,
            _ => Self::ConnectTimeout,
        }
    }

    fn of_tls(error: &TlsError) -> Self {
        match error {
            TlsError::NotTls => Self::NotTls,
            TlsError::Closed => Self::TlsClosed,
            TlsError::Timeout(_) => Self::TlsTimeout,
            TlsError::NothingInCommon(_) => Self::NoCommonTls,
            TlsError::UnknownIssuer => Self::UnknownIssuer,
            TlsError::SelfSigned => Self::SelfSigned,
            TlsError::WrongName(_) => Self::WrongName,
            TlsError::Expired => Self::Expired,
            TlsError::NotYetValid => Self::NotYetValid,
            TlsError::BadCertificate(_) => Self::BadCertificate,
            TlsError::ClientCertificate => Self::ClientCertificate,
            TlsError::UnknownName => Self::UnknownName,
            TlsError::NoAnchors(_) => Self::NoAnchors,
            TlsError::NotBuilt => Self::NoTls,
            TlsError::Other(_) => Self::OtherTls,
        }
    }

    fn of_protocol(error: &wmhttp::Error) -> Self {
        match error {
            wmhttp::Error::Refused { role, status, .. } => match role {
                Role::Server => Self::of_status(*status),
                Role::Proxy => Self::of_proxy_status(*status),
            },
            wmhttp::Error::Denied { role, denied, .. } => Self::of_denial(*role, denied),
            wmhttp::Error::InvalidRedirect => Self::InvalidRedirect,
            wmhttp::Error::InsecureRedirect { .. } => Self::InsecureRedirect,
            wmhttp::Error::TooManyHops => Self::TooManyHops,
            wmhttp::Error::IncompatibleServer { server } if server.is_empty() => {
                Self::NamelessServer
            }
            wmhttp::Error::IncompatibleServer { .. } => Self::IncompatibleServer,
            wmhttp::Error::NotAnEncoder => Self::NotAnEncoder,
            wmhttp::Error::EndedEarly => Self::EndedByServer,
            wmhttp::Error::Forgotten => Self::Forgotten,
        }
    }

    fn of_denial(role: Role, denied: &Denied) -> Self {
        match (role, denied) {
            (Role::Server, Denied::WrongCredentials) => Self::WrongCredentials,
            (Role::Server, Denied::NoCredentials) => Self::NoCredentials,
            (Role::Proxy, Denied::WrongCredentials) => Self::ProxyWrongCredentials,
            (Role::Proxy, Denied::NoCredentials) => Self::ProxyNoCredentials,
            (Role::Server, Denied::LoginIncomplete { .. }) => Self::LoginIncomplete,
            (Role::Proxy, Denied::LoginIncomplete { .. }) => Self::ProxyLoginIncomplete,
            (role, Denied::NoUsableScheme { offered }) => match (role, offered.is_empty()) {
                (Role::Server, false) => Self::NoUsableScheme,
                (Role::Server, true) => Self::NoSchemeOffered,
                (Role::Proxy, false) => Self::ProxyNoUsableScheme,
                (Role::Proxy, true) => Self::ProxyNoSchemeOffered,
            },
        }
    }

    fn of_proxy_status(status: StatusCode) -> Self {
        match status.as_u16() {
            407 => Self::UnknownProxy,
            500 | 502..=504 => Self::ProxyGateway,
            _ => Self::ProxyRefuses,
        }
    }

    fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            300..=399 => Self::Status3xx,
            400 => Self::Status400,
            403 => Self::Status403,
            404 => Self::Status404,
            405 | 411 | 501 => Self::Status405,
            407 => Self::Status407,
            408 => Self::Status408,
            409 | 423 => Self::Status409,
            410 => Self::Status410,
            413 => Self::Status413,
            414 => Self::Status414,
            415 | 422 => Self::Status422,
            429 => Self::Status429,
            502 | 504 => Self::Status502,
            503 => Self::Status503,
            426 | 505 => Self::Status505,
            511 => Self::Status511,
            500..=599 => Self::Status500,
            _ => Self::Status4xx,
        }
    }
}

impl When {
    /// Returns whether the condition holds for a failure.
    pub(super) fn holds(self, failure: &Failure) -> bool {
        let circumstances = &failure.circumstances;
        match self {
            Self::DuringSetup => !matches!(failure.phase, Phase::Start | Phase::Push | Phase::End),
            Self::Accepted => circumstances.accepted,
            Self::Repeated => circumstances.repeated,
            Self::Proxied => circumstances.proxy.is_some(),
            Self::Relayed => circumstances.is_relayed(),
            Self::Encrypted => circumstances.encrypted,
            Self::SetupBody => circumstances.setup_body,
            Self::WebServer => is_one_of(failure, &WEB_SERVERS),
            Self::ProxySoftware => is_one_of(failure, &PROXIES),
            Self::MediaServer => is_one_of(failure, &MEDIA_SERVERS),
            Self::OtherServer => {
                !failure.error.software().is_empty() && !is_one_of(failure, &MEDIA_SERVERS)
            }
            Self::Redirected => circumstances.redirected.is_some(),
            Self::NamedProxy => {
                let proxy = circumstances.proxy.as_ref();
                proxy.is_some_and(|proxy| proxy.source.is_none())
            }
            Self::PlainUser => circumstances.plain_user,
            Self::NoPassword => circumstances.no_password,
            Self::NoProxyPassword => circumstances.no_proxy_password,
            Self::KnownOffered => !known_offered(&failure.error).is_empty(),
            Self::BasicOffered => is_basic_offered(failure),
        }
    }
}

/// Returns whether the Server field begins with one of the names.
fn is_one_of(failure: &Failure, names: &[&str]) -> bool {
    let software = failure.error.software().as_bytes();
    let begins_with = |name: &&str| {
        let start = software.get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    names.iter().any(begins_with)
}

/// Returns the offered schemes that the property `auth-methods` knows.
pub(super) fn known_offered(error: &Error) -> Vec<Scheme> {
    let Error::Protocol(wmhttp::Error::Denied {
        denied: Denied::NoUsableScheme { offered },
        ..
    }) = error
    else {
        return Vec::new();
    };
    let is_offered = |scheme: &Scheme| {
        let name = scheme.as_str();
        offered
            .iter()
            .any(|offered| offered.eq_ignore_ascii_case(name))
    };
    Schemes::ALL.iter().filter(is_offered).collect()
}

/// Returns whether Basic is offered, and only `allow-cleartext-auth` prevents its use.
fn is_basic_offered(failure: &Failure) -> bool {
    let Error::Protocol(wmhttp::Error::Denied { role, denied, .. }) = &failure.error else {
        return false;
    };
    let in_the_clear = *role == Role::Proxy || !failure.circumstances.encrypted;
    let in_the_clear = in_the_clear && !failure.circumstances.without_basic;
    let Denied::NoUsableScheme { offered } = denied else {
        return false;
    };
    in_the_clear
        && offered
            .iter()
            .any(|scheme| scheme.eq_ignore_ascii_case("basic"))
}
