// SPDX-License-Identifier: MPL-2.0

//! Control of the connection: `Connect`, `Disconnect`, `EndSession`, the other actions, and the timers.

use std::sync::Arc;

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::{Push, WmsPushSink};
use crate::push::{self, Connection, Error};
use crate::sink::SessionState;
use crate::sink::bus::{self, Origin};
use crate::sink::callback::Callback;
use crate::sink::input_watch::{SILENCE, awaits_live_source, is_playing};
use crate::sink::location::{Location, SettingsError};
use crate::sink::log::{self, CAT};
use crate::sink::periodic_timer::off_the_clock;
use crate::sink::probing;
use crate::sink::writer::{HeaderSettings, Outlet};

impl WmsPushSink {
    /// Returns the location without its credentials.
    pub(super) fn shown_location(&self) -> String {
        self.settings().shown_location().to_owned()
    }

    pub(super) fn check_location(&self) {
        let error = {
            let settings = self.settings();
            settings
                .location
                .as_ref()
                .and_then(Location::error)
                .cloned()
        };
        if let Some(error) = error {
            gst::warning!(CAT, imp = self, "The element cannot start: {error}");
        }
    }

    /// Returns the settings of a connection. Reads files, and therefore holds no lock.
    pub(super) fn connection_settings(&self) -> Result<push::Settings, SettingsError> {
        let settings = self.settings().clone();
        settings.connection()
    }

    /// `Connect`, with a new stream.
    pub(super) fn connect(&self) -> Result<(), gst::StateChangeError> {
        self.writer.reset();
        self.open()
    }

    /// Begins a push, without waiting for the network.
    pub(super) fn open(&self) -> Result<(), gst::StateChangeError> {
        let location = self.shown_location();
        let settings = match self.connection_settings() {
            Ok(settings) => settings,
            Err(error) => return Err(self.refuse(&location, &error)),
        };
        let element = self.obj();
        let origin = Origin {
            element: &element,
            location: &location,
        };
        bus::post_progress(origin, gst::ProgressType::Start, "Connecting");
        self.begin_push(&location, settings).map_err(|error| {
            element.notify("session-state");
            bus::post_no_resources(origin, &error);
            bus::post_progress(origin, gst::ProgressType::Error, "Cannot connect");
            gst::StateChangeError
        })?;
        self.begin_timers();
        Ok(())
    }

    /// Makes a connection and replaces the last one by it.
    ///
    /// # Errors
    ///
    /// The system grants no thread or no descriptor.
    fn begin_push(&self, location: &str, settings: push::Settings) -> std::io::Result<()> {
        let element = self.obj();
        let callback = Callback::new(&element, location.to_owned());
        let last = self.connection();
        let connecting = self.connecting();
        let connection =
            tracing::dispatcher::with_default(&log::dispatch(&element), || match last {
                Some(last) => last.connect_again(settings, callback),
                None => Connection::connect(settings, callback),
            });
        let (push, outcome) = match connection {
            Ok(connection) => {
                let begun = Push::Begun {
                    connection: Arc::new(connection),
                    location: location.into(),
                };
                (begun, Ok(()))
            }
            Err(error) => (Push::Refused, Err(error)),
        };
        let old = self.replace_push(push);
        drop(connecting);
        drop(old);
        outcome
    }

    /// Reports unusable settings.
    pub(super) fn refuse(&self, location: &str, error: &SettingsError) -> gst::StateChangeError {
        self.set_push(Push::Refused);
        let element = self.obj();
        element.notify("session-state");
        let origin = Origin {
            element: &element,
            location,
        };
        bus::post_settings_error(origin, error);
        gst::StateChangeError
    }

    pub(super) fn begin_timers(&self) {
        let interval = self.settings().stats_interval();
        let element = self.obj();
        let post = off_the_clock(&*element, |element| element.imp().post_stats());
        self.check_timer(self.stats_timer.start(interval, post));
        let interval = self.settings().verify_interval();
        let verify = off_the_clock(&*element, |element| element.imp().verify_periodically());
        self.verifying.begin();
        self.check_timer(self.verifying.timer.start(interval, verify));
        let report = off_the_clock(&*element, |element| element.imp().report_no_input());
        let watched = element.downgrade();
        let playing = move || {
            let element = watched.upgrade();
            element.is_some_and(|element| is_playing(element.upcast_ref()))
        };
        if let Err(error) = self.input_watch.begin(playing, report) {
            gst::warning!(
                CAT,
                imp = self,
                "Cannot watch upstream for missing input: {error}"
            );
        }
    }

