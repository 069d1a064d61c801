// SPDX-License-Identifier: MPL-2.0

//! The task that runs one connection: it moves things between the queue, the session and the transport.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};

use super::entropy::SystemEntropy;
use super::http::notify_when_written;
use super::queue::Content;
use super::repeats::Repeats;
use super::shared::Shared;
use super::transport::{Exchange, Progress, Transport};
use super::{Error, Failure, Phase, SessionState, Settings, WmtStatus};
use crate::auth::{Credentials, Role, StepResult};
use crate::wmhttp::{self, Body, CredentialsWanted, Event, Offer, PushSession, Response, Transmit};

/// How long a server may take to refuse what it has got before the end: a short stream is over before its answer is
/// there.
const FAREWELL: Duration = Duration::from_millis(250);

/// How often the system is asked what is on its way: nothing tells when that has arrived.
const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(10);

/// Runs one push session to its end and reports how it went.
pub(super) async fn drive(
    settings: Settings,
    shared: Arc<Shared>,
    transport: impl Transport,
    progress: mpsc::UnboundedReceiver<Progress>,
) {
    let mut driver = Driver::new(settings, shared.clone(), transport, progress);
    let outcome = tokio::select! {
        biased;
        () = shared.disconnected() => None,
        outcome = driver.run() => Some(outcome),
    };
    driver.take_progress();
    let proxied = driver.settings.session.access.proxy.is_some();
    let phase = driver.phase;
    // The connection closes here, before anybody is told that it is closed.
    drop(driver);
    match outcome {
        None => tracing::info!("Disconnected"),
        Some(Ok(())) => {
            tracing::info!("Session ended");
            shared
                .reporter
                .status(WmtStatus::Stopped, SessionState::Ended);
            shared.reporter.close(Some(SessionState::Ended));
        }
        Some(Err(error)) => shared.fail(failure(phase, proxied, error)),
    }
    shared.finish();
}

/// A failure in the phase that it belongs to: where there is a proxy, it is the proxy that is connected to.
fn failure(phase: Phase, proxied: bool, error: Error) -> Failure {
    let phase = match (&error, phase) {
        (Error::Tls(_), _) => Phase::Tls,
        (Error::Protocol(wmhttp::Error::Refused { status, .. }), _)
        | (Error::Protocol(wmhttp::Error::Denied { status, .. }), _)
            if *status == StatusCode::PROXY_AUTHENTICATION_REQUIRED =>
        {
            Phase::Proxy
        }
        (_, Phase::Resolve | Phase::Connect) if proxied => Phase::Proxy,
        (_, phase) => phase,
    };
    Failure { phase, error }
}

struct Driver<T> {
    settings: Settings,
    shared: Arc<Shared>,
    transport: T,
    progress: mpsc::UnboundedReceiver<Progress>,
    phase: Phase,
    session: PushSession,
    /// The request on its way.
    exchange: Option<Exchange>,
    /// Something that takes its time on a thread that may block.
    asked: Option<JoinHandle<Asked>>,
    /// Content that the session has not taken yet.
    held: Option<Content>,
    repeats: Repeats,
    /// A body chunk that the transport has not taken yet, and since when.
    outgoing: Option<(Bytes, Instant)>,
    /// When the response has to be there.
    response_due: Option<Instant>,
}

/// What comes back from a thread that may block.
enum Asked {
    Credentials(Role, Option<Credentials>),
    Computed(Role, StepResult),
}

impl<T: Transport> Driver<T> {
    fn new(
        settings: Settings,
        shared: Arc<Shared>,
        transport: T,
        progress: mpsc::UnboundedReceiver<Progress>,
    ) -> Self {
        Self {
            session: PushSession::new(settings.session.clone(), SystemEntropy),
            settings,
            shared,
            transport,
            progress,
            phase: Phase::Resolve,
            exchange: None,
            asked: None,
            held: None,
            repeats: Repeats::default(),
            outgoing: None,
            response_due: None,
        }
    }

