// SPDX-License-Identifier: MPL-2.0

//! The driver: the task that runs one push. It moves content between the queue, the session and the exchange, and asks
//! the policy what to do after a loss.

mod batching;
mod closing;
mod events;
mod lateness;
mod recovery;
mod sending;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod waits;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument;

use super::blocking;
use super::client::{Client, Connector};
use super::connector::Milestone;
use super::entropy::SystemEntropy;
use super::exchange::Progress;
use super::lifecycle::Lifecycle;
use super::parked::ParkedSession;
use super::queue::{Content, Queue};
use super::reconnect::{Policy, Reconnect};
use super::replay::ReplayBuffer;
use super::shared::Shared;
use super::{Error, Failure, Phase, Probe, Settings};
use batching::Batching;
use recovery::Recovered;
use waits::AckTracker;

use crate::asf::{FileHeader, KeyFrameGate};
use crate::auth::{Credentials, Role, StepResult};
use crate::wmhttp::PushSession;

/// Minimum interval between two reports of dropped packets.
const DROPS_INTERVAL: Duration = Duration::from_secs(10);

/// The task of another driver, which returns the session that it parked.
pub(super) type Parked = JoinHandle<Option<ParkedSession>>;

/// Runs one push to its end and reports its progress. `last` may return a session to resume. Returns the session if the
/// application has disconnected.
pub(super) async fn drive(
    settings: Settings,
    shared: Arc<Shared>,
    last: Option<Parked>,
    connector: impl Connector,
    milestones: mpsc::UnboundedReceiver<Milestone>,
) -> Option<ParkedSession> {
    let config = settings.session.clone();
    let earliest_failure = Instant::now() + settings.earliest_failure;
    let mut driver = Driver::new(settings, shared.clone(), connector, milestones);
    let outcome = tokio::select! {
        biased;
        () = shared.lifecycle.over() => Outcome::Over,
        timeout = shared.lifecycle.drain_timeout() => driver.undrained(timeout),
        never = report_drops(&shared) => match never {},
        never = lateness::report_lateness(&shared) => match never {},
        outcome = driver.run_to_end(last, earliest_failure) => outcome,
    };
    driver.count_undelivered(&outcome);
    // Closes the connection before that is reported.
    let (session, header) = driver.into_session();
    let parked = shared.lifecycle.was_disconnected().then_some(session);
    // Drops the authenticators as well: a program may end, and unload its libraries, as soon as the end is reported.
    let parked = parked.and_then(|session| ParkedSession::new(session, config, header));
    shared.counters.closed();
    if shared.lifecycle.is_alive() {
        shared.report_drops();
    }
    outcome.report(&shared.lifecycle);
    shared.wake_writer();
    shared.lifecycle.notifier().spawn();
    parked
}

/// Runs one push session until PushSetup has succeeded, and closes the connection.
pub(super) async fn probe(
    settings: Settings,
    shared: Arc<Shared>,
    connector: impl Connector,
    milestones: mpsc::UnboundedReceiver<Milestone>,
) -> Result<Probe, Failure> {
    let mut driver = Driver::new(settings, shared.clone(), connector, milestones);
    driver.begin(None).await;
    while !shared.lifecycle.was_opened() {
        driver.step().await.map_err(|error| driver.failure(error))?;
    }
    Ok(Probe {
        round_trip_time: driver.client.round_trip_time().unwrap_or_default(),
        ..Probe::of(&shared.counters.stats())
    })
}

/// Reports dropped packets: at once, then at most every [`DROPS_INTERVAL`].
async fn report_drops(shared: &Shared) -> std::convert::Infallible {
    loop {
        shared.counters.unreported_drops().await;
        shared.report_drops();
        sleep(DROPS_INTERVAL).await;
    }
}

