// SPDX-License-Identifier: MPL-2.0

//! WARNINGs about what enters the element, and about data that leaves it too slowly.

use std::time::Duration;

use super::{Origin, Report, post_warning};
use crate::push::Phase;
use crate::sink::SessionState;

/// WARNING for data that waits although the connection stands.
pub(in crate::sink) fn post_falling_behind(
    origin: Origin<'_>,
    state: SessionState,
    behind: Duration,
) {
    let hint = "Lower the bit rate of the encoder, or find out what slows the line or the server down. max-size-time and \
                max-size-bytes say how much may wait; `behind` in stats says how late the stream is.";
    let report = Report {
        state,
        previous_state: state,
        reason: "falling-behind",
        hint,
        ..Report::default()
    };
    let (location, seconds) = (origin.location, behind.as_secs_f64());
    let text = format!(
        "The push to {location} is {seconds:.1} s behind: the line or the server takes less than the stream's bit rate."
    );
    let error = glib::Error::new(gst::ResourceError::Write, &text);
    post_warning(origin, error, hint, &report, Phase::Push);
}

/// WARNING for a live upstream that has delivered nothing for `seconds`.
pub(in crate::sink) fn post_no_input(origin: Origin<'_>, state: SessionState, seconds: u32) {
    let hint = "Check that each source still runs, and that the muxer gets data on each of its pads: asfmux sends nothing \
                while it waits for one of them.";
    let report = Report {
        state,
        previous_state: state,
        reason: "no-input",
        hint,
        ..Report::default()
    };
    let text = format!("Upstream has delivered nothing for {seconds} s.");
    let error = glib::Error::new(gst::ResourceError::Read, &text);
    post_warning(origin, error, hint, &report, Phase::Push);
}