    /// Ends when `$E` is on the wire and the connection may be closed.
    async fn run(&mut self) -> Result<(), Error> {
        self.shared
            .reporter
            .status(WmtStatus::Locating, SessionState::Connecting);
        self.enter(Phase::Resolve);
        self.session.configure_server();
        loop {
            self.offer_held();
            self.report_events()?;
            if let Some(last) = self.transmit() {
                if self.close(last).await? {
                    return Ok(());
                }
            } else {
                self.turn().await?;
            }
            // What goes again stands before what is held.
            self.report_events()?;
        }
    }

    /// Waits for whatever comes next and takes it in.
    async fn turn(&mut self) -> Result<(), Error> {
        let due = self.due();
        let idle = self.outgoing.is_none() && self.asked.is_none() && self.held.is_none();
        let takes_content = idle && self.session.is_ready();
        if takes_content && let Some(content) = self.repeats.next() {
            self.held = Some(content);
            return Ok(());
        }
        let body = self
            .exchange
            .as_ref()
            .filter(|_| self.outgoing.is_some())
            .and_then(|exchange| exchange.body.clone());
        tokio::select! {
            biased;
            Some(progress) = self.progress.recv() => self.handle_progress(progress),
            response = response(&mut self.exchange) => return self.handle_outcome(response),
            asked = answer(&mut self.asked) => return self.handle_asked(asked),
            () = room(body) => {}
            content = self.shared.queue.pop(), if takes_content => self.held = Some(content),
            () = expiry(due) => return self.handle_expiry(),
        }
        Ok(())
    }

    fn offer_held(&mut self) {
        let Some(content) = self.held.take() else {
            return;
        };
        let kept = self.repeats.keeps().then(|| content.clone());
        let is_data = matches!(content, Content::DataUnit(_));
        let held = match content {
            Content::Header(header) => {
                held(self.session.start_streaming(header)).map(Content::Header)
            }
            Content::DataUnit(packet) => {
                held(self.session.data_unit(packet)).map(Content::DataUnit)
            }
            Content::EndOfStream(reason) => {
                self.enter(Phase::End);
                held(self.session.end_of_stream(reason)).map(Content::EndOfStream)
            }
        };
        if held.is_some() {
            self.held = held;
            return;
        }
        if is_data {
            self.enter(Phase::Push);
        }
        if let Some(kept) = kept {
            self.repeats.keep(kept);
        }
    }

    /// Hands over what the session wants sent, as far as the transport takes it; returns the last bytes when it is them.
    fn transmit(&mut self) -> Option<Bytes> {
        if let Some((chunk, since)) = self.outgoing.take() {
            self.send_chunk(chunk, since);
        }
        while self.outgoing.is_none() && self.asked.is_none() {
            let connects = self.session.owes_request() && !self.transport.connection_stands();
            if connects {
                self.session.connection_lost();
            }
            match self.session.poll_transmit()? {
                Transmit::Request(request) => {
                    tracing::debug!(url = %request.url, body = ?request.body, "Request");
                    // A PushStart is waited for only until it has a connection.
                    let waits = connects || matches!(request.body, Body::PushSetup(_));
                    self.response_due = waits.then(|| Instant::now() + self.settings.timeout);
                    self.exchange = Some(self.transport.start(*request));
                }
                Transmit::Body(chunk) => self.send_chunk(chunk, Instant::now()),
                Transmit::Close(last) => return Some(last),
                Transmit::Compute(role, step) => {
                    self.asked = Some(spawn_blocking(move || Asked::Computed(role, step.run())));
                }
            }
        }
        None
    }

    fn send_chunk(&mut self, chunk: Bytes, since: Instant) {
        let Some(body) = self
            .exchange
            .as_mut()
            .and_then(|exchange| exchange.body.as_mut())
        else {
            // The transport takes nothing any more; why, its response will tell.
            self.outgoing = Some((chunk, since));
            return;
        };
        let size = chunk.len();
        match body.try_send(chunk) {
            Ok(()) => self.shared.counters.sent(size),
            Err(TrySendError::Full(chunk)) => self.outgoing = Some((chunk, since)),
            Err(TrySendError::Closed(chunk)) => {
                self.outgoing = Some((chunk, since));
                if let Some(exchange) = &mut self.exchange {
                    exchange.body = None;
                }
            }
        }
    }

