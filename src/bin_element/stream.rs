// SPDX-License-Identifier: MPL-2.0

//! The state of one stream in front of the muxer.

use std::sync::Arc;
use std::time::Instant;

use gst::prelude::*;

use super::raw::RawInput;

/// The stream of one pad of the bin.
pub(super) struct Stream {
    pub(super) ghost: gst::Pad,
    /// `None`: no caps were received, or the pad was released.
    pub(super) inside: Option<Inside>,
    /// The stream has delivered data in this run.
    pub(super) has_data: bool,
    /// The stream has delivered EOS.
    pub(super) ended: bool,
    /// The stream cannot be encoded, and an ERROR was posted.
    pub(super) given_up: bool,
    /// The application has released the pad.
    pub(super) released: bool,
    /// A WARNING was posted because its times are far ahead of those of the others.
    pub(super) is_ahead: bool,
}

/// The elements of a stream inside of the bin.
pub(super) struct Inside {
    pub(super) is_video: bool,
    /// The source pad of the inlet.
    pub(super) source: gst::Pad,
    pub(super) queue: gst::Element,
    /// `None`: the input is already encoded.
    pub(super) raw: Option<Arc<RawInput>>,
    /// The pad of the muxer; `None`: the stream is not in the muxer.
    pub(super) pad: Option<gst::Pad>,
    /// Time of the last buffer.
    pub(super) time: Option<gst::ClockTime>,
    /// Time of the buffer that is in the muxer, or waits there for another stream.
    pub(super) busy: Option<gst::ClockTime>,
    /// The header of the muxer no longer describes the stream.
    pub(super) is_stale: bool,
    /// Data is dropped up to a key frame.
    pub(super) awaits_key_frame: bool,
    /// The streaming thread must return.
    pub(super) flushing: bool,
    /// The time since which another stream waits for this one.
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
            time: None,
            busy: None,
            is_stale: false,
            awaits_key_frame: is_video,
            flushing: false,
            missed_since: None,
        }
    }

    /// Returns whether others have waited too long for it, and it has not delivered data since.
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
            is_ahead: false,
        }
    }

    /// Returns the name of its pad.
    pub(super) fn name(&self) -> String {
        self.ghost.name().to_string()
    }

    /// Returns whether it may deliver data.
    pub(super) fn is_expected(&self) -> bool {
        !self.is_over() && self.ghost.is_linked()
    }

    /// Returns whether it delivers no more data.
    pub(super) fn is_over(&self) -> bool {
        self.ended || self.given_up || self.released
    }
}
