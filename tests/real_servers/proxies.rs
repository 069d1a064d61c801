// SPDX-License-Identifier: MPL-2.0

//! Proxies, with and without authentication.

use std::time::Duration;

use gst::prelude::*;

use crate::apache::Apache;
use crate::push::{
    AUDIO, AUDIO_VIDEO, PASSWORD, USER, WRONG, as_alice, assert_arrives, assert_refused, origin,
    patient_point, push_later, without_data,
};
use crate::rig::{Pipeline, Point};
use crate::squid::{Access, Nonces, Request, Squid};
use crate::tinyproxy::Tinyproxy;

/// 3.1.4.2.1: the Content-Length of a PushStart without a proxy.
const ENDLESS: &str = "2147483647";

const ALLOWED: &str = "allow-cleartext-auth=true";

/// Returns a pipeline that pushes through a proxy, as Alice.
fn through(proxy: &str, file: &str, location: &str, password: &str, properties: &str) -> Pipeline {
    let pipeline = Pipeline::file(file, location, &format!("proxy={proxy} {properties}"));
    pipeline.sink.set_property("proxy-id", USER);
    pipeline.sink.set_property("proxy-pw", password);
    pipeline
}

/// RFC 9112 3.2.2: requests to a proxy have the absolute form.
#[test]
fn squid_gets_the_absolute_url() {
    let point = patient_point();
    let squid = Squid::start(Access::Anonymous);
    let properties = format!("proxy={}", squid.url());
    let pipeline = Pipeline::file(AUDIO, &point.location(), &properties);
    assert_arrives(&pipeline, &point);
    let requests = squid.requests(2);
    let fields = |number: usize| {
        let request: &Request = &requests[number];
        (request.kind.as_str(), request.url.as_str())
    };
    let location = point.location();
    assert_eq!(fields(0), ("pushsetup", location.as_str()));
    assert_eq!(fields(1), ("pushstart", location.as_str()));
    assert_eq!(requests[0].connection, requests[1].connection);
    let seen = point.handle.requests();
    assert!(seen.iter().all(|request| request.field("via").is_some()));
}

/// 3.2.5.5: a server may close after the final `$E`. The proxy's 502 is then not the server's.
#[test]
fn a_close_at_the_end_is_no_failure_behind_squid() {
    let point = Point::new();
    let squid = Squid::start(Access::Anonymous);
    let properties = format!("proxy={}", squid.url());
    let pipeline = Pipeline::file(AUDIO, &point.location(), &properties);
    assert_arrives(&pipeline, &point);
    assert_eq!(squid.requests(2)[1].status, 502);
}

/// 3.1.4.2.1: behind a proxy, which its Via reveals, bodies are short. They are filled with `$F`, and the next one
/// continues without `$H`.
#[test]
fn bodies_through_squid_are_completed() {
    let point = patient_point();
    let squid = Squid::start(Access::Anonymous);
    let properties = format!("proxy={} content-length=10000", squid.url());
    let pipeline = Pipeline::file(AUDIO_VIDEO, &point.location(), &properties);
    let push = assert_arrives(&pipeline, &point);
    assert!(push.push_starts > 3, "{}", push.push_starts);
    assert!(push.filler_bytes > 0);
    assert_eq!(push.headers().count(), 1);
    let requests = squid.requests(push.push_starts as usize + 1);
    let full = |request: &Request| request.content_length == "10000";
    assert!(requests[1..].iter().all(full), "{requests:#?}");
}

/// 3.1.4.2.1: the size of such a body is based on the bit rate in the file header, if there is one.
#[test]
fn a_via_makes_bodies_finite() {
    for (file, finite) in [(AUDIO, true), (AUDIO_VIDEO, false)] {
        let point = patient_point();
        let squid = Squid::start(Access::Anonymous);
        let properties = format!("proxy={}", squid.url());
        let pipeline = Pipeline::file(file, &point.location(), &properties);
        assert_arrives(&pipeline, &point);
        let requests = squid.requests(2);
        assert_eq!(requests[1].content_length != ENDLESS, finite, "{file}");
    }
}