    /// Sends the last bytes; when they have arrived, or there are none, the connection may go.
    ///
    /// FALSE when it all has to go again: a challenge has crossed the end.
    async fn close(&mut self, last: Bytes) -> Result<bool, Error> {
        let body = self
            .exchange
            .as_ref()
            .and_then(|exchange| exchange.body.clone());
        let Some(body) = body.filter(|_| !last.is_empty()) else {
            return Ok(true);
        };
        let size = last.len();
        let (last, written) = notify_when_written(last);
        let sent = async {
            if body.send(last).await.is_err() {
                pending::<()>().await;
            }
            written.await;
        };
        // When the connection is lost, the bytes are dropped unwritten: then the response tells, and is asked first.
        tokio::select! {
            biased;
            response = response(&mut self.exchange) => return self.handle_crossing(response?, false),
            () = sent => self.shared.counters.sent(size),
        }
        let outcome = tokio::select! {
            biased;
            response = response(&mut self.exchange) => Some(response),
            () = farewell(&self.transport) => None,
        };
        match outcome {
            None => Ok(true),
            Some(Err(Error::Closed)) if has_arrived(&self.transport).await => Ok(true),
            Some(Err(error)) => Err(error),
            Some(Ok(response)) => self.handle_crossing(response, true),
        }
    }

    /// A response that has crossed the end of the stream; `ended` if the last byte was on the wire before.
    fn handle_crossing(&mut self, response: Response, ended: bool) -> Result<bool, Error> {
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                self.handle_outcome(Ok(response))?;
                Ok(false)
            }
            // Some receivers answer the end itself, and one of them with 422.
            StatusCode::UNPROCESSABLE_ENTITY if ended => Ok(true),
            // Where a server just closes, which it may, its proxy makes 502 of that.
            StatusCode::BAD_GATEWAY if ended && self.session.is_using_proxy() => Ok(true),
            status if status.is_success() && ended => Ok(true),
            status if status.is_success() => Err(wmhttp::Error::EndedEarly.into()),
            _ => Err(response.refusal().into()),
        }
    }

    /// What happened to the connection while nobody asked.
    fn take_progress(&mut self) {
        while let Ok(progress) = self.progress.try_recv() {
            self.handle_progress(progress);
        }
    }

    fn handle_progress(&mut self, progress: Progress) {
        match (progress, self.phase) {
            (Progress::Resolved, Phase::Resolve) => {
                self.shared
                    .reporter
                    .status(WmtStatus::Connecting, SessionState::Connecting);
                self.enter(Phase::Connect);
            }
            (Progress::Connected, _) => {
                self.shared.counters.connected();
                let waits = self.session.awaits_response();
                self.response_due = waits.then(|| Instant::now() + self.settings.timeout);
                if matches!(self.phase, Phase::Resolve | Phase::Connect) {
                    self.enter(Phase::Setup);
                }
            }
            (Progress::Resolved, _) => {}
        }
    }

    /// The response, or the loss of the connection.
    fn handle_outcome(&mut self, outcome: Result<Response, Error>) -> Result<(), Error> {
        self.response_due = None;
        // Drops the body with it, which ends the request if it still flows.
        self.exchange = None;
        let response = match outcome {
            Ok(response) => response,
            Err(error) if is_silence(&error) && self.handle_silence() => return Ok(()),
            Err(error) => return Err(error),
        };
        tracing::debug!(status = response.status.as_u16(), reason = %response.reason, "Response");
        Ok(self.session.handle_response(&response)?)
    }

    /// Whether the server only has nothing to say to a body that it has got.
    fn handle_silence(&mut self) -> bool {
        self.outgoing.is_none() && self.session.handle_silence()
    }

    fn handle_asked(&mut self, asked: Option<Asked>) -> Result<(), Error> {
        self.asked = None;
        match asked {
            Some(Asked::Credentials(role, credentials)) => {
                let provided = self.session.provide(role, credentials);
                if provided.is_err() && role == Role::Proxy {
                    self.phase = Phase::Proxy;
                }
                provided?;
            }
            Some(Asked::Computed(role, result)) => self.session.resume(role, result),
            None => return Err(Error::Lost("asking for credentials has failed".to_owned())),
        }
        Ok(())
    }

    fn handle_expiry(&mut self) -> Result<(), Error> {
        if self.handle_silence() {
            self.response_due = None;
            self.exchange = None;
            return Ok(());
        }
        Err(self.expired())
    }

    fn report_events(&mut self) -> Result<(), Error> {
        self.shared.counters.update(self.session.counters());
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::ServerConfigured { server } => {
                    tracing::info!(%server, "Publishing point is set up");
                    self.shared.opened(server);
                    self.enter(Phase::Start);
                }
                Event::PushStartSent => {
                    self.repeats.clear();
                    self.shared.started();
                }
                Event::PushStartRepeated => {
                    tracing::debug!("PushStart goes again");
                    self.outgoing = None;
                    let packets = self.repeats.repeat(self.held.take())?;
                    self.shared.counters.replayed(packets);
                }
                Event::Authenticating => self.enter(Phase::Authenticate),
                Event::CredentialsWanted(wanted) => self.ask(wanted),
                Event::PushStartCompleted | Event::SessionEnded => tracing::debug!(?event, "Event"),
            }
        }
        Ok(())
    }

    /// Asks the application, for as long as it takes.
    fn ask(&mut self, wanted: CredentialsWanted) {
        let shared = self.shared.clone();
        self.asked = Some(spawn_blocking(move || {
            let credentials = shared.reporter.acquire_credentials(&wanted);
            Asked::Credentials(wanted.role, credentials)
        }));
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase == phase && phase != Phase::Resolve {
            return;
        }
        self.phase = phase;
        self.shared.reporter.phase(phase);
        if phase == Phase::End {
            self.shared.reporter.ending();
        }
    }

    /// When the current wait is over.
    fn due(&mut self) -> Option<Instant> {
        if let Some((_, since)) = &self.outgoing {
            return Some(*since + self.settings.stall_timeout);
        }
        if self.session.awaits_response() && self.response_due.is_none() {
            self.response_due = Some(Instant::now() + self.settings.timeout);
        }
        self.response_due
    }

    fn expired(&self) -> Error {
        match self.phase {
            Phase::Resolve | Phase::Connect => Error::ConnectTimeout(self.settings.timeout),
            _ if self.outgoing.is_some() => Error::Stalled(self.settings.stall_timeout),
            _ if !self.session.awaits_response() => Error::ConnectTimeout(self.settings.timeout),
            _ => Error::ResponseTimeout(self.settings.timeout),
        }
    }
}

