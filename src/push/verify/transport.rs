// SPDX-License-Identifier: MPL-2.0

//! The reqwest client with the plugin's trust, resolver and error mapping.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use http::header::SERVER;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, ClientBuilder, Proxy, Response};

use super::{Cause, Place};
use crate::auth::{Policy as AuthPolicy, Scheme, basic_authorization};
use crate::push::{Error, Failure, Phase, Settings, connect, tls};
use crate::wmhttp::Entropy;

/// Limit on the redirections that a player follows.
const MAX_REDIRECTS: usize = 5;

/// Creates the client of a verification. It uses each connection for one request, because old servers close connections
/// without announcing it. For authentication of connections, it `reuses` them.
///
/// # Errors
///
/// [`Cause`] if reqwest rejects the settings, or there is no trust anchor for `https`.
pub(super) async fn client(
    settings: &Settings,
    timeout: Duration,
    reuses: bool,
) -> Result<Client, Cause> {
    let place = Place::of(settings);
    let builder = Client::builder()
        .no_proxy()
        .referer(false)
        .http1_title_case_headers()
        .pool_max_idle_per_host(reuses.into())
        .connect_timeout(timeout)
        .redirect(Policy::custom(redirect))
        .dns_resolver(Resolver {
            proxied: settings.session.access.proxy.is_some(),
        });
    let builder = tls::preconfigured(builder, settings)
        .await
        .map_err(|error| failed(Phase::Tls, error, &place))?;
    let builder = through_interface(builder, settings);
    let builder = match settings.session.access.proxy.as_ref() {
        Some(url) => {
            let proxy = Proxy::all(url.as_str()).map_err(|error| failure(&error, &place))?;
            builder.proxy(with_tunnel_account(proxy, settings))
        }
        None => builder,
    };
    builder.build().map_err(|error| failure(&error, &place))
}

/// Binds connections to the interface of an IPv6 link-local address, because reqwest knows no zones.
#[cfg(target_os = "linux")]
fn through_interface(builder: ClientBuilder, settings: &Settings) -> ClientBuilder {
    let proxied = settings.session.access.proxy.is_some();
    let zone = match proxied {
        true => &settings.proxy_zone,
        false => &settings.zone,
    };
    match zone {
        Some(zone) => builder.interface(zone),
        None => builder,
    }
}

#[cfg(not(target_os = "linux"))]
fn through_interface(builder: ClientBuilder, _: &Settings) -> ClientBuilder {
    builder
}

/// Sets Basic credentials for a tunnel through the proxy, if the settings allow them unencrypted. reqwest cannot answer
/// a challenge there.
fn with_tunnel_account(proxy: Proxy, settings: &Settings) -> Proxy {
    let access = &settings.session.access;
    let policy = AuthPolicy {
        schemes: access.schemes,
        encrypted: false,
        cleartext_basic: access.cleartext_basic,
    };
    let tunnels = settings.session.url.scheme() == "https";
    let account = access.proxy_credentials.as_ref();
    let account = account.filter(|_| tunnels && policy.allows(Scheme::Basic));
    match account.and_then(basic_authorization) {
        Some(value) => proxy.custom_http_auth(value),
        None => proxy,
    }
}

/// The reason for which a redirection is not followed.
#[derive(Debug)]
enum NotFollowed {
    TooMany,
    Insecure,
    /// To a URL of this scheme.
    Scheme(String),
}

impl fmt::Display for NotFollowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("too many redirections"),
            Self::Insecure => f.write_str("a redirection from https to http"),
            Self::Scheme(scheme) => write!(f, "a redirection to {scheme}"),
        }
    }
}

impl StdError for NotFollowed {}

fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let previous = attempt.previous();
    let was_secure = previous.last().is_some_and(|url| url.scheme() == "https");
    if previous.len() > MAX_REDIRECTS {
        return attempt.error(NotFollowed::TooMany);
    }
    let scheme = attempt.url().scheme();
    if !matches!(scheme, "http" | "https") {
        let scheme = scheme.to_owned();
        return attempt.error(NotFollowed::Scheme(scheme));
    }
    if was_secure && scheme != "https" {
        return attempt.error(NotFollowed::Insecure);
    }
    attempt.follow()
}

