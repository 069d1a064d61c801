// SPDX-License-Identifier: MPL-2.0

//! Requests of a player, with the authentication that servers and proxies demand.

use std::convert::identity;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::{Client, Response};
use tokio::time::timeout;
use url::Url;

use super::sight::Sight;
use super::transport::{client, failed, failure};
use super::{Ask, Cause, LONGEST_TIMEOUT};
use crate::auth::{
    Authenticator, Authorization, Denied, Next, Policy, RequestLine, Role, Scheme, accept_header,
};
use crate::push::entropy::SystemEntropy;
use crate::push::{Error, Phase, Settings, blocking};
use crate::wmhttp::{AccessConfig, CredentialsWanted, Entropy};

/// Limit on the requests for one response: enough for a proxy and a server with three schemes of two legs each, and for
/// expired challenges.
const MAX_REQUESTS: usize = 20;

/// Limit on the bytes of a challenge's body that are read to keep the connection.
const MAX_PAGE: usize = 64 * 1024;

/// Time by which the response timeout exceeds the connect timeout, so that reqwest reports the latter first.
const CONNECT_GRACE: Duration = Duration::from_millis(50);

/// Sends requests and answers challenges.
pub(super) struct Viewer {
    settings: Arc<Settings>,
    client: Client,
    /// The client keeps connections alive between requests.
    reuses: bool,
    /// The URL of the next request, after redirections.
    url: Url,
    server: Authenticator,
    proxy: Option<Authenticator>,
    /// The reason why the last challenge was not answered.
    denied: Option<Denied>,
    ask: Ask,
}

impl Viewer {
    /// A viewer of the URL of the session.
    ///
    /// # Errors
    ///
    /// As [`client`].
    pub(super) async fn new(settings: Arc<Settings>, ask: Ask) -> Result<Self, Cause> {
        let timeout = settings.timeout.min(LONGEST_TIMEOUT);
        let client = client(&settings, timeout, false).await?;
        let access = &settings.session.access;
        // For a tunnel, reqwest talks to the proxy itself.
        let proxy = access.proxy.as_ref();
        let proxy = proxy.filter(|_| settings.session.url.scheme() == "http");
        let proxy = proxy.map(|url| {
            let mut proxy = authenticator(Role::Proxy, url, access, false);
            proxy.set_credentials(access.proxy_credentials.clone());
            proxy
        });
        let url = settings.session.url.clone();
        Ok(Self {
            server: server(&url, access),
            client,
            reuses: false,
            proxy,
            denied: None,
            url,
            ask,
            settings,
        })
    }

    /// Sends a GET with these fields, and repeats it with the authentication that challenges demand. Returns the first
    /// response that is not a challenge, or the last challenge if it cannot be answered.
    ///
    /// # Errors
    ///
    /// [`Cause`] if no response was received within the timeout.
    pub(super) async fn get(
        &mut self,
        fields: HeaderMap,
        sight: &mut Sight,
    ) -> Result<Response, Cause> {
        let mut last = None;
        for _ in 1..MAX_REQUESTS {
            let fields = self.authorized(fields.clone(), sight).await?;
            let response = self.send(fields, sight).await?;
            self.follow(response.url(), sight);
            let status = response.status();
            let role = match status.as_u16() {
                401 => Role::Server,
                407 if self.proxy.is_some() => Role::Proxy,
                _ => {
                    self.server.accepted(response.headers());
                    return Ok(response);
                }
            };
            if !self.answers(role, response.headers(), sight).await? {
                return Ok(response);
            }
            skip_page(response).await;
            self.stay_for(role).await?;
            last = Some((role, status));
        }
        // The server has answered each login with another challenge.
        let (role, status) = last.unwrap_or((Role::Server, StatusCode::UNAUTHORIZED));
        let schemes = self.authenticator(role).scheme().into_iter().collect();
        Err(Cause::Denied {
            status,
            server: String::new(),
            denied: Denied::LoginIncomplete { schemes },
        })
    }

    /// Returns the reason why the last challenge was not answered, once.
    pub(super) fn take_denied(&mut self) -> Option<Denied> {
        self.denied.take()
    }

    fn authenticator(&mut self, role: Role) -> &mut Authenticator {
        match (role, &mut self.proxy) {
            (Role::Proxy, Some(proxy)) => proxy,
            _ => &mut self.server,
        }
    }

