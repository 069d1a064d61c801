// SPDX-License-Identifier: MPL-2.0

use std::sync::{Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

/// An interruptible wait on a clock.
///
/// `gst_base_sink_wait` releases the preroll lock while it waits, and pausing then waits for a preroll that is never
/// complete. This wait keeps the lock: `unlock` interrupts it, and the caller goes into preroll.
#[derive(Default)]
pub(super) struct ClockWait(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    id: Option<gst::SingleShotClockId>,
    interrupted: bool,
}

/// The reason for which a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// The time was reached.
    Due,
    /// [`ClockWait::interrupt`] was called.
    Interrupted,
}

impl ClockWait {
    /// Waits until `clock` reaches `time`.
    pub(super) fn until(&self, clock: &gst::Clock, time: gst::ClockTime) -> Woken {
        let id = clock.new_single_shot_id(time);
        {
            let mut waiting = self.lock();
            if waiting.interrupted {
                return Woken::Interrupted;
            }
            waiting.id = Some(id.clone());
        }
        let (waited, _) = id.wait();
        let id = self.lock().id.take();
        drop(id);
        match waited {
            Err(gst::ClockError::Unscheduled) => Woken::Interrupted,
            _ => Woken::Due,
        }
    }

    /// Interrupts the current wait, and every later one until it is called with `false`.
    pub(super) fn interrupt(&self, interrupted: bool) {
        let mut waiting = self.lock();
        waiting.interrupted = interrupted;
        if let Some(id) = waiting.id.as_ref().filter(|_| interrupted) {
            id.unschedule();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn a_wait_ends_when_it_is_time_or_interrupted() {
        gst::init().unwrap();
        let clock = gst::SystemClock::obtain();
        let wait = Arc::new(ClockWait::default());
        assert_eq!(wait.until(&clock, clock.time()), Woken::Due);
        let waiter = thread::spawn({
            let (wait, clock) = (wait.clone(), clock.clone());
            move || wait.until(&clock, clock.time() + gst::ClockTime::from_seconds(60))
        });
        wait.interrupt(true);
        assert_eq!(waiter.join().unwrap(), Woken::Interrupted);
        assert_eq!(
            wait.until(&clock, clock.time()),
            Woken::Interrupted,
            "until it is reset"
        );
        wait.interrupt(false);
        assert_eq!(wait.until(&clock, clock.time()), Woken::Due);
    }
}
