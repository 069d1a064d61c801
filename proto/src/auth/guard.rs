// SPDX-License-Identifier: MPL-2.0

//! The server half: checks the answers of clients, by Digest and Basic.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use digest_auth::{Algorithm, AlgorithmType, AuthContext, AuthorizationHeader, Qop};
use hmac::{Hmac, Mac};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use md5::Md5;
use subtle::ConstantTimeEq;

use super::challenge::{Challenge, challenges};
use super::{Credentials, RequestLine, Scheme, Schemes};

/// Valid nonces, at most. The oldest is evicted, and its user gets a new challenge.
const MAX_NONCES: usize = 256;

/// The lifetime of a nonce.
const NONCE_LIFE: Duration = Duration::from_secs(300);

/// The offered algorithms. MD5 comes first, because encoders older than RFC 7616 read only the first challenge.
const ALGORITHMS: [Algorithm; 2] = [
    Algorithm {
        algo: AlgorithmType::MD5,
        sess: false,
    },
    Algorithm {
        algo: AlgorithmType::SHA2_256,
        sess: false,
    },
];

/// The schemes that a guard can check.
const OFFERED: Schemes = Schemes::NONE.with(Scheme::Digest).with(Scheme::Basic);

/// The accounts of a server and the nonces of its challenges.
///
/// Without accounts every client is let in.
pub struct Guard {
    realm: String,
    accounts: Vec<Credentials>,
    secret: [u8; 32],
    issued: u64,
    nonces: VecDeque<Nonce>,
}

struct Nonce {
    value: String,
    until: Duration,
    /// The highest nonce count received. The next one has to be higher, which prevents replay.
    count: u32,
}

/// The `WWW-Authenticate` challenges to send with a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenged(pub Vec<HeaderValue>);

/// The judgement of an answer.
enum Judgement {
    Right,
    Wrong,
    /// The credentials are right, but the nonce is unknown, expired or used again.
    Stale,
}

impl Guard {
    /// Creates a guard over `accounts`. `secret` has to be random: nonces are derived from it. Quotes, backslashes and
    /// control characters are left out of the realm, because no field can have them.
    pub fn new(realm: &str, accounts: Vec<Credentials>, secret: [u8; 32]) -> Self {
        Self {
            realm: realm.replace(|c: char| matches!(c, '"' | '\\') || c.is_control(), ""),
            accounts,
            secret,
            issued: 0,
            nonces: VecDeque::new(),
        }
    }

    /// Checks the answer that a request carries.
    ///
    /// `now` is the time since a fixed start. `accepted` are the schemes that the client supports. If the guard
    /// supports none of them, it offers its own.
    ///
    /// # Errors
    ///
    /// The challenges to send with a 401, if the answer is missing, wrong or stale.
    pub fn check(
        &mut self,
        request: RequestLine<'_>,
        headers: &HeaderMap,
        accepted: Schemes,
        now: Duration,
    ) -> Result<(), Challenged> {
        if self.accounts.is_empty() {
            return Ok(());
        }
        let answers = challenges(headers, &AUTHORIZATION);
        let answer = match answers.first().map(|answer| (answer.scheme(), answer)) {
            Some((Some(Scheme::Basic), answer)) => self.basic(answer),
            Some((Some(Scheme::Digest), answer)) => self
                .digest(request, answer, now)
                .unwrap_or(Judgement::Wrong),
            _ => Judgement::Wrong,
        };
        match answer {
            Judgement::Right => Ok(()),
            Judgement::Wrong => Err(self.challenge(accepted, false, now)),
            Judgement::Stale => Err(self.challenge(accepted, true, now)),
        }
    }

    /// RFC 7617
    fn basic(&self, answer: &Challenge) -> Judgement {
        let token = answer.token.as_deref().unwrap_or_default();
        let given = BASE64_STANDARD.decode(token).unwrap_or_default();
        // Compares with every account, so that the duration does not reveal which one matched.
        let right = self.accounts.iter().fold(false, |right, account| {
            let (user, password) = (account.user_id(), account.password().expose());
            let expected = format!("{user}:{password}");
            right | bool::from(expected.as_bytes().ct_eq(&given))
        });
        if right {
            Judgement::Right
        } else {
            Judgement::Wrong
        }
    }

