// SPDX-License-Identifier: MPL-2.0

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;

use super::events::time_left;
use super::faults::{Fault, When};
use super::lock::lock;
use super::pushes::Push;
use super::requests::RequestSeen;
use super::shared::Shared;
use super::{Control, Event, Status, Viewer};

/// A publishing point from outside: what happened at it, and how to make it do something else.
///
/// Clones show the same publishing point. None of the methods needs a runtime except [`Handle::next_event`].
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) address: SocketAddr,
}

impl Handle {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the publishing point `name`.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Waits for the next event that `wanted` accepts, and takes it out; the others stay. `None` after `timeout`.
    pub fn wait_for(&self, wanted: impl FnMut(&Event) -> bool, timeout: Duration) -> Option<Event> {
        self.shared.events.wait_for(wanted, timeout)
    }

    /// The next event, whatever it is.
    pub async fn next_event(&self) -> Event {
        self.shared.events.next().await
    }

    /// Everything that was pushed so far, by session.
    pub fn pushes(&self) -> Vec<Push> {
        lock(&self.shared.pushes).all().cloned().collect()
    }

    /// How everything fares right now.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Everybody who watches, in the order in which they came.
    pub fn viewers(&self) -> Vec<Viewer> {
        self.shared.audience.viewers()
    }

    /// Waits until what was pushed is as `wanted` wants it. `None` after `timeout`.
    pub fn wait_for_pushes(
        &self,
        mut wanted: impl FnMut(&[&Push]) -> bool,
        timeout: Duration,
    ) -> Option<Vec<Push>> {
        let deadline = Instant::now().checked_add(timeout);
        let pushes = &self.shared.pushes;
        let mut guard = lock(pushes);
        loop {
            let all: Vec<_> = guard.all().collect();
            if wanted(&all) {
                return Some(all.into_iter().cloned().collect());
            }
            let left = time_left(deadline)?;
            let waited = self.shared.pushes_changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The requests so far, in the order in which they came; empty unless [`Settings::keep`](super::Settings::keep).
    pub fn requests(&self) -> Vec<RequestSeen> {
        lock(&self.shared.requests).clone()
    }

    /// Another script; the numbers of [`When`] begin anew.
    pub fn set_faults(&self, faults: Vec<(When, Fault)>) {
        lock(&self.shared.script).replace(faults);
    }

    /// 3.2.4.1 Administrative Disconnect of every client that is streaming.
    pub fn disconnect(&self, status: StatusCode) {
        self.shared.control.send_modify(|control| {
            *control = Control { status, ..*control };
        });
    }

    /// Stops serving: clients are disconnected with 503, recordings finished.
    pub fn stop(&self) {
        self.shared.control.send_modify(|control| {
            *control = Control {
                status: StatusCode::SERVICE_UNAVAILABLE,
                stopping: true,
            };
        });
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
