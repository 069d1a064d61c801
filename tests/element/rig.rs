// SPDX-License-Identifier: MPL-2.0

//! A pipeline with the element, its messages as lines, and a publishing point.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Once;
use std::time::{Duration, Instant};

use gst::prelude::*;
use publishing_point::{Handle, PublishingPoint, Push, Running, Settings};

/// Upper bound on any wait, even on a loaded machine.
pub const LONG: Duration = Duration::from_secs(30);

pub fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        gstwmspush::plugin_register_static().unwrap();
    });
}

pub fn fixture(name: &str) -> String {
    format!("{}/proto/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub fn fixture_bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// A publishing point for one test.
pub struct Point {
    pub handle: Handle,
    running: Option<Running>,
}

impl Point {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let point = PublishingPoint::bind(Settings {
            keep: true,
            ..settings
        })
        .unwrap();
        let handle = point.handle();
        Self {
            handle,
            running: Some(point.spawn().unwrap()),
        }
    }

    pub fn location(&self) -> String {
        self.handle.url("live")
    }

    /// Waits for the next session that ends, and returns its push.
    pub fn ended(&self) -> Push {
        let over = |pushes: &[&Push]| pushes.len() == 1 && pushes[0].over;
        let mut pushes = self
            .handle
            .wait_for_pushes(over, LONG)
            .expect("one push that ends");
        pushes.remove(0)
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown();
        }
    }
}

/// A pipeline whose sink is called `sink`.
pub struct Pipeline {
    pub pipeline: gst::Pipeline,
    pub sink: gst::Element,
}

impl Pipeline {
    pub fn new(description: &str) -> Self {
        init();
        let pipeline = gst::parse::launch(description).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let sink = pipeline.by_name("sink").unwrap();
        Self { pipeline, sink }
    }

    /// Returns `filesrc ! wmspushsink`, unpaced.
    pub fn file(name: &str, location: &str, properties: &str) -> Self {
        let path = fixture(name);
        Self::new(&format!(
            "filesrc location={path} ! wmspushsink name=sink sync=false location={location} {properties}"
        ))
    }

    /// `filesrc` to `wmspushsink`, at the speed of the stream.
    pub fn paced(name: &str, location: &str) -> Self {
        let path = fixture(name);
        Self::new(&format!(
            "filesrc location={path} ! wmspushsink name=sink location={location}"
        ))
    }

    pub fn play(&self) {
        // Failures are reported by messages.
        let _ = self.pipeline.set_state(gst::State::Playing);
    }

    /// Returns the messages of the sink, and the pipeline's EOS, up to the first that begins with `last`.
    pub fn messages_until(&self, last: &str) -> Vec<String> {
        let bus = self.pipeline.bus().unwrap();
        let deadline = Instant::now() + LONG;
        let mut lines = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {last:?} after {lines:#?}");
            let left = gst::ClockTime::try_from(left).unwrap();
            let Some(message) = bus.timed_pop(left) else {
                continue;
            };
            let Some(line) = self.line(&message) else {
                continue;
            };
            lines.push(line);
            if lines.last().is_some_and(|line| line.starts_with(last)) {
                return lines;
            }
        }
    }

    /// Returns the remaining messages, without waiting.
    pub fn messages_left(&self) -> Vec<String> {
        let bus = self.pipeline.bus().unwrap();
        std::iter::from_fn(|| bus.pop())
            .filter_map(|message| self.line(&message))
            .collect()
    }

    pub fn run(&self) -> Vec<String> {
        self.play();
        self.messages_until("EOS")
    }

    /// Plays until the ERROR, and returns its details and the messages before it.
    pub fn fail(&self) -> (gst::Structure, Vec<String>) {
        self.play();
        let bus = self.pipeline.bus().unwrap();
        let deadline = Instant::now() + LONG;
        let mut lines = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no ERROR after {lines:#?}");
            let Some(message) = bus.timed_pop(gst::ClockTime::try_from(left).unwrap()) else {
                continue;
            };
            let Some(line) = self.line(&message) else {
                continue;
            };
            lines.push(line);
            if let gst::MessageView::Error(error) = message.view() {
                return (
                    error.details().expect("an ERROR has details").to_owned(),
                    lines,
                );
            }
        }
    }

    pub fn line(&self, message: &gst::Message) -> Option<String> {
        let from_sink = message.src() == Some(self.sink.upcast_ref());
        match message.view() {
            gst::MessageView::Eos(_) => Some("EOS".to_owned()),
            gst::MessageView::Element(element) if from_sink => element.structure().map(status_line),
            gst::MessageView::Progress(progress) if from_sink => {
                let (type_, code, _) = progress.get();
                Some(format!("PROGRESS {code} {type_:?}"))
            }
            gst::MessageView::Error(error) if from_sink => {
                Some(error_line("ERROR", &error.error(), error.details()))
            }
            gst::MessageView::Warning(warning) if from_sink => {
                Some(error_line("WARNING", &warning.error(), warning.details()))
            }
            _ => None,
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

pub fn text<'a>(structure: &'a gst::StructureRef, field: &str) -> &'a str {
    structure.get::<&str>(field).unwrap()
}

fn status_line(status: &gst::StructureRef) -> String {
    assert_eq!(status.name(), "wmspushsink-status");
    format!(
        "{} {}→{} {}",
        text(status, "wmt-status-name"),
        text(status, "previous-state"),
        text(status, "state"),
        text(status, "hresult-name")
    )
}

fn error_line(kind: &str, error: &glib::Error, details: Option<&gst::StructureRef>) -> String {
    let details = details.unwrap_or_else(|| panic!("no details: {error:?}"));
    let code = if let Some(code) = error.kind::<gst::ResourceError>() {
        format!("RESOURCE/{code:?}")
    } else if let Some(code) = error.kind::<gst::StreamError>() {
        format!("STREAM/{code:?}")
    } else {
        format!("{error:?}")
    };
    format!(
        "{kind} {code} {} {} {}",
        text(details, "phase"),
        text(details, "reason"),
        text(details, "hresult-name")
    )
}

/// Returns a file of at least `size` bytes: the packets of a streamable fixture, repeated.
pub fn long_file(size: usize) -> String {
    let fixture = fixture_bytes("av_asfmux_p1500_streamable.asf");
    let packets = &fixture[fixture.len() % 1500..];
    let path = format!(
        "{}/long_{size}_{}.asf",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let mut bytes = fixture.clone();
    while bytes.len() < size {
        bytes.extend_from_slice(packets);
    }
    // Tests run in parallel, and write the same bytes.
    let unique = format!("{path}.{:?}", std::thread::current().id());
    std::fs::write(&unique, bytes).unwrap();
    std::fs::rename(unique, &path).unwrap();
    path
}

/// A listener that drops connection attempts, as a firewall does.
pub struct FullBacklog {
    pub address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

/// Connects until the backlog is full.
pub fn socket_with_full_backlog() -> FullBacklog {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    loop {
        match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => {
                return FullBacklog {
                    address,
                    _listener: listener,
                    _waiting: waiting,
                };
            }
        }
        assert!(waiting.len() < 10_000, "the backlog has no end");
    }
}
