// SPDX-License-Identifier: MPL-2.0

//! PushStart: the answers that it may carry, and the return to PushSetup.

use super::*;

/// MS-WMHTTP 3.2.5.2 Receiving a PushStart Request: NTLM is not supported in PushStart
#[test]
fn ntlm_on_push_start_leads_back_to_push_setup() {
    let mut client = Client::new();
    assert_eq!(client.push_start(), Sent::Nothing);
    assert_eq!(client.challenged(&["NTLM"]), Next::RedoPushSetup);
    client.authenticator.connection_lost();
    client.shake_hands("NTLM");
    client.accepted();
    assert_eq!(client.push_start(), Sent::Nothing);
    // One return is enough: a complete handshake on that connection leaves nothing else to try.
    let denied = Denied::LoginIncomplete {
        schemes: vec![Scheme::Ntlm],
    };
    assert_eq!(client.challenged(&["NTLM"]), Next::Denied(denied));
}

#[test]
fn an_accepted_push_start_allows_another_return() {
    let mut client = Client::new();
    for _ in 0..3 {
        assert_eq!(client.push_start(), Sent::Nothing);
        assert_eq!(client.challenged(&["NTLM"]), Next::RedoPushSetup);
        client.authenticator.connection_lost();
        client.shake_hands("NTLM");
        client.accepted();
        assert_eq!(client.push_start(), Sent::Nothing);
        client.accepted();
    }
}

/// A PushStart that streams gets no response: the loss of its connection shows that the server accepted it.
#[test]
fn a_streaming_push_start_allows_another_return() {
    let mut client = Client::new();
    for _ in 0..100 {
        assert_eq!(client.push_start(), Sent::Nothing);
        assert_eq!(client.challenged(&["NTLM"]), Next::RedoPushSetup);
        client.authenticator.connection_lost();
        client.shake_hands("NTLM");
        client.accepted();
        assert_eq!(client.push_start(), Sent::Nothing);
        client.authenticator.connection_lost();
    }
}

#[test]
fn digest_is_preferred_on_push_start() {
    let mut client = Client::new();
    assert_eq!(client.push_start(), Sent::Nothing);
    assert_eq!(client.challenged(&["NTLM", DIGEST]), RESUBMIT);
    let Sent::Header(value) = client.push_start() else {
        panic!("no header");
    };
    assert_digest_answer(value.strip_prefix("Digest ").unwrap(), "n1", 1);
}

#[test]
fn credentials_for_push_start_lead_back_to_push_setup() {
    let mut client = Client::new();
    client.authenticator.set_credentials(None);
    assert_eq!(client.push_start(), Sent::Nothing);
    assert_eq!(client.challenged(&["NTLM"]), offers(None, Scheme::Ntlm));
    let credentials = Credentials::new(USER, PASSWORD);
    let next = client.authenticator.provide(Some(credentials));
    assert_eq!(next, Next::RedoPushSetup);
}
