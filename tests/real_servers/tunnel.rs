// SPDX-License-Identifier: MPL-2.0

//! `https` locations behind Squid, which forwards encrypted data and authenticates CONNECT.

use gst::prelude::*;

use crate::push::{AUDIO, PASSWORD, USER, WRONG, assert_arrives, assert_refused, patient_point};
use crate::rig::{Pipeline, Point};
use crate::squid::{Access, Nonces, Squid};
use crate::stunnel::{Certificates, Tunnel};

/// A push to a publishing point behind stunnel and Squid.
struct Push {
    point: Point,
    squid: Squid,
    tunnel: Tunnel,
    pipeline: Pipeline,
}

impl Push {
    fn new(name: &str, access: Access, password: &str, properties: &str) -> Self {
        let point = patient_point();
        let certificates = Certificates::new(name);
        let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
        let squid = Squid::start(access);
        let properties = format!(
            "proxy={} ssl-ca-file={} {properties}",
            squid.url(),
            certificates.authority()
        );
        let pipeline = Pipeline::file(AUDIO, &tunnel.location(), &properties);
        pipeline.sink.set_property("proxy-id", USER);
        pipeline.sink.set_property("proxy-pw", password);
        Self {
            point,
            squid,
            tunnel,
            pipeline,
        }
    }

    /// Returns Squid's responses to CONNECT, of which there are `count`.
    fn connects(self, count: usize) -> Vec<String> {
        let _ = self.pipeline.pipeline.set_state(gst::State::Null);
        self.squid.tunnels(&self.tunnel.authority(), count)
    }

    /// Asserts that the push is received. `answers` are Squid's responses to CONNECT.
    fn assert_arrives(self, answers: &[&str]) {
        assert_arrives(&self.pipeline, &self.point);
        let requests = self.point.handle.requests();
        for field in ["proxy-authorization", "via"] {
            assert!(
                requests
                    .iter()
                    .all(|request| request.field(field).is_none())
            );
        }
        assert_eq!(self.connects(answers.len()), answers);
    }
}

#[test]
fn squid_passes_a_tunnel() {
    Push::new("tunnel", Access::Anonymous, "", "").assert_arrives(&["200"]);
}

#[test]
fn basic_opens_a_tunnel() {
    let allowed = "allow-cleartext-auth=true";
    Push::new("basic", Access::Basic, PASSWORD, allowed).assert_arrives(&["407", "200"]);
}

#[test]
fn digest_opens_a_tunnel() {
    Push::new("digest", Access::Digest(Nonces::LASTING), PASSWORD, "")
        .assert_arrives(&["407", "200"]);
}

#[test]
fn a_wrong_password_opens_no_tunnel() {
    let allowed = "allow-cleartext-auth=true";
    let push = Push::new("wrong", Access::Basic, WRONG, allowed);
    assert_refused(&push.pipeline, &push.point, 407);
    assert_eq!(push.connects(2), ["407", "407"]);
}

/// Basic in clear text needs permission.
#[test]
fn a_tunnel_gets_no_password_in_clear_text() {
    let push = Push::new("unasked", Access::Basic, PASSWORD, "");
    assert_refused(&push.pipeline, &push.point, 407);
    assert_eq!(push.connects(1), ["407"]);
}
