// SPDX-License-Identifier: MPL-2.0

//! The inlet: the last element of a stream in front of the muxer, private to the bin.
//!
//! It converts timestamps to the pipeline's running time, which removes the shift of libav's encoders (1000 h) and
//! aligns streams with different segments. It replaces characters that make `asfmux` abort, and blocks while the muxer
//! is replaced.

use std::sync::{Mutex, OnceLock, PoisonError, Weak};

use gst::prelude::*;
use gst::subclass::prelude::*;
use once_cell::sync::Lazy;

use super::muxing::{Entrance, Muxing};
use super::tags;

/// Added to all times, so that a stream can be moved ahead of the others by the delay of its encoder.
pub(super) const LEAD: gst::ClockTime = gst::ClockTime::from_mseconds(100);

glib::wrapper! {
    /// The inlet element.
    pub struct Inlet(ObjectSubclass<imp::Inlet>) @extends gst::Element, gst::Object;
}

impl Inlet {
    /// Creates an inlet for stream `id`.
    pub(super) fn new(muxing: Weak<Muxing>, id: usize) -> Self {
        let inlet: Self = glib::Object::new();
        // Cannot fail: a new element has no value yet.
        let _ = inlet.imp().muxing.set((muxing, id));
        inlet
    }
}

mod imp {
    use super::*;

    pub struct Inlet {
        sink: gst::Pad,
        source: gst::Pad,
        pub(super) muxing: OnceLock<(Weak<Muxing>, usize)>,
        times: Mutex<Times>,
    }

    #[derive(Default)]
    struct Times {
        segment: gst::FormattedSegment<gst::ClockTime>,
        /// Running time of the last buffer.
        last: gst::ClockTime,
        caps: Option<gst::Caps>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Inlet {
        const NAME: &'static str = "GstWmsPushBinInlet";
        type Type = super::Inlet;
        type ParentType = gst::Element;

        fn with_class(class: &Self::Class) -> Self {
            let sink = gst::Pad::builder_from_template(&template(class, "sink"))
                .chain_function(|_, parent, buffer| {
                    Self::catch_panic_pad_function(
                        parent,
                        || Err(gst::FlowError::Error),
                        |inlet| inlet.chain(buffer),
                    )
                })
                .event_function(|_, parent, event| {
                    Self::catch_panic_pad_function(parent, || false, |inlet| inlet.event(event))
                })
                .build();
            Self {
                sink,
                source: gst::Pad::from_template(&template(class, "src")),
                muxing: OnceLock::new(),
                times: Mutex::default(),
            }
        }
    }

    fn template(class: &<Inlet as ObjectSubclass>::Class, name: &str) -> gst::PadTemplate {
        class.pad_template(name).expect("a template of the class")
    }

    impl ObjectImpl for Inlet {
        fn constructed(&self) {
            self.parent_constructed();
            let element = self.obj();
            for pad in [&self.sink, &self.source] {
                element.add_pad(pad).expect("a pad with a name of its own");
            }
        }
    }

    impl GstObjectImpl for Inlet {}

    impl ElementImpl for Inlet {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: Lazy<Vec<gst::PadTemplate>> = Lazy::new(|| {
                let pads = [
                    ("sink", gst::PadDirection::Sink),
                    ("src", gst::PadDirection::Src),
                ];
                let template = |(name, direction)| {
                    let always = gst::PadPresence::Always;
                    gst::PadTemplate::new(name, direction, always, &gst::Caps::new_any())
                };
                pads.into_iter()
                    .filter_map(|pad| template(pad).ok())
                    .collect()
            });
            TEMPLATES.as_ref()
        }
    }

    impl Inlet {
        fn muxing(&self) -> Option<(std::sync::Arc<Muxing>, usize)> {
            let (muxing, id) = self.muxing.get()?;
            Some((muxing.upgrade()?, *id))
        }

