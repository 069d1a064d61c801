// SPDX-License-Identifier: MPL-2.0

//! Gaps: `asfmux` sends nothing while one of its streams delivers nothing.
//!
//! A stream that another one waits for is filled with silence or with its last picture. A stream that cannot be filled,
//! because it was encoded before or has not begun, leaves the muxer. It returns with a new muxer when it has data
//! again.

use std::sync::Arc;
use std::time::Instant;

use gst::prelude::*;

use super::WmsPushBin;
use super::inlet::LEAD;
use super::muxing::{LONGEST_WAIT, Muxing};
use super::raw::RawInput;
use super::state::{Phase, State};
use super::stream::{Inside, Stream};

/// Interval of the check.
pub(super) const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// Least lead of a stream over all others that is reported. Data of one source may be some seconds ahead.
const FAR: gst::ClockTime = gst::ClockTime::from_seconds(60);

/// A stream without data that others wait for.
struct Missed {
    id: usize,
    raw: Option<Arc<RawInput>>,
    /// The gap is filled for the first time.
    is_new: bool,
    pad: String,
}

impl Muxing {
    /// Returns whether a stream without data has to be filled. Called every [`TICK`].
    pub(super) fn misses_data(&self) -> bool {
        let bin = self.bin.upgrade();
        let is_prerolled = bin.is_some_and(|bin| {
            bin.current_state() == gst::State::Paused
                && bin.pending_state() == gst::State::VoidPending
        });
        let mut state = self.lock();
        let is_waiting = !is_prerolled && !state.is_paused && state.waits_until().is_some();
        let mut misses = false;
        for (_, inside) in state.missable() {
            if !is_waiting {
                inside.missed_since = None;
                continue;
            }
            let since = *inside.missed_since.get_or_insert_with(Instant::now);
            misses |= is_overdue(inside, since);
        }
        misses
    }

    /// Stores the time of the next buffer of a stream. Reports a stream that is far ahead of the others, once a run: its data
    /// waits until they get there.
    pub(super) fn note_time(&self, id: usize, time: gst::ClockTime) {
        let lead = self.lock().note_time(id, time);
        if let (Some((pad, lead)), Some(bin)) = (lead, self.bin.upgrade()) {
            post_ahead(&bin, &pad, lead);
        }
    }

    /// Fills the streams without data that others wait for.
    pub(super) fn fill_gaps(&self) {
        let (missed, until) = {
            let mut state = self.lock();
            let Some(until) = state.waits_until() else {
                return;
            };
            (state.missed(), until.saturating_sub(LEAD))
        };
        for missed in missed {
            if missed.is_new
                && let Some(bin) = self.bin.upgrade()
            {
                post_no_input(&bin, &missed.pad);
            }
            let is_filled = missed.raw.is_some_and(|raw| raw.fill(until));
            if !is_filled {
                self.expel(missed.id);
            }
        }
    }
}

fn is_overdue(inside: &Inside, since: Instant) -> bool {
    inside.is_absent() || since.elapsed() >= LONGEST_WAIT
}

impl State {
    /// Returns the pad and the lead of a stream that is to be reported.
    fn note_time(&mut self, id: usize, time: gst::ClockTime) -> Option<(String, gst::ClockTime)> {
        self.streams.get_mut(&id)?.inside.as_mut()?.time = Some(time);
        let (mut first, mut second) = (None, None);
        for (id, stream) in self.streams.iter_mut().filter(|(_, one)| !one.is_over()) {
            let inside = stream.inside.as_ref().filter(|one| one.pad.is_some());
            let time = inside.and_then(|inside| Some((inside.time?, *id)));
            (first, second) = match time {
                Some(time) if first < Some(time) => (Some(time), first),
                time => (first, second.max(time)),
            };
        }
        let ((time, id), (next, _)) = first.zip(second)?;
        let lead = time.saturating_sub(next);
        let stream = self.streams.get_mut(&id)?;
        if lead < FAR || std::mem::replace(&mut stream.is_ahead, true) {
            return None;
        }
        Some((stream.name(), lead))
    }

    /// Returns the time up to which the stream that is furthest ahead has data.
    fn waits_until(&self) -> Option<gst::ClockTime> {
        if self.phase != Phase::Running {
            return None;
        }
        let inside = self
            .streams
            .values()
            .filter_map(|stream| stream.inside.as_ref());
        let times = inside.filter_map(|inside| {
            let queued = inside.queue.property::<u64>("current-level-time");
            let queued = gst::ClockTime::from_nseconds(queued);
            Some(inside.busy?.saturating_add(queued))
        });
        times.max()
    }

    /// Returns the streams in the muxer that have no data for it.
    fn missable(&mut self) -> impl Iterator<Item = (usize, &mut Inside)> {
        let streams = self.streams.iter_mut().filter(|(_, stream)| !stream.ended);
        let inside = streams.filter_map(|(id, stream)| Some((*id, stream.inside.as_mut()?)));
        inside.filter(|(_, inside)| {
            inside.pad.is_some()
                && inside.busy.is_none()
                && inside.queue.property::<u32>("current-level-buffers") == 0
        })
    }

    fn missed(&mut self) -> Vec<Missed> {
        let overdue = self.missable().filter_map(|(id, inside)| {
            let since = inside.missed_since?;
            if !is_overdue(inside, since) {
                return None;
            }
            let is_new = !inside.is_absent();
            if let Some(raw) = &inside.raw {
                raw.set_absent();
            }
            let raw = inside.raw.clone();
            Some((id, raw, is_new))
        });
        let overdue: Vec<_> = overdue.collect();
        let name = |id| self.streams.get(&id).map(Stream::name);
        let missed = overdue.into_iter().map(|(id, raw, is_new)| Missed {
            id,
            raw,
            is_new,
            pad: name(id).unwrap_or_default(),
        });
        missed.collect()
    }
}

/// Posts WARNING for a pad that delivers nothing.
fn post_no_input(bin: &WmsPushBin, pad: &str) {
    const HINT: &str = "Check that its source still runs. The other streams continue. The missing one is filled with silence or \
                        with its last picture, or left out until it has data.";
    let seconds = LONGEST_WAIT.as_secs_f64();
    let text = format!("Upstream has delivered nothing on the pad {pad} for {seconds} s.");
    post_warning(bin, "no-input", pad, &text, HINT);
}

/// Posts WARNING for a pad whose times are far ahead of those of the others.
fn post_ahead(bin: &WmsPushBin, pad: &str, lead: gst::ClockTime) {
    const HINT: &str = "Let the times of all sources begin together: set do-timestamp=true on live ones, and let those of each appsrc \
                        begin at 0.";
    let text = format!(
        "The data on the pad {pad} is {} s ahead of the other streams, and is not sent before they get there.",
        lead.seconds()
    );
    post_warning(bin, "absurd-times", pad, &text, HINT);
}

fn post_warning(bin: &WmsPushBin, reason: &str, pad: &str, text: &str, hint: &str) {
    let details = gst::Structure::builder("wmspushbin-warning")
        .field("reason", reason)
        .field("pad", pad)
        .field("hint", hint)
        .build();
    let error = glib::Error::new(gst::ResourceError::Read, text);
    let warning = gst::message::Warning::builder_from_error(error)
        .debug(hint)
        .details(details)
        .src(bin)
        .build();
    // Fails only without a bus.
    let _ = bin.post_message(warning);
}