    /// Checks a Digest answer with `qop=auth` (RFC 7616 section 3.4 The Authorization Header Field); `None` if a
    /// parameter is missing or unknown.
    fn digest(
        &mut self,
        request: RequestLine<'_>,
        answer: &Challenge,
        now: Duration,
    ) -> Option<Judgement> {
        let parameter = |name| answer.parameter(name);
        let count = u32::from_str_radix(parameter("nc")?, 16).ok()?;
        let agreed = parameter("realm")? == self.realm
            && parameter("uri")? == request.uri
            && parameter("qop")?.eq_ignore_ascii_case("auth");
        let nonce = parameter("nonce")?;
        let given = parameter("response")?.to_ascii_lowercase();
        let expected = self.expected_response(request, answer, count)?;
        let same = bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
        Some(match agreed && same {
            true => self.count(nonce, count, now),
            false => Judgement::Wrong,
        })
    }

    /// Returns the `response` that the account's owner computes with the other parameters of this answer.
    fn expected_response(
        &self,
        request: RequestLine<'_>,
        answer: &Challenge,
        count: u32,
    ) -> Option<String> {
        let parameter = |name| answer.parameter(name);
        let user = parameter("username")?;
        let mut accounts = self.accounts.iter();
        let account = accounts.find(|account| account.user_id() == user)?;
        let mut expected = AuthorizationHeader {
            realm: self.realm.clone(),
            nonce: parameter("nonce")?.to_owned(),
            opaque: None,
            userhash: false,
            algorithm: algorithm(parameter("algorithm"))?,
            response: String::new(),
            username: String::new(),
            uri: request.uri.to_owned(),
            qop: Some(Qop::AUTH),
            cnonce: Some(parameter("cnonce")?.to_owned()),
            nc: count,
        };
        expected.digest(&AuthContext::new_with_method(
            user,
            account.password().expose(),
            request.uri,
            None::<&[u8]>,
            request.method.as_str().into(),
        ));
        Some(expected.response)
    }

    /// Checks that the nonce is known, has not expired, and comes with a higher count than before.
    fn count(&mut self, nonce: &str, count: u32, now: Duration) -> Judgement {
        self.nonces.retain(|known| known.until > now);
        match self.nonces.iter_mut().find(|known| known.value == nonce) {
            Some(known) if count > known.count => {
                known.count = count;
                Judgement::Right
            }
            _ => Judgement::Stale,
        }
    }

    fn challenge(&mut self, accepted: Schemes, stale: bool, now: Duration) -> Challenged {
        let both: Vec<_> = OFFERED
            .iter()
            .filter(|scheme| accepted.contains(*scheme))
            .collect();
        let schemes = if both.is_empty() {
            OFFERED.iter().collect()
        } else {
            both
        };
        let mut fields = Vec::new();
        for scheme in schemes {
            if scheme == Scheme::Digest {
                let nonce = self.issue(now);
                let stale = if stale { ", stale=true" } else { "" };
                for algorithm in ALGORITHMS {
                    fields.push(format!(
                        "Digest realm=\"{}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}",
                        self.realm
                    ));
                }
            } else {
                fields.push(format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm));
            }
        }
        let values = fields
            .iter()
            .filter_map(|field| HeaderValue::from_bytes(field.as_bytes()).ok());
        Challenged(values.collect())
    }

    /// Creates an unguessable nonce.
    fn issue(&mut self, now: Duration) -> String {
        self.issued = self.issued.wrapping_add(1);
        // HMAC accepts a key of any length.
        let value = <Hmac<Md5> as Mac>::new_from_slice(&self.secret).map_or(0, |mut mac| {
            mac.update(&self.issued.to_le_bytes());
            u128::from_le_bytes(mac.finalize().into_bytes().into())
        });
        let value = format!("{value:032x}");
        if self.nonces.len() >= MAX_NONCES {
            self.nonces.pop_front();
        }
        self.nonces.push_back(Nonce {
            value: value.clone(),
            until: now.saturating_add(NONCE_LIFE),
            count: 0,
        });
        value
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("realm", &self.realm)
            .field("accounts", &self.accounts.len())
            .finish_non_exhaustive()
    }
}

