// SPDX-License-Identifier: MPL-2.0

//! Kerberos tickets.

use super::*;

fn with_tickets() -> Client {
    let mut client = Client::new();
    client.authenticator.available.insert(Method::Kerberos);
    client
}

fn ticket(token: &[u8]) -> StepResult {
    StepResult(Some((token.to_vec(), None)))
}

#[test]
fn a_ticket_is_preferred_to_ntlm() {
    let mut client = with_tickets();
    client.authenticator.set_credentials(None);
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    assert_eq!(client.push_setup(), Sent::Blocking);
    client.authenticator.resume(ticket(b"ticket"));
    assert_eq!(client.answer("Negotiate"), BASE64_STANDARD.encode("ticket"));
    client.accepted();
    assert_eq!(client.push_start(), Sent::Blocking);
}

#[test]
fn persistent_auth_keeps_the_connection_authenticated() {
    let mut client = with_tickets();
    client.authenticator.set_credentials(None);
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    assert_eq!(client.push_setup(), Sent::Blocking);
    client.authenticator.resume(ticket(b"ticket"));
    assert_eq!(client.answer("Negotiate"), BASE64_STANDARD.encode("ticket"));
    client.accepted_with("persistent-auth", "true");
    assert_eq!(client.push_start(), Sent::Nothing);
    client.authenticator.connection_lost();
    assert_eq!(client.push_setup(), Sent::Blocking);
}

/// The first token is not bound to a connection. While the peer is unreachable, each attempt reports a lost connection,
/// and discarding the ticket with it would fetch tickets for ever.
#[test]
fn an_unsent_ticket_survives_a_lost_connection() {
    let mut client = with_tickets();
    client.authenticator.set_credentials(None);
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    client.authenticator.connection_lost();
    assert_eq!(client.push_setup(), Sent::Blocking);
    client.authenticator.resume(ticket(b"ticket"));
    client.authenticator.connection_lost();
    client.answer("Negotiate");
    // A ticket that was sent cannot be sent again.
    client.authenticator.connection_lost();
    assert_eq!(client.push_setup(), Sent::Blocking);
}

#[test]
fn without_a_ticket_negotiate_is_ntlm() {
    let mut client = with_tickets();
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    assert_eq!(client.push_setup(), Sent::Blocking);
    client.authenticator.resume(StepResult(None));
    client.shake_hands("Negotiate");
    // A result that comes too late is ignored.
    client.authenticator.resume(ticket(b"late"));
    client.accepted();
    assert_eq!(client.push_start(), Sent::Nothing);
}

#[test]
fn a_password_that_gets_no_ticket_is_refused() {
    let mut client = with_tickets();
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    assert_eq!(client.push_setup(), Sent::Blocking);
    client.authenticator.resume(StepResult(None));
    // This server accepts tickets only.
    assert_eq!(client.push_setup(), leg_1("Negotiate"));
    assert_eq!(
        client.challenged(&["Negotiate"]),
        offers(Some(USER), Scheme::Negotiate)
    );
}

#[test]
fn a_refused_ticket_is_followed_by_ntlm() {
    let mut client = with_tickets();
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    assert_eq!(client.push_setup(), Sent::Blocking);
    client.authenticator.resume(ticket(b"ticket"));
    client.answer("Negotiate");
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    client.shake_hands("Negotiate");
}

#[test]
fn without_ticket_and_password_credentials_are_requested() {
    let mut client = with_tickets();
    client.authenticator.set_credentials(None);
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    assert_eq!(client.push_setup(), Sent::Blocking);
    client.authenticator.resume(StepResult(None));
    assert_eq!(client.push_setup(), Sent::Nothing);
    assert_eq!(
        client.challenged(&["Negotiate"]),
        offers(None, Scheme::Negotiate)
    );
}

/// MS-WMHTTP note <5>: SPNEGO is supported in PushStart, unlike NTLM
#[test]
fn push_start_carries_a_ticket_if_challenged() {
    let mut client = with_tickets();
    assert_eq!(client.push_start(), Sent::Nothing);
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    assert_eq!(client.push_start(), Sent::Blocking);
    client.authenticator.resume(ticket(b"ticket"));
    assert!(matches!(client.push_start(), Sent::Header(_)));
    client.accepted();
    // The server challenges each PushStart.
    assert_eq!(client.push_start(), Sent::Blocking);
}
