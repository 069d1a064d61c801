// SPDX-License-Identifier: MPL-2.0

//! Configured proxies, and their challenges.

use super::*;

/// 3.1.4.1 Request to Configure the Server, 3.1.4.2.1 Sending the PushStart Request: C-074, C-111: each request goes to
/// the proxy. The body of PushStart is one minute long because of UsingProxy.
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

/// 3.1.4.1.1 Sending the PushSetup Request, 3.1.4.2.1 Sending the PushStart Request: C-087, C-125, C-208, C-210: the
/// proxy gets Proxy-Authorization and the server Authorization. All later requests carry both.
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

/// RFC 9110 section 11.7.1: C-208, C-210: a 401 through the proxy shows that the proxy has accepted the request, which
/// ends its handshake.
#[test]
fn a_server_challenge_ends_the_handshake_with_the_proxy() {
    let (mut client, _) = Client::new(proxied());
    client.answer(&proxy_unauthorized("NTLM"));
    client.push_setup();
    client.answer(&proxy_unauthorized(&format!("NTLM {TYPE_2}")));
    assert!(field(&client.push_setup(), "proxy-authorization").is_some());
    client.challenged(&[DIGEST]);
    let setup = client.push_setup();
    assert_eq!(field(&setup, "proxy-authorization"), None);
    assert_digest(&setup, "authorization", &["nc=00000001"]);
}

/// 3.1.5.2 Receiving a PushStart Response: C-231, C-236: 407 to a PushStart
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

/// NTLM with a proxy is bound to the connection, and starts again on a new one.
/// C-003, C-088
#[test]
fn a_new_connection_is_authenticated_to_the_proxy_again() {
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

/// C-208: no proxy is configured.
#[test]
fn a_challenge_of_an_unknown_proxy_is_a_refusal() {
    for streams in [false, true] {
        let mut client = if streams {
            Client::streaming(known())
        } else {
            Client::new(known()).0
        };
        let expected = Error::Refused {
            role: Role::Proxy,
            status: StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            reason: "And you?".to_owned(),
            server: String::new(),
            retry_after: None,
        };
        assert_eq!(client.fails(&proxy_unauthorized(DIGEST)), expected);
    }
}
