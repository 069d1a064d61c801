// SPDX-License-Identifier: MPL-2.0

//! WARNINGs about what enters the element, and about data that leaves it too slowly.

use std::time::Duration;

use super::{Origin, Report, post_input_warning, post_warning};
use crate::asf::AbsurdTimes;
use crate::push::Phase;
use crate::sink::SessionState;
use crate::sink::malformed::Malformed;
use crate::wmhttp::HResult;

/// What is wrong with the input, although it is ASF.
#[derive(Clone, Debug)]
pub(in crate::sink) enum InputFault {
    /// Bytes that are not sent, in a sentence.
    LeftOut(String),
    /// Data packets that no receiver can read. They are sent.
    Malformed(Malformed),
    /// Times that no player can follow.
    AbsurdTimes(AbsurdTimes),
}

/// WARNING for input that no player can use as it is.
pub(in crate::sink) fn post_input_fault(
    origin: Origin<'_>,
    state: SessionState,
    fault: &InputFault,
) {
    match fault {
        InputFault::LeftOut(text) => post_input_warning(origin, state, text),
        InputFault::Malformed(Malformed { count, defect }) => {
            let text = format!(
                "Data packets are sent that no receiver can read: {count} so far. The last one: {defect}."
            );
            let hint = "Where asfmux made them, set its packet-size to 4800 or less: it puts more payloads into a large packet than \
                        their number can say. Where a file has them, it is damaged.";
            post_stream_warning(origin, state, "malformed-packet", &text, hint);
        }
        InputFault::AbsurdTimes(times) => {
            let text = format!("Players cannot follow the times in the stream: {times}.");
            let hint = "Put `identity single-segment=true` between each encoder and asfmux, and take a new asfmux for each run.";
            post_stream_warning(origin, state, "absurd-times", &text, hint);
        }
    }
}

fn post_stream_warning(
    origin: Origin<'_>,
    state: SessionState,
    reason: &str,
    text: &str,
    hint: &str,
) {
    let report = Report {
        state,
        previous_state: state,
        reason,
        hresult: Some(HResult::NS_E_INVALID_DATA),
        hint: hint.into(),
        ..Report::default()
    };
    let error = glib::Error::new(gst::StreamError::Format, text);
    post_warning(origin, error, hint, &report, Phase::Push);
}

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
        hint: hint.into(),
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
        hint: hint.into(),
        ..Report::default()
    };
    let text = format!("Upstream has delivered nothing for {seconds} s.");
    let error = glib::Error::new(gst::ResourceError::Read, &text);
    post_warning(origin, error, hint, &report, Phase::Push);
}
