// SPDX-License-Identifier: MPL-2.0

//! The current method, and its part of the next request.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::fields::header;
use crate::auth::digest::Digest;
use crate::auth::method::Method;
use crate::auth::negotiate::{self, Context};
use crate::auth::{Authorization, Credentials, RequestLine, Role, Scheme, basic, ntlm};

/// The current method, and the peer's judgement of it.
pub(super) struct Conversation {
    pub(super) active: Active,
    pub(super) standing: Standing,
}

/// The peer's judgement of the credentials with this method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Untested,
    /// The peer has accepted them. A single refusal does not count, because a restarted server knows neither nonce nor
    /// connection.
    Accepted,
}

/// The state of the method.
pub(super) enum Active {
    Ntlm(Method, Leg),
    Kerberos(Ticket),
    Digest(Digest),
    Basic,
}

/// The state of an NTLM handshake, which is bound to its connection.
pub(super) enum Leg {
    /// The first message is to be sent, or was sent.
    Opening,
    /// The second message was received. The third is to be sent, or was sent.
    Challenged(ntlm::ServerChallenge),
    /// The connection is authenticated.
    Done,
}

/// The state of a Kerberos exchange.
pub(super) enum Ticket {
    /// The first step is pending.
    Wanted,
    /// The next step is pending; it answers the peer's token.
    Continued { context: Context, token: Vec<u8> },
    /// Another thread carries out the step.
    Pending(Step),
    /// The token is to be sent, or was sent.
    Ready {
        step: Step,
        token: Vec<u8>,
        context: Option<Context>,
    },
    /// The connection is authenticated.
    Done,
}

/// The step that produced a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Its token may be sent over any connection.
    First,
    /// Its token is bound to the connection over which the peer's token was received.
    Next,
}

/// The peer, and the credentials for it.
pub(super) struct Peer<'a> {
    pub(super) role: Role,
    pub(super) host: &'a str,
    pub(super) credentials: Option<&'a Credentials>,
}

impl Conversation {
    /// Creates a conversation in which nothing has been sent.
    pub(super) fn new(active: Active) -> Self {
        Self {
            active,
            standing: Standing::Untested,
        }
    }

    pub(super) fn method(&self) -> Method {
        self.active.method()
    }

    /// Returns what the next request has to carry; `None` if the method cannot continue.
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
            // PushStart cannot carry NTLM (3.2.5.2 Receiving a PushStart Request). Its challenge will lead back to
            // PushSetup.
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
    /// Returns the token to send, or what the caller has to do before there is one.
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

    /// Forgets the state that was bound to the lost connection. `was_sent` is true if a token was sent over it.
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
