// SPDX-License-Identifier: MPL-2.0

//! The states of a push.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::push::{Failure, SessionState};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) stage: Stage,
    /// PushSetup has succeeded.
    pub(super) opened: bool,
    /// The announced end of the stream.
    pub(super) end: Option<Deadline>,
    /// Blocked callers return at once.
    pub(super) interrupted: bool,
    /// The failure that ended the current or the last connection.
    pub(super) last_loss: Option<Arc<Failure>>,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Stage {
    /// The driver has not begun.
    #[default]
    New,
    /// The first PushSetup has not succeeded yet.
    Opening { connecting: bool },
    /// The connection stands.
    Open(StreamProgress),
    /// The connection was lost.
    Reconnecting {
        attempt: u32,
        retry_at: Instant,
        progress: StreamProgress,
    },
    /// The push is over.
    Over(Outcome),
}

/// The parts of the stream that were sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StreamProgress {
    /// Content was sent.
    pub(super) streaming: bool,
    /// The end of the stream was announced after content was sent.
    pub(super) ending: bool,
}

/// The result of a push.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// The server has acknowledged the whole stream, as far as the kernel reports that.
    Ended,
    /// The application disconnected.
    Disconnected,
    /// The application ended the stream, and the rest was not sent within its timeout.
    Undrained,
    /// The push has failed.
    Failed(Arc<Failure>),
}

/// The time by which everything has to be sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::push) struct Deadline {
    /// The time.
    pub(in crate::push) at: Instant,
    /// The timeout that the announcement gave.
    pub(in crate::push) timeout: Duration,
}

/// The reason for which a writer must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::push) enum Stop {
    /// The push is over, or its end was announced.
    Closed,
    /// The application interrupted its writer.
    Interrupted,
}

/// The state of reconnecting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::push) struct Retry {
    /// Number of the attempt to reconnect, from 1; 0: none.
    pub(in crate::push) attempt: u32,
    /// Time until the attempt.
    pub(in crate::push) retry_in: Duration,
    /// The failure that ended the current or the last connection.
    pub(in crate::push) last_loss: Option<Arc<Failure>>,
}

impl Stage {
    pub(super) fn session_state(&self) -> SessionState {
        match self {
            Self::New => SessionState::Disconnected,
            Self::Opening { .. } => SessionState::Connecting,
            Self::Open(progress) if progress.ending => SessionState::Ending,
            Self::Open(progress) if progress.streaming => SessionState::Streaming,
            Self::Open(_) => SessionState::Connected,
            Self::Reconnecting { .. } => SessionState::Reconnecting,
            Self::Over(Outcome::Ended) => SessionState::Ended,
            Self::Over(Outcome::Disconnected | Outcome::Undrained) => SessionState::Disconnected,
            Self::Over(Outcome::Failed(_)) => SessionState::Failed,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over(_))
    }

    /// Returns the progress of the stream in the states that have one.
    pub(super) fn progress_mut(&mut self) -> Option<&mut StreamProgress> {
        match self {
            Self::Open(progress) => Some(progress),
            Self::Reconnecting { progress, .. } => Some(progress),
            _ => None,
        }
    }
}
