// SPDX-License-Identifier: MPL-2.0

//! Raw data in front of an encoder: keeps the format of the first buffer, requests key frames in time, and fills gaps
//! while another stream waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

use super::elements::set_if_present;

/// Longest part of a gap that is filled at once.
const LONGEST_FILL: gst::ClockTime = gst::ClockTime::from_seconds(1);
/// Time between the pictures that fill a gap.
const FILLING_INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// Raw data in front of an encoder.
pub(super) struct RawInput {
    is_video: bool,
    encoder: gst::Element,
    /// The element whose pad receives fillings.
    filter: gst::Element,
    /// Longest interval between two key frames; 0: the encoder's.
    key_frame_interval: gst::ClockTime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    segment: gst::FormattedSegment<gst::ClockTime>,
    /// The format of the next buffer; from the first one on, it is fixed.
    caps: Option<gst::Caps>,
    is_fixed: bool,
    /// The last picture.
    last: Option<gst::Buffer>,
    /// Running time at which the received data ends; for pictures, just after the start of the last one.
    end: Option<gst::ClockTime>,
    /// Running time of the next buffer if it has no timestamp.
    next: gst::ClockTime,
    /// Duration of a picture whose buffer has none.
    picture_duration: gst::ClockTime,
    /// Running time of the last requested key frame.
    key_frame: Option<gst::ClockTime>,
    /// A filling is being pushed.
    is_filling: bool,
    /// The data up to `end` is a filling.
    is_filled: bool,
    /// Another stream has waited too long for this one.
    is_absent: bool,
}

/// Returns the duration of a picture; `None` for a variable rate.
fn picture_duration(rate: gst::Fraction) -> Option<gst::ClockTime> {
    let number = u64::try_from(rate.numer()).ok()?;
    let denominator = u64::try_from(rate.denom()).ok()?;
    (denominator * 1_000_000_000)
        .checked_div(number)
        .map(gst::ClockTime::from_nseconds)
}

/// Returns an event that requests a key frame from an upstream encoder.
pub(super) fn key_frame_request() -> gst::Event {
    // The same structure as that of gst_video_event_new_upstream_force_key_unit.
    let structure = gst::Structure::builder("GstForceKeyUnit")
        .field("running-time", gst::ClockTime::NONE)
        .field("all-headers", false)
        .field("count", 0u32)
        .build();
    gst::event::CustomUpstream::new(structure)
}

impl State {
    /// Returns the running time of a buffer; without a timestamp, the end of the last one. `None`: the buffer is
    /// outside of the segment.
    fn start(&self, buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
        match buffer.pts() {
            Some(pts) => self.segment.to_running_time(pts),
            None => Some(self.next),
        }
    }
}

