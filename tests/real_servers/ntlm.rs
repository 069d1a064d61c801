// SPDX-License-Identifier: MPL-2.0

//! NTLM (MS-NTHT, MS-NLMP), which is bound to the connection, by mod_auth_gssapi and gss-ntlmssp.

use std::collections::HashMap;
use std::thread;

use gst::prelude::*;

use crate::apache::{Apache, Request};
use crate::push::{
    AUDIO, DOMAIN, PASSWORD, USER, WRONG, as_alice, assert_arrives, assert_refused, origin,
};
use crate::rig::{Pipeline, Point};

/// Pushes at a time in the test with many.
const PUSHERS: usize = 8;

/// Handshakes in the test with many.
const HANDSHAKES: usize = 1000;

/// The bytes in base64 that every NTLM message begins with: "NTLMSSP\0" and its type.
const NEGOTIATE: &str = "TlRMTVNTUAABAAAA";
const AUTHENTICATE: &str = "TlRMTVNTUAADAAAA";

/// MS-WMHTTP 4.8: PushSetup, an empty one with type 1, one with type 3, and PushStart without authentication.
#[track_caller]
fn assert_handshake(requests: &[Request], scheme: &str) {
    let summary: Vec<_> = requests
        .iter()
        .map(|request| {
            let message = request.authorization.split_once(' ');
            let message = message.map(|(scheme, message)| (scheme, message.get(..16).unwrap()));
            (request.kind.as_str(), request.status == 401, message)
        })
        .collect();
    assert_eq!(
        summary,
        [
            ("pushsetup", true, None),
            ("pushsetup", true, Some((scheme, NEGOTIATE))),
            ("pushsetup", false, Some((scheme, AUTHENTICATE))),
            ("pushstart", false, None),
        ]
    );
    assert_eq!(requests[1].content_length, "0");
    assert!(
        requests
            .iter()
            .all(|request| request.connection == requests[0].connection)
    );
}

#[test]
fn the_right_password_opens_by_either_name() {
    for (methods, scheme) in [
        ("ntlm", "NTLM"),
        ("negotiate", "Negotiate"),
        ("negotiate+ntlm+digest+basic", ""),
    ] {
        let point = Point::new();
        let apache = Apache::in_front_of(&origin(&point));
        let properties = format!("auth-methods={methods}");
        let pipeline = as_alice(AUDIO, &apache.location("ntlm"), PASSWORD, &properties);
        assert_arrives(&pipeline, &point);
        let requests = apache.requests(4);
        let used = requests[2].authorization.split(' ').next().unwrap();
        assert!(scheme.is_empty() || scheme == used, "{used}");
        assert_handshake(&requests, used);
    }
}

#[test]
fn a_domain_is_understood() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = as_alice(AUDIO, &apache.location("ntlm"), PASSWORD, "");
    pipeline
        .sink
        .set_property("user-id", format!(r"{DOMAIN}\{USER}"));
    assert_arrives(&pipeline, &point);
}

#[test]
fn a_wrong_password_is_tried_once() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = as_alice(AUDIO, &apache.location("ntlm"), WRONG, "auth-methods=ntlm");
    assert_refused(&pipeline, &point, 401);
    let statuses: Vec<_> = apache
        .requests(3)
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(statuses, [401, 401, 401]);
}

#[test]
fn without_credentials_nothing_is_tried() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = Pipeline::file(AUDIO, &apache.location("ntlm"), "");
    assert_refused(&pipeline, &point, 401);
    // With the feature `kerberos`, the element looks for a ticket in between.
    let requests = apache.requests(1);
    assert!(requests.len() <= 2, "{requests:#?}");
    let silent = |request: &Request| request.authorization.is_empty();
    assert!(requests.iter().all(silent));
}

/// PushStart must always use the connection on which PushSetup was authenticated.
#[test]
fn every_handshake_stays_on_its_connection() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    thread::scope(|scope| {
        for pusher in 0..PUSHERS {
            // A publishing point accepts one push at a time.
            let location = apache.location(&format!("ntlm/{pusher}"));
            scope.spawn(move || {
                for _ in 0..HANDSHAKES / PUSHERS {
                    let pipeline = as_alice(AUDIO, &location, PASSWORD, "auth-methods=ntlm");
                    pipeline.play();
                    pipeline.messages_until("EOS");
                }
            });
        }
    });
    let mut connections: HashMap<u16, Vec<Request>> = HashMap::new();
    for request in apache.requests(HANDSHAKES * 4) {
        connections
            .entry(request.connection)
            .or_default()
            .push(request);
    }
    assert_eq!(
        connections.values().map(Vec::len).sum::<usize>(),
        HANDSHAKES * 4
    );
    for requests in connections.values() {
        // The kernel may reuse a port.
        for handshake in requests.chunks(4) {
            assert_handshake(handshake, "NTLM");
        }
    }
}
