// SPDX-License-Identifier: MPL-2.0

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

/// A function that the system clock calls at an interval. It runs on the clock's thread, which the process shares, and
/// must not block: see [`off_the_clock`].
///
/// Only the timer owns the function, so the function may not own its timer. A dropped timer is stopped.
#[derive(Default)]
pub(crate) struct PeriodicTimer(Mutex<Option<Running>>);

type Call = Arc<dyn Fn() + Send + Sync>;

struct Running {
    /// `None`: the interval is 0.
    entry: Option<Entry>,
    call: Call,
}

/// An entry of the system clock, which it leaves when it is dropped.
struct Entry(gst::PeriodicClockId);

impl PeriodicTimer {
    /// Starts to call `call` every `interval`; 0: not until the interval is changed. A running timer is replaced.
    ///
    /// # Errors
    ///
    /// The system clock cannot start its thread.
    pub(crate) fn start(
        &self,
        interval: gst::ClockTime,
        call: impl Fn() + Send + Sync + 'static,
    ) -> Result<(), gst::ClockError> {
        let running = Running {
            entry: None,
            call: Arc::new(call),
        };
        let previous = self.lock().replace(running);
        drop(previous);
        self.set_interval(interval)
    }

    /// Changes the interval of a running timer. The next call comes after the new interval.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start). The timer keeps its interval.
    pub(crate) fn set_interval(&self, interval: gst::ClockTime) -> Result<(), gst::ClockError> {
        let mut timer = self.lock();
        let Some(running) = timer.as_mut() else {
            return Ok(());
        };
        let entry = (!interval.is_zero())
            .then(|| Entry::schedule(interval, &running.call))
            .transpose()?;
        let previous = std::mem::replace(&mut running.entry, entry);
        drop(timer);
        drop(previous);
        Ok(())
    }

    /// Stops the timer. No call begins after this returns, but one that has begun may still be running: it may itself
    /// be the caller.
    pub(crate) fn stop(&self) {
        let stopped = self.lock().take();
        drop(stopped);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn schedule(interval: gst::ClockTime, call: &Call) -> Result<Self, gst::ClockError> {
        // The system clock, because the pipeline's clock may stop or be replaced.
        let clock = gst::SystemClock::obtain();
        let id = clock.new_periodic_id(clock.time() + interval, interval);
        let tick = unless_stopped(call);
        id.wait_async(move |_, _, _| tick())?;
        Ok(Self(id))
    }
}

/// Returns `call` as the clock may call it: for an entry that expired before it was unscheduled, also after that.
fn unless_stopped(call: &Call) -> impl Fn() + Send + 'static {
    let call = Arc::downgrade(call);
    move || {
        if let Some(call) = call.upgrade() {
            call();
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.unschedule();
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, TryRecvError};
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: gst::ClockTime = gst::ClockTime::from_mseconds(1);

    /// Returns a running timer, and a channel with one message for each call, which closes when the function is freed.
    fn ticking(interval: gst::ClockTime) -> (PeriodicTimer, Receiver<()>) {
        gst::init().unwrap();
        let timer = PeriodicTimer::default();
        let (sender, calls) = mpsc::channel();
        timer.start(interval, move || _ = sender.send(())).unwrap();
        (timer, calls)
    }

    /// Waits until the function of a timer is freed.
    fn wait_until_freed(calls: &Receiver<()>) {
        while calls.recv_timeout(LONG).is_ok() {}
        assert_eq!(calls.try_recv(), Err(TryRecvError::Disconnected));
    }

    fn clock_id(timer: &PeriodicTimer) -> gst::ClockId {
        let running = timer.lock();
        let entry = running.as_ref().unwrap().entry.as_ref().unwrap();
        gst::ClockId::clone(&entry.0)
    }

    #[test]
    fn a_timer_calls_until_it_is_stopped() {
        let (timer, calls) = ticking(SHORT);
        for _ in 0..3 {
            calls.recv_timeout(LONG).unwrap();
        }
        let id = clock_id(&timer);
        timer.stop();
        assert_eq!(id.status().load(), gst::ClockReturn::Unscheduled);
        wait_until_freed(&calls);
        timer.stop();
    }

    #[test]
    fn a_dropped_timer_is_stopped() {
        let (timer, calls) = ticking(SHORT);
        calls.recv_timeout(LONG).unwrap();
        let id = clock_id(&timer);
        drop(timer);
        assert_eq!(id.status().load(), gst::ClockReturn::Unscheduled);
        wait_until_freed(&calls);
    }

    #[test]
    fn a_late_tick_of_a_stopped_timer_is_ignored() {
        let (timer, calls) = ticking(gst::ClockTime::ZERO);
        let tick = unless_stopped(&timer.lock().as_ref().unwrap().call);
        tick();
        assert_eq!(calls.try_recv(), Ok(()));
        timer.stop();
        tick();
        assert_eq!(calls.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn a_second_start_replaces_the_first() {
        let (timer, first) = ticking(SHORT);
        let (sender, second) = mpsc::channel();
        timer.start(SHORT, move || _ = sender.send(())).unwrap();
        wait_until_freed(&first);
        second.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn an_interval_of_zero_waits_for_another_one() {
        let (timer, calls) = ticking(gst::ClockTime::ZERO);
        assert!(timer.lock().as_ref().unwrap().entry.is_none());
        timer.set_interval(SHORT).unwrap();
        calls.recv_timeout(LONG).unwrap();
        let id = clock_id(&timer);
        timer.set_interval(gst::ClockTime::ZERO).unwrap();
        assert_eq!(id.status().load(), gst::ClockReturn::Unscheduled);
    }

    #[test]
    fn a_call_may_change_the_interval_and_stop_the_timer() {
        gst::init().unwrap();
        let timer = Arc::new(PeriodicTimer::default());
        let (sender, calls) = mpsc::channel();
        let started = timer.start(SHORT, {
            let timer = timer.clone();
            move || {
                timer
                    .set_interval(gst::ClockTime::from_seconds(3_600))
                    .unwrap();
                timer.set_interval(2 * SHORT).unwrap();
                timer.stop();
                _ = sender.send(());
            }
        });
        started.unwrap();
        calls.recv_timeout(LONG).unwrap();
        wait_until_freed(&calls);
    }

    #[test]
    fn a_stopped_timer_cannot_be_changed() {
        let (timer, calls) = ticking(gst::ClockTime::ZERO);
        timer.stop();
        timer.set_interval(SHORT).unwrap();
        assert!(timer.lock().is_none());
        assert_eq!(calls.try_recv(), Err(TryRecvError::Disconnected));
    }
}
