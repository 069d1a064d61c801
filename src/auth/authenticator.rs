// SPDX-License-Identifier: MPL-2.0

//! The choice of a scheme, and its conversation.

use std::time::SystemTime;

use http::HeaderMap;

use super::negotiate::StepResult;
use super::{Authorization, Credentials, Denied, Next, Policy, RequestLine, Role, Scheme};

/// One side of the conversation with one server or one proxy.
#[derive(Debug)]
pub struct Authenticator {
    role: Role,
    host: String,
    policy: Policy,
    credentials: Option<Credentials>,
}

impl Authenticator {
    /// An authenticator for the server or proxy named `host`.
    pub fn new(role: Role, host: &str, policy: Policy) -> Self {
        Self {
            role,
            host: host.to_owned(),
            policy,
            credentials: None,
        }
    }

    /// The credentials that are known beforehand.
    pub fn set_credentials(&mut self, credentials: Option<Credentials>) {
        self.credentials = credentials;
    }

    /// What the next request has to carry: of its own accord, or as the answer to the last challenge.
    ///
    /// `now` and `random` go into what is computed; nothing else draws on either.
    pub fn authorize(
        &mut self,
        _request: &RequestLine<'_>,
        _now: SystemTime,
        _random: &mut dyn FnMut(&mut [u8]),
    ) -> Authorization {
        Authorization::None
    }

    /// Takes the result of [`Authorization::Blocking`]; then comes [`authorize`](Self::authorize) again.
    pub fn resume(&mut self, _result: StepResult) {}

    /// A 401 (407) to the last request.
    pub fn challenged(&mut self, _headers: &HeaderMap) -> Next {
        Next::Denied(Denied::NoUsableScheme {
            offered: Vec::new(),
        })
    }

    /// The answer to [`Next::NeedCredentials`]; `None` gives up.
    pub fn provide(&mut self, credentials: Option<Credentials>) -> Next {
        self.credentials = credentials;
        Next::Denied(Denied::NoCredentials)
    }

    /// Any other response: the peer is content.
    pub fn accepted(&mut self, _headers: &HeaderMap) {}

    /// The connection is gone, and with it what was bound to it.
    pub fn connection_lost(&mut self) {}

    /// The scheme in use.
    pub fn scheme(&self) -> Option<Scheme> {
        None
    }

    /// Who asks.
    pub fn role(&self) -> Role {
        self.role
    }
}
