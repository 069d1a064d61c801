// SPDX-License-Identifier: MPL-2.0

//! 3.1.5.1 Receiving a PushSetup Response: secrets that do not follow a redirection, and redirections that are refused.

use super::*;

/// Returns a client with extra header fields, a Digest answer and two cookies for the server.
fn trusted(location: &str, access: AccessConfig) -> Client {
    let extra = [("x-api-key", "k3y"), ("x-tenant", "news")];
    let extra_headers = extra
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .into_iter()
        .collect();
    let config = SessionConfig {
        url: url(location),
        extra_headers,
        access,
        ..config()
    };
    let mut client = Client(PushSession::new(config, Fixed));
    client.0.configure_server();
    client.opened_if_needed();
    assert_eq!(field(&client.push_setup(), "x-api-key"), Some("k3y"));
    client.answer(&format!(
        "{}\nSet-Cookie: push-id=77\nSet-Cookie: a=b",
        unauthorized(&[DIGEST])
    ));
    assert_trusted(&client.push_setup());
    client
}

impl Client {
    /// Opens a tunnel if CONNECT is sent. Returns the next request.
    fn opened_if_needed(&mut self) {
        if self.0.owes_request() && self.0.is_using_proxy() {
            let Some(Transmit::Request(request)) = self.0.poll_transmit() else {
                panic!("no request");
            };
            assert_eq!(request.body, Body::Connect);
            assert_eq!(field(&request, "x-api-key"), None);
            self.answer("HTTP/1.1 200 Connection established");
        }
    }
}

