// SPDX-License-Identifier: MPL-2.0

//! Basic (RFC 7617), which sends the password readably.

use crate::apache::{Apache, Request};
use crate::push::{AUDIO, PASSWORD, WRONG, as_alice, assert_arrives, assert_refused, origin};
use crate::rig::{Pipeline, Point};

const ALLOWED: &str = "allow-cleartext-auth=true";

/// `alice:0pen-Sesame` and `alice:0pen-Barley`
const ALICE: &str = "Basic YWxpY2U6MHBlbi1TZXNhbWU=";
const MISTAKEN: &str = "Basic YWxpY2U6MHBlbi1CYXJsZXk=";

fn summary(requests: &[Request]) -> Vec<(&str, u16, &str)> {
    requests
        .iter()
        .map(|request| {
            (
                request.kind.as_str(),
                request.status,
                request.authorization.as_str(),
            )
        })
        .collect()
}

#[test]
fn the_right_password_opens() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = as_alice(AUDIO, &apache.location("basic"), PASSWORD, ALLOWED);
    assert_arrives(&pipeline, &point);
    let requests = apache.requests(3);
    assert_eq!(
        summary(&requests)[..2],
        [("pushsetup", 401, ""), ("pushsetup", 204, ALICE)]
    );
    assert_eq!(
        (
            requests[2].kind.as_str(),
            requests[2].authorization.as_str()
        ),
        ("pushstart", ALICE)
    );
    assert_eq!(requests.len(), 3);
}

#[test]
fn a_wrong_password_is_tried_once() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = as_alice(AUDIO, &apache.location("basic"), WRONG, ALLOWED);
    assert_refused(&pipeline, &point, 401);
    assert_eq!(
        summary(&apache.requests(2)),
        [("pushsetup", 401, ""), ("pushsetup", 401, MISTAKEN)]
    );
}

#[test]
fn without_credentials_nothing_is_tried() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = Pipeline::file(AUDIO, &apache.location("basic"), ALLOWED);
    assert_refused(&pipeline, &point, 401);
    assert_eq!(summary(&apache.requests(1)), [("pushsetup", 401, "")]);
}

#[test]
fn no_password_is_sent_in_clear_text_unless_allowed() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = as_alice(AUDIO, &apache.location("basic"), PASSWORD, "");
    assert_refused(&pipeline, &point, 401);
    assert_eq!(summary(&apache.requests(1)), [("pushsetup", 401, "")]);
}

#[test]
fn a_disabled_scheme_is_not_used() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let properties = "allow-cleartext-auth=true auth-methods=negotiate+ntlm+digest";
    let pipeline = as_alice(AUDIO, &apache.location("basic"), PASSWORD, properties);
    assert_refused(&pipeline, &point, 401);
    assert_eq!(summary(&apache.requests(1)), [("pushsetup", 401, "")]);
}
