// SPDX-License-Identifier: MPL-2.0

//! The state of the streams and their muxer.

use std::time::Instant;

use gst::prelude::*;

use super::muxer::Member;
use super::small_map::SmallMap;
use super::stream::Stream;

/// State that the streaming threads of a bin share.
#[derive(Default)]
pub(super) struct State {
    pub(super) streams: SmallMap<usize, Stream>,
    pub(super) phase: Phase,
    pub(super) muxer: Option<gst::Element>,
    /// The time of the first data that waits for other streams.
    pub(super) waits_since: Option<Instant>,
    /// A muxer was started in this run.
    pub(super) has_begun: bool,
    /// The bin got EOS when it had no pad.
    pub(super) ends_without_pads: bool,
    /// Seeks that have not reached all streams.
    pub(super) seeks: usize,
    /// The application has paused: upstream delivers nothing, or nothing more.
    pub(super) is_paused: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The bin is in READY or below, and accepts no data.
    #[default]
    Stopped,
    /// The first data of each stream is awaited, for at most [`LONGEST_WAIT`](super::muxing::LONGEST_WAIT).
    Waiting,
    /// The muxer is running.
    Running,
    /// The muxer is being replaced.
    Changing,
    /// No muxer can be started, and the ERROR was posted.
    Failed,
}

impl State {
    /// Returns to the initial wait for data. Returns the last muxer.
    pub(super) fn forget_muxer(&mut self) -> Option<gst::Element> {
        let muxer = self.muxer.take()?;
        self.phase = Phase::Waiting;
        self.waits_since = None;
        for stream in self.streams.values_mut() {
            stream.has_data = false;
            if let Some(inside) = &mut stream.inside {
                (inside.pad, inside.is_stale) = (None, false);
            }
        }
        Some(muxer)
    }

    /// Returns whether all streams have ended. False if none has begun after an ERROR: the sink would post a second one.
    pub(super) fn is_over(&self) -> bool {
        let mut streams = self.streams.values().filter(|stream| !stream.released);
        let is_one = |stream: &Stream| stream.ended && (self.has_begun || !stream.given_up);
        let some_ended = streams.clone().any(is_one);
        some_ended && streams.all(|stream| stream.is_over() || !stream.ghost.is_linked())
    }

    pub(super) fn is_busy(&self) -> bool {
        let mut inside = self
            .streams
            .values()
            .filter_map(|stream| stream.inside.as_ref());
        inside.any(|inside| inside.busy.is_some())
    }

    /// Returns the pads of the muxer whose streams are not in it at the moment.
    pub(super) fn idle_pads(&mut self) -> Vec<gst::Pad> {
        let streams = self.streams.values_mut();
        let inside = streams.filter_map(|stream| stream.inside.as_mut());
        let idle = inside.filter(|inside| inside.busy.is_none());
        idle.filter_map(|inside| inside.pad.take()).collect()
    }

    /// Returns the streams that have data, as members of a muxer.
    pub(super) fn begin_members(&mut self) -> Vec<Member> {
        let mut members = Vec::new();
        for (id, stream) in self.streams.iter_mut() {
            let is_member = stream.has_data && !stream.is_over();
            let Some(inside) = &mut stream.inside else {
                continue;
            };
            (inside.pad, inside.is_stale) = (None, false);
            inside.awaits_key_frame = inside.is_video;
            if is_member && !inside.flushing {
                members.push(Member {
                    id: *id,
                    template: if inside.is_video {
                        "video_%u"
                    } else {
                        "audio_%u"
                    },
                    source: inside.source.clone(),
                    encoder: inside.raw.as_ref().map(|raw| raw.encoder().clone()),
                });
            }
        }
        members
    }
}
