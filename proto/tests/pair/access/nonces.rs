// SPDX-License-Identifier: MPL-2.0

//! Nonces that expire on every connection, for the whole length of a push.

use super::*;

/// Connections of a month, one every two hours.
const MONTH: u32 = 30 * 12;

/// Returns a challenge with this nonce. `flag` is the `stale` parameter, which some servers omit.
fn expired(role: Role, nonce: u32, flag: &str) -> String {
    let field = format!(r#"Digest realm="WMS", nonce="{nonce}", qop="auth"{flag}"#);
    match role {
        Role::Server => unauthorized(&[&field]),
        Role::Proxy => proxy_unauthorized(&field),
    }
}

fn assert_nonce(request: &Request, role: Role, nonce: u32) {
    let name = match role {
        Role::Server => "authorization",
        Role::Proxy => "proxy-authorization",
    };
    assert_digest(request, name, &[&format!(r#"nonce="{nonce}""#)]);
}

/// Returns a session that has answered nonce 0 of `role`, and streams.
fn streaming(role: Role, flag: &str) -> Client {
    let (mut client, _) = Client::new(proxied());
    client.answer(&expired(role, 0, flag));
    assert_nonce(&client.push_setup(), role, 0);
    client.accepted();
    assert_nonce(&client.start(), role, 0);
    client
}

const ROLES: [(Role, &str); 4] = [
    (Role::Server, ", stale=true"),
    (Role::Server, ""),
    (Role::Proxy, ", stale=true"),
    (Role::Proxy, ""),
];

/// 3.2.7.1 TCP Connection Is Disconnected, 3.1.5.2 Receiving a PushStart Response: C-231, C-236: a resumed session gets
/// no response that could confirm its nonce.
#[test]
fn a_nonce_may_expire_at_every_resumption() {
    for (role, flag) in ROLES {
        let mut client = streaming(role, flag);
        for nonce in 1..MONTH {
            client.data();
            client.sent();
            client.0.connection_lost();
            assert!(client.0.resume(Some(header())));
            assert_nonce(&client.push_start().0, role, nonce - 1);
            client.answer(&expired(role, nonce, flag));
            assert_nonce(&client.push_start().0, role, nonce);
            client.events();
        }
    }
}

/// 3.1.4.1 Request to Configure the Server: C-208, C-210: each loss is followed by a new session.
#[test]
fn a_nonce_may_expire_at_every_restart() {
    for (role, flag) in ROLES {
        let mut client = streaming(role, flag);
        for nonce in (1..MONTH).step_by(2) {
            client.0.connection_lost();
            client.0.restart(Some(header()));
            assert_nonce(&client.push_setup(), role, nonce - 1);
            client.answer(&expired(role, nonce, flag));
            assert_nonce(&client.push_setup(), role, nonce);
            client.accepted();
            // The connection is lost before PushStart is sent, which then needs one more connection.
            client.0.connection_lost();
            assert_nonce(&client.push_start().0, role, nonce);
            client.answer(&expired(role, nonce + 1, flag));
            assert_nonce(&client.push_start().0, role, nonce + 1);
            client.events();
        }
    }
}

/// C-208: the client gives up on a server that calls every nonce stale, whenever it closes the connection.
#[test]
fn endless_stale_nonces_end_the_session() {
    for (role, closes) in [
        (Role::Server, false),
        (Role::Server, true),
        (Role::Proxy, false),
        (Role::Proxy, true),
    ] {
        let mut client = streaming(role, "");
        let mut nonce = 0;
        let error = loop {
            nonce += 1;
            assert!(nonce < 20, "no end");
            let answer = response(&expired(role, nonce, ", stale=true"));
            match client.0.handle_response(&answer) {
                Ok(()) if closes => client.0.connection_lost(),
                Ok(()) => {}
                Err(error) => break error,
            }
            client.sent();
        };
        assert!(matches!(error, Error::Denied { .. }), "{error:?}");
        client.assert_over();
    }
}

/// C-208: a server and a proxy that challenge in turns are given up as well.
#[test]
fn alternating_challenges_end_the_session() {
    let mut client = streaming(Role::Server, "");
    for nonce in 1.. {
        assert!(nonce < 50, "no end");
        let role = [Role::Server, Role::Proxy][nonce as usize % 2];
        let answer = response(&expired(role, nonce, ", stale=true"));
        if client.0.handle_response(&answer).is_err() {
            break;
        }
        client.0.connection_lost();
        client.sent();
    }
    client.assert_over();
}
