// SPDX-License-Identifier: MPL-2.0

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::SessionState;
use super::bus::{self, Report};
use super::log::{self, CAT};
use super::pacing::Pacer;
use super::settings::{
    DEFAULT_EOS_TIMEOUT, DEFAULT_STALL_TIMEOUT, DEFAULT_TIMEOUT, Location, Settings, SettingsError,
};
use super::times::without_buffer_times;
use crate::asf::{DataPacket, FileHeader, Item, Reader, Skipped};
use crate::push::{
    Connection, Error, Failure, Phase, Status, StatusCallback, WriteError, WriterSink,
};

/// `wmspushsink`: a writer of ASF in front of a [`Connection`].
#[derive(Default)]
pub struct WmsPushSink {
    settings: Mutex<Settings>,
    /// The streaming thread's own: nobody else waits for it.
    stream: Mutex<Stream>,
    /// The current connection, or the last one.
    connection: Mutex<Option<Arc<Connection>>>,
    /// PROGRESS `connect` was started and has not ended.
    connecting: AtomicBool,
}

/// What the input has come to.
#[derive(Default)]
struct Stream {
    reader: Reader,
    pacer: Pacer,
    /// Upstream delivers in real time by itself; not asked yet: `None`.
    live: Option<bool>,
    /// Bytes since the stream started or was flushed.
    position: u64,
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

impl ObjectImpl for WmsPushSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(properties);
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = self.settings();
        // GObject has checked name, type and range.
        match pspec.name() {
            "location" => {
                let location = value
                    .get::<Option<&str>>()
                    .ok()
                    .flatten()
                    .map(Location::new);
                if let Some(error) = location.as_ref().and_then(Location::error) {
                    gst::warning!(CAT, imp = self, "Will not start: {error}");
                }
                settings.location = location;
            }
            "template-url" => settings.template_url = value.get().unwrap_or_default(),
            "auto-destroy" => settings.auto_destroy = value.get().unwrap_or_default(),
            "user-agent" => {
                let user_agent = value.get::<Option<String>>().ok().flatten();
                settings.user_agent = user_agent.unwrap_or_else(|| Settings::default().user_agent);
            }
            "timeout" => settings.timeout = value.get().unwrap_or(DEFAULT_TIMEOUT),
            "stall-timeout" => {
                settings.stall_timeout = value.get().unwrap_or(DEFAULT_STALL_TIMEOUT)
            }
            "eos-timeout" => settings.eos_timeout = value.get().unwrap_or(DEFAULT_EOS_TIMEOUT),
            "remove-padding" => settings.remove_padding = value.get().unwrap_or(true),
            "live-header" => settings.live_header = value.get().unwrap_or(true),
            name => gst::error!(CAT, imp = self, "There is no property {name} to set"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "stats" => return self.stats().to_value(),
            "session-state" => return self.session_state().to_value(),
            _ => {}
        }
        let settings = self.settings();
        match pspec.name() {
            "location" => settings.location.as_ref().map(Location::shown).to_value(),
            "template-url" => settings.template_url.to_value(),
            "auto-destroy" => settings.auto_destroy.to_value(),
            "user-agent" => settings.user_agent.to_value(),
            "timeout" => settings.timeout.to_value(),
            "stall-timeout" => settings.stall_timeout.to_value(),
            "eos-timeout" => settings.eos_timeout.to_value(),
            "remove-padding" => settings.remove_padding.to_value(),
            "live-header" => settings.live_header.to_value(),
            _ => glib::Value::from_type(pspec.value_type()),
        }
    }
}

/// A duration in milliseconds.
fn milliseconds(name: &str, nick: &str, blurb: &str, default: u32) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .default_value(default)
        .mutable_ready()
        .build()
}

