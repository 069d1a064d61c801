// SPDX-License-Identifier: MPL-2.0

//! `https` locations, with stunnel in front of the embedded publishing point.
#![cfg(all(feature = "tls", unix))]

use std::io::{Read, Write};
use std::net::TcpListener;

use gst::prelude::*;
use gstwmspush::wmhttp::server::Received;
use publishing_point::{Fault, MidBody, Settings, When};

#[path = "../element/rig.rs"]
#[allow(dead_code, reason = "not every test program needs all of it")]
mod rig;
mod stunnel;

use rig::{LONG, Pipeline, Point, fixture, text};
use stunnel::{Certificates, Tunnel};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";

#[test]
fn a_trusted_server_gets_a_push_over_tls() {
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
fn an_untrusted_server_is_refused() {
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
fn without_strict_tls_any_server_is_accepted() {
    let (point, certificates) = (Point::new(), Certificates::new("not-strict"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let location = tunnel.location().replace("localhost", "127.0.0.1");
    Pipeline::file(AUDIO, &location, "ssl-strict=false").run();
    assert_eq!(point.ended().data_packets, 7);
}

#[test]
fn a_server_without_tls_is_named() {
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

/// 3.1.5.1: after a redirection to TLS, the client closes the first connection and pushes over the second. It follows
/// no redirection from TLS to plain HTTP.
#[test]
fn a_redirection_to_tls_is_followed_but_not_from_it() {
    let redirecting = |location: String| {
        let redirect = Fault::Redirect {
            status: 302,
            location,
        };
        Point::with(Settings {
            faults: vec![(When::Always, redirect)],
            ..Settings::default()
        })
    };
    let certificates = Certificates::new("redirected");
    let properties = format!("ssl-ca-file={}", certificates.authority());
    let second = Point::new();
    let tunnel = Tunnel::new(&certificates, second.handle.local_addr());
    let first = redirecting(tunnel.location());
    let pipeline = Pipeline::file(AUDIO, &first.location(), &properties);
    pipeline.run();
    assert_eq!(first.handle.requests().len(), 1);
    assert_eq!(second.ended().data_packets, 7);
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u32>("connects"), Ok(2));
    let second = Point::new();
    let first = redirecting(second.location());
    let tunnel = Tunnel::new(&certificates, first.handle.local_addr());
    let pipeline = Pipeline::file(AUDIO, &tunnel.location(), &properties);
    let (details, _) = pipeline.fail();
    assert_eq!(details.get::<&str>("reason"), Ok("redirection"));
    assert_eq!(first.handle.requests().len(), 1);
    assert!(second.handle.requests().is_empty());
}

/// The connection to the redirecting server is closed at once, not at the end of the push: the second server stays
/// silent.
#[test]
fn the_connection_before_a_redirection_is_closed() {
    let certificates = Certificates::new("left");
    for encrypted in [false, true] {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, elsewhere) = (first.local_addr().unwrap(), silent.local_addr().unwrap());
        let tunnel = Tunnel::new(&certificates, address);
        let (location, scheme) = match encrypted {
            true => (tunnel.location(), "https"),
            false => (format!("http://{address}/live"), "https"),
        };
        let properties = format!("ssl-ca-file={}", certificates.authority());
        let pipeline = Pipeline::file(AUDIO, &location, &properties);
        pipeline.play();
        // The first connection only tests that stunnel listens.
        let mut stream = loop {
            let (stream, _) = first.accept().unwrap();
            if stream.peek(&mut [0]).unwrap() > 0 {
                break stream;
            }
        };
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).unwrap() > 0);
        let redirect = format!(
            "HTTP/1.1 302 Found\r\nLocation: {scheme}://{elsewhere}/live\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(redirect.as_bytes()).unwrap();
        let _second = silent.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(stream.read(&mut head).unwrap(), 0, "encrypted: {encrypted}");
    }
}

/// The session is resumed over TLS too, with hardly any packet sent twice or lost.
#[test]
fn a_lost_connection_is_resumed_over_tls() {
    let fault = Fault::AfterPackets(9, MidBody::Reset);
    let point = Point::with(Settings {
        faults: vec![(When::PushStart(0), fault)],
        ..Settings::default()
    });
    let certificates = Certificates::new("resumed");
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} ! wmspushsink name=sink location={} ssl-ca-file={}",
        fixture("av_asfmux_p1500_streamable.asf"),
        tunnel.location(),
        certificates.authority()
    ));
    let messages = pipeline.run();
    let count = |begin: &str| {
        messages
            .iter()
            .filter(|line| line.starts_with(begin))
            .count()
    };
    assert_eq!(count("WMT_RECONNECT_END"), 1, "{messages:#?}");
    let push = point.ended();
    assert_eq!(push.push_starts, 2);
    let data: Vec<_> = push
        .received
        .iter()
        .filter(|packet| matches!(packet, Received::Data(_)))
        .collect();
    // Data that the tunnel had accepted and not forwarded is lost.
    assert!((26..=27).contains(&data.len()), "{}", data.len());
    assert!(data.windows(2).all(|pair| pair[0] != pair[1]));
    let stats = pipeline.sink.property::<gst::Structure>("stats");
    assert!(stats.get::<u64>("bytes-acked").unwrap() > 30_000);
}

/// Viewers use the trust of the push.
#[cfg(feature = "verify")]
#[test]
fn viewers_are_verified_over_tls() {
    let (point, certificates) = (Point::new(), Certificates::new("viewers"));
    let tunnel = Tunnel::new(&certificates, point.handle.local_addr());
    let location = tunnel.location();
    let pipeline = Pipeline::new(&format!(
        "audiotestsrc is-live=true ! avenc_wmav2 ! asfmux streamable=true ! \
         wmspushsink name=sink location={location} ssl-ca-file={}",
        certificates.authority()
    ));
    pipeline.play();
    let data =
        |event: &publishing_point::Event| matches!(event, publishing_point::Event::Data { .. });
    point.handle.wait_for(data, LONG).expect("data");
    let verify = |sink: &gst::Element| sink.emit_by_name::<gst::Structure>("verify", &[]);
    let verified = verify(&pipeline.sink);
    assert_eq!(verified.get::<bool>("ok"), Ok(true), "{verified}");
    let stranger = gst::ElementFactory::make("wmspushsink");
    let stranger = stranger.property("location", &location).build().unwrap();
    let verified = verify(&stranger);
    assert_eq!(verified.get::<bool>("ok"), Ok(false), "{verified}");
    assert!(
        text(&verified, "hint").contains("ssl-ca-file"),
        "{verified}"
    );
}
