// SPDX-License-Identifier: MPL-2.0

//! [`Connection`]: the Rust face of `IWMWriterPushSink`.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::instrument::WithSubscriber;

use super::connector::TcpConnector;
use super::driver::{Parked, drive};
use super::notifier::Notifier;
use super::queue::Content;
use super::shared::Shared;
use super::{
    Error, Failure, OnAir, Phase, Probe, SessionState, Settings, Stats, StatusCallback, WriteError,
    WriterSink, runtime,
};
use crate::asf::{DataPacket, FileHeader, HeaderPacket, ShedObject};
use crate::wmhttp::HResult;

/// `IWMWriterPushSink`: one push to one publishing point.
///
/// Everything that waits for the network happens on a thread that all connections of the process share. The application
/// is called on other threads. `tracing` events go to the subscriber that is current where [`connect`](Self::connect) is
/// called. Dropping it disconnects.
///
/// The writer's half, [`WriterSink`], may be used before the connection stands: content is queued, up to
/// [`Settings::limits`], and then the caller is blocked or packets are dropped.
pub struct Connection {
    shared: Arc<Shared>,
    stall_timeout: Duration,
    header_written: AtomicBool,
    /// The driver, which leaves its session when the application disconnects.
    driver: Mutex<Option<Parked>>,
}

impl Connection {
    /// `IWMWriterPushSink::Connect`: returns at once; the callback reports how it goes.
    ///
    /// # Errors
    ///
    /// The system's, when it grants no thread or descriptor.
    pub fn connect(settings: Settings, callback: impl StatusCallback) -> io::Result<Self> {
        Self::begin(settings, callback, None)
    }

