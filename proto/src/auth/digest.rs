// SPDX-License-Identifier: MPL-2.0

//! Digest (RFC 7616, RFC 2617), with the hashes of `digest_auth`.
//!
//! The crate's parser is not used: it accepts `charset` in capitals only, rejects an unknown `qop`, and fails on text
//! that is not ASCII. Its answer is not used either, because it takes text, and realm and nonce are bytes in any
//! character set. `auth-int` is not supported, because the body of PushStart has no end and cannot be hashed.

use std::str::FromStr;

use digest_auth::{Algorithm, AlgorithmType};
use http::Method;

use super::Credentials;
use super::challenge::{Challenge, Value};

/// A challenge with a supported algorithm, for any number of answers.
pub(super) struct Digest {
    realm: Value,
    nonce: Value,
    opaque: Option<Value>,
    algorithm: Algorithm,
    qop: Qop,
    user: User,
    verdict: Verdict,
    age: Age,
    /// Answers computed with the nonce so far.
    count: u32,
    /// The first `cnonce` of a `-sess` algorithm. It stays while the nonce is valid, because some servers compute the
    /// session key only once.
    session_cnonce: Option<String>,
}

/// RFC 7616 section 3.3 The WWW-Authenticate Response Header Field: the quality of protection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Qop {
    /// No `qop` parameter, as in RFC 2069.
    None,
    Auth,
}

/// RFC 7616 section 3.4.4 Username Hashing: the form of the user name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    Plain,
    Hashed,
}

/// RFC 7616 section 3.3 The WWW-Authenticate Response Header Field `stale`: the challenge's judgement of the last
/// answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    None,
    /// The answer was right, but its nonce had expired.
    Stale,
}

/// The age of a nonce, which decides the meaning of a refused answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    /// The last challenge issued it. A refusal means that the credentials are wrong.
    Fresh,
    /// The peer has accepted it, or its connection is lost. A refusal may mean that it has expired.
    Old,
}

impl Digest {
    /// Returns the best supported Digest challenge: SHA-256 before MD5, then in order.
    pub(super) fn best<'a>(challenges: impl Iterator<Item = &'a Challenge>) -> Option<Self> {
        let known: Vec<_> = challenges.filter_map(Self::new).collect();
        let is_sha = |digest: &Self| digest.algorithm.algo == AlgorithmType::SHA2_256;
        let best = known.iter().position(is_sha).unwrap_or(0);
        known.into_iter().nth(best)
    }

    /// Parses a challenge; `None` if the algorithm or `qop` is not supported, or a parameter is missing.
    fn new(challenge: &Challenge) -> Option<Self> {
        let algorithm = algorithm(challenge.parameter("algorithm"))?;
        let qop = qop(challenge.parameter("qop"))?;
        // `-sess` needs a cnonce, and a request without qop carries none.
        if algorithm.sess && qop == Qop::None {
            return None;
        }
        let is_true = |name| {
            challenge
                .parameter(name)
                .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        Some(Self {
            realm: challenge.value("realm")?.clone(),
            nonce: challenge.value("nonce")?.clone(),
            opaque: challenge.value("opaque").cloned(),
            algorithm,
            qop,
            user: if is_true("userhash") {
                User::Hashed
            } else {
                User::Plain
            },
            verdict: if is_true("stale") {
                Verdict::Stale
            } else {
                Verdict::None
            },
            age: Age::Fresh,
            count: 0,
            session_cnonce: None,
        })
    }

    /// Returns whether the peer says that only the nonce has expired.
    pub(super) fn is_stale(&self) -> bool {
        self.verdict == Verdict::Stale
    }

    /// Returns whether the two challenges have different nonces.
    pub(super) fn has_another_nonce_than(&self, previous: &Self) -> bool {
        self.nonce != previous.nonce
    }

    /// Returns whether the nonce may have expired.
    pub(super) fn is_old(&self) -> bool {
        self.age == Age::Old
    }

    /// Marks the nonce as old, because its connection is lost.
    pub(super) fn grow_old(&mut self) {
        self.age = Age::Old;
    }

    /// Notes that the peer accepted the answer. `next_nonce`, if any, replaces the nonce (RFC 7616 section 3.5 The
    /// Authentication-Info and Proxy-Authentication-Info Header Fields).
    pub(super) fn accepted(&mut self, next_nonce: Option<Value>) {
        self.age = Age::Old;
        if let Some(nonce) = next_nonce {
            self.nonce = nonce;
            self.count = 0;
            self.session_cnonce = None;
        }
    }

    /// Returns the parameters of the Authorization field for one more request.
    pub(super) fn respond(
        &mut self,
        credentials: &Credentials,
        method: &Method,
        uri: &str,
        cnonce: String,
    ) -> Vec<u8> {
        let cnonce = match self.algorithm.sess {
            true => self.session_cnonce.get_or_insert(cnonce).clone(),
            false => cnonce,
        };
        self.count = self.count.saturating_add(1);
        let count = format!("{:08x}", self.count);
        let response = self.response(credentials, method, uri, &cnonce, &count);
        let user = match self.user {
            User::Plain => credentials.user_id().to_owned(),
            User::Hashed => self.hash(&[credentials.user_id().as_bytes(), self.realm.bytes()]),
        };
        let mut parameters = Parameters::default();
        parameters.quoted("username", &Value::new(user.as_bytes()));
        parameters.quoted("realm", &self.realm);
        parameters.quoted("nonce", &self.nonce);
        parameters.quoted("uri", &Value::new(uri.as_bytes()));
        if self.qop == Qop::Auth {
            parameters.plain("qop", "auth");
            parameters.plain("nc", &count);
            parameters.quoted("cnonce", &Value::new(cnonce.as_bytes()));
        }
        parameters.quoted("response", &Value::new(response.as_bytes()));
        if let Some(opaque) = &self.opaque {
            parameters.quoted("opaque", opaque);
        }
        if self.qop == Qop::Auth || self.algorithm.algo != AlgorithmType::MD5 {
            parameters.plain("algorithm", &self.algorithm.to_string());
        }
        if self.user == User::Hashed {
            parameters.plain("userhash", "true");
        }
        parameters.0
    }

    /// RFC 7616 sections 3.4.1 Response, 3.4.2 A1, 3.4.3 A2
    fn response(
        &self,
        credentials: &Credentials,
        method: &Method,
        uri: &str,
        cnonce: &str,
        count: &str,
    ) -> String {
        let (realm, nonce) = (self.realm.bytes(), self.nonce.bytes());
        let user = credentials.user_id().as_bytes();
        let password = credentials.password().expose().as_bytes();
        let mut key = self.hash(&[user, realm, password]);
        if self.algorithm.sess {
            key = self.hash(&[key.as_bytes(), nonce, cnonce.as_bytes()]);
        }
        let request = self.hash(&[method.as_str().as_bytes(), uri.as_bytes()]);
        let (key, request) = (key.as_bytes(), request.as_bytes());
        match self.qop {
            Qop::None => self.hash(&[key, nonce, request]),
            Qop::Auth => {
                let (count, cnonce) = (count.as_bytes(), cnonce.as_bytes());
                self.hash(&[key, nonce, count, cnonce, b"auth", request])
            }
        }
    }

    /// Returns the hash of `parts` joined by colons, in hexadecimal digits.
    fn hash(&self, parts: &[&[u8]]) -> String {
        let mut text = parts.join(&b':');
        let hash = self.algorithm.hash(&text);
        // The text may contain the password.
        text.fill(0);
        std::hint::black_box(&text);
        hash
    }
}

