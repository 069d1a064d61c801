// SPDX-License-Identifier: MPL-2.0

//! Digest: nonces that are used again, replaced and refused.

use super::*;

/// MS-WMHTTP 3.1.4.2.1: Digest goes on PushStart too, where a 401 would cost the data on its way
#[test]
fn digest_goes_on_every_request_once_it_is_known() {
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

/// A challenge with a nonce of this number.
fn challenge(nonce: u32) -> String {
    format!(r#"Digest realm="WMS", nonce="n{nonce}", qop="auth", opaque="o""#)
}

fn stale(nonce: u32) -> String {
    challenge(nonce) + ", stale=TRUE"
}

/// A client whose credentials have been accepted with nonce 0.
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

/// No response tells a success where PushStart is the request: it goes on until the connection is lost.
#[test]
fn a_nonce_may_expire_at_every_connection() {
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

/// The server closes behind each 401, and every answer needs a connection of its own.
#[test]
fn a_nonce_is_good_on_the_next_connection() {
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

/// RFC 7616 section 3.3: `stale` vouches for the credentials, and they do not have to be accepted before.
#[test]
fn a_first_answer_may_be_stale() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&[DIGEST]), RESUBMIT);
    client.answer("Digest");
    assert_eq!(client.challenged(&[&stale(2)]), RESUBMIT);
    assert_digest_answer(&client.answer("Digest"), "n2", 1);
}

/// A server that finds everything stale has no use for Digest, whether it closes in between or not.
#[test]
fn stale_nonces_in_a_row_are_given_up() {
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
        let expected = Denied::NoUsableScheme {
            offered: vec!["Digest".to_owned()],
        };
        assert_eq!(denied, Next::Denied(expected));
        assert_eq!(nonce, u32::from(MAX_EXPIRED_NONCES) + 1);
    }
}

#[test]
fn a_stale_nonce_that_comes_again_is_given_up() {
    let mut client = accepted(Role::Server);
    client.answer("Digest");
    let denied = Denied::NoUsableScheme {
        offered: vec!["Digest".to_owned()],
    };
    assert_eq!(client.challenged(&[&stale(0)]), Next::Denied(denied));
}

/// The password was changed: an answer to a nonce that was issued just now says so, and is no reason for another guess.
#[test]
fn a_fresh_nonce_that_is_refused_means_the_credentials() {
    let mut client = accepted(Role::Server);
    client.authenticator.connection_lost();
    client.answer("Digest");
    assert_eq!(client.challenged(&[&challenge(1)]), RESUBMIT);
    client.authenticator.connection_lost();
    client.answer("Digest");
    let asked = client.challenged(&[&challenge(2)]);
    assert_eq!(asked, offers(Some(USER), Scheme::Digest));
}

/// Credentials that were never accepted: the nonce has outlived its connection, and the next one tells.
#[test]
fn a_nonce_of_a_lost_connection_says_nothing() {
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

/// A 407 says nothing about the server, nor does the loss of the connection behind it.
#[test]
fn a_request_that_was_held_back_heals_nothing() {
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

/// RFC 7616 section 3.5
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
fn a_digest_that_cannot_be_answered_is_passed_over() {
    let mut client = Client::new();
    let fields = [
        r#"Digest realm="WMS", nonce=n, qop="auth-int""#,
        "Basic realm=WMS",
    ];
    assert_eq!(client.challenged(&fields), RESUBMIT);
    client.answer("Basic");
}