/// Whether there was no answer, rather than one that is none.
fn is_silence(error: &Error) -> bool {
    !matches!(error, Error::BadResponse(_))
}

/// The response of the request on its way; for ever when there is none.
async fn response(exchange: &mut Option<Exchange>) -> Result<Response, Error> {
    match exchange {
        Some(exchange) => exchange.response.as_mut().await,
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

/// Whether the peer had everything when it closed, as far as can be known: where it left something unread, a reset
/// follows.
async fn has_arrived(transport: &impl Transport) -> bool {
    sleep(FAREWELL).await;
    // The client's own end of the stream counts as one byte.
    let lost = transport.unacknowledged().is_some_and(|bytes| bytes > 1);
    !lost && !transport.was_reset()
}

/// Until the peer has acknowledged everything, as far as can be known, and has had its time to refuse it.
async fn farewell(transport: &impl Transport) {
    while transport.unacknowledged().is_some_and(|bytes| bytes > 0) {
        sleep(ACKNOWLEDGEMENT_INTERVAL).await;
    }
    sleep(FAREWELL).await;
}

/// Until the body takes another chunk, or will never.
async fn room(body: Option<mpsc::Sender<Bytes>>) {
    match body {
        Some(body) => drop(body.reserve().await),
        None => pending().await,
    }
}

async fn expiry(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

fn held<C>(offer: Offer<C>) -> Option<C> {
    match offer {
        Offer::Held(content) => Some(content),
        Offer::Taken => None,
    }
}
