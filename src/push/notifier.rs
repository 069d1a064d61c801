// SPDX-License-Identifier: MPL-2.0

//! The queue of reports to the application: delivered in order, and never on the network thread.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::{Phase, Status, StatusCallback};

/// An ordered queue of reports.
///
/// One thread at a time delivers reports. Reports of the driver are delivered by a task on a thread that
/// [`StatusCallback::spawn`] provides. Application and streaming threads deliver the queued reports themselves. No lock
/// is held during a call of the application.
#[derive(Clone)]
pub(super) struct Notifier {
    queue: Arc<ReportQueue>,
    callback: Arc<dyn StatusCallback>,
}

#[derive(Default)]
struct ReportQueue {
    inner: Mutex<Inner>,
    delivered: Condvar,
}

#[derive(Default)]
struct Inner {
    reports: VecDeque<(Arc<dyn StatusCallback>, Report)>,
    /// The thread that is calling the application.
    busy: Option<ThreadId>,
    /// A task was spawned and has not begun.
    spawned: bool,
}

/// One call of the application.
#[derive(Debug)]
pub(super) enum Report {
    /// A new phase of connecting.
    Phase(Phase),
    /// A change of status.
    Status(Status),
    /// Data packets were dropped; the total.
    Dropped(u64),
    /// Data packets were dropped, and all since the last report precede the key frame with which a new session begins.
    Skipped { skipped: u64, total: u64 },
    /// Data waits although the connection stands; the time by which the oldest packet is late.
    Behind(Duration),
}

impl Notifier {
    /// A notifier of `callback`. Reports that are queued in `last` are delivered before its own.
    pub(super) fn new(callback: impl StatusCallback, last: Option<&Self>) -> Self {
        Self {
            queue: last.map_or_else(Arc::default, |last| last.queue.clone()),
            callback: Arc::new(callback),
        }
    }

    /// Returns the application's callback.
    pub(super) fn callback(&self) -> &Arc<dyn StatusCallback> {
        &self.callback
    }

    /// Appends a report. [`spawn`](Self::spawn) or [`deliver`](Self::deliver) delivers it.
    pub(super) fn queue(&self, report: Report) {
        let report = (self.callback.clone(), report);
        self.lock().reports.push_back(report);
    }

    /// Has the queued reports delivered on another thread.
    pub(super) fn spawn(&self) {
        let mut inner = self.lock();
        if inner.reports.is_empty() || inner.busy.is_some() || inner.spawned {
            return;
        }
        inner.spawned = true;
        drop(inner);
        let notifier = self.clone();
        let spawned = self.callback.spawn(Box::new(move || {
            notifier.lock().spawned = false;
            notifier.deliver();
        }));
        if !spawned {
            self.lock().spawned = false;
        }
    }

    /// Delivers the queued reports on this thread, unless another thread is delivering.
    pub(super) fn deliver(&self) {
        let mut inner = self.lock();
        if inner.busy.is_some() {
            return;
        }
        inner.busy = Some(thread::current().id());
        while let Some((callback, report)) = inner.reports.pop_front() {
            drop(inner);
            match &report {
                Report::Phase(phase) => callback.on_phase(*phase),
                Report::Status(status) => callback.on_status(status),
                Report::Dropped(total) => callback.on_packets_dropped(*total),
                Report::Skipped { skipped, total } => {
                    callback.on_packets_skipped(*skipped, *total);
                }
                Report::Behind(behind) => callback.on_falling_behind(*behind),
            }
            inner = self.lock();
        }
        inner.busy = None;
        drop(inner);
        self.queue.delivered.notify_all();
    }

    /// Delivers the queued reports, or waits until another thread has delivered them.
    ///
    /// Returns early if `interrupted` is true, which [`wake`](Self::wake) has checked again. A handler that runs on
    /// this thread does not wait for itself.
    pub(super) fn flush(&self, interrupted: impl Fn() -> bool) {
        self.deliver();
        let this = thread::current().id();
        let mut inner = self.lock();
        while inner.busy.is_some_and(|thread| thread != this) && !interrupted() {
            inner = self
                .queue
                .delivered
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes [`flush`](Self::flush).
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.queue.delivered.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.queue
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