#[track_caller]
fn assert_trusted(request: &Request) {
    assert_digest(request, "authorization", &[r#""WMDOM\\alice""#]);
    assert_eq!(cookie(request), "push-id=77; a=b");
    assert_eq!(field(request, "x-api-key"), Some("k3y"));
    assert_eq!(field(request, "x-tenant"), Some("news"));
}

/// Checks that the request carries nothing meant for the publishing point.
#[track_caller]
fn assert_untrusted(request: &Request) {
    assert_anonymous(request);
    assert_eq!(cookie(request), "push-id=0");
    assert_eq!(field(request, "x-api-key"), None);
    assert_eq!(field(request, "x-tenant"), None);
}

/// C-201, C-207: another host, port or scheme is another origin.
#[test]
fn nothing_secret_follows_to_another_origin() {
    for location in [
        "http://other:8080/live",
        "//other:8080/live",
        "http://media/live",
        "http://media:8081/live",
        "https://media:8080/live",
        "http://media.example:8080/live",
    ] {
        let mut client = trusted("http://media:8080/live", known());
        client.answer(&redirect(302, location));
        let setup = client.push_setup();
        assert_untrusted(&setup);
        client.answer("HTTP/1.1 204 No Content\nServer: Cougar/9.5\nSet-Cookie: push-id=6");
        let start = client.start();
        assert_anonymous(&start);
        assert_eq!(field(&start, "x-api-key"), None);
        assert_eq!(cookie(&start), "push-id=6");
        // A new session starts at the publishing point again.
        client.0.restart(None);
        let setup = client.push_setup();
        assert_eq!(setup.url, url("http://media:8080/live"));
        assert_digest(&setup, "authorization", &["alice", "nc=00000002"]);
        assert_eq!(field(&setup, "x-api-key"), Some("k3y"));
        assert_eq!(cookie(&setup), "push-id=0");
    }
}

/// C-201, C-207
#[test]
fn secrets_follow_on_the_same_server() {
    let mut client = trusted("http://media:8080/live", known());
    client.answer(&redirect(302, "/other"));
    assert_trusted(&client.push_setup());
}

/// C-201, C-207: a second redirection leads back to the publishing point.
#[test]
fn a_redirection_back_regains_the_first_origins_fields() {
    let mut client = trusted("http://media:8080/live", known());
    client.answer(&redirect(302, "http://other/live"));
    assert_untrusted(&client.push_setup());
    client.answer(&redirect(302, "http://media:8080/else"));
    let setup = client.push_setup();
    assert_eq!(setup.url, url("http://media:8080/else"));
    assert_digest(&setup, "authorization", &["alice", "nc=00000002"]);
    assert_eq!(field(&setup, "x-api-key"), Some("k3y"));
    // The cookies belonged to a session that was never established.
    assert_eq!(cookie(&setup), "push-id=0");
}

/// C-208: the client asks once for the credentials of each server, however often the session restarts.
#[test]
fn credentials_of_another_server_are_remembered() {
    let mut client = trusted("http://media:8080/live", known());
    for attempt in 0..4 {
        client.answer(&redirect(302, "http://other/live"));
        let setup = client.push_setup();
        if attempt == 0 {
            assert_untrusted(&setup);
            client.challenged(&[DIGEST]);
            assert_eq!(client.question().site, "other");
            client.0.provide(Role::Server, Some(bob())).unwrap();
            client.push_setup();
        } else {
            assert_digest(&setup, "authorization", &[r#""bob""#]);
        }
        client.accepted();
        client.0.restart(None);
        assert_digest(&client.push_setup(), "authorization", &["alice"]);
    }
}

/// C-202, C-205: a proxy named by a server reads all requests to an `http` URL.
#[test]
fn nothing_secret_goes_through_a_proxy_that_a_server_names() {
    for access in [known(), proxied()] {
        let access = AccessConfig {
            cleartext_basic: true,
            ..access
        };
        let config = SessionConfig {
            access: access.clone(),
            ..config()
        };
        // Basic is readable, and the proxy could replay a Digest answer.
        let mut client = Client(PushSession::new(config, Fixed));
        client.0.configure_server();
        client.push_setup();
        client.challenged(&[BASIC]);
        assert!(field(&client.push_setup(), "authorization").is_some());
        client.answer(&redirect(305, "http://elsewhere:3128/"));
        assert_untrusted(&client.push_setup());
        client.challenged(&[BASIC]);
        let question = client.question();
        assert_eq!((question.role, &*question.site), (Role::Server, "media"));
        assert_eq!(question.request.previous_user, None);

        let mut client = trusted_by(access);
        client.answer(&redirect(305, "http://elsewhere:3128/"));
        let setup = client.push_setup();
        assert_eq!(setup.proxy, Some(url("http://elsewhere:3128/")));
        assert_untrusted(&setup);
        client.answer(&redirect(302, "/other"));
        assert_untrusted(&client.push_setup());
        client.0.restart(None);
        let setup = client.push_setup();
        assert_ne!(setup.proxy, Some(url("http://elsewhere:3128/")));
        assert_digest(&setup, "authorization", &["alice"]);
        assert_eq!(field(&setup, "x-api-key"), Some("k3y"));
    }
}

/// Returns a [`trusted`] client with an `http` URL, for any proxy.
fn trusted_by(access: AccessConfig) -> Client {
    let direct = AccessConfig {
        proxy: None,
        ..access
    };
    trusted("http://media:8080/live", direct)
}

/// C-202, C-205: in a tunnel the proxy cannot read requests.
#[test]
fn a_tunnel_of_a_named_proxy_keeps_secrets() {
    for access in [known(), proxied()] {
        let mut client = trusted("https://media/live", access);
        client.answer(&redirect(305, "http://elsewhere:3128/"));
        client.opened_if_needed();
        let setup = client.push_setup();
        assert_eq!(setup.proxy, Some(url("http://elsewhere:3128/")));
        assert_trusted(&setup);
    }
}

/// C-205: the configured proxy credentials are sent to the configured proxy only.
#[test]
fn only_the_configured_proxy_gets_its_credentials() {
    let challenge = proxy_unauthorized(r#"Digest realm="P", nonce="p1", qop="auth""#);
    let (mut client, _) = Client::new(proxied());
    client.answer(&challenge);
    let expected = [r#""bob""#];
    assert_digest(&client.push_setup(), "proxy-authorization", &expected);
    client.answer(&redirect(305, "http://elsewhere:3128/"));
    assert_anonymous(&client.push_setup());
    client.answer(&challenge);
    assert_eq!(client.question().site, "elsewhere");
    client.0.provide(Role::Proxy, Some(alice())).unwrap();
    assert_digest(&client.push_setup(), "proxy-authorization", &["alice"]);
    for location in ["http://proxy:3128", "http://PROXY:3128/x?y"] {
        client.answer(&redirect(305, location));
        assert_digest(&client.push_setup(), "proxy-authorization", &expected);
    }
    // A server names a proxy for itself only.
    client.answer(&redirect(305, "http://elsewhere:3128/"));
    assert_digest(&client.push_setup(), "proxy-authorization", &["alice"]);
    client.answer(&redirect(302, "http://other/live"));
    let setup = client.push_setup();
    assert_eq!(setup.proxy, Some(url("http://proxy:3128/")));
    assert_digest(&setup, "proxy-authorization", &expected);
}

/// C-201: a redirection must not remove encryption.
#[test]
fn a_redirection_to_http_is_refused() {
    for (status, location, shown) in [
        (300, "http://media/live", "http://media/live"),
        (301, "http://media:443/live", "http://media:443/live"),
        (302, "http://other/live", "http://other/live"),
        (303, "HTTP://mallory:guess@other/", "http://other/"),
    ] {
        let insecure = Error::InsecureRedirect {
            url: url(shown).to_string(),
        };
        for access in [known(), proxied()] {
            let mut client = trusted("https://media/live", access);
            let error = client.fails(&redirect(status, location));
            assert_eq!(error, insecure);
        }
        // The same holds after a redirection from http to https.
        let mut client = trusted("http://media:8080/live", known());
        client.answer(&redirect(302, "https://media/live"));
        client.push_setup();
        let error = client.fails(&redirect(status, location));
        assert_eq!(error, insecure);
        let text = "the server redirects from https to http, which is not encrypted";
        assert_eq!(insecure.to_string(), text);
    }
    let mut client = trusted("https://media/live", known());
    client.answer(&redirect(302, "//other/live"));
    assert_eq!(client.push_setup().url, url("https://other/live"));
}

/// RFC 3986 section 2.1 Percent-Encoding: C-201: the bytes of a Location in any character set are kept.
#[test]
fn a_location_may_have_any_bytes() {
    for (location, path) in [
        // Latin-1, Shift-JIS, UTF-8
        (&b"http://other/f\xFCr?\xE4=\xF6"[..], "/f%FCr?%E4=%F6"),
        (b"http://other/\x95\x5C\x8E\xA6", "/%95%5C%8E%A6"),
        (b"http://other/\xE3\x83\xA9", "/%E3%83%A9"),
        (b"/caf\xE9", "/caf%E9"),
        (b"\\\\other\\x", "/x"),
        (b"http://other/a b#\xFF", "/a%20b"),
        (b"http://m\xE9:p\xE9@other/x", "/x"),
    ] {
        let (mut client, _) = Client::new(known());
        let mut answer = response("HTTP/1.1 302 Found\nServer: Cougar/9.5");
        let value = HeaderValue::from_bytes(location).unwrap();
        answer.headers.insert("location", value);
        client.0.handle_response(&answer).unwrap();
        let target = client.push_setup();
        assert!(target.target().ends_with(path), "{}", target.target());
        let head = target.head();
        assert!(head.is_ascii(), "{head:?}");
    }
}