impl RawInput {
    /// Installs probes between `filter` and `encoder`.
    pub(super) fn new(
        is_video: bool,
        filter: &gst::Element,
        encoder: &gst::Element,
        key_frame_interval: gst::ClockTime,
    ) -> Arc<Self> {
        let input = Arc::new(Self {
            is_video,
            encoder: encoder.clone(),
            filter: filter.clone(),
            key_frame_interval,
            state: Mutex::default(),
        });
        if let Some(pad) = encoder.static_pad("sink") {
            let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
            let weak = Arc::downgrade(&input);
            pad.add_probe(mask, move |_, info| match weak.upgrade() {
                Some(input) => input.observe(info),
                None => gst::PadProbeReturn::Ok,
            });
        }
        if let Some(pad) = encoder.static_pad("src").filter(|_| is_video) {
            let weak = Arc::downgrade(&input);
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let buffer = info.buffer();
                let is_key_frame = buffer
                    .is_some_and(|buffer| !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT));
                if let Some(input) = weak.upgrade().filter(|_| is_key_frame) {
                    input.note_key_frame();
                }
                gst::PadProbeReturn::Ok
            });
        }
        input
    }

    pub(super) fn encoder(&self) -> &gst::Element {
        &self.encoder
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self, info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
        if let Some(buffer) = info.buffer_mut() {
            return self.observe_buffer(buffer);
        }
        let Some(event) = info.event() else {
            return gst::PadProbeReturn::Ok;
        };
        let replaced = match event.view() {
            gst::EventView::Segment(segment) => self.observe_segment(segment),
            gst::EventView::Caps(caps) => {
                let caps = self.observe_caps(caps.caps());
                caps.map(|caps| gst::event::Caps::new(&caps))
            }
            gst::EventView::Gap(gap) => {
                let (start, duration) = gap.get();
                self.fill_gap(start, duration);
                // Dropped, because it would drain libav's encoders, which then accept no more data.
                return gst::PadProbeReturn::Handled;
            }
            _ => None,
        };
        if let Some(event) = replaced {
            info.data = Some(gst::PadProbeData::Event(event));
        }
        gst::PadProbeReturn::Ok
    }

    /// Stores the segment of upstream. The encoder gets running times in a segment that begins at 0, because libav's
    /// encoders reject times that go back, as they do from one segment to the next.
    fn observe_segment(&self, event: &gst::event::Segment) -> Option<gst::Event> {
        let segment = event.segment().downcast_ref::<gst::ClockTime>();
        self.state().segment = segment.cloned().unwrap_or_default();
        let running = gst::FormattedSegment::<gst::ClockTime>::new();
        let event = gst::event::Segment::builder(&running).seqnum(event.seqnum());
        Some(event.build())
    }

    /// Stores the format of the first buffer. Later on, returns it if the encoder must not see other caps.
    fn observe_caps(&self, caps: &gst::CapsRef) -> Option<gst::Caps> {
        let mut state = self.state();
        let rate = |caps: &gst::CapsRef| {
            let structure = caps.structure(0)?;
            structure.get::<gst::Fraction>("framerate").ok()
        };
        state.picture_duration = rate(caps).and_then(picture_duration).unwrap_or_default();
        if let Some(first) = state.caps.as_ref().filter(|_| state.is_fixed) {
            // Another frame rate would require another header.
            let same = first.clone();
            let is_other = self.is_video && rate(caps) != rate(&same);
            return is_other.then_some(same);
        }
        state.caps = Some(caps.to_owned());
        drop(state);
        if let Some(rate) = rate(caps).filter(|_| self.is_video) {
            self.set_key_frame_distance(rate);
        }
        None
    }

    /// Fixes the format for all buffers that follow the first one.
    fn fix(&self, mut caps: gst::Caps) {
        for structure in caps.make_mut().iter_mut() {
            structure.remove_fields(["framerate", "colorimetry", "chroma-site"]);
            structure.remove_fields(["multiview-mode", "multiview-flags"]);
        }
        self.filter.set_property("caps", caps);
    }

    /// Sets the key frame interval in frames. A stream without a fixed rate gets key frames by time alone.
    fn set_key_frame_distance(&self, rate: gst::Fraction) {
        let (number, denominator) = (rate.numer().max(0), rate.denom().max(1));
        let interval = self.key_frame_interval.mseconds();
        let frames = interval * u64::from(number.unsigned_abs())
            / (1000 * u64::from(denominator.unsigned_abs()));
        if number > 0
            && interval > 0
            && let Ok(frames) = i32::try_from(frames.max(1))
        {
            set_if_present(&self.encoder, "gop-size", frames);
        }
    }

    fn observe_buffer(&self, buffer: &mut gst::Buffer) -> gst::PadProbeReturn {
        let mut state = self.state();
        if !state.is_filling {
            let Some(start) = state.start(buffer) else {
                return gst::PadProbeReturn::Handled;
            };
            let is_late = state.end.is_some_and(|end| start < end);
            if is_late && (self.is_video || state.is_filled) {
                return gst::PadProbeReturn::Handled;
            }
            (state.is_filled, state.is_absent) = (false, false);
            let buffer = buffer.make_mut();
            buffer.set_pts(start);
            buffer.set_dts(gst::ClockTime::NONE);
        }
        let start = buffer.pts().unwrap_or_default();
        let duration = buffer.duration().unwrap_or(state.picture_duration);
        // A base time in the future wraps the running times of live sources.
        state.next = start.saturating_add(duration);
        state.end = Some(match self.is_video {
            true => start.saturating_add(gst::ClockTime::from_nseconds(1)),
            false => state.next,
        });
        let is_key_frame = self.is_video && self.is_key_frame_due(&mut state, start);
        if self.is_video {
            state.last = Some(buffer.clone());
        }
        let is_first = !std::mem::replace(&mut state.is_fixed, true);
        let fixed = state.caps.clone().filter(|_| is_first);
        drop(state);
        if let Some(caps) = fixed {
            self.fix(caps);
        }
        if is_key_frame && let Some(pad) = self.encoder.static_pad("src") {
            pad.send_event(key_frame_request());
        }
        gst::PadProbeReturn::Ok
    }

    /// Returns whether the picture at this running time must be a key frame.
    fn is_key_frame_due(&self, state: &mut State, time: gst::ClockTime) -> bool {
        // One more picture, because the encoder's own interval may be due.
        let longest = self
            .key_frame_interval
            .saturating_add(gst::ClockTime::from_mseconds(50));
        let last = *state.key_frame.get_or_insert(time);
        let is_due = !self.key_frame_interval.is_zero() && time.saturating_sub(last) >= longest;
        if is_due {
            state.key_frame = Some(time);
        }
        is_due
    }

    /// Records a key frame from the encoder, which belongs to the last picture that it got.
    fn note_key_frame(&self) {
        let mut state = self.state();
        state.key_frame = state.end;
    }

    /// Has the stream filled without a wait from now on, until it has data.
    pub(super) fn set_absent(&self) {
        self.state().is_absent = true;
    }

    pub(super) fn is_absent(&self) -> bool {
        self.state().is_absent
    }

    /// Fills the gap of a GAP event. Its times are those of upstream's segment.
    fn fill_gap(&self, start: gst::ClockTime, duration: Option<gst::ClockTime>) {
        let gap = {
            let segment = &self.state().segment;
            let end = start.saturating_add(duration.unwrap_or_default());
            let start = segment.to_running_time(start);
            start.zip(segment.to_running_time(end))
        };
        let Some((start, end)) = gap else { return };
        if !self.is_video {
            return self.fill_with_silence(end);
        }
        let mut time = start;
        while self.has_filled(time) && time.saturating_add(FILLING_INTERVAL) < end {
            time += FILLING_INTERVAL;
        }
    }

    /// Fills up to a running time. Returns false if that failed, as while the encoder is being flushed.
    fn has_filled(&self, until: gst::ClockTime) -> bool {
        self.fill(until) && self.state().end >= Some(until)
    }

    /// Fills up to a running time with silence, [`LONGEST_FILL`] at once.
    fn fill_with_silence(&self, end: gst::ClockTime) {
        let mut filled = self.state().end;
        while self.fill(end) {
            let before = std::mem::replace(&mut filled, self.state().end);
            // The gap is filled, or the encoder is being flushed.
            if filled == before {
                return;
            }
        }
    }

    /// Fills up to a running time with silence, or with the last picture. Returns false if it has neither.
    pub(super) fn fill(&self, until: gst::ClockTime) -> bool {
        let Some(pad) = self.encoder.static_pad("sink") else {
            return false;
        };
        // Blocks upstream's data during the filling.
        let _streaming = pad.stream_lock();
        let mut state = self.state();
        let Some(buffer) = self.filling(&state, until) else {
            return state.end.is_some();
        };
        (state.is_filling, state.is_filled) = (true, true);
        drop(state);
        // The elements behind it report their own errors.
        let _ = pad.chain(buffer);
        self.state().is_filling = false;
        true
    }

    fn filling(&self, state: &State, until: gst::ClockTime) -> Option<gst::Buffer> {
        let end = state.end.filter(|end| *end < until)?;
        if self.is_video {
            let mut picture = state.last.clone()?;
            let writable = picture.make_mut();
            writable.set_pts(until);
            writable.set_dts(gst::ClockTime::NONE);
            return Some(picture);
        }
        let length = (until - end).min(LONGEST_FILL);
        let structure = state.caps.as_ref()?.structure(0)?;
        let number = |field| structure.get::<i32>(field).ok().map(i64::from);
        let (rate, channels) = (number("rate")?, number("channels")?);
        let width = match structure.get::<&str>("format").ok()? {
            "F32LE" | "F32BE" | "S32LE" | "S32BE" => 4,
            "S16LE" | "S16BE" => 2,
            _ => return None,
        };
        let samples = i64::try_from(length.mseconds()).ok()? * rate / 1000;
        let size = usize::try_from(samples * channels * width).ok()?;
        let mut silence = gst::Buffer::from_slice(vec![0; size]);
        let writable = silence.get_mut()?;
        writable.set_pts(end);
        let samples = u64::try_from(samples).ok()?;
        let rate = u64::try_from(rate).ok()?;
        writable.set_duration(gst::ClockTime::from_nseconds(
            samples * 1_000_000_000 / rate,
        ));
        Some(silence)
    }
}
