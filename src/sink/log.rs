// SPDX-License-Identifier: MPL-2.0

//! The debug category, and a `tracing` subscriber that logs to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use glib::prelude::*;
use once_cell::sync::Lazy;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::WmsPushSink;

/// `GST_DEBUG=wmspushsink:…`
pub(crate) static CAT: Lazy<gst::DebugCategory> = Lazy::new(|| {
    gst::DebugCategory::new(
        "wmspushsink",
        gst::DebugColorFlags::empty(),
        Some("Windows Media push sink"),
    )
});

/// Returns a subscriber that logs the events of a connection for `element`. It is only installed around that
/// connection.
pub(super) fn dispatch(element: &WmsPushSink) -> Dispatch {
    Dispatch::new(Log {
        element: element.downgrade(),
        spans: Mutex::default(),
    })
}

/// The target of logged events. Events of libraries are not logged, because they may show header fields.
const TARGET: &str = env!("CARGO_CRATE_NAME");

struct Log {
    element: glib::WeakRef<WmsPushSink>,
    spans: Mutex<HashMap<u64, Span>>,
}

/// An open span.
struct Span {
    /// Its name and fields.
    text: String,
    holders: usize,
}

thread_local! {
    /// The spans that this thread has entered, the innermost last.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Log {
    /// Returns the innermost span of this subscriber that the thread has entered, as a prefix of a line.
    fn context(&self) -> String {
        let spans = self.spans();
        ENTERED.with_borrow(|entered| {
            let innermost = entered.iter().rev().find_map(|id| spans.get(id));
            innermost.map_or_else(String::new, |span| format!("{}: ", span.text))
        })
    }

    fn spans(&self) -> MutexGuard<'_, HashMap<u64, Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Log {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The threshold may change at any time.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if !metadata.target().starts_with(TARGET) {
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
            format_args!("{}{}{}", self.context(), text.message, text.fields),
        );
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        // Unique in the process: threads are in spans of several elements.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut fields = Text::default();
        attributes.record(&mut fields);
        let span = Span {
            text: format!(
                "{}{}",
                attributes.metadata().name(),
                fields.fields.trim_start_matches(',')
            ),
            holders: 1,
        };
        self.spans().insert(id, span);
        span::Id::from_u64(id)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, span: &span::Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
    }

    fn exit(&self, span: &span::Id) {
        ENTERED.with_borrow_mut(|entered| {
            if let Some(place) = entered.iter().rposition(|id| *id == span.into_u64()) {
                entered.remove(place);
            }
        });
    }

    fn clone_span(&self, span: &span::Id) -> span::Id {
        if let Some(held) = self.spans().get_mut(&span.into_u64()) {
            held.holders += 1;
        }
        span.clone()
    }

    fn try_close(&self, span: span::Id) -> bool {
        let mut spans = self.spans();
        let Some(held) = spans.get_mut(&span.into_u64()) else {
            return false;
        };
        held.holders -= 1;
        let last = held.holders == 0;
        if last {
            spans.remove(&span.into_u64());
        }
        last
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gst::prelude::*;
    use tracing::{debug, debug_span, trace};

    use super::*;

    /// Returns the lines that a subscriber logs while `run` runs, at the level DEBUG.
    fn logged(run: impl FnOnce()) -> Vec<String> {
        gst::init().unwrap();
        let element = glib::Object::new::<WmsPushSink>();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        CAT.set_threshold(gst::DebugLevel::Debug);
        let function = gst::log::add_log_function({
            let lines = lines.clone();
            let name = element.name();
            move |category, _, _, _, _, object, message| {
                let own = object.is_some_and(|object| object.to_string().contains(name.as_str()));
                if category == *CAT && own {
                    let text = message.get().map(|text| text.to_string());
                    lines.lock().unwrap().push(text.unwrap_or_default());
                }
            }
        });
        tracing::dispatcher::with_default(&dispatch(&element), run);
        gst::log::remove_log_function(function);
        let lines = lines.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn events_are_logged_with_the_span_that_they_are_in() {
        let lines = logged(|| {
            debug!(status = 204, "Before");
            let outer = debug_span!("connection", number = 2);
            outer.in_scope(|| {
                debug!("Within");
                debug_span!("request").in_scope(|| debug!("Deeper"));
                debug!("Within again");
            });
            drop(outer);
            debug!("After");
            trace!("Too much");
        });
        let expected = [
            "Before, status=204",
            "connection number=2: Within",
            "request: Deeper",
            "connection number=2: Within again",
            "After",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn closed_spans_are_forgotten() {
        gst::init().unwrap();
        let element = glib::Object::new::<WmsPushSink>();
        let log = Log {
            element: element.downgrade(),
            spans: Mutex::default(),
        };
        CAT.set_threshold(gst::DebugLevel::Debug);
        let log = Arc::new(log);
        tracing::subscriber::with_default(log.clone(), || {
            let span = debug_span!("connection");
            let other = span.clone();
            drop(span);
            assert_eq!(log.spans().len(), 1);
            drop(other);
        });
        assert!(log.spans().is_empty());
    }
}
