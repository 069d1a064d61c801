// SPDX-License-Identifier: MPL-2.0

//! Answers to a server's challenges: 3.1.5.1 Receiving a PushSetup Response, 3.1.5.2 Receiving a PushStart Response.

use super::*;

/// 3.1.5.1 Receiving a PushSetup Response, 3.1.4.1.1 Sending the PushSetup Request, decision D-4: C-087, C-208, C-210:
/// the client repeats PushSetup with Authorization on the same connection. C-125: PushStart carries Authorization
/// before a challenge.
#[test]
fn digest_answers_a_challenge_and_authorises_push_start() {
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

/// RFC 9110 section 5.5: C-208: a server or proxy may write the realm in any character set. The answer repeats its
/// bytes.
#[test]
fn a_realm_may_have_any_bytes() {
    for role in [Role::Server, Role::Proxy] {
        for realm in [&b"caf\xE9"[..], b"\x95\x5C\x8E\xA6", b"\xE3\x83\xA9"] {
            let (mut client, _) = Client::new(proxied());
            let (status, name) = match role {
                Role::Server => ("401", "www-authenticate"),
                Role::Proxy => ("407", "proxy-authenticate"),
            };
            let mut answer = response(&format!("HTTP/1.1 {status} No\nServer: Cougar/9.5"));
            let field = [b"Digest realm=\"", realm, b"\", nonce=\"n\", qop=\"auth\""].concat();
            let value = HeaderValue::from_bytes(&field).unwrap();
            answer.headers.insert(name, value);
            client.0.handle_response(&answer).unwrap();
            let setup = client.push_setup();
            let answer = setup.headers[role.authorization_header()].as_bytes();
            let echo = [b"realm=\"", realm, b"\", nonce=\"n\","].concat();
            assert!(answer.windows(echo.len()).any(|part| part == echo));
        }
    }
}

/// 3.1.5.2 Receiving a PushStart Response, 3.1.4.2.1 Sending the PushStart Request, decision D-14: C-125, C-231, C-236:
/// the client repeats PushStart with the new nonce and `$H`. It drops the rest of the old body, and the higher layer
/// offers that content again.
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

/// 3.1.5.2 Receiving a PushStart Response: C-231, C-236: a repeated PushStart begins like the first one, whatever was
/// sent after that.
#[test]
fn a_repeated_push_start_begins_with_the_same_header() {
    let other = header_with(3200, 0);
    let mut client = Client::digested(known());
    client.accepted();
    client.start();
    client.data();
    assert_eq!(client.0.new_header(other.clone()), Offer::Taken);
    client.sent();
    client.challenged(&[STALE]);
    assert_eq!(client.push_start().1, h());
    // The same content once more.
    client.data();
    assert_eq!(client.0.new_header(other.clone()), Offer::Taken);
    let change = framed(b"$C", other.as_bytes().len() + 4, &[0; 4]);
    let end = b"$E\x04\0\x01\0\0\0".to_vec();
    let expected = [d(), end, change, other.as_bytes().to_vec()].concat();
    assert_eq!(client.sent().body, expected);
}

/// 3.1.5.2 Receiving a PushStart Response: C-231, C-236: the repetition of a PushStart that continued another one has
/// no `$H` either.
#[test]
fn a_repeated_push_start_continues_at_the_same_point() {
    let held = |client: &mut PushSession| {
        assert!(matches!(client.data_unit(packet(1500)), Offer::Held(_)));
    };
    let mut client = in_second_body(4, held);
    client.data();
    client.data();
    // The end of the entry is sent, and no room is left for the header.
    client.data();
    assert!(matches!(client.0.new_header(header()), Offer::Held(_)));
    client.sent();
    client.challenged(&[STALE]);
    assert_eq!(client.push_start().1, b"");
    client.data();
    assert_eq!(client.sent().body, d());
}

/// 3.1.4.4 Notification of the Last Packet: the end of an entry is sent once, even if the PushStart after it is
/// repeated.
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

/// Answers an NTLM challenge to PushStart by PushSetup on a new connection.
fn shake_hands_again(client: &mut Client, scheme: &str) {
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
}

/// 1.7, decision D-17: C-003: PushSetup with NTLM comes first, on a new connection. PushStart follows on that
/// connection, without Authorization.
#[test]
fn ntlm_is_never_used_in_push_start() {
    for scheme in ["NTLM", "Negotiate"] {
        let mut client = Client::streaming(known());
        client.data();
        client.events();
        client.challenged(&[scheme]);
        if scheme == "Negotiate" && cfg!(feature = "kerberos") {
            // A ticket would be allowed, but there is none.
            assert_anonymous(&client.push_start().0);
            client.events();
            client.challenged(&[scheme]);
        }
        assert_eq!(
            names(&client.events()),
            ["Authenticating", "PushStartRepeated"]
        );
        shake_hands_again(&mut client, scheme);
        let (start, body) = client.push_start();
        assert_anonymous(&start);
        assert!(!start.fresh);
        assert_eq!(body, h());
        client.data();
        assert_eq!(client.sent().body, d());
        // One return to PushSetup is allowed.
        let refused = response(&unauthorized(&[scheme]));
        let refused = client.0.handle_response(&refused);
        let refused = refused.and_then(|()| client.0.provide(Role::Server, None));
        assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
        client.assert_over();
    }
}

/// RFC 9112 section 9.3.1 Retrying Requests: the server closed the kept connection before it responded.
#[test]
fn a_setup_is_repeated_unless_it_ends_an_ntlm_handshake() {
    let (mut client, _) = Client::new(known());
    client.challenged(&[DIGEST]);
    client.push_setup();
    assert!(client.0.repeat_push_setup());
    let again = client.push_setup();
    assert!(again.fresh);
    assert_digest(&again, "authorization", &["nc=00000002"]);
    client.accepted();
    assert!(!client.0.repeat_push_setup());

    let (mut client, _) = Client::new(known());
    client.challenged(&["NTLM"]);
    let leg1 = client.push_setup();
    assert!(client.0.repeat_push_setup());
    let again = client.push_setup();
    assert!(again.fresh);
    assert_eq!(
        field(&again, "authorization"),
        field(&leg1, "authorization")
    );
    client.challenged(&[&format!("NTLM {TYPE_2}")]);
    client.push_setup();
    assert!(!client.0.repeat_push_setup());
}

/// 1.7: C-003: Digest is preferred if PushStart has to be authorised.
#[test]
fn push_start_prefers_digest() {
    let mut client = Client::streaming(known());
    client.challenged(&["Negotiate", "NTLM", DIGEST]);
    let (start, body) = client.push_start();
    assert_digest(&start, "authorization", &["nc=00000001"]);
    assert_eq!(body, h());
}

/// Gives this answer to each request until the session asks the application.
fn question_after(client: &mut Client, answer: &str) -> CredentialsWanted {
    for _ in 0..10 {
        client.answer(answer);
        let events = client.events();
        let requests = client.sent().requests.len();
        if let Some(Event::CredentialsWanted(wanted)) = events.into_iter().next_back() {
            assert_eq!(requests, 0);
            return wanted;
        }
    }
    panic!("no end");
}

/// RFC 2616 section 11: C-208, C-231: refused credentials are not tried without end.
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
            let question = question_after(&mut client, &everything);
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

/// C-208: an application that always offers new credentials is not asked without end.
#[test]
fn the_number_of_credentials_tried_is_bounded() {
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

/// C-087, C-208: the client asks the application, and neither sends nor accepts anything before its answer.
#[test]
fn credentials_are_requested() {
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
fn an_application_may_refuse_credentials() {
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

/// Anyone on the path could read the password.
/// C-208
#[test]
fn basic_is_refused_without_encryption() {
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

/// 3.1.5.2 Receiving a PushStart Response: C-231, C-236: PushStart waits for the application like PushSetup does.
#[test]
fn push_start_is_repeated_with_credentials() {
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
