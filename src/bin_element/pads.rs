// SPDX-License-Identifier: MPL-2.0

//! The pads of the bin: the caps that they accept, and data that arrives without what it needs.

use gst::prelude::*;
use gst::subclass::prelude::*;

use super::WmsPushBin;
use super::refusal::Refusal;
use super::small_map::SmallMap;

/// Returns a segment in time that begins at 0 instead of one in another format, such as bytes, the default of `appsrc`.
pub(super) fn in_time(event: &gst::event::Segment) -> Option<gst::Event> {
    if event.segment().format() == gst::Format::Time {
        return None;
    }
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    let event = gst::event::Segment::builder(&segment).seqnum(event.seqnum());
    Some(event.build())
}

/// Returns the first unused pad name.
pub(super) fn free_name(pads: &SmallMap<String, usize>, prefix: &str) -> String {
    let mut names = (0..).map(|number| format!("{prefix}{number}"));
    let free = names.find(|name| pads.get(name).is_none());
    free.unwrap_or_default()
}

pub(super) fn ghost_pad(template: &gst::PadTemplate, name: &str, id: usize) -> gst::GhostPad {
    gst::GhostPad::builder_from_template(template)
        .name(name)
        .chain_function(move |pad, parent, buffer| {
            match parent.and_then(|parent| parent.downcast_ref::<WmsPushBin>()) {
                Some(bin) => chain(bin, pad, id, buffer),
                None => gst::ProxyPad::chain_default(pad, parent, buffer),
            }
        })
        .event_function(move |pad, parent, event| {
            match parent.and_then(|parent| parent.downcast_ref::<WmsPushBin>()) {
                Some(bin) => bin.imp().event(pad, id, event),
                None => gst::Pad::event_default(pad, parent, event),
            }
        })
        .query_function(|pad, parent, query| {
            caps_query(pad, query) || gst::Pad::query_default(pad, parent, query)
        })
        .build()
}

fn chain(
    bin: &WmsPushBin,
    pad: &gst::GhostPad,
    id: usize,
    buffer: gst::Buffer,
) -> Result<gst::FlowSuccess, gst::FlowError> {
    let (passed, refusal) = match pad.target() {
        Some(_) => {
            begin_segment(pad);
            let passed = gst::ProxyPad::chain_default(pad, Some(bin), buffer);
            let is_refused = passed == Err(gst::FlowError::NotNegotiated);
            let caps = pad.current_caps().filter(|_| is_refused);
            (passed, caps.map(|caps| Refusal::by_conversion(&caps)))
        }
        None if bin.muxing().is_given_up(id) => return Ok(gst::FlowSuccess::Ok),
        None => {
            let refusal = pad.current_caps().is_none().then(|| untyped(pad, &buffer));
            let passed = gst::ProxyPad::chain_default(pad, Some(bin), buffer);
            (passed, refusal)
        }
    };
    match refusal.filter(|_| bin.muxing().is_started()) {
        Some(refusal) => {
            bin.imp().refuse(pad, id, refusal);
            Ok(gst::FlowSuccess::Ok)
        }
        None => passed,
    }
}

fn untyped(pad: &gst::GhostPad, buffer: &gst::BufferRef) -> Refusal {
    let start = buffer.map_readable();
    let start = start.as_ref().map_or(&[][..], |start| start.as_slice());
    Refusal::without_caps(&pad.name(), start)
}

/// Begins a segment at 0 for data without one, which some elements would assert.
fn begin_segment(pad: &gst::GhostPad) {
    let inside = pad.internal();
    if let Some(inside) = inside
        && inside.sticky_event::<gst::event::Segment>(0).is_none()
    {
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        inside.push_event(gst::event::Segment::new(&segment));
    }
}

/// Answers a CAPS query, with the cheapest caps first. Other queries are forwarded to the elements inside.
///
/// Each pad accepts video and audio: if upstream does not know its caps yet, as `queue` behind a demuxer, it requests a
/// pad of the first template for either.
fn caps_query(pad: &gst::GhostPad, query: &mut gst::QueryRef) -> bool {
    match query.view_mut() {
        gst::QueryViewMut::Caps(caps) => {
            let all = accepted_caps(pad);
            let result = match caps.filter_owned() {
                Some(filter) => filter_with(&all, &filter),
                None => all,
            };
            caps.set_result(&result);
            true
        }
        gst::QueryViewMut::AcceptCaps(accept) => {
            let accepted = accept.caps().can_intersect(&accepted_caps(pad));
            accept.set_result(accepted);
            true
        }
        _ => false,
    }
}

fn accepted_caps(pad: &gst::GhostPad) -> gst::Caps {
    let i420 = gst::Structure::builder("video/x-raw").field("format", "I420");
    let mut all: gst::Caps = [i420.build()].into_iter().collect();
    if !pad.name().starts_with("video_") {
        all = gst::Caps::new_empty();
    }
    let templates = super::imp::WmsPushBin::pad_templates()
        .iter()
        .map(|template| template.caps().clone());
    for caps in [pad.pad_template_caps()].into_iter().chain(templates) {
        all.merge(caps);
    }
    all
}

fn filter_with(caps: &gst::Caps, filter: &gst::Caps) -> gst::Caps {
    filter.intersect_with_mode(caps, gst::CapsIntersectMode::First)
}
