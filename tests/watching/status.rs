// SPDX-License-Identifier: MPL-2.0

//! `GET /status`.

use gstwmspush::publishing_point::{Event, Handle};
use serde_json::Value;

use crate::client::{Client, event, packet, serve};
use crate::stream::{AUDIO_VIDEO, Pusher, Stream};
use crate::viewer::{OLD, Viewer, joined};

fn status(point: &Handle) -> Value {
    let mut viewer = Viewer::ask(point, "GET /status HTTP/1.1\nHost: a");
    assert_eq!(viewer.status(), 200);
    assert_eq!(viewer.fields("Content-Type"), ["application/json"]);
    serde_json::from_slice(&viewer.body()).unwrap()
}

#[test]
fn the_status_tells_who_pushes_who_watches_and_what_went_wrong() {
    let point = serve(|_| {});
    let idle = status(&point);
    assert_eq!(idle["points"].as_array().unwrap().len(), 0);
    assert_eq!(idle["errors"].as_array().unwrap().len(), 0);
    let stream = Stream::of(AUDIO_VIDEO);
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let unpadded = stream.unpadded();
    pusher.send(&unpadded);
    let _viewer = Viewer::play(&point, "/live", OLD);
    joined(&point);
    // Somebody else wants to push there as well.
    assert_eq!(Client::connect(&point).setup("/live").status(), 409);
    event(&point, |event| matches!(event, Event::Refused { .. }));
    let status = status(&point);
    let live = &status["points"][0];
    let address = point.local_addr();
    for (field, expected) in [
        ("point", "/live"),
        ("state", "receiving"),
        ("pusher", "WMEncoder/12.0 GStreamer/1.22"),
        ("watch", &format!("mmsh://{address}/live")),
    ] {
        assert_eq!(live[field], expected);
    }
    assert_eq!(live["packets"], unpadded.len());
    let bytes: usize = unpadded.iter().map(|packet| packet.len()).sum();
    assert_eq!(live["bytes"], bytes);
    assert!(live["bitrate"].is_u64());
    let since = live["since"].as_str().unwrap();
    assert!(since.starts_with("20") && since.ends_with('Z'), "{since}");
    assert_eq!(live["viewers"][0]["player"], OLD);
    assert_eq!(live["viewers"][0]["protocol"], "MS-WMSP");
    let error = "refused with 409: the publishing point already receives";
    assert_eq!(live["last_error"]["error"], error);
    assert_eq!(status["errors"][0]["point"], "/live");
    let text = status.to_string();
    assert!(!text.contains(&pusher.client.push_id()));
    pusher.end();
    let over = self::status(&point);
    assert_eq!(over["points"].as_array().unwrap().len(), 0);
    assert_eq!(over["errors"].as_array().unwrap().len(), 1);
}

/// An error is not the last one any more once its cause is gone.
#[test]
fn a_success_clears_the_last_error() {
    let point = serve(|_| {});
    let missing = Viewer::ask(&point, "GET /live HTTP/1.1\nHost: a");
    assert_eq!(missing.status(), 404);
    let stream = Stream::of(AUDIO_VIDEO);
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    pusher.send(&stream.unpadded()[..1]);
    let healthy = status(&point);
    assert_eq!(healthy["points"][0]["last_error"], Value::Null);
    assert_eq!(healthy["errors"].as_array().unwrap().len(), 1);
    assert_eq!(Client::connect(&point).setup("/live").status(), 409);
    event(&point, |event| {
        matches!(event, Event::Refused { status: 409, .. })
    });
    assert!(status(&point)["points"][0]["last_error"].is_object());
    let _viewer = Viewer::play(&point, "/live", OLD);
    joined(&point);
    assert_eq!(status(&point)["points"][0]["last_error"], Value::Null);
}

#[test]
fn errors_that_repeat_are_counted() {
    let point = serve(|_| {});
    for _ in 0..60 {
        let missing = Viewer::ask(&point, "GET /live HTTP/1.1\nHost: a");
        assert_eq!(missing.status(), 404);
    }
    let status = status(&point);
    assert_eq!(status["errors"].as_array().unwrap().len(), 1);
    assert_eq!(status["errors"][0]["times"], 60);
    assert_eq!(status["events"][0]["times"], 60);
}

#[test]
fn errors_are_remembered_up_to_a_number() {
    let point = serve(|_| {});
    for number in 0..100 {
        let mut client = Client::connect(&point);
        client.setup(&format!("/{number}"));
        client.start(&format!("/elsewhere{number}"), 10);
        assert_eq!(client.response().status(), 404);
    }
    let status = status(&point);
    let errors = status["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 32);
    assert!(status["points"].as_array().unwrap().len() >= 100);
}

/// Names are anybody's: they stay inside their strings.
#[test]
fn a_name_is_no_json() {
    let point = serve(|_| {});
    let mut client = Client::connect(&point);
    client.setup("/a\"},{\"b");
    client.start("/a\"},{\"b", 1000);
    client.send(packet(b'H', b"header"));
    event(&point, |event| matches!(event, Event::Header { .. }));
    assert_eq!(status(&point)["points"][0]["point"], "/a\"},{\"b");
}
