// SPDX-License-Identifier: MPL-2.0

//! The reaction of the current method to a challenge.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::conversation::{Active, Conversation, Leg, Standing, Ticket};
use super::{Authenticator, Awaited, MAX_EXPIRED_NONCES, RESUBMIT, RESUBMIT_HERE};
use crate::auth::challenge::Challenge;
use crate::auth::digest::Digest;
use crate::auth::method::Method;
use crate::auth::{Next, ntlm};

impl Authenticator {
    /// Continues the current method; `None` if another one has to be chosen.
    pub(super) fn proceed(&mut self, fresh: &[Challenge], closes: bool) -> Option<Next> {
        let awaited = std::mem::take(&mut self.awaited);
        let Conversation { active, standing } = self.conversation.take()?;
        if awaited != Awaited::Answer {
            return None;
        }
        let token = token(fresh, active.method()).filter(|_| !closes);
        let active = match (active, token) {
            (Active::Ntlm(method, Leg::Opening), token) => {
                self.second_leg(method, token.as_deref())?
            }
            (Active::Kerberos(Ticket::Ready { context, .. }), Some(token)) => {
                let Some(context) = context else {
                    return self.refuse(Method::Kerberos, standing);
                };
                Active::Kerberos(Ticket::Continued { context, token })
            }
            (Active::Digest(old), _) => return self.renew_nonce(&old, standing),
            (active, _) => return self.refuse(active.method(), standing),
        };
        self.conversation = Some(Conversation { active, standing });
        Some(RESUBMIT_HERE)
    }

    /// Reads `token` as the second NTLM message, which the third answers.
    fn second_leg(&mut self, method: Method, token: Option<&[u8]>) -> Option<Active> {
        match token.and_then(ntlm::ServerChallenge::parse) {
            Some(challenge) => Some(Active::Ntlm(method, Leg::Challenged(challenge))),
            None => {
                self.tried.unusable.insert(method);
                None
            }
        }
    }

    /// Answers with the same credentials and the new nonce, unless the credentials are refused (RFC 7616 section 3.3
    /// The WWW-Authenticate Response Header Field).
    ///
    /// `stale` is optional, and many servers omit it. Without it, a refused answer to an old nonce means that the nonce
    /// has expired, and a refused answer to a fresh nonce means that the credentials are wrong.
    fn renew_nonce(&mut self, old: &Digest, standing: Standing) -> Option<Next> {
        let new = self.digest_on_offer();
        let is_stale = new.as_ref().is_some_and(Digest::is_stale);
        let new = new.filter(|new| new.has_another_nonce_than(old) && (is_stale || old.is_old()));
        match new {
            Some(new) if self.setbacks.expired_nonces < MAX_EXPIRED_NONCES => {
                let again = self.place.is_push_start() && self.setbacks.expired_nonces > 0;
                self.setbacks.expired_nonces = self.setbacks.expired_nonces.saturating_add(1);
                let active = Active::Digest(new);
                self.conversation = Some(Conversation { active, standing });
                return Some(if again { Next::RedoPushSetup } else { RESUBMIT });
            }
            // The peer accepts the credentials, but calls every nonce stale.
            _ if is_stale => self.tried.unusable.insert(Method::Digest),
            _ => self.tried.refused.insert(Method::Digest),
        }
        None
    }

    /// Notes a refused answer. A method that the peer accepted before is tried once more.
    fn refuse(&mut self, method: Method, standing: Standing) -> Option<Next> {
        if standing == Standing::Untested {
            self.tried.refused.insert(method);
            if method.is_ntlm() {
                self.tried.refused.insert(Method::NegotiateNtlm);
                self.tried.refused.insert(Method::Ntlm);
            }
        }
        None
    }
}

/// Returns the token that the peer sent for `method`.
fn token(fresh: &[Challenge], method: Method) -> Option<Vec<u8>> {
    fresh
        .iter()
        .filter(|challenge| challenge.scheme() == Some(method.scheme()))
        .find_map(|challenge| challenge.token.as_ref())
        .and_then(|token| BASE64_STANDARD.decode(token).ok())
}
