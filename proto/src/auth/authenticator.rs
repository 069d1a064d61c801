// SPDX-License-Identifier: MPL-2.0

//! The authentication of one client to one server or proxy: chooses a scheme and carries it out.

use std::fmt;
use std::time::SystemTime;

use http::HeaderMap;

use super::challenge::{Challenge, challenges, lone_parameter};
use super::method::{Method, Methods};
use super::negotiate::StepResult;
use super::{Authorization, Credentials, Denied, Next, Policy, RequestLine, Role, Scheme};
use conversation::{Active, Conversation, Leg, Peer, Standing, Ticket};
use fields::{says_close, says_persistent};

mod answers;
mod choice;
mod conversation;
mod fields;

/// Broken handshakes in sequence after which another scheme is tried.
const MAX_BROKEN_HANDSHAKES: u8 = 3;
/// Expired nonces in sequence after which Digest is given up.
const MAX_EXPIRED_NONCES: u8 = 8;
/// Refused credentials in sequence after which no others are tried.
const MAX_REFUSED: usize = 8;

/// The client's authentication to one server or one proxy.
///
/// The caller calls [`authorize`](Self::authorize) before every request, and [`challenged`](Self::challenged) or
/// [`accepted`](Self::accepted) for every response.
///
/// Offered schemes are tried in this order, each once with the same credentials: Negotiate, NTLM, Digest, Basic.
/// NTLM that was refused under one scheme name is not tried under the other, because a second refusal could lock the
/// account. Credentials that the peer accepted before are tried once more before they count as refused.
///
/// A Digest nonce may expire any number of times, with `stale` or without it. Three things end Digest: a refused answer
/// to a nonce that the last challenge issued and does not call stale, the same nonce in two challenges, and nine
/// challenges in sequence. A success ends the sequence, and so does the loss of the connection before the response.
pub struct Authenticator {
    role: Role,
    host: String,
    policy: Policy,
    /// Methods that this build can carry out.
    available: Methods,
    credentials: Option<Credentials>,
    /// Methods that failed with the current credentials.
    tried: Tried,
    /// The peer's challenges: the most recent one of each scheme.
    offered: Vec<Challenge>,
    conversation: Option<Conversation>,
    awaited: Awaited,
    place: Place,
    setbacks: Setbacks,
}

/// Methods that are not tried again with the same credentials.
#[derive(Default)]
struct Tried {
    /// The peer has refused the credentials.
    refused: Methods,
    /// The method failed for another reason.
    unusable: Methods,
}

/// The response that the client is waiting for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Awaited {
    /// None: the last response was received, or was lost with the connection.
    #[default]
    Nothing,
    /// The response to a request without an authentication answer.
    Plain,
    /// The response to a request with an authentication answer.
    Answer,
}

/// The position of the last request in the sequence PushSetup, PushStart.
///
/// PushStart cannot carry NTLM (3.2.5.2 Receiving a PushStart Request). An NTLM challenge to it leads back to
/// PushSetup, at most once in sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Setup,
    Start,
    /// The PushSetup that follows a challenge to PushStart.
    SecondSetup,
    /// The PushStart after `SecondSetup`, not accepted yet.
    SecondStart,
}

impl Place {
    fn is_push_start(self) -> bool {
        matches!(self, Self::Start | Self::SecondStart)
    }

    /// Returns the position of the next request.
    fn next(self, is_push_start: bool) -> Self {
        match (self, is_push_start) {
            (Self::Setup | Self::Start, false) => Self::Setup,
            (Self::Setup | Self::Start, true) => Self::Start,
            (Self::SecondSetup | Self::SecondStart, false) => Self::SecondSetup,
            (Self::SecondSetup | Self::SecondStart, true) => Self::SecondStart,
        }
    }

    /// Returns the position after the peer has accepted the request. A later PushStart may lead back again.
    fn accepted(self) -> Self {
        match self {
            Self::SecondStart => Self::Start,
            other => other,
        }
    }

