// SPDX-License-Identifier: MPL-2.0

use gst::prelude::*;

use crate::rig::init;

fn element() -> gst::Element {
    init();
    gst::ElementFactory::make("wmspushsink").build().unwrap()
}

#[test]
fn defaults_are_those_of_the_contract() {
    let element = element();
    assert_eq!(element.property::<Option<String>>("location"), None);
    assert_eq!(element.property::<Option<String>>("template-url"), None);
    assert!(!element.property::<bool>("auto-destroy"));
    assert_eq!(element.property::<u32>("timeout"), 10_000);
    assert_eq!(element.property::<u32>("stall-timeout"), 15_000);
    assert_eq!(element.property::<u32>("eos-timeout"), 5_000);
    assert!(element.property::<bool>("remove-padding"));
    assert!(element.property::<bool>("live-header"));
    assert!(element.property::<bool>("sync"));
    assert!(!element.property::<bool>("enable-last-sample"));
    let user_agent = element.property::<String>("user-agent");
    assert!(
        user_agent.starts_with("WMEncoder/12.0 GStreamer/"),
        "{user_agent}"
    );
    let state = element
        .property_value("session-state")
        .get::<gstwmspush::SessionState>()
        .unwrap();
    assert_eq!(state, gstwmspush::SessionState::Disconnected);
}

#[test]
fn what_is_set_can_be_read() {
    let element = element();
    element.set_property("template-url", "/template");
    element.set_property("auto-destroy", true);
    element.set_property("user-agent", "WMEncoder/9.0");
    element.set_property("timeout", 1u32);
    element.set_property("stall-timeout", 2u32);
    element.set_property("eos-timeout", 3u32);
    element.set_property("remove-padding", false);
    element.set_property("live-header", false);
    assert_eq!(element.property::<String>("template-url"), "/template");
    assert!(element.property::<bool>("auto-destroy"));
    assert_eq!(element.property::<String>("user-agent"), "WMEncoder/9.0");
    let times =
        ["timeout", "stall-timeout", "eos-timeout"].map(|name| element.property::<u32>(name));
    assert_eq!(times, [1, 2, 3]);
    assert!(
        !element.property::<bool>("remove-padding") && !element.property::<bool>("live-header")
    );
    element.set_property("user-agent", None::<&str>);
    assert!(
        element
            .property::<String>("user-agent")
            .starts_with("WMEncoder/12.0 "),
        "unset means the default"
    );
}

#[test]
fn a_location_never_shows_its_password() {
    let element = element();
    for location in [
        "http://user:s3cret@media:8080/live",
        "ftp://user:s3cret@media/",
        "http://user:s3cret@media:99999/",
    ] {
        element.set_property("location", location);
        let shown = element.property::<String>("location");
        assert!(
            !shown.contains("s3cret") && !shown.contains("user"),
            "{shown}"
        );
        let stats = element.property::<gst::Structure>("stats").to_string();
        assert!(!stats.contains("s3cret"), "{stats}");
    }
}

#[test]
fn the_element_handles_uris_of_its_own() {
    let element = element();
    let handler = element.dynamic_cast_ref::<gst::URIHandler>().unwrap();
    assert_eq!(handler.uri_type(), gst::URIType::Sink);
    assert_eq!(handler.protocols(), ["wmspush+http", "wmspush+https"]);
    handler
        .set_uri("wmspush+http://user:pw@media:8080/live")
        .unwrap();
    assert_eq!(
        element.property::<String>("location"),
        "http://media:8080/live"
    );
    assert_eq!(handler.uri().unwrap(), "wmspush+http://media:8080/live");
    assert!(
        handler
            .set_uri("wmspush+http://")
            .unwrap_err()
            .matches(gst::URIError::BadUri)
    );
    let made =
        gst::Element::make_from_uri(gst::URIType::Sink, "wmspush+http://media/live", None).unwrap();
    assert_eq!(made.factory().unwrap().name(), "wmspushsink");
}

/// The fields and their types never change, whatever the state.
#[test]
fn stats_are_complete_before_anything_was_sent() {
    let stats = element().property::<gst::Structure>("stats");
    for field in ["state", "location", "server"] {
        stats.get::<&str>(field).unwrap();
    }
    for field in [
        "bytes-sent",
        "bytes-acked",
        "packets-sent",
        "packets-dropped",
        "packets-replayed",
        "packets-lost",
        "padding-removed",
        "queued-time",
        "rtt",
        "bitrate",
        "uptime",
        "behind",
    ] {
        assert_eq!(stats.get::<u64>(field), Ok(0), "{field}");
    }
    for field in [
        "queued-bytes",
        "connects",
        "reconnects",
        "push-starts",
        "attempt",
        "retry-in",
    ] {
        assert_eq!(stats.get::<u32>(field), Ok(0), "{field}");
    }
    for field in ["last-error", "last-reason"] {
        assert_eq!(stats.get::<&str>(field), Ok(""), "{field}");
    }
    assert_eq!(stats.n_fields(), 23);
}

#[test]
fn the_element_is_registered_as_the_contract_says() {
    let element = element();
    let factory = element.factory().unwrap();
    assert_eq!(factory.rank(), gst::Rank::NONE);
    assert_eq!(factory.metadata("klass").unwrap(), "Sink/Network");
    assert_eq!(element.type_().name(), "GstWmsPushSink");
    assert!(element.type_().is_a(gst_base::BaseSink::static_type()));
    let template = element.pad_template("sink").unwrap();
    assert_eq!(
        template.caps().to_string(),
        "video/x-ms-asf; application/x-gst-av-asf_stream"
    );
    assert_eq!(template.presence(), gst::PadPresence::Always);
}
