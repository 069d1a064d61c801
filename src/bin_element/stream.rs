// SPDX-License-Identifier: MPL-2.0

//! The state of one stream on its way into the muxer.

use std::sync::Arc;
use std::time::Instant;

use gst::prelude::*;

use super::raw::RawInput;

/// The stream of one pad of the bin.
pub(super) struct Stream {
    pub(super) ghost: gst::Pad,
    /// `None`: no caps have come, or the pad was released.
    pub(super) inside: Option<Inside>,
    /// It has data, or had it in this run.
    pub(super) has_data: bool,
    /// Its EOS has come.
    pub(super) ended: bool,
    /// It cannot be encoded, and the ERROR is posted.
    pub(super) given_up: bool,
    /// The application has released its pad.
    pub(super) released: bool,
}

/// The part of a stream inside of the bin.
pub(super) struct Inside {
    pub(super) is_video: bool,
    /// The source pad of the inlet.
    pub(super) source: gst::Pad,
    pub(super) queue: gst::Element,
    /// `None`: it was encoded already.
    pub(super) raw: Option<Arc<RawInput>>,
    /// The pad of the muxer; `None`: the stream is not in the muxer.
    pub(super) pad: Option<gst::Pad>,
    /// Time of the buffer that is in the muxer, or waits there for another stream.
    pub(super) busy: Option<gst::ClockTime>,
    /// The muxer's header does not describe the stream any more.
    pub(super) is_stale: bool,
    /// It begins at a key frame.
    pub(super) awaits_key_frame: bool,
    /// The streaming thread has to leave.
    pub(super) flushing: bool,
    /// Since when another stream waits for this one.
    pub(super) missed_since: Option<Instant>,
}

impl Inside {
    pub(super) fn new(
        source: gst::Pad,
        queue: gst::Element,
        raw: Option<Arc<RawInput>>,
        is_video: bool,
    ) -> Self {
        Self {
            is_video,
            source,
            queue,
            raw,
            pad: None,
            busy: None,
            is_stale: false,
            awaits_key_frame: is_video,
            flushing: false,
            missed_since: None,
        }
    }

    /// It was missed for too long, and has not delivered data since.
    pub(super) fn is_absent(&self) -> bool {
        self.raw.as_ref().is_some_and(|raw| raw.is_absent())
    }

    pub(super) fn is_member(&self) -> bool {
        self.pad.is_some() && !self.is_stale
    }
}

impl Stream {
    pub(super) fn new(ghost: gst::Pad) -> Self {
        Self {
            ghost,
            inside: None,
            has_data: false,
            ended: false,
            given_up: false,
            released: false,
        }
    }

    /// The name of its pad.
    pub(super) fn name(&self) -> String {
        self.ghost.name().to_string()
    }

    /// Data of it may come.
    pub(super) fn is_expected(&self) -> bool {
        !self.is_over() && self.ghost.is_linked()
    }

    /// No more data of it comes.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.given_up || self.released
    }
}
