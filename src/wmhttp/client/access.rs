// SPDX-License-Identifier: MPL-2.0

//! Where requests go, and what lets them in: the redirections and challenges of 3.1.5.1 and 3.1.5.2.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::LOCATION;
use url::Url;

use crate::auth::{
    Authenticator, Authorization, BlockingStep, CredentialRequest, Credentials, Next, Policy,
    RequestLine, Role, Scheme, Schemes, StepResult,
};
use crate::wmhttp::message::{Request, Response, Target};
use crate::wmhttp::{Body, Error};

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

/// The two parties that may stand in the way, and where they are.
#[derive(Debug)]
pub(super) struct Access {
    config: AccessConfig,
    url: Url,
    proxy: Option<Url>,
    hops: u8,
    server: Authenticator,
    proxy_server: Option<Authenticator>,
}

impl Access {
    pub(super) fn new(config: AccessConfig, url: Url) -> Self {
        let mut server = authenticator(&config, Role::Server, &url);
        server.set_credentials(config.credentials.clone());
        let proxy = config.proxy.clone();
        let proxy_server = proxy.as_ref().map(|proxy| {
            let mut authenticator = authenticator(&config, Role::Proxy, proxy);
            authenticator.set_credentials(config.proxy_credentials.clone());
            authenticator
        });
        Self {
            config,
            url,
            proxy,
            hops: 0,
            server,
            proxy_server,
        }
    }

    pub(super) fn target(&self) -> Target<'_> {
        Target {
            url: &self.url,
            proxy: self.proxy.as_ref(),
            schemes: self.config.schemes,
        }
    }

    /// Whether a proxy only passes on what is encrypted.
    fn tunnels(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn uses_proxy(&self) -> bool {
        self.proxy.is_some()
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
            self.proxy_server = Some(authenticator(&self.config, Role::Proxy, &target));
            self.proxy = Some(target);
            return Ok(false);
        }
        let moved = target.origin() != self.url.origin();
        if moved {
            // Credentials do not follow.
            self.server = authenticator(&self.config, Role::Server, &target);
        }
        self.url = target;
        Ok(moved)
    }

    /// A 401 or 407.
    pub(super) fn challenged(&mut self, response: &Response) -> Result<Answer, Error> {
        let role = role(response);
        // Behind a tunnel no answer reaches the proxy: whoever asks in its name would ask for ever.
        let unreachable = role == Role::Proxy && self.tunnels();
        match (role, &mut self.proxy_server) {
            (Role::Server, Some(proxy)) => proxy.accepted(&response.headers),
            (Role::Server, None) => {}
            (Role::Proxy, _) => self.server.held_back(),
        }
        let next = match self.authenticator(role) {
            Some(authenticator) if !unreachable => authenticator.challenged(&response.headers),
            // Nor is there one where nobody knew of the proxy.
            _ => return Err(response.refusal()),
        };
        self.answer(role, next).map_err(|denied| Error::Denied {
            role,
            status: response.status,
            reason: response.reason.clone(),
            denied,
        })
    }

    /// The application's answer; `response` is what it was asked for.
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
            status: status(role),
            reason: String::new(),
            denied,
        })
    }

    /// Any other response.
    pub(super) fn accepted(&mut self, response: &Response) {
        if let Some(proxy) = &mut self.proxy_server {
            proxy.accepted(&response.headers);
        }
        self.server.accepted(&response.headers);
    }

    /// What the next request has to carry.
    pub(super) fn authorize(&mut self, body: &Body, entropy: &mut dyn Entropy) -> Authorized {
        let mut authorized = (HeaderMap::new(), false);
        let absolute = self.url.to_string();
        let origin = origin_form(&self.url);
        let is_push_start = matches!(body, Body::PushStart { .. });
        let now = entropy.now();
        let mut random = |bytes: &mut [u8]| entropy.random(bytes);
        // Behind a tunnel, nothing but CONNECT concerns the proxy, and that is the transport's.
        let tunnel = self.tunnels();
        let proxy = self.proxy_server.as_mut().filter(|_| !tunnel);
        let parties = proxy
            .map(|proxy| (proxy, &absolute))
            .into_iter()
            .chain([(&mut self.server, &origin)]);
        for (authenticator, uri) in parties {
            let line = RequestLine {
                method: &Request::METHOD,
                uri,
                is_push_start,
            };
            match authenticator.authorize(&line, now, &mut random) {
                Authorization::None => {}
                Authorization::Header(name, value) => drop(authorized.0.insert(name, value)),
                Authorization::Leg1(name, value) => {
                    authorized.0.insert(name, value);
                    authorized.1 = true;
                }
                Authorization::Blocking(step) => {
                    return Authorized::Blocking(authenticator.role(), step);
                }
            }
        }
        let (fields, leg1) = authorized;
        Authorized::Fields { fields, leg1 }
    }

    /// The result of a blocking step.
    pub(super) fn computed(&mut self, role: Role, result: StepResult) {
        if let Some(authenticator) = self.authenticator(role) {
            authenticator.resume(result);
        }
    }

    /// The scheme that lets the requests in at the server.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        self.server.scheme()
    }

    /// Whether somebody lets a connection in, and not its requests: PushSetup has to open each one.
    pub(super) fn is_bound_to_connection(&self) -> bool {
        let parties = self.proxy_server.iter().chain([&self.server]);
        parties
            .filter_map(Authenticator::scheme)
            .any(|scheme| matches!(scheme, Scheme::Negotiate | Scheme::Ntlm))
    }

    /// Back to where the session first went: a server may send it elsewhere this time.
    pub(super) fn restart(&mut self, url: &Url) {
        if std::mem::take(&mut self.hops) > 0 {
            *self = Self::new(self.config.clone(), url.clone());
        }
        self.connection_lost();
    }

    pub(super) fn connection_lost(&mut self) {
        self.server.connection_lost();
        if let Some(proxy) = &mut self.proxy_server {
            proxy.connection_lost();
        }
    }

    fn answer(&self, role: Role, next: Next) -> Result<Answer, crate::auth::Denied> {
        match next {
            Next::Resubmit { .. } => Ok(Answer::Resubmit),
            Next::RedoPushSetup => Ok(Answer::RedoPushSetup),
            Next::NeedCredentials(request) => {
                let site = match role {
                    Role::Server => &self.url,
                    Role::Proxy => self.proxy.as_ref().unwrap_or(&self.url),
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
            Role::Proxy => self.proxy_server.as_mut(),
        }
    }
}

fn authenticator(config: &AccessConfig, role: Role, url: &Url) -> Authenticator {
    let policy = Policy {
        schemes: config.schemes,
        encrypted: url.scheme() == "https",
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

fn status(role: Role) -> http::StatusCode {
    match role {
        Role::Server => http::StatusCode::UNAUTHORIZED,
        Role::Proxy => http::StatusCode::PROXY_AUTHENTICATION_REQUIRED,
    }
}

/// The request target that an origin server sees.
fn origin_form(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}
