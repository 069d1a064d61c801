// SPDX-License-Identifier: MPL-2.0

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, even after a thread has panicked while holding it: counters and queues stay usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
