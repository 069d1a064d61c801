// SPDX-License-Identifier: MPL-2.0

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

/// The timer of the property `stats-interval`, which runs from READY→PAUSED to PAUSED→READY.
#[derive(Default)]
pub(super) struct StatsTimer(Mutex<Timer>);

/// Posts the statistics.
type Post = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Timer {
    /// `None`: not running.
    post: Option<Post>,
    id: Option<gst::PeriodicClockId>,
}

impl StatsTimer {
    /// Starts to call `post` every `interval` milliseconds; 0: not until the interval is changed.
    ///
    /// # Errors
    ///
    /// The system clock cannot start the timer.
    pub(super) fn begin(
        &self,
        interval: u32,
        post: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), gst::ClockError> {
        let post: Post = Arc::new(post);
        self.lock().post = Some(post.clone());
        self.schedule(interval, post)
    }

    /// Changes the interval of a running timer.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin).
    pub(super) fn change(&self, interval: u32) -> Result<(), gst::ClockError> {
        let post = self.lock().post.clone();
        post.map_or(Ok(()), |post| self.schedule(interval, post))
    }

    /// Stops the timer. A call that has begun may still be running.
    pub(super) fn end(&self) {
        let ended = std::mem::take(&mut *self.lock());
        if let Some(id) = &ended.id {
            id.unschedule();
        }
    }

    fn schedule(&self, interval: u32, post: Post) -> Result<(), gst::ClockError> {
        let id = (interval > 0).then(|| start(interval, post)).transpose()?;
        let mut timer = self.lock();
        // The timer may have been stopped meanwhile.
        let old = match timer.post {
            Some(_) => std::mem::replace(&mut timer.id, id),
            None => id,
        };
        drop(timer);
        if let Some(old) = old {
            old.unschedule();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Timer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a function that runs `task` on another thread, as long as the element exists: a handler that blocks must not
/// delay the thread of the system clock, which the process shares. Calls while `task` runs are ignored.
pub(crate) fn off_the_clock<E: IsA<gst::Element> + Send + Sync>(
    element: &E,
    task: impl Fn(&E) + Send + Sync + 'static,
) -> impl Fn() + Send + Sync + 'static {
    let element = element.downgrade();
    let task = Arc::new(task);
    let busy = Arc::new(AtomicBool::new(false));
    move || {
        let Some(element) = element.upgrade() else {
            return;
        };
        if busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (task, busy) = (task.clone(), busy.clone());
        element.call_async(move |element| {
            task(element);
            busy.store(false, Ordering::Release);
        });
    }
}

fn start(interval: u32, post: Post) -> Result<gst::PeriodicClockId, gst::ClockError> {
    // The system clock, because the pipeline's clock may stop or be replaced.
    let clock = gst::SystemClock::obtain();
    let interval = gst::ClockTime::from_mseconds(interval.into());
    let id = clock.new_periodic_id(clock.time() + interval, interval);
    id.wait_async(move |_, _, _| post())?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_call_may_change_the_interval_and_end_the_timer() {
        gst::init().unwrap();
        let timer = Arc::new(StatsTimer::default());
        let (sender, calls) = mpsc::channel();
        let begun = timer.begin(1, {
            let timer = timer.clone();
            move || {
                timer.change(3_600_000).unwrap();
                timer.change(2).unwrap();
                timer.end();
                sender.send(()).unwrap();
            }
        });
        begun.unwrap();
        calls.recv_timeout(LONG).unwrap();
        // The closure, and its sender with it, is freed.
        while calls.recv_timeout(LONG).is_ok() {}
        assert_eq!(calls.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn a_stopped_timer_cannot_be_changed() {
        gst::init().unwrap();
        let timer = StatsTimer::default();
        timer.change(1).unwrap();
        timer.begin(0, || ()).unwrap();
        timer.end();
        timer.change(1).unwrap();
        assert!(timer.lock().id.is_none());
    }
}
