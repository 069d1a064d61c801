// SPDX-License-Identifier: MPL-2.0

//! Redirections and challenges: what the client sends after them, where, and in which order.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gstwmspush::auth::{CredentialRequest, Credentials, Denied, Role, Scheme};
use gstwmspush::wmhttp::{
    AccessConfig, Body, CredentialsWanted, Error, Event, HResult, Offer, PushSession, Request,
    SessionConfig, Transmit, UNKNOWN_CONTENT_LENGTH,
};
use http::StatusCode;
use proptest::prelude::*;
use url::Url;

use super::harness::{Content, Fixed, Pair, config, fixture};
use super::requirements::{Sent, framed, header, header_with, packet};
use super::responses::{accepted, response};

const DIGEST: &str = r#"Digest realm="WMS", nonce="n1", qop="auth", opaque="o""#;
const STALE: &str = r#"Digest realm="WMS", nonce="n2", qop="auth", opaque="o", stale=true"#;
const BASIC: &str = r#"Basic realm="WMS""#;

/// The second message of example 4.8.
const TYPE_2: &str = "TlRMTVNTUAACAAAADgAOADgAAAAFgoqio8hNyf74ihkAAAAAAAAAAFgAWABGAAAABgBkFgAAAA9XAE0AUwAyADIAMAA1AAIADgBXAE0AUwAyADIAMAA1AAEADgBXAE0AUwAyADIAMAA1AAQADgBXAE0AUwAyADIAMAA1AAMADgBXAE0AUwAyADIAMAA1AAcACABEkqlgclfHAQAAAAA=";

const PASSWORD: &str = "s3cret";

fn alice() -> Credentials {
    Credentials::new(r"WMDOM\alice", PASSWORD)
}

fn bob() -> Credentials {
    Credentials::new("bob", PASSWORD)
}

/// With credentials for the server, and no proxy.
fn known() -> AccessConfig {
    AccessConfig {
        credentials: Some(alice()),
        ..AccessConfig::default()
    }
}

/// Through a proxy, with credentials for both.
fn proxied() -> AccessConfig {
    AccessConfig {
        proxy: Some(url("http://proxy:3128/")),
        proxy_credentials: Some(bob()),
        ..known()
    }
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

/// A session that talks with a script.
struct Client(PushSession);

impl Client {
    /// One that has sent its first request, which comes with it.
    fn new(access: AccessConfig) -> (Self, Request) {
        let config = SessionConfig {
            access,
            remove_padding: false,
            ..config()
        };
        let mut client = Self(PushSession::new(config, Fixed));
        client.0.configure_server();
        let request = client.push_setup();
        (client, request)
    }

    /// One that was let in without more ado, and has sent PushStart and `$H`.
    fn streaming(access: AccessConfig) -> Self {
        let (mut client, _) = Self::new(access);
        client.accepted();
        client.start();
        client
    }

    /// One that has answered a Digest challenge to PushSetup.
    fn digested(access: AccessConfig) -> Self {
        let (mut client, _) = Self::new(access);
        client.challenged(&[DIGEST]);
        client.push_setup();
        client
    }

    fn answer(&mut self, text: &str) {
        self.0.handle_response(&response(text)).unwrap();
    }

    fn accepted(&mut self) {
        self.0.handle_response(&accepted()).unwrap();
    }

    /// 401 with these WWW-Authenticate fields.
    fn challenged(&mut self, fields: &[&str]) {
        self.answer(&unauthorized(fields));
    }

    /// What goes out now.
    fn sent(&mut self) -> Sent {
        Sent::by(&mut self.0)
    }

    /// The only thing that goes out now, which is a PushSetup.
    fn push_setup(&mut self) -> Request {
        let mut sent = self.sent();
        let request = sent.requests.pop().expect("a request");
        assert!(sent.nothing() && matches!(request.body, Body::PushSetup(_)));
        request
    }

    /// The PushStart that goes out now, and the beginning of its body.
    fn push_start(&mut self) -> (Request, Vec<u8>) {
        let mut sent = self.sent();
        let request = sent.requests.pop().expect("a request");
        assert!(sent.requests.is_empty() && matches!(request.body, Body::PushStart { .. }));
        (request, sent.body)
    }

    /// Starts streaming; `$H` is all that the body has so far.
    fn start(&mut self) -> Request {
        assert_eq!(self.0.start_streaming(header()), Offer::Taken);
        let (request, body) = self.push_start();
        assert_eq!(body, h());
        request
    }

    fn data(&mut self) {
        assert_eq!(self.0.data_unit(packet(1500)), Offer::Taken);
    }

    /// Every event there is.
    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.0.poll_event()).collect()
    }

    /// What the application is asked, which is the last event.
    fn question(&mut self) -> CredentialsWanted {
        assert!(self.sent().nothing());
        match self.events().pop() {
            Some(Event::CredentialsWanted(wanted)) => wanted,
            other => panic!("{other:?}"),
        }
    }

    /// A response that ends the session.
    fn fails(&mut self, text: &str) -> Error {
        let error = self.0.handle_response(&response(text)).unwrap_err();
        self.assert_over();
        error
    }

    /// Nothing is sent, taken or waited for any more.
    fn assert_over(&mut self) {
        assert!(self.sent().nothing());
        assert!(!self.0.is_ready() && !self.0.awaits_response() && !self.0.owes_request());
        assert!(matches!(self.0.data_unit(packet(1500)), Offer::Held(_)));
        assert_eq!(self.0.end_of_stream(HResult::S_OK), Offer::Taken);
        assert!(self.sent().nothing());
    }
}

