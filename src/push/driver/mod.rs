// SPDX-License-Identifier: MPL-2.0

//! The task that runs one connection: it moves things between the queue, the session and the transport.

mod closing;
mod events;
mod flow;
mod recovery;
mod sending;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod waits;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument;

use super::client::{Client, Connector};
use super::entropy::SystemEntropy;
use super::exchange::{Exchange, Progress};
use super::kept::Kept;
use super::ledger::Ledger;
use super::queue::Content;
use super::shared::Shared;
use super::{Error, Failure, Phase, Probe, SessionState, Settings, WmtStatus};
use flow::Flow;
use recovery::{Recovered, Recovery};

use crate::asf::{FileHeader, KeyFrames};
use crate::auth::{Credentials, Role, Scheme, StepResult};
use crate::wmhttp::PushSession;

/// Runs one push session to its end and reports how it went. `last` is a connection whose session it may take up.
pub(super) async fn drive(
    settings: Settings,
    shared: Arc<Shared>,
    last: Option<Arc<Shared>>,
    connector: impl Connector,
    resolved: mpsc::UnboundedReceiver<()>,
) {
    let config = settings.session.clone();
    let earliest_failure = Instant::now() + settings.earliest_failure;
    let mut driver = Driver::new(settings, shared.clone(), connector, resolved);
    let outcome = tokio::select! {
        biased;
        () = shared.disconnected() => Outcome::Disconnected,
        timeout = shared.drain_timeout() => Outcome::NotDrained(timeout),
        outcome = async {
            let outcome = driver.run(last).await;
            if outcome.is_err() {
                sleep_until(earliest_failure).await;
            }
            outcome
        } => match outcome {
            Ok(()) => Outcome::Ended,
            Err(failure) => Outcome::Failed(failure),
        },
    };
    driver.take_acknowledgements();
    // The connection closes here, before anybody is told that it is closed.
    let (session, header) = driver.into_session();
    // What authenticates goes as well: a program may end as soon as it is told, and its libraries with it.
    let kept = match outcome {
        Outcome::Disconnected => Kept::new(session, config, header),
        _ => {
            drop(session);
            None
        }
    };
    match outcome {
        Outcome::Disconnected => tracing::info!("Disconnected"),
        Outcome::NotDrained(timeout) => shared.not_drained(timeout),
        Outcome::Ended => {
            tracing::info!("Session ended");
            let reporter = &shared.reporter;
            reporter.status(WmtStatus::Stopped, SessionState::Ended);
            reporter.close(Some(SessionState::Ended), None);
        }
        Outcome::Failed(failure) => shared.fail(failure),
    }
    shared.finish(kept);
}

/// Runs one push session until PushSetup has succeeded, and leaves it.
pub(super) async fn probe(
    settings: Settings,
    shared: Arc<Shared>,
    connector: impl Connector,
    resolved: mpsc::UnboundedReceiver<()>,
) -> Result<Probe, Failure> {
    let mut driver = Driver::new(settings, shared.clone(), connector, resolved);
    driver.begin(None).await;
    while !shared.was_opened() {
        driver.step().await.map_err(|error| driver.failure(error))?;
    }
    let scheme = driver.session.authentication();
    Ok(Probe {
        server: shared.counters.stats().server,
        authentication: scheme.map_or("", Scheme::as_str),
        round_trip_time: driver
            .client
            .exchange()
            .and_then(Exchange::round_trip_time)
            .unwrap_or_default(),
    })
}

/// How a push is over.
enum Outcome {
    /// Its owner has left it.
    Disconnected,
    /// `$E` is on the wire.
    Ended,
    /// What was left did not go out in this time.
    NotDrained(Duration),
    Failed(Failure),
}

struct Driver<C: Connector> {
    settings: Settings,
    shared: Arc<Shared>,
    client: Client<C>,
    resolved: mpsc::UnboundedReceiver<()>,
    phase: Phase,
    session: PushSession,
    /// Something that takes its time on a thread that may block.
    asked: Option<JoinHandle<Asked>>,
    /// It was told that the server is being connected to.
    connecting_told: bool,
    /// It was told that content is sent.
    started: bool,
    /// Content that the session has not taken yet.
    held: Option<Held>,
    ledger: Ledger,
    recovery: Recovery,
    flow: Flow,
    entry: Entry,
    /// When the response has to be there.
    response_due: Option<Instant>,
    /// When the system is asked next what has arrived.
    acknowledgement_due: Instant,
    /// Bytes of the current body acknowledged and written, and when one of them last rose.
    delivered: (u64, u64),
    delivered_at: Instant,
}

/// Content in front of the session.
struct Held {
    content: Content,
    /// It was sent before.
    again: bool,
}

/// What comes back from a thread that may block.
enum Asked {
    Credentials(Role, Option<Credentials>),
    Computed(Role, StepResult),
}

