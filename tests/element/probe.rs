// SPDX-License-Identifier: MPL-2.0

//! The action `probe`: its result, and its duration.

use std::net::TcpListener;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstwmspush::SessionState;
use publishing_point::{Event, Fault, Refuse, Settings, When};

use crate::rig::{LONG, Pipeline, Point, fixture, init, text};

const DIGEST: &str = r#"Digest realm="WMS", nonce="n1", qop="auth""#;

fn with_faults(faults: Vec<(When, Fault)>) -> Point {
    Point::with(Settings {
        faults,
        ..Settings::default()
    })
}

fn element(location: &str) -> gst::Element {
    init();
    let element = gst::ElementFactory::make("wmspushsink");
    element.property("location", location).build().unwrap()
}

fn probe(element: &gst::Element) -> gst::Structure {
    let probed = element.emit_by_name::<gst::Structure>("probe", &[]);
    assert_is_typed(&probed);
    probed
}

/// Asserts that all fields exist, in any case.
fn assert_is_typed(probed: &gst::StructureRef) {
    assert_eq!(probed.name(), "wmspushsink-probe");
    for field in [
        "location",
        "server",
        "authentication",
        "error",
        "hresult-name",
        "reason",
        "http-reason",
        "hint",
        "phase",
    ] {
        probed.get::<&str>(field).unwrap();
    }
    for field in ["hresult", "http-status-code"] {
        probed.get::<u32>(field).unwrap();
    }
    probed.get::<bool>("ok").unwrap();
    probed.get::<u64>("rtt").unwrap();
    assert_eq!(probed.n_fields(), 13);
}

/// Returns `phase reason hresult-name status`.
fn failure(probed: &gst::StructureRef) -> String {
    assert_eq!(probed.get::<bool>("ok"), Ok(false));
    for field in ["error", "hint"] {
        assert!(!text(probed, field).is_empty(), "{field}");
    }
    let words = ["phase", "reason", "hresult-name"].map(|field| text(probed, field));
    let status = probed.get::<u32>("http-status-code").unwrap();
    format!("{} {status}", words.join(" "))
}

fn answer(user: &str, password: &str) -> Option<glib::Value> {
    let answer = gst::Structure::builder("credentials")
        .field("user", user)
        .field("password", password);
    Some(Some(answer.build()).to_value())
}

#[test]
fn a_server_that_accepts_the_push_is_described() {
    let point = Point::new();
    let element = element(&point.location());
    let probed = probe(&element);
    assert_eq!(probed.get::<bool>("ok"), Ok(true));
    assert_eq!(text(&probed, "location"), point.location());
    assert!(!text(&probed, "server").is_empty());
    assert_eq!(text(&probed, "hresult-name"), "S_OK");
    for field in ["authentication", "error", "reason", "hint", "phase"] {
        assert_eq!(text(&probed, field), "", "{field}");
    }
    if cfg!(target_os = "linux") {
        assert!(probed.get::<u64>("rtt").unwrap() > 0);
    }
    assert_eq!(point.handle.requests().len(), 1, "a PushSetup");
    let state = element.property_value("session-state");
    assert_eq!(state.get(), Ok(SessionState::Disconnected));
    let stats = element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u32>("connects"), Ok(0));
}

#[test]
fn a_refusal_is_returned() {
    let refuse = Fault::Refuse(Refuse::new(404));
    let point = with_faults(vec![(When::EveryPushSetup, refuse)]);
    let probed = probe(&element(&point.location()));
    assert_eq!(
        failure(&probed),
        "setup refused NS_E_INVALID_PUSH_PUBLISHING_POINT 404"
    );
    assert_eq!(text(&probed, "http-reason"), "Not Found");
}

#[test]
fn a_demand_for_credentials_is_returned() {
    let challenge = Fault::Challenge(vec![DIGEST.to_owned()]);
    let point = with_faults(vec![(When::EveryPushSetup, challenge)]);
    let probed = probe(&element(&point.location()));
    assert_eq!(
        failure(&probed),
        "setup denied NS_E_SERVER_ACCESSDENIED 401"
    );
}