#[test]
fn basic_opens_squid() {
    let point = patient_point();
    let squid = Squid::start(Access::Basic);
    let pipeline = through(&squid.url(), AUDIO, &point.location(), PASSWORD, ALLOWED);
    assert_arrives(&pipeline, &point);
    let over = |requests: &[Request]| requests.iter().any(|request| request.kind == "pushstart");
    let requests = squid.requests_when(over);
    let [.., setup, start] = &requests[..] else {
        panic!("{requests:#?}");
    };
    assert_eq!((setup.kind.as_str(), setup.status), ("pushsetup", 204));
    assert_eq!(start.kind, "pushstart");
    assert!(
        [setup, start]
            .iter()
            .all(|request| request.authorization.starts_with("Basic%20"))
    );
    assert_not_passed_on(&point);
}

#[test]
fn digest_opens_squid() {
    let point = patient_point();
    let squid = Squid::start(Access::Digest(Nonces::LASTING));
    let pipeline = through(&squid.url(), AUDIO, &point.location(), PASSWORD, "");
    assert_arrives(&pipeline, &point);
    let requests = squid.requests(3);
    let fields = |number: usize| {
        let request: &Request = &requests[number];
        (
            request.kind.as_str(),
            request.status,
            request.authorization.get(..6),
        )
    };
    assert_eq!(fields(0), ("pushsetup", 407, None));
    assert_eq!(fields(1), ("pushsetup", 204, Some("Digest")));
    assert_eq!((fields(2).0, fields(2).2), ("pushstart", Some("Digest")));
    assert_not_passed_on(&point);
}

/// Asserts that the proxy's credentials do not reach the server.
#[track_caller]
fn assert_not_passed_on(point: &Point) {
    let requests = point.handle.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.field("proxy-authorization").is_none())
    );
}

/// RFC 7616 3.5: Squid sends the next nonce before one is used up, and refuses no request.
#[test]
fn the_next_nonce_of_squid_is_used() {
    let point = patient_point();
    let squid = Squid::start(Access::Digest(Nonces {
        requests: 3,
        ..Nonces::LASTING
    }));
    let properties = "content-length=10000";
    let pipeline = through(
        &squid.url(),
        AUDIO_VIDEO,
        &point.location(),
        PASSWORD,
        properties,
    );
    let push = assert_arrives(&pipeline, &point);
    let requests = squid.requests(push.push_starts as usize + 2);
    assert_eq!(requests.len(), push.push_starts as usize + 2);
    assert!(
        requests[1..].iter().all(|request| request.status != 407),
        "{requests:#?}"
    );
}

/// RFC 7616 3.3: `stale` means that the password was right. Here the nonce expires before PushStart.
#[test]
fn a_stale_nonce_of_squid_is_replaced() {
    let point = patient_point();
    let squid = Squid::start(Access::Digest(Nonces {
        seconds: 1,
        ..Nonces::LASTING
    }));
    let properties = format!("proxy={} proxy-id={USER} proxy-pw={PASSWORD}", squid.url());
    let pipeline = without_data(&point.location(), &properties);
    push_later(&pipeline, AUDIO, Duration::from_millis(2100));
    assert_eq!(point.ended().data_packets, 7);
    let requests = squid.requests(4);
    let refused = |request: &&Request| request.status == 407;
    assert_eq!(requests.iter().filter(refused).count(), 2, "{requests:#?}");
}

#[test]
fn a_wrong_digest_for_squid_is_tried_once() {
    assert_tried_once(Access::Digest(Nonces::LASTING), "");
}

/// `allow-cleartext-auth` is for proxies that support only Basic.
#[test]
fn squid_gets_no_basic_password_if_it_offers_digest() {
    assert_tried_once(Access::Digest(Nonces::LASTING), ALLOWED);
}

#[test]
fn a_wrong_password_for_squid_is_tried_once() {
    assert_tried_once(Access::Basic, ALLOWED);
}

#[track_caller]
fn assert_tried_once(access: Access, properties: &str) {
    let point = Point::new();
    let squid = Squid::start(access);
    let pipeline = through(&squid.url(), AUDIO, &point.location(), WRONG, properties);
    assert_refused(&pipeline, &point, 407);
    let requests = squid.requests(2);
    assert!(requests.iter().all(|request| request.status == 407));
    let guesses = requests
        .iter()
        .filter(|request| !request.authorization.is_empty());
    assert_eq!(guesses.count(), 1, "{requests:#?}");
}