/// A list of parameters.
#[derive(Default)]
struct Parameters(Vec<u8>);

impl Parameters {
    fn plain(&mut self, name: &str, value: &str) {
        self.put(&[name.as_bytes(), b"=", value.as_bytes()]);
    }

    fn quoted(&mut self, name: &str, value: &Value) {
        self.put(&[name.as_bytes(), b"=\"", value.quoted(), b"\""]);
    }

    fn put(&mut self, pieces: &[&[u8]]) {
        if !self.0.is_empty() {
            self.0.extend_from_slice(b", ");
        }
        for piece in pieces {
            self.0.extend_from_slice(piece);
        }
    }
}

fn algorithm(name: Option<&str>) -> Option<Algorithm> {
    let Some(name) = name else {
        return Some(Algorithm::default());
    };
    ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"]
        .into_iter()
        .find(|known| name.eq_ignore_ascii_case(known))
        .and_then(|known| Algorithm::from_str(known).ok())
}

/// Chooses `auth` if it is offered; `None` if only others are.
fn qop(options: Option<&str>) -> Option<Qop> {
    let mut options = options
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|option| !option.is_empty())
        .peekable();
    if options.peek().is_none() {
        return Some(Qop::None);
    }
    options
        .any(|option| option.eq_ignore_ascii_case("auth"))
        .then_some(Qop::Auth)
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;
    use http::{HeaderMap, HeaderValue};

    use super::super::challenge::challenges;
    use super::*;

    fn digest(field: &str) -> Option<Digest> {
        let value = HeaderValue::from_bytes(field.as_bytes()).unwrap();
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
        Digest::best(challenges(&headers, &WWW_AUTHENTICATE).iter())
    }

    fn respond(digest: &mut Digest, user: &str, password: &str, cnonce: &str) -> String {
        let credentials = Credentials::new(user, password);
        let (uri, cnonce) = ("/dir/index.html", cnonce.to_owned());
        let parameters = digest.respond(&credentials, &Method::GET, uri, cnonce);
        String::from_utf8(parameters).unwrap()
    }

    const RFC_7616: &str = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5,
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    fn rfc_7616(algorithm: &str) -> String {
        let field = RFC_7616.replace(['\n'], "");
        field.replace("algorithm=MD5", &format!("algorithm={algorithm}"))
    }

    /// RFC 7616 section 3.9.1
    #[test]
    fn the_examples_of_rfc_7616_are_reproduced() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let mut digest = digest(&rfc_7616(algorithm)).unwrap();
            let text = respond(&mut digest, "Mufasa", "Circle of Life", CNONCE);
            for part in [
                r#"username="Mufasa""#,
                r#"realm="http-auth@example.org""#,
                r#"uri="/dir/index.html""#,
                &format!("algorithm={algorithm}"),
                r#"nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v""#,
                "nc=00000001",
                &format!(r#"cnonce="{CNONCE}""#),
                "qop=auth,",
                &format!(r#"response="{response}""#),
                r#"opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#,
            ] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
    }

    /// RFC 2617 section 3.5
    #[test]
    fn the_example_of_rfc_2617_is_reproduced() {
        let field = r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
        let mut digest = digest(field).unwrap();
        let text = respond(&mut digest, "Mufasa", "Circle Of Life", "0a4f113b");
        assert!(
            text.contains(r#"response="6629fae49393a05397450978507c4ef1""#),
            "{text}"
        );
    }

    /// RFC 2069 section 2.4, as corrected by erratum 749
    #[test]
    fn without_qop_the_answer_follows_rfc_2069() {
        let field =
            r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#;
        let mut digest = digest(field).unwrap();
        let text = respond(&mut digest, "Mufasa", "CircleOfLife", "unused");
        assert!(
            text.contains(r#"response="1949323746fe6a43ef61f9606e7febea""#),
            "{text}"
        );
        for part in ["qop", "nc=", "cnonce", "opaque"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_nonce_is_counted_until_it_is_replaced() {
        let mut digest = digest(&rfc_7616("MD5")).unwrap();
        let next = |digest: &mut Digest| respond(digest, "u", "p", "c");
        assert!(next(&mut digest).contains("nc=00000001"));
        assert!(next(&mut digest).contains("nc=00000002"));
        digest.accepted(Some(Value::new(b"next")));
        let text = next(&mut digest);
        assert!(
            text.contains("nc=00000001") && text.contains(r#"nonce="next""#),
            "{text}"
        );
    }

    /// RFC 7616 section 3.4.2: the session key is that of the first request.
    #[test]
    fn a_session_keeps_its_cnonce() {
        let mut digest = digest(&rfc_7616("MD5-sess")).unwrap();
        respond(&mut digest, "u", "p", "first");
        let text = respond(&mut digest, "u", "p", "second");
        assert!(
            text.contains(r#"cnonce="first""#) && text.contains("nc=00000002"),
            "{text}"
        );
        digest.accepted(Some(Value::new(b"next")));
        assert!(respond(&mut digest, "u", "p", "third").contains(r#"cnonce="third""#));
    }

    /// RFC 7616 section 3.4.1 Response: the client hashes and returns the realm exactly as the server wrote it.
    #[test]
    fn a_realm_is_echoed_byte_for_byte() {
        for realm in [
            &b"caf\xE9"[..],
            b"\x83\x5C\x95\x5C",
            b"\xE3\x83\xA9",
            b"\x80\xFF",
        ] {
            let field = [b"Digest realm=\"", realm, b"\", nonce=\"\xE4\""].concat();
            let value = HeaderValue::from_bytes(&field).unwrap();
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]);
            let challenges = challenges(&headers, &WWW_AUTHENTICATE);
            let mut digest = Digest::best(challenges.iter()).unwrap();
            let credentials = Credentials::new("alice", "s3cret");
            let answer = digest.respond(&credentials, &Method::GET, "/", String::new());
            let echo = [b"realm=\"", realm, b"\", nonce=\"\xE4\","].concat();
            assert!(answer.windows(echo.len()).any(|part| part == echo));
            let md5 = |text: &[u8]| Algorithm::default().hash(text);
            let key = md5(&[b"alice:", realm, b":s3cret"].concat());
            let text = [key.as_bytes(), b":\xE4:", md5(b"GET:/").as_bytes()].concat();
            let response = format!("response=\"{}\"", md5(&text));
            let response = response.as_bytes();
            assert!(answer.windows(response.len()).any(|part| part == response));
        }
    }

    #[test]
    fn sha_256_is_preferred_to_md5() {
        let both = r#"Digest realm=r, nonce=a, algorithm=MD5, qop="auth", Digest realm=r, nonce=b, algorithm=sha-256, qop="auth""#;
        assert_eq!(digest(both).unwrap().nonce.bytes(), b"b");
    }

    /// Windows sends `charset=utf-8`.
    #[test]
    fn charset_may_be_in_lower_case() {
        let field =
            r#"Digest qop="auth",algorithm=MD5-sess,nonce="n",charset=utf-8,realm="Digest""#;
        assert!(digest(field).is_some());
    }

    #[test]
    fn unsupported_challenges_are_ignored() {
        for field in [
            "Digest realm=r",
            "Digest nonce=n",
            "Digest realm=r, nonce=n, algorithm=SHA-512-256",
            r#"Digest realm=r, nonce=n, qop="auth-int""#,
            "Digest realm=r, nonce=n, algorithm=MD5-sess",
        ] {
            assert!(digest(field).is_none(), "{field}");
        }
    }
}