    async fn send(&mut self, fields: HeaderMap, sight: &Sight) -> Result<Response, Cause> {
        let limit = self.settings.timeout.min(LONGEST_TIMEOUT);
        let request = self.client.get(self.url.clone()).headers(fields).send();
        match timeout(limit.saturating_add(CONNECT_GRACE), request).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_timeout() => {
                let error = Error::ConnectTimeout(limit);
                Err(failed(Phase::Connect, error, &sight.place))
            }
            Ok(Err(error)) => Err(failure(&error, &sight.place)),
            Err(_) => {
                let error = Error::ResponseTimeout(limit);
                Err(failed(Phase::Setup, error, &sight.place))
            }
        }
    }

    /// Adds the authentication fields for the server and the proxy.
    async fn authorized(
        &mut self,
        mut fields: HeaderMap,
        sight: &Sight,
    ) -> Result<HeaderMap, Cause> {
        let schemes = self.settings.session.access.schemes;
        if let Some(value) = accept_header(schemes) {
            fields.insert("x-accept-authentication", value);
        }
        let target = match self.proxy {
            Some(_) => self.url.as_str().to_owned(),
            None => self.url[url::Position::BeforePath..].to_owned(),
        };
        let parties = [Some(&mut self.server), self.proxy.as_mut()];
        for authenticator in parties.into_iter().flatten() {
            authorize(authenticator, &target, &mut fields, sight).await?;
        }
        Ok(fields)
    }

    /// Handles a challenge. Returns whether the request can be repeated with an answer to it.
    async fn answers(
        &mut self,
        role: Role,
        headers: &HeaderMap,
        sight: &Sight,
    ) -> Result<bool, Cause> {
        let url = match (role, &self.settings.session.access.proxy) {
            (Role::Proxy, Some(proxy)) => proxy,
            _ => &self.url,
        };
        let site = url.host_str().unwrap_or_default().to_owned();
        let mut next = self.authenticator(role).challenged(headers);
        while let Next::NeedCredentials(request) = next {
            let wanted = CredentialsWanted {
                role,
                site: site.clone(),
                request,
            };
            let ask = self.ask.clone();
            let asked = blocking::run(move || ask(&wanted));
            let asked = asked.map_err(|error| no_thread(&error, sight))?;
            let given = asked.await.flatten();
            next = self.authenticator(role).provide(given);
        }
        let resubmits = matches!(next, Next::Resubmit { .. });
        if let Next::Denied(denied) = next {
            self.denied = Some(denied);
        }
        Ok(resubmits)
    }

    /// Keeps connections alive from now on if the scheme authenticates connections rather than requests.
    async fn stay_for(&mut self, role: Role) -> Result<(), Cause> {
        let by_connection = matches!(
            self.authenticator(role).scheme(),
            Some(Scheme::Negotiate | Scheme::Ntlm)
        );
        if by_connection && !self.reuses {
            let timeout = self.settings.timeout.min(LONGEST_TIMEOUT);
            self.client = client(&self.settings, timeout, true).await?;
            self.reuses = true;
        }
        Ok(())
    }

    /// Records the URL of the response.
    fn follow(&mut self, url: &Url, sight: &mut Sight) {
        if url.origin() != self.url.origin() {
            let access = &self.settings.session.access;
            self.server = server(url, access);
            let place = &mut sight.place;
            place.redirected = url.host_str() != self.settings.session.url.host_str();
            let circumstances = &mut place.circumstances;
            circumstances.lead_to(&self.settings, url, access.proxy.as_ref());
        }
        self.url = url.clone();
    }
}

fn server(url: &Url, access: &AccessConfig) -> Authenticator {
    authenticator(Role::Server, url, access, url.scheme() == "https")
}

/// Creates an authenticator without credentials, because those of the settings are the encoder's.
fn authenticator(role: Role, url: &Url, access: &AccessConfig, encrypted: bool) -> Authenticator {
    let policy = Policy {
        schemes: access.schemes,
        encrypted,
        cleartext_basic: access.cleartext_basic,
    };
    Authenticator::new(role, url.host_str().unwrap_or_default(), policy)
}

/// Adds the field of one authenticator to a request for `target`.
async fn authorize(
    authenticator: &mut Authenticator,
    target: &str,
    fields: &mut HeaderMap,
    sight: &Sight,
) -> Result<(), Cause> {
    let line = RequestLine {
        method: &http::Method::GET,
        uri: target,
        is_push_start: false,
    };
    let mut entropy = SystemEntropy;
    let now = entropy.now();
    loop {
        match authenticator.authorize(&line, now, &mut |bytes| entropy.random(bytes)) {
            Authorization::None => return Ok(()),
            Authorization::Header(name, value) | Authorization::Leg1(name, value) => {
                fields.insert(name, value);
                return Ok(());
            }
            Authorization::Blocking(step) => {
                let computing = blocking::run_step(step, identity);
                let computing = computing.map_err(|error| no_thread(&error, sight))?;
                match computing.await {
                    Some(result) => authenticator.resume(result),
                    None => return Ok(()),
                }
            }
        }
    }
}

fn no_thread(error: &std::io::Error, sight: &Sight) -> Cause {
    let error = Error::NoResources(error.to_string());
    failed(Phase::Authenticate, error, &sight.place)
}

/// Reads the body of a challenge, because NTLM continues over the same connection.
async fn skip_page(mut response: Response) {
    let mut read = 0usize;
    while let Ok(Some(bytes)) = response.chunk().await {
        read = read.saturating_add(bytes.len());
        if read > MAX_PAGE {
            return;
        }
    }
}