#[test]
fn a_wrong_password_does_not_pass_squid() {
    let point = Point::new();
    let squid = Squid::start(Access::Basic);
    let pipeline = through(&squid.url(), AUDIO, &point.location(), WRONG, ALLOWED);
    assert_refused(&pipeline, &point, 407);
    assert!(squid.requests(2).len() <= 2);
}

#[test]
fn without_credentials_squid_is_not_passed() {
    let point = Point::new();
    let squid = Squid::start(Access::Basic);
    let properties = format!("{ALLOWED} proxy={}", squid.url());
    let pipeline = Pipeline::file(AUDIO, &point.location(), &properties);
    assert_refused(&pipeline, &point, 407);
    assert_eq!(squid.requests(1).len(), 1);
}

#[test]
fn squid_gets_no_password_in_clear_text_unless_allowed() {
    let point = Point::new();
    let squid = Squid::start(Access::Basic);
    let pipeline = through(&squid.url(), AUDIO, &point.location(), PASSWORD, "");
    assert_refused(&pipeline, &point, 407);
    let requests = squid.requests(1);
    let sent: Vec<_> = requests
        .iter()
        .map(|request| request.authorization.as_str())
        .collect();
    assert_eq!(sent, [""]);
}

/// Credentials for the server are not sent to the proxy, nor the other way round.
#[test]
fn a_proxy_and_a_server_each_get_their_own_credentials() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let squid = Squid::start(Access::Digest(Nonces::LASTING));
    let pipeline = through(
        &squid.url(),
        AUDIO,
        &apache.location("digest"),
        PASSWORD,
        "",
    );
    pipeline.sink.set_property("user-id", USER);
    pipeline.sink.set_property("user-pw", PASSWORD);
    assert_arrives(&pipeline, &point);
    let requests = squid.requests(4);
    let seen = |status: u16| {
        requests
            .iter()
            .filter(|request| request.status == status)
            .count()
    };
    assert_eq!((seen(407), seen(401)), (1, 1));
    let realm =
        |authorization: &str, realm: &str| authorization.contains(&format!("realm=\"{realm}\""));
    let at_the_server = apache.requests(3);
    assert!(
        at_the_server[1..]
            .iter()
            .all(|request| realm(&request.authorization, "apache"))
    );
    let unescaped = requests[3].authorization.replace("%22", "\"");
    assert!(realm(&unescaped, "squid"), "{unescaped}");
}

/// Squid binds a client's connection to one to the server when it sees NTLM.
#[test]
fn ntlm_works_through_squid() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let squid = Squid::start(Access::Anonymous);
    let properties = format!("auth-methods=ntlm proxy={}", squid.url());
    let pipeline = as_alice(AUDIO, &apache.location("ntlm"), PASSWORD, &properties);
    assert_arrives(&pipeline, &point);
}

/// tinyproxy makes servers close after the first request, without announcing it to the client. After the close is
/// noticed, PushStart uses another connection.
#[test]
fn tinyproxy_forwards_a_push() {
    for password in [None, Some(PASSWORD)] {
        let point = Point::new();
        let tinyproxy = Tinyproxy::start(password.is_some());
        let mut properties = format!("{ALLOWED} proxy={}", tinyproxy.url());
        if let Some(password) = password {
            properties += &format!(" proxy-id={USER} proxy-pw={password}");
        }
        let pipeline = without_data(&point.location(), &properties);
        push_later(&pipeline, AUDIO, Duration::from_millis(200));
        assert_eq!(point.ended().data_packets, 7);
    }
}

/// tinyproxy refuses a wrong password with 401, like a server.
#[test]
fn a_wrong_password_for_tinyproxy_is_an_error() {
    let point = Point::new();
    let tinyproxy = Tinyproxy::start(true);
    let pipeline = through(&tinyproxy.url(), AUDIO, &point.location(), WRONG, ALLOWED);
    assert_refused(&pipeline, &point, 401);
}

#[test]
fn tinyproxy_is_not_passed_without_credentials() {
    let point = Point::new();
    let tinyproxy = Tinyproxy::start(true);
    let properties = format!("{ALLOWED} proxy={}", tinyproxy.url());
    let pipeline = Pipeline::file(AUDIO, &point.location(), &properties);
    assert_refused(&pipeline, &point, 407);
}
