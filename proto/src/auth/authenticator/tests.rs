// SPDX-License-Identifier: MPL-2.0

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use http::{HeaderName, HeaderValue, Method as HttpMethod};
use md5::{Digest as _, Md5};
use proptest::prelude::*;

use super::super::negotiate::StepResult;
use super::super::{CredentialRequest, Schemes};
use super::*;

mod connections;
mod nonces;
mod offers;
mod push_start;
mod tickets;

const USER: &str = r"WMDOM\alice";
const PASSWORD: &str = "s3cret";
const URI: &str = "/pubPoint?a=b";
const DIGEST: &str = r#"Digest realm="WMS", nonce="n1", qop="auth", opaque="o""#;
const ANYTHING: Policy = Policy {
    schemes: Schemes::ALL,
    encrypted: true,
    cleartext_basic: false,
};

/// The second message of example 4.8 of MS-WMHTTP.
const TYPE_2: &str = "TlRMTVNTUAACAAAADgAOADgAAAAFgoqio8hNyf74ihkAAAAAAAAAAFgAWABGAAAABgBkFgAAAA9XAE0AUwAyADIAMAA1AAIADgBXAE0AUwAyADIAMAA1AAEADgBXAE0AUwAyADIAMAA1AAQADgBXAE0AUwAyADIAMAA1AAMADgBXAE0AUwAyADIAMAA1AAcACABEkqlgclfHAQAAAAA=";

/// The authentication that a request carried.
#[derive(Debug, PartialEq)]
enum Sent {
    Nothing,
    Header(String),
    Leg1(String),
    Blocking,
}

/// A client that a test drives step by step.
struct Client {
    authenticator: Authenticator,
    drawn: u8,
}

impl Client {
    fn with(role: Role, policy: Policy) -> Self {
        let mut authenticator = Authenticator::new(role, "MediaServer", policy);
        authenticator.available.remove(Method::Kerberos);
        authenticator.set_credentials(Some(Credentials::new(USER, PASSWORD)));
        Self {
            authenticator,
            drawn: 0,
        }
    }

    fn new() -> Self {
        Self::with(Role::Server, ANYTHING)
    }

    fn allowing(schemes: &[Scheme]) -> Self {
        let schemes = schemes.iter().copied().collect();
        Self::with(
            Role::Server,
            Policy {
                schemes,
                ..ANYTHING
            },
        )
    }

    fn send(&mut self, is_push_start: bool) -> Sent {
        let request = RequestLine {
            method: &HttpMethod::POST,
            uri: URI,
            is_push_start,
        };
        let drawn = &mut self.drawn;
        let mut random = |bytes: &mut [u8]| {
            *drawn = drawn.wrapping_add(1);
            bytes.fill(*drawn);
        };
        let field = self.authenticator.role().authorization_header();
        let shown = |name: HeaderName, value: HeaderValue| {
            assert!(value.is_sensitive() && name == field);
            String::from_utf8(value.as_bytes().to_vec()).unwrap()
        };
        let now = SystemTime::UNIX_EPOCH;
        match self.authenticator.authorize(&request, now, &mut random) {
            Authorization::None => Sent::Nothing,
            Authorization::Header(name, value) => Sent::Header(shown(name, value)),
            Authorization::Leg1(name, value) => Sent::Leg1(shown(name, value)),
            Authorization::Blocking(_) => Sent::Blocking,
        }
    }

    fn push_setup(&mut self) -> Sent {
        self.send(false)
    }

    fn push_start(&mut self) -> Sent {
        self.send(true)
    }

    /// Returns the Authorization value of the next request, without the scheme name.
    fn answer(&mut self, scheme: &str) -> String {
        match self.push_setup() {
            Sent::Header(value) => value
                .strip_prefix(&format!("{scheme} "))
                .unwrap_or_else(|| panic!("{value} is not {scheme}"))
                .to_owned(),
            other => panic!("{other:?} is no answer by {scheme}"),
        }
    }

