// SPDX-License-Identifier: MPL-2.0

//! The element `wmspushsink`.

use glib::prelude::*;

mod bus;
mod clock_wait;
mod imp;
mod log;
mod pacing;
mod properties;
mod settings;
mod times;
mod writer;

glib::wrapper! {
    /// The element as a Rust application sees it.
    pub struct WmsPushSink(ObjectSubclass<imp::WmsPushSink>)
        @extends gst_base::BaseSink, gst::Element, gst::Object,
        @implements gst::URIHandler;
}

/// Where a session stands: the type of the property `session-state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstWmsPushSessionState")]
pub enum SessionState {
    /// Nothing has been tried, or the session was left.
    #[default]
    #[enum_value(name = "Disconnected", nick = "disconnected")]
    Disconnected,
    /// On the way to a successful PushSetup.
    #[enum_value(name = "Connecting", nick = "connecting")]
    Connecting,
    /// PushSetup succeeded.
    #[enum_value(name = "Connected", nick = "connected")]
    Connected,
    /// The ASF file header was sent.
    #[enum_value(name = "Streaming", nick = "streaming")]
    Streaming,
    /// The connection was lost and is being made again.
    #[enum_value(name = "Reconnecting", nick = "reconnecting")]
    Reconnecting,
    /// The end was announced; what waits is being sent.
    #[enum_value(name = "Ending", nick = "ending")]
    Ending,
    /// The end is on the wire and the connection closed.
    #[enum_value(name = "Ended", nick = "ended")]
    Ended,
    /// The push has failed.
    #[enum_value(name = "Failed", nick = "failed")]
    Failed,
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "wmspushsink",
        gst::Rank::NONE,
        WmsPushSink::static_type(),
    )
}
