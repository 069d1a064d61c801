// SPDX-License-Identifier: MPL-2.0

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use glib::subclass::Signal;
use gst::prelude::*;
use gst::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::branch::{self, Branch, Failure};
use super::forwarding;
use super::gaps;
use super::muxing::Muxing;
use super::refusal::Refusal;
use super::settings::{self, Settings};
use super::small_map::SmallMap;
use crate::sink::{CAT, PeriodicTimer, WmsPushSink, off_the_clock};

/// The GObject implementation of `wmspushbin`.
#[derive(Default)]
pub struct WmsPushBin {
    settings: Mutex<Settings>,
    sink: OnceLock<WmsPushSink>,
    muxing: OnceLock<Arc<Muxing>>,
    branches: Mutex<SmallMap<usize, Branch>>,
    pads: Mutex<SmallMap<String, usize>>,
    next_id: AtomicUsize,
    gap_timer: PeriodicTimer,
    /// An ERROR was posted in this run.
    has_failed: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for WmsPushBin {
    const NAME: &'static str = "GstWmsPushBin";
    type Type = super::WmsPushBin;
    type ParentType = gst::Bin;
    type Interfaces = (gst::TagSetter,);
}

impl ObjectImpl for WmsPushBin {
    fn constructed(&self) {
        self.parent_constructed();
        let bin = self.obj();
        let sink = glib::Object::builder::<WmsPushSink>()
            .property("name", "sink")
            .build();
        // Cannot fail: a new bin has no other child.
        let _ = bin.add(&sink);
        bin.set_element_flags(gst::ElementFlags::SINK);
        bin.set_suppressed_flags(gst::ElementFlags::SOURCE | gst::ElementFlags::SINK);
        forwarding::connect(&bin, &sink);
        let _ = self.sink.set(sink);
        let _ = self.muxing.set(Arc::new(Muxing::new(&bin)));
    }

    fn signals() -> &'static [Signal] {
        forwarding::signals()
    }

    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
            forwarding::specs()
                .into_iter()
                .chain(settings::specs())
                .collect()
        });
        PROPERTIES.as_ref()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = self.lock_settings();
        if settings.get(pspec.name()).is_some() {
            settings.set(pspec.name(), value);
        } else {
            drop(settings);
            self.sink().set_property_from_value(pspec.name(), value);
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let own = self.lock_settings().get(pspec.name());
        own.unwrap_or_else(|| self.sink().property_value(pspec.name()))
    }
}

impl GstObjectImpl for WmsPushBin {}

