// SPDX-License-Identifier: MPL-2.0

//! The destination of requests, and their authorization: the redirections and challenges of 3.1.5.1 and 3.1.5.2.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::LOCATION;
use url::Url;

use crate::auth::{
    Authenticator, Authorization, BlockingStep, CredentialRequest, Credentials, Denied, Next,
    Policy, RequestLine, Role, Scheme, Schemes, StepResult,
};
use crate::wmhttp::message::{
    Response, Target, absolute_form, authority, is_encrypted, origin_form,
};
use crate::wmhttp::{Body, Error};
use way::{Proxy, Way};

pub(super) use way::Tunnel;

mod way;

/// Most redirections of one session (decision D-13).
const MAX_HOPS: u8 = 5;

/// Who may be asked, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessConfig {
    /// The HTTP proxy, if there is one; without user information.
    pub proxy: Option<Url>,
    /// The schemes that may be used.
    pub schemes: Schemes,
    /// Whether Basic may go over a connection that is not encrypted.
    pub cleartext_basic: bool,
    /// For the server of the publishing point.
    pub credentials: Option<Credentials>,
    /// For the proxy.
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

/// What authentication draws on: the sans-IO half has neither.
pub trait Entropy: Send {
    /// The time of day.
    fn now(&self) -> SystemTime;

    /// Fills `bytes` from a source that nobody can guess.
    fn random(&mut self, bytes: &mut [u8]);
}

/// What is asked of the application when credentials are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsWanted {
    /// Who wants them.
    pub role: Role,
    /// The host of the server or proxy.
    pub site: String,
    /// What for.
    pub request: CredentialRequest,
}

/// What a challenge leads to.
pub(super) enum Answer {
    /// The request goes again.
    Resubmit,
    /// First the application is asked.
    Ask(CredentialsWanted),
    /// PushSetup goes again, on a connection of its own.
    RedoPushSetup,
}

/// What authorises a request.
pub(super) enum Authorized {
    /// These fields; with an empty body if `leg1`.
    Fields { fields: HeaderMap, leg1: bool },
    /// A step that may block comes first.
    Blocking(Role, BlockingStep),
}

/// The server, the way to it, and the authentication of both.
#[derive(Debug)]
pub(super) struct Access {
    config: AccessConfig,
    url: Url,
    way: Way,
    hops: u8,
    server: Authenticator,
}

impl Access {
    pub(super) fn new(config: AccessConfig, url: Url) -> Self {
        let mut server = authenticator(&config, Role::Server, &url);
        server.set_credentials(config.credentials.clone());
        let proxy = config.proxy.clone().map(|url| {
            let mut authenticator = authenticator(&config, Role::Proxy, &url);
            authenticator.set_credentials(config.proxy_credentials.clone());
            Proxy { url, authenticator }
        });
        Self {
            way: Way::new(proxy, &url),
            config,
            url,
            hops: 0,
            server,
        }
    }

