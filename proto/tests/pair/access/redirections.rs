// SPDX-License-Identifier: MPL-2.0

//! 3.1.5.1 Receiving a PushSetup Response: statuses 300 to 305.

use super::*;

/// Returns the URL of a Location without user information and fragment.
fn destination(location: &str) -> Url {
    let mut url = config().url.join(location).unwrap();
    url.set_fragment(None);
    url.set_username("").unwrap();
    url.set_password(None).unwrap();
    url
}

/// 3.1.5.1 Receiving a PushSetup Response: C-201, C-203, C-204, C-207: PushSetup goes to the new URL, on a new
/// connection, without the push-id, the cookies and the credentials of the first server.
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
            let expected = destination(location);
            assert_eq!(setup.url, expected);
            assert!(setup.fresh && setup.proxy.is_none());
            assert_anonymous(&setup);
            assert_eq!(cookie(&setup), "push-id=0");
            assert!(matches!(setup.body, Body::PushSetup(_)));
            // Credentials for the first server are not sent to the second.
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

/// 3.1.5.1 Receiving a PushSetup Response, RFC 2616 section 14.30 Location: C-203, C-204, C-207: a relative Location is
/// on the same server, which knows the client already.
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

/// The requests before and after a redirection start with the same handshake message.
/// C-204, C-208
#[test]
fn a_handshake_restarts_after_a_redirection() {
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

/// 3.1.5.1 Receiving a PushSetup Response: C-202, C-204, C-205, C-207: the Location of 305 is a proxy, on a new
/// connection; the URL stays. Later bodies are one minute long. The proxy reads the requests to the server, so they
/// carry none of its secrets.
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
    assert_anonymous(&setup);
    // The application has given no credentials for this proxy.
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

/// 3.1.5.1 Receiving a PushSetup Response: C-205: credentials for the configured proxy are not sent to one that a
/// server names.
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
    client.is_denied_without_proxy_credentials();
}

/// 3.1.5.1 Receiving a PushSetup Response: C-206: a proxy before the last server says nothing about the next one.
#[test]
fn a_redirection_forgets_the_proxy_in_via() {
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

/// A challenge may carry Via as well.
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

/// 4.7 Client Push State Diagram: only PushSetup can be redirected.
/// C-201, C-220
#[test]
fn a_redirection_of_push_start_is_a_refusal() {
    let mut client = Client::streaming(known());
    let expected = Error::Refused {
        role: Role::Server,
        status: StatusCode::FOUND,
        reason: "Elsewhere".to_owned(),
        server: "Cougar/9.5".to_owned(),
        retry_after: None,
    };
    let redirection = redirect(302, "http://other/live");
    assert_eq!(client.fails(&redirection), expected);
}
