// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::kept::Kept;
use super::queue::{Content, PushError, Queue, Stopped};
use super::stats::Counters;
use super::status::{Particulars, Reporter};
use super::{Error, Failure, Limits, Phase, SessionState, StatusCallback, WmtStatus, WriteError};
use crate::wmhttp::HResult;

/// What the owner's threads and the driver have in common.
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) reporter: Reporter,
    pub(super) counters: Arc<Counters>,
    stages: Mutex<Stages>,
    disconnect: Notify,
    /// When what waits has to be out, once the end was announced, and how long that is.
    drain: watch::Sender<Option<(Instant, Duration)>>,
    end: Mutex<End>,
    ended: Condvar,
    /// The driver is done, and has left what can be taken up again.
    over: watch::Sender<bool>,
    kept: Mutex<Option<Kept>>,
}

/// How far the push has come, whatever happens to its connection.
#[derive(Clone, Copy, Debug, Default)]
struct Stages {
    opened: bool,
    started: bool,
    ending: bool,
}

#[derive(Default)]
struct End {
    finished: bool,
    interrupted: bool,
    failure: Option<Arc<Failure>>,
}

impl Shared {
    pub(super) fn new(
        limits: Limits,
        counters: Arc<Counters>,
        callback: impl StatusCallback,
    ) -> Self {
        Self {
            queue: Queue::new(limits),
            reporter: Reporter::new(Box::new(callback)),
            counters,
            stages: Mutex::default(),
            disconnect: Notify::new(),
            drain: watch::Sender::new(None),
            end: Mutex::default(),
            ended: Condvar::new(),
            over: watch::Sender::new(false),
            kept: Mutex::default(),
        }
    }

    /// Resolves once, when the owner disconnects.
    pub(super) async fn disconnected(&self) {
        self.disconnect.notified().await;
    }

    /// Resolves when the end has not gone out in time, to the time that it had.
    pub(super) async fn drain_timeout(&self) -> Duration {
        let mut drain = self.drain.subscribe();
        loop {
            let announced = *drain.borrow_and_update();
            match announced {
                Some((deadline, timeout)) => {
                    tokio::time::sleep_until(deadline).await;
                    return timeout;
                }
                // The sender is in `self`.
                None => drop(drain.changed().await),
            }
        }
    }

    /// PushSetup succeeded, or a session was taken up; what happens once, however often it is done.
    pub(super) fn opened(&self, server: String) {
        self.counters.opened(server);
        let first = !std::mem::replace(&mut self.stages().opened, true);
        if first {
            self.reporter
                .status(WmtStatus::Opened, SessionState::Connected);
        }
    }

    /// Content is sent; what happens once as well. Whether it has happened.
    pub(super) fn started(&self) -> bool {
        let (first, started) = {
            let mut stages = self.stages();
            let first = stages.opened && !std::mem::replace(&mut stages.started, true);
            (first, stages.started)
        };
        if first {
            tracing::info!("Streaming");
            self.reporter
                .status(WmtStatus::Started, SessionState::Streaming);
        }
        started
    }

    /// The writer has ended. It is told once, and not before there is a stream to end.
    pub(super) fn ending(&self) {
        let first = {
            let mut stages = self.stages();
            stages.started && !std::mem::replace(&mut stages.ending, true)
        };
        if first {
            let state = match self.reporter.state() {
                SessionState::Reconnecting => SessionState::Reconnecting,
                _ => SessionState::Ending,
            };
            self.reporter.status(WmtStatus::EndOfStreaming, state);
        }
    }

    /// Whether PushSetup has succeeded at any time.
    pub(super) fn was_opened(&self) -> bool {
        self.stages().opened
    }

    /// The connection is lost, and will be made again.
    pub(super) fn lost(&self, failure: Failure, attempt: u32, retry_in: Duration) {
        tracing::info!(
            phase = failure.phase.name(),
            attempt,
            ?retry_in,
            "Lost: {failure}"
        );
        let particulars = Particulars {
            failure: Some(Arc::new(failure)),
            attempt,
            retry_in,
            resumed: false,
        };
        self.reporter.change(
            WmtStatus::ReconnectStart,
            SessionState::Reconnecting,
            particulars,
        );
    }

    /// The connection stands again.
    pub(super) fn recovered(&self, attempt: u32, resumed: bool) {
        tracing::info!(attempt, resumed, "Connected again");
        self.counters.reconnected();
        let stages = *self.stages();
        let state = match (stages.started, stages.ending) {
            (_, true) => SessionState::Ending,
            (true, false) => SessionState::Streaming,
            (false, false) => SessionState::Connected,
        };
        let particulars = Particulars {
            attempt,
            resumed,
            ..Particulars::default()
        };
        self.reporter
            .change(WmtStatus::ReconnectEnd, state, particulars);
    }

    /// Data packets were dropped.
    pub(super) fn dropped(&self, packets: u64) {
        if packets > 0 {
            self.reporter.dropped(self.counters.dropped(packets));
        }
    }

