// SPDX-License-Identifier: MPL-2.0

//! Failures of every kind, in every phase and in all circumstances.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::*;
use crate::auth::{Denied, Scheme};

const PHASES: [Phase; 9] = [
    Phase::Setup,
    Phase::Resolve,
    Phase::Connect,
    Phase::Tls,
    Phase::Proxy,
    Phase::Authenticate,
    Phase::Start,
    Phase::Push,
    Phase::End,
];

/// The statuses of the tables, and some others.
pub(super) const STATUSES: [u16; 28] = [
    403, 302, 400, 404, 405, 407, 408, 409, 410, 411, 413, 414, 415, 422, 423, 425, 426, 429, 499,
    500, 501, 502, 503, 504, 505, 507, 511, 599,
];

const SERVERS: [&str; 5] = [
    "",
    "Cougar/9.6",
    "Microsoft-IIS/6.0",
    "squid/5.7",
    "Twisted/22.4",
];

/// Failures with each error in each phase, the plainest circumstances first.
pub(super) fn all_failures() -> impl Iterator<Item = Failure> {
    let errors = errors();
    all_circumstances().flat_map(move |circumstances| {
        let errors = errors.clone();
        PHASES.into_iter().flat_map(move |phase| {
            let circumstances = circumstances.clone();
            let failure = move |error: Error| Failure {
                phase,
                error,
                circumstances: Box::new(circumstances.clone()),
            };
            errors.clone().into_iter().map(failure).filter(is_possible)
        })
    })
}

/// Failures by the number of their kind and the place of their hint.
pub(super) type Examples = BTreeMap<(usize, usize), Failure>;

/// The first failure that has each of the hints of each kind.
pub(super) fn examples() -> &'static Examples {
    static EXAMPLES: OnceLock<Examples> = OnceLock::new();
    EXAMPLES.get_or_init(find_examples)
}

fn find_examples() -> Examples {
    let mut examples = BTreeMap::new();
    for failure in all_failures() {
        let symptom = Symptom::of(failure.phase, &failure.error);
        let mut hints = symptom.row().hints.iter();
        let hint = hints.position(|(when, _)| when.iter().all(|when| when.holds(&failure)));
        let key = (symptom as usize, hint.unwrap());
        examples.entry(key).or_insert(failure);
    }
    examples
}

/// Returns whether the error can happen in the phase and in the circumstances.
fn is_possible(failure: &Failure) -> bool {
    let Failure {
        phase,
        error,
        circumstances,
    } = failure;
    let refused_by_proxy = match error {
        Error::Protocol(wmhttp::Error::Refused {
            role: Role::Proxy,
            status,
            ..
        }) => Some(status.as_u16()),
        _ => None,
    };
    let is_denied_by_proxy = matches!(
        error,
        Error::Protocol(wmhttp::Error::Denied {
            role: Role::Proxy,
            ..
        })
    );
    let (proxied, encrypted) = (circumstances.proxy.is_some(), circumstances.encrypted);
    match (*phase, error) {
        (Phase::Tls, error) => matches!(error, Error::Tls(_)) && encrypted,
        (_, Error::Tls(_)) => false,
        (
            Phase::Proxy,
            Error::Unresolvable(_) | Error::CannotConnect { .. } | Error::ConnectTimeout(_),
        ) => proxied,
        (Phase::Proxy, _) if is_denied_by_proxy => proxied,
        // Only a known proxy is asked for a tunnel, and a 407 is its denial.
        (Phase::Proxy, _) => match refused_by_proxy {
            Some(407) => !proxied,
            Some(_) => proxied && encrypted,
            None => is_of_connection(error) && proxied && encrypted,
        },
        _ => refused_by_proxy.is_none() && !is_denied_by_proxy,
    }
}

/// Returns whether the error can end the wait for a response to CONNECT.
fn is_of_connection(error: &Error) -> bool {
    matches!(
        error,
        Error::ResponseTimeout(_)
            | Error::BadResponse(_)
            | Error::Closed
            | Error::Reset
            | Error::Broken { .. }
    )
}

/// No more than two of the flags are set at a time.
fn all_circumstances() -> impl Iterator<Item = Circumstances> {
    let proxies = [
        None,
        Some(Some(ProxySource::Environment("http_proxy"))),
        Some(Some(ProxySource::Property)),
        Some(None),
    ];
    // The flags above the first five say little together with others.
    let few = |flags: &u16| flags.count_ones() <= if *flags < 32 { 2 } else { 1 };
    (0..512u16).filter(few).flat_map(move |flags| {
        let flag = move |number: u8| flags & (1 << number) != 0;
        proxies.into_iter().map(move |source| Circumstances {
            server: Some(peer("media", if flag(0) { 443 } else { 80 })),
            proxy: source.map(|source| Proxy {
                peer: peer("squid", 3128),
                source,
            }),
            encrypted: flag(0),
            accepted: flag(1),
            repeated: flag(2),
            setup_body: flag(3),
            plain_user: flag(4),
            no_password: flag(5),
            no_proxy_password: flag(5),
            without_basic: flag(6),
            redirected: flag(7).then(|| Redirected {
                home: peer("portal", 80),
                url: "http://media/live".to_owned(),
            }),
            at_end: flag(8),
            ..Circumstances::default()
        })
    })
}

