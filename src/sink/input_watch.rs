// SPDX-License-Identifier: MPL-2.0

//! Detects an upstream that delivers no data in PLAYING.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use gst::prelude::*;

use super::periodic_timer::PeriodicTimer;

/// Interval of the check.
const TICK: gst::ClockTime = gst::ClockTime::from_seconds(1);

/// Ticks without data after which upstream counts as silent.
pub(super) const SILENCE: u32 = 5;

/// Calls back when upstream has delivered nothing for [`SILENCE`] seconds in PLAYING: once for each silence.
#[derive(Default)]
pub(super) struct InputWatch {
    input: Arc<Input>,
    timer: PeriodicTimer,
}

#[derive(Default)]
struct Input {
    /// A buffer was delivered since the last tick.
    came: AtomicBool,
    /// The streaming thread is in the element, so upstream has to wait.
    inside: AtomicBool,
    /// Upstream has sent EOS.
    ended: AtomicBool,
    /// Ticks since the last buffer.
    quiet: AtomicU32,
}

/// Marks the streaming thread as inside the element with a buffer, until it is dropped.
pub(super) struct Stay<'a>(&'a Input);

impl InputWatch {
    /// Starts the watch, from READY to PAUSED. Both functions run on the thread of the system clock and must not block.
    /// `is_playing` returns whether data is expected: see [`is_playing`].
    ///
    /// # Errors
    ///
    /// The system clock cannot start the timer.
    pub(super) fn begin(
        &self,
        is_playing: impl Fn() -> bool + Send + Sync + 'static,
        report: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), gst::ClockError> {
        let input = self.input.clone();
        input.quiet.store(0, Ordering::Relaxed);
        input.ended.store(false, Ordering::Relaxed);
        self.timer.start(TICK, move || {
            if input.tick(is_playing()) {
                report();
            }
        })
    }

    /// Ends the watch, from PAUSED to READY. A report that has begun may still be running.
    pub(super) fn end(&self) {
        self.timer.stop();
    }

    /// Records a buffer from upstream, which the streaming thread handles until the result is dropped.
    pub(super) fn enter(&self) -> Stay<'_> {
        self.input.inside.store(true, Ordering::Relaxed);
        self.input.ended.store(false, Ordering::Relaxed);
        Stay(&self.input)
    }

    /// Records that upstream has ended. It counts as silent again only after it restarts.
    pub(super) fn note_end(&self) {
        self.input.ended.store(true, Ordering::Relaxed);
    }
}

impl Input {
    /// Records a tick. Returns true at the tick at which a silence reaches [`SILENCE`].
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

/// Returns whether an element is in PLAYING or changing to it. While the element waits for data, only its pipeline
/// knows the target: a live pipeline that is paused leaves its sinks between PLAYING and PAUSED.
pub(super) fn is_playing(element: &gst::Element) -> bool {
    let whole = match is_prerolling(element) {
        true => pipeline_of(element),
        false => element.clone(),
    };
    let target = match whole.pending_state() {
        gst::State::VoidPending => whole.current_state(),
        pending => pending,
    };
    target == gst::State::Playing
}

/// Returns whether an element waits for a live source that it cannot query, as in `wmspushbin` before the first data:
/// only a live source lets a pipeline reach PAUSED before its sinks have data.
pub(super) fn awaits_live_source(element: &gst::Element) -> bool {
    let mut latency = gst::query::Latency::new();
    let pads = element.sink_pads();
    let is_answered = pads.iter().any(|pad| pad.peer_query(&mut latency));
    !is_answered
        && is_prerolling(element)
        && pipeline_of(element).current_state() >= gst::State::Paused
}

fn is_prerolling(element: &gst::Element) -> bool {
    element.pending_state() != gst::State::VoidPending
}

/// Returns the outermost bin.
fn pipeline_of(element: &gst::Element) -> gst::Element {
    let mut whole = element.clone();
    while let Some(parent) = whole.parent().and_downcast() {
        whole = parent;
    }
    whole
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

    /// Returns the ticks, from 1, of the next `count` at which a silence is reported.
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

    #[test]
    fn a_pipeline_without_data_is_in_paused_if_it_is_live() {
        gst::init().unwrap();
        for is_live in [false, true] {
            let pipeline = gst::Pipeline::new();
            let source = gst::ElementFactory::make("appsrc").property("is-live", is_live);
            let source = source.build().unwrap();
            let sink = gst::ElementFactory::make("fakesink").build().unwrap();
            pipeline.add_many([&source, &sink]).unwrap();
            pipeline.set_state(gst::State::Playing).unwrap();
            assert_eq!(awaits_live_source(&sink), is_live);
            assert!(is_playing(&sink));
            pipeline.set_state(gst::State::Null).unwrap();
        }
    }

    /// While the element holds a buffer, upstream cannot deliver the next one.
    #[test]
    fn upstream_that_is_blocked_is_not_silent() {
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
    fn playing_restarts_the_count_of_a_silence() {
        let watch = InputWatch::default();
        assert_eq!(silences(&watch, 4), [0; 0]);
        assert!(!watch.input.tick(false));
        assert_eq!(silences(&watch, 20), [5]);
    }
}
