// SPDX-License-Identifier: MPL-2.0

//! The element `wmspushsink`.

/**
 * SECTION:element-wmspushsink
 *
 * `wmspushsink` pushes an ASF stream to a publishing point of a Windows Media server, as a Windows Media Encoder does.
 * It speaks MS-WMHTTP, the Windows Media HTTP Push Distribution Protocol, to Windows Media Services, to relays of the
 * PeerCast family and to other servers that take such a push.
 *
 * It takes what `asfmux` and `avmux_asf` make, and stored ASF files. With #GstBaseSink:sync each data packet leaves at
 * its Send Time when upstream is not live, and at once when it is. The connection is made in the background from READY
 * to PAUSED; messages on the bus tell how the push fares, and #wmspushsink:stats what was sent.
 *
 * ## Example pipelines
 *
 * |[
 * gst-launch-1.0 -e videotestsrc is-live=true ! avenc_wmv2 ! identity single-segment=true ! asfmux name=m streamable=true audiotestsrc is-live=true ! avenc_wmav2 ! m.   m. ! wmspushsink location=http://127.0.0.1:8080/live
 * ]| Pushes a live picture and tone to the publishing point `/live`.
 *
 * |[
 * gst-launch-1.0 filesrc location=x.wmv ! wmspushsink location=http://127.0.0.1:8080/live
 * ]| Pushes a stored file in real time.
 *
 * |[
 * gst-launch-1.0 filesrc location=x.wmv ! wmspushsink location=http://127.0.0.1:8080/new template-url=/live auto-destroy=true user-id='DOMAIN\\user' user-pw=secret
 * ]| Logs in, and has the server make the publishing point `/new` with the settings of `/live` for as long as the push
 * lasts.
 *
 * |[
 * gst-launch-1.0 -e videotestsrc is-live=true ! avenc_wmv2 ! identity single-segment=true ! asfmux streamable=true ! tee name=t   t. ! queue ! filesink location=record.asf   t. ! queue ! wmspushsink location=http://127.0.0.1:8080/live
 * ]| Records what it pushes.
 *
 * Since: 0.1.0
 */
use gst::prelude::*;

use crate::auth::{Scheme, Schemes};
use crate::push;

mod allocation;
mod bindings;
mod bitrates;
mod bus;
mod callback;
mod clock_wait;
mod extra_headers;
mod foreign_caps;
mod imp;
mod input_watch;
mod location;
mod log;
mod malformed;
mod mapped;
mod pacing;
mod probing;
mod properties;
mod settings;
mod signals;
mod stats_timer;
mod stream;
mod verifying;
mod writer;

pub(crate) use properties::new_specs;
pub(crate) use stats_timer::off_the_clock;

/// The signals of the element, for a class that forwards them.
pub(crate) fn signals() -> &'static [glib::subclass::Signal] {
    <imp::WmsPushSink as glib::subclass::prelude::ObjectImpl>::signals()
}

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

/// What happens when too much waits: the type of the property `leaky`, with the nicks of `queue`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstWmsPushLeaky")]
pub enum Leaky {
    /// The streaming thread is blocked, for `stall-timeout` at the most; then the oldest packets are dropped.
    #[enum_value(name = "Not leaky", nick = "no")]
    No,
    /// New packets are dropped.
    #[enum_value(name = "Leaky on upstream (new packets)", nick = "upstream")]
    Upstream,
    /// Old packets are dropped.
    #[enum_value(name = "Leaky on downstream (old packets)", nick = "downstream")]
    Downstream,
    /// `downstream` when upstream is live, so that a dead server stops no other branch of a `tee`; `no` otherwise.
    #[default]
    #[enum_value(name = "Leaky on downstream when upstream is live", nick = "auto")]
    Auto,
}

impl From<Leaky> for push::Leaky {
    fn from(leaky: Leaky) -> Self {
        match leaky {
            Leaky::No => Self::No,
            Leaky::Upstream => Self::Upstream,
            Leaky::Downstream => Self::Downstream,
            Leaky::Auto => Self::Auto,
        }
    }
}

/// The schemes that may be used: the type of the property `auth-methods`.
#[glib::flags(name = "GstWmsPushAuthMethods")]
pub enum AuthMethods {
    /// Negotiate: NTLM, or Kerberos where it is built in.
    #[flags_value(name = "Negotiate", nick = "negotiate")]
    NEGOTIATE = 1 << 0,
    /// NTLM
    #[flags_value(name = "NTLM", nick = "ntlm")]
    NTLM = 1 << 1,
    /// Digest
    #[flags_value(name = "Digest", nick = "digest")]
    DIGEST = 1 << 2,
    /// Basic, over TLS, or with `allow-cleartext-auth`.
    #[flags_value(name = "Basic", nick = "basic")]
    BASIC = 1 << 3,
}

impl AuthMethods {
    fn schemes(self) -> Schemes {
        let schemes = [
            (Self::NEGOTIATE, Scheme::Negotiate),
            (Self::NTLM, Scheme::Ntlm),
            (Self::DIGEST, Scheme::Digest),
            (Self::BASIC, Scheme::Basic),
        ];
        let allowed = schemes
            .into_iter()
            .filter(|(method, _)| self.contains(*method));
        allowed.fold(Schemes::NONE, |schemes, (_, scheme)| schemes.with(scheme))
    }
}

/// What an application should know when it is asked for credentials: an argument of `acquire-credentials`.
#[glib::flags(name = "GstWmsPushCredentialFlags")]
pub enum CredentialFlags {
    /// A proxy wants them.
    #[flags_value(name = "For a proxy", nick = "proxy")]
    PROXY = 1 << 0,
    /// They would go over the wire unencrypted.
    #[flags_value(name = "Sent in the clear", nick = "clear-text")]
    CLEAR_TEXT = 1 << 1,
    /// They are for watching the stream, which the action `verify` does, and not for pushing.
    #[flags_value(name = "For a viewer", nick = "viewer")]
    VIEWER = 1 << 2,
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    // The documentation describes the types that are marked.
    let types = [
        SessionState::static_type(),
        AuthMethods::static_type(),
        CredentialFlags::static_type(),
        Leaky::static_type(),
    ];
    for type_ in types {
        type_.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }
    gst::Element::register(
        Some(plugin),
        "wmspushsink",
        gst::Rank::NONE,
        WmsPushSink::static_type(),
    )
}