    fn challenged(&mut self, fields: &[&str]) -> Next {
        let field = self.authenticator.role().challenge_header();
        let headers = fields
            .iter()
            .map(|value| (field.clone(), HeaderValue::from_str(value).unwrap()));
        self.authenticator.challenged(&headers.collect())
    }

    fn accepted(&mut self) {
        self.authenticator.accepted(&HeaderMap::new());
    }

    fn accepted_with(&mut self, name: &'static str, value: &'static str) {
        let field = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        self.authenticator.accepted(&HeaderMap::from_iter([field]));
    }

    /// Completes an NTLM handshake from its first message.
    fn shake_hands(&mut self, scheme: &str) {
        assert_eq!(self.push_setup(), leg_1(scheme));
        let type_2 = format!("{scheme} {TYPE_2}");
        assert_eq!(self.challenged(&[&type_2]), RESUBMIT_HERE);
        assert_ntlm_answer(&self.answer(scheme), "alice", "WMDOM", PASSWORD);
    }
}

fn leg_1(scheme: &str) -> Sent {
    let type_1 = "TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAFASgKAAAADw==";
    Sent::Leg1(format!("{scheme} {type_1}"))
}

fn parameter(token: &str, name: &str) -> String {
    let field = HeaderName::from_static("x");
    let value = HeaderValue::from_str(token).unwrap();
    let headers = HeaderMap::from_iter([(field.clone(), value)]);
    let value = lone_parameter(&headers, &field, name).unwrap();
    String::from_utf8(value.bytes().to_vec()).unwrap()
}

