// SPDX-License-Identifier: MPL-2.0

//! Digest (RFC 7616): Apache's, which knows MD5, and lighttpd's, which knows SHA-256.

use std::thread;
use std::time::Duration;

use gst::prelude::*;
use publishing_point::Push;

use crate::apache::{Apache, LIFETIME};
use crate::lighttpd::Lighttpd;
use crate::push::{
    AUDIO, AUDIO_VIDEO, PASSWORD, USER, WRONG, as_alice, assert_arrives, assert_refused, origin,
    patient_point,
};
use crate::rig::{LONG, Pipeline, Point};

/// A parameter of an Authorization field, without quotes.
fn parameter<'a>(authorization: &'a str, name: &str) -> Option<&'a str> {
    let parameters = authorization.strip_prefix("Digest ")?.split(',');
    let mut pairs = parameters.filter_map(|parameter| parameter.trim().split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(value.trim_matches('"'))
}

/// RFC 7616 3.4: PushStart reuses the nonce of PushSetup, and counts.
#[test]
fn the_right_password_opens() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = as_alice(AUDIO, &apache.location("digest"), PASSWORD, "");
    assert_arrives(&pipeline, &point);
    let requests = apache.requests(3);
    assert_eq!(requests.len(), 3);
    assert_eq!(
        (requests[0].status, requests[0].authorization.as_str()),
        (401, "")
    );
    assert_eq!(
        (requests[1].kind.as_str(), requests[1].status),
        ("pushsetup", 204)
    );
    assert_eq!(requests[2].kind, "pushstart");
    let [setup, start] = [&requests[1].authorization, &requests[2].authorization];
    assert_eq!(parameter(setup, "username"), Some(USER));
    assert_eq!(parameter(setup, "nonce"), parameter(start, "nonce"));
    assert_eq!(parameter(setup, "nc"), Some("00000001"));
    assert_eq!(parameter(start, "nc"), Some("00000002"));
    let [first, second] =
        [setup, start].map(|authorization| parameter(authorization, "response").unwrap());
    assert_ne!(first, second);
}

#[test]
fn a_wrong_password_is_tried_once() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = as_alice(AUDIO, &apache.location("digest"), WRONG, "");
    assert_refused(&pipeline, &point, 401);
    let statuses: Vec<_> = apache
        .requests(2)
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(statuses, [401, 401]);
}

#[test]
fn without_credentials_nothing_is_tried() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = Pipeline::file(AUDIO, &apache.location("digest"), "");
    assert_refused(&pipeline, &point, 401);
    assert_eq!(apache.requests(1).len(), 1);
}

/// Every algorithm that lighttpd offers, alone and beside another.
#[test]
fn md5_and_sha256_open() {
    for path in ["md5", "sha256", "both"] {
        let point = patient_point();
        let lighttpd = Lighttpd::in_front_of(&origin(&point));
        let pipeline = as_alice(AUDIO_VIDEO, &lighttpd.location(path), PASSWORD, "");
        assert_arrives(&pipeline, &point);
        let requests = point.handle.requests();
        let algorithm = |number: usize| {
            let authorization = requests[number].field("authorization").unwrap();
            parameter(authorization, "algorithm").unwrap().to_owned()
        };
        let expected = if path == "md5" { "MD5" } else { "SHA-256" };
        assert_eq!(
            (algorithm(0), algorithm(1)),
            (expected.to_owned(), expected.to_owned())
        );
    }
}

#[test]
fn a_wrong_password_does_not_open_with_sha256() {
    let point = patient_point();
    let lighttpd = Lighttpd::in_front_of(&origin(&point));
    for path in ["sha256", "both"] {
        let pipeline = as_alice(AUDIO, &lighttpd.location(path), WRONG, "");
        assert_refused(&pipeline, &point, 401);
    }
}

/// RFC 7616 3.3: `stale` means that the password was right. Here the nonce expires before the element pushes again.
#[test]
fn a_stale_nonce_is_replaced() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let pipeline = as_alice(AUDIO, &apache.location("stale"), PASSWORD, "");
    assert_arrives(&pipeline, &point);
    pipeline.pipeline.set_state(gst::State::Ready).unwrap();
    // The test needs real time to pass.
    thread::sleep(LIFETIME + Duration::from_millis(1100));
    let messages = pipeline.run();
    assert!(
        !messages.iter().any(|line| line.starts_with("ERROR")),
        "{messages:#?}"
    );
    let both = |pushes: &[&Push]| pushes.len() == 2 && pushes.iter().all(|push| push.over);
    let pushes = point.handle.wait_for_pushes(both, LONG).unwrap();
    assert!(pushes.iter().all(|push| push.data_packets == 7));
    let requests = apache.requests(6);
    let nonces =
        [1, requests.len() - 1].map(|number| parameter(&requests[number].authorization, "nonce"));
    assert_ne!(nonces[0], nonces[1]);
}
