// SPDX-License-Identifier: MPL-2.0

//! 5.1 Security Considerations for Implementers: secrets that no log may contain.

use super::*;

/// Collects the debug output of `client` and of its outputs.
fn shown(client: &mut PushSession, shown: &mut Vec<String>) {
    shown.push(format!("{client:?} {client:#?}"));
    while let Some(transmit) = client.poll_transmit() {
        shown.push(format!("{transmit:?}"));
        match transmit {
            Transmit::Request(request) => shown.push(format!("{request:?} {:?}", request.headers)),
            Transmit::Compute(role, step) => client.computed(role, step.run()),
            Transmit::Body(_) | Transmit::Close(_) => {}
        }
    }
    while let Some(event) = client.poll_event() {
        shown.push(format!("{event:?}"));
    }
}

/// 5.1 Security Considerations for Implementers: C-252: nothing that may be logged contains the password, the push-id
/// or values derived from them.
#[test]
fn debug_output_has_no_secrets() {
    let access = AccessConfig {
        cleartext_basic: true,
        credentials: Some(Credentials::new("alice", PASSWORD)),
        ..proxied()
    };
    let config = SessionConfig { access, ..config() };
    let mut lines = vec![format!("{config:?}")];
    let mut client = PushSession::new(config, Fixed);
    client.configure_server();
    shown(&mut client, &mut lines);
    let proxy = r#"Digest realm="P", nonce="p1", qop="auth""#;
    for answer in [
        format!("{}\nSet-Cookie: push-id=4711", proxy_unauthorized(proxy)),
        format!("{}\nSet-Cookie: push-id=4712", unauthorized(&[BASIC])),
        redirect(302, "http://mallory:gu3ss@media:8080/live"),
        "HTTP/1.1 204 No Content\nServer: Cougar/9.5\nSet-Cookie: push-id=4713\nSet-Cookie: a=x7y"
            .to_owned(),
    ] {
        let answer = response(&answer);
        lines.push(format!("{answer:?}"));
        client.handle_response(&answer).unwrap();
        shown(&mut client, &mut lines);
    }
    let _ = client.start_streaming(header());
    shown(&mut client, &mut lines);
    client
        .handle_response(&response(&unauthorized(&[BASIC])))
        .unwrap();
    shown(&mut client, &mut lines);
    let wrong = response(&unauthorized(&[BASIC]));
    client.handle_response(&wrong).unwrap();
    shown(&mut client, &mut lines);
    let error = client.provide(Role::Server, Some(Credentials::new("alice", PASSWORD)));
    let error = error.unwrap_err();
    lines.push(format!("{error:?} {error}"));
    let lines = lines.join("\n");
    assert!(lines.contains("Authenticating") && lines.contains("proxy-authorization"));
    assert!(lines.contains("CredentialsWanted"));
    assert_no_secrets(&lines);
}

fn assert_no_secrets(lines: &str) {
    let basic = BASE64_STANDARD.encode(format!("alice:{PASSWORD}"));
    let assigned = ["4711", "4712", "4713", "x7y", "gu3ss"];
    let answers = [PASSWORD, &basic, "cnonce", "response="];
    for secret in assigned.iter().chain(&answers) {
        assert!(!lines.contains(secret), "{secret} in {lines}");
    }
}

/// 5.1 Security Considerations for Implementers: C-252: the same holds for the answers that open a tunnel.
#[test]
fn debug_output_has_no_secrets_of_a_tunnel() {
    let access = AccessConfig {
        cleartext_basic: true,
        ..proxied()
    };
    let config = SessionConfig {
        url: url("https://media/live"),
        access,
        ..config()
    };
    let basic = BASE64_STANDARD.encode(format!("bob:{PASSWORD}"));
    for challenge in [BASIC, DIGEST] {
        let mut lines = Vec::new();
        let mut client = PushSession::new(config.clone(), Fixed);
        client.configure_server();
        shown(&mut client, &mut lines);
        for answer in [proxy_unauthorized(challenge), "HTTP/1.1 200 OK".to_owned()] {
            client.handle_response(&response(&answer)).unwrap();
            shown(&mut client, &mut lines);
        }
        let lines = lines.join("\n");
        assert!(lines.contains("proxy-authorization") && lines.contains("PushSetup"));
        for secret in [PASSWORD, &basic, "cnonce", "response="] {
            assert!(!lines.contains(secret), "{secret} in {lines}");
        }
    }
}
