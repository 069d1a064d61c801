// SPDX-License-Identifier: MPL-2.0

//! The element `wmspushsink`.

use glib::prelude::*;

use crate::auth::{Scheme, Schemes};
use crate::push;

mod bitrates;
mod bus;
mod clock_wait;
mod extra_headers;
mod imp;
mod location;
mod log;
mod pacing;
mod properties;
mod settings;
mod stats_timer;
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

/// What happens when too much waits: the type of the property `leaky`, with the nicks of `queue`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstWmsPushLeaky")]
pub enum Leaky {
    /// The streaming thread is blocked, for `stall-timeout` at the most; then the oldest packets are dropped.
    #[default]
    #[enum_value(name = "Not leaky", nick = "no")]
    No,
    /// New packets are dropped.
    #[enum_value(name = "Leaky on upstream (new packets)", nick = "upstream")]
    Upstream,
    /// Old packets are dropped.
    #[enum_value(name = "Leaky on downstream (old packets)", nick = "downstream")]
    Downstream,
}

impl From<Leaky> for push::Leaky {
    fn from(leaky: Leaky) -> Self {
        match leaky {
            Leaky::No => Self::No,
            Leaky::Upstream => Self::Upstream,
            Leaky::Downstream => Self::Downstream,
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
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "wmspushsink",
        gst::Rank::NONE,
        WmsPushSink::static_type(),
    )
}
