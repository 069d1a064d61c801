// SPDX-License-Identifier: MPL-2.0

mod control;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glib::subclass::Signal;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::SessionState;
use super::allocation;
use super::bindings::without_buffer_times;
use super::bus::{self, Origin};
use super::foreign_caps;
use super::input_watch::InputWatch;
use super::location::Location;
use super::log::CAT;
use super::periodic_timer::PeriodicTimer;
use super::properties;
use super::settings::Settings;
use super::signals;
use super::verifying::Verifying;
use super::writer::{Writer, stream_header};
use crate::push::{Connection, Error};

/// The GObject implementation of `wmspushsink`: a writer of ASF in front of a [`Connection`].
#[derive(Default)]
pub struct WmsPushSink {
    settings: Mutex<Settings>,
    writer: Writer,
    push: Mutex<Push>,
    /// Held while a connection is made and stored in `push`.
    connecting: Mutex<()>,
    stats_timer: PeriodicTimer,
    verifying: Verifying,
    input_watch: InputWatch,
}

/// The current push of an element, or the last one.
#[derive(Clone, Default)]
enum Push {
    #[default]
    None,
    /// The settings were unusable.
    Refused,
    Begun {
        connection: Arc<Connection>,
        /// The location of the connection, without credentials.
        location: Arc<str>,
    },
}

impl Push {
    fn connection(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Begun { connection, .. } => Some(connection),
            Self::None | Self::Refused => None,
        }
    }

    /// Returns the connection if it is to `location`, which may have been set after the push began.
    fn connection_to(&self, location: &str) -> Option<Arc<Connection>> {
        match self {
            Self::Begun {
                connection,
                location: running,
            } if **running == *location => Some(connection.clone()),
            _ => None,
        }
    }

    fn session_state(&self) -> SessionState {
        match self {
            Self::None => SessionState::Disconnected,
            Self::Refused => SessionState::Failed,
            Self::Begun { connection, .. } => connection.state().into(),
        }
    }
}

impl ObjectImpl for WmsPushSink {
    fn constructed(&self) {
        self.parent_constructed();
        // Handing over a packet takes no time, so a live pipeline needs no latency for it.
        self.obj().set_processing_deadline(gst::ClockTime::ZERO);
        // A single packet cannot be displayed, and keeping it would hold a buffer of upstream's.
        self.obj().set_enable_last_sample(false);
    }

    fn signals() -> &'static [Signal] {
        static SIGNALS: Lazy<Vec<Signal>> = Lazy::new(|| {
            vec![
                signals::acquire_credentials(),
                signals::action("end-session", |element| element.imp().end_session()),
                signals::action("disconnect", |element| element.imp().leave()),
                signals::action("probe", |element| element.imp().probe()),
                signals::action("verify", |element| element.imp().verify()),
            ]
        });
        SIGNALS.as_ref()
    }

    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(properties::specs);
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        properties::set(&mut self.settings(), pspec.name(), value);
        match pspec.name() {
            "stats-interval" => {
                let interval = self.settings().stats_interval();
                self.check_timer(self.stats_timer.set_interval(interval));
            }
            "verify-interval" => {
                let interval = self.settings().verify_interval();
                self.check_timer(self.verifying.timer.set_interval(interval));
            }
            "location" => self.check_location(),
            _ => {}
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "stats" => self.stats().to_value(),
            "session-state" => self.push().session_state().to_value(),
            name => properties::get(&mut self.settings(), name),
        }
    }
}

impl GstObjectImpl for WmsPushSink {}

impl ElementImpl for WmsPushSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "Windows Media push sink",
                "Sink/Network",
                "Pushes an ASF stream to a publishing point of a Windows Media server (MS-WMHTTP)",
                "The gst-plugin-wmspush authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            // The second type is that of avmux_asf_stream: ASF in the chunks of a pulled stream.
            let types = ["video/x-ms-asf", "application/x-gst-av-asf_stream"];
            let caps: gst::Caps = types.map(gst::Structure::new_empty).into_iter().collect();
            let sink = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
                gst::PadPresence::Always,
                &caps,
            );
            sink.into_iter().collect()
        });
        TEMPLATES.as_ref()
    }

    fn send_event(&self, event: gst::Event) -> bool {
        if event.type_() == gst::EventType::Latency {
            self.writer.reconfigure();
        }
        self.parent_send_event(event)
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            self.connect()?;
        }
        let changed = self.parent_change_state(transition);
        let failed = transition == gst::StateChange::ReadyToPaused && changed.is_err();
        // After a failed start, GStreamer goes from READY to READY or to NULL.
        if failed || transition.next() <= gst::State::Ready {
            self.disconnect();
        }
        if transition == gst::StateChange::ReadyToNull {
            self.verifying.cancel();
        }
        changed
    }
}