    /// The push has failed. Only the first failure counts.
    pub(super) fn fail(&self, failure: Failure) {
        let failure = Arc::new(failure);
        {
            let mut end = self.end();
            if end.failure.is_some() || end.finished {
                return;
            }
            end.failure = Some(failure.clone());
        }
        tracing::info!(phase = failure.phase.name(), "Push failed: {failure}");
        let status = if self.was_opened() {
            WmtStatus::Error
        } else {
            WmtStatus::Opened
        };
        let particulars = Particulars {
            failure: Some(failure),
            ..Particulars::default()
        };
        self.reporter
            .change(status, SessionState::Failed, particulars);
        self.reporter.close(None, None);
        self.queue.close();
    }

    /// The end did not go out in time. That is a failure when nothing ever did; otherwise the stream has ended all the
    /// same.
    pub(super) fn not_drained(&self, timeout: Duration) {
        let phase = if self.was_opened() {
            Phase::End
        } else {
            Phase::Setup
        };
        let error = Error::DrainTimeout(timeout);
        let failure = Failure { phase, error };
        if self.counters.stats().push_starts == 0 {
            return self.fail(failure);
        }
        tracing::info!("{failure}");
        let failure = Some(Arc::new(failure));
        self.reporter
            .close(Some(SessionState::Disconnected), failure);
    }

    /// The driver is done; `kept` is what can be taken up again.
    pub(super) fn finish(&self, kept: Option<Kept>) {
        self.counters.closed();
        self.queue.close();
        self.end().finished = true;
        self.ended.notify_all();
        *self.kept() = kept;
        self.over.send_replace(true);
    }

    /// What the driver has left, when it is done.
    pub(super) async fn take_session(&self) -> Option<Kept> {
        // The sender is in `self`: it does not go while this waits.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
        self.kept().take()
    }

    pub(super) fn disconnect(&self) {
        self.queue.close();
        let over = matches!(
            self.reporter.state(),
            SessionState::Ended | SessionState::Failed
        );
        self.reporter
            .close((!over).then_some(SessionState::Disconnected), None);
        self.disconnect.notify_one();
    }

    /// Whether there is a connection, or one is being made.
    pub(super) fn is_alive(&self) -> bool {
        let end = self.end();
        let over = end.finished || end.failure.is_some();
        drop(end);
        !over && !self.reporter.is_closed()
    }

    /// Whether it is over, and not by a failure. One that is about to be told is no end already.
    pub(super) fn has_ended(&self) -> bool {
        self.reporter.is_closed() && self.reporter.state() != SessionState::Failed
    }

    /// Hands all of `batch` over, and takes out of it what is done with. Tells what was dropped for it.
    pub(super) fn push(
        &self,
        batch: &mut VecDeque<Content>,
        timeout: Duration,
    ) -> Result<(), WriteError> {
        let pushed = self.queue.push(batch, timeout);
        self.dropped(match pushed {
            Ok(dropped) | Err(Stopped { dropped, .. }) => dropped,
        });
        pushed.map(drop).map_err(|stopped| match stopped.error {
            PushError::Closed => WriteError::Failed(self.failure()),
            PushError::Interrupted => WriteError::Interrupted,
        })
    }

    /// Nothing more comes: what waits has to be out within `timeout`. FALSE when there is no connection any more.
    pub(super) fn announce_end(&self, reason: HResult, timeout: Duration) -> bool {
        if !self.is_alive() {
            return false;
        }
        if self.drain.borrow().is_some() {
            return true;
        }
        if !self.queue.end(reason) {
            return false;
        }
        self.drain
            .send_replace(Some((Instant::now() + timeout, timeout)));
        self.ending();
        true
    }

    /// Waits until the driver is done. It bounds that by itself.
    pub(super) fn wait_for_end(&self) -> Result<(), WriteError> {
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
            end = self.ended.wait(end).unwrap_or_else(PoisonError::into_inner);
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

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stages(&self) -> MutexGuard<'_, Stages> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::Status;

    struct Nobody;

    impl StatusCallback for Nobody {
        fn on_phase(&self, _: Phase) {}

        fn on_status(&self, _: &Status) {}
    }

    /// EOS is posted behind an end, and not instead of an ERROR.
    #[test]
    fn a_failure_is_no_end_before_it_is_told() {
        let limits = Limits {
            bytes: 0,
            time: Duration::ZERO,
            leaky: Default::default(),
        };
        let shared = Shared::new(limits, Arc::default(), Nobody);
        assert!(shared.is_alive() && !shared.has_ended());
        let failure = Failure {
            phase: Phase::Push,
            error: Error::Reset,
        };
        shared.end().failure = Some(Arc::new(failure.clone()));
        assert!(!shared.is_alive() && !shared.has_ended(), "not told yet");
        shared.end().failure = None;
        shared.fail(failure);
        assert!(!shared.is_alive() && !shared.has_ended(), "told");
        let shared = Shared::new(limits, Arc::default(), Nobody);
        shared.disconnect();
        assert!(!shared.is_alive() && shared.has_ended());
    }
}
