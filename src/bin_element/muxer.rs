// SPDX-License-Identifier: MPL-2.0

//! A muxer between the inlets of its streams and the sink.
//!
//! `asfmux` accepts no stream after it has begun, writes no header for a stream that changes, and cannot be reused
//! after its end. Each set of streams therefore gets a new muxer, and with it a new ASF file header.

use gst::prelude::*;

use super::WmsPushBin;
use super::elements::{self, Missing};
use super::refusal::Refusal;
use super::tags;

/// A stream of a muxer.
pub(super) struct Member {
    pub(super) id: usize,
    pub(super) template: &'static str,
    /// The source pad of its inlet.
    pub(super) source: gst::Pad,
    /// `None`: the stream was encoded before.
    pub(super) encoder: Option<gst::Element>,
}

impl Member {
    fn refused_by(&self, muxer: &gst::Element) -> Refusal {
        let is_video = self.template.starts_with("video");
        Refusal::by_muxer(
            muxer,
            self.encoder.as_ref(),
            is_video,
            self.source.current_caps(),
        )
    }
}

/// A muxer, and the pad of each of its streams.
pub(super) type Started = (gst::Element, Vec<(usize, gst::Pad)>);

/// The reason for which there is no muxer.
#[derive(Debug)]
pub(super) enum Failure {
    Missing(Missing),
    /// The muxer does not accept a stream.
    Refused(Refusal),
    /// The bin is being stopped.
    Stopped,
}

impl Failure {
    pub(super) fn post(&self, bin: &WmsPushBin) {
        match self {
            Self::Missing(missing) => missing.post(bin),
            Self::Refused(refusal) => refusal.post(bin),
            Self::Stopped => {}
        }
    }
}

/// Removes a muxer from the bin.
pub(super) fn remove(bin: &WmsPushBin, muxer: &gst::Element) {
    // Threads leave the muxer before it is unlinked.
    elements::stop(muxer);
    for pad in muxer.src_pads() {
        if let Some(peer) = pad.peer() {
            let _ = pad.unlink(&peer);
        }
    }
    for pad in muxer.sink_pads() {
        if let Some(peer) = pad.peer() {
            let _ = peer.unlink(&pad);
        }
    }
    let _ = bin.remove(muxer);
    occupy_sink(bin);
}

/// Links the placeholder to the sink, if that is free. Otherwise GStreamer would find the sink's pad as the one to link
/// from outside (`gst_parse_bin_from_description` with ghost pads), instead of requesting a pad of the bin.
pub(super) fn occupy_sink(bin: &WmsPushBin) {
    if let Some(sink) = bin.sink().static_pad("sink") {
        // The placeholder has no parent, so that nothing is to be checked.
        let _ = bin
            .placeholder()
            .link_full(&sink, gst::PadLinkCheck::empty());
    }
}

/// Creates a muxer for `members` and starts it. `passes` decides whether its EOS reaches the sink.
///
/// # Errors
///
/// The muxer is missing, or does not accept a stream.
pub(super) fn start(
    bin: &WmsPushBin,
    members: &[Member],
    passes_eos: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<Started, Failure> {
    let muxer = make(bin).map_err(Failure::Missing)?;
    bin.add(&muxer).map_err(|_| Failure::Stopped)?;
    let linked = link(bin, &muxer, members, passes_eos);
    if linked.is_err() {
        remove(bin, &muxer);
    }
    Ok((muxer, linked?))
}

fn make(bin: &WmsPushBin) -> Result<gst::Element, Missing> {
    if let Some(muxer) = bin.take_muxer() {
        return muxer;
    }
    let muxer = elements::make("asfmux")?;
    muxer.set_property("streamable", true);
    muxer.set_property("packet-size", bin.settings().packet_size);
    Ok(muxer)
}

fn link(
    bin: &WmsPushBin,
    muxer: &gst::Element,
    members: &[Member],
    passes_eos: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<Vec<(usize, gst::Pad)>, Failure> {
    let mut pads = Vec::new();
    for member in members {
        let refused = || Failure::Refused(member.refused_by(muxer));
        let pad = muxer.request_pad_simple(member.template);
        let pad = pad.ok_or_else(refused)?;
        let caps = member.source.current_caps();
        if !caps.is_none_or(|caps| pad.query_accept_caps(&caps)) {
            return Err(refused());
        }
        member.source.link(&pad).map_err(|_| refused())?;
        pads.push((member.id, pad));
    }
    let (source, sink) = (muxer.static_pad("src"), bin.sink().static_pad("sink"));
    let (source, sink) = source.zip(sink).ok_or(Failure::Stopped)?;
    source.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let is_eos = info
            .event()
            .is_some_and(|event| event.type_() == gst::EventType::Eos);
        match is_eos && !passes_eos() {
            true => gst::PadProbeReturn::Handled,
            false => gst::PadProbeReturn::Ok,
        }
    });
    let _ = bin.placeholder().unlink(&sink);
    source.link(&sink).map_err(|_| Failure::Stopped)?;
    for tagged in [muxer, bin.upcast_ref()] {
        tags::copy(tagged, muxer);
    }
    muxer
        .sync_state_with_parent()
        .map_err(|_| Failure::Stopped)?;
    Ok(pads)
}
