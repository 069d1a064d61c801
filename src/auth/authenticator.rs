// SPDX-License-Identifier: MPL-2.0

//! The choice of a scheme, and its conversation.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::challenge::{Challenge, challenges, lone_parameter};
use super::digest::Digest;
use super::method::{Method, Methods};
use super::negotiate::{self, Context, StepResult};
use super::{
    Authorization, CredentialRequest, Credentials, Denied, Next, Policy, RequestLine, Role, Scheme,
    basic, ntlm,
};

/// Most handshakes in sequence whose connection goes, before another scheme is tried.
const MAX_BROKEN_HANDSHAKES: u8 = 3;
/// Most credentials in sequence that are tried.
const MAX_REFUSED: usize = 8;

/// One side of the conversation with one server or one proxy.
///
/// Every request asks [`authorize`](Self::authorize) first, and every response is told by
/// [`challenged`](Self::challenged) or [`accepted`](Self::accepted).
///
/// Offered schemes are tried one after the other, each once with the same credentials: Negotiate, NTLM, Digest, Basic.
/// What has been refused as NTLM under one name is not tried under the other, lest an account be locked. Credentials
/// that were good before are tried once more before they count as refused.
pub struct Authenticator {
    role: Role,
    host: String,
    policy: Policy,
    /// Whether tickets are to be had.
    kerberos: bool,
    credentials: Option<Credentials>,
    /// What was refused since the last success.
    refused: Vec<Credentials>,
    /// Everything on offer.
    offered: Vec<Challenge>,
    active: Option<Active>,
    /// Whether `active` has led to success.
    proven: bool,
    /// Whether the last request carried what `active` says.
    answering: bool,
    /// Tried with these credentials, and refused.
    spent: Methods,
    /// Failed for reasons of their own.
    unusable: Methods,
    /// Whether a nonce was too old, and no success since.
    stale: bool,
    broken_handshakes: u8,
    /// Whether the last request was a PushStart.
    is_push_start: bool,
    /// Whether a PushStart has been sent back to PushSetup, and no success since.
    redone: bool,
}

/// What is under way.
enum Active {
    Ntlm(Method, Leg),
    Kerberos(Ticket),
    Digest(Digest),
    Basic,
}

/// Where an NTLM handshake stands. What is bound to a connection goes with it.
enum Leg {
    /// The first message goes next, or has gone.
    Opening,
    /// The second has come; the third goes next, or has gone.
    Challenged(ntlm::Challenge),
    /// The connection is authenticated.
    Done,
}

/// Where a Kerberos exchange stands.
enum Ticket {
    /// The next step is to be taken, after the peer's token if there is one.
    Wanted(Option<Context>, Option<Vec<u8>>),
    /// It is being taken elsewhere.
    Pending,
    /// Its token goes next, or has gone.
    Ready {
        token: Vec<u8>,
        context: Option<Context>,
    },
    /// The connection is authenticated, or each of its requests has to be.
    Done { per_request: bool },
}

impl Active {
    fn method(&self) -> Method {
        match self {
            Self::Ntlm(method, _) => *method,
            Self::Kerberos(_) => Method::Kerberos,
            Self::Digest(_) => Method::Digest,
            Self::Basic => Method::Basic,
        }
    }
}

impl Authenticator {
    /// An authenticator for the server or proxy named `host`.
    pub fn new(role: Role, host: &str, policy: Policy) -> Self {
        Self {
            role,
            host: host.to_owned(),
            policy,
            kerberos: cfg!(feature = "kerberos"),
            credentials: None,
            refused: Vec::new(),
            offered: Vec::new(),
            active: None,
            proven: false,
            answering: false,
            spent: Methods::default(),
            unusable: Methods::default(),
            stale: false,
            broken_handshakes: 0,
            is_push_start: false,
            redone: false,
        }
    }

    /// The credentials that are known beforehand.
    pub fn set_credentials(&mut self, credentials: Option<Credentials>) {
        if self.credentials != credentials {
            self.credentials = credentials;
            self.active = None;
            self.proven = false;
            self.spent = Methods::default();
            self.unusable = Methods::default();
        }
    }