fn md5(text: &str) -> String {
    let digest = Md5::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks the answer as a server computes it (RFC 7616 section 3.4.1 Response).
fn assert_digest_answer(token: &str, nonce: &str, count: u32) {
    let part = |name| parameter(token, name);
    assert_eq!((part("nonce"), part("uri")), (nonce.into(), URI.into()));
    assert_eq!(
        (part("opaque"), part("username")),
        ("o".into(), USER.into())
    );
    assert_eq!(part("nc"), format!("{count:08x}"));
    let secret = md5(&format!("{USER}:WMS:{PASSWORD}"));
    let request = md5(&format!("POST:{URI}"));
    let expected = md5(&format!(
        "{secret}:{nonce}:{count:08x}:{}:auth:{request}",
        part("cnonce")
    ));
    assert_eq!(part("response"), expected);
}

fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Md5>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// Checks the answer as a server that knows the password does (MS-NLMP 3.2.5.1.2).
fn assert_ntlm_answer(token: &str, user: &str, domain: &str, password: &str) {
    let message = BASE64_STANDARD.decode(token).unwrap();
    let field = |at: usize| {
        let number = |at: usize| usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
        &message[number(at + 4)..][..number(at)]
    };
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    assert_eq!(message[..12], *b"NTLMSSP\0\x03\0\0\0");
    assert_eq!((field(28), field(36)), (&*wide(domain), &*wide(user)));
    let server_challenge = &BASE64_STANDARD.decode(TYPE_2).unwrap()[24..32];
    let key = hmac_md5(
        &ntlmclient::ntlm_v1_password_func(password),
        &[&wide(&user.to_uppercase()), &wide(domain)],
    );
    let (proof, blob) = field(20).split_at(16);
    assert_eq!(hmac_md5(&key, &[server_challenge, blob]), proof);
}

fn offers(user: Option<&str>, scheme: Scheme) -> Next {
    Next::NeedCredentials(CredentialRequest {
        realm: (scheme == Scheme::Digest || scheme == Scheme::Basic).then(|| "WMS".to_owned()),
        scheme,
        clear_text: false,
        previous_user: user.map(str::to_owned),
    })
}

#[test]
fn no_credentials_are_sent_before_a_challenge() {
    let mut client = Client::new();
    assert_eq!(client.push_setup(), Sent::Nothing);
    client.accepted();
    assert_eq!(client.push_start(), Sent::Nothing);
    assert_eq!(client.authenticator.scheme(), None);
}

/// MS-WMHTTP 4.8 Message Exchange During Push Distribution: raw NTLMSSP under the name Negotiate, and PushStart without
/// Authorization
#[test]
fn the_example_of_the_specification_is_followed() {
    let mut client = Client::new();
    assert_eq!(client.push_setup(), Sent::Nothing);
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    client.shake_hands("Negotiate");
    client.accepted();
    assert_eq!(client.authenticator.scheme(), Some(Scheme::Negotiate));
    assert_eq!(client.push_start(), Sent::Nothing);
    client.accepted();
    assert_eq!(client.push_start(), Sent::Nothing);
}

#[test]
fn wrong_credentials_are_tried_once_per_scheme() {
    let mut client = Client::new();
    let all = ["Negotiate, NTLM", DIGEST, r#"Basic realm="WMS""#];
    assert_eq!(client.challenged(&all), RESUBMIT);
    client.shake_hands("Negotiate");
    // NTLM with the same password under the other scheme name would only lock the account.
    assert_eq!(client.challenged(&all), RESUBMIT);
    client.answer("Digest");
    assert_eq!(client.challenged(&all), RESUBMIT);
    let basic = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    assert_eq!(client.answer("Basic"), basic);
    let asked = client.challenged(&all);
    assert_eq!(asked, offers(Some(USER), Scheme::Negotiate));
    let same = client.authenticator.credentials.clone();
    assert_eq!(
        client.authenticator.provide(same),
        Next::Denied(Denied::WrongCredentials)
    );
    assert_eq!(
        client.authenticator.provide(None),
        Next::Denied(Denied::WrongCredentials)
    );
}

#[test]
fn new_credentials_restart_authentication() {
    let mut client = Client::new();
    client.authenticator.set_credentials(None);
    let asked = client.challenged(&[DIGEST]);
    assert_eq!(asked, offers(None, Scheme::Digest));
    let wrong = Credentials::new("bob", "guess");
    assert_eq!(client.authenticator.provide(Some(wrong)), RESUBMIT);
    client.answer("Digest");
    let asked = client.challenged(&[DIGEST]);
    assert_eq!(asked, offers(Some("bob"), Scheme::Digest));
    let right = Credentials::new(USER, PASSWORD);
    assert_eq!(client.authenticator.provide(Some(right)), RESUBMIT);
    assert_digest_answer(&client.answer("Digest"), "n1", 1);
    client.accepted();
    assert!(client.authenticator.setbacks.refused.is_empty());
}

#[test]
fn requests_for_credentials_are_bounded() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&[DIGEST]), RESUBMIT);
    for guess in 0..MAX_REFUSED - 1 {
        client.answer("Digest");
        assert!(matches!(
            client.challenged(&[DIGEST]),
            Next::NeedCredentials(_)
        ));
        let credentials = Credentials::new("alice", guess.to_string());
        assert_eq!(client.authenticator.provide(Some(credentials)), RESUBMIT);
    }
    client.answer("Digest");
    assert!(matches!(
        client.challenged(&[DIGEST]),
        Next::NeedCredentials(_)
    ));
    let last = Credentials::new("alice", "last");
    assert_eq!(
        client.authenticator.provide(Some(last)),
        Next::Denied(Denied::WrongCredentials)
    );
}

#[test]
fn a_missing_answer_is_reported_as_no_credentials() {
    let mut client = Client::new();
    client.authenticator.set_credentials(None);
    assert_eq!(client.challenged(&["NTLM"]), offers(None, Scheme::Ntlm));
    assert_eq!(
        client.authenticator.provide(None),
        Next::Denied(Denied::NoCredentials)
    );
}

#[test]
fn a_proxy_is_answered_like_a_server() {
    let mut client = Client::with(Role::Proxy, ANYTHING);
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    client.shake_hands("NTLM");
    client.accepted();
    // A proxy's authenticator ignores the fields of the server.
    let mut client = Client::with(Role::Proxy, ANYTHING);
    let headers = HeaderMap::from_iter([(
        Role::Server.challenge_header(),
        HeaderValue::from_static("NTLM"),
    )]);
    let denied = Denied::NoUsableScheme {
        offered: Vec::new(),
    };
    assert_eq!(
        client.authenticator.challenged(&headers),
        Next::Denied(denied)
    );
}

