// SPDX-License-Identifier: MPL-2.0

//! `verify-interval`: verifications while the stream is pushed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gst::prelude::*;

use crate::front::{Front, Way};
use crate::rig::{LONG, Pipeline, Point, text};
use crate::{address, assert_is_typed, live, response};

/// The next message of `verify-interval`: true if the push is seen, or the details of the WARNING.
enum Told {
    Verified(bool),
    Warning(gst::Structure),
}

fn next(pipeline: &Pipeline) -> Told {
    let bus = pipeline.pipeline.bus().unwrap();
    let deadline = Instant::now() + LONG;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no message");
        let left = gst::ClockTime::try_from(left).unwrap();
        let Some(message) = bus.timed_pop(left) else {
            continue;
        };
        match message.view() {
            gst::MessageView::Element(element) => {
                let structure = element.structure().unwrap();
                if structure.name() == "wmspushsink-verified" {
                    assert_is_typed(structure);
                    return Told::Verified(structure.get("ok").unwrap());
                }
            }
            gst::MessageView::Warning(warning) => {
                return Told::Warning(warning.details().unwrap().to_owned());
            }
            _ => {}
        }
    }
}

/// Skips messages until one has this result.
fn until(pipeline: &Pipeline, ok: bool) {
    loop {
        match next(pipeline) {
            Told::Verified(found) if found == ok => return,
            Told::Verified(_) => {}
            Told::Warning(details) => panic!("{details}"),
        }
    }
}

#[test]
fn a_push_off_the_air_causes_one_warning() {
    let point = Point::new();
    let to = address(&point);
    let hidden = Arc::new(AtomicBool::new(false));
    let front = Front::new(to, {
        let hidden = hidden.clone();
        move |_| match hidden.load(Ordering::Relaxed) {
            true => Way::Answer(response("403 Forbidden", "Content-Length: 0\r\n", b"")),
            false => Way::To(to),
        }
    });
    let pipeline = live(&front.location(), "verify-interval=100");
    pipeline.play();
    until(&pipeline, true);
    for _ in 0..2 {
        hidden.store(true, Ordering::Relaxed);
        until(&pipeline, false);
        let Told::Warning(details) = next(&pipeline) else {
            panic!("a WARNING comes with the change");
        };
        assert_eq!(text(&details, "reason"), "not-on-air");
        assert_eq!(text(&details, "state"), "streaming");
        assert!(text(&details, "hint").contains("refuses viewers"));
        // Without another WARNING, which `until` would find.
        until(&pipeline, false);
        until(&pipeline, false);
        hidden.store(false, Ordering::Relaxed);
        until(&pipeline, true);
    }
}

#[test]
fn the_interval_may_change_while_it_plays() {
    let point = Point::new();
    let pipeline = live(&point.location(), "");
    pipeline.play();
    pipeline.sink.set_property("verify-interval", 50u32);
    until(&pipeline, true);
    pipeline.sink.set_property("verify-interval", 0u32);
}
