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
fn values_can_be_read_back() {
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

/// Addresses with an account as users type them, right or wrong.
const ACCOUNTS: [&str; 14] = [
    "http://user:s3cret@media:8080/live",
    r"http://DOM\user:s3cret@media:8080/live",
    "http://user:a/s3cret@media/live",
    "http://user:a?s3cret@media/live",
    "http://user:a#s3cret@media/live",
    "http://user:a@s3cret@media/live",
    "http://http://user:s3cret@media/",
    "http:/user:s3cret@media/",
    "user:s3cret@media/live",
    "ftp://user:s3cret@media/",
    "http://user:s3cret@media:99999/",
    "http://user:s3cret",
    "http://user:s3\ncret@media/",
    "http://user：s3cret＠media/",
];

#[test]
fn an_address_never_shows_its_account() {
    let element = element();
    for text in ACCOUNTS {
        for property in ["location", "proxy", "template-url"] {
            element.set_property(property, text);
            let shown = element.property::<String>(property);
            let secret = shown.contains("cret") || shown.contains("user@");
            assert!(!secret, "{property}: {shown}");
        }
        let stats = element.property::<gst::Structure>("stats").to_string();
        assert!(!stats.contains("cret"), "{stats}");
        let user = element.property::<Option<String>>("user-id");
        assert!(!user.unwrap_or_default().contains("cret"), "{text}");
    }
}

/// The messages of an element with unusable settings.
struct Refusal {
    text: String,
    hint: String,
    /// All messages up to the ERROR.
    messages: String,
}

fn refused(element: &gst::Element) -> Refusal {
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    assert!(element.set_state(gst::State::Paused).is_err());
    let mut messages = String::new();
    loop {
        let message = bus.timed_pop(gst::ClockTime::from_seconds(30));
        let message = message.expect("an ERROR");
        messages += &format!("{message:?}");
        let gst::MessageView::Error(error) = message.view() else {
            continue;
        };
        assert!(error.error().matches(gst::ResourceError::Settings));
        element.set_state(gst::State::Null).unwrap();
        return Refusal {
            text: error.error().message().to_owned(),
            hint: error.details().unwrap().get("hint").unwrap(),
            messages,
        };
    }
}

#[test]
fn messages_about_an_address_never_show_its_account() {
    for text in ACCOUNTS {
        for property in ["location", "proxy", "template-url"] {
            let element = element();
            element.set_property("location", "http://media/");
            // The state change fails for any address.
            element.set_property("ssl-ca-file", "/nonexistent");
            element.set_property(property, text);
            let messages = refused(&element).messages;
            assert!(!messages.contains("cret"), "{property}: {messages}");
        }
    }
}

#[test]
fn another_kind_of_address_is_an_error_with_a_hint() {
    for (location, text) in [
        ("127.0.0.1:8080/live", "write http://127.0.0.1:8080/live"),
        ("localhost:8080/live", "write http://localhost:8080/live"),
        ("mms://media/live", "players use that, a push uses http://"),
        (r"C:\Videos\a.wmv", "is a file"),
        ("http://user:a/b@media/live", "has an @ after a /"),
        ("http://user:%E4@media/live", "not UTF-8"),
    ] {
        let element = element();
        element.set_property("location", location);
        let refusal = refused(&element);
        assert!(refusal.text.contains(text), "{location}: {}", refusal.text);
        assert!(!refusal.hint.is_empty(), "{location}");
    }
}

#[test]
fn the_user_of_a_location_is_read_as_user_id() {
    let element = element();
    let user = || element.property::<Option<String>>("user-id");
    element.set_property("user-pw", "s3cret");
    element.set_property("location", r"http://DOM\alice@media:8080/live");
    assert_eq!(user().as_deref(), Some(r"DOM\alice"));
    element.set_property("location", "http://other:8080/live");
    assert_eq!(user(), None, "the account of another host");
    element.set_property("user-id", "bob");
    element.set_property("location", "http://alice@media:8080/live");
    assert_eq!(user().as_deref(), Some("alice"));
    element.set_property("location", "http://other:8080/live");
    assert_eq!(user().as_deref(), Some("bob"));
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
    element.set_property("location", "http://user:a/b@media/live");
    assert_eq!(handler.uri(), None);
    let made =
        gst::Element::make_from_uri(gst::URIType::Sink, "wmspush+http://media/live", None).unwrap();
    assert_eq!(made.factory().unwrap().name(), "wmspushsink");
}

/// The fields and their types are the same in every state.
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
