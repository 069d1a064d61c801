// SPDX-License-Identifier: MPL-2.0

//! Kerberos (RFC 4559), by MIT's KDC and mod_auth_gssapi.
//!
//! Libraries read the realm's configuration from the environment, which a process with threads should not change.
//! Therefore each push runs in another process of this test program.

use std::process::Command;

use gst::prelude::*;

use crate::apache::Apache;
use crate::daemon;
use crate::kdc::{Kdc, REALM, SilentKdc};
use crate::push::{AUDIO, PASSWORD, USER, WRONG, assert_refused, origin};
use crate::rig::{Pipeline, Point};

/// Environment variables of that process: location, user and password.
const LOCATION: &str = "WMSPUSH_TEST_LOCATION";
const USER_ID: &str = "WMSPUSH_TEST_USER_ID";
const USER_PW: &str = "WMSPUSH_TEST_USER_PW";

/// Starts a realm, and Apache in it: `/bound` authenticates connections, `/each` every request.
fn start(point: &Point) -> (Kdc, Apache) {
    let kdc = Kdc::start();
    let apache = Apache::start(&origin(point), |_, command| {
        kdc.invite(command);
        let location = |path: &str, bound: &str| {
            format!(
                "<Location /{path}>\nAuthName krb\nAuthType GSSAPI\nGssapiAllowedMech krb5\nGssapiBasicAuth Off\n\
                 GssapiConnectionBound {bound}\nGssapiCredStore keytab:{}\nRequire valid-user\n</Location>\n",
                kdc.keytab()
            )
        };
        location("bound", "On") + &location("each", "Off")
    });
    (kdc, apache)
}

/// Returns this program, to run one of the tests below in the realm.
fn again(test: &str, kdc: &Kdc, apache: &Apache, path: &str) -> Command {
    let mut command = anywhere(test, apache, path);
    kdc.invite(&mut command);
    command
}

fn anywhere(test: &str, apache: &Apache, path: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]);
    command.env(
        LOCATION,
        format!("http://localhost:{}/{path}", apache.port()),
    );
    command.env("KRB5CCNAME", "FILE:/nonexistent");
    command
}

/// Returns the pipeline of that process; `None` in a regular run.
fn pipeline() -> Option<Pipeline> {
    let location = std::env::var(LOCATION).ok()?;
    let pipeline = Pipeline::file(AUDIO, &location, "");
    for (property, variable) in [("user-id", USER_ID), ("user-pw", USER_PW)] {
        if let Ok(value) = std::env::var(variable) {
            pipeline.sink.set_property(property, value);
        }
    }
    Some(pipeline)
}

/// Does nothing unless another test starts it.
#[test]
fn push_that_arrives() {
    let Some(pipeline) = pipeline() else { return };
    let messages = pipeline.run();
    assert!(
        !messages.iter().any(|line| line.starts_with("ERROR")),
        "{messages:#?}"
    );
}

/// Does nothing unless another test starts it.
#[test]
fn push_that_is_refused() {
    let Some(pipeline) = pipeline() else { return };
    // Nothing must reach this point.
    let point = Point::new();
    assert_refused(&pipeline, &point, 401);
}

/// SPNEGO in one round trip.
#[test]
fn a_ticket_opens() {
    let point = Point::new();
    let (kdc, apache) = start(&point);
    let cache = kdc.log_in();
    daemon::output(
        again("kerberos::push_that_arrives", &kdc, &apache, "bound").env("KRB5CCNAME", cache),
    );
    assert_eq!(point.ended().data_packets, 7);
    let requests = apache.requests(3);
    let statuses: Vec<_> = requests.iter().map(|request| request.status).collect();
    assert_eq!(statuses[..2], [401, 204]);
    assert!(requests[1].authorization.starts_with("Negotiate YII"));
}

/// RFC 4559 section 5: by default, each request is authenticated separately.
#[test]
fn every_request_carries_a_ticket() {
    let point = Point::new();
    let (kdc, apache) = start(&point);
    let cache = kdc.log_in();
    let mut push = again("kerberos::push_that_arrives", &kdc, &apache, "each");
    daemon::output(push.env("KRB5CCNAME", cache));
    assert_eq!(point.ended().data_packets, 7);
}

#[test]
fn a_password_gets_a_ticket() {
    for user in [USER.to_owned(), format!("{USER}@{REALM}")] {
        let point = Point::new();
        let (kdc, apache) = start(&point);
        let mut push = again("kerberos::push_that_arrives", &kdc, &apache, "bound");
        daemon::output(push.env(USER_ID, user).env(USER_PW, PASSWORD));
        assert_eq!(point.ended().data_packets, 7);
    }
}

#[test]
fn without_a_ticket_or_with_a_wrong_password_nothing_opens() {
    let point = Point::new();
    let (kdc, apache) = start(&point);
    daemon::output(&mut again(
        "kerberos::push_that_is_refused",
        &kdc,
        &apache,
        "bound",
    ));
    let mut push = again("kerberos::push_that_is_refused", &kdc, &apache, "bound");
    daemon::output(push.env(USER_ID, USER).env(USER_PW, WRONG));
    assert!(point.handle.requests().is_empty());
}

/// The `eos-timeout` of that push begins before the login does.
#[test]
fn a_silent_kdc_does_not_hold_up_a_login_by_ntlm() {
    let point = Point::new();
    let apache = Apache::in_front_of(&origin(&point));
    let kdc = SilentKdc::start();
    let mut push = anywhere("kerberos::push_that_arrives", &apache, "ntlm");
    kdc.invite(&mut push);
    daemon::output(push.env(USER_ID, USER).env(USER_PW, PASSWORD));
    assert_eq!(point.ended().data_packets, 7);
}
