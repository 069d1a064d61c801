// SPDX-License-Identifier: MPL-2.0

//! CONNECT (RFC 9110 section 9.3.6): the tunnel through a proxy to a server that speaks TLS.

use super::access::{Authorized, Reaction, Tunnel};
use super::{Event, PushSession, Queued, Transmit};
use crate::auth::{Credentials, Role};
use crate::wmhttp::Error;
use crate::wmhttp::message::{Body, Request, Response};

impl PushSession {
    /// Returns whether the next request waits for the response to CONNECT, or for credentials for it.
    pub(super) fn awaits_tunnel(&self) -> bool {
        matches!(
            self.access.tunnel(),
            Some(Tunnel::Opening | Tunnel::AwaitingCredentials)
        )
    }

    /// Returns whether CONNECT has to be sent before the next request.
    pub(super) fn owes_connect(&self) -> bool {
        let owes_request = matches!(self.queued.front(), Some(Queued::Request { .. }));
        owes_request && self.access.tunnel() == Some(Tunnel::Closed)
    }

    /// Returns CONNECT with its authorization, or the blocking step before it.
    pub(super) fn connect(&mut self) -> Transmit {
        let fields = match self.access.authorize(&Body::Connect, &mut *self.entropy) {
            Authorized::Blocking(role, step) => return Transmit::Compute(role, step),
            Authorized::Fields { fields, .. } => fields,
        };
        self.access.set_tunnel(Tunnel::Opening);
        let target = self.access.target();
        let user_agent = &self.config.user_agent;
        let mut request = Request::new(target, user_agent, &self.cookies, Body::Connect);
        request.headers.extend(fields);
        // The request that waits for the tunnel uses the same connection.
        if let Some(Queued::Request { fresh, .. }) = self.queued.front_mut() {
            request.fresh = std::mem::take(fresh);
        }
        Transmit::Request(Box::new(request))
    }

    /// Handles the response to CONNECT. 2xx opens the tunnel. Any other status comes from the proxy, not from the
    /// server.
    pub(super) fn handle_tunnel_response(&mut self, response: &Response) -> Result<(), Error> {
        match response.status.as_u16() {
            _ if self.access.tunnel() != Some(Tunnel::Opening) => {}
            200..=299 => self.access.connected(response),
            407 => {
                let answer = self.access.connect_challenged(response)?;
                self.events.push_back(Event::Authenticating);
                self.follow_connect(answer);
            }
            _ => return Err(response.refusal_by(Role::Proxy)),
        }
        Ok(())
    }

    /// Takes the application's credentials, and sends CONNECT again.
    pub(super) fn provide_for_tunnel(
        &mut self,
        credentials: Option<Credentials>,
    ) -> Result<(), Error> {
        let answer = self.access.provide(Role::Proxy, credentials);
        answer.map(|answer| self.follow_connect(answer))
    }

    fn follow_connect(&mut self, answer: Reaction) {
        let tunnel = match answer {
            Reaction::Resubmit | Reaction::RedoPushSetup => Tunnel::Closed,
            Reaction::Ask(wanted) => {
                self.events.push_back(Event::CredentialsWanted(wanted));
                Tunnel::AwaitingCredentials
            }
        };
        self.access.set_tunnel(tunnel);
    }
}
