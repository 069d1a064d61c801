// SPDX-License-Identifier: MPL-2.0

//! The destination of requests, and their authorization: the redirections and challenges of 3.1.5.1 Receiving a
//! PushSetup Response and 3.1.5.2 Receiving a PushStart Response.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::LOCATION;
use percent_encoding::{CONTROLS, percent_encode};
use url::{Origin, Url};

use crate::auth::{
    Authenticator, Authorization, BlockingStep, CredentialRequest, Credentials, Denied, Next,
    RequestLine, Role, Scheme, Schemes, StepResult,
};
use crate::wmhttp::message::{
    Response, Target, absolute_form, authority, is_encrypted, origin_form,
};
use crate::wmhttp::{Body, Error, Secrets};
use party::{LeftParties, Party};
use route::Route;

pub(super) use route::Tunnel;

mod party;
mod route;

/// Redirections of one session, at most (decision D-13).
const MAX_HOPS: u8 = 5;

/// The proxy, the permitted schemes and the credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessConfig {
    /// The HTTP proxy, without user information.
    pub proxy: Option<Url>,
    /// The permitted schemes.
    pub schemes: Schemes,
    /// True to permit Basic over an unencrypted connection.
    pub cleartext_basic: bool,
    /// Credentials for the server of the publishing point.
    pub credentials: Option<Credentials>,
    /// Credentials for the proxy.
    pub proxy_credentials: Option<Credentials>,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            proxy: None,
            schemes: Schemes::ALL,
            cleartext_basic: false,
            credentials: None,
            proxy_credentials: None,
        }
    }
}

/// The time of day and the randomness that authentication needs.
pub trait Entropy: Send {
    /// Returns the time of day.
    fn now(&self) -> SystemTime;

    /// Fills `bytes` from a cryptographically secure source.
    fn random(&mut self, bytes: &mut [u8]);
}

/// A request to the application for credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsWanted {
    /// The peer that requires them.
    pub role: Role,
    /// The host of the server or proxy.
    pub site: String,
    /// The purpose of the credentials.
    pub request: CredentialRequest,
}

/// The reaction to a challenge.
pub(super) enum Reaction {
    /// Send the request again.
    Resubmit,
    /// Ask the application first.
    Ask(CredentialsWanted),
    /// Send PushSetup again, on a new connection.
    RedoPushSetup,
}

/// The authorization of a request.
pub(super) enum Authorized {
    /// Header fields; the body has to be empty if `leg1`.
    Fields { fields: HeaderMap, leg1: bool },
    /// A step that may block has to run first.
    Blocking(Role, BlockingStep),
}

/// The server, the route to it, and the authentication to both server and proxy.
#[derive(Debug)]
pub(super) struct Access {
    config: AccessConfig,
    /// The configured URL of the session.
    home: Url,
    server: Party,
    route: Route,
    left: LeftParties,
    hops: u8,
}

impl Access {
    pub(super) fn new(config: AccessConfig, url: Url) -> Self {
        let credentials = config.credentials.clone();
        let server = Party::new(&config, Role::Server, url.clone(), None, credentials);
        let proxy = config.proxy.clone().map(|url| {
            let credentials = config.proxy_credentials.clone();
            Party::new(&config, Role::Proxy, url, None, credentials)
        });
        Self {
            route: Route::new(proxy, &url),
            config,
            home: url,
            server,
            left: LeftParties::default(),
            hops: 0,
        }
    }