    pub(super) fn target(&self) -> Target<'_> {
        Target {
            url: &self.url,
            proxy: self.way.proxy().map(|proxy| &proxy.url),
            schemes: self.config.schemes,
        }
    }

    pub(super) fn uses_proxy(&self) -> bool {
        self.way.proxy().is_some()
    }

    /// The state of the tunnel, where the requests need one.
    pub(super) fn tunnel(&self) -> Option<Tunnel> {
        self.way.tunnel()
    }

    pub(super) fn set_tunnel(&mut self, tunnel: Tunnel) {
        self.way.set_tunnel(tunnel);
    }

    /// 3.1.5.1, status 300 to 305: whether the server is another one from now on.
    pub(super) fn redirect(&mut self, response: &Response) -> Result<bool, Error> {
        self.accepted(response);
        let location = response
            .headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let location = location.and_then(|location| self.url.join(location).ok());
        let target =
            location.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let (Some(mut target), true) = (target, response.status.as_u16() != 304) else {
            return Err(Error::InvalidRedirect);
        };
        if self.hops == MAX_HOPS {
            return Err(Error::TooManyHops);
        }
        self.hops += 1;
        // A server must not choose as whom the client goes elsewhere.
        if target.set_username("").is_err() || target.set_password(None).is_err() {
            return Err(Error::InvalidRedirect);
        }
        target.set_fragment(None);
        if response.status.as_u16() == 305 {
            let authenticator = authenticator(&self.config, Role::Proxy, &target);
            let proxy = Proxy {
                url: target,
                authenticator,
            };
            self.way = Way::new(Some(proxy), &self.url);
            return Ok(false);
        }
        let moved = target.origin() != self.url.origin();
        if moved {
            // Credentials do not follow.
            self.server = authenticator(&self.config, Role::Server, &target);
            self.way.lead_to(&target);
        }
        self.url = target;
        Ok(moved)
    }

    /// A 401 or 407 to a POST.
    pub(super) fn challenged(&mut self, response: &Response) -> Result<Answer, Error> {
        let role = role(response);
        let next = match (role, &mut self.way) {
            (Role::Server, way) => {
                if let Way::Proxy(proxy) = way {
                    proxy.authenticator.accepted(&response.headers);
                }
                self.server.challenged(&response.headers)
            }
            (Role::Proxy, Way::Proxy(proxy)) => {
                self.server.held_back();
                proxy.authenticator.challenged(&response.headers)
            }
            // No request in a tunnel carries an answer for the proxy: it would be challenged for ever.
            (Role::Proxy, Way::Tunnel(..)) => return Err(response.refusal_by(Role::Server)),
            (Role::Proxy, Way::Direct) => return Err(response.refusal()),
        };
        self.answer(role, next)
            .map_err(|denied| denial(response, role, denied))
    }

    /// A 407 to CONNECT.
    pub(super) fn connect_challenged(&mut self, response: &Response) -> Result<Answer, Error> {
        let role = Role::Proxy;
        let Some(proxy) = self.way.proxy_mut() else {
            return Err(response.refusal_by(role));
        };
        let next = proxy.authenticator.challenged(&response.headers);
        self.answer(role, next)
            .map_err(|denied| denial(response, role, denied))
    }

    /// The application's answer; `role` is the party that wants credentials.
    pub(super) fn provide(
        &mut self,
        role: Role,
        credentials: Option<Credentials>,
    ) -> Result<Answer, Error> {
        let Some(authenticator) = self.authenticator(role) else {
            return Ok(Answer::Resubmit);
        };
        let next = authenticator.provide(credentials);
        self.answer(role, next).map_err(|denied| Error::Denied {
            role,
            status: role.status(),
            reason: String::new(),
            denied,
        })
    }

    /// Any other response to a POST.
    pub(super) fn accepted(&mut self, response: &Response) {
        if let Way::Proxy(proxy) = &mut self.way {
            proxy.authenticator.accepted(&response.headers);
        }
        self.server.accepted(&response.headers);
    }

    /// A 2xx to CONNECT.
    pub(super) fn connected(&mut self, response: &Response) {
        if let Some(proxy) = self.way.proxy_mut() {
            proxy.authenticator.accepted(&response.headers);
        }
        self.way.set_tunnel(Tunnel::Open);
    }

    /// What the next request has to carry.
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

    /// The parties that see a request, in this order, and its target as each of them computes with it.
    fn parties(&mut self, body: &Body) -> impl Iterator<Item = (&mut Authenticator, String)> {
        let url = &self.url;
        let proxy = match (body, &mut self.way) {
            (Body::Connect, way) => way.proxy_mut().map(|proxy| (proxy, authority(url))),
            (_, Way::Proxy(proxy)) => Some((proxy, absolute_form(url))),
            (_, Way::Direct | Way::Tunnel(..)) => None,
        };
        let proxy = proxy.map(|(proxy, uri)| (&mut proxy.authenticator, uri));
        let server = match body {
            Body::Connect => None,
            Body::PushSetup(_) | Body::PushStart { .. } => {
                Some((&mut self.server, origin_form(url)))
            }
        };
        proxy.into_iter().chain(server)
    }

    /// The result of a blocking step.
    pub(super) fn computed(&mut self, role: Role, result: StepResult) {
        if let Some(authenticator) = self.authenticator(role) {
            authenticator.resume(result);
        }
    }

    /// The scheme that authenticates the requests to the server.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        self.server.scheme()
    }

    /// Whether a scheme authenticates connections and not requests: PushSetup has to open each one. CONNECT does so for
    /// the proxy of a tunnel.
    pub(super) fn is_bound_to_connection(&self) -> bool {
        let proxy = match &self.way {
            Way::Proxy(proxy) => proxy.authenticator.scheme(),
            Way::Direct | Way::Tunnel(..) => None,
        };
        let mut schemes = proxy.into_iter().chain(self.server.scheme());
        schemes.any(|scheme| matches!(scheme, Scheme::Negotiate | Scheme::Ntlm))
    }

    /// Back to where the session first went: a server may send it elsewhere this time.
    pub(super) fn restart(&mut self, url: &Url) {
        if std::mem::take(&mut self.hops) > 0 {
            *self = Self::new(self.config.clone(), url.clone());
        }
        self.abandon();
    }

    /// Nothing that was under way goes on.
    pub(super) fn abandon(&mut self) {
        self.connection_lost();
        self.way.set_tunnel(Tunnel::Closed);
    }

    pub(super) fn connection_lost(&mut self) {
        self.server.connection_lost();
        self.way.connection_lost();
    }

    fn answer(&self, role: Role, next: Next) -> Result<Answer, Denied> {
        match next {
            Next::Resubmit { .. } => Ok(Answer::Resubmit),
            Next::RedoPushSetup => Ok(Answer::RedoPushSetup),
            Next::NeedCredentials(request) => {
                let site = match (role, self.way.proxy()) {
                    (Role::Proxy, Some(proxy)) => &proxy.url,
                    _ => &self.url,
                };
                Ok(Answer::Ask(CredentialsWanted {
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
            Role::Server => Some(&mut self.server),
            Role::Proxy => self.way.proxy_mut().map(|proxy| &mut proxy.authenticator),
        }
    }
}

fn authenticator(config: &AccessConfig, role: Role, url: &Url) -> Authenticator {
    let policy = Policy {
        schemes: config.schemes,
        encrypted: is_encrypted(url),
        cleartext_basic: config.cleartext_basic,
    };
    Authenticator::new(role, url.host_str().unwrap_or_default(), policy)
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
