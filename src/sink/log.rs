// SPDX-License-Identifier: MPL-2.0

//! The debug category, and the way of `tracing` events into it.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use glib::prelude::*;
use once_cell::sync::Lazy;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::WmsPushSink;

/// `GST_DEBUG=wmspushsink:…`
pub(super) static CAT: Lazy<gst::DebugCategory> = Lazy::new(|| {
    gst::DebugCategory::new(
        "wmspushsink",
        gst::DebugColorFlags::empty(),
        Some("Windows Media push sink"),
    )
});

/// A subscriber that logs for `element` what its connection says, installed nowhere but around that connection.
pub(super) fn dispatch(element: &WmsPushSink) -> Dispatch {
    Dispatch::new(Log {
        element: element.downgrade(),
        spans: AtomicU64::new(1),
    })
}

/// Whose events are passed on: this crate's, and those that tell which addresses are tried. What else hyper says may
/// show header fields.
const TARGETS: [&str; 2] = [
    env!("CARGO_CRATE_NAME"),
    "hyper_util::client::legacy::connect::http",
];

struct Log {
    element: glib::WeakRef<WmsPushSink>,
    spans: AtomicU64,
}

impl Subscriber for Log {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The threshold may change at any time.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if !TARGETS
            .iter()
            .any(|target| metadata.target().starts_with(target))
        {
            return false;
        }
        gst::DebugLogger::above_threshold(&*CAT, debug_level(*metadata.level()))
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        CAT.log(
            self.element.upgrade().as_ref(),
            debug_level(*metadata.level()),
            glib::GString::from(metadata.file().unwrap_or_default()).as_gstr(),
            metadata.target(),
            metadata.line().unwrap_or_default(),
            format_args!("{}{}", text.message, text.fields),
        );
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn debug_level(level: Level) -> gst::DebugLevel {
    match level {
        Level::ERROR => gst::DebugLevel::Error,
        Level::WARN => gst::DebugLevel::Warning,
        Level::INFO => gst::DebugLevel::Info,
        Level::DEBUG => gst::DebugLevel::Debug,
        _ => gst::DebugLevel::Log,
    }
}

/// An event as one line: the message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name}={value:?}"),
        };
    }
}
