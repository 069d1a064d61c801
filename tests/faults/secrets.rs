// SPDX-License-Identifier: MPL-2.0

//! Searches everything that an application can see for secrets.

use std::collections::{BTreeSet, HashMap};
use std::process::Command;
use std::sync::{Arc, Mutex};

use gst::prelude::*;

use crate::rig::Pipeline;
use crate::rows::Row;
use crate::run::{self, PASSWORD, USER};

/// Environment variable of a test that is alone in its process.
const ALONE: &str = "WMSPUSH_ALONE";

/// Runs `act` in a process of its own, because a log at the highest level slows the whole process down.
pub fn run_alone(test: &str, act: impl Fn()) {
    if std::env::var_os(ALONE).is_some() {
        return act();
    }
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command
        .args([test, "--exact", "--nocapture"])
        .env(ALONE, "1");
    let output = command.output().unwrap();
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{error}");
    assert!(out.contains("1 passed"), "{out}");
}

/// The words of everything that an application can see: every line at GST_DEBUG=9, every message, and the properties
/// and dot files at that time. Each word has the place of its first occurrence.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<HashMap<String, String>>>);

impl Journal {
    pub fn keep() -> Self {
        let journal = Self::default();
        gst::log::remove_default_log_function();
        gst::log::set_default_threshold(gst::DebugLevel::Memdump);
        gst::log::set_active(true);
        let log = journal.clone();
        gst::log::add_log_function(move |category, _, _, function, line, object, message| {
            let object = object.map(ToString::to_string).unwrap_or_default();
            let text = message.get().unwrap_or_default();
            let place = format!("log {} {function}:{line}", category.name());
            log.note(&place, &object);
            log.note(&place, &text);
        });
        journal
    }

    fn note(&self, place: &str, text: &str) {
        let mut words = words(text).peekable();
        if words.peek().is_none() {
            return;
        }
        let mut known = self.0.lock().unwrap();
        for word in words {
            if !known.contains_key(word) {
                known.insert(word.to_owned(), format!("{place}: {text}"));
            }
        }
    }

    /// Records everything that an application can see at a message.
    fn note_all(&self, pipeline: &Pipeline, message: &gst::Message) {
        self.note("message", &format!("{message:?}"));
        let dot = pipeline
            .pipeline
            .debug_to_dot_data(gst::DebugGraphDetails::all());
        self.note("dot file", &dot);
        for property in pipeline.sink.list_properties() {
            if property.flags().contains(glib::ParamFlags::READABLE) {
                let value = pipeline.sink.property_value(property.name());
                self.note(
                    &format!("property {}", property.name()),
                    &format!("{value:?}"),
                );
            }
        }
    }
}

/// Returns the words that are long enough to be distinctive.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric());
    words.filter(|word| word.len() >= 16)
}

/// Pushes to the end, and returns the secrets of the push. Ask `journal` for occurrences later.
pub fn try_out(row: &Row, journal: &Journal) -> Secrets {
    let mut scene = row.scene();
    scene.location = scene
        .location
        .replacen("://", &format!("://{USER}:{PASSWORD}@"), 1);
    run::to_the_end(&scene, |pipeline, message| {
        journal.note_all(pipeline, message)
    });
    let mut secrets = BTreeSet::from([PASSWORD.to_owned()]);
    for request in scene.point.iter().flat_map(|point| point.handle.requests()) {
        for field in ["authorization", "proxy-authorization", "cookie"] {
            let value = request.field(field).unwrap_or_default();
            secrets.extend(words(value).map(str::to_owned));
        }
    }
    Secrets {
        row: format!("{} / {}", row.phase, row.fault),
        secrets,
    }
}

/// The secrets of one push.
pub struct Secrets {
    row: String,
    secrets: BTreeSet<String>,
}

impl Secrets {
    /// Returns the places where they occurred.
    pub fn told(&self, journal: &Journal) -> Vec<String> {
        let known = journal.0.lock().unwrap();
        let places = self.secrets.iter().filter_map(|secret| known.get(secret));
        places
            .map(|place| format!("{}: {place}", self.row))
            .collect()
    }

    pub fn count(&self) -> usize {
        self.secrets.len()
    }
}
