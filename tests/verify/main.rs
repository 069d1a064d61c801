// SPDX-License-Identifier: MPL-2.0

//! The action `verify` and the property `verify-interval`.
#![cfg(feature = "verify")]

mod front;
mod logins;
mod periodic;
#[cfg(target_os = "linux")]
mod relays;
#[path = "../element/rig.rs"]
#[allow(dead_code, reason = "it serves other tests as well")]
mod rig;

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;
use publishing_point::Event;

use front::{Front, Way};
use rig::{LONG, Pipeline, Point, init, text};

/// Returns an endless picture and tone, with a key frame every half second.
fn live(location: &str, properties: &str) -> Pipeline {
    Pipeline::new(&format!(
        "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 ! avenc_wmv2 gop-size=12 ! \
         identity single-segment=true ! asfmux name=m streamable=true ! \
         wmspushsink name=sink location={location} {properties} \
         audiotestsrc is-live=true ! avenc_wmav2 ! m."
    ))
}

/// Returns the same after the first data was received.
fn on_air(point: &Point, location: &str, properties: &str) -> Pipeline {
    let pipeline = live(location, properties);
    pipeline.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    point.handle.wait_for(data, LONG).expect("data");
    pipeline
}

fn address(point: &Point) -> SocketAddr {
    point.handle.local_addr()
}

fn verify(element: &gst::Element) -> gst::Structure {
    let verified = element.emit_by_name::<gst::Structure>("verify", &[]);
    assert_eq!(verified.name(), "wmspushsink-verify");
    assert_is_typed(&verified);
    verified
}

/// Asserts that all fields exist, in any case.
fn assert_is_typed(verified: &gst::StructureRef) {
    for field in ["location", "error", "hint"] {
        verified.get::<&str>(field).unwrap();
    }
    for field in ["ok", "header-matches"] {
        verified.get::<bool>(field).unwrap();
    }
    for field in ["first-packet", "behind"] {
        verified.get::<u64>(field).unwrap();
    }
    verified.get::<u32>("packets").unwrap();
    assert_eq!(verified.n_fields(), 8, "{verified}");
    let (ok, error) = (verified.get::<bool>("ok").unwrap(), text(verified, "error"));
    assert_eq!(ok, error.is_empty(), "{verified}");
    assert_eq!(ok, text(verified, "hint").is_empty(), "{verified}");
}

#[track_caller]
fn assert_seen(verified: &gst::StructureRef) {
    assert_eq!(verified.get::<bool>("ok"), Ok(true), "{verified}");
    assert_eq!(verified.get::<bool>("header-matches"), Ok(true));
    assert!(verified.get::<u32>("packets").unwrap() > 0, "{verified}");
    assert!(
        verified.get::<u64>("first-packet").unwrap() > 0,
        "{verified}"
    );
    let behind = Duration::from_nanos(verified.get::<u64>("behind").unwrap());
    assert!(behind < Duration::from_secs(5), "{verified}");
}

/// Asserts that the verification failed, with these words in the reason.
#[track_caller]
fn assert_unseen(verified: &gst::StructureRef, error: &str, hint: &str) {
    assert_eq!(verified.get::<bool>("ok"), Ok(false), "{verified}");
    assert!(text(verified, "error").contains(error), "{verified}");
    assert!(text(verified, "hint").contains(hint), "{verified}");
}

#[test]
fn a_live_push_is_seen_by_viewers() {
    let point = Point::new();
    let pipeline = on_air(&point, &point.location(), "");
    let verified = verify(&pipeline.sink);
    assert_seen(&verified);
    assert_eq!(text(&verified, "location"), point.location());
    let viewer = |event: &Event| matches!(event, Event::ViewerJoined { user_agent, .. } if user_agent.starts_with("NSPlayer/"));
    point.handle.wait_for(viewer, LONG).expect("a viewer");
    let left = |event: &Event| matches!(event, Event::ViewerLeft { .. });
    point.handle.wait_for(left, LONG).expect("it leaves");
}

#[test]
fn without_a_push_viewers_see_nothing() {
    let point = Point::new();
    init();
    let element = gst::ElementFactory::make("wmspushsink");
    let element = element.property("location", point.location()).build();
    let verified = verify(&element.unwrap());
    assert_unseen(&verified, "is pushing nothing", "Start the push");
}

#[test]
fn after_its_end_viewers_see_no_push() {
    let point = Point::new();
    let pipeline = Pipeline::file("av_asfmux_p1500_streamable.asf", &point.location(), "");
    pipeline.run();
    let verified = verify(&pipeline.sink);
    assert_unseen(&verified, "is pushing nothing", "Start the push");
}