fn properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecString::builder("location")
            .nick("Location")
            .blurb("URL of the publishing point, such as http://server:8080/live; credentials in it are never shown")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("template-url")
            .nick("Template URL")
            .blurb("URL or absolute path of an existing publishing point whose settings a new one gets")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("auto-destroy")
            .nick("Auto destroy")
            .blurb("Whether the server removes the publishing point when the session ends")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("user-agent")
            .nick("User agent")
            .blurb("User-Agent of the requests; servers want a WMEncoder/ product first")
            .default_value(Some(Settings::default().user_agent.as_str()))
            .mutable_ready()
            .build(),
        milliseconds(
            "timeout",
            "Timeout (ms)",
            "Longest wait for resolving and connecting, and for each response, in milliseconds",
            DEFAULT_TIMEOUT,
        ),
        milliseconds(
            "stall-timeout",
            "Stall timeout (ms)",
            "Longest time without any progress while data waits, in milliseconds",
            DEFAULT_STALL_TIMEOUT,
        ),
        milliseconds(
            "eos-timeout",
            "EOS timeout (ms)",
            "Longest wait at EOS until all data is on the wire, in milliseconds",
            DEFAULT_EOS_TIMEOUT,
        ),
        glib::ParamSpecBoolean::builder("remove-padding")
            .nick("Remove padding")
            .blurb("Whether ASF Padding Data is left out, as the protocol recommends")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("live-header")
            .nick("Live header")
            .blurb("Whether the ASF file header is made to describe a live stream, as some servers need it")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("What was sent and what waits, readable in every state")
            .read_only()
            .build(),
        glib::ParamSpecEnum::builder_with_default("session-state", SessionState::Disconnected)
            .nick("Session state")
            .blurb("Where the push session stands; its changes are notified")
            .read_only()
            .build(),
    ]
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
            let caps = gst::Caps::builder("video/x-ms-asf").build();
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

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            let checked = self.settings().connection();
            if let Err(error) = checked {
                bus::post_settings_error(self, &error);
                return Err(gst::StateChangeError);
            }
            self.connecting.store(true, Ordering::Release);
            bus::post_progress(self, gst::ProgressType::Start, "Connecting");
        }
        let changed = self.parent_change_state(transition);
        let failed = transition == gst::StateChange::ReadyToPaused && changed.is_err();
        if failed || transition == gst::StateChange::PausedToReady {
            self.end_progress(gst::ProgressType::Canceled, "Disconnected");
        }
        changed
    }
}

impl BaseSinkImpl for WmsPushSink {
    /// Begins connecting; nothing waits for it here.
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings().connection();
        let settings =
            settings.map_err(|error| gst::error_msg!(gst::ResourceError::Settings, ("{error}")))?;
        *self.stream() = Stream::default();
        let callback = Callback(self.obj().downgrade());
        let connection = tracing::dispatcher::with_default(&log::dispatch(&self.obj()), || {
            Connection::connect(settings, callback)
        });
        let connection = connection.map_err(|error| {
            gst::error_msg!(gst::ResourceError::Failed, ("Cannot start: {error}"))
        })?;
        *self.connection_slot() = Some(Arc::new(connection));
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(connection) = self.connection() {
            connection.disconnect();
        }
        *self.stream() = Stream::default();
        Ok(())
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(connection) = self.connection() {
            connection.interrupt(true);
        }
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(connection) = self.connection() {
            connection.interrupt(false);
        }
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let Some(header) = stream_header(caps) else {
            return Ok(());
        };
        let added = self.stream().reader.stream_header(header);
        added.map_err(|error| {
            self.fail(Error::Input(error.clone()));
            gst::loggable_error!(CAT, "The header in the caps is unusable: {error}")
        })
    }

    fn event(&self, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::StreamStart(_) => self.restart(),
            gst::EventView::FlushStop(_) => {
                self.restart();
                self.stream().pacer.restart();
            }
            gst::EventView::Segment(segment) => self.handle_segment(segment.segment()),
            gst::EventView::Eos(_) => {
                if let Err(error) = self.end() {
                    gst::debug!(CAT, imp = self, "EOS ends with {error:?}");
                    return false;
                }
            }
            _ => {}
        }
        self.parent_event(event)
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Seeking(seeking) = query.view_mut() {
            // asfmux would rewrite its header at the end otherwise.
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

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let connection = self.connection().ok_or(gst::FlowError::Flushing)?;
        let map = buffer.clone().into_mapped_buffer_readable().map_err(|_| {
            gst::element_imp_error!(self, gst::ResourceError::Read, ["Cannot map a buffer"]);
            gst::FlowError::Error
        })?;
        let mut stream = self.stream();
        stream.position += map.size() as u64;
        stream.reader.push(Bytes::from_owner(map));
        self.write(&connection, &mut stream)
    }
}

impl URIHandlerImpl for WmsPushSink {
    const URI_TYPE: gst::URIType = gst::URIType::Sink;

    fn protocols() -> &'static [&'static str] {
        &["wmspush+http", "wmspush+https"]
    }

    fn uri(&self) -> Option<String> {
        self.settings().location.as_ref().map(Location::uri)
    }

    fn set_uri(&self, uri: &str) -> Result<(), glib::Error> {
        if self.obj().current_state() > gst::State::Ready {
            let text = "The URI cannot be changed while the element runs";
            return Err(glib::Error::new(gst::URIError::BadState, text));
        }
        let location = Location::new(uri);
        if let Some(error) = location.error() {
            let code = match error {
                SettingsError::Scheme | SettingsError::NoTls => gst::URIError::UnsupportedProtocol,
                _ => gst::URIError::BadUri,
            };
            return Err(glib::Error::new(code, &error.to_string()));
        }
        self.settings().location = Some(location);
        Ok(())
    }
}

