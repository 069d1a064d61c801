// SPDX-License-Identifier: MPL-2.0

//! What a connection tells its owner: the counterpart of `IWMStatusCallback::OnStatus`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Whether it succeeded.
    pub hresult: HResult,
    /// The state from now on.
    pub state: SessionState,
    /// The state until now.
    pub previous_state: SessionState,
    /// Why it failed, if it did.
    pub failure: Option<Arc<Failure>>,
}

/// `IWMStatusCallback`: called in order, one call at a time, on any thread; it must not block.
pub trait StatusCallback: Send + Sync + 'static {
    /// A new phase of connecting began.
    fn on_phase(&self, phase: Phase);

    /// `IWMStatusCallback::OnStatus`
    fn on_status(&self, status: &Status);

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
    reports: VecDeque<Report>,
    reporting: bool,
    /// `Disconnect` was called: what the driver still says is nobody's business.
    closed: bool,
}

enum Report {
    Phase(Phase),
    Status(Status),
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

    pub(super) fn phase(&self, phase: Phase) {
        let inner = self.lock();
        if !inner.closed {
            self.report(inner, Report::Phase(phase));
        }
    }

    pub(super) fn status(&self, status: WmtStatus, state: SessionState) {
        self.change(status, state, HResult::S_OK, None, false);
    }

    /// The writer has ended. It is told once, and not before there is a stream to end.
    pub(super) fn ending(&self) {
        if self.state() == SessionState::Streaming {
            self.status(WmtStatus::EndOfStreaming, SessionState::Ending);
        }
    }

    pub(super) fn failure(&self, status: WmtStatus, failure: Arc<Failure>) {
        self.change(
            status,
            SessionState::Failed,
            failure.hresult(),
            Some(failure),
            false,
        );
    }

    /// The last report: nothing is told after it.
    pub(super) fn close(&self, state: Option<SessionState>) {
        match state {
            Some(state) => self.change(WmtStatus::Closed, state, HResult::S_OK, None, true),
            None => self.lock().closed = true,
        }
    }

    fn change(
        &self,
        status: WmtStatus,
        state: SessionState,
        hresult: HResult,
        failure: Option<Arc<Failure>>,
        close: bool,
    ) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.closed = close;
        let previous_state = std::mem::replace(&mut inner.state, state);
        let status = Status {
            status,
            hresult,
            state,
            previous_state,
            failure,
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
        reporter.close(Some(SessionState::Disconnected));
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