    pub(super) fn target(&self) -> Target<'_> {
        Target {
            url: &self.server.url,
            proxy: self.route.proxy().map(|proxy| &proxy.url),
            schemes: self.config.schemes,
        }
    }

    /// Iterates over all credentials of the client.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        let config = &self.config;
        let settings = [&config.credentials, &config.proxy_credentials];
        let parties = [Some(&self.server), self.route.proxy()];
        let settings = settings.into_iter().flatten();
        let in_use = parties.into_iter().flatten();
        settings.chain(in_use.filter_map(|party| party.authenticator.credentials()))
    }

    pub(super) fn uses_proxy(&self) -> bool {
        self.route.proxy().is_some()
    }

    /// The state of the tunnel; `None` if the requests need none.
    pub(super) fn tunnel(&self) -> Option<Tunnel> {
        self.route.tunnel()
    }

    pub(super) fn set_tunnel(&mut self, tunnel: Tunnel) {
        self.route.set_tunnel(tunnel);
    }

    /// Returns whether a request may carry the secrets of the settings: it goes to the configured origin, and no proxy
    /// from a redirection can read it.
    pub(super) fn is_at_home(&self) -> bool {
        self.server.is(Role::Server, &self.home, None)
    }

    /// 3.1.5.1 Receiving a PushSetup Response: follows a status from 300 to 305. Returns whether the reader of the
    /// requests has changed: another server or proxy.
    pub(super) fn redirect(&mut self, response: &Response) -> Result<bool, Error> {
        self.accepted(response);
        let (status, target) = (response.status.as_u16(), self.location(response));
        let target = target.filter(|_| status != 304);
        let target = target.ok_or(Error::InvalidRedirect)?;
        let url = &self.server.url;
        let (server, proxy) = match status {
            305 => (url.clone(), Some(target)),
            _ if is_encrypted(url) && !is_encrypted(&target) => {
                let url = Secrets::of_credentials(self.credentials()).redact(target.as_str());
                return Err(Error::InsecureRedirect { url });
            }
            _ if target.origin() == url.origin() => {
                let proxy = self.route.proxy().map(|proxy| proxy.url.clone());
                (target, proxy)
            }
            // RFC 2616 section 10.3.6 305 Use Proxy: a server names a proxy for itself, not for other servers.
            _ => (target, self.config.proxy.clone()),
        };
        if self.hops == MAX_HOPS {
            return Err(Error::TooManyHops);
        }
        self.hops = self.hops.saturating_add(1);
        Ok(self.go(server, proxy))
    }

    /// Directs the requests to `server` through `proxy`. Returns whether their reader has changed: another server or
    /// proxy.
    fn go(&mut self, server: Url, proxy: Option<Url>) -> bool {
        let is_named = proxy
            .as_ref()
            .is_some_and(|proxy| !self.is_configured(proxy));
        let reader = proxy
            .as_ref()
            .filter(|_| is_named && !is_encrypted(&server));
        let reader = reader.map(Url::origin);
        let moved = !self.server.is(Role::Server, &server, reader.as_ref());
        if moved {
            let party = self.party(Role::Server, server, reader);
            self.left
                .remember(std::mem::replace(&mut self.server, party));
        } else {
            self.server.url = server;
        }
        if let Some(left) = self.route.take_proxy() {
            self.left.remember(left);
        }
        let proxy = proxy.map(|url| self.party(Role::Proxy, url, None));
        self.route = Route::new(proxy, &self.server.url);
        moved
    }

    /// Returns the party as the session left it, or a new one. It gets the credentials of the settings if they are for
    /// it.
    fn party(&mut self, role: Role, url: Url, reader: Option<Origin>) -> Party {
        if let Some(party) = self.left.take(role, &url, reader.as_ref()) {
            return party;
        }
        let credentials = match role {
            Role::Server if reader.is_none() && url.origin() == self.home.origin() => {
                self.config.credentials.clone()
            }
            Role::Proxy if self.is_configured(&url) => self.config.proxy_credentials.clone(),
            Role::Server | Role::Proxy => None,
        };
        Party::new(&self.config, role, url, reader, credentials)
    }

    fn is_configured(&self, proxy: &Url) -> bool {
        let configured = self.config.proxy.as_ref();
        configured.is_some_and(|configured| configured.origin() == proxy.origin())
    }

    /// RFC 2616 section 14.30 Location: an `http` or `https` URL. Its bytes are kept, because old servers write it in
    /// any character set.
    fn location(&self, response: &Response) -> Option<Url> {
        let location = response.headers.get(LOCATION)?.as_bytes();
        let mut url = self.server.url.join(&in_ascii(location)).ok()?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return None;
        }
        // A server must not choose the credentials for another server.
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        url.set_fragment(None);
        Some(url)
    }

    /// Handles a 401 or 407 to a POST.
    pub(super) fn challenged(&mut self, response: &Response) -> Result<Reaction, Error> {
        let role = role(response);
        let next = match (role, &mut self.route) {
            (Role::Server, route) => {
                if let Route::Proxy(proxy) = route {
                    proxy.authenticator.accepted(&response.headers);
                }
                self.server.authenticator.challenged(&response.headers)
            }
            (Role::Proxy, Route::Proxy(proxy)) => {
                self.server.authenticator.held_back();
                proxy.authenticator.challenged(&response.headers)
            }
            // A request in a tunnel cannot carry an answer for the proxy, so answering would never end.
            (Role::Proxy, Route::Tunnel(..)) => return Err(response.refusal_by(Role::Server)),
            (Role::Proxy, Route::Direct) => return Err(response.refusal()),
        };
        self.answer(role, next)
            .map_err(|denied| denial(response, role, denied))
    }

    /// Handles a 407 to CONNECT.
    pub(super) fn connect_challenged(&mut self, response: &Response) -> Result<Reaction, Error> {
        let role = Role::Proxy;
        let Some(proxy) = self.route.proxy_mut() else {
            return Err(response.refusal_by(role));
        };
        let next = proxy.authenticator.challenged(&response.headers);
        self.answer(role, next)
            .map_err(|denied| denial(response, role, denied))
    }

    /// Takes the application's credentials for `role`.
    pub(super) fn provide(
        &mut self,
        role: Role,
        credentials: Option<Credentials>,
    ) -> Result<Reaction, Error> {
        let Some(authenticator) = self.authenticator(role) else {
            return Ok(Reaction::Resubmit);
        };
        let next = authenticator.provide(credentials);
        self.answer(role, next).map_err(|denied| Error::Denied {
            role,
            status: role.status(),
            reason: String::new(),
            denied,
        })
    }

    /// Handles any other response to a POST.
    pub(super) fn accepted(&mut self, response: &Response) {
        if let Route::Proxy(proxy) = &mut self.route {
            proxy.authenticator.accepted(&response.headers);
        }
        self.server.authenticator.accepted(&response.headers);
    }

    /// Handles a 2xx to CONNECT.
    pub(super) fn connected(&mut self, response: &Response) {
        if let Some(proxy) = self.route.proxy_mut() {
            proxy.authenticator.accepted(&response.headers);
        }
        self.route.set_tunnel(Tunnel::Open);
    }

    /// Returns the authorization of the next request.
    pub(super) fn authorize(&mut self, body: &Body, entropy: &mut dyn Entropy) -> Authorized {
        let method = body.method();
        let (mut fields, mut leg1) = (HeaderMap::new(), false);
        for (authenticator, uri) in self.parties(body) {
            let line = RequestLine {
                method: &method,
                uri: &uri,
                is_push_start: matches!(body, Body::PushStart { .. }),
            };
            let now = entropy.now();
            match authenticator.authorize(&line, now, &mut |bytes| entropy.random(bytes)) {
                Authorization::None => {}
                Authorization::Header(name, value) => drop(fields.insert(name, value)),
                Authorization::Leg1(name, value) => {
                    fields.insert(name, value);
                    leg1 = true;
                }
                Authorization::Blocking(step) => {
                    return Authorized::Blocking(authenticator.role(), step);
                }
            }
        }
        Authorized::Fields { fields, leg1 }
    }

    /// Iterates over the parties that read a request, in the order of the route. Each comes with the request target
    /// that it expects in a Digest answer.
    fn parties(&mut self, body: &Body) -> impl Iterator<Item = (&mut Authenticator, String)> {
        let Party {
            url, authenticator, ..
        } = &mut self.server;
        let url = &*url;
        let proxy = match (body, &mut self.route) {
            (Body::Connect, route) => route.proxy_mut().map(|proxy| (proxy, authority(url))),
            (_, Route::Proxy(proxy)) => Some((proxy, absolute_form(url))),
            (_, Route::Direct | Route::Tunnel(..)) => None,
        };
        let proxy = proxy.map(|(proxy, uri)| (&mut proxy.authenticator, uri));
        let server = match body {
            Body::Connect => None,
            Body::PushSetup(_) | Body::PushStart { .. } => Some((authenticator, origin_form(url))),
        };
        proxy.into_iter().chain(server)
    }

    /// Takes the result of a blocking step.
    pub(super) fn computed(&mut self, role: Role, result: StepResult) {
        if let Some(authenticator) = self.authenticator(role) {
            authenticator.resume(result);
        }
    }

    /// Returns the scheme that authenticates the requests to the server.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        self.server.authenticator.scheme()
    }

    /// Returns whether a scheme authenticates connections instead of requests, so that each connection begins with
    /// PushSetup. CONNECT authenticates the connection to a tunnel's proxy itself.
    pub(super) fn is_bound_to_connection(&self) -> bool {
        let proxy = match &self.route {
            Route::Proxy(proxy) => proxy.authenticator.scheme(),
            Route::Direct | Route::Tunnel(..) => None,
        };
        let mut schemes = proxy.into_iter().chain(self.server.authenticator.scheme());
        schemes.any(|scheme| matches!(scheme, Scheme::Negotiate | Scheme::Ntlm))
    }

    /// Directs the requests to the configured URL again. A server may redirect them differently this time.
    pub(super) fn restart(&mut self) {
        if std::mem::take(&mut self.hops) > 0 {
            self.go(self.home.clone(), self.config.proxy.clone());
        }
        self.abandon();
    }

    /// Drops the state of the connection. A closed tunnel no longer waits for credentials.
    pub(super) fn abandon(&mut self) {
        self.connection_lost();
        self.route.set_tunnel(Tunnel::Closed);
    }

    pub(super) fn connection_lost(&mut self) {
        self.server.authenticator.connection_lost();
        self.route.connection_lost();
    }

    fn answer(&self, role: Role, next: Next) -> Result<Reaction, Denied> {
        match next {
            Next::Resubmit { .. } => Ok(Reaction::Resubmit),
            Next::RedoPushSetup => Ok(Reaction::RedoPushSetup),
            Next::NeedCredentials(request) => {
                let site = match (role, self.route.proxy()) {
                    (Role::Proxy, Some(proxy)) => &proxy.url,
                    _ => &self.server.url,
                };
                Ok(Reaction::Ask(CredentialsWanted {
                    role,
                    site: site.host_str().unwrap_or_default().to_owned(),
                    request,
                }))
            }
            Next::Denied(denied) => Err(denied),
        }
    }

    fn authenticator(&mut self, role: Role) -> Option<&mut Authenticator> {
        match role {
            Role::Server => Some(&mut self.server.authenticator),
            Role::Proxy => self.route.proxy_mut().map(|proxy| &mut proxy.authenticator),
        }
    }
}

/// Percent-encodes a URL in any character set (RFC 3986 section 2.1 Percent-Encoding). A backslash after a byte beyond
/// ASCII is the second byte of a character in Shift-JIS, not a separator.
fn in_ascii(url: &[u8]) -> String {
    let mut previous = b' ';
    let encoded = url.iter().map(|byte| {
        let is_half = *byte == b'\\' && !previous.is_ascii();
        previous = *byte;
        match byte {
            _ if is_half => "%5C".into(),
            byte => percent_encode(std::slice::from_ref(byte), CONTROLS).to_string(),
        }
    });
    encoded.collect()
}

fn role(response: &Response) -> Role {
    if response.status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        Role::Proxy
    } else {
        Role::Server
    }
}

fn denial(response: &Response, role: Role, denied: Denied) -> Error {
    Error::Denied {
        role,
        status: response.status,
        reason: response.reason.clone(),
        denied,
    }
}