/// Returns the offered algorithm called `name`; MD5 if the client names none.
fn algorithm(name: Option<&str>) -> Option<Algorithm> {
    match name {
        None => Some(Algorithm::default()),
        Some(name) => ALGORITHMS
            .into_iter()
            .find(|known| name.eq_ignore_ascii_case(&known.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Method;
    use http::header::WWW_AUTHENTICATE;

    use super::*;
    use crate::auth::{Authenticator, Authorization, Next, Policy, Role};

    const LINE: RequestLine<'static> = RequestLine {
        method: &Method::POST,
        uri: "/live",
        is_push_start: false,
    };

    fn guard() -> Guard {
        let accounts = vec![
            Credentials::new("alice", "s3cret"),
            Credentials::new("bob", "pa:ss"),
        ];
        Guard::new("a \"realm\"", accounts, [7; 32])
    }

    fn with(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        headers
    }

    fn ask(guard: &mut Guard, headers: &HeaderMap, now: u64) -> Result<(), Vec<String>> {
        guard
            .check(LINE, headers, Schemes::ALL, Duration::from_secs(now))
            .map_err(|Challenged(fields)| {
                let text = |field: &HeaderValue| field.to_str().unwrap().to_owned();
                fields.iter().map(text).collect()
            })
    }

    /// Returns a client's successive answers to these challenges.
    fn answers(
        challenges: &[String],
        user: &str,
        password: &str,
        scheme: Scheme,
    ) -> impl FnMut() -> HeaderMap + use<> {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append("www-authenticate", challenge.parse().unwrap());
        }
        let policy = Policy {
            schemes: Schemes::NONE.with(scheme),
            encrypted: false,
            cleartext_basic: true,
        };
        let mut client = Authenticator::new(Role::Server, "server", policy);
        client.set_credentials(Some(Credentials::new(user, password)));
        let next = client.challenged(&headers);
        assert!(matches!(next, Next::Resubmit { .. }), "{next:?}");
        move || {
            let random = &mut |bytes: &mut [u8]| bytes.fill(9);
            match client.authorize(&LINE, SystemTime::UNIX_EPOCH, random) {
                Authorization::Header(_, value) => with(value.to_str().unwrap()),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_realm_may_be_any_text() {
        let accounts = vec![Credentials::new("alice", "s3cret")];
        let mut guard = Guard::new("B\u{fc}ro\r\n1", accounts, [7; 32]);
        let unauthorized = guard.check(LINE, &HeaderMap::new(), Schemes::ALL, Duration::ZERO);
        let Challenged(fields) = unauthorized.unwrap_err();
        assert_eq!(fields.len(), 3);
        let digest = fields[0].as_bytes();
        assert!(digest.starts_with("Digest realm=\"B\u{fc}ro1\"".as_bytes()));
        let fields = fields.into_iter().map(|field| (WWW_AUTHENTICATE, field));
        let policy = Policy {
            schemes: Schemes::NONE.with(Scheme::Digest),
            encrypted: false,
            cleartext_basic: false,
        };
        let mut client = Authenticator::new(Role::Server, "server", policy);
        client.set_credentials(Some(Credentials::new("alice", "s3cret")));
        assert!(matches!(
            client.challenged(&fields.collect()),
            Next::Resubmit { .. }
        ));
        let random = &mut |bytes: &mut [u8]| bytes.fill(9);
        let answer = client.authorize(&LINE, SystemTime::UNIX_EPOCH, random);
        let Authorization::Header(name, value) = answer else {
            panic!("{answer:?}");
        };
        let answer = HeaderMap::from_iter([(name, value)]);
        let checked = guard.check(LINE, &answer, Schemes::ALL, Duration::ZERO);
        assert_eq!(checked, Ok(()));
    }

    #[test]
    fn digest_admits_an_account_repeatedly() {
        let mut guard = guard();
        let challenges = ask(&mut guard, &HeaderMap::new(), 0).unwrap_err();
        assert_eq!(challenges.len(), 3, "{challenges:?}");
        for (user, password) in [("alice", "s3cret"), ("bob", "pa:ss")] {
            let challenges = ask(&mut guard, &HeaderMap::new(), 0).unwrap_err();
            let mut answer = answers(&challenges, user, password, Scheme::Digest);
            for now in 0..3 {
                assert_eq!(ask(&mut guard, &answer(), now), Ok(()));
            }
        }
    }

    #[test]
    fn basic_admits_an_account() {
        let mut guard = guard();
        let challenges = ask(&mut guard, &HeaderMap::new(), 0).unwrap_err();
        for (user, password) in [("alice", "s3cret"), ("bob", "pa:ss")] {
            let mut answer = answers(&challenges, user, password, Scheme::Basic);
            assert_eq!(ask(&mut guard, &answer(), 0), Ok(()));
        }
    }

    #[test]
    fn wrong_credentials_are_challenged() {
        let mut guard = guard();
        for scheme in [Scheme::Digest, Scheme::Basic] {
            for (user, password) in [("alice", "secret"), ("carol", "s3cret"), ("bob", "pa")] {
                let challenges = ask(&mut guard, &HeaderMap::new(), 0).unwrap_err();
                let mut answer = answers(&challenges, user, password, scheme);
                assert!(ask(&mut guard, &answer(), 0).is_err(), "{scheme} {user}");
            }
        }
        for junk in [
            "Basic",
            "Basic !",
            "Digest",
            "Digest nc=zz",
            "NTLM AAAA",
            "x",
            "",
        ] {
            assert!(ask(&mut guard, &with(junk), 0).is_err(), "{junk}");
        }
    }

    /// RFC 7616 section 3.4.5: an intercepted answer must not be accepted again.
    #[test]
    fn an_answer_is_valid_once_and_for_a_limited_time() {
        let mut guard = guard();
        let challenges = ask(&mut guard, &HeaderMap::new(), 0).unwrap_err();
        let mut answer = answers(&challenges, "alice", "s3cret", Scheme::Digest);
        let first = answer();
        assert_eq!(ask(&mut guard, &first, 0), Ok(()));
        for (headers, now) in [(first, 0), (answer(), NONCE_LIFE.as_secs())] {
            let challenges = ask(&mut guard, &headers, now).unwrap_err();
            assert!(challenges[0].contains("stale=true"), "{challenges:?}");
        }
        let mut elsewhere = with("Digest");
        let text = answer()[AUTHORIZATION]
            .to_str()
            .unwrap()
            .replace("/live", "/dead");
        elsewhere.insert(AUTHORIZATION, text.parse().unwrap());
        let challenges = ask(&mut guard, &elsewhere, 0).unwrap_err();
        assert!(!challenges[0].contains("stale"), "{challenges:?}");
    }

    /// MS-WMHTTP 2.2.1.9 X-Accept-Authentication; 3.2.5.1 Receiving a PushSetup Request
    #[test]
    fn offers_are_limited_to_the_schemes_of_the_client() {
        let mut guard = guard();
        for (accepted, count) in [
            (Schemes::NONE.with(Scheme::Digest).with(Scheme::Ntlm), 2),
            (Schemes::NONE.with(Scheme::Basic), 1),
            (Schemes::NONE.with(Scheme::Ntlm), 3),
        ] {
            let challenged = guard.check(LINE, &HeaderMap::new(), accepted, Duration::ZERO);
            assert_eq!(challenged.unwrap_err().0.len(), count);
        }
    }

    #[test]
    fn an_evicted_nonce_gets_a_new_challenge() {
        let mut guard = guard();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2 * MAX_NONCES {
            assert!(seen.insert(ask(&mut guard, &HeaderMap::new(), 0).unwrap_err()));
        }
        assert_eq!(guard.nonces.len(), MAX_NONCES);
        assert!(!seen.first().unwrap()[0].contains("\"realm\""));
    }

    #[test]
    fn without_accounts_every_request_is_admitted() {
        let mut open = Guard::new("", Vec::new(), [0; 32]);
        assert_eq!(ask(&mut open, &HeaderMap::new(), 0), Ok(()));
    }

    #[test]
    fn debug_output_hides_the_accounts() {
        let mut guard = guard();
        ask(&mut guard, &HeaderMap::new(), 0).unwrap_err();
        let shown = format!("{guard:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("alice"),
            "{shown}"
        );
    }
}