impl BaseSinkImpl for WmsPushSink {
    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        self.interrupt(true);
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        self.interrupt(false);
        Ok(())
    }

    fn caps(&self, filter: Option<&gst::Caps>) -> Option<gst::Caps> {
        let template = self.obj().pad_template("sink")?;
        Some(foreign_caps::linkable(template.caps(), filter))
    }

    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        if let Some(error) = foreign_caps::refusal(caps) {
            self.fail(Error::Input(error.clone()));
            return Err(gst::loggable_error!(CAT, "Rejected the caps: {error}"));
        }
        let Some(header) = stream_header(caps) else {
            return Ok(());
        };
        let added = self.writer.push_header(header);
        added.map_err(|error| {
            self.fail(Error::Input(error.clone()));
            gst::loggable_error!(CAT, "The header in the caps is unusable: {error}")
        })
    }

    fn event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::StreamStart(_) => self.writer.restart(),
            gst::EventView::FlushStop(_) => self.flush(),
            gst::EventView::Segment(segment) => {
                let sink = self.obj();
                self.writer
                    .begin_segment(sink.upcast_ref(), segment.segment());
            }
            // asfmux sends tags before STREAM_START, at which a pad discards them.
            gst::EventView::Tag(tag) => self.writer.push_tags(tag.tag()),
            gst::EventView::Eos(_) => {
                self.input_watch.note_end();
                if let Err(error) = self.end() {
                    gst::debug!(CAT, imp = self, "EOS failed: {error:?}");
                    return false;
                }
            }
            _ => {}
        }
        self.parent_event(event)
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Seeking(seeking) = query.view_mut() {
            // Otherwise asfmux would rewrite its header at the end.
            let format = seeking.format();
            seeking.set(
                false,
                gst::GenericFormattedValue::none_for_format(format),
                gst::GenericFormattedValue::none_for_format(format),
            );
            return true;
        }
        BaseSinkImplExt::parent_query(self, query)
    }

    fn propose_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        let Some(pad) = self.obj().static_pad("sink") else {
            return Ok(());
        };
        allocation::propose(query, &pad)
            .map_err(|error| gst::loggable_error!(CAT, "Cannot propose an allocation: {error}"))
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let connection = self.connection().ok_or(gst::FlowError::Flushing)?;
        let _stay = self.input_watch.enter();
        self.with_outlet(&connection, |outlet| self.writer.write(outlet, buffer))
    }
}

impl URIHandlerImpl for WmsPushSink {
    const URI_TYPE: gst::URIType = gst::URIType::Sink;

    fn protocols() -> &'static [&'static str] {
        &["wmspush+http", "wmspush+https"]
    }

    fn uri(&self) -> Option<String> {
        self.settings().location.as_ref().and_then(Location::uri)
    }

    fn set_uri(&self, uri: &str) -> Result<(), glib::Error> {
        if self.obj().current_state() > gst::State::Ready {
            let text = "The URI cannot be changed while the element runs";
            return Err(glib::Error::new(gst::URIError::BadState, text));
        }
        let location = Location::new(uri);
        if let Some(error) = location.error() {
            let code = match error.is_unsupported_protocol() {
                true => gst::URIError::UnsupportedProtocol,
                false => gst::URIError::BadUri,
            };
            return Err(glib::Error::new(code, &error.to_string()));
        }
        self.settings().set_location(Some(uri));
        Ok(())
    }
}

#[glib::object_subclass]
impl ObjectSubclass for WmsPushSink {
    const NAME: &'static str = "GstWmsPushSink";
    type Type = super::WmsPushSink;
    type ParentType = gst_base::BaseSink;
    type Interfaces = (gst::URIHandler,);

    fn class_init(class: &mut Self::Class) {
        without_buffer_times(class);
    }
}

impl WmsPushSink {
    fn stats(&self) -> gst::Structure {
        let stats = self.connection().map(|connection| connection.stats());
        self.with_origin(|origin| bus::stats(origin, &stats.unwrap_or_default()))
    }

    fn post_stats(&self) {
        let stats = self.stats();
        self.with_origin(|origin| bus::post_stats(origin, stats));
    }

    /// Calls `act` with the location of the running push, or that of the next one.
    fn with_origin<T>(&self, act: impl FnOnce(Origin<'_>) -> T) -> T {
        let location = match self.push() {
            Push::Begun { location, .. } => location,
            Push::None | Push::Refused => self.shown_location().into(),
        };
        act(Origin {
            element: &self.obj(),
            location: &location,
        })
    }

    fn push(&self) -> Push {
        self.push_slot().clone()
    }

    fn connection(&self) -> Option<Arc<Connection>> {
        self.push_slot().connection().cloned()
    }

    fn set_push(&self, push: Push) {
        drop(self.replace_push(push));
    }

    /// Replaces the push, and returns the old one. Dropping its last reference disconnects, which may call the
    /// application.
    fn replace_push(&self, push: Push) -> Push {
        std::mem::replace(&mut *self.push_slot(), push)
    }

    /// Waits until a connection that is being begun is stored in `push`.
    pub(super) fn wait_for_connection(&self) {
        drop(self.connecting());
    }

    fn connecting(&self) -> MutexGuard<'_, ()> {
        self.connecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn push_slot(&self) -> MutexGuard<'_, Push> {
        self.push.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
