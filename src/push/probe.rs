// SPDX-License-Identifier: MPL-2.0

//! A test of a publishing point up to PushSetup, without a push.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::instrument::WithSubscriber;

use super::answer;
use super::connector::TcpConnector;
use super::driver;
use super::notifier::Notifier;
use super::shared::Shared;
use super::stats::PushCounters;
use super::{Circumstances, Error, Failure, Phase, Settings, Stats, StatusCallback, runtime};
use crate::wmhttp::SetupBody;

/// Facts that a server reveals in its response to PushSetup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Value of the Server field.
    pub server: String,
    /// Name of the authentication scheme that the server accepted, as in HTTP; empty: it demanded none.
    pub authentication: &'static str,
    /// Round-trip time of the connection; zero where the kernel does not report it.
    pub round_trip_time: Duration,
}

impl Probe {
    /// Returns the facts that a connected push has in its statistics.
    pub fn of(stats: &Stats) -> Self {
        Self {
            server: stats.server.clone(),
            authentication: stats.authentication,
            round_trip_time: stats.round_trip_time,
        }
    }
}

/// Resolves, connects, authenticates, sends PushSetup, and closes the connection.
///
/// The PushSetup has no body, because with AutoDestroy a server would remove the publishing point when the probe
/// disconnects.
///
/// Blocks for at most twice [`Settings::timeout`]. The callback provides credentials and receives the phases.
///
/// # Errors
///
/// The failure that a push would end with, or [`Error::ResponseTimeout`] after twice the timeout.
pub fn probe(mut settings: Settings, callback: impl StatusCallback) -> Result<Probe, Failure> {
    let no_system =
        |error: std::io::Error| Failure::new(Phase::Resolve, Error::NoResources(error.to_string()));
    settings.session.setup = SetupBody::default();
    let runtime = runtime::handle().map_err(no_system)?;
    let timeout = settings.timeout.saturating_mul(2);
    let counters = Arc::<PushCounters>::default();
    let notifier = Notifier::new(callback, None);
    let shared = Arc::new(Shared::new(settings.limits, counters, notifier));
    let (sender, milestones) = mpsc::unbounded_channel();
    let circumstances = Box::new(Circumstances::of(&settings));
    let connector = TcpConnector::new(&settings, sender);
    let (sender, receiver) = answer::channel();
    let probing = driver::probe(settings, shared.clone(), connector, milestones);
    let probing = async move { sender.send(probing.await) };
    let task = runtime.spawn(probing.with_current_subscriber());
    match receiver.wait_for(timeout) {
        Some(outcome) => outcome,
        None => {
            task.abort();
            Err(Failure {
                phase: Phase::Setup,
                error: Error::ResponseTimeout(timeout),
                circumstances,
            })
        }
    }
}