impl WmsPushSink {
    /// The location without its credentials.
    pub(super) fn shown_location(&self) -> String {
        self.settings().shown_location().to_owned()
    }

    /// Writes all that the reader has.
    fn write(
        &self,
        connection: &Connection,
        stream: &mut Stream,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        loop {
            match stream.reader.next_item() {
                Ok(Some(Item::Header(header))) => self.write_header(connection, stream, &header)?,
                Ok(Some(Item::DataUnit(packet))) => {
                    self.write_data_unit(connection, stream, &packet)?
                }
                Ok(Some(Item::Skipped(skipped))) => self.report_skipped(skipped),
                Ok(None) => return Ok(gst::FlowSuccess::Ok),
                Err(error) => {
                    connection.fail(Error::Input(error));
                    return Err(gst::FlowError::Error);
                }
            }
        }
    }

    fn write_header(
        &self,
        connection: &Connection,
        stream: &mut Stream,
        header: &FileHeader,
    ) -> Result<(), gst::FlowError> {
        gst::info!(CAT, imp = self, "File header: {header:?}");
        let live = self.settings().live_header.then(|| header.to_live());
        let shed = self.uninterrupted(|| connection.on_header(live.as_ref().unwrap_or(header)))?;
        for object in shed {
            let text = format!(
                "The ASF file header is too large: its {} of {} bytes is left out.",
                object.name, object.bytes
            );
            bus::post_input_warning(self, self.session_state(), &text);
        }
        stream.pacer.restart();
        stream.live = None;
        Ok(())
    }

    fn write_data_unit(
        &self,
        connection: &Connection,
        stream: &mut Stream,
        packet: &DataPacket,
    ) -> Result<(), gst::FlowError> {
        gst::log!(
            CAT,
            imp = self,
            "Data unit of {} bytes, send time {:?}",
            packet.len(),
            packet.send_time()
        );
        if let Some(defect) = packet.defect() {
            gst::warning!(
                CAT,
                imp = self,
                "A damaged data packet goes out whole: {defect}"
            );
        }
        let live = *stream.live.get_or_insert_with(|| self.upstream_is_live());
        match packet.send_time() {
            Some(send_time) if connection.is_real_time() && !live => {
                self.wait_until(stream, send_time)?
            }
            _ => {}
        }
        self.uninterrupted(|| connection.on_data_unit(packet.clone()))
    }

    /// Waits until it is time, as far as `sync` and the clock say so.
    fn wait_until(&self, stream: &mut Stream, send_time: u32) -> Result<(), gst::FlowError> {
        let element = self.obj();
        let Some(now) = element.current_running_time() else {
            return Ok(());
        };
        let due = stream.pacer.schedule(send_time, now);
        element.wait(due).0.map(|_| ())
    }

    /// EOS: sends what waits and `$E`, and returns when that is on the wire.
    fn end(&self) -> Result<(), gst::FlowError> {
        let connection = self.connection().ok_or(gst::FlowError::Flushing)?;
        match self.stream().reader.finish() {
            Ok(skipped) => skipped
                .into_iter()
                .for_each(|skipped| self.report_skipped(skipped)),
            Err(error) => {
                connection.fail(Error::Input(error));
                return Err(gst::FlowError::Error);
            }
        }
        let timeout = Duration::from_millis(self.settings().eos_timeout.into());
        self.uninterrupted(|| match connection.on_end_writing(timeout) {
            Err(WriteError::TimedOut) => self.give_up(&connection, timeout),
            ended => ended,
        })
    }

    /// What waits does not go out. When nothing ever did, that is a failure; otherwise the stream has ended all the
    /// same, with a warning.
    fn give_up(&self, connection: &Connection, timeout: Duration) -> Result<(), WriteError> {
        let error = Error::DrainTimeout(timeout);
        if connection.stats().push_starts == 0 {
            return Err(connection.fail(error));
        }
        let failure = Failure {
            phase: Phase::End,
            error,
        };
        bus::post_not_drained(self, connection.state().into(), &failure);
        connection.disconnect();
        Ok(())
    }