#[test]
fn credentials_are_asked_for_and_used() {
    let challenge = Fault::Challenge(vec![DIGEST.to_owned()]);
    let point = with_faults(vec![(When::PushSetup(0), challenge)]);
    let element = element(&point.location());
    let (asking, asked) = mpsc::channel();
    element.connect("acquire-credentials", false, move |arguments| {
        asking.send(arguments[1].get::<String>().unwrap()).unwrap();
        answer("alice", "s3cret")
    });
    let probed = probe(&element);
    assert_eq!(probed.get::<bool>("ok"), Ok(true));
    assert_eq!(text(&probed, "authentication"), "Digest");
    assert_eq!(asked.try_recv().unwrap(), "WMS");
    assert!(!probed.to_string().contains("s3cret"));
}

#[test]
fn a_refused_connection_is_returned() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/live", listener.local_addr().unwrap());
    drop(listener);
    let probed = probe(&element(&location));
    assert_eq!(
        failure(&probed),
        "connect connection-refused NS_E_PUSH_CANNOTCONNECT 0"
    );
}

#[test]
fn unusable_settings_are_returned() {
    for (location, hresult) in [
        ("", "E_INVALIDARG"),
        ("ftp://user:s3cret@media/", "NS_E_UNKNOWN_PROTOCOL"),
        ("http://media:99999/", "NS_E_INVALID_PORT"),
    ] {
        let probed = probe(&element(location));
        assert_eq!(failure(&probed), format!("setup settings {hresult} 0"));
        assert!(!probed.to_string().contains("s3cret"));
    }
}

/// Asserts a duration of at most twice `timeout`.
fn assert_bounded(begun: Instant) {
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(2 * 300 + 200), "{took:?}");
}

#[test]
fn a_silent_server_times_out() {
    let point = with_faults(vec![(When::EveryPushSetup, Fault::Silent)]);
    let element = element(&point.location());
    element.set_property("timeout", 300u32);
    let begun = Instant::now();
    let probed = probe(&element);
    assert_bounded(begun);
    assert_eq!(failure(&probed), "setup response-timeout NS_E_TIMEOUT 0");
}

#[test]
fn a_blocked_handler_times_out() {
    let challenge = Fault::Challenge(vec![DIGEST.to_owned()]);
    let point = with_faults(vec![(When::EveryPushSetup, challenge)]);
    let element = element(&point.location());
    element.set_property("timeout", 300u32);
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    element.connect("acquire-credentials", false, move |_| {
        // Ends when the test drops the sender.
        let _ = released.lock().unwrap().recv();
        Some(None::<gst::Structure>.to_value())
    });
    let begun = Instant::now();
    let probed = probe(&element);
    assert_bounded(begun);
    assert_eq!(failure(&probed), "setup response-timeout NS_E_TIMEOUT 0");
    drop(release);
}

/// C4: a second PushSetup ends the push at some receivers, so a connected element sends none.
#[test]
fn a_push_is_not_disturbed_by_a_probe() {
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} blocksize=1500 ! identity sleep-time=20000 ! wmspushsink name=sink auto-destroy=true \
         sync=false location={}",
        fixture("av_asfmux_p1500_streamable.asf"),
        point.location()
    ));
    pipeline.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    point.handle.wait_for(data, LONG).expect("data");
    let probed = probe(&pipeline.sink);
    assert_eq!(probed.get::<bool>("ok"), Ok(true), "{probed}");
    assert!(text(&probed, "server").starts_with("Cougar/9"), "{probed}");
    pipeline.messages_until("EOS");
    let requests = point.handle.requests();
    assert_eq!(
        requests.len(),
        2,
        "a PushSetup and a PushStart: {requests:#?}"
    );
    assert_eq!(point.ended().data_packets, 27);
}

/// C4: AutoDestroy would remove the publishing point after the probe, and a template would create one.
#[test]
fn a_probe_does_not_change_the_publishing_point() {
    let point = Point::new();
    let element = element(&point.location());
    element.set_property("auto-destroy", true);
    element.set_property("template-url", "/template");
    assert_eq!(probe(&element).get::<bool>("ok"), Ok(true));
    let requests = point.handle.requests();
    assert_eq!(requests.len(), 1, "{requests:#?}");
    assert_eq!(
        requests[0].field("content-length"),
        Some("0"),
        "{requests:#?}"
    );
}
