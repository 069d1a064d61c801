// SPDX-License-Identifier: MPL-2.0

//! What a connection tells its owner: the counterpart of `IWMStatusCallback::OnStatus`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Failure;
use crate::auth::Credentials;
use crate::wmhttp::{CredentialsWanted, HResult};

/// How often it is told that packets are being dropped.
const DROPS_INTERVAL: Duration = Duration::from_secs(10);

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

/// What a status says beside its name and state.
#[derive(Clone, Debug, Default)]
pub(super) struct Particulars {
    pub(super) failure: Option<Arc<Failure>>,
    pub(super) attempt: u32,
    pub(super) retry_in: Duration,
    pub(super) resumed: bool,
}

/// `IWMStatusCallback`: called in order, one call at a time, on any thread; it must not block.
pub trait StatusCallback: Send + Sync + 'static {
    /// A new phase of connecting began.
    fn on_phase(&self, phase: Phase);

    /// `IWMStatusCallback::OnStatus`
    fn on_status(&self, status: &Status);

    /// Data packets were dropped, so many in all by now. Told when it begins, and now and then while it goes on.
    fn on_packets_dropped(&self, total: u64) {
        let _ = total;
    }

    /// `IWMCredentialCallback::AcquireCredentials`: called on a thread of its own, which it may block. `None` gives up.
    fn acquire_credentials(&self, wanted: &CredentialsWanted) -> Option<Credentials> {
        let _ = wanted;
        None
    }
}

/// Keeps the session state and hands reports out in order, never holding a lock while it calls back: the callback may
/// well end up in [`Connection::disconnect`](super::Connection::disconnect).
pub(super) struct Reporter {
    callback: Box<dyn StatusCallback>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    state: SessionState,
    packets_dropped: u64,
    /// When drops were last told of.
    dropped_told: Option<Instant>,
    reports: VecDeque<Report>,
    reporting: bool,
    /// `Disconnect` was called: what the driver still says is nobody's business.
    closed: bool,
}

enum Report {
    Phase(Phase),
    Status(Status),
    Dropped(u64),
}

impl Reporter {
    pub(super) fn new(callback: Box<dyn StatusCallback>) -> Self {
        Self {
            callback,
            inner: Mutex::default(),
        }
    }

    pub(super) fn acquire_credentials(&self, wanted: &CredentialsWanted) -> Option<Credentials> {
        self.callback.acquire_credentials(wanted)
    }

    pub(super) fn state(&self) -> SessionState {
        self.lock().state
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn phase(&self, phase: Phase) {
        let inner = self.lock();
        if !inner.closed {
            self.report(inner, Report::Phase(phase));
        }
    }

    /// Data packets were dropped; `total` is all there were.
    pub(super) fn dropped(&self, total: u64) {
        let mut inner = self.lock();
        inner.packets_dropped = total;
        let due = inner
            .dropped_told
            .is_none_or(|told| told.elapsed() >= DROPS_INTERVAL);
        if due && !inner.closed {
            inner.dropped_told = Some(Instant::now());
            self.report(inner, Report::Dropped(total));
        }
    }

    /// Data packets were left out, which is nothing to tell of; `total` is all there were.
    pub(super) fn count_dropped(&self, total: u64) {
        self.lock().packets_dropped = total;
    }

    pub(super) fn status(&self, status: WmtStatus, state: SessionState) {
        self.change(status, state, Particulars::default());
    }

    /// The last report: nothing is told after it. Without a state, it was told already.
    pub(super) fn close(&self, state: Option<SessionState>, failure: Option<Arc<Failure>>) {
        if let Some(state) = state {
            let particulars = Particulars {
                failure,
                ..Particulars::default()
            };
            self.report_change(WmtStatus::Closed, state, particulars, true);
        } else {
            self.lock().closed = true;
        }
    }

    pub(super) fn change(&self, status: WmtStatus, state: SessionState, particulars: Particulars) {
        self.report_change(status, state, particulars, false);
    }

    fn report_change(
        &self,
        status: WmtStatus,
        state: SessionState,
        particulars: Particulars,
        close: bool,
    ) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.closed = close;
        let status = Status {
            status,
            state,
            previous_state: std::mem::replace(&mut inner.state, state),
            failure: particulars.failure,
            attempt: particulars.attempt,
            retry_in: particulars.retry_in,
            resumed: particulars.resumed,
            packets_dropped: inner.packets_dropped,
        };
        self.report(inner, Report::Status(status));
    }

    /// Adds a report, and calls back until none is left, unless another call is doing so already.
    fn report<'a>(&'a self, mut inner: MutexGuard<'a, Inner>, report: Report) {
        inner.reports.push_back(report);
        if std::mem::replace(&mut inner.reporting, true) {
            return;
        }
        while let Some(report) = inner.reports.pop_front() {
            drop(inner);
            match &report {
                Report::Phase(phase) => self.callback.on_phase(*phase),
                Report::Status(status) => self.callback.on_status(status),
                Report::Dropped(total) => self.callback.on_packets_dropped(*total),
            }
            inner = self.lock();
        }
        inner.reporting = false;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl StatusCallback for Arc<Log> {
        fn on_phase(&self, phase: Phase) {
            self.0.lock().unwrap().push(phase.name().to_owned());
        }

        fn on_status(&self, status: &Status) {
            let line = format!(
                "{} {:?}→{:?}",
                status.status.name(),
                status.previous_state,
                status.state
            );
            self.0.lock().unwrap().push(line);
        }
    }

    #[test]
    fn reports_come_in_order_and_none_after_the_last() {
        let log = Arc::new(Log::default());
        let reporter = Reporter::new(Box::new(log.clone()));
        reporter.status(WmtStatus::Locating, SessionState::Connecting);
        reporter.phase(Phase::Resolve);
        reporter.close(Some(SessionState::Disconnected), None);
        reporter.status(WmtStatus::Opened, SessionState::Connected);
        reporter.phase(Phase::Setup);
        assert_eq!(
            *log.0.lock().unwrap(),
            [
                "WMT_LOCATING Disconnected→Connecting",
                "resolve",
                "WMT_CLOSED Connecting→Disconnected"
            ]
        );
        assert_eq!(reporter.state(), SessionState::Disconnected);
    }
}
