// SPDX-License-Identifier: MPL-2.0

//! The element at the end of a pipeline, and its messages.

use std::sync::Once;
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::LONG;
use crate::asf::Stream;
use crate::receiver::Receiver;

pub fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        gstwmspush::plugin_register_static().unwrap();
    });
}

/// A message of the element, or the pipeline's EOS.
#[derive(Clone, Debug)]
pub struct Message {
    pub at: Instant,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Eos,
    Status(gst::Structure),
    Warning(Report),
    Error(Report),
    /// START, CONTINUE, …
    Progress(gst::ProgressType),
}

/// An ERROR or WARNING.
#[derive(Clone, Debug)]
pub struct Report {
    /// `RESOURCE/Busy`
    pub code: String,
    pub text: String,
    pub details: gst::Structure,
}

impl Report {
    pub fn field(&self, name: &str) -> &str {
        self.details.get(name).unwrap()
    }

    pub fn http_status(&self) -> u32 {
        self.details.get("http-status-code").unwrap()
    }
}

/// The pace at which packets enter the element.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All at once. The element delays each one until its Send Time.
    SendTimes,
    /// All at once. The element sends them unpaced.
    Flood,
    /// From a live source, each at its Send Time.
    Live,
}

pub struct Push {
    pub pipeline: gst::Pipeline,
    pub sink: gst::Element,
    stream: Option<Stream>,
    pace: Pace,
    pub messages: Vec<Message>,
}

impl Push {
    /// Pushes `stream` in real time, with these properties of the element.
    pub fn new(stream: &Stream, location: &str, properties: &str) -> Self {
        Self::with(Pace::SendTimes, stream, location, properties)
    }

    pub fn with(pace: Pace, stream: &Stream, location: &str, properties: &str) -> Self {
        let (live, sync) = (pace == Pace::Live, pace != Pace::Flood);
        let push = Self::launch(&format!(
            "appsrc name=source format=time is-live={live} max-bytes=0 ! \
             wmspushsink name=sink sync={sync} location={location} {properties}"
        ));
        push.feeding(stream, pace)
    }

    /// Feeds this stream to the `appsrc` called `source` whenever the pipeline starts to play.
    pub fn feeding(mut self, stream: &Stream, pace: Pace) -> Self {
        self.stream = Some(stream.clone());
        self.pace = pace;
        self
    }

    /// A pipeline whose element is called `sink`.
    pub fn launch(description: &str) -> Self {
        init();
        let pipeline = gst::parse::launch(description).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let sink = pipeline.by_name("sink").unwrap();
        Self {
            pipeline,
            sink,
            stream: None,
            pace: Pace::Flood,
            messages: Vec::new(),
        }
    }

    pub fn play(&self) {
        // Failures are ERRORs on the bus.
        let _ = self.pipeline.set_state(gst::State::Playing);
        let Some(stream) = self.stream.clone() else {
            return;
        };
        let source = self.pipeline.by_name("source").unwrap();
        let (chunks, pace, interval) = (stream.chunks(), self.pace, stream.interval);
        std::thread::spawn(move || {
            let begun = Instant::now();
            for (place, chunk) in (0..).zip(chunks) {
                if pace == Pace::Live {
                    let due = begun + interval * place;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
                let buffer = gst::Buffer::from_mut_slice(chunk);
                if !feed(&source, &buffer) {
                    return;
                }
            }
            let _ = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
        });
    }

    pub fn stop(&self) {
        self.pipeline.set_state(gst::State::Ready).unwrap();
    }

    /// Takes the next message; `None` after `deadline`.
    fn take(&mut self, deadline: Instant) -> Option<&Message> {
        let bus = self.pipeline.bus().unwrap();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = bus.timed_pop(gst::ClockTime::try_from(left).unwrap())?;
            if let Some(kind) = kind(&message, &self.sink) {
                let at = Instant::now();
                self.messages.push(Message { at, kind });
                return self.messages.last();
            }
        }
    }

    /// Takes messages up to the first one that `is` accepts, included; `None` after `timeout`.
    pub fn find(
        &mut self,
        timeout: Duration,
        mut is: impl FnMut(&Kind) -> bool,
    ) -> Option<&Message> {
        let deadline = Instant::now() + timeout;
        while let Some(message) = self.take(deadline) {
            if is(&message.kind) {
                return self.messages.last();
            }
        }
        None
    }