/// The result of a push.
enum Outcome {
    /// The lifecycle is over: the application disconnected, or failed the push because of its input.
    Over,
    /// `$E` was sent.
    Ended,
    /// The end of the stream was not sent within its timeout.
    Undrained(Failure),
    Failed(Failure),
}

impl Outcome {
    fn report(self, lifecycle: &Lifecycle) {
        match self {
            Self::Over => tracing::info!("Disconnected"),
            Self::Ended => {
                tracing::info!("Session ended");
                lifecycle.ended();
            }
            Self::Undrained(failure) => {
                tracing::info!("Push ended incomplete: {failure}");
                lifecycle.undrained(failure);
            }
            Self::Failed(failure) => {
                tracing::info!(phase = failure.phase.name(), "Push failed: {failure}");
                lifecycle.fail(failure);
            }
        }
    }
}

struct Driver<C: Connector> {
    settings: Settings,
    shared: Arc<Shared>,
    client: Client<C>,
    milestones: mpsc::UnboundedReceiver<Milestone>,
    phase: Phase,
    session: PushSession,
    /// A blocking task under way.
    blocking: Option<blocking::Task<BlockingTask>>,
    /// Content taken from the queue that the session has not accepted yet.
    taken: VecDeque<Content>,
    replay: ReplayBuffer,
    policy: Reconnect,
    batching: Batching,
    entry: Entry,
    acks: AckTracker,
    /// The time by which the response has to be received.
    response_due: Option<Instant>,
    /// The time of the last successful PushSetup.
    configured: Option<Instant>,
    /// The peer acknowledged the end of the stream and then ended the connection; the end was sent again.
    end_repeated: bool,
}

/// The result of a blocking task.
enum BlockingTask {
    Credentials(Role, Option<Credentials>),
    Computed(Role, StepResult),
}

/// The playlist entry that is being sent.
#[derive(Default)]
struct Entry {
    header: Option<FileHeader>,
    /// Closed while packets in front of the key frame of a new session are dropped.
    gate: KeyFrameGate,
}

impl Entry {
    fn of(header: &FileHeader) -> Self {
        Self {
            header: Some(header.clone()),
            gate: KeyFrameGate::of(header),
        }
    }
}

impl<C: Connector> Driver<C> {
    fn new(
        settings: Settings,
        shared: Arc<Shared>,
        connector: C,
        milestones: mpsc::UnboundedReceiver<Milestone>,
    ) -> Self {
        let policy = Policy {
            timeout: settings.reconnect_timeout,
            retry_first: settings.retry_first_connect,
            resume: settings.resume,
            proxied: settings.session.access.proxy.is_some(),
        };
        Self {
            session: PushSession::new(settings.session.clone(), SystemEntropy),
            replay: ReplayBuffer::new(settings.limits.bytes),
            policy: Reconnect::new(policy),
            settings,
            shared,
            client: Client::new(connector),
            milestones,
            phase: Phase::Resolve,
            blocking: None,
            taken: VecDeque::new(),
            batching: Batching::new(),
            entry: Entry::default(),
            acks: AckTracker::new(),
            response_due: None,
            configured: None,
            end_repeated: false,
        }
    }

    /// Closes the connection, and returns the session and the last header that was sent in it.
    fn into_session(self) -> (PushSession, Option<FileHeader>) {
        let header = self.entry.header.or_else(|| self.replay.header().cloned());
        (self.session, header)
    }

    /// Runs the push to its end. A failure is returned after `earliest_failure`.
    async fn run_to_end(&mut self, last: Option<Parked>, earliest_failure: Instant) -> Outcome {
        match self.run(last).await {
            Ok(()) => Outcome::Ended,
            Err(failure) => {
                sleep_until(earliest_failure).await;
                Outcome::Failed(failure)
            }
        }
    }

