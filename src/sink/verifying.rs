// SPDX-License-Identifier: MPL-2.0

//! The action `verify`, and the property `verify-interval`.

use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;

use super::bus::{self, Origin};
use super::callback::acquire_viewer_credentials;
use super::location::SettingsError;
use super::log;
use super::periodic_timer::PeriodicTimer;
use super::{SessionState, WmsPushSink};
use crate::push::{self, Cancel, Cause, OnAir, Verified};

/// The verifications of an element.
#[derive(Default)]
pub(super) struct Verifying {
    /// Cancels verifications of the action.
    asked: Cancel,
    /// Cancels verifications of the timer.
    periodic: Cancel,
    /// The timer, which runs from READY→PAUSED to PAUSED→READY.
    pub(super) timer: PeriodicTimer,
    /// The last verification of the timer failed.
    is_off_air: AtomicBool,
}

impl Verifying {
    /// Called when a push begins.
    pub(super) fn begin(&self) {
        self.is_off_air.store(false, Ordering::Relaxed);
    }

    /// Called when the push is over.
    pub(super) fn end(&self) {
        self.timer.stop();
        self.periodic.cancel();
    }

    /// Called when the element goes to NULL.
    pub(super) fn cancel(&self) {
        self.periodic.cancel();
        self.asked.cancel();
    }

    /// Runs the action `verify`: pulls the location as a player does, and compares the stream with `on_air`.
    pub(super) fn verify(
        &self,
        origin: Origin<'_>,
        on_air: Option<OnAir>,
        settings: Result<push::Settings, SettingsError>,
    ) -> gst::Structure {
        match settings {
            Ok(settings) => bus::verified(origin, &run(origin, on_air, settings, &self.asked)),
            Err(error) => bus::verify_settings_error(origin, &error),
        }
    }

    /// Verifies a push that is streaming, and posts the result. `state` returns the session state.
    pub(super) fn verify_periodically(
        &self,
        origin: Origin<'_>,
        on_air: OnAir,
        settings: push::Settings,
        state: impl Fn() -> SessionState,
    ) {
        if state() != SessionState::Streaming {
            return;
        }
        let verified = run(origin, Some(on_air), settings, &self.periodic);
        let cause = verified.fault.as_ref().map(|fault| &fault.cause);
        // A push that was lost or has ended meanwhile posts its own messages.
        if cause == Some(&Cause::Cancelled) || state() != SessionState::Streaming {
            return;
        }
        bus::post_verified(origin, &verified);
        let was_off_air = self
            .is_off_air
            .swap(!verified.is_on_air(), Ordering::Relaxed);
        if let Some(fault) = verified.fault.as_ref().filter(|_| !was_off_air) {
            bus::post_not_on_air(origin, state(), fault);
        }
    }
}

/// Blocks the calling thread. The network thread does the work.
fn run(
    origin: Origin<'_>,
    on_air: Option<OnAir>,
    settings: push::Settings,
    cancel: &Cancel,
) -> Verified {
    let element: &WmsPushSink = origin.element;
    let weak = element.downgrade();
    let ask = move |wanted: &_| acquire_viewer_credentials(&weak, wanted);
    let dispatch = log::dispatch(element);
    tracing::dispatcher::with_default(&dispatch, || push::verify(settings, on_air, ask, cancel))
}
