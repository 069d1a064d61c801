// SPDX-License-Identifier: MPL-2.0

//! Reports on their way to the application: in order, and never on the network thread.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::{Phase, Status, StatusCallback};

/// An ordered queue of reports.
///
/// One thread at a time takes reports out and calls the application. What the driver queues is taken out by a task on a
/// thread that [`StatusCallback::spawn`] provides; an application's or streaming thread takes out what is there by itself.
/// No lock is held while the application is called.
#[derive(Clone)]
pub(super) struct Notifier {
    shared: Arc<Shared>,
    callback: Arc<dyn StatusCallback>,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    delivered: Condvar,
}

#[derive(Default)]
struct Inner {
    reports: VecDeque<(Arc<dyn StatusCallback>, Report)>,
    /// The thread that is calling the application.
    busy: Option<ThreadId>,
    /// A task was spawned that has not begun.
    spawned: bool,
}

/// Something to tell the application.
#[derive(Debug)]
pub(super) enum Report {
    /// A new phase of connecting.
    Phase(Phase),
    /// A change of status.
    Status(Status),
    /// Data packets were dropped: the total.
    Dropped(u64),
    /// The same, all since the last report in front of the key frame that a new session begins with.
    Skipped { skipped: u64, total: u64 },
    /// Data waits although the connection stands: how far it is behind.
    Behind(Duration),
}

impl Notifier {
    /// A notifier of `callback`. Reports queued in `last` are delivered before its own.
    pub(super) fn new(callback: impl StatusCallback, last: Option<&Self>) -> Self {
        Self {
            shared: last.map_or_else(Arc::default, |last| last.shared.clone()),
            callback: Arc::new(callback),
        }
    }

    /// The application.
    pub(super) fn callback(&self) -> &Arc<dyn StatusCallback> {
        &self.callback
    }

    /// Appends a report. It is delivered after [`spawn`](Self::spawn) or by [`deliver`](Self::deliver).
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

    /// Delivers the queued reports on this thread, unless another thread is about it.
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
        self.shared.delivered.notify_all();
    }

    /// Delivers the queued reports, or waits until another thread has done so. Ends early when `interrupted`, which
    /// [`wake`](Self::wake) has it look at. A handler that is called by this thread does not wait for itself.
    pub(super) fn flush(&self, interrupted: impl Fn() -> bool) {
        self.deliver();
        let this = thread::current().id();
        let mut inner = self.lock();
        while inner.busy.is_some_and(|thread| thread != this) && !interrupted() {
            inner = self
                .shared
                .delivered
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes [`flush`](Self::flush).
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.shared.delivered.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
