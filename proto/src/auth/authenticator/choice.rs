// SPDX-License-Identifier: MPL-2.0

//! The choice among the offered methods.

use super::conversation::{Active, Conversation, Leg, Ticket};
use super::{Authenticator, RESUBMIT};
use crate::auth::challenge::{Challenge, Value};
use crate::auth::digest::Digest;
use crate::auth::method::Method;
use crate::auth::{CredentialRequest, Denied, Next, Scheme, Schemes, basic};

/// Scheme names of the IANA HTTP Authentication Schemes registry, and those of Windows.
const REGISTERED: [&str; 14] = [
    "Basic",
    "Bearer",
    "Concealed",
    "Digest",
    "DPoP",
    "GNAP",
    "HOBA",
    "Kerberos",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "SCRAM-SHA-256",
    "Passport1.4",
];

/// Shown instead of any other scheme name.
const UNKNOWN_SCHEME: &str = "an unknown scheme";

impl Authenticator {
    /// Replaces the challenges of each scheme in `fresh`, except those that continue a handshake.
    pub(super) fn take_offers(&mut self, fresh: &[Challenge]) {
        let fresh = fresh.iter().filter(|challenge| challenge.token.is_none());
        let schemes: Vec<_> = fresh.clone().map(Challenge::scheme).collect();
        if !schemes.is_empty() {
            self.offered
                .retain(|old| old.scheme().is_some() && !schemes.contains(&old.scheme()));
            self.offered.extend(fresh.cloned());
        }
    }

    /// Starts the strongest method that is left.
    pub(super) fn choose(&mut self) -> Next {
        self.conversation = None;
        let mut way_back = None;
        for method in Method::ALL {
            if !self.is_open(method) {
                continue;
            }
            if method != Method::Kerberos && self.credentials.is_none() {
                return self.ask(method, None);
            }
            if self.place.is_push_start() && method.is_ntlm() {
                way_back.get_or_insert(method);
                continue;
            }
            match self.begin(method) {
                Some(active) => {
                    self.conversation = Some(Conversation::new(active));
                    return RESUBMIT;
                }
                None => self.tried.unusable.insert(method),
            }
        }
        match (way_back, self.place.go_back()) {
            (Some(method), Some(place)) => {
                self.place = place;
                let active = Active::Ntlm(method, Leg::Opening);
                self.conversation = Some(Conversation::new(active));
                Next::RedoPushSetup
            }
            _ => self.refused(),
        }
    }

    /// Does the same without reporting the outcome, which the next challenge reports. Returns whether a method is left.
    pub(super) fn choose_without_reporting(&mut self) -> bool {
        let place = self.place;
        let next = self.choose();
        self.place = place;
        matches!(next, Next::Resubmit { .. })
    }

    /// Returns whether `method` is offered, allowed, and not tried.
    fn is_open(&self, method: Method) -> bool {
        let scheme = method.scheme();
        self.policy.allows(scheme)
            && self.is_offered(scheme)
            && self.available.contains(method)
            && (method != Method::Digest || self.digest_on_offer().is_some())
            && !self.tried.refused.contains(method)
            && !self.tried.unusable.contains(method)
    }

    fn is_offered(&self, scheme: Scheme) -> bool {
        let mut offered = self.offered.iter();
        offered.any(|challenge| challenge.scheme() == Some(scheme))
    }

    fn begin(&self, method: Method) -> Option<Active> {
        Some(match method {
            Method::Kerberos => Active::Kerberos(Ticket::Wanted),
            Method::NegotiateNtlm | Method::Ntlm => Active::Ntlm(method, Leg::Opening),
            Method::Digest => Active::Digest(self.digest_on_offer()?),
            Method::Basic => {
                basic::token(self.credentials.as_ref()?)?;
                Active::Basic
            }
        })
    }

    pub(super) fn digest_on_offer(&self) -> Option<Digest> {
        let offered = self.offered.iter();
        Digest::best(offered.filter(|challenge| challenge.scheme() == Some(Scheme::Digest)))
    }

    /// Returns the outcome if no method is left.
    fn refused(&mut self) -> Next {
        let refused = Method::ALL.into_iter().find(|method| {
            let scheme = method.scheme();
            self.tried.refused.contains(*method)
                && self.policy.allows(scheme)
                && self.is_offered(scheme)
        });
        match (refused, self.credentials.clone()) {
            (Some(method), Some(credentials)) => {
                let previous_user = credentials.user_id().to_owned();
                let refused = &mut self.setbacks.refused;
                if !refused.contains(&credentials) {
                    refused.push(credentials);
                }
                self.ask(method, Some(previous_user))
            }
            _ => Next::Denied(self.unusable()),
        }
    }

    /// Returns the reason why no offered method can be used.
    fn unusable(&self) -> Denied {
        let permitted = |scheme: &Scheme| {
            let is_available = Method::ALL
                .into_iter()
                .any(|method| method.scheme() == *scheme && self.available.contains(method));
            is_available && self.policy.allows(*scheme) && self.is_offered(*scheme)
        };
        let schemes: Vec<_> = Schemes::ALL.iter().filter(permitted).collect();
        match schemes.is_empty() {
            true => Denied::NoUsableScheme {
                offered: self.names_on_offer(),
            },
            false => Denied::LoginIncomplete { schemes },
        }
    }

    /// Returns the names of the offered schemes as the peer wrote them, each once. The name of an unregistered scheme
    /// is hidden, because it may be anything, even a password.
    fn names_on_offer(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for Challenge { name, .. } in &self.offered {
            let known = REGISTERED
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name));
            let name = if known { name } else { UNKNOWN_SCHEME };
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.to_owned());
            }
        }
        names
    }

    fn ask(&self, method: Method, previous_user: Option<String>) -> Next {
        let scheme = method.scheme();
        let realm = self
            .offered
            .iter()
            .find(|challenge| challenge.scheme() == Some(scheme))
            .and_then(|challenge| challenge.value("realm"));
        Next::NeedCredentials(CredentialRequest {
            realm: realm.map(Value::to_text),
            scheme,
            clear_text: scheme == Scheme::Basic && !self.policy.encrypted,
            previous_user,
        })
    }
}
