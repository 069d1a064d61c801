// SPDX-License-Identifier: MPL-2.0

//! `https` locations, with stunnel in front of the embedded publishing point.
#![cfg(all(feature = "publishing-point", feature = "tls", unix))]

use gst::prelude::*;

#[path = "../element/rig.rs"]
#[allow(dead_code, reason = "not every test program needs all of it")]
mod rig;
mod stunnel;

use rig::{Pipeline, Point, text};
use stunnel::{Certificates, Tunnel};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";

#[test]
fn a_push_goes_over_tls_to_a_server_that_is_trusted() {
    let (point, certificates) = (Point::new(), Certificates::new("trusted"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let properties = format!("ssl-ca-file={}", certificates.authority());
    let pipeline = Pipeline::file(AUDIO, &tunnel.location(), &properties);
    let messages = pipeline.run();
    assert!(
        !messages.iter().any(|line| line.starts_with("ERROR")),
        "{messages:#?}"
    );
    assert_eq!(point.ended().data_packets, 7);
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert_eq!(
        stats.get::<u32>("connects"),
        Ok(1),
        "PushSetup and PushStart share a connection"
    );
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused() {
    let (point, certificates) = (Point::new(), Certificates::new("unknown"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let (details, messages) = Pipeline::file(AUDIO, &tunnel.location(), "").fail();
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/OpenWrite tls tls NS_E_PUSH_CANNOTCONNECT"
    );
    assert!(text(&details, "hint").contains("ssl-ca-file"));
    assert_eq!(point.handle.requests().len(), 0);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let (point, certificates) = (Point::new(), Certificates::new("name"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let location = tunnel.location().replace("localhost", "127.0.0.1");
    let properties = format!("ssl-ca-file={}", certificates.authority());
    let (_, messages) = Pipeline::file(AUDIO, &location, &properties).fail();
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/OpenWrite tls tls NS_E_PUSH_CANNOTCONNECT"
    );
}

#[test]
fn anybody_may_be_trusted_on_demand() {
    let (point, certificates) = (Point::new(), Certificates::new("anybody"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let location = tunnel.location().replace("localhost", "127.0.0.1");
    Pipeline::file(AUDIO, &location, "ssl-strict=false").run();
    assert_eq!(point.ended().data_packets, 7);
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let point = Point::new();
    let location = point.location().replace("http:", "https:");
    let (_, messages) = Pipeline::file(AUDIO, &location, "").fail();
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/OpenWrite tls tls NS_E_PUSH_CANNOTCONNECT"
    );
}

#[test]
fn an_unusable_file_of_authorities_is_a_settings_error() {
    for path in ["/nonexistent.pem", "/dev/null"] {
        let properties = format!("ssl-ca-file={path}");
        let (_, messages) = Pipeline::file(AUDIO, "https://localhost/live", &properties).fail();
        assert_eq!(
            messages.last().unwrap(),
            "ERROR RESOURCE/Settings setup settings E_INVALIDARG"
        );
    }
}
