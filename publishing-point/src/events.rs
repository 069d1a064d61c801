// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Event;
use super::lock::lock;

/// Events to keep until they are read, at most. The oldest is evicted, data events first.
const MAX_EVENTS: usize = 16 * 1024;

/// The queue of events between the publishing point and its [`Handle`](super::Handle).
#[derive(Default)]
pub(super) struct Events {
    queue: Mutex<VecDeque<Event>>,
    arrived: Condvar,
    notify: Notify,
}

impl Events {
    pub(super) fn push(&self, event: Event) {
        let mut queue = lock(&self.queue);
        if queue.len() >= MAX_EVENTS {
            let data = |event: &Event| matches!(event, Event::Data { .. });
            let oldest = queue.iter().position(data).unwrap_or(0);
            queue.remove(oldest);
        }
        queue.push_back(event);
        drop(queue);
        self.arrived.notify_all();
        self.notify.notify_one();
    }

    pub(super) fn wait_for(
        &self,
        mut wanted: impl FnMut(&Event) -> bool,
        timeout: Duration,
    ) -> Option<Event> {
        let deadline = Instant::now().checked_add(timeout);
        let mut queue = lock(&self.queue);
        loop {
            if let Some(place) = queue.iter().position(&mut wanted) {
                return queue.remove(place);
            }
            let left = time_left(deadline)?;
            let waited = self.arrived.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) async fn next(&self) -> Event {
        loop {
            // `Notify` keeps one permit for an event between the check and the wait.
            let arrived = self.notify.notified();
            if let Some(event) = lock(&self.queue).pop_front() {
                return event;
            }
            arrived.await;
        }
    }
}

/// Returns the time left; `None` if there is none. Without a deadline it is an hour, after which the caller asks again.
pub(super) fn time_left(deadline: Option<Instant>) -> Option<Duration> {
    match deadline {
        Some(deadline) => deadline.checked_duration_since(Instant::now()),
        None => Some(Duration::from_secs(3600)),
    }
}
