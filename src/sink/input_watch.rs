// SPDX-License-Identifier: MPL-2.0

//! A watch over upstream in PLAYING: does it deliver?

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

/// Between two looks at what has come.
const TICK: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// Ticks without data after which upstream counts as silent.
pub(super) const SILENCE: u32 = 5;

/// Calls back when upstream has delivered nothing for [`SILENCE`] seconds in PLAYING, once until data comes again.
#[derive(Default)]
pub(super) struct InputWatch {
    input: Arc<Input>,
    timer: Mutex<Option<gst::PeriodicClockId>>,
}

#[derive(Default)]
struct Input {
    /// Data has come since the last tick.
    came: AtomicBool,
    /// The streaming thread is in the element: upstream has to wait.
    inside: AtomicBool,
    /// Upstream has sent EOS.
    ended: AtomicBool,
    /// Ticks since data came.
    quiet: AtomicU32,
}

/// The streaming thread's stay in the element, with a buffer.
pub(super) struct Stay<'a>(&'a Input);

impl InputWatch {
    /// Begins to watch, from READY to PAUSED. Both functions are called on the thread of the system clock, which they must
    /// not block. `is_playing` returns whether data is expected: see [`is_playing`].
    ///
    /// # Errors
    ///
    /// The system clock's.
    pub(super) fn begin(
        &self,
        is_playing: impl Fn() -> bool + Send + Sync + 'static,
        report: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), gst::ClockError> {
        let input = self.input.clone();
        input.quiet.store(0, Ordering::Relaxed);
        input.ended.store(false, Ordering::Relaxed);
        // The pipeline's clock may stand still or be replaced.
        let clock = gst::SystemClock::obtain();
        let id = clock.new_periodic_id(clock.time() + TICK, TICK);
        id.wait_async(move |_, _, _| {
            if input.tick(is_playing()) {
                report();
            }
        })?;
        self.replace(Some(id));
        Ok(())
    }

    /// Ends the watch, from PAUSED to READY. A report that has begun may still go on.
    pub(super) fn end(&self) {
        self.replace(None);
    }

    /// Notes that upstream has delivered a buffer, which the streaming thread deals with until the result is dropped.
    pub(super) fn enter(&self) -> Stay<'_> {
        self.input.inside.store(true, Ordering::Relaxed);
        self.input.ended.store(false, Ordering::Relaxed);
        Stay(&self.input)
    }

    /// Notes that upstream has ended: it delivers nothing until it begins again.
    pub(super) fn note_end(&self) {
        self.input.ended.store(true, Ordering::Relaxed);
    }

    fn replace(&self, id: Option<gst::PeriodicClockId>) {
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *timer, id);
        drop(timer);
        if let Some(old) = old {
            old.unschedule();
        }
    }
}

impl Input {
    /// Returns whether the silence has lasted for [`SILENCE`] ticks with this one.
    fn tick(&self, is_playing: bool) -> bool {
        let came = self.came.swap(false, Ordering::Relaxed);
        let waits = self.inside.load(Ordering::Relaxed) || self.ended.load(Ordering::Relaxed);
        if came || waits || !is_playing {
            self.quiet.store(0, Ordering::Relaxed);
            return false;
        }
        let quiet = self.quiet.load(Ordering::Relaxed).saturating_add(1);
        self.quiet.store(quiet, Ordering::Relaxed);
        quiet == SILENCE
    }
}

/// Returns whether an element is in PLAYING or on its way there. While it waits for data, only its pipeline knows the way:
/// a live pipeline that is paused leaves its sinks on the way from PLAYING to PAUSED.
pub(super) fn is_playing(element: &gst::Element) -> bool {
    let prerolls = element.pending_state() != gst::State::VoidPending;
    let mut whole = element.clone();
    while prerolls && let Some(parent) = whole.parent().and_downcast() {
        whole = parent;
    }
    let target = match whole.pending_state() {
        gst::State::VoidPending => whole.current_state(),
        pending => pending,
    };
    target == gst::State::Playing
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.0.came.store(true, Ordering::Relaxed);
        self.0.inside.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ticks, from 1, of the next `count` that report a silence.
    fn silences(watch: &InputWatch, count: u32) -> Vec<u32> {
        (1..=count).filter(|_| watch.input.tick(true)).collect()
    }

    #[test]
    fn each_silence_is_reported_once() {
        let watch = InputWatch::default();
        assert_eq!(silences(&watch, 20), [5], "no data at all");
        drop(watch.enter());
        assert_eq!(silences(&watch, 20), [6]);
        for _ in 0..20 {
            drop(watch.enter());
            assert_eq!(silences(&watch, 5), [0; 0]);
        }
    }

    /// A buffer that the element holds back keeps upstream from delivering the next.
    #[test]
    fn upstream_that_has_to_wait_is_not_silent() {
        let watch = InputWatch::default();
        let stay = watch.enter();
        assert_eq!(silences(&watch, 20), [0; 0]);
        drop(stay);
        assert_eq!(silences(&watch, 20), [6]);
    }

    #[test]
    fn upstream_that_has_ended_is_not_silent() {
        let watch = InputWatch::default();
        watch.note_end();
        assert_eq!(silences(&watch, 20), [0; 0]);
        drop(watch.enter());
        assert_eq!(silences(&watch, 20), [6], "after a flush");
    }

    #[test]
    fn a_silence_begins_anew_with_playing() {
        let watch = InputWatch::default();
        assert_eq!(silences(&watch, 4), [0; 0]);
        assert!(!watch.input.tick(false));
        assert_eq!(silences(&watch, 20), [5]);
    }
}
