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
use super::muxer;
use super::muxing::Muxing;
use super::pads;
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
    /// The peer of the sink while there is no muxer.
    placeholder: OnceLock<gst::Pad>,
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
        let _ = self.placeholder.set(gst::Pad::new(gst::PadDirection::Src));
        muxer::occupy_sink(&bin);
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
            None => pads::free_name(&pads, prefix),
        };
        if pads.get(&name).is_some() {
            return None;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let ghost = pads::ghost_pad(template, &name, id);
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
        match event.type_() {
            gst::EventType::Seek => {}
            gst::EventType::Eos if self.obj().sink_pads().is_empty() => {
                return self.muxing().end_without_pads();
            }
            _ => return self.parent_send_event(event),
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

impl BinImpl for WmsPushBin {
    fn handle_message(&self, message: gst::Message) {
        match message.view() {
            gst::MessageView::Error(error) if !self.is_news(error) => {}
            _ => self.parent_handle_message(message),
        }
    }
}

// Each new muxer gets a copy of the application's tags.
impl TagSetterImpl for WmsPushBin {}

impl WmsPushBin {
    pub(super) fn sink(&self) -> &WmsPushSink {
        self.sink.get().expect("made in `constructed`")
    }

    pub(super) fn muxing(&self) -> &Arc<Muxing> {
        self.muxing.get().expect("made in `constructed`")
    }

    pub(super) fn placeholder(&self) -> &gst::Pad {
        self.placeholder.get().expect("made in `constructed`")
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

    pub(super) fn event(&self, pad: &gst::GhostPad, id: usize, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Caps(caps) => {
                if self.configure(pad, id, caps.caps()) {
                    gst::Pad::event_default(pad, Some(&*self.obj()), event);
                }
                // The first buffer finds out whether the elements accept them.
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
                let event = pads::in_time(segment).unwrap_or_else(|| event.clone());
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

    /// Returns whether the ERROR of a child is posted: the first of a run, and those of the sink unless the bin's own ERROR
    /// is their cause.
    fn is_news(&self, error: &gst::message::Error) -> bool {
        let has_failed = self.has_failed.load(Ordering::Relaxed);
        let Some(source) = error.src() else {
            return true;
        };
        if source == self.sink() {
            let details = error.details();
            let reason = details.and_then(|details| details.get::<&str>("reason").ok());
            self.has_failed.store(true, Ordering::Relaxed);
            return !(has_failed && reason == Some("not-asf"));
        }
        if error.error().matches(gst::CoreError::Negotiation)
            && let Some(refusal) = self.refusal_of(source)
        {
            self.fail(&Failure::Refused(refusal));
            return false;
        }
        !self.has_failed.swap(true, Ordering::Relaxed)
    }

    /// Returns the refusal by an element of a stream, which does not name what the stream is.
    fn refusal_of(&self, source: &gst::Object) -> Option<Refusal> {
        // While the elements are made, on this thread, there are no caps yet.
        let branches = self.branches.try_lock().ok()?;
        let branch = branches.values().find(|branch| branch.has(source))?;
        let caps = branch.entrance.peer()?.current_caps()?;
        Some(Refusal::by_conversion(&caps))
    }

    /// Posts the ERROR of a stream whose data cannot be used. More of it is discarded.
    pub(super) fn refuse(&self, pad: &gst::GhostPad, id: usize, refusal: Refusal) {
        self.fail(&Failure::Refused(refusal));
        self.muxing().give_up(id);
        let _ = pad.set_target(None::<&gst::Pad>);
        self.muxing().expel(id);
    }

    /// Posts the ERROR of a stream, unless one was posted in this run.
    fn fail(&self, failure: &Failure) {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            failure.post(&self.obj());
        }
    }
}
