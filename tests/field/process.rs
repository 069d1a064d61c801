// SPDX-License-Identifier: MPL-2.0

//! The element and its process: memory, handlers, logging, limits, `fork ()`.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::LONG;
use crate::alone::{alone, limited, run};
use crate::asf::Stream;
use crate::connection::Connection;
use crate::push::{self, Kind, Pace, Push, init};
use crate::receiver::Receiver;

/// Writes the stream into a temporary file. Returns its path.
fn file(name: &str, stream: &Stream) -> String {
    let (directory, process) = (env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let path = format!("{directory}/field-{name}-{process}.asf");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    for chunk in stream.chunks() {
        file.write_all(&chunk).unwrap();
    }
    file.flush().unwrap();
    path
}

/// A size in `/proc/self/status`, in bytes.
fn status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let size = line.unwrap().trim_matches(|c: char| !c.is_ascii_digit());
    size.parse::<usize>().unwrap() * 1024
}

/// B13
#[test]
fn small_packets_stay_within_max_size_bytes() {
    const BOUND: usize = 40 << 20;
    alone("process::small_packets_stay_within_max_size_bytes", || {
        let receiver = Receiver::narrow(4096, Some(1024), |mut connection| {
            connection.let_in()?;
            connection.stall(LONG);
            Ok(())
        });
        let stream = Stream {
            packet_size: 100,
            ..Stream::of(400_000)
        };
        let path = file("small", &stream);
        let mut push = Push::launch(&format!(
            "filesrc location={path} blocksize=65536 ! wmspushsink name=sink sync=false leaky=downstream \
             max-size-bytes=33554432 max-size-time=0 eos-timeout=300 location={}",
            receiver.location()
        ));
        let before = status("VmRSS:");
        push.play();
        push.end();
        let grown = status("VmHWM:") - before;
        std::fs::remove_file(path).unwrap();
        assert!(grown <= BOUND, "{} KiB{}", grown / 1024, push.story());
    });
}

/// C5
#[test]
fn a_blocked_handler_does_not_block_other_pushes() {
    const BLOCKED: Duration = Duration::from_secs(3);
    alone(
        "process::a_blocked_handler_does_not_block_other_pushes",
        || {
            let (receiver, other) = (
                Receiver::new(Connection::serve),
                Receiver::new(Connection::serve),
            );
            let steady = Push::new(&Stream::of(800), &receiver.location(), "");
            steady.play();
            receiver.wait_for_packets(20);
            let blocking = Push::new(&Stream::of(100), &other.location(), "");
            let (entered, is_entered) = mpsc::channel();
            let bus = blocking.pipeline.bus().unwrap();
            let first = AtomicBool::new(true);
            bus.set_sync_handler(move |_, message| {
                let is_status = message
                    .structure()
                    .is_some_and(|s| s.name() == "wmspushsink-status");
                if is_status && first.swap(false, Ordering::SeqCst) {
                    entered.send(Instant::now()).unwrap();
                    std::thread::sleep(BLOCKED);
                }
                gst::BusSyncReply::Pass
            });
            // The first status may come from within the state change, which then blocks.
            let pipeline = blocking.pipeline.clone();
            std::thread::spawn(move || pipeline.set_state(gst::State::Playing));
            let begun = is_entered.recv_timeout(LONG).unwrap();
            std::thread::sleep(BLOCKED);
            let packets = receiver.records().remove(0).packets;
            let times = packets.iter().map(|packet| packet.at);
            let meanwhile = times.filter(|at| (begun..begun + BLOCKED).contains(at));
            let meanwhile = meanwhile.count();
            assert!(meanwhile >= 100, "{meanwhile} packets in {BLOCKED:?}");
        },
    );
}

