// SPDX-License-Identifier: MPL-2.0

//! Reports of a connection to its owner: the counterpart of `IWMStatusCallback::OnStatus`.

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
    /// The push has failed; the HRESULT has the reason.
    Error = 0,
    /// PushSetup is finished. The HRESULT may be a failure.
    Opened = 1,
    /// The writer has ended the stream; queued content is being sent.
    EndOfStreaming = 6,
    /// The server's name is being resolved.
    Locating = 7,
    /// The TCP connection is being made.
    Connecting = 8,
    /// The first `$H` was sent.
    Started = 11,
    /// `$E` (S_OK) was sent.
    Stopped = 12,
    /// The connection is closed.
    Closed = 13,
    /// The connection was lost, and another one will be made.
    ReconnectStart = 35,
    /// A connection stands again.
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

/// The state of a push.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionState {
    /// No connection was attempted, or the application has disconnected.
    #[default]
    Disconnected,
    /// The first PushSetup has not succeeded yet.
    Connecting,
    /// PushSetup succeeded.
    Connected,
    /// `$H` was sent.
    Streaming,
    /// The connection was lost, and another one is being made.
    Reconnecting,
    /// The end was announced; queued content is being sent.
    Ending,
    /// `$E` was sent and the connection is closed.
    Ended,
    /// The push has failed.
    Failed,
}

/// The step of a push in which a failure happened, as error details name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Resolving the server's name.
    Resolve,
    /// Connecting to the server.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Answering an authentication challenge.
    Authenticate,
    /// Connecting through the proxy.
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
    /// Returns the name of the phase in error details.
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
    /// The event.
    pub status: WmtStatus,
    /// The state after the event.
    pub state: SessionState,
    /// The state before the event.
    pub previous_state: SessionState,
    /// The failure that ended the push or the connection, or that kept the end from being sent.
    pub failure: Option<Arc<Failure>>,
    /// Number of the attempt to reconnect, from 1; 0: none.
    pub attempt: u32,
    /// Wait before the attempt.
    pub retry_in: Duration,
    /// True if the next attempt also waits for data, after `retry_in`.
    pub awaits_data: bool,
    /// True if the new connection continues the session of the last one.
    pub resumed: bool,
    /// Data packets dropped or lost so far.
    pub packets_dropped: u64,
}

impl Status {
    /// Returns the HRESULT of the failure, or `S_OK`.
    pub fn hresult(&self) -> HResult {
        self.failure
            .as_ref()
            .map_or(HResult::S_OK, |failure| failure.hresult())
    }
}

/// The fields of a status beside its name and states.
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
/// A callback that blocks delays only the reports of its own connection.
///
pub trait StatusCallback: Send + Sync + 'static {
    /// A new phase of connecting began.
    fn on_phase(&self, phase: Phase);

    /// `IWMStatusCallback::OnStatus`
    fn on_status(&self, status: &Status);

    /// Data packets were dropped, `total` of them so far. Called when dropping begins, and at most every 10 s while it
    /// continues.
    fn on_packets_dropped(&self, total: u64) {
        let _ = total;
    }

    /// `skipped` data packets were dropped because a new session begins with a key frame; `total` were dropped so far.
    fn on_packets_skipped(&self, skipped: u64, total: u64) {
        let _ = skipped;
        self.on_packets_dropped(total);
    }

    /// The oldest unsent packet is `behind` late, 2 s or more, although the connection stands: the network or the
    /// server is slower than the stream. Called when this begins, and at most every 10 s while it lasts.
    fn on_falling_behind(&self, behind: Duration) {
        let _ = behind;
    }

    /// Runs `task`, which calls the other methods, soon and on a thread that may block. Returns false if there is no
    /// thread.
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
