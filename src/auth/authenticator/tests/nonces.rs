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

#[test]
fn a_stale_nonce_is_replaced_once() {
    let mut client = Client::new();
    let stale = |nonce: u32| {
        format!(r#"Digest realm="WMS", nonce="s{nonce}", qop="auth", opaque="o", stale=TRUE"#)
    };
    assert_eq!(client.challenged(&[DIGEST]), RESUBMIT);
    for round in 0..3 {
        client.answer("Digest");
        assert_eq!(client.challenged(&[&stale(round)]), RESUBMIT);
        assert_digest_answer(&client.answer("Digest"), &format!("s{round}"), 1);
        client.accepted();
    }
    client.answer("Digest");
    assert_eq!(client.challenged(&[&stale(8)]), RESUBMIT);
    client.answer("Digest");
    // A server that finds everything stale has no use for Digest.
    let denied = Denied::NoUsableScheme {
        offered: vec!["Digest".to_owned()],
    };
    assert_eq!(client.challenged(&[&stale(9)]), Next::Denied(denied));
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
