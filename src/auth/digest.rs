// SPDX-License-Identifier: MPL-2.0

//! Digest (RFC 7616, RFC 2617), computed by `digest_auth`.
//!
//! Its parser is not used: it takes `charset` only in capitals, knows no unknown `qop`, and fails on text that is not
//! ASCII. Its `auth-int` is not used either: a PushStart body has no end to be hashed.

use std::str::FromStr;

use digest_auth::{Algorithm, AlgorithmType, AuthContext, Charset, Qop, WwwAuthenticateHeader};
use http::Method;

use super::Credentials;
use super::challenge::Challenge;

/// A challenge that can be answered, again and again.
pub(super) struct Digest {
    prompt: WwwAuthenticateHeader,
    age: Age,
    /// `-sess` binds the key to the first one for as long as the nonce lives: some servers compute it only once.
    session_cnonce: Option<String>,
}

/// What a refused answer to a nonce means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    /// The last challenge has issued it: the credentials are wrong.
    Fresh,
    /// It has been accepted, or has outlived its connection: it may have expired.
    Old,
}

impl Digest {
    /// The best of the Digest challenges: SHA-256 before MD5, then in their order.
    pub(super) fn best<'a>(challenges: impl Iterator<Item = &'a Challenge>) -> Option<Self> {
        let known: Vec<_> = challenges.filter_map(Self::new).collect();
        let is_sha = |digest: &Self| digest.prompt.algorithm.algo == AlgorithmType::SHA2_256;
        let best = known.iter().position(is_sha).unwrap_or(0);
        known.into_iter().nth(best)
    }

    /// A challenge, if its algorithm and its quality of protection are known and nothing is missing.
    fn new(challenge: &Challenge) -> Option<Self> {
        let text = |name| {
            let value = challenge.parameter(name)?;
            (!value.contains(char::REPLACEMENT_CHARACTER)).then(|| value.to_owned())
        };
        let algorithm = algorithm(challenge.parameter("algorithm"))?;
        let qop = qop(challenge.parameter("qop"))?;
        // Without qop no cnonce goes over the wire, and -sess needs one.
        if algorithm.sess && qop.is_none() {
            return None;
        }
        let is_true = |name| {
            challenge
                .parameter(name)
                .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        Some(Self {
            prompt: WwwAuthenticateHeader {
                domain: None,
                realm: text("realm")?,
                nonce: text("nonce")?,
                opaque: text("opaque"),
                stale: is_true("stale"),
                algorithm,
                qop,
                userhash: is_true("userhash"),
                charset: Charset::UTF8,
                nc: 0,
            },
            age: Age::Fresh,
            session_cnonce: None,
        })
    }

    /// Whether the peer says that only the nonce was too old.
    pub(super) fn is_stale(&self) -> bool {
        self.prompt.stale
    }

    /// Whether its nonce is another one than that of `previous`.
    pub(super) fn has_another_nonce_than(&self, previous: &Self) -> bool {
        self.prompt.nonce != previous.prompt.nonce
    }

    /// Whether an answer may be refused only because its nonce has expired.
    pub(super) fn is_old(&self) -> bool {
        self.age == Age::Old
    }

    /// The connection is another one than the nonce was issued on.
    pub(super) fn grow_old(&mut self) {
        self.age = Age::Old;
    }

    /// The peer has accepted the answer. RFC 7616 section 3.5: it may name the nonce that the next request has to use.
    pub(super) fn accepted(&mut self, next_nonce: Option<String>) {
        self.age = Age::Old;
        if let Some(nonce) = next_nonce {
            self.prompt.nonce = nonce;
            self.prompt.nc = 0;
            self.session_cnonce = None;
        }
    }

    /// What stands behind the scheme, for one more request.
    pub(super) fn respond(
        &mut self,
        credentials: &Credentials,
        method: &Method,
        uri: &str,
        cnonce: String,
    ) -> Option<String> {
        let cnonce = if self.prompt.algorithm.sess {
            self.session_cnonce.get_or_insert(cnonce).clone()
        } else {
            cnonce
        };
        let mut context = AuthContext::new_with_method(
            credentials.user_id(),
            credentials.password().expose(),
            uri,
            None::<&[u8]>,
            method.as_str().into(),
        );
        context.set_custom_cnonce(cnonce);
        let header = self.prompt.respond(&context).ok()?.to_header_string();
        header.strip_prefix("Digest ").map(str::to_owned)
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

/// `Some(None)`: none is wanted, as in RFC 2069. `None`: none that can be.
fn qop(options: Option<&str>) -> Option<Option<Vec<Qop>>> {
    let mut options = options
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|option| !option.is_empty())
        .peekable();
    if options.peek().is_none() {
        return Some(None);
    }
    options
        .any(|option| option.eq_ignore_ascii_case("auth"))
        .then(|| Some(vec![Qop::AUTH]))
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
        digest
            .respond(
                &credentials,
                &Method::GET,
                "/dir/index.html",
                cnonce.to_owned(),
            )
            .unwrap()
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
    fn the_examples_of_rfc_7616_come_out() {
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
    fn the_example_of_rfc_2617_comes_out() {
        let field = r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
        let mut digest = digest(field).unwrap();
        let text = respond(&mut digest, "Mufasa", "Circle Of Life", "0a4f113b");
        assert!(
            text.contains(r#"response="6629fae49393a05397450978507c4ef1""#),
            "{text}"
        );
    }

    /// RFC 2069 section 2.4, as its erratum 749 corrects it
    #[test]
    fn without_qop_the_old_way_is_taken() {
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
        digest.accepted(Some("next".to_owned()));
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
        digest.accepted(Some("next".to_owned()));
        assert!(respond(&mut digest, "u", "p", "third").contains(r#"cnonce="third""#));
    }

    #[test]
    fn sha_256_goes_before_md5() {
        let both = r#"Digest realm=r, nonce=a, algorithm=MD5, qop="auth", Digest realm=r, nonce=b, algorithm=sha-256, qop="auth""#;
        assert_eq!(digest(both).unwrap().prompt.nonce, "b");
    }

    /// What Windows sends.
    #[test]
    fn charset_may_be_in_small_letters() {
        let field =
            r#"Digest qop="auth",algorithm=MD5-sess,nonce="n",charset=utf-8,realm="Digest""#;
        assert!(digest(field).is_some());
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge() {
        for field in [
            "Digest realm=r",
            "Digest nonce=n",
            "Digest realm=r, nonce=n, algorithm=SHA-512-256",
            r#"Digest realm=r, nonce=n, qop="auth-int""#,
            "Digest realm=r, nonce=n, algorithm=MD5-sess",
            "Digest realm=\u{e9}\u{fffd}, nonce=n",
        ] {
            assert!(digest(field).is_none(), "{field}");
        }
    }
}