#[test]
fn a_request_that_the_proxy_held_back_is_answered_again() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    assert_eq!(client.push_setup(), leg_1("NTLM"));
    // The proxy answers with 407 here, so the server has not seen the request.
    client.shake_hands("NTLM");
    assert_ntlm_answer(&client.answer("NTLM"), "alice", "WMDOM", PASSWORD);
}

#[test]
fn debug_output_hides_all_secrets() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM", DIGEST]), RESUBMIT);
    let mut random = |bytes: &mut [u8]| bytes.fill(1);
    let request = RequestLine {
        method: &HttpMethod::POST,
        uri: URI,
        is_push_start: true,
    };
    let now = SystemTime::UNIX_EPOCH;
    let shown = format!(
        "{:?} {:?} {:?}",
        client.authenticator.authorize(&request, now, &mut random),
        client.authenticator,
        client.authenticator.credentials,
    );
    for secret in [PASSWORD, "n1", "TlRM"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

fn any_challenge() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Negotiate".to_owned()),
        Just("NTLM".to_owned()),
        Just(format!("NTLM {TYPE_2}")),
        Just(format!("Negotiate {TYPE_2}")),
        Just(DIGEST.to_owned()),
        Just(format!("{DIGEST}, stale=true")),
        Just("Basic realm=x".to_owned()),
        "[ -~]{0,40}",
        "(NTLM|Negotiate|Digest) [ -~]{0,80}",
    ]
}

proptest! {
    /// A peer that challenges every request exhausts the client's methods after a bounded number of requests.
    #[test]
    fn challenges_in_any_order_end_after_bounded_requests(
        script in prop::collection::vec(
            prop::collection::vec(any_challenge(), 0..4),
            1..8,
        ),
        push_start in any::<bool>(),
        tickets in any::<bool>(),
        closes in any::<bool>(),
        other_nonces in any::<bool>(),
    ) {
        let mut client = Client::new();
        if tickets {
            client.authenticator.available.insert(Method::Kerberos);
        }
        let mut rounds = 0;
        for fields in script.iter().cycle() {
            if client.send(push_start) == Sent::Blocking {
                client.authenticator.resume(StepResult(None));
                let _ = client.send(push_start);
            }
            let nonce = format!("n{}", if other_nonces { rounds } else { 1 });
            let fields: Vec<_> = fields.iter().map(|field| field.replace("n1", &nonce)).collect();
            let fields: Vec<_> = fields.iter().map(String::as_str).collect();
            match client.challenged(&fields) {
                Next::Resubmit { .. } if closes => client.authenticator.connection_lost(),
                Next::Resubmit { .. } => {}
                Next::RedoPushSetup => client.authenticator.connection_lost(),
                Next::NeedCredentials(_) | Next::Denied(_) => break,
            }
            rounds += 1;
            prop_assert!(rounds < 40);
        }
    }

    #[test]
    fn arbitrary_fields_never_panic(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4),
    ) {
        let mut client = Client::new();
        let field = Role::Server.challenge_header();
        let headers: HeaderMap = values
            .iter()
            .filter_map(|value| Some((field.clone(), HeaderValue::from_bytes(value).ok()?)))
            .collect();
        let _ = client.authenticator.challenged(&headers);
        let _ = client.send(false);
        client.authenticator.accepted(&headers);
    }
}

/// A setting is no cure: the schemes are permitted.
#[test]
fn a_permitted_scheme_that_fails_is_reported_as_incomplete() {
    let malformed = ["Digest nonce=b", "Digest realm=\"a\""];
    for field in malformed {
        let denied = Denied::LoginIncomplete {
            schemes: vec![Scheme::Digest],
        };
        assert_eq!(Client::new().challenged(&[field]), Next::Denied(denied));
    }
    // The peer ignores the first message of the handshake.
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    assert_eq!(client.push_setup(), leg_1("NTLM"));
    let denied = Denied::LoginIncomplete {
        schemes: vec![Scheme::Ntlm],
    };
    assert_eq!(client.challenged(&["NTLM", "Bearer"]), Next::Denied(denied));
}
