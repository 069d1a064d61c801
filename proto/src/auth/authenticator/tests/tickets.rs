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
fn a_ticket_goes_before_ntlm() {
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
fn a_ticket_lasts_where_the_server_says_so() {
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

/// The first token is for no connection in particular. While there is none, each request that looks for one says that it
/// is lost, and a ticket that went with it would be fetched for ever.
#[test]
fn a_ticket_waits_for_its_connection() {
    let mut client = with_tickets();
    client.authenticator.set_credentials(None);
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    client.authenticator.connection_lost();
    assert_eq!(client.push_setup(), Sent::Blocking);
    client.authenticator.resume(ticket(b"ticket"));
    client.authenticator.connection_lost();
    client.answer("Negotiate");
    // Once it has been sent, it is spent.
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
    // What comes too late is not looked at.
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
    // This server takes tickets only.
    assert_eq!(client.push_setup(), leg_1("Negotiate"));
    assert_eq!(
        client.challenged(&["Negotiate"]),
        offers(Some(USER), Scheme::Negotiate)
    );
}

#[test]
fn a_refused_ticket_gives_way_to_ntlm() {
    let mut client = with_tickets();
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    assert_eq!(client.push_setup(), Sent::Blocking);
    client.authenticator.resume(ticket(b"ticket"));
    client.answer("Negotiate");
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    client.shake_hands("Negotiate");
}

#[test]
fn without_ticket_and_password_there_is_a_question() {
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
fn a_ticket_goes_on_a_push_start_that_wants_one() {
    let mut client = with_tickets();
    assert_eq!(client.push_start(), Sent::Nothing);
    assert_eq!(client.challenged(&["Negotiate"]), RESUBMIT);
    assert_eq!(client.push_start(), Sent::Blocking);
    client.authenticator.resume(ticket(b"ticket"));
    assert!(matches!(client.push_start(), Sent::Header(_)));
    client.accepted();
    // It will want one each time.
    assert_eq!(client.push_start(), Sent::Blocking);
}
