// SPDX-License-Identifier: MPL-2.0

use std::sync::{Mutex, PoisonError};

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::imp::WmsPushSink;
use super::{bus, log::CAT};

/// The property `stats-interval`: posts the statistics now and then.
#[derive(Default)]
pub(super) struct StatsTimer(Mutex<Option<gst::PeriodicClockId>>);

impl StatsTimer {
    /// Begins anew, with `interval` milliseconds; 0 ends it.
    pub(super) fn set(&self, imp: &WmsPushSink, interval: u32) {
        let new = (interval > 0).then(|| start(imp, interval)).flatten();
        let mut id = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = std::mem::replace(&mut *id, new) {
            old.unschedule();
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
