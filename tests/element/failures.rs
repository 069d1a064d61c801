// SPDX-License-Identifier: MPL-2.0

//! Each failure has one ERROR, with its code and details, and PROGRESS ends after it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use gst::prelude::*;
use publishing_point::{Fault, MidBody, Refuse, Settings, When};

use crate::rig::{Pipeline, Point, socket_with_full_backlog, text};

const AUDIO: &str = "audio_ffmpeg_p3200.asf";
const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

fn with_fault(when: When, fault: Fault) -> Point {
    Point::with(Settings {
        faults: vec![(when, fault)],
        ..Settings::default()
    })
}

fn setup(fault: Fault) -> Point {
    with_fault(When::EveryPushSetup, fault)
}

fn refusal(status: u16) -> Refuse {
    Refuse {
        status,
        reason: "Because".to_owned(),
        close: false,
    }
}

/// Asserts the messages of a push that fails before it streams, and returns the details of the ERROR.
fn assert_fails(location: &str, properties: &str, error: &str) -> gst::Structure {
    let pipeline = Pipeline::file(AUDIO, location, properties);
    let (details, mut messages) = pipeline.fail();
    messages.extend(pipeline.messages_until("PROGRESS connect Error"));
    let errors: Vec<_> = messages
        .iter()
        .filter(|line| line.starts_with("ERROR"))
        .collect();
    assert_eq!(errors, [error]);
    assert!(
        messages
            .iter()
            .any(|line| line.starts_with("WMT_OPENED connecting→failed")),
        "{messages:#?}"
    );
    assert_eq!(text(&details, "state"), "failed");
    assert_eq!(text(&details, "location"), location);
    assert!(!text(&details, "hint").is_empty());
    let state = pipeline
        .sink
        .property_value("session-state")
        .get::<gstwmspush::SessionState>()
        .unwrap();
    assert_eq!(state, gstwmspush::SessionState::Failed);
    details
}

#[test]
fn the_port_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/live", listener.local_addr().unwrap());
    drop(listener);
    assert_fails(
        &location,
        "",
        "ERROR RESOURCE/OpenWrite connect connection-refused NS_E_PUSH_CANNOTCONNECT",
    );
}

/// gst-launch-1.0 plays only after PROGRESS has ended: a paused push has no data to wait for.
#[test]
fn a_paused_push_fails_without_a_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/live", listener.local_addr().unwrap());
    drop(listener);
    let properties = "retry-first-connect=true reconnect-timeout=600";
    let pipeline = Pipeline::file(AUDIO, &location, properties);
    let _ = pipeline.pipeline.set_state(gst::State::Paused);
    let messages = pipeline.messages_until("ERROR");
    let error = "ERROR RESOURCE/OpenWrite connect connection-refused NS_E_PUSH_CANNOTCONNECT";
    assert_eq!(messages.last().unwrap(), error);
}

#[test]
fn the_host_has_no_address() {
    let error = "ERROR RESOURCE/NotFound resolve unresolvable NS_E_SERVER_NOT_FOUND";
    assert_fails("http://nothing.invalid/live", "", error);
}

/// C-061, C-095
#[test]
fn the_server_never_answers() {
    let point = setup(Fault::Silent);
    let begun = Instant::now();
    let error = "ERROR RESOURCE/OpenWrite setup response-timeout NS_E_TIMEOUT";
    assert_fails(&point.location(), "timeout=300", error);
    let took = begun.elapsed();
    assert!(
        (Duration::from_millis(300)..Duration::from_millis(1500)).contains(&took),
        "{took:?}"
    );
}

/// A full backlog drops connection attempts, as a firewall does.
#[test]
fn the_connection_is_never_accepted() {
    let socket = socket_with_full_backlog();
    let location = format!("http://{}/live", socket.address);
    let begun = Instant::now();
    let error = "ERROR RESOURCE/OpenWrite connect connect-timeout NS_E_CONNECT_TIMEOUT";
    assert_fails(&location, "timeout=300", error);
    assert!(
        begun.elapsed() < Duration::from_millis(1500),
        "{:?}",
        begun.elapsed()
    );
}

/// C-212, C-213
#[test]
fn another_web_server_answers() {
    let error = "ERROR RESOURCE/OpenWrite setup incompatible-server NS_E_INCOMPATIBLE_PUSH_SERVER";
    for server in ["nginx/1.25", ""] {
        let point = setup(Fault::Server(server.to_owned()));
        assert_fails(&point.location(), "", error);
    }
}

/// C-200
#[test]
fn something_else_than_http_answers() {
    let point = setup(Fault::Garbage);
    let error = "ERROR RESOURCE/OpenWrite setup bad-response NS_E_BAD_SYNTAX_IN_SERVER_RESPONSE";
    assert_fails(&point.location(), "", error);
}

/// Note <8>
#[test]
fn the_server_takes_the_client_for_a_player() {
    let point = setup(Fault::Announcement);
    let error = "ERROR RESOURCE/OpenWrite setup not-an-encoder NS_E_INCOMPATIBLE_PUSH_SERVER";
    assert_fails(&point.location(), "", error);
}