    /// Returns to PushSetup; `None` if the last return did not help.
    fn go_back(self) -> Option<Self> {
        match self {
            Self::Setup | Self::Start => Some(Self::SecondSetup),
            Self::SecondSetup | Self::SecondStart => None,
        }
    }
}

/// Failures since the last success.
#[derive(Default)]
struct Setbacks {
    refused: Vec<Credentials>,
    expired_nonces: u8,
    broken_handshakes: u8,
}

impl Authenticator {
    /// Creates an authenticator for the server or proxy named `host`.
    pub fn new(role: Role, host: &str, policy: Policy) -> Self {
        Self {
            role,
            host: host.to_owned(),
            policy,
            available: Methods::available(),
            credentials: None,
            tried: Tried::default(),
            offered: Vec::new(),
            conversation: None,
            awaited: Awaited::default(),
            place: Place::default(),
            setbacks: Setbacks::default(),
        }
    }

    /// Returns the credentials in use.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Sets the credentials to use before the peer asks for any.
    pub fn set_credentials(&mut self, credentials: Option<Credentials>) {
        if self.credentials != credentials {
            self.credentials = credentials;
            self.conversation = None;
            self.tried = Tried::default();
        }
    }

    /// Returns what the next request has to carry: a scheme's opening message, or the answer to the last challenge.
    ///
    /// Time and randomness come from `now` and `random` only.
    pub fn authorize(
        &mut self,
        request: &RequestLine<'_>,
        now: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Authorization {
        self.place = self.place.next(request.is_push_start);
        self.awaited = Awaited::Plain;
        // Each failed turn removes one method, so the loop ends.
        for _ in Method::ALL {
            match self.try_authorize(request, now, random) {
                Some(authorization) => return authorization,
                None => self.give_up(),
            }
            if !self.choose_without_reporting() {
                break;
            }
        }
        Authorization::None
    }

    /// Takes the result of [`Authorization::Blocking`]. Call [`authorize`](Self::authorize) again after it.
    pub fn resume(&mut self, result: StepResult) {
        let Some(Active::Kerberos(ticket)) = self.active() else {
            return;
        };
        let Ticket::Pending(step) = *ticket else {
            return;
        };
        match result.0 {
            Some((token, context)) => {
                *ticket = Ticket::Ready {
                    step,
                    token,
                    context,
                }
            }
            None => {
                // A password that gets no ticket counts as tried. A ticket missing from the cache does not.
                if self.credentials.is_some() {
                    self.tried.refused.insert(Method::Kerberos);
                }
                self.give_up();
                self.choose_without_reporting();
            }
        }
    }

    /// Takes a 401 (from a proxy, 407) to the last request.
    pub fn challenged(&mut self, headers: &HeaderMap) -> Next {
        let fresh = challenges(headers, &self.role.challenge_header());
        self.take_offers(&fresh);
        match self.proceed(&fresh, says_close(headers)) {
            Some(next) => next,
            None => self.choose(),
        }
    }

    /// Takes the answer to [`Next::NeedCredentials`]; `None` gives up.
    pub fn provide(&mut self, credentials: Option<Credentials>) -> Next {
        let refused = &self.setbacks.refused;
        match credentials {
            Some(credentials) if refused.len() < MAX_REFUSED && !refused.contains(&credentials) => {
                self.set_credentials(Some(credentials));
                self.choose()
            }
            None if refused.is_empty() => Next::Denied(Denied::NoCredentials),
            _ => Next::Denied(Denied::WrongCredentials),
        }
    }

    /// Takes any other response: the peer has accepted the request.
    pub fn accepted(&mut self, headers: &HeaderMap) {
        self.place = self.place.accepted();
        let is_push_start = self.place.is_push_start();
        let info = self.role.info_header();
        if std::mem::take(&mut self.awaited) != Awaited::Answer {
            return;
        }
        match self.active() {
            Some(Active::Ntlm(_, leg)) => match leg {
                // The peer accepted the request without authentication. Counted, because a peer that challenges the
                // request afterwards could otherwise repeat that for ever.
                Leg::Opening => return self.break_handshake(Leg::Done),
                _ => *leg = Leg::Done,
            },
            Some(Active::Kerberos(ticket)) => {
                let lasts = !is_push_start && says_persistent(headers);
                *ticket = if lasts { Ticket::Done } else { Ticket::Wanted };
            }
            Some(Active::Digest(digest)) => {
                let nonce = lone_parameter(headers, &info, "nextnonce");
                digest.accepted(nonce);
            }
            Some(Active::Basic) => {}
            None => return,
        }
        if let Some(conversation) = &mut self.conversation {
            conversation.standing = Standing::Accepted;
        }
        self.setbacks = Setbacks::default();
    }

    /// Notes that a proxy answered the last request, so that this peer never saw it.
    pub fn held_back(&mut self) {
        self.awaited = Awaited::Nothing;
    }

    /// Forgets the state that was bound to the lost connection. State that is bound to requests stays.
    ///
    /// A request without a response yet counts as not refused, because a PushStart that streams until its connection is
    /// lost gets no response.
    pub fn connection_lost(&mut self) {
        let awaited = std::mem::take(&mut self.awaited);
        if awaited != Awaited::Nothing {
            self.place = self.place.accepted();
        }
        if awaited == Awaited::Answer {
            self.setbacks.expired_nonces = 0;
        }
        match self.active() {
            Some(Active::Ntlm(_, leg)) => match leg {
                Leg::Opening => {}
                Leg::Challenged(_) => self.break_handshake(Leg::Opening),
                Leg::Done => {
                    *leg = Leg::Opening;
                    self.setbacks.broken_handshakes = 0;
                }
            },
            Some(Active::Kerberos(ticket)) => ticket.connection_lost(awaited == Awaited::Answer),
            Some(Active::Digest(digest)) if awaited == Awaited::Answer => digest.grow_old(),
            _ => {}
        }
    }

    /// Returns the scheme in use.
    pub fn scheme(&self) -> Option<Scheme> {
        let conversation = self.conversation.as_ref();
        conversation.map(|conversation| conversation.method().scheme())
    }

    /// Returns whether the peer is a server or a proxy.
    pub fn role(&self) -> Role {
        self.role
    }

    fn active(&mut self) -> Option<&mut Active> {
        let conversation = self.conversation.as_mut();
        conversation.map(|conversation| &mut conversation.active)
    }

    /// Returns the current method's part of the request; `None` if the method cannot continue.
    fn try_authorize(
        &mut self,
        request: &RequestLine<'_>,
        now: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Authorization> {
        let Some(conversation) = &mut self.conversation else {
            return Some(Authorization::None);
        };
        let peer = Peer {
            role: self.role,
            host: &self.host,
            credentials: self.credentials.as_ref(),
        };
        let authorization = conversation.authorize(&peer, request, now, random)?;
        self.awaited = match authorization {
            Authorization::None => Awaited::Plain,
            Authorization::Header(..) | Authorization::Leg1(..) => Awaited::Answer,
            Authorization::Blocking(_) => Awaited::Nothing,
        };
        Some(authorization)
    }

    /// Ends the current method, which cannot be used.
    fn give_up(&mut self) {
        if let Some(conversation) = self.conversation.take() {
            self.tried.unusable.insert(conversation.method());
        }
    }

    /// Counts an incomplete handshake. The next one begins at `leg`.
    fn break_handshake(&mut self, leg: Leg) {
        let broken = self.setbacks.broken_handshakes.saturating_add(1);
        self.setbacks.broken_handshakes = broken;
        if broken >= MAX_BROKEN_HANDSHAKES {
            self.setbacks.broken_handshakes = 0;
            self.give_up();
        } else if let Some(Active::Ntlm(_, current)) = self.active() {
            *current = leg;
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("role", &self.role)
            .field("host", &self.host)
            .field("policy", &self.policy)
            .field("conversation", &self.conversation)
            .field("awaited", &self.awaited)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

const RESUBMIT: Next = Next::Resubmit {
    same_connection: false,
};
const RESUBMIT_HERE: Next = Next::Resubmit {
    same_connection: true,
};

#[cfg(test)]
mod tests;
