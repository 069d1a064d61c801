// SPDX-License-Identifier: MPL-2.0

//! The proxy's challenges to CONNECT, and the server's in the tunnel.

use super::*;

/// C-087, C-208, C-210: the client answers the proxy's challenge to CONNECT for the authority. The server sees no
/// answer.
#[test]
fn digest_opens_a_tunnel() {
    let (mut client, first) = Client::tunnelled(proxied());
    assert_anonymous(&first);
    client.answer(&proxy_unauthorized(PROXY_DIGEST));
    assert_eq!(names(&client.events()), ["Authenticating"]);
    let parts = [r#"username="bob""#, r#"nonce="p1""#, r#"uri="media:443""#];
    let second = client.connect();
    assert_digest(&second, "proxy-authorization", &parts);
    assert_digest(&second, "proxy-authorization", &["nc=00000001"]);
    assert!(!second.fresh);
    assert_anonymous(&client.opened());
    client.challenged(&[DIGEST]);
    let setup = client.push_setup();
    assert_digest(&setup, "authorization", &[r#"uri="/live""#]);
    assert_eq!(field(&setup, "proxy-authorization"), None);
    client.accepted();
    // The next CONNECT carries the answer that opened the last tunnel.
    client.0.restart(None);
    let again = client.connect();
    assert_digest(&again, "proxy-authorization", &parts);
    assert_digest(&again, "proxy-authorization", &["nc=00000002"]);
}

impl Client {
    /// Sends CONNECT twice, as NTLM requires, and opens the tunnel. Returns the first request.
    fn shake_hands(&mut self, scheme: &str) -> Request {
        let authorized = |request: &Request, token: &str| {
            let value = field(request, "proxy-authorization").unwrap();
            assert!(value.starts_with(&format!("{scheme} {token}")), "{value}");
        };
        let leg1 = self.connect();
        authorized(&leg1, "TlRMTVNTUAAB");
        self.answer(&proxy_unauthorized(&format!("{scheme} {TYPE_2}")));
        let leg3 = self.connect();
        authorized(&leg3, "TlRMTVNTUAAD");
        assert!(!leg3.fresh);
        self.events();
        self.answer(OPENED);
        leg1
    }
}

/// MS-NTHT: the handshake with the proxy is bound to its connection, and ends when the tunnel is open.
#[test]
fn ntlm_opens_a_tunnel() {
    for scheme in ["NTLM", "Negotiate"] {
        let (mut client, _) = Client::tunnelled(proxied());
        client.answer(&proxy_unauthorized(scheme));
        for _ in 0..3 {
            client.shake_hands(scheme);
            let setup = client.push_setup();
            assert_anonymous(&setup);
            client.accepted();
            client.start();
            // Only the tunnel is bound to the connection, so PushStart needs no PushSetup.
            assert!(client.0.resume(Some(header())));
            assert!(client.shake_hands(scheme).fresh);
            assert_anonymous(&client.push_start().0);
            client.0.restart(None);
        }
    }
}

/// Anyone on the path to the proxy could read the password, even with TLS to the server.
#[test]
fn basic_opens_a_tunnel_only_with_permission() {
    let basic = r#"Basic realm="P""#;
    let (mut client, first) = Client::tunnelled(proxied());
    assert_anonymous(&first);
    let expected = Error::Denied {
        role: Role::Proxy,
        status: StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        reason: "And you?".to_owned(),
        denied: Denied::NoUsableScheme {
            offered: vec!["Basic".to_owned()],
        },
    };
    assert_eq!(client.fails(&proxy_unauthorized(basic)), expected);
    for (proxy, cleartext_basic) in [("http://proxy:3128/", true), ("https://proxy:3128/", false)] {
        let access = AccessConfig {
            proxy: Some(url(proxy)),
            cleartext_basic,
            ..proxied()
        };
        let (mut client, first) = Client::tunnelled(access);
        // The client does not send the password before a challenge, because the proxy may support a better scheme.
        assert_anonymous(&first);
        client.answer(&proxy_unauthorized(basic));
        let token = BASE64_STANDARD.encode(format!("bob:{PASSWORD}"));
        let expected = format!("Basic {token}");
        let connect = client.connect();
        assert_eq!(field(&connect, "proxy-authorization"), Some(&*expected));
        assert_anonymous(&client.opened());
    }
}

/// C-208: the client asks the application for the proxy's credentials, and sends nothing before its answer.
#[test]
fn credentials_for_a_tunnel_are_requested() {
    let (mut client, _) = Client::tunnelled(AccessConfig {
        proxy_credentials: None,
        ..proxied()
    });
    client.answer(&proxy_unauthorized(PROXY_DIGEST));
    let question = client.question();
    assert_eq!((question.role, &*question.site), (Role::Proxy, "proxy"));
    assert_eq!(question.request.realm.as_deref(), Some("P"));
    assert!(!client.0.awaits_response());
    client.assert_waits_for_tunnel();
    // A late response or a connection loss does not answer the request for credentials.
    client.answer(OPENED);
    client.0.connection_lost();
    client.assert_waits_for_tunnel();
    client.0.provide(Role::Proxy, Some(alice())).unwrap();
    client.connect();
    client.answer(&proxy_unauthorized(PROXY_DIGEST));
    let question = client.question();
    assert_eq!(
        question.request.previous_user.as_deref(),
        Some(r"WMDOM\alice")
    );
    client.0.provide(Role::Proxy, Some(bob())).unwrap();
    assert_digest(&client.connect(), "proxy-authorization", &[r#""bob""#]);
    client.opened();
}

/// C-208
#[test]
fn an_application_may_refuse_credentials_for_a_tunnel() {
    let (mut client, _) = Client::tunnelled(AccessConfig {
        proxy_credentials: None,
        ..proxied()
    });
    client.answer(&proxy_unauthorized(PROXY_DIGEST));
    client.question();
    client.is_denied_without_proxy_credentials();
}

/// 3.1.4.2 Request to Start Streaming Content: C-231: a challenge to CONNECT does not repeat the PushStart that waits
/// for the tunnel.
#[test]
fn a_challenge_to_connect_repeats_nothing() {
    let (mut client, _) = Client::tunnelled(proxied());
    client.opened();
    client.accepted();
    client.events();
    assert_eq!(client.0.start_streaming(header()), Offer::Taken);
    client.0.connection_lost();
    client.connect();
    client.answer(&proxy_unauthorized(PROXY_DIGEST));
    client.connect();
    client.answer(OPENED);
    assert_eq!(client.push_start().1, h());
    assert_eq!(names(&client.events()), ["PushStartSent", "Authenticating"]);
    assert_eq!(client.0.counters().push_starts, 1);
}

/// A nonce of the proxy may expire with each tunnel.
#[test]
fn a_nonce_may_expire_at_every_tunnel() {
    for flag in [", stale=true", ""] {
        let mut client = Client::streaming_in_tunnel(proxied());
        for nonce in 0..1000 {
            assert!(client.0.resume(Some(header())));
            client.connect();
            let field = format!(r#"Digest realm="P", nonce="{nonce}", qop="auth"{flag}"#);
            client.answer(&proxy_unauthorized(&field));
            let part = format!(r#"nonce="{nonce}""#);
            assert_digest(&client.connect(), "proxy-authorization", &[&part]);
            client.answer(OPENED);
            client.push_start();
            client.events();
        }
    }
}

/// C-208: the client gives up on a proxy that refuses every answer, whether or not it closes connections.
#[test]
fn endless_challenges_to_connect_end_the_session() {
    for (field, closes) in [
        (PROXY_DIGEST, false),
        ("NTLM", true),
        (
            r#"Digest realm="P", nonce="NEW", qop="auth", stale=true"#,
            true,
        ),
        (
            r#"Digest realm="P", nonce="NEW", qop="auth", stale=true"#,
            false,
        ),
    ] {
        let (mut client, _) = Client::tunnelled(proxied());
        for round in 0.. {
            assert!(round < 20, "no end: {field}");
            let field = field.replace("NEW", &round.to_string());
            let answer = response(&proxy_unauthorized(&field));
            if client.0.handle_response(&answer).is_err() {
                break;
            }
            if client.0.provide(Role::Proxy, None).is_err() {
                break;
            }
            if closes {
                client.0.connection_lost();
            }
            client.connect();
        }
        client.assert_over();
    }
}

/// D-17: the server's NTLM challenge to PushStart leads back to PushSetup, on a connection with a new tunnel.
#[test]
fn a_fresh_push_setup_goes_through_a_fresh_tunnel() {
    let mut client = Client::streaming_in_tunnel(proxied());
    client.challenged(&["NTLM"]);
    assert!(client.connect().fresh);
    client.answer(OPENED);
    let setup = client.push_setup();
    assert!(!setup.fresh);
    assert!(field(&setup, "authorization").is_some());
}
