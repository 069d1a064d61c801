// SPDX-License-Identifier: MPL-2.0

//! What a connection tells its owner: the counterpart of `IWMStatusCallback::OnStatus`.

use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use crate::auth::Credentials;
use crate::wmhttp::{CredentialsWanted, HResult};

/// The `WMT_STATUS` values of the Windows Media Format SDK that a push sink reports.
///
/// The SDK documents Locating, Connecting, Opened and Error for its push sink; the rest are used as their general
/// descriptions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum WmtStatus {
    /// The push has failed; the HRESULT tells why.
    Error = 0,
    /// PushSetup is finished. The HRESULT may be a failure.
    Opened = 1,
    /// The writer has ended; what waits is being sent.
    EndOfStreaming = 6,
    /// The server's name is being resolved.
    Locating = 7,
    /// The server is being connected to.
    Connecting = 8,
    /// The first `$H` was sent.
    Started = 11,
    /// `$E` (S_OK) is on the wire.
    Stopped = 12,
    /// The connection is closed.
    Closed = 13,
    /// The connection was lost and is made again.
    ReconnectStart = 35,
    /// It stands again.
    ReconnectEnd = 36,
}

impl WmtStatus {
    /// The SDK's name, such as `WMT_OPENED`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "WMT_ERROR",
            Self::Opened => "WMT_OPENED",
            Self::EndOfStreaming => "WMT_END_OF_STREAMING",
            Self::Locating => "WMT_LOCATING",
            Self::Connecting => "WMT_CONNECTING",
            Self::Started => "WMT_STARTED",
            Self::Stopped => "WMT_STOPPED",
            Self::Closed => "WMT_CLOSED",
            Self::ReconnectStart => "WMT_RECONNECT_START",
            Self::ReconnectEnd => "WMT_RECONNECT_END",
        }
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionState {
    /// Nothing has been tried, or `Disconnect` was called.
    #[default]
    Disconnected,
    /// On the way to a successful PushSetup.
    Connecting,
    /// PushSetup succeeded.
    Connected,
    /// `$H` was sent.
    Streaming,
    /// The connection was lost and is made again.
    Reconnecting,
    /// The end was announced; what waits is being sent.
    Ending,
    /// `$E` is on the wire and the connection closed.
    Ended,
    /// The push has failed.
    Failed,
}

/// What is being done, as error details name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Resolving the server's name.
    Resolve,
    /// Connecting to it.
    Connect,
    /// Agreeing on TLS.
    Tls,
    /// Answering a challenge.
    Authenticate,
    /// Getting through the proxy.
    Proxy,
    /// PushSetup.
    Setup,
    /// PushStart, until data flows.
    Start,
    /// Sending data.
    Push,
    /// Draining, `$E`, closing.
    End,
}

impl Phase {
    /// The token that stands in error details.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Proxy => "proxy",
            Self::Setup | Self::Authenticate => "setup",
            Self::Start => "start",
            Self::Push => "push",
            Self::End => "end",
        }
    }
}

/// One call of [`StatusCallback::on_status`].
#[derive(Clone, Debug)]
pub struct Status {
    /// What happened.
    pub status: WmtStatus,
    /// The state from now on.
    pub state: SessionState,
    /// The state until now.
    pub previous_state: SessionState,
    /// Why it failed or has to be done again, or why the end did not go out.
    pub failure: Option<Arc<Failure>>,
    /// Which attempt to connect again this is about; 0: none.
    pub attempt: u32,
    /// How long until then.
    pub retry_in: Duration,
    /// Whether the next attempt waits for data, after `retry_in`.
    pub awaits_data: bool,
    /// Whether the connection that stands again goes on with the session of the last one.
    pub resumed: bool,
    /// Data packets dropped so far.
    pub packets_dropped: u64,
}

impl Status {
    /// Whether it succeeded.
    pub fn hresult(&self) -> HResult {
        self.failure
            .as_ref()
            .map_or(HResult::S_OK, |failure| failure.hresult())
    }
}

/// The part of a status beside its name and state.
#[derive(Clone, Debug, Default)]
pub(super) struct StatusDetails {
    pub(super) failure: Option<Arc<Failure>>,
    pub(super) attempt: u32,
    pub(super) retry_in: Duration,
    pub(super) awaits_data: bool,
    pub(super) resumed: bool,
}

/// `IWMStatusCallback`: called in order, one call at a time, and never on the network thread.
///
/// A callback that blocks holds up its own connection's reports, and nothing else.
pub trait StatusCallback: Send + Sync + 'static {
    /// A new phase of connecting began.
    fn on_phase(&self, phase: Phase);

    /// `IWMStatusCallback::OnStatus`
    fn on_status(&self, status: &Status);

    /// Data packets were dropped, so many in all by now. Told when it begins, and now and then while it goes on.
    fn on_packets_dropped(&self, total: u64) {
        let _ = total;
    }

    /// `skipped` data packets were dropped because a new session begins with a key frame, `total` in all by now.
    fn on_packets_skipped(&self, skipped: u64, total: u64) {
        let _ = skipped;
        self.on_packets_dropped(total);
    }

    /// Data has waited for 2 s or longer although the connection stands: the line or the server is slower than the stream.
    /// Called when that begins, and at most every 10 s while it lasts.
    fn on_falling_behind(&self, behind: Duration) {
        let _ = behind;
    }

    /// Runs `task`, which calls back, soon and on a thread that may block. FALSE if there is none.
    fn spawn(&self, task: Box<dyn FnOnce() + Send>) -> bool {
        std::thread::Builder::new()
            .name("wmhttp-reports".to_owned())
            .spawn(task)
            .is_ok()
    }

    /// `IWMCredentialCallback::AcquireCredentials`: called on a thread of its own, which it may block. `None` gives up.
    fn acquire_credentials(&self, wanted: &CredentialsWanted) -> Option<Credentials> {
        let _ = wanted;
        None
    }
}