fn unauthorized(fields: &[&str]) -> String {
    let fields = fields
        .iter()
        .map(|field| format!("\nWWW-Authenticate: {field}"));
    format!(
        "HTTP/1.1 401 Who are you?\nServer: Cougar/9.5{}",
        String::from_iter(fields)
    )
}

fn proxy_unauthorized(field: &str) -> String {
    format!("HTTP/1.1 407 And you?\nProxy-Authenticate: {field}")
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\nServer: Cougar/9.5\nLocation: {location}")
}

/// `$H` with the header of these tests.
fn h() -> Vec<u8> {
    let header = header();
    framed(b"$H", header.as_bytes().len(), header.as_bytes())
}

/// `$D` with a packet of these tests.
fn d() -> Vec<u8> {
    framed(b"$D", 1500, &[0xAB; 1500])
}

fn field<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let value = request.headers.get(name)?;
    Some(value.to_str().unwrap())
}

fn cookie(request: &Request) -> &str {
    field(request, "cookie").unwrap()
}

fn assert_anonymous(request: &Request) {
    assert_eq!(field(request, "authorization"), None);
    assert_eq!(field(request, "proxy-authorization"), None);
}

/// RFC 7616 section 3.4
fn assert_digest(request: &Request, name: &str, parts: &[&str]) {
    let value = field(request, name).unwrap();
    assert!(value.starts_with("Digest "), "{value}");
    for part in parts {
        assert!(value.contains(part), "{part} in {value}");
    }
}

fn names(events: &[Event]) -> Vec<&str> {
    let name = |event: &Event| match event {
        Event::CredentialsWanted(_) => "CredentialsWanted",
        Event::Authenticating => "Authenticating",
        Event::ServerConfigured { .. } => "ServerConfigured",
        Event::PushStartSent { .. } => "PushStartSent",
        Event::PushStartRepeated => "PushStartRepeated",
        Event::PushStartCompleted => "PushStartCompleted",
        Event::SessionEnded => "SessionEnded",
    };
    events.iter().map(name).collect()
}

