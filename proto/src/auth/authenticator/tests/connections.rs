// SPDX-License-Identifier: MPL-2.0

//! New, lost and delayed connections during a handshake.

use http::header::CONNECTION;

use super::*;

#[test]
fn a_new_connection_is_authenticated_again() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    client.shake_hands("NTLM");
    client.accepted();
    client.authenticator.connection_lost();
    assert_eq!(client.push_start(), Sent::Nothing);
    // PushSetup opens the handshake before any challenge.
    client.shake_hands("NTLM");
    client.accepted();
    assert_eq!(client.push_start(), Sent::Nothing);
}

#[test]
fn an_endless_handshake_is_abandoned() {
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
fn connection_losses_do_not_count_as_failed_handshakes() {
    let mut client = Client::new();
    assert_eq!(client.challenged(&["NTLM"]), RESUBMIT);
    for _ in 0..20 {
        assert_eq!(client.push_setup(), leg_1("NTLM"));
        client.authenticator.connection_lost();
    }
    client.shake_hands("NTLM");
}

/// MS-NTHT: the handshake is bound to its connection.
#[test]
fn ntlm_is_abandoned_if_the_server_closes_during_the_handshake() {
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
fn an_accepted_request_ends_the_handshake() {
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

/// A restarted server knows neither nonce nor connection.
#[test]
fn accepted_credentials_are_tried_once_more() {
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