    /// `IWMWriterPushSink::Connect` after [`disconnect`](Self::disconnect): takes the session up again, with the same
    /// push-id, for up to five minutes and as long as the server knows it. Statistics go on as well.
    ///
    /// After anything else than a disconnection, or with other settings for the session, it is a new one.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_again(
        &self,
        settings: Settings,
        callback: impl StatusCallback,
    ) -> io::Result<Self> {
        Self::begin(settings, callback, Some(self))
    }

    fn begin(
        settings: Settings,
        callback: impl StatusCallback,
        last: Option<&Self>,
    ) -> io::Result<Self> {
        let runtime = runtime::handle()?;
        let notifier = last.map(|last| last.shared.lifecycle.notifier());
        let notifier = Notifier::new(callback, notifier);
        let last = last.filter(|last| last.was_left());
        let takes_up = last.is_some();
        let counters = last.map(|last| last.shared.counters.clone());
        let shared = Shared::new(settings.limits, counters.unwrap_or_default(), notifier);
        let shared = Arc::new(shared);
        let (sender, milestones) = mpsc::unbounded_channel();
        let connector = TcpConnector::new(&settings, sender);
        let stall_timeout = settings.stall_timeout;
        let parked = last.and_then(Self::take_driver);
        let driver = drive(settings, shared.clone(), parked, connector, milestones);
        Ok(Self {
            driver: Mutex::new(Some(runtime.spawn(driver.with_current_subscriber()))),
            shared,
            stall_timeout,
            // A session that is taken up again has its `$H`: what differs from it is a `$C`.
            header_written: AtomicBool::new(takes_up),
        })
    }

    fn take_driver(&self) -> Option<Parked> {
        self.driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// `IWMWriterPushSink::Disconnect`: closes the connection without `$E`. Returns at once, and nothing is reported
    /// after the [`WmtStatus::Closed`](super::WmtStatus::Closed) that it causes. After the end, or a failure, it does
    /// nothing: then, and when it was called before, it returns FALSE.
    pub fn disconnect(&self) -> bool {
        self.shared.leave()
    }

    /// `IWMWriterPushSink::EndSession`: sends what waits and `$E` (S_OK), then closes. Returns at once.
    ///
    /// If not everything could be sent within `timeout`, the push ends with
    /// [`WmtStatus::Closed`](super::WmtStatus::Closed) and a failure in it; or, when nothing was ever sent or the
    /// connection was lost meanwhile, with that failure. FALSE when there is no connection any more.
    pub fn end_session(&self, timeout: Duration) -> bool {
        self.shared.announce_end(HResult::S_OK, timeout)
    }

    /// Ends the push because of something that its owner found. The callback gets it like any other failure.
    pub fn fail(&self, error: Error) -> WriteError {
        let phase = match self.state() {
            SessionState::Disconnected | SessionState::Connecting => Phase::Setup,
            SessionState::Connected => Phase::Start,
            SessionState::Streaming | SessionState::Reconnecting => Phase::Push,
            SessionState::Ending | SessionState::Ended | SessionState::Failed => Phase::End,
        };
        self.shared.fail(Failure::new(phase, error));
        WriteError::Failed(self.shared.lifecycle.failure())
    }

    /// Counts a data packet as dropped that its owner has left out.
    pub fn skip_data_unit(&self) {
        self.shared.counters.skipped(1);
    }

    /// Discards data packets that were queued and not sent.
    pub fn flush(&self) {
        self.shared.flush();
    }

    /// Tells whether upstream is live, which decides for [`Leaky::Auto`](super::Leaky::Auto).
    pub fn set_live(&self, live: bool) {
        self.shared.queue.set_live(live);
    }

    /// Tells whether data units come in real time: each at its Send Time, or as a live upstream delivers it. Those that
    /// wait are late then, which is [reported](StatusCallback::on_falling_behind).
    pub fn set_real_time(&self, real_time: bool) {
        self.shared.queue.set_real_time(real_time);
    }

    /// Lets whatever blocks return at once, now and until it is called with `false`.
    pub fn interrupt(&self, interrupted: bool) {
        self.shared.interrupt(interrupted);
    }

    /// Returns whether the connection stands or is being made, and has not ended.
    pub fn is_alive(&self) -> bool {
        self.shared.lifecycle.is_alive()
    }

    /// Returns whether it is over, and not by a failure.
    pub fn has_ended(&self) -> bool {
        self.shared.lifecycle.has_ended()
    }

    /// Returns whether the application [disconnected](Self::disconnect) before it came to an end.
    pub fn was_left(&self) -> bool {
        self.shared.lifecycle.was_left()
    }

    /// Where the session stands.
    pub fn state(&self) -> SessionState {
        self.shared.lifecycle.session_state()
    }

    /// What has been sent and what waits.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// The facts about the server that the connection has learned; `None` unless it is open or reconnecting.
    pub fn known_server(&self) -> Option<KnownServer> {
        let stats = self.shared.stats();
        let lost = match stats.state {
            SessionState::Connected | SessionState::Streaming | SessionState::Ending => None,
            SessionState::Reconnecting if self.shared.lifecycle.was_opened() => {
                stats.last_loss.clone()
            }
            _ => return None,
        };
        Some(KnownServer {
            server: Probe::of(&stats),
            lost,
        })
    }

    /// What viewers should see: for [`verify`](super::verify()). It goes on to tell while the push goes on.
    pub fn on_air(&self) -> OnAir {
        self.shared.on_air.clone()
    }

    /// `OnDataUnit` of many at once: one lock, and one wake-up.
    ///
    /// Removes from `batch` what it is done with; after an interruption the rest is still in it.
    ///
    /// # Errors
    ///
    /// [`WriteError`]
    pub fn on_data_units(&self, batch: &mut DataUnits) -> Result<(), WriteError> {
        self.shared.push(&mut batch.0, self.stall_timeout)
    }

    /// Hands content to the driver.
    fn write(&self, content: Content) -> Result<(), WriteError> {
        let mut batch = VecDeque::from([content]);
        self.shared.push(&mut batch, self.stall_timeout)
    }
}

/// The server that a connection leads to.
#[derive(Clone, Debug)]
pub struct KnownServer {
    /// What it said when it let the push in.
    pub server: Probe,
    /// Why the connection was lost, while it does not stand again.
    pub lost: Option<Arc<Failure>>,
}

/// ASF data packets, in their order, for [`Connection::on_data_units`]. Emptied, it keeps its memory.
#[derive(Default)]
pub struct DataUnits(VecDeque<Content>);

impl DataUnits {
    /// Appends one.
    pub fn push(&mut self, packet: DataPacket) {
        self.0.push_back(Content::DataUnit(packet));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops them.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl WriterSink for Connection {
    fn on_header(&self, header: &FileHeader) -> Result<Vec<ShedObject>, WriteError> {
        let later = self.header_written.load(Ordering::Relaxed);
        let packet = if later {
            HeaderPacket::StreamChange
        } else {
            HeaderPacket::Header
        };
        let (header, shed) = header
            .shed_for(packet)
            .map_err(|error| self.fail(Error::Input(error)))?;
        self.write(Content::Header(header))?;
        self.header_written.store(true, Ordering::Relaxed);
        Ok(shed)
    }

    fn is_real_time(&self) -> bool {
        true
    }

    fn on_data_unit(&self, packet: DataPacket) -> Result<(), WriteError> {
        self.write(Content::DataUnit(packet))
    }

    fn on_end_writing(&self, timeout: Duration) -> Result<(), WriteError> {
        self.end_session(timeout);
        self.shared.wait_for_end()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.disconnect();
    }
}