/// A first push to `http://media/live`.
pub(super) fn circumstances() -> Circumstances {
    Circumstances {
        server: Some(peer("media", 80)),
        ..Circumstances::default()
    }
}

pub(super) fn peer(host: &str, port: u16) -> Peer {
    Peer {
        host: host.to_owned(),
        port,
    }
}

pub(super) fn refused(status: u16, server: &str) -> Error {
    refusal(Role::Server, status, server)
}

pub(super) fn refusal(role: Role, status: u16, server: &str) -> Error {
    let status = StatusCode::from_u16(status).unwrap();
    Error::Protocol(wmhttp::Error::Refused {
        role,
        status,
        reason: status.canonical_reason().unwrap_or_default().to_owned(),
        server: server.to_owned(),
        retry_after: None,
    })
}

pub(super) fn denied(role: Role, denied: Denied) -> Error {
    let status = role.status();
    Error::Protocol(wmhttp::Error::Denied {
        role,
        status,
        reason: status.canonical_reason().unwrap_or_default().to_owned(),
        denied,
    })
}

pub(super) fn errors() -> Vec<Error> {
    let mut errors = of_connections();
    errors.extend(of_tls().map(Error::Tls));
    errors.extend(of_access());
    for status in STATUSES {
        errors.extend(SERVERS.map(|server| refused(status, server)));
        errors.push(refusal(Role::Proxy, status, ""));
    }
    errors
}

fn of_connections() -> Vec<Error> {
    let timeout = Duration::from_secs(10);
    let system = |kind, words: &str| Error::CannotConnect {
        kind,
        message: words.to_owned(),
    };
    let unknown = "failed to lookup address information: Name or service not known";
    let mut errors = vec![
        Error::Unresolvable(unknown.to_owned()),
        system(
            io::ErrorKind::ConnectionRefused,
            "Connection refused (os error 111)",
        ),
        system(
            io::ErrorKind::HostUnreachable,
            "No route to host (os error 113)",
        ),
        Error::ConnectTimeout(timeout),
        Error::ResponseTimeout(timeout),
        Error::BadResponse("invalid HTTP version".to_owned()),
        Error::Closed,
        Error::Reset,
        Error::Broken {
            kind: io::ErrorKind::TimedOut,
            message: "Connection timed out (os error 110)".to_owned(),
        },
        Error::LateChallenge,
        Error::NoResources("Too many open files (os error 24)".to_owned()),
        Error::Stalled(Duration::from_secs(15)),
        Error::DrainTimeout(Duration::from_secs(5)),
        Error::LoginTimeout(Duration::from_secs(5)),
    ];
    errors.extend(of_protocol().into_iter().map(Error::Protocol));
    errors.extend(of_input().map(Error::Input));
    errors
}

fn of_protocol() -> Vec<wmhttp::Error> {
    let servers =
        ["Microsoft-IIS/6.0", "squid/5.7", ""].map(|server| wmhttp::Error::IncompatibleServer {
            server: server.to_owned(),
        });
    let mut errors = vec![
        wmhttp::Error::InvalidRedirect,
        wmhttp::Error::InsecureRedirect {
            url: "http://studio:8080/live".to_owned(),
        },
        wmhttp::Error::TooManyHops,
        wmhttp::Error::NotAnEncoder,
        wmhttp::Error::EndedEarly,
        wmhttp::Error::Forgotten,
    ];
    errors.extend(servers);
    errors
}

fn of_input() -> [asf::Error; 5] {
    let not_asf = |found, format| asf::Error::NotAsf {
        offset: 0,
        found,
        format,
    };
    [
        asf::Error::Incomplete { bytes: 0 },
        asf::Error::Incomplete { bytes: 17 },
        not_asf(0x3C, asf::Format::of(b"<html>")),
        not_asf(0, asf::Format::of(&[0; 8])),
        asf::Error::NoFileProperties,
    ]
}

fn of_tls() -> [TlsError; 16] {
    let names = ["encoder.example", "192.0.2.1"].map(str::to_owned);
    [
        TlsError::Timeout(Duration::from_secs(10)),
        TlsError::SelfSigned,
        TlsError::NotTls,
        TlsError::Closed,
        TlsError::NothingInCommon("received fatal alert: ProtocolVersion".to_owned()),
        TlsError::UnknownIssuer,
        TlsError::WrongName(names.into()),
        TlsError::WrongName(Vec::new()),
        TlsError::Expired,
        TlsError::NotYetValid,
        TlsError::BadCertificate("Revoked".to_owned()),
        TlsError::ClientCertificate,
        TlsError::UnknownName,
        TlsError::NoAnchors("no certificate was found".to_owned()),
        TlsError::NotBuilt,
        TlsError::Other("received fatal alert: InternalError".to_owned()),
    ]
}

fn of_access() -> Vec<Error> {
    let mut errors = Vec::new();
    for role in [Role::Server, Role::Proxy] {
        errors.push(denied(role, Denied::WrongCredentials));
        errors.push(denied(role, Denied::NoCredentials));
        let schemes = vec![Scheme::Ntlm];
        errors.push(denied(role, Denied::LoginIncomplete { schemes }));
        for offered in [&["Basic"][..], &["Digest"], &["Bearer"], &[]] {
            let offered = offered.iter().map(|scheme| (*scheme).to_owned()).collect();
            errors.push(denied(role, Denied::NoUsableScheme { offered }));
        }
    }
    errors
}
