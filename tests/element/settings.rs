// SPDX-License-Identifier: MPL-2.0

//! Properties with an effect on the wire.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gst::prelude::*;
use gstwmspush::asf::FileHeader;
use gstwmspush::wmhttp::server::Received;
use publishing_point::{Fault, Refuse, When};

use crate::access::{AUDIO, BASIC, authorizations, challenge, with_faults};
use crate::rig::{Pipeline, Point};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

#[test]
fn extra_headers_go_with_each_request() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO_VIDEO, &point.location(), "");
    let extra = gst::Structure::builder("extra-headers")
        .field("X-Site", "studio 1")
        .field("X-Take", gst::Array::new(["3", "4"]))
        .build();
    pipeline.sink.set_property("extra-headers", &extra);
    assert_eq!(
        pipeline.sink.property::<gst::Structure>("extra-headers"),
        extra
    );
    pipeline.run();
    for request in point.handle.requests() {
        let head = String::from_utf8_lossy(&request.head).into_owned();
        for field in ["X-Site: studio 1", "X-Take: 3", "X-Take: 4"] {
            assert!(head.contains(&format!("\r\n{field}\r\n")), "{head}");
        }
    }
}

/// A proxy or server that repeats a request's field
#[test]
fn values_of_extra_headers_are_not_shown() {
    const SECRET: &str = "s3cr@t-t0k3n";
    let refusal = Refuse {
        status: 403,
        reason: format!("No {SECRET} here"),
        close: false,
    };
    let point = with_faults(vec![(When::EveryPushSetup, Fault::Refuse(refusal))]);
    let pipeline = Pipeline::file(AUDIO_VIDEO, &point.location(), "");
    let extra = gst::Structure::builder("extra-headers").field("X-Token", SECRET);
    pipeline.sink.set_property("extra-headers", extra.build());
    let dot = pipeline
        .pipeline
        .debug_to_dot_data(gst::DebugGraphDetails::all());
    assert!(!dot.contains(SECRET), "{dot}");
    let (_, messages) = pipeline.fail();
    assert!(!format!("{messages:?}").contains(SECRET), "{messages:?}");
    let requests = point.handle.requests();
    assert!(String::from_utf8_lossy(&requests[0].head).contains(SECRET));
}

/// A field that the protocol sets is an error, and nothing is sent.
#[test]
fn extra_headers_cannot_stand_for_the_protocol_s_own() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO_VIDEO, &point.location(), "");
    let extra = gst::Structure::builder("extra-headers").field("Cookie", "push-id=1");
    pipeline.sink.set_property("extra-headers", extra.build());
    let (_, messages) = pipeline.fail();
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/Settings setup settings E_INVALIDARG"
    );
    assert!(point.handle.requests().is_empty());
}

/// The property is used if the file header has no bit rate.
#[test]
fn a_bit_rate_gets_into_the_header() {
    let point = Point::new();
    let pipeline = Pipeline::file(AUDIO_VIDEO, &point.location(), "bitrate=345678");
    pipeline.run();
    let Received::Header(header) = &point.ended().received[0] else {
        panic!("no $H")
    };
    let header = FileHeader::parse(header.clone()).unwrap();
    assert_eq!(header.maximum_bitrate(), 345_678);
}

#[test]
fn a_domain_in_a_location_needs_no_escape() {
    let point = with_faults(vec![(When::PushSetup(0), challenge(BASIC))]);
    let location = point.location();
    let location = location.replacen("://", r"://WMDOM\alice:s3cr@t@", 1);
    let pipeline = Pipeline::file(AUDIO, &point.location(), "allow-cleartext-auth=true");
    pipeline.sink.set_property("location", location);
    pipeline.run();
    let expected = BASE64_STANDARD.encode(r"WMDOM\alice:s3cr@t");
    assert_eq!(authorizations(&point)[1], Some(format!("Basic {expected}")));
}

#[test]
fn a_timeout_of_0_is_no_limit() {
    let point = Point::new();
    let properties = "timeout=0 stall-timeout=0 eos-timeout=0";
    Pipeline::file(AUDIO, &point.location(), properties).run();
    assert_eq!(point.ended().data_packets, 7);
}