/// C5
#[test]
fn a_notify_handler_may_probe() {
    alone("process::a_notify_handler_may_probe", || {
        let receiver = Receiver::new(Connection::serve);
        let other = Receiver::new(Connection::serve);
        let mut push = Push::new(&Stream::of(100), &receiver.location(), "");
        let stranger = gst::ElementFactory::make("wmspushsink")
            .property("location", other.location())
            .build()
            .unwrap();
        let (probed, is_probed) = mpsc::channel();
        let first = AtomicBool::new(true);
        push.sink
            .connect_notify(Some("session-state"), move |sink, _| {
                let state = sink.property_value("session-state");
                let is_streaming = state.get() == Ok(gstwmspush::SessionState::Streaming);
                if is_streaming && first.swap(false, Ordering::SeqCst) {
                    for element in [sink, &stranger] {
                        probed
                            .send(element.emit_by_name::<gst::Structure>("probe", &[]))
                            .unwrap();
                    }
                }
            });
        push.play();
        for _ in 0..2 {
            let answer = is_probed.recv_timeout(LONG / 2);
            assert!(answer.is_ok(), "no answer{}", push.story());
        }
        push.end_well();
        assert_eq!(receiver.requests(), ["setup new", "start known"]);
        assert_eq!(other.requests(), ["setup new"]);
    });
}

/// Reads every property of `element` at each line of its category. Returns the number of lines.
fn read_properties_while_logging(element: &gst::Element) -> &'static AtomicUsize {
    static LINES: AtomicUsize = AtomicUsize::new(0);
    static ELEMENT: OnceLock<gst::Element> = OnceLock::new();
    thread_local!(static READS: Cell<bool> = const { Cell::new(false) });
    ELEMENT.set(element.clone()).unwrap();
    gst::log::remove_default_log_function();
    gst::log::set_active(true);
    gst::log::set_threshold_for_name("wmspushsink", gst::DebugLevel::Trace);
    gst::log::add_log_function(|category, _, _, _, _, _, _| {
        if category.name() != "wmspushsink" || READS.replace(true) {
            return;
        }
        let element = ELEMENT.get().unwrap();
        for property in element.list_properties() {
            if property.flags().contains(glib::ParamFlags::READABLE) {
                let _ = element.property_value(property.name());
            }
        }
        LINES.fetch_add(1, Ordering::SeqCst);
        READS.set(false);
    });
    &LINES
}

/// C6
#[test]
fn a_log_function_may_read_properties() {
    alone("process::a_log_function_may_read_properties", || {
        let receiver = Receiver::new(|mut connection| {
            if connection.number > 0 {
                return connection.serve();
            }
            connection.let_in()?;
            connection.packets(10)?;
            connection.reset()
        });
        let mut push = Push::new(&Stream::of(100), &receiver.location(), "");
        let lines = read_properties_while_logging(&push.sink);
        for property in push.sink.list_properties() {
            let flags = property.flags();
            let ours = property.owner_type().name() == "GstWmsPushSink";
            if ours && flags.contains(glib::ParamFlags::READWRITE) {
                let value = push.sink.property_value(property.name());
                push.sink.set_property_from_value(property.name(), &value);
            }
        }
        push.sink.set_property("user-pw", "s3cret");
        // Unusable settings are logged.
        for location in ["rtsp://localhost/live", "http://[/", &receiver.location()] {
            push.sink.set_property("location", location);
            push.sink.set_property("timeout", 10_000u32);
        }
        push.play();
        push.end_well();
        assert!(lines.load(Ordering::SeqCst) > 0);
    });
}

/// Opens files until the process has no descriptors left.
fn use_up_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// Allocates address space until too little is left for a thread's stack of `RUST_MIN_STACK` bytes.
fn use_up_memory() -> Vec<Vec<u8>> {
    const CHUNK: usize = 32 << 20;
    let reserve = || {
        let mut chunk = Vec::new();
        chunk.try_reserve_exact(CHUNK).ok().map(|()| chunk)
    };
    std::iter::from_fn(reserve).collect()
}

