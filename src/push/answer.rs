// SPDX-License-Identifier: MPL-2.0

//! One value, from a task or a thread to a thread that waits for it.
//!
//! The channels of the standard library would do, but each type of value brings the code of three kinds of channel: 20 kB of
//! the plugin's file.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Gives the value. Dropping it without one ends the wait as well.
#[derive(Debug)]
pub(super) struct Sender<T>(Arc<Slot<T>>);

/// Waits for the value.
#[derive(Debug)]
pub(super) struct Receiver<T>(Arc<Slot<T>>);

#[derive(Debug)]
struct Slot<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Awaited,
    Given(T),
    /// The sender was dropped without a value, or the value has been taken.
    Over,
}

/// Creates the two ends for one value.
pub(super) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Arc::new(Slot {
        state: Mutex::new(State::Awaited),
        changed: Condvar::new(),
    });
    (Sender(slot.clone()), Receiver(slot))
}

impl<T> Sender<T> {
    /// Gives the value, which is dropped if the receiver has given up.
    pub(super) fn send(self, value: T) {
        *self.0.lock() = State::Given(value);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Awaited) {
            *state = State::Over;
        }
        drop(state);
        self.0.changed.notify_one();
    }
}

impl<T> Receiver<T> {
    /// Blocks until the value is given. Returns `None` if the sender is dropped without one.
    pub(super) fn wait(self) -> Option<T> {
        let state = self.0.lock();
        let waited = self.0.changed.wait_while(state, State::is_awaited);
        waited.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Blocks until the value is given, for at most `limit`. Returns `None` also when that is over.
    pub(super) fn wait_for(self, limit: Duration) -> Option<T> {
        let state = self.0.lock();
        let waited = self
            .0
            .changed
            .wait_timeout_while(state, limit, State::is_awaited);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.take()
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn is_awaited(&mut self) -> bool {
        matches!(self, Self::Awaited)
    }

    fn take(&mut self) -> Option<T> {
        match std::mem::replace(self, Self::Over) {
            Self::Given(value) => Some(value),
            Self::Awaited | Self::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_value_of_another_thread_is_received() {
        let (sender, receiver) = channel();
        let giver = thread::spawn(move || sender.send(7));
        assert_eq!(receiver.wait(), Some(7));
        giver.join().unwrap();
    }

    #[test]
    fn a_value_that_was_given_before_is_received() {
        let (sender, receiver) = channel();
        sender.send(7);
        assert_eq!(receiver.wait_for(Duration::ZERO), Some(7));
    }

    #[test]
    fn a_dropped_sender_ends_the_wait() {
        for wait in [Receiver::wait, |receiver: Receiver<u8>| {
            receiver.wait_for(Duration::MAX)
        }] {
            let (sender, receiver) = channel();
            let giver = thread::spawn(move || drop(sender));
            assert_eq!(wait(receiver), None);
            giver.join().unwrap();
        }
    }

    #[test]
    fn a_wait_ends_at_its_limit() {
        let (sender, receiver) = channel::<u8>();
        assert_eq!(receiver.wait_for(Duration::from_millis(1)), None);
        sender.send(7);
    }
}
