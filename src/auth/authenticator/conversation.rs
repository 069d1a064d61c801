// SPDX-License-Identifier: MPL-2.0

//! A method under way, and its part of the next request.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::fields::header;
use crate::auth::digest::Digest;
use crate::auth::method::Method;
use crate::auth::negotiate::{self, Context};
use crate::auth::{Authorization, Credentials, RequestLine, Role, Scheme, basic, ntlm};

/// A method under way.
pub(super) struct Conversation {
    pub(super) active: Active,
    pub(super) standing: Standing,
}

/// What the peer has said to the credentials by this method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Untested,
    /// It has accepted them: a server that was started anew knows neither nonce nor connection, and one refusal says
    /// nothing about the credentials.
    Accepted,
}

/// The method, and where it stands.
pub(super) enum Active {
    Ntlm(Method, Leg),
    Kerberos(Ticket),
    Digest(Digest),
    Basic,
}

/// Where an NTLM handshake stands. What is bound to a connection goes with it.
pub(super) enum Leg {
    /// The first message goes next, or has gone.
    Opening,
    /// The second has come; the third goes next, or has gone.
    Challenged(ntlm::Challenge),
    /// The connection is authenticated.
    Done,
}

/// Where a Kerberos exchange stands.
pub(super) enum Ticket {
    /// The first step is to be taken.
    Wanted,
    /// The next step is to be taken, after the peer's token.
    Continued { context: Context, token: Vec<u8> },
    /// A step is being taken elsewhere.
    Pending(Step),
    /// Its token goes next, or has gone.
    Ready {
        step: Step,
        token: Vec<u8>,
        context: Option<Context>,
    },
    /// The connection is authenticated.
    Done,
}

/// What the token of a step is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: it may go over any connection.
    First,
    /// The connection of the token that it answers.
    Next,
}

/// The peer, and the credentials for it.
pub(super) struct Peer<'a> {
    pub(super) role: Role,
    pub(super) host: &'a str,
    pub(super) credentials: Option<&'a Credentials>,
}

impl Conversation {
    /// A conversation that begins.
    pub(super) fn new(active: Active) -> Self {
        Self {
            active,
            standing: Standing::Untested,
        }
    }

    pub(super) fn method(&self) -> Method {
        self.active.method()
    }

    /// What the next request has to carry; `None` when the method cannot go on.
    pub(super) fn authorize(
        &mut self,
        peer: &Peer<'_>,
        request: &RequestLine<'_>,
        now: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Authorization> {
        let scheme = self.method().scheme();
        let answer = match &mut self.active {
            Active::Ntlm(_, Leg::Done) => return Some(Authorization::None),
            // Not supported in PushStart (3.2.5.2): its challenge will lead back to PushSetup.
            Active::Ntlm(..) if request.is_push_start => return Some(Authorization::None),
            Active::Ntlm(_, Leg::Opening) => return first_leg(peer.role, scheme),
            Active::Ntlm(_, Leg::Challenged(challenge)) => {
                let mut client_challenge = [0; 8];
                random(&mut client_challenge);
                let credentials = peer.credentials?;
                let message = challenge.answer(credentials, peer.host, now, client_challenge)?;
                BASE64_STANDARD.encode(message).into_bytes()
            }
            Active::Kerberos(ticket) => match ticket.token(peer) {
                Ok(token) => token.into_bytes(),
                Err(otherwise) => return Some(otherwise),
            },
            Active::Digest(digest) => {
                let mut cnonce = [0; 16];
                random(&mut cnonce);
                let cnonce = format!("{:032x}", u128::from_be_bytes(cnonce));
                digest.respond(peer.credentials?, request.method, request.uri, cnonce)
            }
            Active::Basic => basic::token(peer.credentials?)?.into_bytes(),
        };
        let field = peer.role.authorization_header();
        Some(Authorization::Header(field, header(scheme, &answer)?))
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("method", &self.method())
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

impl Active {
    pub(super) fn method(&self) -> Method {
        match self {
            Self::Ntlm(method, _) => *method,
            Self::Kerberos(_) => Method::Kerberos,
            Self::Digest(_) => Method::Digest,
            Self::Basic => Method::Basic,
        }
    }
}

impl Ticket {
    /// The token to send, or what comes before there is one.
    fn token(&mut self, peer: &Peer<'_>) -> Result<String, Authorization> {
        let (step, context, token) = match std::mem::replace(self, Self::Wanted) {
            Self::Continued { context, token } => (Step::Next, Some(context), Some(token)),
            Self::Wanted | Self::Pending(_) => (Step::First, None, None),
            sendable => {
                *self = sendable;
                return match self {
                    Self::Ready { token, .. } => Ok(BASE64_STANDARD.encode(token)),
                    _ => Err(Authorization::None),
                };
            }
        };
        *self = Self::Pending(step);
        let step = negotiate::step(peer.host, peer.credentials, context, token);
        Err(Authorization::Blocking(step))
    }

    /// The connection is gone; `was_sent` if a token went over it.
    pub(super) fn connection_lost(&mut self, was_sent: bool) {
        match self {
            Self::Pending(Step::First) => {}
            Self::Ready {
                step: Step::First, ..
            } if !was_sent => {}
            _ => *self = Self::Wanted,
        }
    }
}

fn first_leg(role: Role, scheme: Scheme) -> Option<Authorization> {
    let token = BASE64_STANDARD.encode(ntlm::NEGOTIATE);
    let field = role.authorization_header();
    Some(Authorization::Leg1(
        field,
        header(scheme, token.as_bytes())?,
    ))
}