/// C-220
#[test]
fn the_server_refuses() {
    for (status, code, hresult) in [
        (400, "OpenWrite", "NS_E_BAD_REQUEST"),
        (403, "NotAuthorized", "NS_E_REFUSED_BY_SERVER"),
        (404, "NotFound", "NS_E_INVALID_PUSH_PUBLISHING_POINT"),
        (409, "Busy", "NS_E_BUSY"),
        (410, "NotFound", "NS_E_RESOURCE_GONE"),
        (423, "Busy", "NS_E_BUSY"),
        (500, "OpenWrite", "NS_E_INTERNAL_SERVER_ERROR"),
        (503, "Busy", "NS_E_SERVER_UNAVAILABLE"),
    ] {
        for close in [false, true] {
            let point = setup(Fault::Refuse(Refuse {
                close,
                ..refusal(status)
            }));
            let error = format!("ERROR RESOURCE/{code} setup refused {hresult}");
            let pipeline = Pipeline::file(AUDIO, &point.location(), "");
            let (details, messages) = pipeline.fail();
            assert_eq!(messages.last(), Some(&error), "{status}");
            assert_eq!(
                details.get::<u32>("http-status-code").unwrap(),
                u32::from(status)
            );
            assert_eq!(text(&details, "http-reason"), "Because");
            let request = point.handle.requests();
            assert_eq!(request.len(), 1, "nothing is tried again");
        }
    }
}

/// A challenge without a scheme is a refusal, and so is an unusable redirection.
#[test]
fn the_server_leaves_no_way_in() {
    for (status, error) in [
        (
            302,
            "ERROR RESOURCE/OpenWrite setup redirection NS_E_INVALID_REDIRECT",
        ),
        (
            401,
            "ERROR RESOURCE/NotAuthorized setup denied NS_E_SERVER_ACCESSDENIED",
        ),
        (
            407,
            "ERROR RESOURCE/NotAuthorized proxy refused NS_E_PROXY_ACCESSDENIED",
        ),
    ] {
        let point = setup(Fault::Refuse(refusal(status)));
        assert_fails(&point.location(), "", error);
        assert_eq!(point.handle.requests().len(), 1, "nothing is tried again");
    }
}

/// A status that is received during the body reaches the application, with the server's reason.
/// C-132, C-220
#[test]
fn the_server_refuses_while_data_flows() {
    for (status, code) in [
        (403, "NotAuthorized"),
        (404, "NotFound"),
        (408, "Write"),
        (409, "Busy"),
        (500, "Write"),
    ] {
        let point = with_fault(
            When::EveryPushStart,
            Fault::AfterPackets(3, MidBody::Respond(refusal(status))),
        );
        // In real time: nothing is in flight when the server responds.
        let pipeline = Pipeline::new(&format!(
            "filesrc location={} ! wmspushsink name=sink reconnect-timeout=0 location={}",
            crate::rig::fixture(AUDIO_VIDEO),
            point.location()
        ));
        let (details, messages) = pipeline.fail();
        assert!(
            messages
                .last()
                .unwrap()
                .starts_with(&format!("ERROR RESOURCE/{code} push refused")),
            "{messages:#?}"
        );
        assert_eq!(
            details.get::<u32>("http-status-code").unwrap(),
            u32::from(status)
        );
        assert_eq!(text(&details, "http-reason"), "Because");
        assert!(
            messages
                .iter()
                .any(|line| line.starts_with("WMT_ERROR streaming→failed")),
            "{messages:#?}"
        );
    }
}

/// C-132, C-251
#[test]
fn the_connection_is_lost_while_data_flows() {
    for (fault, errors) in [
        (
            MidBody::Close,
            ["ERROR RESOURCE/Write push connection-closed NS_E_CONNECTION_FAILURE"; 2],
        ),
        (
            MidBody::Reset,
            [
                "ERROR RESOURCE/Write push connection-reset NS_E_RESET_SOCKET_CONNECTION",
                // The error if data is written after the reset was noticed.
                "ERROR RESOURCE/Write push connection-closed NS_E_CONNECTION_FAILURE",
            ],
        ),
        (
            MidBody::Success,
            ["ERROR RESOURCE/Write push ended-by-server NS_E_CONNECTION_FAILURE"; 2],
        ),
    ] {
        let point = with_fault(When::EveryPushStart, Fault::AfterPackets(3, fault.clone()));
        let pipeline = Pipeline::new(&format!(
            "filesrc location={} ! wmspushsink name=sink reconnect-timeout=0 location={}",
            crate::rig::fixture(AUDIO_VIDEO),
            point.location()
        ));
        let (_, messages) = pipeline.fail();
        assert!(
            errors.contains(&messages.last().unwrap().as_str()),
            "{fault:?}: {messages:#?}"
        );
        assert_eq!(
            messages
                .iter()
                .filter(|line| line.starts_with("ERROR"))
                .count(),
            1
        );
    }
}

/// The element reports unusable settings before it connects.
#[test]
fn unusable_settings() {
    for (properties, hresult) in [
        ("", "E_INVALIDARG"),
        ("location=http://media:99999/", "NS_E_INVALID_PORT"),
        ("location=http://", "NS_E_INVALID_NAME"),
        ("location=mms://media/live", "NS_E_UNKNOWN_PROTOCOL"),
        (
            "location=http://127.0.0.1:9/ user-agent=curl",
            "E_INVALIDARG",
        ),
        (
            "location=http://127.0.0.1:9/ template-url=template",
            "NS_E_INVALID_PUSH_TEMPLATE",
        ),
    ] {
        let pipeline = Pipeline::new(&format!("fakesrc ! wmspushsink name=sink {properties}"));
        let changed = pipeline.pipeline.set_state(gst::State::Paused);
        assert_eq!(changed, Err(gst::StateChangeError), "{properties}");
        let messages = pipeline.messages_until("ERROR");
        assert_eq!(
            messages.last().unwrap(),
            &format!("ERROR RESOURCE/Settings setup settings {hresult}")
        );
        assert!(
            !messages.iter().any(|line| line.starts_with("PROGRESS")),
            "{messages:#?}"
        );
    }
}