/// The playlist entry that is being sent.
#[derive(Default)]
struct Entry {
    header: Option<FileHeader>,
    key_frames: KeyFrames,
    /// A new session has begun in the middle of it: data is of no use before the next key frame.
    awaits_key_frame: bool,
}

impl Entry {
    fn of(header: &FileHeader) -> Self {
        Self {
            header: Some(header.clone()),
            key_frames: KeyFrames::of(header),
            awaits_key_frame: false,
        }
    }

    /// Whether `content` is of no use.
    fn skips(&mut self, content: &Content) -> bool {
        match content {
            Content::DataUnit(packet) => {
                self.awaits_key_frame &= !self.key_frames.begins_in(packet);
                self.awaits_key_frame
            }
            Content::Header(_) | Content::EndOfStream(_) => false,
        }
    }
}

impl<C: Connector> Driver<C> {
    fn new(
        settings: Settings,
        shared: Arc<Shared>,
        connector: C,
        resolved: mpsc::UnboundedReceiver<()>,
    ) -> Self {
        Self {
            session: PushSession::new(settings.session.clone(), SystemEntropy),
            settings,
            shared,
            client: Client::new(connector),
            resolved,
            phase: Phase::Resolve,
            asked: None,
            connecting_told: false,
            started: false,
            held: None,
            ledger: Ledger::default(),
            recovery: Recovery::default(),
            flow: Flow::new(),
            entry: Entry::default(),
            response_due: None,
            acknowledgement_due: Instant::now(),
            delivered: (0, 0),
            delivered_at: Instant::now(),
        }
    }

    /// Closes the connection. What is left is the session, and the last header that was sent in it.
    fn into_session(self) -> (PushSession, Option<FileHeader>) {
        let header = self.entry.header.or_else(|| self.ledger.header().cloned());
        (self.session, header)
    }

    /// Ends when `$E` is on the wire and the connection may be closed, or cannot be made any more.
    async fn run(&mut self, last: Option<Arc<Shared>>) -> Result<(), Failure> {
        self.begin(last).await;
        let mut number = 0u64;
        loop {
            number += 1;
            let span = tracing::debug_span!("connection", number);
            match self.run_connection().instrument(span).await {
                Ok(()) => {
                    // The stream may have been over before the server had its time to refuse it.
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

    /// Ends when `$E` is on the wire and the connection may be closed.
    async fn run_connection(&mut self) -> Result<(), Error> {
        while !self.step().await? {}
        Ok(())
    }

    /// TRUE when the connection may be closed.
    async fn step(&mut self) -> Result<bool, Error> {
        let mut over = false;
        if let Some(last) = self.send_waiting()? {
            over = self.close(last).await?;
        } else {
            self.turn().await?;
        }
        // What goes again stands before what is held.
        self.report_events()?;
        let exchange = self.client.exchange();
        let exchange = exchange.filter(|exchange| exchange.is_push_start());
        let written = exchange.map(Exchange::written);
        self.shared
            .counters
            .update(self.session.counters(), written);
        Ok(over)
    }

    /// Waits for whatever comes next and takes it in.
    async fn turn(&mut self) -> Result<(), Error> {
        let due = self.due();
        let takes_content = self.takes_content();
        let room = self.is_full().then(|| self.most_in_exchange() / 2);
        tokio::select! {
            biased;
            Some(()) = self.resolved.recv() => self.handle_resolved(),
            progress = progress(&mut self.client, room) => return self.handle_progress(progress),
            asked = answer(&mut self.asked) => return self.handle_asked(asked),
            () = self.shared.queue.filled(self.flow.portion()), if takes_content => self.take_content(),
            () = sleep(Flow::PATIENCE), if takes_content && self.flow.is_flood() => self.ebb(),
            () = expiry(due) => return self.handle_expiry(),
            () = expiry(self.recovery.probation()) => self.end_probation(),
            () = sleep_until(self.acknowledgement_due), if self.ledger.awaits_acknowledgement() => {
                self.take_acknowledgements();
                // Nothing has come that would have asked before.
                self.free();
            }
        }
        Ok(())
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase == phase && phase != Phase::Resolve {
            return;
        }
        self.phase = phase;
        self.shared.reporter.phase(phase);
    }
}

/// The progress of the request under way, or `None` when at most `room` bytes of it wait; for ever when there is none.
async fn progress<C: Connector>(
    client: &mut Client<C>,
    room: Option<usize>,
) -> Result<Option<Progress>, Error> {
    match client.exchange_mut() {
        Some(exchange) => exchange.progress_or_room(room).await,
        None => pending().await,
    }
}

/// What was asked on another thread; for ever when nothing was. `None`: that thread has failed.
async fn answer(asked: &mut Option<JoinHandle<Asked>>) -> Option<Asked> {
    match asked {
        Some(asked) => asked.await.ok(),
        None => pending().await,
    }
}

async fn expiry(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
