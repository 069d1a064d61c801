// SPDX-License-Identifier: MPL-2.0

use std::sync::{Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::imp::WmsPushSink;
use super::{bus, log::CAT};

/// The property `stats-interval`: posts the statistics now and then, from READY→PAUSED to PAUSED→READY.
#[derive(Default)]
pub(super) struct StatsTimer(Mutex<Timer>);

#[derive(Default)]
struct Timer {
    running: bool,
    id: Option<gst::PeriodicClockId>,
}

impl StatsTimer {
    /// Begins, with `interval` milliseconds; 0 posts nothing until it is changed.
    pub(super) fn begin(&self, imp: &WmsPushSink, interval: u32) {
        let mut timer = self.lock();
        timer.running = true;
        timer.schedule(imp, interval);
    }

    /// Takes another interval, if it has begun.
    pub(super) fn change(&self, imp: &WmsPushSink, interval: u32) {
        let mut timer = self.lock();
        if timer.running {
            timer.schedule(imp, interval);
        }
    }

    /// Ends until it begins anew.
    pub(super) fn end(&self, imp: &WmsPushSink) {
        let mut timer = self.lock();
        timer.running = false;
        timer.schedule(imp, 0);
    }

    fn lock(&self) -> MutexGuard<'_, Timer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Timer {
    fn schedule(&mut self, imp: &WmsPushSink, interval: u32) {
        if let Some(old) = self.id.take() {
            old.unschedule();
        }
        if interval > 0 {
            self.id = start(imp, interval);
        }
    }
}

fn start(imp: &WmsPushSink, interval: u32) -> Option<gst::PeriodicClockId> {
    // The pipeline's clock may stand still, or be another tomorrow.
    let clock = gst::SystemClock::obtain();
    let interval = gst::ClockTime::from_mseconds(interval.into());
    let id = clock.new_periodic_id(clock.time() + interval, interval);
    let element = imp.obj().downgrade();
    let started = id.wait_async(move |_, _, _| {
        if let Some(element) = element.upgrade() {
            bus::post_stats(element.imp());
        }
    });
    if let Err(error) = started {
        gst::warning!(CAT, imp = imp, "No statistics now and then: {error:?}");
    }
    started.is_ok().then_some(id)
}
