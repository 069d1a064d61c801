// SPDX-License-Identifier: MPL-2.0

//! The streams of the bin and their muxer: which streams it has, when it starts, and when it is replaced.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::WmsPushBin;
use super::muxer::{self, Failure, Member, Started};
use super::state::{Phase, State};
use super::stream::{Inside, Stream};

/// Longest wait for a stream without data while another one waits for it.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(1500);

/// The streams of a bin, and its muxer.
pub(super) struct Muxing {
    pub(super) bin: glib::WeakRef<WmsPushBin>,
    state: Mutex<State>,
    changed: Condvar,
}

/// The decision about a buffer at the inlet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    Open,
    /// It precedes the key frame with which the stream begins.
    Drop,
    Flushing,
    /// No muxer accepts it.
    Failed,
}

impl Muxing {
    pub(super) fn new(bin: &WmsPushBin) -> Self {
        Self {
            bin: bin.downgrade(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Adds a pad of the bin.
    pub(super) fn add(&self, id: usize, ghost: gst::Pad) {
        let stream = Stream::new(ghost);
        self.lock().streams.insert(id, stream);
    }

    /// Stores the elements that were created for a stream.
    pub(super) fn set_inside(&self, id: usize, inside: Inside) {
        if let Some(stream) = self.lock().streams.get_mut(&id) {
            stream.inside = Some(inside);
        }
    }

    /// Marks a stream as unusable, after its ERROR was posted.
    pub(super) fn give_up(&self, id: usize) {
        if let Some(stream) = self.lock().streams.get_mut(&id) {
            stream.given_up = true;
        }
        self.changed.notify_all();
    }

    /// Returns whether a stream is unusable. Its data is discarded.
    pub(super) fn is_given_up(&self, id: usize) -> bool {
        let state = self.lock();
        state.streams.get(&id).is_some_and(|stream| stream.given_up)
    }

    /// Returns whether the bin accepts data.
    pub(super) fn is_started(&self) -> bool {
        self.lock().phase != Phase::Stopped
    }

    /// Marks a pad as released. Data that was delivered is still muxed.
    pub(super) fn release(&self, id: usize) {
        if let Some(stream) = self.lock().streams.get_mut(&id) {
            stream.released = true;
        }
        self.changed.notify_all();
    }

    /// Forgets a pad of the bin.
    pub(super) fn remove(&self, id: usize) {
        let mut state = self.lock();
        state.streams.remove(&id);
        let ends = state.ends_without_pads && state.streams.values().next().is_none();
        drop(state);
        self.changed.notify_all();
        if ends {
            self.end_sink();
        }
    }

    /// Ends the push, although no pad is left for EOS, once the data of the released ones is muxed. Returns whether the bin
    /// was started.
    pub(super) fn end_without_pads(&self) -> bool {
        let mut state = self.lock();
        if state.phase == Phase::Stopped {
            return false;
        }
        state.ends_without_pads = true;
        let ends = state.streams.values().next().is_none();
        drop(state);
        if ends {
            self.end_sink();
        }
        true
    }

    /// Starts to accept data. After a failed start, the streams are there already.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        (state.is_paused, state.ends_without_pads) = (false, false);
        if matches!(state.phase, Phase::Stopped | Phase::Failed) {
            state.phase = Phase::Waiting;
            (state.waits_since, state.has_begun) = (None, false);
        }
    }

    /// Sends a seek upstream. Streams that it has flushed wait until it has reached the others: their flush would discard
    /// what the first ones have delivered meanwhile.
    pub(super) fn seek<T>(&self, send: impl FnOnce() -> T) -> T {
        self.lock().seeks += 1;
        let sent = send();
        self.lock().seeks -= 1;
        self.changed.notify_all();
        sent
    }

    /// The application pauses, or goes on.
    pub(super) fn set_paused(&self, is_paused: bool) {
        self.lock().is_paused = is_paused;
    }

    /// Makes all blocked streaming threads return.
    pub(super) fn stop(&self) {
        self.lock().phase = Phase::Stopped;
        self.changed.notify_all();
    }

    /// Resets the state of a run, after the elements inside of the bin were removed.
    pub(super) fn reset(&self) {
        let mut state = self.lock();
        state.streams.retain(|stream| !stream.released);
        for stream in state.streams.values_mut() {
            stream.inside = None;
            (stream.has_data, stream.ended, stream.given_up) = (false, false, false);
            stream.is_ahead = false;
        }
        let muxer = state.muxer.take();
        drop(state);
        if let (Some(muxer), Some(bin)) = (muxer, self.bin.upgrade()) {
            muxer::remove(&bin, &muxer);
        }
    }

    /// Waits until a buffer of a stream may enter the muxer. After [`Entrance::Open`], call [`leave`](Self::leave).
    pub(super) fn enter(&self, id: usize, time: gst::ClockTime, is_key_frame: bool) -> Entrance {
        let mut state = self.lock();
        loop {
            let phase = state.phase;
            let Some(stream) = state.streams.get_mut(&id) else {
                return Entrance::Flushing;
            };
            stream.has_data = true;
            let is_over = stream.is_over();
            let Some(inside) = stream.inside.as_mut().filter(|inside| !inside.flushing) else {
                return Entrance::Flushing;
            };
            state = match phase {
                Phase::Stopped => return Entrance::Flushing,
                Phase::Failed => return Entrance::Failed,
                Phase::Changing => self.wait(state),
                Phase::Running if inside.is_member() => {
                    inside.missed_since = None;
                    if inside.awaits_key_frame && !is_key_frame {
                        return Entrance::Drop;
                    }
                    inside.awaits_key_frame = false;
                    inside.busy = Some(time);
                    return Entrance::Open;
                }
                Phase::Running if is_over => return Entrance::Failed,
                Phase::Running => self.change(state),
                Phase::Waiting if state.seeks > 0 => self.wait(state),
                Phase::Waiting => self.wait_for_others(state),
            };
        }
    }

    /// Called after the muxer has accepted the buffer of a stream.
    pub(super) fn leave(&self, id: usize) {
        let state = self.lock();
        let is_changing = state.phase == Phase::Changing;
        let pad = state.streams.get(&id).and_then(|stream| {
            let inside = stream.inside.as_ref()?;
            inside.pad.clone().filter(|_| is_changing)
        });
        drop(state);
        if let Some(pad) = pad {
            pad.send_event(gst::event::Eos::new());
        }
        let mut state = self.lock();
        if let Some(inside) = inside_mut(&mut state, id) {
            inside.busy = None;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Handles the EOS of a stream. Returns whether it is forwarded to the muxer.
    pub(super) fn end(&self, id: usize) -> bool {
        let mut state = self.lock();
        while state.phase == Phase::Changing {
            state = self.wait(state);
        }
        let Some(stream) = state.streams.get_mut(&id) else {
            return false;
        };
        stream.ended = true;
        let inside = stream.inside.as_ref();
        let is_member = inside.is_some_and(|inside| inside.pad.is_some());
        let is_released = stream.released;
        let is_over = !is_member && state.is_over() && state.phase != Phase::Stopped;
        drop(state);
        self.changed.notify_all();
        if let Some(bin) = self.bin.upgrade().filter(|_| is_released) {
            bin.call_async(move |bin| bin.drop_branch(id));
        }
        if is_over {
            self.end_sink();
        }
        is_member
    }

    /// Sends EOS to the sink directly, because the muxer has ended before or never began.
    fn end_sink(&self) {
        let bin = self.bin.upgrade();
        if let Some(pad) = bin.and_then(|bin| bin.sink().static_pad("sink")) {
            pad.send_event(gst::event::Eos::new());
        }
    }

    /// Handles the start or restart of a stream.
    pub(super) fn restart(&self, id: usize) {
        let mut state = self.lock();
        if let Some(stream) = state.streams.get_mut(&id)
            && stream.ended
        {
            stream.ended = false;
            if let Some(inside) = &mut stream.inside {
                inside.is_stale = inside.pad.is_some();
            }
        }
    }

    /// Marks a stream whose format no longer matches the header of the muxer.
    pub(super) fn renew(&self, id: usize) {
        if let Some(inside) = inside_mut(&mut self.lock(), id) {
            inside.is_stale = inside.pad.is_some();
        }
    }

    /// Handles the start of a flush: the muxer and the sink discard their data, and later data gets a new muxer. The
    /// stream takes part again after its [elements were replaced](Self::set_inside).
    pub(super) fn begin_flush(&self, id: usize) {
        let mut state = self.lock();
        if let Some(stream) = state.streams.get_mut(&id) {
            stream.has_data = false;
            if let Some(inside) = &mut stream.inside {
                inside.flushing = true;
            }
        }
        self.changed.notify_all();
        while state.phase == Phase::Changing {
            state = self.wait(state);
        }
        let muxer = state.forget_muxer();
        drop(state);
        let bin = self.bin.upgrade();
        let sink = bin.as_ref().and_then(|bin| bin.sink().static_pad("sink"));
        if let (Some(muxer), Some(bin), Some(sink)) = (muxer, bin, sink) {
            sink.send_event(gst::event::FlushStart::new());
            muxer::remove(&bin, &muxer);
            sink.send_event(gst::event::FlushStop::new(true));
        }
    }

    /// Returns whether a stream may continue although its muxer was removed.
    pub(super) fn goes_on(&self, id: usize) -> bool {
        let state = self.lock();
        let inside = state
            .streams
            .get(&id)
            .and_then(|stream| stream.inside.as_ref());
        state.phase != Phase::Stopped && inside.is_some_and(|inside| !inside.flushing)
    }

    /// Removes a stream without data from the muxer until it has data again.
    pub(super) fn expel(&self, id: usize) {
        let mut state = self.lock();
        let pad = state.streams.get_mut(&id).and_then(|stream| {
            let inside = stream
                .inside
                .as_mut()
                .filter(|inside| inside.busy.is_none());
            let pad = inside.and_then(|inside| inside.pad.take());
            stream.has_data &= pad.is_none();
            pad
        });
        drop(state);
        if let Some(pad) = pad {
            pad.send_event(gst::event::Eos::new());
        }
    }

    fn wait_for_others<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = state.waits_since.get_or_insert_with(Instant::now).elapsed();
        let all_have_data = {
            let mut expected = state.streams.values().filter(|stream| stream.is_expected());
            expected.all(|stream| stream.has_data)
        };
        if all_have_data || waited >= LONGEST_WAIT {
            return self.change(state);
        }
        self.wait_for(state, LONGEST_WAIT.saturating_sub(waited))
    }

    /// Replaces the muxer with one for the streams that have data.
    fn change<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.phase = Phase::Changing;
        let is_first = !std::mem::replace(&mut state.has_begun, true);
        let old = state.muxer.take();
        let idle = state.idle_pads();
        drop(state);
        for pad in idle {
            pad.send_event(gst::event::Eos::new());
        }
        let mut state = self.lock();
        while state.phase == Phase::Changing && state.is_busy() {
            state = self.wait(state);
        }
        let members = state.begin_members();
        drop(state);
        let started = self.replace(old.as_ref(), &members);
        let is_running = self.changed(started);
        // The first data of a run begins with a key frame anyway.
        if is_running && !is_first {
            request_key_frames(&members);
        }
        self.lock()
    }

    fn replace(&self, old: Option<&gst::Element>, members: &[Member]) -> Result<Started, Failure> {
        let bin = self.bin.upgrade().ok_or(Failure::Stopped)?;
        if let Some(old) = old {
            muxer::remove(&bin, old);
        }
        let weak = bin.downgrade();
        let passes_eos = move || weak.upgrade().is_some_and(|bin| bin.muxing().passes_eos());
        muxer::start(&bin, members, passes_eos)
    }

    /// Stores the new muxer, unless the bin was stopped meanwhile. Returns whether there is one.
    fn changed(&self, started: Result<Started, Failure>) -> bool {
        let bin = self.bin.upgrade();
        if let (Err(failure), Some(bin)) = (&started, &bin) {
            failure.post(bin);
        }
        let mut state = self.lock();
        let is_wanted = state.phase == Phase::Changing;
        let mut unwanted = None;
        match started {
            Ok((muxer, _)) if !is_wanted => unwanted = Some(muxer),
            Ok((muxer, pads)) => {
                state.muxer = Some(muxer);
                state.phase = Phase::Running;
                for (id, pad) in pads {
                    if let Some(inside) = inside_mut(&mut state, id) {
                        inside.pad = Some(pad);
                    }
                }
            }
            Err(_) if is_wanted => state.phase = Phase::Failed,
            Err(_) => {}
        }
        let is_running = state.phase == Phase::Running;
        drop(state);
        self.changed.notify_all();
        if let (Some(muxer), Some(bin)) = (unwanted, bin) {
            muxer::remove(&bin, &muxer);
        }
        is_running
    }

    /// Returns whether the end of the muxer is the end of the push.
    fn passes_eos(&self) -> bool {
        let state = self.lock();
        state.phase == Phase::Running && state.is_over()
    }
}

fn inside_mut(state: &mut State, id: usize) -> Option<&mut Inside> {
    state.streams.get_mut(&id)?.inside.as_mut()
}

/// Requests key frames, because data before them cannot be decoded.
fn request_key_frames(members: &[Member]) {
    for member in members {
        let inlet = member.source.parent_element();
        if let Some(pad) = inlet.and_then(|inlet| inlet.static_pad("sink")) {
            pad.push_event(super::raw::key_frame_request());
        }
    }
}
