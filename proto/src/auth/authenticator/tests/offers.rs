// SPDX-License-Identifier: MPL-2.0

//! The offered schemes, and the client's choice among them.

use super::*;

/// Over an unencrypted connection anyone on the path could read the password.
#[test]
fn basic_needs_encryption_or_permission() {
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
fn the_strongest_scheme_is_tried_first() {
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
fn an_unusable_scheme_is_followed_by_the_next() {
    let mut client = Client::new();
    let all = ["Negotiate, NTLM", DIGEST];
    assert_eq!(client.challenged(&all), RESUBMIT);
    // This server accepts tickets only.
    assert_eq!(client.push_setup(), leg_1("Negotiate"));
    assert_eq!(client.challenged(&all), RESUBMIT);
    // A malformed challenge leaves the previous offers valid.
    assert_eq!(client.push_setup(), leg_1("NTLM"));
    assert_eq!(client.challenged(&["NTLM TlRMTVNTUAACAAAA"]), RESUBMIT);
    assert_digest_answer(&client.answer("Digest"), "n1", 1);
    client.accepted();
    assert_eq!(client.authenticator.scheme(), Some(Scheme::Digest));
}

#[test]
fn a_credential_request_names_a_permitted_scheme() {
    let mut client = Client::allowing(&[Scheme::Ntlm]);
    assert_eq!(client.challenged(&["Negotiate", "NTLM"]), RESUBMIT);
    client.shake_hands("NTLM");
    assert_eq!(
        client.challenged(&["Negotiate", "NTLM"]),
        offers(Some(USER), Scheme::Ntlm)
    );
}

/// A server that supports several hashes offers Digest for each.
#[test]
fn a_repeated_offer_is_named_once() {
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