        fn chain(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
            let (muxing, id) = self.muxing().ok_or(gst::FlowError::Flushing)?;
            let Some((buffer, time)) = self.retimed(buffer) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            let is_key_frame = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            muxing.note_time(id, time);
            match muxing.enter(id, time, is_key_frame) {
                Entrance::Open => {
                    let pushed = self.source.push(buffer);
                    muxing.leave(id);
                    match pushed {
                        Err(gst::FlowError::Flushing) if muxing.goes_on(id) => {
                            Ok(gst::FlowSuccess::Ok)
                        }
                        pushed => pushed,
                    }
                }
                Entrance::Drop => Ok(gst::FlowSuccess::Ok),
                Entrance::Flushing => Err(gst::FlowError::Flushing),
                Entrance::Failed => Ok(gst::FlowSuccess::Ok),
            }
        }

        /// Returns the buffer with its running time as timestamp, and that time; `None` for a buffer without a
        /// timestamp.
        fn retimed(&self, mut buffer: gst::Buffer) -> Option<(gst::Buffer, gst::ClockTime)> {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            let running = buffer
                .pts()
                .and_then(|pts| times.segment.to_running_time_full(pts))
                .map(|time| time.positive().unwrap_or_default());
            let delay = times.caps.as_deref().map_or(gst::ClockTime::ZERO, delay);
            let time = running.map_or(times.last, |time| {
                time.saturating_add(LEAD).saturating_sub(delay)
            });
            times.last = time;
            let writable = buffer.make_mut();
            writable.set_pts(time);
            writable.set_dts(gst::ClockTime::NONE);
            Some((buffer, time))
        }

        fn event(&self, event: gst::Event) -> bool {
            let Some((muxing, id)) = self.muxing() else {
                return false;
            };
            match event.view() {
                gst::EventView::StreamStart(_) => muxing.restart(id),
                gst::EventView::Caps(caps) => {
                    if self.is_other(caps.caps()) {
                        muxing.renew(id);
                    }
                    // The default handler does not forward them.
                    return self.source.push_event(event);
                }
                gst::EventView::Segment(segment) => return self.begin_segment(segment),
                gst::EventView::Tag(tag) => {
                    if let Some(tags) = tags::in_basic_plane_only(tag.tag()) {
                        return self.source.push_event(gst::event::Tag::new(tags));
                    }
                }
                gst::EventView::Eos(_) if !muxing.end(id) => return true,
                gst::EventView::Gap(_) => return true,
                gst::EventView::FlushStart(_) => {
                    muxing.begin_flush(id);
                    return true;
                }
                gst::EventView::FlushStop(_) => return true,
                _ => {}
            }
            gst::Pad::event_default(&self.sink, Some(&*self.obj()), event)
        }

        /// Stores the segment of the encoder. The muxer gets running times in a segment that begins at 0.
        fn begin_segment(&self, segment: &gst::event::Segment) -> bool {
            let Some(time) = segment.segment().downcast_ref::<gst::ClockTime>() else {
                return false;
            };
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.segment = time.clone();
            drop(times);
            let running = gst::FormattedSegment::<gst::ClockTime>::new();
            let event = gst::event::Segment::builder(&running);
            self.source
                .push_event(event.seqnum(segment.seqnum()).build())
        }

        /// Returns whether the header was, or would be, written for other caps than these.
        fn is_other(&self, caps: &gst::CapsRef) -> bool {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            let caps = caps.to_owned();
            let last = times.caps.replace(caps.clone());
            last.is_some_and(|last| last != caps)
        }
    }

    /// Returns the delay of libav's Windows Media Audio encoder that its timestamps do not include: one frame, with
    /// which its first one overlaps.
    fn delay(caps: &gst::CapsRef) -> gst::ClockTime {
        let structure = caps.structure(0);
        let rate = structure
            .filter(|structure| structure.name() == "audio/x-wma")
            .and_then(|structure| structure.get::<i32>("rate").ok())
            .and_then(|rate| u64::try_from(rate).ok())
            .filter(|rate| *rate > 0);
        let samples = |rate| match rate {
            ..=16_000 => 512,
            16_001..=22_050 => 1024,
            _ => 2048,
        };
        rate.map_or(gst::ClockTime::ZERO, |rate: u64| {
            gst::ClockTime::from_nseconds(samples(rate) * 1_000_000_000 / rate)
        })
    }
}