    /// What the next request has to carry: of its own accord, or as the answer to the last challenge.
    ///
    /// `now` and `random` go into what is computed; nothing else draws on either.
    pub fn authorize(
        &mut self,
        request: &RequestLine<'_>,
        now: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Authorization {
        self.is_push_start = request.is_push_start;
        self.answering = false;
        // Each turn but the last takes a method out.
        for _ in Method::ALL {
            match self.try_authorize(request, now, random) {
                Some(authorization) => return authorization,
                None => self.give_up_active(),
            }
            if !self.choose_unheard() {
                break;
            }
        }
        Authorization::None
    }

    /// Takes the result of [`Authorization::Blocking`]; then comes [`authorize`](Self::authorize) again.
    pub fn resume(&mut self, result: StepResult) {
        if !matches!(self.active, Some(Active::Kerberos(Ticket::Pending))) {
            return;
        }
        match result.0 {
            Some((token, context)) => {
                self.active = Some(Active::Kerberos(Ticket::Ready { token, context }));
            }
            None => {
                // A password that gets no ticket has been tried; a missing ticket has not.
                if self.credentials.is_some() {
                    self.spent.insert(Method::Kerberos);
                }
                self.give_up_active();
                self.choose_unheard();
            }
        }
    }

    /// A 401 (407) to the last request.
    pub fn challenged(&mut self, headers: &HeaderMap) -> Next {
        let fresh = challenges(headers, &self.role.challenge_header());
        self.take_offers(&fresh);
        match self.proceed(&fresh, says_close(headers)) {
            Some(next) => next,
            None => self.choose(),
        }
    }

    /// The answer to [`Next::NeedCredentials`]; `None` gives up.
    pub fn provide(&mut self, credentials: Option<Credentials>) -> Next {
        match credentials {
            Some(credentials)
                if self.refused.len() < MAX_REFUSED && !self.refused.contains(&credentials) =>
            {
                self.set_credentials(Some(credentials));
                self.choose()
            }
            None if self.refused.is_empty() => Next::Denied(Denied::NoCredentials),
            _ => Next::Denied(Denied::WrongCredentials),
        }
    }

    /// Any other response: the peer is content.
    pub fn accepted(&mut self, headers: &HeaderMap) {
        let answering = std::mem::take(&mut self.answering);
        self.redone &= !self.is_push_start;
        match &mut self.active {
            Some(Active::Ntlm(_, leg)) if answering => match leg {
                // Nobody asked for the rest; should it be asked for after all, this must not go round for ever.
                Leg::Opening => return self.break_handshake(Leg::Done),
                _ => *leg = Leg::Done,
            },
            Some(Active::Kerberos(ticket)) if answering => {
                let per_request = self.is_push_start || !says_persistent(headers);
                *ticket = Ticket::Done { per_request };
            }
            Some(Active::Digest(digest)) if answering => {
                let nonce = lone_parameter(headers, &self.role.info_header(), "nextnonce");
                if let Some(nonce) = nonce {
                    digest.set_nonce(nonce);
                }
            }
            Some(Active::Basic) if answering => {}
            _ => return,
        }
        self.proven = true;
        self.stale = false;
        self.broken_handshakes = 0;
        self.refused.clear();
    }

    /// The connection is gone, and with it what was bound to it. What is bound to requests stays.
    pub fn connection_lost(&mut self) {
        self.answering = false;
        match &mut self.active {
            Some(Active::Ntlm(_, leg)) => match leg {
                Leg::Opening => {}
                Leg::Challenged(_) => self.break_handshake(Leg::Opening),
                Leg::Done => {
                    *leg = Leg::Opening;
                    self.broken_handshakes = 0;
                }
            },
            Some(Active::Kerberos(ticket)) => *ticket = Ticket::Wanted(None, None),
            _ => {}
        }
    }

    /// The scheme in use.
    pub fn scheme(&self) -> Option<Scheme> {
        self.active.as_ref().map(|active| active.method().scheme())
    }

    /// Who asks.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What the active method wants; `None` when it cannot go on.
    fn try_authorize(
        &mut self,
        request: &RequestLine<'_>,
        now: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Authorization> {
        let Some(active) = &mut self.active else {
            return Some(Authorization::None);
        };
        let scheme = active.method().scheme();
        let field = self.role.authorization_header();
        let credentials = self.credentials.as_ref();
        let token = match active {
            Active::Ntlm(_, Leg::Done) => return Some(Authorization::None),
            // Not supported in PushStart (3.2.5.2): its challenge will lead back to PushSetup.
            Active::Ntlm(..) if request.is_push_start => return Some(Authorization::None),
            Active::Ntlm(_, Leg::Opening) => {
                self.answering = true;
                let token = BASE64_STANDARD.encode(ntlm::NEGOTIATE);
                return Some(Authorization::Leg1(field, header(scheme, &token)?));
            }
            Active::Ntlm(_, Leg::Challenged(challenge)) => {
                let mut client_challenge = [0; 8];
                random(&mut client_challenge);
                let message = challenge.answer(credentials?, &self.host, now, client_challenge)?;
                BASE64_STANDARD.encode(message)
            }
            Active::Kerberos(ticket) => match kerberos_token(ticket, &self.host, credentials) {
                Ok(token) => token,
                Err(otherwise) => return Some(otherwise),
            },
            Active::Digest(digest) => {
                let mut cnonce = [0; 16];
                random(&mut cnonce);
                let cnonce = format!("{:032x}", u128::from_be_bytes(cnonce));
                digest.respond(credentials?, request.method, request.uri, cnonce)?
            }
            Active::Basic => basic::token(credentials?)?,
        };
        self.answering = true;
        Some(Authorization::Header(field, header(scheme, &token)?))
    }

    /// Every challenge replaces those of its scheme, unless it goes on with a handshake.
    fn take_offers(&mut self, fresh: &[Challenge]) {
        let fresh = fresh.iter().filter(|challenge| challenge.token.is_none());
        let schemes: Vec<_> = fresh.clone().map(Challenge::scheme).collect();
        if !schemes.is_empty() {
            self.offered
                .retain(|old| old.scheme().is_some() && !schemes.contains(&old.scheme()));
            self.offered.extend(fresh.cloned());
        }
    }

    /// Goes on with what is under way; `None` when something has to be chosen anew.
    fn proceed(&mut self, fresh: &[Challenge], closes: bool) -> Option<Next> {
        let answering = std::mem::take(&mut self.answering);
        let active = self.active.take()?;
        let method = active.method();
        let token = fresh
            .iter()
            .filter(|challenge| challenge.scheme() == Some(method.scheme()))
            .find_map(|challenge| challenge.token.as_ref())
            .and_then(|token| BASE64_STANDARD.decode(token).ok());
        match active {
            _ if !answering => self.proven = false,
            Active::Ntlm(_, Leg::Opening) => {
                let challenge = token.as_deref().and_then(ntlm::Challenge::parse);
                if let Some(challenge) = challenge.filter(|_| !closes) {
                    self.active = Some(Active::Ntlm(method, Leg::Challenged(challenge)));
                    return Some(RESUBMIT_HERE);
                }
                self.unusable.insert(method);
            }
            Active::Kerberos(Ticket::Ready { context, .. }) => match token {
                Some(token) if !closes && context.is_some() => {
                    let ticket = Ticket::Wanted(context, Some(token));
                    self.active = Some(Active::Kerberos(ticket));
                    return Some(RESUBMIT_HERE);
                }
                _ => self.refuse(method),
            },
            Active::Digest(old) => {
                let new = self.digest_on_offer().map(|new| new.succeed(&old));
                match new {
                    Some(new) if new.is_stale() => return self.renew_nonce(new),
                    Some(new) if self.proven => {
                        self.proven = false;
                        self.active = Some(Active::Digest(new));
                        return Some(RESUBMIT);
                    }
                    _ => self.refuse(method),
                }
            }
            Active::Ntlm(..) | Active::Kerberos(_) | Active::Basic => self.refuse(method),
        }
        None
    }

    /// RFC 7616 section 3.3: the same credentials with another nonce, once.
    fn renew_nonce(&mut self, digest: Digest) -> Option<Next> {
        if std::mem::replace(&mut self.stale, true) {
            self.unusable.insert(Method::Digest);
            return None;
        }
        self.active = Some(Active::Digest(digest));
        Some(RESUBMIT)
    }

    /// The answer was refused. What was good before gets another chance.
    fn refuse(&mut self, method: Method) {
        if std::mem::take(&mut self.proven) {
            return;
        }
        self.spent.insert(method);
        if method.is_ntlm() {
            self.spent.insert(Method::NegotiateNtlm);
            self.spent.insert(Method::Ntlm);
        }
    }

    /// The strongest method that is left.
    fn choose(&mut self) -> Next {
        self.active = None;
        let mut way_back = None;
        for method in Method::ALL {
            if !self.is_open(method) {
                continue;
            }
            if method != Method::Kerberos && self.credentials.is_none() {
                return self.ask(method, None);
            }
            if self.is_push_start && method.is_ntlm() {
                way_back.get_or_insert(method);
                continue;
            }
            self.active = self.begin(method);
            match self.active {
                Some(_) => return RESUBMIT,
                None => self.unusable.insert(method),
            }
        }
        match way_back {
            Some(method) if !std::mem::replace(&mut self.redone, true) => {
                self.active = Some(Active::Ntlm(method, Leg::Opening));
                Next::RedoPushSetup
            }
            _ => self.refused(),
        }
    }

    /// The same where nobody can be told what it comes to, which the next challenge does. Whether something is left.
    fn choose_unheard(&mut self) -> bool {
        let redone = self.redone;
        let next = self.choose();
        self.redone = redone;
        matches!(next, Next::Resubmit { .. })
    }

    /// Whether there is any sense in trying `method`.
    fn is_open(&self, method: Method) -> bool {
        let scheme = method.scheme();
        self.policy.allows(scheme)
            && self.is_offered(scheme)
            && (method != Method::Kerberos || self.kerberos)
            && (method != Method::Digest || self.digest_on_offer().is_some())
            && !self.spent.contains(method)
            && !self.unusable.contains(method)
    }

    fn is_offered(&self, scheme: Scheme) -> bool {
        let mut offered = self.offered.iter();
        offered.any(|challenge| challenge.scheme() == Some(scheme))
    }

    fn begin(&self, method: Method) -> Option<Active> {
        Some(match method {
            Method::Kerberos => Active::Kerberos(Ticket::Wanted(None, None)),
            Method::NegotiateNtlm | Method::Ntlm => Active::Ntlm(method, Leg::Opening),
            Method::Digest => Active::Digest(self.digest_on_offer()?),
            Method::Basic => {
                basic::token(self.credentials.as_ref()?)?;
                Active::Basic
            }
        })
    }

    fn digest_on_offer(&self) -> Option<Digest> {
        let offered = self.offered.iter();
        Digest::best(offered.filter(|challenge| challenge.scheme() == Some(Scheme::Digest)))
    }

    /// Nothing is left to try.
    fn refused(&mut self) -> Next {
        let spent = Method::ALL.into_iter().find(|method| {
            let scheme = method.scheme();
            self.spent.contains(*method) && self.policy.allows(scheme) && self.is_offered(scheme)
        });
        match (spent, self.credentials.clone()) {
            (Some(method), Some(credentials)) => {
                let previous_user = credentials.user_id().to_owned();
                if !self.refused.contains(&credentials) {
                    self.refused.push(credentials);
                }
                self.ask(method, Some(previous_user))
            }
            _ => Next::Denied(Denied::NoUsableScheme {
                offered: self.offered.iter().map(|c| c.name.clone()).collect(),
            }),
        }
    }

    fn ask(&self, method: Method, previous_user: Option<String>) -> Next {
        let scheme = method.scheme();
        let realm = self
            .offered
            .iter()
            .find(|challenge| challenge.scheme() == Some(scheme))
            .and_then(|challenge| challenge.parameter("realm"));
        Next::NeedCredentials(CredentialRequest {
            realm: realm.map(str::to_owned),
            scheme,
            clear_text: scheme == Scheme::Basic && !self.policy.encrypted,
            previous_user,
        })
    }

    /// The active method cannot be used.
    fn give_up_active(&mut self) {
        if let Some(active) = self.active.take() {
            self.unusable.insert(active.method());
        }
        self.proven = false;
    }

    /// A handshake did not come to its end; the next one begins at `leg`.
    fn break_handshake(&mut self, leg: Leg) {
        self.broken_handshakes = self.broken_handshakes.saturating_add(1);
        if self.broken_handshakes >= MAX_BROKEN_HANDSHAKES {
            self.broken_handshakes = 0;
            self.give_up_active();
        } else if let Some(Active::Ntlm(_, current)) = &mut self.active {
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
            .field("method", &self.active.as_ref().map(Active::method))
            .field("proven", &self.proven)
            .finish_non_exhaustive()
    }
}

const RESUBMIT: Next = Next::Resubmit {
    same_connection: false,
};
const RESUBMIT_HERE: Next = Next::Resubmit {
    same_connection: true,
};

/// The token to send, or what comes before there is one.
fn kerberos_token(
    ticket: &mut Ticket,
    host: &str,
    credentials: Option<&Credentials>,
) -> Result<String, Authorization> {
    if let Ticket::Done { per_request } = ticket {
        if !*per_request {
            return Err(Authorization::None);
        }
        *ticket = Ticket::Wanted(None, None);
    }
    if let Ticket::Ready { token, .. } = ticket {
        return Ok(BASE64_STANDARD.encode(token));
    }
    let (context, input) = match std::mem::replace(ticket, Ticket::Pending) {
        Ticket::Wanted(context, input) => (context, input),
        _ => (None, None),
    };
    let step = negotiate::step(host, credentials, context, input);
    Err(Authorization::Blocking(step))
}

/// A field that nobody gets to see.
fn header(scheme: Scheme, token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(format!("{scheme} {token}").as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether the connection will be closed behind this response.
fn says_close(headers: &HeaderMap) -> bool {
    let fields = [CONNECTION, HeaderName::from_static("proxy-connection")];
    let mut values = fields.iter().flat_map(|field| headers.get_all(field));
    values.any(|value| has_word(value, "close"))
}

/// MS-N2HT 2.2.3 Persistent-Auth: whether the connection stays authenticated. RFC 4559 has each request authenticated
/// alone, and a server that wants it so may read a whole body before it says so.
fn says_persistent(headers: &HeaderMap) -> bool {
    let field = HeaderName::from_static("persistent-auth");
    let mut values = headers.get_all(field).iter();
    values.any(|value| has_word(value, "true"))
}

fn has_word(value: &HeaderValue, word: &str) -> bool {
    value.to_str().is_ok_and(|value| {
        value
            .split(',')
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    })
}

#[cfg(test)]
mod tests;