/// 3.1.5.1, 3.1.4.1.1, decision D-4: C-087, C-208, C-210: the same PushSetup with Authorization, on the connection that
/// the server has kept; C-125: PushStart has it too, before it is asked for.
#[test]
fn digest_answers_a_challenge_and_goes_on_with_push_start() {
    let (mut client, first) = Client::new(known());
    assert_anonymous(&first);
    client.answer(&format!(
        "{}\nSet-Cookie: push-id=77",
        unauthorized(&[DIGEST])
    ));
    assert_eq!(names(&client.events()), ["Authenticating"]);
    let second = client.push_setup();
    let parts = [
        r#"username="WMDOM\\alice""#,
        r#"nonce="n1""#,
        r#"uri="/live""#,
        "nc=00000001",
    ];
    assert_digest(&second, "authorization", &parts);
    assert_eq!(field(&second, "connection"), Some("Keep-Alive"));
    assert_eq!(cookie(&second), "push-id=77");
    assert_eq!(second.body, first.body);
    assert!(!second.fresh);
    for name in ["content-type", "content-length", "user-agent"] {
        assert_eq!(field(&second, name), field(&first, name));
    }
    client.accepted();
    let start = client.start();
    assert_digest(
        &start,
        "authorization",
        &[r#"nonce="n1""#, r#"uri="/live""#, "nc=00000002"],
    );
    assert!(!start.fresh);
}

/// 3.1.5.2, 3.1.4.2.1, decision D-14: C-125, C-231, C-236: PushStart with the new nonce and with `$H`; what was on its
/// way of the old body stays behind, and the higher layer is told to offer it again.
#[test]
fn a_stale_nonce_repeats_push_start_from_its_header() {
    let mut client = Client::digested(known());
    client.accepted();
    client.start();
    client.data();
    client.sent();
    client.data();
    client.events();
    client.challenged(&[STALE]);
    assert_eq!(
        names(&client.events()),
        ["Authenticating", "PushStartRepeated", "PushStartSent"]
    );
    let (start, body) = client.push_start();
    assert_digest(
        &start,
        "authorization",
        &[r#"nonce="n2""#, r#"uri="/live""#, "nc=00000001"],
    );
    assert_eq!(field(&start, "content-length"), Some("2147483647"));
    assert_eq!(body, h());
    assert_eq!(
        client.0.length_remaining(),
        UNKNOWN_CONTENT_LENGTH - h().len() as u64
    );
    client.data();
    assert_eq!(client.sent().body, d());
}

/// 3.1.5.2: C-231, C-236: PushStart begins again as it began, whatever has been sent since.
#[test]
fn a_repeated_push_start_begins_with_the_header_that_it_began_with() {
    let other = header_with(3200, 0);
    let mut client = Client::digested(known());
    client.accepted();
    client.start();
    client.data();
    assert_eq!(client.0.new_header(other.clone()), Offer::Taken);
    client.sent();
    client.challenged(&[STALE]);
    assert_eq!(client.push_start().1, h());
    // All of it once more.
    client.data();
    assert_eq!(client.0.new_header(other.clone()), Offer::Taken);
    let change = framed(b"$C", other.as_bytes().len() + 4, &[0; 4]);
    let end = b"$E\x04\0\x01\0\0\0".to_vec();
    let expected = [d(), end, change, other.as_bytes().to_vec()].concat();
    assert_eq!(client.sent().body, expected);
}

/// A Content-Length that leaves `rest` bytes after `$H` and three packets of these tests.
fn length(rest: usize) -> u64 {
    (h().len() + 3 * d().len() + rest) as u64
}

/// A client in its second PushStart, whose first body ended where `offer` found no place for something.
fn in_second_body(rest: usize, offer: impl Fn(&mut PushSession)) -> Client {
    let config = SessionConfig {
        access: known(),
        content_length: Some(length(rest)),
        remove_padding: false,
        ..config()
    };
    let mut client = Client(PushSession::new(config, Fixed));
    client.0.configure_server();
    client.push_setup();
    client.challenged(&[DIGEST]);
    client.push_setup();
    client.accepted();
    client.start();
    for _ in 0..3 {
        client.data();
    }
    offer(&mut client.0);
    client.sent();
    assert!(client.0.awaits_response());
    client.accepted();
    client.push_start();
    client
}

/// 3.1.5.2: C-231, C-236: a PushStart that went on where another had stopped does so again, without `$H`.
#[test]
fn a_repeated_push_start_goes_on_where_it_went_on() {
    let held = |client: &mut PushSession| {
        assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
    };
    let mut client = in_second_body(4, held);
    client.data();
    client.data();
    // The end of an entry goes, and then there is no place for the header.
    client.data();
    assert!(matches!(client.0.new_header(header()), Offer::Held(_)));
    client.sent();
    client.challenged(&[STALE]);
    assert_eq!(client.push_start().1, b"");
    client.data();
    assert_eq!(client.sent().body, d());
}

/// 3.1.4.4: the end of an entry is told once, also where the PushStart behind it goes again.
#[test]
fn a_repeated_push_start_does_not_end_an_entry_twice() {
    let next = header();
    let held = |client: &mut PushSession| {
        assert!(matches!(client.new_header(header()), Offer::Held(_)));
    };
    let mut client = in_second_body(12, held);
    assert_eq!(client.0.new_header(next.clone()), Offer::Taken);
    let first = client.sent().body;
    assert_eq!(first[..2], *b"$C");
    client.data();
    client.challenged(&[STALE]);
    assert_eq!(client.push_start().1, b"");
    assert_eq!(client.0.new_header(next), Offer::Taken);
    assert_eq!(client.sent().body, first);
}

/// 1.7, decision D-17: C-003: PushSetup on a connection of its own goes first, and NTLM with it; PushStart follows on
/// that connection, without Authorization.
#[test]
fn ntlm_is_never_used_in_push_start() {
    for scheme in ["NTLM", "Negotiate"] {
        let mut client = Client::streaming(known());
        client.data();
        client.events();
        client.challenged(&[scheme]);
        if scheme == "Negotiate" && cfg!(feature = "kerberos") {
            // A ticket would do, but there is none.
            assert_anonymous(&client.push_start().0);
            client.events();
            client.challenged(&[scheme]);
        }
        assert_eq!(
            names(&client.events()),
            ["Authenticating", "PushStartRepeated"]
        );
        let leg1 = client.push_setup();
        assert!(leg1.fresh);
        assert_eq!(cookie(&leg1), "push-id=4124758405");
        assert_eq!(field(&leg1, "content-length"), Some("0"));
        assert_eq!(
            field(&leg1, "authorization").unwrap(),
            format!("{scheme} TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAFASgKAAAADw==")
        );
        client.challenged(&[&format!("{scheme} {TYPE_2}")]);
        let leg3 = client.push_setup();
        assert!(!leg3.fresh);
        let prefix = format!("{scheme} TlRMTVNTUAAD");
        assert!(field(&leg3, "authorization").unwrap().starts_with(&prefix));
        client.events();
        client.accepted();
        assert_eq!(
            names(&client.events()),
            ["ServerConfigured", "PushStartSent"]
        );
        let (start, body) = client.push_start();
        assert_anonymous(&start);
        assert!(!start.fresh);
        assert_eq!(body, h());
        client.data();
        assert_eq!(client.sent().body, d());
        // Once is enough.
        let refused = response(&unauthorized(&[scheme]));
        let refused = client.0.handle_response(&refused);
        let refused = refused.and_then(|()| client.0.provide(Role::Server, None));
        assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
        client.assert_over();
    }
}

/// 1.7: C-003: where PushStart has to be authorized, Digest is what it takes, if there is a choice.
#[test]
fn push_start_prefers_digest() {
    let mut client = Client::streaming(known());
    client.challenged(&["Negotiate", "NTLM", DIGEST]);
    let (start, body) = client.push_start();
    assert_digest(&start, "authorization", &["nc=00000001"]);
    assert_eq!(body, h());
}

/// RFC 2616 section 11: C-208, C-231: what was refused is not tried again without end.
#[test]
fn wrong_credentials_end_the_session() {
    let everything = unauthorized(&["Negotiate, NTLM", DIGEST, BASIC]);
    for access in [
        known(),
        AccessConfig {
            cleartext_basic: true,
            ..known()
        },
    ] {
        for streams in [false, true] {
            let mut client = Client::new(access.clone()).0;
            if streams {
                client.accepted();
                client.start();
            }
            let mut requests = 1;
            let question = loop {
                client.answer(&everything);
                let asked = client.events().into_iter().find_map(|event| match event {
                    Event::CredentialsWanted(wanted) => Some(wanted),
                    _ => None,
                });
                let sent = client.sent().requests.len();
                if let Some(asked) = asked {
                    assert_eq!(sent, 0);
                    break asked;
                }
                requests += sent;
                assert!(requests < 10, "no end");
            };
            assert_eq!(
                question.request.previous_user.as_deref(),
                Some(r"WMDOM\alice")
            );
            let error = client.0.provide(Role::Server, Some(alice())).unwrap_err();
            let denied = Denied::WrongCredentials;
            assert!(matches!(error, Error::Denied { denied: found, .. } if found == denied));
            client.assert_over();
        }
    }
}

/// C-208: an application that always knows others is not asked without end either.
#[test]
fn guesses_come_to_an_end() {
    let (mut client, _) = Client::new(known());
    client.challenged(&[DIGEST]);
    let mut guesses = 0;
    let error = loop {
        client.push_setup();
        client.challenged(&[DIGEST]);
        client.question();
        guesses += 1;
        assert!(guesses < 100);
        let guess = Credentials::new("alice", guesses.to_string());
        if let Err(error) = client.0.provide(Role::Server, Some(guess)) {
            break error;
        }
    };
    assert!(matches!(error, Error::Denied { .. }));
    client.assert_over();
}

fn wanted(scheme: Scheme, clear_text: bool, previous_user: Option<&str>) -> CredentialsWanted {
    CredentialsWanted {
        role: Role::Server,
        site: "media".to_owned(),
        request: CredentialRequest {
            realm: Some("WMS".to_owned()),
            scheme,
            clear_text,
            previous_user: previous_user.map(str::to_owned),
        },
    }
}

/// C-087, C-208: the application is asked, and nothing goes out or is taken before it answers.
#[test]
fn credentials_are_asked_for() {
    let (mut client, _) = Client::new(AccessConfig::default());
    client.challenged(&[DIGEST]);
    assert_eq!(client.question(), wanted(Scheme::Digest, false, None));
    assert!(!client.0.is_ready() && !client.0.awaits_response());
    assert!(matches!(client.0.start_streaming(header()), Offer::Held(_)));
    assert!(matches!(
        client.0.end_of_stream(HResult::S_OK),
        Offer::Held(_)
    ));
    assert!(client.sent().nothing());

    client.0.provide(Role::Server, Some(bob())).unwrap();
    assert_digest(
        &client.push_setup(),
        "authorization",
        &[r#"username="bob""#],
    );
    client.challenged(&[DIGEST]);
    assert_eq!(
        client.question(),
        wanted(Scheme::Digest, false, Some("bob"))
    );
    client.0.provide(Role::Server, Some(alice())).unwrap();
    assert_digest(&client.push_setup(), "authorization", &[r#"alice""#]);
    client.accepted();
    assert_digest(&client.start(), "authorization", &[r#"alice""#]);
}

/// C-208
#[test]
fn an_application_may_give_up() {
    let anybody = AccessConfig {
        cleartext_basic: true,
        ..AccessConfig::default()
    };
    for (access, field, question, denied) in [
        (
            AccessConfig::default(),
            DIGEST,
            wanted(Scheme::Digest, false, None),
            Denied::NoCredentials,
        ),
        (
            anybody,
            BASIC,
            wanted(Scheme::Basic, true, None),
            Denied::NoCredentials,
        ),
    ] {
        let (mut client, _) = Client::new(access);
        client.challenged(&[field]);
        assert_eq!(client.question(), question);
        let error = client.0.provide(Role::Server, None).unwrap_err();
        let expected = Error::Denied {
            role: Role::Server,
            status: StatusCode::UNAUTHORIZED,
            reason: String::new(),
            denied,
        };
        assert_eq!(error, expected);
        client.assert_over();
    }
}

/// The password would be read by anyone on the way.
/// C-208
#[test]
fn basic_alone_is_refused_in_the_clear() {
    let (mut client, _) = Client::new(known());
    let denied = Denied::NoUsableScheme {
        offered: vec!["Basic".to_owned()],
    };
    let expected = Error::Denied {
        role: Role::Server,
        status: StatusCode::UNAUTHORIZED,
        reason: "Who are you?".to_owned(),
        denied,
    };
    assert_eq!(client.fails(&unauthorized(&[BASIC])), expected);
}

/// 3.1.5.2: C-231, C-236: a PushStart waits for the application as PushSetup does.
#[test]
fn push_start_goes_again_when_credentials_are_there() {
    let mut client = Client::streaming(AccessConfig::default());
    client.data();
    client.events();
    client.challenged(&[DIGEST]);
    assert_eq!(client.question(), wanted(Scheme::Digest, false, None));
    assert!(matches!(client.0.data_unit(packet(1500)), Offer::Held(_)));
    client.0.provide(Role::Server, Some(alice())).unwrap();
    assert_eq!(
        names(&client.events()),
        ["PushStartRepeated", "PushStartSent"]
    );
    let (start, body) = client.push_start();
    assert_digest(&start, "authorization", &["nc=00000001"]);
    assert_eq!(body, h());
}

/// 3.1.4.1, 3.1.4.2.1: C-074, C-111: each request goes to the proxy, and the body of PushStart is a minute long, as
/// UsingProxy makes it.
#[test]
fn a_configured_proxy_is_used() {
    let (mut client, setup) = Client::new(proxied());
    client.accepted();
    let start = client.start();
    for request in [&setup, &start] {
        assert_eq!(request.proxy, Some(url("http://proxy:3128/")));
        assert_eq!(request.url, config().url);
        assert_anonymous(request);
    }
    assert_eq!(field(&start, "content-length"), Some("7500000"));
}

/// 3.1.4.1.1, 3.1.4.2.1: C-087, C-125, C-208, C-210: the proxy gets Proxy-Authorization, the server Authorization, each
/// its own, and from then on both.
#[test]
fn a_proxy_and_a_server_are_answered_at_once() {
    let (mut client, _) = Client::new(proxied());
    client.answer(&proxy_unauthorized(
        r#"Digest realm="P", nonce="p1", qop="auth""#,
    ));
    let setup = client.push_setup();
    let proxy_parts = [
        r#"username="bob""#,
        r#"nonce="p1""#,
        r#"uri="http://media:8080/live""#,
    ];
    assert_digest(&setup, "proxy-authorization", &proxy_parts);
    assert_eq!(field(&setup, "authorization"), None);
    assert!(!setup.fresh);
    client.challenged(&[DIGEST]);
    let setup = client.push_setup();
    client.accepted();
    let start = client.start();
    for (request, count) in [(&setup, 1), (&start, 2)] {
        assert_digest(request, "proxy-authorization", &proxy_parts);
        assert_digest(
            request,
            "proxy-authorization",
            &[&format!("nc={:08}", count + 1)],
        );
        let parts = [r#"alice""#, r#"nonce="n1""#, &format!("nc={count:08}")];
        assert_digest(request, "authorization", &parts);
    }
}

/// 3.1.5.2: C-231, C-236: 407 to a PushStart
#[test]
fn a_proxy_may_challenge_push_start() {
    let mut client = Client::streaming(proxied());
    client.data();
    client.answer(&proxy_unauthorized(
        r#"Digest realm="P", nonce="p1", qop="auth""#,
    ));
    let (start, body) = client.push_start();
    assert_digest(&start, "proxy-authorization", &["nc=00000001"]);
    assert_eq!(body, h());
}

/// A proxy's NTLM belongs to the connection: with a fresh one it begins anew.
/// C-003, C-088
#[test]
fn a_fresh_connection_is_authenticated_anew_for_the_proxy() {
    let (mut client, _) = Client::new(proxied());
    client.answer(&proxy_unauthorized("NTLM"));
    client.push_setup();
    client.answer(&proxy_unauthorized(&format!("NTLM {TYPE_2}")));
    let setup = client.push_setup();
    assert_eq!(field(&setup, "connection"), Some("Keep-Alive"));
    client.accepted();
    assert_anonymous(&client.start());
    client.challenged(&["NTLM"]);
    let setup = client.push_setup();
    assert!(setup.fresh);
    assert!(field(&setup, "proxy-authorization").is_some());
}

/// C-208: nobody knew of it.
#[test]
fn a_challenge_of_an_unknown_proxy_is_a_refusal() {
    for streams in [false, true] {
        let mut client = if streams {
            Client::streaming(known())
        } else {
            Client::new(known()).0
        };
        let expected = Error::Refused {
            status: StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            reason: "And you?".to_owned(),
            retry_after: None,
        };
        assert_eq!(client.fails(&proxy_unauthorized(DIGEST)), expected);
    }
}

/// 3.1.5.1: C-201, C-203, C-204, C-207: PushSetup goes to the new URL, on a connection of its own. What was the other
/// server's stays there: push-id, cookies, credentials.
#[test]
fn a_redirection_replaces_the_url() {
    for status in 300..=303 {
        for location in [
            "http://other:8080/live",
            "http://media/live",
            "https://media:8080/live",
            "//other:8080/live",
            "http://mallory:guess@other:8080/live#fragment",
        ] {
            let (mut client, _) = Client::new(known());
            client.answer(&format!(
                "{}\nSet-Cookie: push-id=77\nSet-Cookie: a=b",
                unauthorized(&[DIGEST])
            ));
            assert_eq!(cookie(&client.push_setup()), "push-id=77; a=b");
            client.answer(&format!(
                "{}\nSet-Cookie: push-id=5",
                redirect(status, location)
            ));
            let setup = client.push_setup();
            let mut expected = config().url.join(location).unwrap();
            expected.set_fragment(None);
            expected.set_username("").unwrap();
            expected.set_password(None).unwrap();
            assert_eq!(setup.url, expected);
            assert!(setup.fresh && setup.proxy.is_none());
            assert_anonymous(&setup);
            assert_eq!(cookie(&setup), "push-id=0");
            assert!(matches!(setup.body, Body::PushSetup(_)));
            // What the first server was told is not for the second.
            client.challenged(&[DIGEST]);
            let question = client.question();
            assert_eq!(question.site, expected.host_str().unwrap());
            assert_eq!(question.request.previous_user, None);
            client.0.provide(Role::Server, Some(bob())).unwrap();
            client.push_setup();
            client.accepted();
            let start = client.start();
            assert_eq!(start.url, expected);
            assert!(!start.fresh);
        }
    }
}

/// 3.1.5.1, RFC 2616 section 14.30: C-203, C-204, C-207: a relative Location is one on the same server, which knows the
/// client already.
#[test]
fn credentials_and_cookies_follow_on_the_same_server() {
    for (location, path) in [
        ("/other?x=y", "/other?x=y"),
        ("other", "/other"),
        ("http://MEDIA:8080/other", "/other"),
        ("http://mallory:guess@media:8080/other", "/other"),
    ] {
        let (mut client, _) = Client::new(known());
        client.answer(&format!(
            "{}\nSet-Cookie: push-id=77\nSet-Cookie: a=b",
            unauthorized(&[DIGEST])
        ));
        client.push_setup();
        client.answer(&redirect(302, location));
        let setup = client.push_setup();
        assert_eq!(setup.url.as_str(), format!("http://media:8080{path}"));
        assert!(setup.fresh);
        assert_eq!(cookie(&setup), "push-id=77; a=b");
        let uri = format!(r#"uri="{path}""#);
        assert_digest(&setup, "authorization", &[&uri, "nc=00000002"]);
    }
}

/// What was sent before a server moves, and after it, has the same handshake at its beginning.
/// C-204, C-208
#[test]
fn a_handshake_begins_anew_behind_a_redirection() {
    let (mut client, _) = Client::new(known());
    client.challenged(&["NTLM"]);
    client.push_setup();
    client.challenged(&[&format!("NTLM {TYPE_2}")]);
    let leg3 = client.push_setup();
    client.answer(&redirect(302, "/other"));
    let leg1 = client.push_setup();
    assert!(leg1.fresh);
    assert_ne!(field(&leg1, "authorization"), field(&leg3, "authorization"));
    assert_eq!(field(&leg1, "content-length"), Some("0"));
    client.challenged(&[&format!("NTLM {TYPE_2}")]);
    assert_eq!(client.push_setup().url.path(), "/other");
}

/// 3.1.5.1: C-202, C-204, C-205, C-207: the Location of 305 is a proxy, on a connection of its own; the URL stays, and so
/// does what the server knows. Bodies are a minute long from then on.
#[test]
fn a_server_may_send_the_client_through_a_proxy() {
    let mut client = Client::digested(known());
    client.answer(&format!(
        "{}\nSet-Cookie: push-id=5",
        redirect(305, "http://mallory:guess@proxy:3128/")
    ));
    let setup = client.push_setup();
    assert_eq!(setup.url, config().url);
    assert_eq!(setup.proxy, Some(url("http://proxy:3128/")));
    assert!(setup.fresh);
    assert_digest(&setup, "authorization", &["nc=00000002"]);
    assert_eq!(field(&setup, "proxy-authorization"), None);
    // Nobody has given credentials for this proxy.
    client.answer(&proxy_unauthorized(
        r#"Digest realm="P", nonce="p1", qop="auth""#,
    ));
    let question = client.question();
    assert_eq!(
        (question.role, question.site.as_str()),
        (Role::Proxy, "proxy")
    );
    client.0.provide(Role::Proxy, Some(bob())).unwrap();
    let setup = client.push_setup();
    assert_digest(&setup, "proxy-authorization", &[r#"username="bob""#]);
    client.accepted();
    let start = client.start();
    assert_eq!(start.proxy, setup.proxy);
    assert_eq!(field(&start, "content-length"), Some("7500000"));
}

/// 3.1.5.1: C-205: credentials for the proxy that was configured are not for the one that a server names.
#[test]
fn credentials_of_a_proxy_do_not_follow_to_another() {
    let (mut client, _) = Client::new(proxied());
    client.answer(&redirect(305, "http://elsewhere:3128/"));
    assert_eq!(
        client.push_setup().proxy,
        Some(url("http://elsewhere:3128/"))
    );
    client.answer(&proxy_unauthorized(DIGEST));
    assert_eq!(client.question().site, "elsewhere");
    let error = client.0.provide(Role::Proxy, None).unwrap_err();
    let expected = Error::Denied {
        role: Role::Proxy,
        status: StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        reason: String::new(),
        denied: Denied::NoCredentials,
    };
    assert_eq!(error, expected);
    client.assert_over();
}

/// 3.1.5.1: C-206: the next server has no proxy in front of it only because the last one had.
#[test]
fn a_redirection_forgets_the_proxy_that_via_told_of() {
    for (status, expected) in [(302, "2147483647"), (305, "7500000")] {
        let (mut client, _) = Client::new(known());
        client.answer(&format!("{}\nVia: 1.1 x", unauthorized(&[DIGEST])));
        client.push_setup();
        client.answer(&redirect(status, "http://other/live"));
        client.push_setup();
        client.accepted();
        assert_eq!(field(&client.start(), "content-length"), Some(expected));
    }
}

/// A challenge may tell of a proxy as well.
/// C-216
#[test]
fn via_in_a_challenge_counts() {
    let (mut client, _) = Client::new(known());
    client.answer(&format!("{}\nVia: 1.1 x", unauthorized(&[DIGEST])));
    client.push_setup();
    client.accepted();
    assert_eq!(field(&client.start(), "content-length"), Some("7500000"));
}

/// Decision D-13: C-201, C-203
#[test]
fn a_redirection_to_nowhere_ends_the_session() {
    let good = redirect(304, "http://other/live");
    let none = "HTTP/1.1 302 Found\nServer: Cougar/9.5".to_owned();
    let mut redirections = vec![good, none];
    for status in [300, 301, 302, 303, 305] {
        for location in [
            "http://",
            "http://[",
            "http://other:99999/",
            "ftp://other/live",
            "mms://other/live",
            "mailto:alice@other",
            "data:,x",
        ] {
            redirections.push(redirect(status, location));
        }
    }
    for redirection in redirections {
        let (mut client, _) = Client::new(known());
        assert_eq!(
            client.fails(&redirection),
            Error::InvalidRedirect,
            "{redirection}"
        );
    }
    for status in [306, 307, 308] {
        let (mut client, _) = Client::new(known());
        let error = client.fails(&redirect(status, "http://other/live"));
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    }
}

/// Decision D-13: C-201
#[test]
fn the_sixth_redirection_is_one_too_many() {
    for status in [302, 305] {
        let (mut client, _) = Client::new(known());
        for hop in 1..=5 {
            client.answer(&redirect(status, &format!("http://host{hop}/live")));
            client.push_setup();
        }
        let error = client.fails(&redirect(status, "http://host6/live"));
        assert_eq!(error, Error::TooManyHops);
    }
}

/// 4.7: only PushSetup can be redirected.
/// C-201, C-220
#[test]
fn a_redirection_of_push_start_is_a_refusal() {
    let mut client = Client::streaming(known());
    let expected = Error::Refused {
        status: StatusCode::FOUND,
        reason: "Elsewhere".to_owned(),
        retry_after: None,
    };
    let redirection = redirect(302, "http://other/live");
    assert_eq!(client.fails(&redirection), expected);
}

/// Receivers that end with the body, and say nothing: the session starts anew, with all that it has.
#[test]
fn silence_after_a_full_body_starts_a_new_session() {
    for closes in [false, true] {
        let mut client = in_second_body(4, |client| {
            assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
        });
        assert!(!client.0.handle_silence(), "the body flows");
        client.data();
        client.data();
        client.data();
        let Offer::Held(held) = client.0.data_unit(packet(1500)) else {
            panic!("no room was left")
        };
        assert!(!client.0.handle_silence(), "the filler is still to be sent");
        client.sent();
        if closes {
            client.0.connection_lost();
        }
        client.events();
        assert!(client.0.handle_silence());
        let setup = client.push_setup();
        assert!(setup.fresh);
        assert_eq!(cookie(&setup), "push-id=0");
        // The nonce is not bound to the session.
        assert_digest(&setup, "authorization", &[r#"nonce="n1""#]);
        assert!(!client.0.handle_silence(), "PushSetup has to be answered");
        client.answer("HTTP/1.1 204 No Content\nServer: Cougar/9.5\nSet-Cookie: push-id=8");
        assert_eq!(
            names(&client.events()),
            ["ServerConfigured", "PushStartSent"]
        );
        let (start, body) = client.push_start();
        assert_eq!(cookie(&start), "push-id=8");
        assert!(!start.fresh);
        assert_eq!(body, h());
        assert_eq!(client.0.data_unit(held), Offer::Taken);
        assert_eq!(client.sent().body, d());
    }
}

/// What is left of a body that nobody reads is not sent to somebody else.
#[test]
fn silence_in_the_middle_of_a_body_is_none() {
    let mut client = in_second_body(4, |client| {
        assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
    });
    for _ in 0..3 {
        client.data();
    }
    assert!(matches!(client.0.data_unit(packet(1500)), Offer::Held(_)));
    assert!(matches!(client.0.poll_transmit(), Some(Transmit::Body(_))));
    client.0.connection_lost();
    assert!(!client.0.handle_silence());
}

/// Packets of a fixture, and another header with its packets between them.
fn two_entries() -> Vec<Content> {
    [
        fixture("av_asfmux_p1500_streamable.asf"),
        fixture("audio_ffmpeg_p3200.asf"),
    ]
    .concat()
}

fn data(content: &[Content]) -> Vec<bytes::Bytes> {
    let data = content.iter().filter_map(|content| match content {
        Content::Data(packet) => Some(packet.as_bytes().clone()),
        _ => None,
    });
    data.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// 3.1.4.3: C-142, C-150, C-165, C-189: nothing is lost, doubled or reordered where no body is ever answered.
    #[test]
    fn everything_arrives_at_a_server_that_never_answers(
        content_length in prop_oneof![0..20_000u64, 60_000..140_000u64],
        entries in 1..3usize,
    ) {
        let content = two_entries();
        let content = match entries {
            1 => fixture("av_asfmux_p1500_streamable.asf"),
            _ => content,
        };
        let config = SessionConfig {
            content_length: Some(content_length),
            remove_padding: false,
            ..config()
        };
        let mut pair = Pair::new(config);
        pair.answers_bodies = false;
        pair.push(content.clone());
        pair.push([Content::End]);
        prop_assert_eq!(pair.data(), data(&content));
        prop_assert!(pair.letters().ends_with('0'));
        let (_, filled) = pair.bodies.split_last().unwrap();
        prop_assert!(filled.iter().all(|(sent, announced)| sent == announced), "{:?}", pair.bodies);
        prop_assert_eq!(pair.letters().matches('H').count(), pair.bodies.len());
    }
}

/// A body that has room for a large header and nothing else would go round for ever.
#[test]
fn a_large_header_does_not_fill_every_body() {
    let content = fixture("audio_many_tags_ffmpeg_p3200.asf");
    let mut pair = Pair::new(SessionConfig {
        content_length: Some(1),
        remove_padding: false,
        ..config()
    });
    pair.answers_bodies = false;
    let [first, second] = [content.clone(), content.clone()];
    pair.push(first);
    pair.push(second);
    pair.push([Content::End]);
    assert_eq!(pair.data(), [data(&content), data(&content)].concat());
}

/// Everything that `client` shows while it has something to say.
fn shown(client: &mut PushSession, shown: &mut Vec<String>) {
    shown.push(format!("{client:?} {client:#?}"));
    while let Some(transmit) = client.poll_transmit() {
        shown.push(format!("{transmit:?}"));
        match transmit {
            Transmit::Request(request) => shown.push(format!("{request:?} {:?}", request.headers)),
            Transmit::Compute(role, step) => client.computed(role, step.run()),
            Transmit::Body(_) | Transmit::Close(_) => {}
        }
    }
    while let Some(event) = client.poll_event() {
        shown.push(format!("{event:?}"));
    }
}

/// 5.1: C-252: neither password nor push-id nor what is made of them is in anything that can be logged.
#[test]
fn no_secret_shows() {
    let basic = BASE64_STANDARD.encode(format!("alice:{PASSWORD}"));
    let access = AccessConfig {
        cleartext_basic: true,
        credentials: Some(Credentials::new("alice", PASSWORD)),
        ..proxied()
    };
    let config = SessionConfig { access, ..config() };
    let mut lines = vec![format!("{config:?}")];
    let mut client = PushSession::new(config, Fixed);
    client.configure_server();
    shown(&mut client, &mut lines);
    let proxy = r#"Digest realm="P", nonce="p1", qop="auth""#;
    for answer in [
        format!("{}\nSet-Cookie: push-id=4711", proxy_unauthorized(proxy)),
        format!("{}\nSet-Cookie: push-id=4712", unauthorized(&[BASIC])),
        redirect(302, "http://mallory:gu3ss@media:8080/live"),
        "HTTP/1.1 204 No Content\nServer: Cougar/9.5\nSet-Cookie: push-id=4713\nSet-Cookie: a=x7y"
            .to_owned(),
    ] {
        let answer = response(&answer);
        lines.push(format!("{answer:?}"));
        client.handle_response(&answer).unwrap();
        shown(&mut client, &mut lines);
    }
    let _ = client.start_streaming(header());
    shown(&mut client, &mut lines);
    client
        .handle_response(&response(&unauthorized(&[BASIC])))
        .unwrap();
    shown(&mut client, &mut lines);
    let wrong = response(&unauthorized(&[BASIC]));
    client.handle_response(&wrong).unwrap();
    shown(&mut client, &mut lines);
    let error = client.provide(Role::Server, Some(Credentials::new("alice", PASSWORD)));
    let error = error.unwrap_err();
    lines.push(format!("{error:?} {error}"));
    let lines = lines.join("\n");
    assert!(lines.contains("Authenticating") && lines.contains("proxy-authorization"));
    assert!(lines.contains("CredentialsWanted"));
    for secret in [
        PASSWORD,
        &basic,
        "4711",
        "4712",
        "4713",
        "x7y",
        "gu3ss",
        "cnonce",
        "response=",
    ] {
        assert!(!lines.contains(secret), "{secret} in {lines}");
    }
}
