// SPDX-License-Identifier: MPL-2.0

//! Connections that are new, lost or slow amid a handshake.

use http::header::CONNECTION;

use super::*;

#[test]
fn a_new_connection_is_authenticated_anew() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    client.shake_hands("NTLM");
    client.accepted();
    client.authenticator.connection_lost();
    assert_eq!(client.push_start(), Sent::Nothing);
    // PushSetup opens the handshake of its own accord.
    client.shake_hands("NTLM");
    client.accepted();
    assert_eq!(client.push_start(), Sent::Nothing);
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM", DIGEST]), RESUBMIT);
    for _ in 0..MAX_BROKEN_HANDSHAKES {
        client.shake_hands("NTLM");
        client.authenticator.connection_lost();
    }
    assert_eq!(client.push_setup(), Sent::Nothing);
    assert_eq!(client.challenged(&["NTLM", DIGEST]), RESUBMIT);
    client.answer("Digest");
}

#[test]
fn an_outage_does_not_wear_a_handshake_out() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    for _ in 0..20 {
        assert_eq!(client.push_setup(), leg_1("NTLM"));
        client.authenticator.connection_lost();
    }
    client.shake_hands("NTLM");
}

/// MS-NTHT: the handshake lives on its connection.
#[test]
fn a_server_that_closes_amid_the_handshake_cannot_do_ntlm() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM", DIGEST]), RESUBMIT);
    assert_eq!(client.push_setup(), leg_1("NTLM"));
    let type_2 = HeaderValue::from_str(&format!("NTLM {TYPE_2}")).unwrap();
    let headers = HeaderMap::from_iter([
        (Role::Server.challenge_header(), type_2),
        (CONNECTION, HeaderValue::from_static("Close")),
    ]);
    assert_eq!(client.authenticator.challenged(&headers), RESUBMIT);
    client.answer("Digest");
}

#[test]
fn a_handshake_that_nobody_wants_is_not_gone_on_with() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    for _ in 0..MAX_BROKEN_HANDSHAKES {
        assert_eq!(client.push_setup(), leg_1("NTLM"));
        client.accepted();
        assert_eq!(client.push_setup(), Sent::Nothing);
        let _ = client.challenged(&["NTLM"]);
    }
    assert_eq!(client.push_setup(), Sent::Nothing);
}

/// A server that was started anew knows neither nonce nor connection.
#[test]
fn what_was_good_before_is_tried_once_more() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&[DIGEST]), RESUBMIT);
    client.answer("Digest");
    client.accepted();
    client.answer("Digest");
    let other = DIGEST.replace("n1", "n2");
    assert_eq!(client.challenged(&[&other]), RESUBMIT);
    assert_digest_answer(&client.answer("Digest"), "n2", 1);
    assert_eq!(
        client.challenged(&[&other]),
        offers(Some(USER), Scheme::Digest)
    );

    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    client.shake_hands("NTLM");
    client.accepted();
    assert_eq!(client.push_setup(), Sent::Nothing);
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    client.shake_hands("NTLM");
    assert_eq!(
        client.challenged(&["NTLM"]),
        offers(Some(USER), Scheme::Ntlm)
    );
}
