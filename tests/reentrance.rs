// SPDX-License-Identifier: MPL-2.0

//! Log functions and bus handlers that call the element, on the thread that logs or posts.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use gst::prelude::*;
use publishing_point::{PublishingPoint, Settings};

/// Upper bound on the life of an element.
const LONG: Duration = Duration::from_secs(30);

const STREAM: &[u8] = include_bytes!("../proto/tests/fixtures/av_asfmux_p1500_streamable.asf");
const PACKET: usize = 1500;

thread_local! {
    /// True while the thread is in [`touch`], which may cause log lines and messages.
    static TOUCHING: Cell<bool> = const { Cell::new(false) };
}

/// Calls that an application may make at any time.
fn touch(element: &gst::Element) {
    if TOUCHING.replace(true) {
        return;
    }
    let own = |spec: &glib::ParamSpec| spec.owner_type() == element.type_();
    for spec in element.list_properties().iter().filter(|spec| own(spec)) {
        if spec.flags().contains(glib::ParamFlags::READABLE) {
            element.property_value(spec.name());
        }
    }
    element.set_property("stats-interval", element.property::<u32>("stats-interval"));
    element.query_position::<gst::ClockTime>();
    element.query(gst::query::Latency::new().query_mut());
    let pad = element.static_pad("sink").unwrap();
    pad.query(gst::query::Seeking::new(gst::Format::Bytes).query_mut());
    let handler = element.dynamic_cast_ref::<gst::URIHandler>().unwrap();
    handler.uri();
    TOUCHING.set(false);
}

/// Runs `life` on a thread of its own, and fails if it does not end.
fn assert_ends(life: impl FnOnce() + Send + 'static) {
    let (sender, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        life();
        sender.send(()).unwrap();
    });
    match ended.recv_timeout(LONG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the element is stuck"),
        _ => thread.join().unwrap(),
    }
}

fn harness(sink: &gst::Element) -> gst_check::Harness {
    let mut harness = gst_check::Harness::with_element(sink, Some("sink"), None);
    harness.play();
    harness.push_event(gst::event::StreamStart::new("test"));
    let header = gst::Buffer::from_slice(&STREAM[..STREAM.len() % PACKET]);
    let caps =
        gst::Caps::builder("video/x-ms-asf").field("streamheader", gst::Array::new([header]));
    harness.push_event(gst::event::Caps::new(&caps.build()));
    let segment = gst::FormattedSegment::<gst::format::Bytes>::new();
    harness.push_event(gst::event::Segment::new(&segment));
    harness
}

/// A life with everything that an element logs and posts: unusable settings, a joined stream, a damaged packet, a
/// flush, a segment that goes back, skipped input, the end.
fn live(sink: &gst::Element) {
    sink.set_property("location", "rtsp://127.0.0.1/");
    sink.set_property("proxy", "socks5://127.0.0.1/");
    let point = PublishingPoint::bind(Settings::default()).unwrap();
    let point = point.spawn().unwrap();
    sink.set_property("location", point.url("live"));
    sink.set_property("proxy", "");
    sink.set_property("stats-interval", 1u32);
    for _ in 0..2 {
        let mut harness = harness(sink);
        let packets = STREAM[STREAM.len() % PACKET..].chunks(PACKET).skip(1);
        for packet in packets {
            harness.push(gst::Buffer::from_slice(packet)).unwrap();
        }
        harness
            .push(gst::Buffer::from_slice([0xff; PACKET]))
            .unwrap();
        let mut segment = gst::FormattedSegment::<gst::format::Bytes>::new();
        segment.set_start(gst::format::Bytes::from_u64(56));
        harness.push_event(gst::event::Segment::new(&segment));
        harness.push(gst::Buffer::from_slice([0; 8])).unwrap();
        harness.push_event(gst::event::FlushStart::new());
        harness.push_event(gst::event::FlushStop::new(true));
        harness.push_event(gst::event::Segment::new(&segment));
        harness
            .push(gst::Buffer::from_slice(&STREAM[..100]))
            .unwrap();
        harness.push_event(gst::event::Eos::new());
        sink.emit_by_name::<gst::Structure>("probe", &[]);
        sink.set_state(gst::State::Ready).unwrap();
    }
    sink.set_property("location", None::<&str>);
    assert!(sink.set_state(gst::State::Paused).is_err());
    sink.set_state(gst::State::Null).unwrap();
    point.shutdown();
}

fn sink(name: &str) -> gst::Element {
    gst::init().unwrap();
    gstwmspush::plugin_register_static().unwrap();
    let sink = gst::ElementFactory::make("wmspushsink").name(name);
    sink.property("sync", false).build().unwrap()
}

#[test]
fn a_log_function_may_call_the_element() {
    let sink = sink("logging");
    let lines = Arc::<AtomicU64>::default();
    gst::log::remove_default_log_function();
    gst::log::set_threshold_from_string("wmspushsink:LOG", false);
    let function = gst::log::add_log_function({
        let (sink, lines) = (sink.downgrade(), lines.clone());
        move |of, _, _, _, _, object, _| {
            let sink = sink.upgrade();
            let own = object.is_some_and(|object| object.to_string().contains("logging"));
            if let Some(sink) = sink.filter(|_| own && of.name() == "wmspushsink") {
                lines.fetch_add(1, Ordering::Relaxed);
                touch(&sink);
            }
        }
    });
    assert_ends(move || live(&sink));
    gst::log::remove_log_function(function);
    let lines = lines.load(Ordering::Relaxed);
    assert!(lines > 100, "{lines} lines");
}

#[test]
fn a_sync_handler_may_call_the_element() {
    let sink = sink("posting");
    let messages = Arc::<AtomicU64>::default();
    let bus = gst::Bus::new();
    bus.set_sync_handler({
        let (sink, messages) = (sink.downgrade(), messages.clone());
        move |_, _| {
            if let Some(sink) = sink.upgrade() {
                messages.fetch_add(1, Ordering::Relaxed);
                touch(&sink);
            }
            gst::BusSyncReply::Drop
        }
    });
    sink.set_bus(Some(&bus));
    assert_ends(move || live(&sink));
    let messages = messages.load(Ordering::Relaxed);
    assert!(messages > 20, "{messages} messages");
}