impl ElementImpl for WmsPushBin {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: Lazy<gst::subclass::ElementMetadata> = Lazy::new(|| {
            gst::subclass::ElementMetadata::new(
                "Windows Media push bin",
                "Sink/Network/Audio/Video",
                "Encodes pictures and sound and pushes them to a publishing point of a Windows Media server (MS-WMHTTP)",
                "The gst-plugin-wmspush authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
            let template = |(name, types): (&str, &[&str])| {
                let structures = types.iter().copied().map(gst::Structure::new_empty);
                let caps: gst::Caps = structures.collect();
                let request = gst::PadPresence::Request;
                gst::PadTemplate::new(name, gst::PadDirection::Sink, request, &caps)
            };
            let pads: [(&str, &[&str]); 2] = [
                ("video_%u", &["video/x-raw", "video/x-wmv", "video/x-h264"]),
                ("audio_%u", &["audio/x-raw", "audio/x-wma", "audio/mpeg"]),
            ];
            pads.into_iter()
                .filter_map(|pad| template(pad).ok())
                .collect()
        });
        TEMPLATES.as_ref()
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let is_video = template.name_template() == "video_%u";
        let prefix = if is_video { "video_" } else { "audio_" };
        let mut pads = self.pads();
        let name = match name {
            Some(name) => name.to_owned(),
            None => free_name(&pads, prefix),
        };
        if pads.get(&name).is_some() {
            return None;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let ghost = ghost_pad(template, &name, id);
        pads.insert(name, id);
        drop(pads);
        let pad = ghost.upcast::<gst::Pad>();
        self.muxing().add(id, pad.clone());
        pad.set_active(true).ok()?;
        self.obj().add_pad(&pad).ok()?;
        Some(pad)
    }

    fn release_pad(&self, pad: &gst::Pad) {
        let id = self.pads().remove(pad.name().as_str());
        if let Some(id) = id {
            self.muxing().release(id);
        }
        // Data that was delivered is still muxed, so the pad only loses its target.
        if let Some(ghost) = pad.downcast_ref::<gst::GhostPad>() {
            let _ = pad.set_active(false);
            let _ = ghost.set_target(None::<&gst::Pad>);
        }
        let _ = self.obj().remove_pad(pad);
        let Some(id) = id else { return };
        let entrance = self
            .branches()
            .get(&id)
            .map(|branch| branch.entrance.clone());
        match entrance {
            Some(entrance) => self.obj().call_async(move |_| {
                entrance.send_event(gst::event::Eos::new());
            }),
            None => self.muxing().remove(id),
        }
    }

    fn send_event(&self, event: gst::Event) -> bool {
        if event.type_() != gst::EventType::Seek {
            return self.parent_send_event(event);
        }
        // Seeks bypass the muxer, because the flush of a seek replaces it.
        let pads = self.obj().sink_pads();
        self.muxing().seek(|| {
            let sought = pads.iter().filter(|pad| pad.push_event(event.clone()));
            sought.count() > 0
        })
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        // After a failed start, GStreamer goes from READY to READY, to NULL, or starts again.
        let stops = transition.next() <= gst::State::Ready;
        match transition {
            gst::StateChange::ReadyToPaused => self.begin(),
            gst::StateChange::PlayingToPaused => self.muxing().set_paused(true),
            _ if stops => self.muxing().stop(),
            _ => {}
        }
        let changed = self.parent_change_state(transition);
        if transition == gst::StateChange::PausedToPlaying {
            self.muxing().set_paused(false);
        }
        let failed = transition == gst::StateChange::ReadyToPaused && changed.is_err();
        if failed || stops {
            self.end();
        }
        changed
    }
}

impl BinImpl for WmsPushBin {}

// Each new muxer gets a copy of the application's tags.
impl TagSetterImpl for WmsPushBin {}

/// Returns a segment in time that begins at 0 instead of one in another format, such as bytes, the default of `appsrc`.
fn in_time(event: &gst::event::Segment) -> Option<gst::Event> {
    if event.segment().format() == gst::Format::Time {
        return None;
    }
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    let event = gst::event::Segment::builder(&segment).seqnum(event.seqnum());
    Some(event.build())
}

/// Returns the first unused pad name.
fn free_name(pads: &SmallMap<String, usize>, prefix: &str) -> String {
    let mut names = (0..).map(|number| format!("{prefix}{number}"));
    let free = names.find(|name| pads.get(name).is_none());
    free.unwrap_or_default()
}

fn ghost_pad(template: &gst::PadTemplate, name: &str, id: usize) -> gst::GhostPad {
    gst::GhostPad::builder_from_template(template)
        .name(name)
        .chain_function(move |pad, parent, buffer| {
            let bin = parent.and_then(|parent| parent.downcast_ref::<super::WmsPushBin>());
            if let Some(bin) = bin
                && pad.target().is_none()
                && bin.imp().refuses(pad, id, &buffer)
            {
                return Ok(gst::FlowSuccess::Ok);
            }
            gst::ProxyPad::chain_default(pad, parent, buffer)
        })
        .event_function(move |pad, parent, event| {
            let bin = parent.and_then(|parent| parent.downcast_ref::<super::WmsPushBin>());
            match bin {
                Some(bin) => bin.imp().event(pad, id, event),
                None => gst::Pad::event_default(pad, parent, event),
            }
        })
        .query_function(|pad, parent, query| {
            caps_query(pad, query) || gst::Pad::query_default(pad, parent, query)
        })
        .build()
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
    let templates = WmsPushBin::pad_templates()
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

impl WmsPushBin {
    pub(super) fn sink(&self) -> &WmsPushSink {
        self.sink.get().expect("made in `constructed`")
    }

    pub(super) fn muxing(&self) -> &Arc<Muxing> {
        self.muxing.get().expect("made in `constructed`")
    }

    pub(super) fn lock_settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn branches(&self) -> MutexGuard<'_, SmallMap<usize, Branch>> {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pads(&self) -> MutexGuard<'_, SmallMap<String, usize>> {
        self.pads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        self.has_failed.store(false, Ordering::Relaxed);
        self.muxing().begin();
        let fill = off_the_clock(&*self.obj(), |bin: &super::WmsPushBin| {
            bin.muxing().fill_gaps()
        });
        let muxing = Arc::downgrade(self.muxing());
        let started = self.gap_timer.start(gaps::TICK, move || {
            if muxing.upgrade().is_some_and(|muxing| muxing.misses_data()) {
                fill();
            }
        });
        if let Err(error) = started {
            gst::warning!(
                CAT,
                imp = self,
                "Cannot start the timer that fills gaps: {error}"
            );
        }
    }

    fn end(&self) {
        self.gap_timer.stop();
        self.muxing().stop();
        self.muxing().reset();
        let branches = std::mem::take(&mut *self.branches());
        for branch in branches.values() {
            branch.remove(&self.obj());
        }
        for pad in self.obj().sink_pads() {
            if let Some(ghost) = pad.downcast_ref::<gst::GhostPad>() {
                let _ = ghost.set_target(None::<&gst::Pad>);
            }
        }
    }

    /// Removes the branch of a released stream.
    pub(super) fn drop_branch(&self, id: usize) {
        let branch = self.branches().remove(&id);
        if let Some(branch) = branch {
            branch.remove(&self.obj());
        }
        self.muxing().remove(id);
    }

    fn event(&self, pad: &gst::GhostPad, id: usize, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Caps(caps) if !self.configure(pad, id, caps.caps()) => {
                return true;
            }
            gst::EventView::FlushStop(_) => {
                let flushed = gst::Pad::event_default(pad, Some(&*self.obj()), event);
                self.renew_branch(pad, id);
                return flushed;
            }
            gst::EventView::Eos(_) if pad.target().is_none() => {
                self.muxing().end(id);
                return true;
            }
            gst::EventView::Segment(segment) => {
                let event = in_time(segment).unwrap_or_else(|| event.clone());
                return gst::Pad::event_default(pad, Some(&*self.obj()), event);
            }
            _ => {}
        }
        gst::Pad::event_default(pad, Some(&*self.obj()), event)
    }

    /// Replaces the elements of a stream after a flush, because libav's encoders cannot be restarted.
    fn renew_branch(&self, pad: &gst::GhostPad, id: usize) {
        let old = self.branches().remove(&id);
        let Some(old) = old else { return };
        let _ = pad.set_target(None::<&gst::Pad>);
        // A muxer that another stream has started meanwhile must not wait for this one.
        self.muxing().expel(id);
        old.remove(&self.obj());
        if let Some(caps) = pad.current_caps() {
            self.configure(pad, id, &caps);
        }
    }

    /// Creates the elements for the first caps of a stream. Returns false if an ERROR was posted.
    fn configure(&self, pad: &gst::GhostPad, id: usize, caps: &gst::CapsRef) -> bool {
        let bin = self.obj();
        let mut branches = self.branches();
        if let Some(branch) = branches.get(&id) {
            let is_same = branch.is_raw == branch::is_raw(caps);
            if !is_same {
                drop(branches);
                self.fail(&Failure::Refused(Refusal::by_elements(caps)));
                self.muxing().give_up(id);
            }
            return is_same;
        }
        let built = Branch::build(&bin, self.muxing(), id, caps);
        let failure = match built {
            Ok(branch) => {
                let targeted = pad.set_target(Some(&branch.entrance));
                branches.insert(id, branch);
                drop(branches);
                // The encoder adds latency.
                let _ = bin.post_message(gst::message::Latency::builder().src(&*bin).build());
                if targeted.is_ok() {
                    return true;
                }
                Failure::Refused(Refusal::by_elements(caps))
            }
            Err(failure) => {
                drop(branches);
                failure
            }
        };
        self.fail(&failure);
        self.muxing().give_up(id);
        false
    }

    /// Returns whether the data of a stream without elements is discarded, because an ERROR was posted.
    fn refuses(&self, pad: &gst::GhostPad, id: usize, buffer: &gst::BufferRef) -> bool {
        if pad.current_caps().is_none() {
            let start = buffer.map_readable();
            let start = start.as_ref().map_or(&[][..], |start| start.as_slice());
            let refusal = Refusal::without_caps(&pad.name(), start);
            self.fail(&Failure::Refused(refusal));
            self.muxing().give_up(id);
        }
        self.muxing().is_given_up(id)
    }

    /// Posts the ERROR of a stream, unless one was posted in this run.
    fn fail(&self, failure: &Failure) {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            failure.post(&self.obj());
        }
    }
}