#[test]
fn failing_settings_and_connections_are_returned() {
    init();
    let element = gst::ElementFactory::make("wmspushsink").build().unwrap();
    assert_unseen(&verify(&element), "Cannot verify", "location");
    element.set_property("location", "ftp://alice:s3cret@media/");
    let verified = verify(&element);
    assert_unseen(&verified, "ftp://", "");
    assert!(!verified.to_string().contains("s3cret"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    element.set_property("location", format!("http://alice:s3cret@127.0.0.1:{port}/"));
    let verified = verify(&element);
    assert_unseen(&verified, "refused the connection", "port");
    assert!(!verified.to_string().contains("s3cret"));
    element.set_property("location", "http://no.such.host.invalid/");
    assert_unseen(&verify(&element), "cannot be resolved", "host name");
}

fn response(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nServer: Relay/1\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

/// Returns `$H` with the header of a fixture.
fn header_packet(name: &str) -> Vec<u8> {
    let file = rig::fixture_bytes(name);
    let header = gstwmspush::asf::FileHeader::parse(header_of(&file).into()).unwrap();
    gstwmspush::wmsp::Framer::header(header.to_live().as_bytes()).to_vec()
}

/// Returns a Header Object, and 50 bytes of Data Object.
fn header_of(file: &[u8]) -> Vec<u8> {
    let size = u64::from_le_bytes(file[16..24].try_into().unwrap());
    file[..usize::try_from(size).unwrap() + 50].to_vec()
}

const VIDEO: &str = "video_asfmux_p3200_streamable.asf";

/// Pushes a file as a live stream whose end is far away.
fn of_file(location: &str, properties: &str) -> Pipeline {
    Pipeline::new(&format!(
        "filesrc location={} ! identity sleep-time=100000 ! wmspushsink name=sink sync=false location={location} {properties}",
        rig::long_file(1_000_000)
    ))
}

#[test]
fn a_refusal_of_viewers_is_returned() {
    for (status, hint) in [
        ("401 Unauthorized", "anonymous viewers"),
        ("403 Forbidden", "refuses viewers"),
        ("404 Not Found", "nothing at this path"),
        ("503 Service Unavailable", "limit of viewers"),
    ] {
        let point = Point::new();
        let front = Front::new(address(&point), move |_| {
            Way::Answer(response(status, "Content-Length: 0\r\n", b""))
        });
        let pipeline = on_air(&point, &front.location(), "");
        assert_unseen(&verify(&pipeline.sink), status, hint);
    }
}

#[test]
fn a_header_without_data_is_returned() {
    let point = Point::new();
    let own = header_packet("av_asfmux_p1500_streamable.asf");
    let front = Front::new(address(&point), move |_| {
        let fields = "Content-Type: application/x-mms-framed\r\n";
        Way::Hold(response("200 OK", fields, &own))
    });
    let pipeline = of_file(&front.location(), "timeout=500");
    pipeline.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    point.handle.wait_for(data, LONG).expect("data");
    let begun = Instant::now();
    let verified = verify(&pipeline.sink);
    assert!(begun.elapsed() < Duration::from_millis(1500), "2 × timeout");
    assert_unseen(&verified, "no data", "1500 bytes");
    assert_eq!(verified.get::<bool>("header-matches"), Ok(true));
}

#[test]
fn a_header_that_was_not_pushed_is_returned() {
    let point = Point::new();
    let other = header_packet(VIDEO);
    let front = Front::new(address(&point), move |_| {
        let fields = "Content-Type: application/x-mms-framed\r\n";
        Way::Hold(response("200 OK", fields, &other))
    });
    let pipeline = on_air(&point, &front.location(), "timeout=300");
    let verified = verify(&pipeline.sink);
    assert_unseen(&verified, "another header", "resume=false");
    assert_eq!(verified.get::<bool>("header-matches"), Ok(false));
}

#[test]
fn responses_without_a_stream_are_returned() {
    let html = response(
        "200 OK",
        "Content-Type: text/html\r\n",
        b"<!DOCTYPE html><html></html>",
    );
    let playlist = response("200 OK", "", b"<ASX version=\"3\"></ASX>");
    for (answer, error, hint) in [
        (html, "an HTML page", "Another service"),
        (playlist, "metafile", "playlist"),
        (
            response("200 OK", "", b"#EXTM3U\nhttp://media/live\n"),
            "a playlist",
            "they watch the URL in it",
        ),
        (
            b"SSH-2.0-server\r\n".to_vec(),
            "HTTP",
            "accepts the push and does not answer viewers",
        ),
        (Vec::new(), "closed", "does not answer viewers"),
        (
            response("204 No Content", "", b""),
            "204",
            "without a stream",
        ),
        (
            response("302 Found", "Content-Length: 0\r\n", b""),
            "302",
            "no URL that a player can follow",
        ),
        (
            response("200 OK", "Content-Length: 0\r\n", b""),
            "closed",
            "nothing for them",
        ),
    ] {
        let point = Point::new();
        let front = Front::new(address(&point), move |_| Way::Answer(answer.clone()));
        let pipeline = on_air(&point, &front.location(), "");
        assert_unseen(&verify(&pipeline.sink), error, hint);
    }
}

#[test]
fn a_server_without_the_protocol_of_players_shows_a_file() {
    let point = Point::new();
    let to = address(&point);
    let front = Front::new(to, move |head| match head.contains("NSPlayer") {
        true => Way::Answer(response("400 Bad Request", "Content-Length: 0\r\n", b"")),
        false => Way::To(to),
    });
    let pipeline = on_air(&point, &front.location(), "");
    assert_seen(&verify(&pipeline.sink));
}

#[test]
fn a_redirection_of_viewers_is_followed() {
    let point = Point::new();
    let pipeline = redirected(&point, address(&point));
    assert_seen(&verify(&pipeline.sink));
}

#[test]
fn a_redirection_to_another_server_is_returned() {
    let (point, elsewhere) = (Point::new(), Point::new());
    let pipeline = redirected(&point, address(&elsewhere));
    let verified = verify(&pipeline.sink);
    assert_unseen(&verified, "404", "redirected viewers to localhost");
}

/// Returns a push to `point`, whose viewers are redirected to `target` on another host.
fn redirected(point: &Point, target: SocketAddr) -> Pipeline {
    let target = format!("http://localhost:{}/live", target.port());
    let front = Front::new(address(point), move |_| {
        let fields = format!("Location: {target}\r\nContent-Length: 0\r\n");
        Way::Answer(response("302 Found", &fields, b""))
    });
    on_air(point, &front.location(), "")
}

#[test]
fn endless_redirections_end() {
    let point = Point::new();
    let front = Front::new(address(&point), |_| {
        let fields = "Location: /again\r\nContent-Length: 0\r\n";
        Way::Answer(response("302 Found", fields, b""))
    });
    let pipeline = on_air(&point, &front.location(), "");
    assert_unseen(&verify(&pipeline.sink), "too often", "another URL");
}

/// Windows Media servers know viewers of other protocols as well.
#[test]
fn a_redirection_to_another_protocol_is_named() {
    let point = Point::new();
    let front = Front::new(address(&point), |_| {
        let fields = "Location: mms://media/live\r\nContent-Length: 0\r\n";
        Way::Answer(response("302 Found", fields, b""))
    });
    let pipeline = on_air(&point, &front.location(), "");
    let verified = verify(&pipeline.sink);
    assert_unseen(
        &verified,
        "redirects viewers to a URL of mms",
        "another URL",
    );
}

/// With a silent server, NULL ends the call of another thread.
#[test]
fn null_cancels_a_verification() {
    let point = Point::new();
    let (asking, asked) = mpsc::channel();
    let asking = std::sync::Mutex::new(asking);
    let front = Front::new(address(&point), move |_| {
        asking.lock().unwrap().send(()).unwrap();
        Way::Hold(Vec::new())
    });
    let pipeline = on_air(&point, &front.location(), "");
    let sink = pipeline.sink.clone();
    let verifying = std::thread::spawn(move || verify(&sink));
    asked.recv_timeout(LONG).expect("a request");
    let begun = Instant::now();
    pipeline.pipeline.set_state(gst::State::Null).unwrap();
    let verified = verifying.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_unseen(&verified, "cancelled", "stopped");
}

#[test]
fn a_silent_server_times_out_for_viewers() {
    let point = Point::new();
    let front = Front::new(address(&point), |_| Way::Hold(Vec::new()));
    let pipeline = on_air(&point, &front.location(), "timeout=300");
    let begun = Instant::now();
    let verified = verify(&pipeline.sink);
    assert!(begun.elapsed() < Duration::from_millis(2 * 300 + 200));
    assert_unseen(
        &verified,
        "did not respond within 300 ms",
        "does not answer viewers",
    );
}

/// The push uses the proxy, and so do viewers.
#[test]
fn viewers_use_the_proxy_of_the_push() {
    let point = Point::new();
    let to = address(&point);
    let proxy = Front::new(to, move |_| Way::To(to));
    let location = format!("http://push.invalid:{}/live", to.port());
    let properties = format!("proxy=http://{}", proxy.address);
    let pipeline = on_air(&point, &location, &properties);
    assert_seen(&verify(&pipeline.sink));
}
