// SPDX-License-Identifier: MPL-2.0

//! Digest nonces: used again, replaced and refused.

use super::*;

/// MS-WMHTTP 3.1.4.2.1 Sending the PushStart Request: PushStart carries Digest too, because a 401 would cost the data
/// already sent
#[test]
fn every_request_carries_a_known_digest() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&[DIGEST]), RESUBMIT);
    assert_digest_answer(&client.answer("Digest"), "n1", 1);
    client.accepted();
    for count in 2..5 {
        let Sent::Header(value) = client.push_start() else {
            panic!("no header");
        };
        assert_digest_answer(value.strip_prefix("Digest ").unwrap(), "n1", count);
        client.accepted();
        client.authenticator.connection_lost();
    }
}

/// Returns a challenge with the nonce `nonce`.
fn challenge(nonce: u32) -> String {
    format!(r#"Digest realm="WMS", nonce="n{nonce}", qop="auth", opaque="o""#)
}

fn stale(nonce: u32) -> String {
    challenge(nonce) + ", stale=TRUE"
}

/// Returns a client whose credentials were accepted with nonce 0.
fn accepted(role: Role) -> Client {
    let mut client = Client::with(role, ANYTHING);
    assert_eq!(client.challenged(&[&challenge(0)]), RESUBMIT);
    client.answer("Digest");
    client.accepted();
    client
}

fn assert_sends(client: &mut Client, is_push_start: bool, nonce: u32) {
    let Sent::Header(value) = client.send(is_push_start) else {
        panic!("no header");
    };
    let answer = value.strip_prefix("Digest ").unwrap();
    assert_eq!(parameter(answer, "nonce"), format!("n{nonce}"));
}

/// A PushStart that streams until its connection is lost gets no response that could confirm its nonce.
#[test]
fn a_nonce_may_expire_on_every_connection() {
    for (role, expired) in [
        (Role::Server, stale as fn(u32) -> String),
        (Role::Proxy, stale),
        // RFC 2617 section 3.2.1: the flag is optional.
        (Role::Server, challenge),
        (Role::Proxy, challenge),
    ] {
        for (is_push_start, is_accepted) in [(true, false), (false, true)] {
            let mut client = accepted(role);
            for nonce in 1..500 {
                client.authenticator.connection_lost();
                assert_sends(&mut client, is_push_start, nonce - 1);
                assert_eq!(client.challenged(&[&expired(nonce)]), RESUBMIT);
                assert_sends(&mut client, is_push_start, nonce);
                if is_accepted {
                    client.accepted();
                }
            }
        }
    }
}

/// The server closes the connection after each 401, so every answer uses a new connection.
#[test]
fn a_nonce_stays_valid_on_the_next_connection() {
    for expired in [stale, challenge] {
        let mut client = accepted(Role::Server);
        for nonce in 1..100 {
            client.authenticator.connection_lost();
            assert_sends(&mut client, true, nonce - 1);
            assert_eq!(client.challenged(&[&expired(nonce)]), RESUBMIT);
            client.authenticator.connection_lost();
            assert_sends(&mut client, true, nonce);
        }
    }
}

/// RFC 7616 section 3.3 The WWW-Authenticate Response Header Field: `stale` confirms credentials that were never
/// accepted before.
#[test]
fn a_first_answer_may_be_stale() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&[DIGEST]), RESUBMIT);
    client.answer("Digest");
    assert_eq!(client.challenged(&[&stale(2)]), RESUBMIT);
    assert_digest_answer(&client.answer("Digest"), "n2", 1);
}

/// A server that calls every nonce stale makes Digest unusable, whether or not it closes connections.
#[test]
fn repeated_stale_nonces_end_digest() {
    for closes in [false, true] {
        let mut client = accepted(Role::Server);
        let mut nonce = 0;
        let denied = loop {
            assert_sends(&mut client, false, nonce);
            nonce += 1;
            match client.challenged(&[&stale(nonce)]) {
                RESUBMIT => {}
                other => break other,
            }
            if closes {
                client.authenticator.connection_lost();
            }
        };
        let expected = Denied::LoginIncomplete {
            schemes: vec![Scheme::Digest],
        };
        assert_eq!(denied, Next::Denied(expected));
        assert_eq!(nonce, u32::from(MAX_EXPIRED_NONCES) + 1);
    }
}

#[test]
fn a_stale_nonce_that_is_issued_again_ends_digest() {
    let mut client = accepted(Role::Server);
    client.answer("Digest");
    let denied = Denied::LoginIncomplete {
        schemes: vec![Scheme::Digest],
    };
    assert_eq!(client.challenged(&[&stale(0)]), Next::Denied(denied));
}

/// The password was changed: a refused answer to a fresh nonce is not worth a second try.
#[test]
fn a_refused_fresh_nonce_means_wrong_credentials() {
    let mut client = accepted(Role::Server);
    client.authenticator.connection_lost();
    client.answer("Digest");
    assert_eq!(client.challenged(&[&challenge(1)]), RESUBMIT);
    client.authenticator.connection_lost();
    client.answer("Digest");
    let asked = client.challenged(&[&challenge(2)]);
    assert_eq!(asked, offers(Some(USER), Scheme::Digest));
}

/// The credentials were never accepted, and the nonce has outlived its connection. Only the next nonce can tell.
#[test]
fn a_refused_nonce_of_a_lost_connection_is_inconclusive() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&[DIGEST]), RESUBMIT);
    client.answer("Digest");
    client.authenticator.connection_lost();
    client.answer("Digest");
    assert_eq!(client.challenged(&[&challenge(2)]), RESUBMIT);
    client.answer("Digest");
    let asked = client.challenged(&[&challenge(3)]);
    assert_eq!(asked, offers(Some(USER), Scheme::Digest));
}

/// A 407 says nothing about the server, and neither does the connection loss that follows it.
#[test]
fn a_request_held_back_by_a_proxy_resets_no_count() {
    let mut client = accepted(Role::Server);
    for nonce in 1..=u32::from(MAX_EXPIRED_NONCES) {
        client.answer("Digest");
        assert_eq!(client.challenged(&[&stale(nonce)]), RESUBMIT);
        client.answer("Digest");
        client.authenticator.held_back();
        client.authenticator.connection_lost();
    }
    client.answer("Digest");
    assert!(matches!(client.challenged(&[&stale(99)]), Next::Denied(_)));
}

/// RFC 7616 section 3.5 The Authentication-Info and Proxy-Authentication-Info Header Fields
#[test]
fn the_next_nonce_is_taken_from_a_success() {
    for role in [Role::Server, Role::Proxy] {
        let mut client = Client::with(role, ANYTHING);
        assert_eq!(client.challenged(&[DIGEST]), RESUBMIT);
        client.answer("Digest");
        let value = HeaderValue::from_static(r#"rspauth="x", nextnonce="n2""#);
        client
            .authenticator
            .accepted(&HeaderMap::from_iter([(role.info_header(), value)]));
        assert_digest_answer(&client.answer("Digest"), "n2", 1);
    }
}

#[test]
fn an_unsupported_digest_is_skipped() {
    let mut client = Client::new();
    let fields = [
        r#"Digest realm="WMS", nonce=n, qop="auth-int""#,
        "Basic realm=WMS",
    ];
    assert_eq!(client.challenged(&fields), RESUBMIT);
    client.answer("Basic");
}