    /// Waits for the status with this name.
    pub fn wait_for(&mut self, status: &str) -> &gst::Structure {
        let found = self.find(LONG, |kind| name(kind) == Some(status)).is_some();
        assert!(found, "no {status}: {}", self.story());
        self.statuses(status).pop().unwrap()
    }

    /// Waits for EOS or ERROR.
    pub fn end(&mut self) -> &Message {
        self.end_within(LONG)
    }

    pub fn end_within(&mut self, timeout: Duration) -> &Message {
        let is_end = |kind: &Kind| matches!(kind, Kind::Eos | Kind::Error(_));
        let found = self.find(timeout, is_end).is_some();
        assert!(found, "neither EOS nor ERROR: {}", self.story());
        self.messages.last().unwrap()
    }

    /// Waits for EOS, without an ERROR before it.
    pub fn end_well(&mut self) -> Instant {
        let end = self.end();
        let (is_eos, at) = (matches!(end.kind, Kind::Eos), end.at);
        assert!(is_eos, "{}", self.story());
        at
    }

    /// Waits for the ERROR, without EOS before it. Returns it and its time.
    pub fn fail(&mut self) -> (Report, Instant) {
        let end = self.end();
        let at = end.at;
        match end.kind.clone() {
            Kind::Error(report) => (report, at),
            _ => panic!("no ERROR: {}", self.story()),
        }
    }

    /// Takes all messages for `time`.
    pub fn take_for(&mut self, time: Duration) {
        self.find(time, |_| false);
    }

    pub fn statuses(&self, status: &str) -> Vec<&gst::Structure> {
        let statuses = self
            .messages
            .iter()
            .filter_map(|message| match &message.kind {
                Kind::Status(structure) if name(&message.kind) == Some(status) => Some(structure),
                _ => None,
            });
        statuses.collect()
    }

    pub fn warnings(&self) -> Vec<&Report> {
        let warnings = self
            .messages
            .iter()
            .filter_map(|message| match &message.kind {
                Kind::Warning(report) => Some(report),
                _ => None,
            });
        warnings.collect()
    }

    pub fn count(&self, is: impl Fn(&Kind) -> bool) -> usize {
        let messages = self.messages.iter();
        messages.filter(|message| is(&message.kind)).count()
    }

    pub fn errors(&self) -> usize {
        self.count(|kind| matches!(kind, Kind::Error(_)))
    }

    pub fn stats(&self) -> Stats {
        Stats(self.sink.property("stats"))
    }