/// Resolves names on a thread of its own. reqwest's resolver uses tokio's pool, which panics if it gets no thread.
struct Resolver {
    proxied: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let proxied = self.proxied;
        Box::pin(async move {
            match connect::resolve(name.as_str(), 0).await {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(error) => Err(Unresolved { error, proxied }.into()),
            }
        })
    }
}

/// The name of a server or a proxy that has no address.
#[derive(Debug)]
struct Unresolved {
    error: Error,
    proxied: bool,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl StdError for Unresolved {}

/// Returns the cause of an error of reqwest's. Its text is not used, because it contains URLs.
pub(super) fn failure(error: &reqwest::Error, place: &Place) -> Cause {
    let mut innermost: &(dyn StdError + 'static) = error;
    loop {
        if let Some(cause) = known(innermost, error, place) {
            return cause;
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => break,
        }
    }
    let proxied = place.circumstances.proxy.is_some();
    if error.is_connect() && proxied {
        // What remains is hyper-util's error of a tunnel, which is no public type.
        return Cause::NoTunnel(innermost.to_string());
    }
    let (phase, error) = if error.is_connect() {
        let failed = Error::CannotConnect {
            kind: ErrorKind::Other,
            message: innermost.to_string(),
        };
        (Phase::Connect, failed)
    } else if std::ptr::addr_eq(innermost, error) {
        (Phase::Setup, Error::Closed)
    } else {
        (Phase::Setup, Error::BadResponse(innermost.to_string()))
    };
    failed(phase, error, place)
}

/// Returns the cause for one error of the chain, if that determines it.
fn known(link: &(dyn StdError + 'static), error: &reqwest::Error, place: &Place) -> Option<Cause> {
    if let Some(reason) = link.downcast_ref::<NotFollowed>() {
        return Some(match reason {
            NotFollowed::TooMany => Cause::TooManyRedirects,
            NotFollowed::Insecure => Cause::InsecureRedirect,
            NotFollowed::Scheme(scheme) => Cause::ForeignRedirect(scheme.clone()),
        });
    }
    if let Some(unresolved) = link.downcast_ref::<Unresolved>() {
        let phase = match unresolved.proxied {
            true => Phase::Proxy,
            false => Phase::Resolve,
        };
        return Some(failed(phase, unresolved.error.clone(), place));
    }
    if let Some(http) = link.downcast_ref::<hyper::Error>() {
        let closed = http.is_incomplete_message() || http.is_closed();
        return closed.then(|| failed(Phase::Setup, Error::Closed, place));
    }
    let io = link.downcast_ref::<io::Error>()?;
    if let Some(tls) = tls::error_in(io) {
        return Some(failed(Phase::Tls, tls, place));
    }
    Some(of_system(io, error.is_connect(), place))
}

fn of_system(error: &io::Error, connecting: bool, place: &Place) -> Cause {
    let (kind, message) = (error.kind(), error.to_string());
    let proxied = place.circumstances.proxy.is_some();
    let (phase, error) = match kind {
        _ if connecting && proxied => (Phase::Proxy, Error::CannotConnect { kind, message }),
        _ if connecting => (Phase::Connect, Error::CannotConnect { kind, message }),
        ErrorKind::ConnectionReset => (Phase::Setup, Error::Reset),
        ErrorKind::UnexpectedEof => (Phase::Setup, Error::Closed),
        _ => (Phase::Setup, Error::Broken { kind, message }),
    };
    failed(phase, error, place)
}

pub(super) fn failed(phase: Phase, error: Error, place: &Place) -> Cause {
    Cause::Failed(Failure {
        phase,
        error,
        circumstances: place.circumstances.clone(),
    })
}

/// Returns the Server field of a response; empty if there is none.
pub(super) fn software(response: &Response) -> String {
    let field = response.headers().get(SERVER);
    let text = field.map(|field| String::from_utf8_lossy(field.as_bytes()).into_owned());
    text.unwrap_or_default()
}

/// Returns random bytes for an identifier.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    crate::push::entropy::SystemEntropy.random(&mut bytes);
    bytes
}
