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
use super::shared::PointState;
use super::{Control, Event, Status, Viewer};

/// A handle to a publishing point: reads its events and state, and controls it.
///
/// Clones refer to the same publishing point. Only [`Handle::next_event`] needs a runtime.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<PointState>,
    pub(super) address: SocketAddr,
}

impl Handle {
    /// Returns the address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the publishing point `name`.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Waits for the next event that `wanted` accepts, and removes it; other events stay. `None` after `timeout`.
    pub fn wait_for(&self, wanted: impl FnMut(&Event) -> bool, timeout: Duration) -> Option<Event> {
        self.shared.events.wait_for(wanted, timeout)
    }

    /// Waits for the next event.
    pub async fn next_event(&self) -> Event {
        self.shared.events.next().await
    }

    /// Returns all pushes, by session.
    pub fn pushes(&self) -> Vec<Push> {
        lock(&self.shared.pushes).all().cloned().collect()
    }

    /// Returns the current status.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Returns all viewers in the order in which they joined.
    pub fn viewers(&self) -> Vec<Viewer> {
        self.shared.viewers()
    }

    /// Waits until `wanted` accepts the pushes, and returns them. `None` after `timeout`.
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

    /// Returns the requests in order; empty without [`Settings::keep`](super::Settings::keep).
    pub fn requests(&self) -> Vec<RequestSeen> {
        lock(&self.shared.requests).clone()
    }

    /// Replaces the script. The numbers of [`When`] restart at 0.
    pub fn set_faults(&self, faults: Vec<(When, Fault)>) {
        lock(&self.shared.script).replace(faults);
    }

    /// 3.2.4.1 Administrative Disconnect of every pushing client.
    pub fn disconnect(&self, status: StatusCode) {
        self.shared.control.send_modify(|control| {
            *control = Control { status, ..*control };
        });
    }

    /// Stops the publishing point: disconnects clients with 503, and finishes recordings.
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