/// Connects and probes without descriptors or threads. Both may fail, and neither may end the process or hang.
fn connect_and_probe(location: &str, use_up: impl FnOnce() -> Box<dyn std::any::Any>) {
    init();
    let element = || {
        let element = gst::ElementFactory::make("wmspushsink");
        element.property("location", location).build().unwrap()
    };
    // No pipeline, because it needs threads and descriptors of its own.
    let (sink, stranger, bus) = (element(), element(), gst::Bus::new());
    sink.set_bus(Some(&bus));
    let used = use_up();
    let answer: gst::Structure = stranger.emit_by_name("probe", &[]);
    let changed = sink.set_state(gst::State::Paused);
    let end = outcome(&sink, &bus);
    drop(used);
    println!("probe: {answer}, {changed:?}, {end:?}");
    if let Some(Kind::Error(report)) = &end {
        assert!(report.code.starts_with("RESOURCE/"), "{}", report.code);
        assert!(!report.field("reason").is_empty());
    }
    assert!(end.is_some(), "neither an ERROR nor a connection");
    sink.set_state(gst::State::Null).unwrap();
}

/// Returns whether a status is WMT_OPENED with S_OK.
fn is_opened(kind: &Kind) -> bool {
    match kind {
        Kind::Status(status) => {
            push::name(kind) == Some("WMT_OPENED") && status.get("hresult") == Ok(0u32)
        }
        _ => false,
    }
}

/// Waits for the ERROR, or the WMT_OPENED of a connection; `None` after 15 s.
fn outcome(sink: &gst::Element, bus: &gst::Bus) -> Option<Kind> {
    let deadline = Instant::now() + LONG / 2;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let message = bus.timed_pop(gst::ClockTime::try_from(left).unwrap())?;
        match push::kind(&message, sink) {
            Some(kind @ Kind::Error(_)) => return Some(kind),
            Some(kind) if is_opened(&kind) => return Some(kind),
            _ => {}
        }
    }
}

/// C7
#[test]
fn without_descriptors_a_push_is_an_error() {
    let receiver = OnceLock::new();
    limited(
        "process::without_descriptors_a_push_is_an_error",
        "ulimit -n 64;",
        || {
            receiver
                .get_or_init(|| Receiver::new(Connection::serve))
                .location()
        },
        |location| connect_and_probe(location, || Box::new(use_up_descriptors())),
    );
}

/// C7: the element has worked before.
#[test]
fn descriptors_may_run_out_between_pushes() {
    let receiver = OnceLock::new();
    limited(
        "process::descriptors_may_run_out_between_pushes",
        "ulimit -n 64;",
        || {
            receiver
                .get_or_init(|| Receiver::new(Connection::serve))
                .location()
        },
        |location| {
            let mut push = Push::with(Pace::Flood, &Stream::of(20), location, "");
            push.play();
            push.end_well();
            connect_and_probe(location, || Box::new(use_up_descriptors()));
        },
    );
}

/// C7
#[test]
fn without_threads_a_push_is_an_error() {
    let receiver = OnceLock::new();
    limited(
        "process::without_threads_a_push_is_an_error",
        "ulimit -v 4000000; export RUST_MIN_STACK=67108864;",
        || {
            receiver
                .get_or_init(|| Receiver::new(Connection::serve))
                .location()
        },
        |location| connect_and_probe(location, || Box::new(use_up_memory())),
    );
}

/// Pushes in Python, forks, and pushes again in the child. Returns the output. `element` may be another sink.
fn fork(element: &str) -> String {
    init();
    let path = file("fork", &Stream::of(20));
    // The system's Python has GStreamer's bindings; another one may precede it in PATH.
    let mut python = Command::new("/usr/bin/python3");
    python
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field/fork.py"))
        .args([&path, element])
        .env("GST_PLUGIN_PATH", crate::plugin::directory())
        .env(
            "GST_REGISTRY",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("field.registry"),
        );
    run(&mut python)
}

/// C8
#[test]
fn a_forked_process_pushes_too() {
    let gstreamer = fork("fakesink");
    assert!(gstreamer.contains("child: EOS"), "GStreamer: {gstreamer}");
    let receiver = Receiver::new(Connection::serve);
    let element = format!("wmspushsink sync=false location={}", receiver.location());
    let output = fork(&element);
    assert!(output.contains("parent: EOS"), "{output}");
    assert!(output.contains("child: EOS"), "{output}");
    let ends = receiver.records();
    let ends = ends.iter().filter(|record| record.letters() == "HDE");
    assert_eq!(ends.count(), 2);
}
