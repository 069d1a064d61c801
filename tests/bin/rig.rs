// SPDX-License-Identifier: MPL-2.0

//! A publishing point that records, and pipelines with a bin called `bin`.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use gst::prelude::*;
use publishing_point::{Event, Fault, PublishingPoint, Running, Settings, When};

/// Upper bound on any wait, even on a loaded machine.
pub const LONG: Duration = Duration::from_secs(60);

pub fn init() {
    static INIT: Once = Once::new();
    INIT.call_once(|| {
        gst::init().unwrap();
        gstwmspush::plugin_register_static().unwrap();
        // GStreamer's assertions fail the test.
        let fatal = glib::LogLevels::LEVEL_CRITICAL | glib::LogLevels::LEVEL_ERROR;
        glib::log_set_fatal_mask(Some("GStreamer"), fatal);
    });
}

/// A publishing point for one test, with its own folder for recordings.
pub struct Point {
    pub running: Running,
    /// The folder for recordings, which is removed at the end.
    pub folder: PathBuf,
}

impl Point {
    pub fn new(name: &str) -> Self {
        Self::with_faults(name, Vec::new())
    }

    pub fn with_faults(name: &str, faults: Vec<(When, Fault)>) -> Self {
        init();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("bin-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let settings = Settings {
            keep: true,
            record: Some(folder.clone()),
            faults,
            ..Settings::default()
        };
        let running = PublishingPoint::bind(settings).unwrap().spawn().unwrap();
        Self { running, folder }
    }

    pub fn url(&self) -> String {
        self.running.url("live")
    }

    /// Waits for the next finished recording.
    pub fn recording(&self) -> PathBuf {
        let recorded = |event: &Event| matches!(event, Event::Recorded { .. });
        match self.running.wait_for(recorded, LONG) {
            Some(Event::Recorded { path, .. }) => path,
            other => panic!("no recording but {other:?}"),
        }
    }

    /// Waits for `count` more data packets.
    pub fn data(&self, count: usize) {
        for _ in 0..count {
            let data = |event: &Event| matches!(event, Event::Data { .. });
            self.running.wait_for(data, LONG).expect("a data packet");
        }
    }

    /// Waits for the next header.
    pub fn header(&self) {
        let header = |event: &Event| matches!(event, Event::Header { .. });
        self.running.wait_for(header, LONG).expect("a header");
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A pipeline that is stopped when it is dropped.
pub struct Pipeline {
    pub pipeline: gst::Pipeline,
    pub bin: gst::Element,
}

impl Pipeline {
    /// Creates the pipeline, and sets the location of `wmspushbin name=bin` in the description.
    pub fn new(point: &Point, description: &str) -> Self {
        init();
        let pipeline = gst::parse::launch(description).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let bin = pipeline.by_name("bin").unwrap();
        bin.set_property("location", point.url());
        Self { pipeline, bin }
    }

    pub fn element(&self, name: &str) -> gst::Element {
        self.pipeline.by_name(name).unwrap()
    }

    pub fn play(&self) {
        // Failures are reported by messages.
        let _ = self.pipeline.set_state(gst::State::Playing);
    }

    pub fn stop(&self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
    }

    /// Waits for a message of one of these types.
    pub fn message(&self, types: &[gst::MessageType]) -> gst::Message {
        let bus = self.pipeline.bus().unwrap();
        let message = bus.timed_pop_filtered(gst::ClockTime::try_from(LONG).unwrap(), types);
        message.unwrap_or_else(|| panic!("none of {types:?}"))
    }

    /// Waits for EOS, and returns the texts of the warnings before it.
    pub fn wait_for_eos(&self) -> Vec<String> {
        let types = [
            gst::MessageType::Eos,
            gst::MessageType::Error,
            gst::MessageType::Warning,
        ];
        let mut warnings = Vec::new();
        loop {
            match self.message(&types).view() {
                gst::MessageView::Eos(_) => return warnings,
                gst::MessageView::Warning(warning) => {
                    warnings.push(warning.error().message().to_owned());
                }
                gst::MessageView::Error(error) => {
                    panic!("{}: {:?}", error.error(), error.debug())
                }
                _ => {}
            }
        }
    }

    pub fn run(&self) -> Vec<String> {
        self.play();
        self.wait_for_eos()
    }

    /// Waits for the ERROR.
    pub fn error(&self) -> glib::Error {
        match self.message(&[gst::MessageType::Error]).view() {
            gst::MessageView::Error(error) => error.error(),
            _ => unreachable!("filtered"),
        }
    }

    /// Prints the messages that explain the failure of a test.
    fn print_messages(&self) {
        let types = [
            gst::MessageType::Error,
            gst::MessageType::Warning,
            gst::MessageType::Element,
        ];
        let bus = self.pipeline.bus().unwrap();
        while let Some(message) = bus.pop_filtered(&types) {
            eprintln!("{message:?}");
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_messages();
        }
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
