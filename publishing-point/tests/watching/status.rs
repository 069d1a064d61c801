// SPDX-License-Identifier: MPL-2.0

//! `GET /status`, `GET /metrics` and the head of `GET /`.

use publishing_point::{Event, Handle};
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
fn the_status_lists_pushes_viewers_and_errors() {
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
    // Another encoder pushes to the same point.
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

/// A resolved error is no longer the last one.
#[test]
fn a_success_clears_the_last_error() {
    let point = serve(|_| {});
    let mut missing = Viewer::ask(&point, "GET /live HTTP/1.1\nHost: a");
    assert_eq!(missing.status(), 404);
    assert!(missing.body().starts_with(b"No encoder pushes"));
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
fn repeated_errors_are_counted() {
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
fn the_number_of_errors_is_bounded() {
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

/// Clients choose the names, so the document escapes them.
#[test]
fn names_are_escaped_in_json() {
    let point = serve(|_| {});
    let mut client = Client::connect(&point);
    client.setup("/a\"},{\"b");
    client.start("/a\"},{\"b", 1000);
    client.send(packet(b'H', b"header"));
    event(&point, |event| matches!(event, Event::Header { .. }));
    assert_eq!(status(&point)["points"][0]["point"], "/a\"},{\"b");
}

/// Returns the lines of a scrape without comments.
fn metrics(point: &Handle) -> Vec<String> {
    let mut viewer = Viewer::ask(point, "GET /metrics HTTP/1.1\nHost: a");
    assert_eq!(viewer.status(), 200);
    let expected = ["text/plain; version=0.0.4; charset=utf-8"];
    assert_eq!(viewer.fields("Content-Type"), expected);
    let text = String::from_utf8(viewer.body()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn metrics_have_the_counters_of_each_point() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let unpadded = stream.unpadded();
    for _ in 0..2 {
        let mut pusher = Pusher::start(&point, "/a\"b", &stream.header);
        pusher.send(&unpadded[..5]);
        pusher.end();
    }
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    pusher.send(&unpadded);
    let _viewer = Viewer::play(&point, "/live", OLD);
    joined(&point);
    // The connections of the first two pushes end after their responses.
    let settled = "publishing_point_connections 3".to_owned();
    while !metrics(&point).contains(&settled) {}
    let shown = metrics(&point);
    let bytes: usize = unpadded.iter().map(|packet| packet.len()).sum();
    for expected in [
        format!(
            "publishing_point_received_packets_total{{point=\"/live\"}} {}",
            unpadded.len()
        ),
        format!("publishing_point_received_bytes_total{{point=\"/live\"}} {bytes}"),
        "publishing_point_receiving{point=\"/live\"} 1".to_owned(),
        "publishing_point_viewers{point=\"/live\"} 1".to_owned(),
        // Totals of both sessions, which have ended.
        "publishing_point_received_packets_total{point=\"/a\\\"b\"} 10".to_owned(),
        "publishing_point_receiving{point=\"/a\\\"b\"} 0".to_owned(),
        "publishing_point_sessions 1".to_owned(),
        "publishing_point_refused_requests_total 0".to_owned(),
    ] {
        assert!(shown.contains(&expected), "{expected}\n{shown:#?}");
    }
}

/// The page requests only the samples that it does not have yet.
#[test]
fn the_history_is_requested_by_sample() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    pusher.send(&stream.unpadded());
    let mut viewer = Viewer::ask(&point, "GET /status?samples=0 HTTP/1.1\nHost: a");
    let status: Value = serde_json::from_slice(&viewer.body()).unwrap();
    assert_eq!(status["sample_seconds"], 5);
    let history = &status["history"]["/live"];
    let count = history["bitrates"].as_array().unwrap().len();
    assert_eq!(history["packets"].as_array().unwrap().len(), count);
    let from = history["from"].as_u64().unwrap();
    assert_eq!(Some(from + count as u64), status["sample"].as_u64());
}

#[test]
fn the_page_forbids_content_of_other_origins() {
    let point = serve(|_| {});
    let mut viewer = Viewer::ask(&point, "GET / HTTP/1.1\nHost: a");
    assert_eq!(viewer.status(), 200);
    assert_eq!(viewer.fields("Content-Type"), ["text/html; charset=utf-8"]);
    assert_eq!(viewer.fields("X-Content-Type-Options"), ["nosniff"]);
    let policy = viewer.fields("Content-Security-Policy")[0].to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'nonce-"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    let page = String::from_utf8(viewer.body()).unwrap();
    // This URL is the name of a namespace, and is never loaded.
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for elsewhere in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    assert!(status(&point)["errors"].as_array().unwrap().is_empty());
}
