// SPDX-License-Identifier: MPL-2.0

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::queue::{Content, PushError, Queue};
use super::stats::Counters;
use super::status::Reporter;
use super::{Failure, SessionState, StatusCallback, WmtStatus, WriteError};

/// What the owner's threads and the driver have in common.
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) reporter: Reporter,
    pub(super) counters: Counters,
    disconnect: Notify,
    end: Mutex<End>,
    ended: Condvar,
}

#[derive(Default)]
struct End {
    finished: bool,
    interrupted: bool,
    failure: Option<Arc<Failure>>,
}

impl Shared {
    pub(super) fn new(max_bytes: usize, callback: impl StatusCallback) -> Self {
        Self {
            queue: Queue::new(max_bytes),
            reporter: Reporter::new(Box::new(callback)),
            counters: Counters::default(),
            disconnect: Notify::new(),
            end: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Resolves once, when the owner disconnects.
    pub(super) async fn disconnected(&self) {
        self.disconnect.notified().await;
    }

    /// PushSetup succeeded; what happens once, however often it is sent.
    pub(super) fn opened(&self, server: String) {
        self.counters.opened(server);
        if self.reporter.state() == SessionState::Connecting {
            self.reporter
                .status(WmtStatus::Opened, SessionState::Connected);
        }
    }

    /// PushStart was sent; what happens once as well.
    pub(super) fn started(&self) {
        if self.reporter.state() == SessionState::Connected {
            tracing::info!("Streaming");
            self.reporter
                .status(WmtStatus::Started, SessionState::Streaming);
        }
    }

    /// The push has failed. Only the first failure counts.
    pub(super) fn fail(&self, failure: Failure) {
        let failure = Arc::new(failure);
        {
            let mut end = self.end();
            if end.failure.is_some() {
                return;
            }
            end.failure = Some(failure.clone());
        }
        tracing::info!(phase = failure.phase.name(), "Push failed: {failure}");
        let opened = !matches!(
            self.reporter.state(),
            SessionState::Disconnected | SessionState::Connecting
        );
        let status = if opened {
            WmtStatus::Error
        } else {
            WmtStatus::Opened
        };
        self.reporter.failure(status, failure);
        self.reporter.close(None);
        self.queue.close();
    }

    /// The driver is done.
    pub(super) fn finish(&self) {
        self.counters.closed();
        self.queue.close();
        self.end().finished = true;
        self.ended.notify_all();
    }

    pub(super) fn disconnect(&self) {
        self.queue.close();
        let over = matches!(
            self.reporter.state(),
            SessionState::Ended | SessionState::Failed
        );
        self.reporter
            .close((!over).then_some(SessionState::Disconnected));
        self.disconnect.notify_one();
    }

    pub(super) fn push(&self, content: Content, timeout: Duration) -> Result<(), WriteError> {
        self.queue
            .push(content, timeout)
            .map_err(|error| match error {
                PushError::Closed => WriteError::Failed(self.failure()),
                PushError::Interrupted => WriteError::Interrupted,
                PushError::TimedOut => WriteError::TimedOut,
            })
    }

    pub(super) fn wait_for_end(&self, deadline: Instant) -> Result<(), WriteError> {
        let mut end = self.end();
        loop {
            if let Some(failure) = &end.failure {
                return Err(WriteError::Failed(Some(failure.clone())));
            }
            if end.finished {
                return Ok(());
            }
            if end.interrupted {
                return Err(WriteError::Interrupted);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WriteError::TimedOut);
            }
            end = self
                .ended
                .wait_timeout(end, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    pub(super) fn interrupt(&self, interrupted: bool) {
        self.queue.interrupt(interrupted);
        self.end().interrupted = interrupted;
        self.ended.notify_all();
    }

    pub(super) fn failure(&self) -> Option<Arc<Failure>> {
        self.end().failure.clone()
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
