// SPDX-License-Identifier: MPL-2.0

//! The element `wmspushbin`.

/**
 * SECTION:element-wmspushbin
 *
 * `wmspushbin` encodes raw video and audio as Windows Media Video and Audio, multiplexes them as ASF, and pushes them to a
 * publishing point of a Windows Media server with #wmspushsink.
 *
 * Its request pads accept raw video of any size, format and frame rate (`video_%u`) and raw audio of any sample rate and
 * channel count (`audio_%u`). Encoded Windows Media Video and Audio is multiplexed unchanged. The bin has the properties
 * and signals of #wmspushsink; the sink itself is its child `sink`.
 *
 * ## Example pipelines
 *
 * |[
 * gst-launch-1.0 -e v4l2src ! wmspushbin name=p location=http://127.0.0.1:8080/live video-bitrate=1000000 autoaudiosrc ! p.
 * ]| Pushes a camera and a microphone to the publishing point `/live`.
 *
 * |[
 * gst-launch-1.0 -e uridecodebin uri=file:///film.mkv name=d   d. ! wmspushbin name=p location=http://127.0.0.1:8080/film   d. ! p.
 * ]| Pushes a film of any format in real time.
 *
 * Since: 0.1.0
 */
use std::sync::Arc;

use glib::subclass::prelude::ObjectSubclassIsExt;
use gst::prelude::*;

use crate::sink::WmsPushSink;
use elements::Missing;
use muxing::Muxing;
use settings::Settings;

mod branch;
mod elements;
mod forwarding;
mod gaps;
mod imp;
mod inlet;
mod muxer;
mod muxing;
mod pads;
mod positions;
mod raw;
mod refusal;
mod settings;
mod small_map;
mod state;
mod stream;
mod tags;

glib::wrapper! {
    /// The element `wmspushbin`.
    pub struct WmsPushBin(ObjectSubclass<imp::WmsPushBin>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy, gst::TagSetter;
}

impl WmsPushBin {
    fn sink(&self) -> &WmsPushSink {
        self.imp().sink()
    }

    fn muxing(&self) -> &Arc<Muxing> {
        self.imp().muxing()
    }

    fn placeholder(&self) -> &gst::Pad {
        self.imp().placeholder()
    }

    fn settings(&self) -> Settings {
        self.imp().lock_settings().clone()
    }

    fn take_muxer(&self) -> Option<Result<gst::Element, Missing>> {
        self.imp().lock_settings().take_muxer()
    }

    fn drop_branch(&self, id: usize) {
        self.imp().drop_branch(id);
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "wmspushbin",
        gst::Rank::NONE,
        WmsPushBin::static_type(),
    )
}