    /// Does something that blocks, again after each pause.
    fn uninterrupted<T>(
        &self,
        mut blocking: impl FnMut() -> Result<T, WriteError>,
    ) -> Result<T, gst::FlowError> {
        loop {
            match blocking() {
                Ok(done) => return Ok(done),
                Err(WriteError::Interrupted) => {
                    self.obj().wait_preroll()?;
                }
                Err(WriteError::Failed(_) | WriteError::TimedOut) => {
                    return Err(gst::FlowError::Error);
                }
            }
        }
    }

    fn report_skipped(&self, skipped: Skipped) {
        if skipped.reason.is_loss() {
            bus::post_input_warning(
                self,
                self.session_state(),
                &format!("Input is not sent: {skipped}."),
            );
        } else {
            gst::debug!(CAT, imp = self, "Input is not sent: {skipped}");
        }
    }

    /// A new stream, or the same after a flush: bytes before and after have nothing to do with each other.
    fn restart(&self) {
        let mut stream = self.stream();
        stream.reader.restart();
        stream.position = 0;
    }

    /// A segment of bytes that goes back, in the middle of a stream, is a muxer's attempt to rewrite its file.
    fn handle_segment(&self, segment: &gst::Segment) {
        let mut stream = self.stream();
        if let Some(bytes) = segment.downcast_ref::<gst::format::Bytes>() {
            let start = bytes.start().map_or(0, |start| *start);
            if start < stream.position {
                gst::debug!(
                    CAT,
                    imp = self,
                    "Bytes go back from {} to {start}",
                    stream.position
                );
                stream.reader.rewind(start);
                stream.position = start;
            }
        }
    }

    fn upstream_is_live(&self) -> bool {
        let mut latency = gst::query::Latency::new();
        let answered = self
            .obj()
            .static_pad("sink")
            .is_some_and(|pad| pad.peer_query(&mut latency));
        let (live, _, _) = latency.result();
        gst::debug!(CAT, imp = self, "Upstream is live: {}", answered && live);
        answered && live
    }

    fn fail(&self, error: Error) {
        if let Some(connection) = self.connection() {
            connection.fail(error);
        }
    }

    fn stats(&self) -> gst::Structure {
        let stats = self
            .connection()
            .map(|connection| connection.stats())
            .unwrap_or_default();
        bus::stats(self, &stats)
    }

    fn session_state(&self) -> SessionState {
        self.connection()
            .map_or(SessionState::Disconnected, |connection| {
                connection.state().into()
            })
    }

    /// Ends PROGRESS `connect`, once.
    fn end_progress(&self, type_: gst::ProgressType, text: &str) {
        if self.connecting.swap(false, Ordering::AcqRel) {
            bus::post_progress(self, type_, text);
        }
    }

    fn connection(&self) -> Option<Arc<Connection>> {
        self.connection_slot().clone()
    }

    fn connection_slot(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The header in `streamheader` caps, its buffers put together.
fn stream_header(caps: &gst::Caps) -> Option<Bytes> {
    let buffers = caps
        .structure(0)?
        .get::<gst::ArrayRef<'_>>("streamheader")
        .ok()?;
    let mut header = Vec::new();
    for buffer in buffers.iter() {
        let buffer = buffer.get::<gst::Buffer>().ok()?;
        header.extend_from_slice(&buffer.map_readable().ok()?);
    }
    (!header.is_empty()).then(|| header.into())
}

/// What the connection reports goes on the bus.
struct Callback(glib::WeakRef<super::WmsPushSink>);

impl StatusCallback for Callback {
    fn on_phase(&self, phase: Phase) {
        let Some(element) = self.0.upgrade() else {
            return;
        };
        let imp = element.imp();
        let text = match phase {
            Phase::Resolve => "Resolving the server's name",
            Phase::Connect => "Connecting to the server",
            Phase::Setup => "Setting up the publishing point",
            Phase::Start | Phase::Push | Phase::End => return,
        };
        if imp.connecting.load(Ordering::Acquire) {
            bus::post_progress(imp, gst::ProgressType::Continue, text);
        }
    }

    fn on_status(&self, status: &Status) {
        let Some(element) = self.0.upgrade() else {
            return;
        };
        let imp = element.imp();
        if status.state != status.previous_state {
            element.notify("session-state");
        }
        bus::post_status(imp, &Report::of_status(status));
        match &status.failure {
            Some(failure) => {
                bus::post_failure(imp, status, failure);
                imp.end_progress(gst::ProgressType::Error, "Cannot connect");
            }
            None if status.status == crate::push::WmtStatus::Opened => {
                imp.end_progress(gst::ProgressType::Complete, "Connected");
            }
            None => {}
        }
    }
}