    /// Posts the WARNING for an upstream that has delivered nothing for a while.
    pub(super) fn report_no_input(&self) {
        let state = self.push().session_state();
        let takes_input = !matches!(
            state,
            SessionState::Disconnected
                | SessionState::Ending
                | SessionState::Ended
                | SessionState::Failed
        );
        let element = self.obj();
        let is_live = || {
            self.writer.is_upstream_live(element.upcast_ref())
                || awaits_live_source(element.upcast_ref())
        };
        if takes_input && is_live() {
            self.with_origin(|origin| bus::post_no_input(origin, state, SILENCE));
        }
    }

    pub(super) fn check_timer(&self, started: Result<(), gst::ClockError>) {
        if let Err(error) = started {
            gst::warning!(
                CAT,
                imp = self,
                "Cannot start the timer of stats-interval or verify-interval: {error}"
            );
        }
    }

    /// `Disconnect`: the connection closes without `$E`, if it still stands.
    pub(super) fn disconnect(&self) {
        if let Some(connection) = self.connection() {
            connection.disconnect();
        }
        self.stats_timer.stop();
        self.verifying.end();
        self.input_watch.end();
        self.writer.reset();
    }

    /// The action `disconnect`. Later data is discarded.
    pub(super) fn leave(&self) -> bool {
        self.connection()
            .is_some_and(|connection| connection.disconnect())
    }

    /// The action `end-session`. Later data is discarded.
    pub(super) fn end_session(&self) -> bool {
        let timeout = self.settings().eos_timeout();
        self.connection()
            .is_some_and(|connection| connection.end_session(timeout))
    }

    /// The action `probe`.
    pub(super) fn probe(&self) -> gst::Structure {
        let (element, location) = (self.obj(), self.shown_location());
        let origin = Origin {
            element: &element,
            location: &location,
        };
        let running = self.push().connection_to(&location);
        probing::probe(origin, running.as_deref(), || self.connection_settings())
    }

    /// The action `verify`.
    pub(super) fn verify(&self) -> gst::Structure {
        let (element, location) = (self.obj(), self.shown_location());
        let origin = Origin {
            element: &element,
            location: &location,
        };
        let running = self.push().connection_to(&location);
        let running = running.filter(|connection| connection.is_alive());
        let on_air = running.map(|connection| connection.on_air());
        self.verifying
            .verify(origin, on_air, self.connection_settings())
    }

    /// Verifies the push after each `verify-interval`.
    pub(super) fn verify_periodically(&self) {
        let connection = self.connection();
        if let (Some(connection), Ok(settings)) = (connection, self.connection_settings()) {
            let state = || connection.state().into();
            self.with_origin(|origin| {
                let on_air = connection.on_air();
                self.verifying
                    .verify_periodically(origin, on_air, settings, state);
            });
        }
    }

    /// Makes blocked calls of the streaming thread return.
    pub(super) fn interrupt(&self, interrupted: bool) {
        self.writer.interrupt(interrupted);
        if let Some(connection) = self.connection() {
            connection.interrupt(interrupted);
        }
    }

    /// Discards unsent data that was delivered before a flush. Data after a flush that follows EOS begins another push.
    pub(super) fn flush(&self) {
        self.writer.flush(self.obj().upcast_ref());
        let Some(connection) = self.connection() else {
            return;
        };
        connection.flush();
        let failed = connection.state() == push::SessionState::Failed;
        if !failed && self.writer.begin_session() {
            connection.disconnect();
            if self.open().is_err() {
                gst::debug!(CAT, imp = self, "Cannot begin another push after the flush");
            }
        }
    }

    /// Handles EOS. Returns when all data was sent.
    pub(super) fn end(&self) -> Result<(), gst::FlowError> {
        let connection = self.connection().ok_or(gst::FlowError::Flushing)?;
        let timeout = self.settings().eos_timeout();
        self.with_outlet(&connection, |outlet| self.writer.end(outlet, timeout))
    }

    /// Calls `write` with the parts of the element that the writer uses.
    pub(super) fn with_outlet<T>(
        &self,
        connection: &Connection,
        write: impl FnOnce(&Outlet<'_>) -> T,
    ) -> T {
        let header = {
            let settings = self.settings();
            HeaderSettings {
                live_header: settings.live_header,
                bitrate: settings.bitrate,
            }
        };
        write(&Outlet {
            sink: self.obj().upcast_ref(),
            connection,
            header,
            warn: &|fault| {
                self.with_origin(|origin| {
                    bus::post_input_fault(origin, self.push().session_state(), fault);
                });
            },
        })
    }

    pub(super) fn fail(&self, error: Error) {
        if let Some(connection) = self.connection() {
            connection.fail(error);
        }
    }
}
