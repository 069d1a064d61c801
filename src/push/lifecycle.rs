// SPDX-License-Identifier: MPL-2.0

//! The state of a push, in one place. The element, the statistics and the predicates read it here.
//!
//! ```text
//!              opened                    lost
//!  Opening ────────────▶ Open ──────────────────────▶ Reconnecting
//!     │                   ▲ └─ started, ending           │  ▲
//!     │                   └──────────────────────────────┘  └─ lost again
//!     │                        recovered
//!     └───────┬───────────┬──────────────┬────────────┘
//!             ▼           ▼              ▼            ▼
//!           Ended   Disconnected    Undrained      Failed
//! ```
//!
//! Each transition is a method, which also queues the report of it. The states of the last row are final.

mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::notifier::{Notifier, Report};
use super::settings::NO_LIMIT;
use super::stats::PushCounters;
use super::status::StatusDetails;
use super::{Failure, SessionState, Status, WmtStatus};
use state::{Deadline, Outcome, Stage, State, StreamProgress};
pub(super) use state::{Retry, Stop};

/// The state of a push, behind one lock and observed by one watch.
pub(super) struct Lifecycle {
    state: watch::Sender<State>,
    counters: Arc<PushCounters>,
    notifier: Notifier,
}

impl Lifecycle {
    /// The state of a push that has not begun.
    pub(super) fn new(counters: Arc<PushCounters>, notifier: Notifier) -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            counters,
            notifier,
        }
    }

    /// Returns the queue of reports.
    pub(super) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// The driver has begun.
    pub(super) fn begin(&self) {
        self.change(WmtStatus::Locating, StatusDetails::default(), |state| {
            let new = matches!(state.stage, Stage::New);
            new.then(|| state.stage = Stage::Opening { connecting: false })
        });
    }

    /// The addresses of the server are known. Reported once, and before the first PushSetup only.
    pub(super) fn connecting(&self) {
        self.change(
            WmtStatus::Connecting,
            StatusDetails::default(),
            |state| match &mut state.stage {
                Stage::Opening { connecting } if !*connecting => {
                    *connecting = true;
                    Some(())
                }
                _ => None,
            },
        );
    }

    /// PushSetup has succeeded or, with `resumed`, a parked session continues. Reported once.
    pub(super) fn opened(&self, resumed: bool) {
        let details = StatusDetails {
            resumed,
            ..StatusDetails::default()
        };
        self.change(WmtStatus::Opened, details, |state| {
            if state.stage.is_over() || std::mem::replace(&mut state.opened, true) {
                return None;
            }
            if matches!(state.stage, Stage::Opening { .. }) {
                state.stage = Stage::Open(StreamProgress {
                    streaming: resumed,
                    ending: false,
                });
            }
            Some(())
        });
    }

    /// `$H` was sent. Reported once.
    pub(super) fn started(&self) {
        self.change(WmtStatus::Started, StatusDetails::default(), |state| {
            let progress = state.stage.progress_mut()?;
            (!std::mem::replace(&mut progress.streaming, true)).then_some(())
        });
    }

    /// Announces the end of the stream. Everything has to be sent within `timeout`. Returns false if the push is over.
    pub(super) fn announce_end(&self, timeout: Duration) -> bool {
        let at = Instant::now() + timeout.min(NO_LIMIT);
        let mut alive = false;
        self.state.send_if_modified(|state| {
            alive = !state.stage.is_over();
            let first = alive && state.end.is_none();
            if first {
                state.end = Some(Deadline { at, timeout });
            }
            first
        });
        alive
    }

    /// The stream is ending, after its announcement. Reported once, and only if content was sent.
    pub(super) fn ending(&self) {
        self.change(
            WmtStatus::EndOfStreaming,
            StatusDetails::default(),
            |state| {
                state.end?;
                let progress = state.stage.progress_mut()?;
                (progress.streaming && !std::mem::replace(&mut progress.ending, true)).then_some(())
            },
        );
    }

    /// The connection was lost or could not be made. The next attempt follows after `retry_in`, and not before there is
    /// data if it `awaits_data`.
    pub(super) fn lost(
        &self,
        failure: Failure,
        attempt: u32,
        retry_in: Duration,
        awaits_data: bool,
    ) {
        let failure = Arc::new(failure);
        let details = StatusDetails {
            failure: Some(failure.clone()),
            attempt,
            retry_in,
            awaits_data,
            resumed: false,
        };
        self.change(WmtStatus::ReconnectStart, details, |state| {
            if state.stage.is_over() {
                return None;
            }
            state.last_loss = Some(failure);
            state.stage = Stage::Reconnecting {
                attempt,
                retry_at: Instant::now() + retry_in,
                progress: state.stage.progress_mut().copied().unwrap_or_default(),
            };
            Some(())
        });
    }

    /// The connection stands again.
    pub(super) fn recovered(&self, attempt: u32, resumed: bool) {
        let details = StatusDetails {
            attempt,
            resumed,
            ..StatusDetails::default()
        };
        self.change(WmtStatus::ReconnectEnd, details, |state| {
            let Stage::Reconnecting { progress, .. } = state.stage else {
                return None;
            };
            state.stage = Stage::Open(progress);
            Some(())
        });
    }

    /// The push has failed. Only the first failure counts.
    pub(super) fn fail(&self, failure: Failure) {
        let failure = Arc::new(failure);
        let status = if self.state.borrow().opened {
            WmtStatus::Error
        } else {
            WmtStatus::Opened
        };
        let details = StatusDetails {
            failure: Some(failure.clone()),
            ..StatusDetails::default()
        };
        self.finish(status, details, Outcome::Failed(failure));
    }

    /// The stream has ended, and the connection is closed.
    pub(super) fn ended(&self) {
        self.state.send_if_modified(|state| {
            let alive = !state.stage.is_over();
            if alive {
                let before = state.stage.session_state();
                state.stage = Stage::Over(Outcome::Ended);
                self.report(WmtStatus::Stopped, StatusDetails::default(), before, state);
                let before = state.stage.session_state();
                self.report(WmtStatus::Closed, StatusDetails::default(), before, state);
            }
            alive
        });
    }

    /// The end could not be sent within its timeout.
    pub(super) fn undrained(&self, failure: Failure) {
        let details = StatusDetails {
            failure: Some(Arc::new(failure)),
            ..StatusDetails::default()
        };
        self.finish(WmtStatus::Closed, details, Outcome::Undrained);
    }

    /// The application disconnects. Returns false if the push was over before.
    pub(super) fn disconnect(&self) -> bool {
        self.finish(
            WmtStatus::Closed,
            StatusDetails::default(),
            Outcome::Disconnected,
        )
    }

    fn finish(&self, status: WmtStatus, details: StatusDetails, outcome: Outcome) -> bool {
        self.change(status, details, |state| {
            (!state.stage.is_over()).then(|| state.stage = Stage::Over(outcome))
        })
    }

    /// Makes a transition, and queues the report of it. `transition` returns `None` if it changes nothing.
    fn change(
        &self,
        status: WmtStatus,
        details: StatusDetails,
        transition: impl FnOnce(&mut State) -> Option<()>,
    ) -> bool {
        self.state.send_if_modified(|state| {
            let before = state.stage.session_state();
            let changed = transition(state).is_some();
            if changed {
                self.report(status, details, before, state);
            }
            changed
        })
    }

    /// Queues a report. Called under the lock, so that reports have the order of the transitions.
    fn report(
        &self,
        status: WmtStatus,
        details: StatusDetails,
        previous_state: SessionState,
        state: &State,
    ) {
        self.notifier.queue(Report::Status(Status {
            status,
            state: state.stage.session_state(),
            previous_state,
            failure: details.failure,
            attempt: details.attempt,
            retry_in: details.retry_in,
            awaits_data: details.awaits_data,
            resumed: details.resumed,
            packets_dropped: self.counters.packets_dropped(),
        }));
    }

    /// Interrupts blocked callers until it is called with `false`.
    pub(super) fn interrupt(&self, interrupted: bool) {
        self.state
            .send_modify(|state| state.interrupted = interrupted);
    }

    /// Returns whether callers are interrupted.
    pub(super) fn is_interrupted(&self) -> bool {
        self.state.borrow().interrupted
    }

    /// Returns the session state.
    pub(super) fn session_state(&self) -> SessionState {
        self.state.borrow().stage.session_state()
    }

    /// Returns whether the push is not over.
    pub(super) fn is_alive(&self) -> bool {
        !self.state.borrow().stage.is_over()
    }

    /// Returns whether the push is over without a failure.
    pub(super) fn has_ended(&self) -> bool {
        match &self.state.borrow().stage {
            Stage::Over(outcome) => !matches!(outcome, Outcome::Failed(_)),
            _ => false,
        }
    }

    /// Returns whether the application disconnected.
    pub(super) fn was_disconnected(&self) -> bool {
        matches!(
            self.state.borrow().stage,
            Stage::Over(Outcome::Disconnected)
        )
    }

    /// Returns whether PushSetup has succeeded.
    pub(super) fn was_opened(&self) -> bool {
        self.state.borrow().opened
    }

    /// Returns whether the connection was lost and no other one stands.
    pub(super) fn is_reconnecting(&self) -> bool {
        matches!(self.state.borrow().stage, Stage::Reconnecting { .. })
    }

    /// Returns the failure of a failed push.
    pub(super) fn failure(&self) -> Option<Arc<Failure>> {
        match &self.state.borrow().stage {
            Stage::Over(Outcome::Failed(failure)) => Some(failure.clone()),
            _ => None,
        }
    }

    /// Returns the state of reconnecting, and the last loss.
    pub(super) fn retry(&self) -> Retry {
        let state = self.state.borrow();
        let (attempt, retry_in) = match state.stage {
            Stage::Reconnecting {
                attempt, retry_at, ..
            } => (attempt, retry_at.saturating_duration_since(Instant::now())),
            _ => (0, Duration::ZERO),
        };
        Retry {
            attempt,
            retry_in,
            last_loss: state.last_loss.clone(),
        }
    }

    /// Checks whether the writer may hand over more content.
    ///
    /// # Errors
    ///
    /// [`Stop`]
    pub(super) fn check_writer(&self) -> Result<(), Stop> {
        let state = self.state.borrow();
        match (
            state.stage.is_over() || state.end.is_some(),
            state.interrupted,
        ) {
            (true, _) => Err(Stop::Closed),
            (false, true) => Err(Stop::Interrupted),
            (false, false) => Ok(()),
        }
    }

    /// Waits until the push is over.
    pub(super) async fn over(&self) {
        self.wait_for(|state| state.stage.is_over()).await;
    }

    /// Waits until the push is over, or a blocked caller is interrupted.
    pub(super) async fn over_or_interrupted(&self) {
        self.wait_for(|state| state.stage.is_over() || state.interrupted)
            .await;
    }

    /// With `takes`, waits until the connection stands and no end is announced. Otherwise waits until one of these no
    /// longer holds.
    pub(super) async fn takes_data(&self, takes: bool) {
        let takes_data =
            |state: &State| matches!(state.stage, Stage::Open(_)) && state.end.is_none();
        self.wait_for(|state| takes_data(state) == takes).await;
    }

    /// Waits until the timeout of the announced end has passed, and returns that timeout.
    pub(super) async fn drain_timeout(&self) -> Duration {
        let mut receiver = self.state.subscribe();
        loop {
            let end = receiver.borrow_and_update().end;
            match end {
                Some(Deadline { at, timeout }) => {
                    tokio::time::sleep_until(at).await;
                    return timeout;
                }
                // Cannot fail: the sender is in `self`.
                None => drop(receiver.changed().await),
            }
        }
    }

    async fn wait_for(&self, condition: impl FnMut(&State) -> bool) {
        // Cannot fail: the sender is in `self`.
        let _ = self.state.subscribe().wait_for(condition).await;
    }
}
