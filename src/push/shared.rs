// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::lifecycle::{Lifecycle, Stop};
use super::notifier::{Notifier, Report};
use super::on_air::OnAir;
use super::queue::{Content, Queue, Stopped};
use super::stats::{PushCounters, Stats};
use super::{Failure, Limits, Phase, WriteError};
use crate::wmhttp::HResult;

/// State that the application's threads, the streaming thread and the driver share.
pub(super) struct Shared {
    pub(super) lifecycle: Lifecycle,
    pub(super) queue: Queue,
    pub(super) counters: Arc<PushCounters>,
    pub(super) on_air: OnAir,
}

impl Shared {
    pub(super) fn new(limits: Limits, counters: Arc<PushCounters>, notifier: Notifier) -> Self {
        Self {
            lifecycle: Lifecycle::new(counters.clone(), notifier),
            queue: Queue::new(limits),
            counters,
            on_air: OnAir::default(),
        }
    }

    /// Reports a new phase of connecting.
    pub(super) fn report_phase(&self, phase: Phase) {
        if self.lifecycle.is_alive() {
            self.lifecycle.notifier().queue(Report::Phase(phase));
        }
    }

    /// Reports dropped packets that no report has included yet.
    pub(super) fn report_drops(&self) {
        if let Some(total) = self.counters.take_unreported_drops() {
            let notifier = self.lifecycle.notifier();
            notifier.queue(match self.counters.take_gated() {
                Some(skipped) => Report::Skipped { skipped, total },
                None => Report::Dropped(total),
            });
            notifier.spawn();
        }
    }

    /// Ends the push with `failure`, on an application's or the streaming thread.
    pub(super) fn fail(&self, failure: Failure) {
        self.lifecycle.fail(failure);
        self.wake_writer();
        self.flush_reports();
    }

    /// `Disconnect`. Returns false if the push was over before.
    pub(super) fn disconnect(&self) -> bool {
        let disconnected = self.lifecycle.disconnect();
        self.wake_writer();
        self.lifecycle.notifier().deliver();
        disconnected
    }

    /// Queues all of `batch`. Removes content from it that was queued or dropped.
    pub(super) fn push(
        &self,
        batch: &mut VecDeque<Content>,
        timeout: Duration,
    ) -> Result<(), WriteError> {
        let pushed = self
            .queue
            .push(batch, timeout, || self.lifecycle.check_writer());
        self.counters.dropped(match pushed {
            Ok(dropped) | Err(Stopped { dropped, .. }) => dropped,
        });
        match pushed {
            Ok(_) => Ok(()),
            Err(Stopped {
                stop: Stop::Interrupted,
                ..
            }) => Err(WriteError::Interrupted),
            Err(_) => {
                self.flush_reports();
                Err(WriteError::Failed(self.lifecycle.failure()))
            }
        }
    }

    /// Discards unsent data packets.
    pub(super) fn flush(&self) {
        self.queue.flush();
    }

    /// Announces the end of the stream: queued content has to be sent within `timeout`. Returns false if the push is
    /// over.
    pub(super) fn announce_end(&self, reason: HResult, timeout: Duration) -> bool {
        if !self.lifecycle.announce_end(timeout) {
            return false;
        }
        self.queue.end(reason);
        self.lifecycle.ending();
        self.lifecycle.notifier().deliver();
        true
    }

    /// Blocks until the push is over. The timeout of the announced end bounds the wait.
    pub(super) fn wait_for_end(&self) -> Result<(), WriteError> {
        block_on(self.lifecycle.over_or_interrupted());
        if self.lifecycle.is_alive() {
            return Err(WriteError::Interrupted);
        }
        self.flush_reports();
        match self.lifecycle.failure() {
            Some(failure) => Err(WriteError::Failed(Some(failure))),
            None => Ok(()),
        }
    }

    pub(super) fn interrupt(&self, interrupted: bool) {
        self.lifecycle.interrupt(interrupted);
        self.wake_writer();
    }

    /// Has a blocked writer check the lifecycle again.
    pub(super) fn wake_writer(&self) {
        self.queue.wake();
        self.lifecycle.notifier().wake();
    }

    /// Returns the statistics.
    pub(super) fn stats(&self) -> Stats {
        let retry = self.lifecycle.retry();
        let (queued_bytes, queued_time) = self.queue.level();
        Stats {
            state: self.lifecycle.session_state(),
            queued_bytes,
            queued_time,
            behind: self.queue.behind(),
            attempt: retry.attempt,
            retry_in: retry.retry_in,
            last_loss: retry.last_loss,
            ..self.counters.stats()
        }
    }

    /// Delivers the report of the end before the streaming thread continues, so that it precedes EOS and later errors.
    fn flush_reports(&self) {
        let lifecycle = &self.lifecycle;
        lifecycle.notifier().flush(|| lifecycle.is_interrupted());
    }
}

/// Blocks the thread until `future` is ready.
fn block_on<F: Future>(future: F) -> F::Output {
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