    /// Waits for `stats` that are wanted.
    pub fn wait_for_stats(&self, wanted: impl Fn(&Stats) -> bool) {
        let begun = Instant::now();
        while !wanted(&self.stats()) {
            assert!(begun.elapsed() < LONG, "{}", self.stats().0);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Checks that `stats` counts each packet of the stream once, and each one that the receiver lacks.
    ///
    /// The element cannot count packets that the receiver's kernel acknowledged and the receiver did not read. The
    /// receiver records them, except for at most one a connection that arrives between the recording and the reset.
    pub fn assert_accounted(&self, receiver: &Receiver, stream: &Stream) {
        receiver.wait("the end of each connection", |records| {
            records.iter().all(|record| record.closed.is_some())
        });
        let (stats, story) = (self.stats(), self.story());
        let (sent, dropped) = (stats.large("packets-sent"), stats.large("packets-dropped"));
        let lost = stats.large("packets-lost");
        let sum = sent + dropped;
        assert_eq!(sum, u64::from(stream.packets), "{sent}, {dropped}{story}");
        let unread = receiver.unread();
        let missing: Vec<_> = receiver.missing(stream).into_iter().collect();
        let uncounted = missing.iter().filter(|number| !unread.contains(number));
        let known = lost + dropped + receiver.records().len() as u64 - 1;
        let all = format!("{missing:?}, unread {unread:?}, {lost} lost, {dropped} dropped{story}");
        assert!(uncounted.count() as u64 <= known, "{all}");
    }

    /// The messages, or the latest of very many, for a test that fails.
    pub fn story(&self) -> String {
        const LINES: usize = 30;
        let first = self.messages.first().map(|message| message.at);
        let line = |message: &Message| {
            let at = first.map(|first| message.at - first).unwrap_or_default();
            format!("\n{:6} ms {}", at.as_millis(), message.kind.line())
        };
        let older = self.messages.len().saturating_sub(LINES);
        self.messages[older..].iter().map(line).collect()
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Pushes a buffer into an `appsrc`. Returns false if it is flushing or at EOS.
pub fn feed(source: &gst::Element, buffer: &gst::Buffer) -> bool {
    source.emit_by_name::<gst::FlowReturn>("push-buffer", &[buffer]) == gst::FlowReturn::Ok
}

/// The property `stats`.
pub struct Stats(pub gst::Structure);

impl Stats {
    /// A field of 64 bits.
    pub fn large(&self, field: &str) -> u64 {
        let value = self.0.get(field);
        value.unwrap_or_else(|error| panic!("{field} in {}: {error}", self.0))
    }

    /// A field of 32 bits.
    pub fn small(&self, field: &str) -> u32 {
        let value = self.0.get(field);
        value.unwrap_or_else(|error| panic!("{field} in {}: {error}", self.0))
    }

    pub fn text(&self, field: &str) -> String {
        let value = self.0.get(field);
        value.unwrap_or_else(|error| panic!("{field} in {}: {error}", self.0))
    }
}

/// The name of a status.
pub fn name(kind: &Kind) -> Option<&str> {
    match kind {
        Kind::Status(status) => status.get("wmt-status-name").ok(),
        _ => None,
    }
}

impl Kind {
    fn line(&self) -> String {
        match self {
            Self::Eos => "EOS".to_owned(),
            Self::Progress(progress) => format!("PROGRESS {progress:?}"),
            Self::Status(status) => {
                let text = |field: &str| status.get::<String>(field).unwrap_or_default();
                let number = |field: &str| status.get::<u32>(field).unwrap_or_default();
                format!(
                    "{} {} attempt {} retry-in {} {} {}",
                    text("wmt-status-name"),
                    text("state"),
                    number("attempt"),
                    number("retry-in"),
                    text("reason"),
                    number("http-status-code"),
                )
            }
            Self::Warning(report) => report.line("WARNING"),
            Self::Error(report) => report.line("ERROR"),
        }
    }
}

impl Report {
    fn new(error: &glib::Error, details: Option<&gst::StructureRef>) -> Self {
        let code = if let Some(code) = error.kind::<gst::ResourceError>() {
            format!("RESOURCE/{code:?}")
        } else if let Some(code) = error.kind::<gst::StreamError>() {
            format!("STREAM/{code:?}")
        } else {
            format!("{error:?}")
        };
        Self {
            code,
            text: error.message().to_owned(),
            details: details
                .unwrap_or_else(|| panic!("no details: {error:?}"))
                .to_owned(),
        }
    }

    fn line(&self, kind: &str) -> String {
        format!(
            "{kind} {} {} {}: {} | {}",
            self.code,
            self.field("phase"),
            self.field("reason"),
            self.text,
            self.field("hint")
        )
    }
}

/// A message of `sink`, or an EOS.
pub fn kind(message: &gst::Message, sink: &gst::Element) -> Option<Kind> {
    let from_sink = message.src() == Some(sink.upcast_ref());
    match message.view() {
        gst::MessageView::Eos(_) => Some(Kind::Eos),
        gst::MessageView::Element(element) if from_sink => {
            let structure = element.structure()?.to_owned();
            (structure.name() == "wmspushsink-status").then_some(Kind::Status(structure))
        }
        gst::MessageView::Progress(progress) if from_sink => Some(Kind::Progress(progress.get().0)),
        gst::MessageView::Error(error) if from_sink => {
            Some(Kind::Error(Report::new(&error.error(), error.details())))
        }
        gst::MessageView::Warning(warning) if from_sink => Some(Kind::Warning(Report::new(
            &warning.error(),
            warning.details(),
        ))),
        _ => None,
    }
}
