// SPDX-License-Identifier: MPL-2.0

//! What is on offer, and what may be used of it.

use super::*;

/// The password would be read by anyone on the way.
#[test]
fn basic_waits_for_encryption_or_for_leave() {
    let fields = ["Basic realm=\"WMS\"", "Bearer"];
    for (encrypted, cleartext_basic) in [(false, false), (false, true), (true, false)] {
        let policy = Policy {
            schemes: Schemes::ALL,
            encrypted,
            cleartext_basic,
        };
        let mut client = Client::with(Role::Server, policy);
        client.authenticator.set_credentials(None);
        match client.challenged(&fields) {
            Next::NeedCredentials(request) => assert_eq!(request.clear_text, !encrypted),
            Next::Denied(Denied::NoUsableScheme { offered }) => {
                assert_eq!(offered, ["Basic", "Bearer"]);
                assert!(!encrypted && !cleartext_basic);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_strongest_scheme_goes_first() {
    let all = ["Basic realm=\"WMS\", Negotiate", DIGEST, "NTLM, Bearer"];
    for (schemes, first) in [
        (&Scheme::ALL[..], leg_1("Negotiate")),
        (&[Scheme::Basic, Scheme::Ntlm][..], leg_1("NTLM")),
    ] {
        let mut client = Client::allowing(schemes);
        assert_eq!(client.push_setup(), Sent::Nothing);
        assert_eq!(client.challenged(&all), RESUBMIT);
        assert_eq!(client.push_setup(), first);
    }
    let mut client = Client::allowing(&[Scheme::Basic, Scheme::Digest]);
    assert_eq!(client.challenged(&all), RESUBMIT);
    assert_digest_answer(&client.answer("Digest"), "n1", 1);
}

#[test]
fn a_scheme_that_cannot_be_used_gives_way_to_the_next() {
    let mut client = Client::new();
    let all = ["Negotiate, NTLM", DIGEST];
    assert_eq!(client.challenged(&all), RESUBMIT);
    // A server that takes tickets only.
    assert_eq!(client.push_setup(), leg_1("Negotiate"));
    assert_eq!(client.challenged(&all), RESUBMIT);
    // One that answers with nonsense: the offers of before still hold.
    assert_eq!(client.push_setup(), leg_1("NTLM"));
    assert_eq!(client.challenged(&["NTLM TlRMTVNTUAACAAAA"]), RESUBMIT);
    assert_digest_answer(&client.answer("Digest"), "n1", 1);
    client.accepted();
    assert_eq!(client.authenticator.scheme(), Some(Scheme::Digest));
}

#[test]
fn a_question_names_a_scheme_that_may_be_used() {
    let mut client = Client::allowing(&[Scheme::Ntlm]);
    assert_eq!(client.challenged(&["Negotiate", "NTLM"]), RESUBMIT);
    client.shake_hands("NTLM");
    assert_eq!(
        client.challenged(&["Negotiate", "NTLM"]),
        offers(Some(USER), Scheme::Ntlm)
    );
}

/// A server that knows more than one hash offers Digest for each.
#[test]
fn an_offered_scheme_is_named_once() {
    let mut client = Client::allowing(&[Scheme::Ntlm]);
    let sha = DIGEST.replace("Digest", "digest") + ", algorithm=SHA-256";
    let fields = [
        DIGEST,
        "Bearer",
        &sha,
        "Basic realm=a, bearer, Basic realm=b",
    ];
    let denied = Denied::NoUsableScheme {
        offered: ["Digest", "Bearer", "Basic"].map(str::to_owned).into(),
    };
    assert_eq!(client.challenged(&fields), Next::Denied(denied));
}
