// SPDX-License-Identifier: MPL-2.0

//! The element `wmspushsink`.

/**
 * SECTION:element-wmspushsink
 *
 * `wmspushsink` pushes an ASF stream to a publishing point of a Windows Media server, as a Windows Media Encoder does.
 * It speaks MS-WMHTTP, the Windows Media HTTP Push Distribution Protocol, to Windows Media Services, to relays of the
 * PeerCast family and to other servers that accept such a push.
 *
 * It accepts the output of `asfmux` and `avmux_asf`, and stored ASF files. With #GstBaseSink:sync, data packets are sent at
 * their Send Time if upstream is not live, and at once if it is. The element connects in the background from READY to
 * PAUSED. Messages on the bus report the progress of the push, and #wmspushsink:stats has statistics.
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
 * ]| Logs in, and has the server create the publishing point `/new` with the settings of `/live` for the duration of the
 * push.
 *
 * |[
 * gst-launch-1.0 -e videotestsrc is-live=true ! avenc_wmv2 ! identity single-segment=true ! asfmux streamable=true ! tee name=t   t. ! queue ! filesink location=record.asf   t. ! queue ! wmspushsink location=http://127.0.0.1:8080/live
 * ]| Pushes a stream and records it to a file.
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
mod input_kind;
mod input_watch;
mod location;
mod log;
mod malformed;
mod mapped;
mod pacing;
mod periodic_timer;
mod probing;
mod properties;
mod settings;
mod signals;
mod stream;
mod verifying;
mod writer;

pub(crate) use input_kind::InputKind;
pub(crate) use log::CAT;
pub(crate) use periodic_timer::{PeriodicTimer, off_the_clock};
pub(crate) use properties::new_specs;

/// The signals of the element, for a class that forwards them.
pub(crate) fn signals() -> &'static [glib::subclass::Signal] {
    <imp::WmsPushSink as glib::subclass::prelude::ObjectImpl>::signals()
}

glib::wrapper! {
    /// The element `wmspushsink`.
    pub struct WmsPushSink(ObjectSubclass<imp::WmsPushSink>)
        @extends gst_base::BaseSink, gst::Element, gst::Object,
        @implements gst::URIHandler;
}

/// The state of a push session: the type of the property `session-state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstWmsPushSessionState")]
pub enum SessionState {
    /// No connection was attempted, or the application has disconnected.
    #[default]
    #[enum_value(name = "Disconnected", nick = "disconnected")]
    Disconnected,
    /// The first PushSetup has not succeeded yet.
    #[enum_value(name = "Connecting", nick = "connecting")]
    Connecting,
    /// PushSetup succeeded.
    #[enum_value(name = "Connected", nick = "connected")]
    Connected,
    /// The ASF file header was sent.
    #[enum_value(name = "Streaming", nick = "streaming")]
    Streaming,
    /// The connection was lost, and another one is being made.
    #[enum_value(name = "Reconnecting", nick = "reconnecting")]
    Reconnecting,
    /// The end was announced; the remaining data is being sent.
    #[enum_value(name = "Ending", nick = "ending")]
    Ending,
    /// The end was sent and the connection is closed.
    #[enum_value(name = "Ended", nick = "ended")]
    Ended,
    /// The push has failed.
    #[enum_value(name = "Failed", nick = "failed")]
    Failed,
}

/// The behaviour when `max-size-bytes` or `max-size-time` is reached: the type of the property `leaky`, with the nicks
/// of `queue`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstWmsPushLeaky")]
pub enum Leaky {
    /// Blocks the streaming thread for at most `stall-timeout`, then drops the oldest packets.
    #[enum_value(name = "Not leaky", nick = "no")]
    No,
    /// Drops new packets.
    #[enum_value(name = "Leaky on upstream (new packets)", nick = "upstream")]
    Upstream,
    /// Drops old packets.
    #[enum_value(name = "Leaky on downstream (old packets)", nick = "downstream")]
    Downstream,
    /// `downstream` if upstream is live, so that an unreachable server does not block other branches of a `tee`;
    /// otherwise `no`.
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

/// Authentication schemes: the type of the property `auth-methods`.
#[glib::flags(name = "GstWmsPushAuthMethods")]
pub enum AuthMethods {
    /// Negotiate: NTLM, or Kerberos where it is built in.
    #[flags_value(name = "Negotiate", nick = "negotiate")]
    NEGOTIATE = 1 << 0,
    /// NTLM.
    #[flags_value(name = "NTLM", nick = "ntlm")]
    NTLM = 1 << 1,
    /// Digest.
    #[flags_value(name = "Digest", nick = "digest")]
    DIGEST = 1 << 2,
    /// Basic: only over TLS, or with `allow-cleartext-auth`.
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

/// The circumstances of a request for credentials: an argument of `acquire-credentials`.
#[glib::flags(name = "GstWmsPushCredentialFlags")]
pub enum CredentialFlags {
    /// A proxy demands them.
    #[flags_value(name = "For a proxy", nick = "proxy")]
    PROXY = 1 << 0,
    /// They would be sent unencrypted.
    #[flags_value(name = "Sent in the clear", nick = "clear-text")]
    CLEAR_TEXT = 1 << 1,
    /// They are for watching the stream, as the action `verify` does, not for pushing.
    #[flags_value(name = "For a viewer", nick = "viewer")]
    VIEWER = 1 << 2,
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    // Types that are marked appear in the documentation.
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