    /// Runs connections until `$E` was sent and the connection may be closed, or until the push fails.
    async fn run(&mut self, last: Option<Parked>) -> Result<(), Failure> {
        self.begin(last).await;
        let mut number = 0u64;
        loop {
            number += 1;
            let span = tracing::debug_span!("connection", number);
            match self.run_connection().instrument(span).await {
                Ok(()) => {
                    // A short stream ends before the server's time to refuse it has passed.
                    self.end_recovery();
                    return Ok(());
                }
                Err(error) => {
                    if self.recover(error).await? == Recovered::Over {
                        self.end_recovery();
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Runs one connection until `$E` was sent and it may be closed.
    async fn run_connection(&mut self) -> Result<(), Error> {
        while !self.step().await? {}
        Ok(())
    }

    /// Makes one step. Returns true when the connection may be closed.
    async fn step(&mut self) -> Result<bool, Error> {
        let mut over = false;
        let last = self.send_waiting()?;
        self.shared.queue.put_back(&mut self.taken);
        self.shared.lifecycle.notifier().spawn();
        match last {
            Some(last) => over = self.close(last).await?,
            None => self.handle_next().await?,
        }
        // An event may schedule content to be sent again, which precedes new content.
        self.report_events()?;
        self.shared
            .counters
            .update(self.session.counters(), self.client.body_written());
        Ok(over)
    }

    /// Waits for the next event and handles it.
    async fn handle_next(&mut self) -> Result<(), Error> {
        let due = self.due();
        let takes_content = self.takes_content();
        let room = self.is_full().then(|| self.most_in_exchange() / 2);
        tokio::select! {
            biased;
            Some(milestone) = self.milestones.recv() => self.handle_milestone(milestone),
            progress = progress(&mut self.client, room) => return self.handle_progress(progress),
            result = result(&mut self.blocking) => return self.handle_blocking(result),
            () = self.shared.queue.filled(self.batching.batch()), if takes_content => self.take_content(),
            () = sleep(Batching::LONGEST_WAIT), if takes_content && self.batching.is_flood() => self.take_incomplete_batch(),
            () = expiry(due) => return self.handle_expiry(),
            () = expiry(self.policy.probation()) => self.end_probation(),
            () = acknowledgements(&self.shared.queue, self.acks.due), if self.replay.awaits_acknowledgement() => {
                self.poll_acknowledgements();
            }
        }
        Ok(())
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase == phase && phase != Phase::Resolve {
            return;
        }
        self.phase = phase;
        self.shared.report_phase(phase);
    }

    /// Counts the content that the peer never gets. A report includes it if the outcome is not a failure.
    fn count_undelivered(&mut self, outcome: &Outcome) {
        self.take_acknowledgements();
        self.shared
            .counters
            .update(self.session.counters(), self.client.body_written());
        let shared = &self.shared;
        shared.queue.put_back(&mut self.taken);
        let (dropped, lost) = (shared.queue.clear(), self.replay.give_up());
        let reported = matches!(outcome, Outcome::Ended | Outcome::Undrained(_));
        shared.counters.settle(dropped, lost, reported);
    }
}

/// Waits for progress of the request under way; `None` when at most `room` bytes of it wait. Waits forever without a
/// request.
async fn progress<C: Connector>(
    client: &mut Client<C>,
    room: Option<usize>,
) -> Result<Option<Progress>, Error> {
    match client.exchange_mut() {
        Some(exchange) => exchange.progress_or_room(room).await,
        None => pending().await,
    }
}

/// Waits until the kernel is to be queried for acknowledgements: at `due`, or as soon as the writer is blocked by a lack of
/// them.
async fn acknowledgements(queue: &Queue, due: Instant) {
    tokio::select! {
        () = queue.blocked() => {}
        () = sleep_until(due) => {}
    }
}

/// Waits for the result of the blocking task; `None` if its thread panicked. Waits forever without a task.
async fn result(task: &mut Option<blocking::Task<BlockingTask>>) -> Option<BlockingTask> {
    match task {
        Some(task) => task.await,
        None => pending().await,
    }
}

async fn expiry(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
