// SPDX-License-Identifier: MPL-2.0

//! HTTP apart from MS-WMSP: methods, bodies and pipelined requests.

use publishing_point::Event;
use wmspush_proto::wmhttp::server::Points;

use crate::client::{Client, event, serve};
use crate::stream::{AUDIO_VIDEO, Pusher, Stream};
use crate::viewer::{NEW, Viewer};

/// RFC 9110 section 9.3.2 HEAD
#[test]
fn a_head_returns_the_fields_of_a_get_alone() {
    let point = serve(|_| {});
    for path in ["/", "/status", "/metrics", "/missing"] {
        let get = Viewer::ask(&point, &format!("GET {path} HTTP/1.1\nHost: a"));
        let mut head = Viewer::ask(
            &point,
            &format!("HEAD {path} HTTP/1.1\nHost: a\nConnection: close"),
        );
        assert_eq!(head.status(), get.status(), "{path}");
        assert_eq!(head.fields("Content-Type"), get.fields("Content-Type"));
        let length: usize = head.fields("Content-Length")[0].parse().unwrap();
        assert!(length > 0 && head.rest().is_empty(), "{path}");
    }
    // The connection stays in step.
    let mut client = Client::connect(&point);
    client.send("HEAD /status HTTP/1.1\r\nHost: a\r\n\r\nGET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let both = String::from_utf8(client.rest()).unwrap();
    assert_eq!(both.matches("HTTP/1.1 200 OK").count(), 2);
    assert_eq!(both.matches("\"server\"").count(), 1);
}

#[test]
fn a_head_of_a_stream_is_no_viewer() {
    let point = serve(|settings| settings.max_viewers = 0);
    let stream = Stream::of(AUDIO_VIDEO);
    let _pusher = Pusher::start(&point, "/live", &stream.header);
    for agent in ["curl/8.0", NEW] {
        let request = format!("HEAD /live HTTP/1.1\nHost: a\nUser-Agent: {agent}");
        let mut head = Viewer::ask(&point, &request);
        assert_eq!(head.status(), 200);
        assert_eq!(head.fields("Content-Type"), ["video/x-ms-asf"]);
        assert!(head.rest().is_empty());
    }
    let joined = |event: &Event| matches!(event, Event::ViewerJoined { .. });
    assert_eq!(point.wait_for(joined, std::time::Duration::ZERO), None);
}

/// RFC 9110 section 9.3.7 OPTIONS
#[test]
fn options_list_the_methods() {
    let point = serve(|_| {});
    for target in ["*", "/", "/live"] {
        let options = Viewer::ask(&point, &format!("OPTIONS {target} HTTP/1.1\nHost: a"));
        assert_eq!(options.status(), 200);
        assert_eq!(options.fields("Allow"), ["OPTIONS, GET, HEAD, POST"]);
    }
}

/// A body is never taken for the next request.
#[test]
fn a_connection_closes_behind_a_body_that_is_not_read() {
    let point = serve(|_| {});
    let smuggled = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = format!("Content-Length: {}", smuggled.len());
    let chunks = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    for (method, agent, field, body, status) in [
        ("GET", "a", length.as_str(), smuggled, 200),
        ("OPTIONS", "a", &length, smuggled, 200),
        ("GET", "a", "Transfer-Encoding: chunked", &chunks, 200),
        ("OPTIONS", NEW, "Transfer-Encoding: chunked", &chunks, 413),
    ] {
        let mut client = Client::connect(&point);
        client.send(format!(
            "{method} /status HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n{field}\r\n\r\n{body}"
        ));
        let response = client.response();
        assert_eq!(response.status(), status, "{method} {agent} {field}");
        assert_eq!(response.field("Connection"), Some("close"));
        assert!(client.rest().is_empty());
    }
}

#[test]
fn a_client_with_tls_is_named_in_the_event() {
    let point = serve(|_| {});
    let mut client = Client::connect(&point);
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_eq!(client.response().status(), 400);
    let refused = event(&point, |event| matches!(event, Event::Refused { .. }));
    assert_eq!(
        refused.to_string(),
        "unknown client: refused with 400: the client speaks TLS, but this port has none: use http:// in place of \
         https://"
    );
}

/// RFC 3986 section 6.2.2: browsers and encoders escape a name, ffmpeg sends it raw.
#[test]
fn a_name_is_the_same_with_and_without_escapes() {
    let point =
        serve(|settings| settings.points = Points::Listed(["/k%c3%a4se".to_owned()].into()));
    let stream = Stream::of(AUDIO_VIDEO);
    let _pusher = Pusher::start(&point, "/k%C3%A4s%65", &stream.header);
    for path in ["/käse", "/k%c3%a4se", "/%6B%C3%A4se"] {
        let viewer = Viewer::ask(&point, &format!("GET {path} HTTP/1.1\nHost: a"));
        assert_eq!(viewer.status(), 200, "{path}");
    }
    let mut viewer = Viewer::ask(&point, "GET /status HTTP/1.1\nHost: a");
    let status: serde_json::Value = serde_json::from_slice(&viewer.body()).unwrap();
    assert_eq!(status["configured"][0], "/käse");
    assert_eq!(status["points"][0]["point"], "/käse");
    let watch = format!("mmsh://{}/k%C3%A4se", point.local_addr());
    assert_eq!(status["points"][0]["watch"], watch);
}

#[test]
fn a_user_agent_is_shown_in_any_script() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let _pusher = Pusher::start(&point, "/live", &stream.header);
    let _viewer = Viewer::ask(&point, "GET /live HTTP/1.1\nHost: a\nUser-Agent: Плеер/1");
    event(&point, |event| matches!(event, Event::ViewerJoined { .. }));
    assert_eq!(point.viewers()[0].user_agent, "Плеер/1");
}

#[test]
fn an_icon_that_browsers_request_is_no_error() {
    let point = serve(|_| {});
    let icon = Viewer::ask(&point, "GET /favicon.ico HTTP/1.1\nHost: a");
    assert_eq!(icon.status(), 404);
    assert!(point.status().errors.is_empty());
    let missing = Viewer::ask(&point, "GET /live HTTP/1.1\nHost: a");
    assert_eq!(missing.status(), 404);
    assert_eq!(point.status().errors.len(), 1);
}
