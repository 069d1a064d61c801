// SPDX-License-Identifier: MPL-2.0

//! WARNINGs about the input, and about data that is sent too slowly.

use std::time::Duration;

use super::{MessageFields, Origin, post_input_warning, post_warning};
use crate::asf::{AbsurdTimes, ShedObject, SkipReason, Skipped};
use crate::push::Phase;
use crate::sink::SessionState;
use crate::sink::malformed::Malformed;
use crate::wmhttp::HResult;

/// A defect of input that is ASF.
#[derive(Clone, Debug)]
pub(in crate::sink) enum InputFault {
    /// Bytes that are not sent.
    LeftOut(Skipped),
    /// An object of the ASF file header that is not sent.
    Shed(ShedObject),
    /// Malformed data packets, which are sent.
    Malformed(Malformed),
    /// Send Times that players cannot follow.
    AbsurdTimes(AbsurdTimes),
}

/// Posts WARNING for a defect of the input.
pub(in crate::sink) fn post_input_fault(
    origin: Origin<'_>,
    state: SessionState,
    fault: &InputFault,
) {
    match fault {
        InputFault::LeftOut(skipped) => {
            let hint = "Check the element in front of wmspushsink, and its source.";
            post_input_warning(origin, state, &left_out(skipped), hint);
        }
        InputFault::Shed(object) => {
            let (name, bytes) = (object.name, object.bytes);
            let text = format!(
                "The ASF file header is too large: its {name} of {bytes} bytes is left out."
            );
            post_input_warning(origin, state, &text, shed_hint(object));
        }
        InputFault::Malformed(Malformed { count, defect }) => {
            let text = match count {
                1 => format!("Sent 1 data packet that no receiver can read: {defect}."),
                count => format!(
                    "Sent {count} data packets that no receiver can read. The last one: {defect}."
                ),
            };
            let hint = "If asfmux made them, set its packet-size to 4800 or less: into a larger packet it can put more than the 63 \
                        payloads that the format can count. If they are from a file, the file is damaged.";
            post_stream_warning(origin, state, "malformed-packet", &text, hint);
        }
        InputFault::AbsurdTimes(times) => {
            let hint = if times.is_libav_shift() {
                "libav's video encoders shift timestamps by 1000 hours: put `identity single-segment=true` between \
                 each encoder and asfmux."
            } else {
                "A restarted asfmux continues with its old times: use a new asfmux for each run. If segments follow each \
                 other, put `identity single-segment=true` in front of asfmux."
            };
            post_stream_warning(origin, state, "absurd-times", &absurd(times), hint);
        }
    }
}

fn left_out(skipped: &Skipped) -> String {
    let bytes = match skipped.bytes {
        1 => "1 byte".to_owned(),
        bytes => format!("{bytes} bytes"),
    };
    match skipped.reason {
        SkipReason::TrailingData => format!(
            "Left out {bytes} that are no ASF data packet: a file before this one may have been cut off."
        ),
        SkipReason::PartialPacket => {
            format!("Left out {bytes}, a part of a data packet: the input was cut off.")
        }
        SkipReason::PartialHeader => {
            format!("Left out {bytes}, a part of an ASF file header: the input was cut off.")
        }
        reason => format!("Left out {bytes} of the input: {reason}."),
    }
}

fn shed_hint(object: &ShedObject) -> &'static str {
    match object.name {
        "Padding" => {
            "Players do not miss it. The header is near the limit: long tags and cover pictures make it large."
        }
        _ => {
            "Remove cover pictures and long tags from the file, or set fewer tags in front of asfmux."
        }
    }
}

/// Returns the defect as a sentence.
fn absurd(times: &AbsurdTimes) -> String {
    let fact = times.to_string();
    let mut letters = fact.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let fact: String = first.into_iter().chain(letters).collect();
    format!("{fact}, and players cannot follow.")
}

fn post_stream_warning(
    origin: Origin<'_>,
    state: SessionState,
    reason: &str,
    text: &str,
    hint: &str,
) {
    let fields = MessageFields {
        state,
        previous_state: state,
        reason,
        hresult: Some(HResult::NS_E_INVALID_DATA),
        hint: hint.into(),
        ..MessageFields::default()
    };
    let error = glib::Error::new(gst::StreamError::Format, text);
    post_warning(origin, error, hint, &fields, Phase::Push);
}

/// Posts WARNING for data that is late although the connection stands.
pub(in crate::sink) fn post_falling_behind(
    origin: Origin<'_>,
    state: SessionState,
    behind: Duration,
) {
    let hint = "Lower the bit rate of the encoder, or find out what slows the network or the server down. \
                max-size-time and max-size-bytes limit the data that waits; `behind` in stats is the current delay.";
    let fields = MessageFields {
        state,
        previous_state: state,
        reason: "falling-behind",
        hint: hint.into(),
        ..MessageFields::default()
    };
    let (location, seconds) = (origin.location, behind.as_secs_f64());
    let text = format!(
        "The push to {location} is {seconds:.1} s behind: the network or the server takes less than the stream's bit rate, or is down."
    );
    let error = glib::Error::new(gst::ResourceError::Write, &text);
    post_warning(origin, error, hint, &fields, Phase::Push);
}

/// Posts WARNING for a live upstream that has delivered nothing for `seconds`.
pub(in crate::sink) fn post_no_input(origin: Origin<'_>, state: SessionState, seconds: u32) {
    let hint = "Check that each source still runs, and that the muxer gets data on each of its pads: asfmux sends nothing \
                while it waits for one of them.";
    let fields = MessageFields {
        state,
        previous_state: state,
        reason: "no-input",
        hint: hint.into(),
        ..MessageFields::default()
    };
    let text = format!("Upstream has delivered nothing for {seconds} s.");
    let error = glib::Error::new(gst::ResourceError::Read, &text);
    post_warning(origin, error, hint, &fields, Phase::Push);
}
