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
use crate::asf::{self, DataPacket, FileHeader, HeaderPacket, ShedObject};
use crate::wmhttp::HResult;

/// `IWMWriterPushSink`: one push to one publishing point.
///
/// All network I/O happens on one thread that the connections of the process share. The callback runs on other threads.
/// `tracing` events go to the subscriber that is current where [`connect`](Self::connect) is called. Dropping a
/// connection disconnects it.
///
/// The writer's half, [`WriterSink`], may be used before the connection stands: content is queued up to
/// [`Settings::limits`]. After that, the caller blocks or packets are dropped.
pub struct Connection {
    shared: Arc<Shared>,
    stall_timeout: Duration,
    header_written: AtomicBool,
    /// The header in force in the session that this connection resumes
    resumed_header: Option<FileHeader>,
    /// The driver task, which returns its session when the application disconnects.
    driver: Mutex<Option<Parked>>,
}

impl Connection {
    /// `IWMWriterPushSink::Connect`: returns at once. The callback reports the progress.
    ///
    /// # Errors
    ///
    /// The operating system's, if it grants no thread or descriptor.
    pub fn connect(settings: Settings, callback: impl StatusCallback) -> io::Result<Self> {
        Self::begin(settings, callback, None)
    }

    /// `IWMWriterPushSink::Connect` after [`disconnect`](Self::disconnect): resumes the session with the same push-id,
    /// for up to five minutes and as long as the server knows it. Statistics continue.
    ///
    /// After any other end than a disconnection, or with other settings for the session, a new session begins.
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
        let last = last.filter(|last| last.was_disconnected());
        let counters = last.map(|last| last.shared.counters.clone());
        let shared = Shared::new(settings.limits, counters.unwrap_or_default(), notifier);
        let shared = Arc::new(shared);
        let (sender, milestones) = mpsc::unbounded_channel();
        let connector = TcpConnector::new(&settings, sender);
        let stall_timeout = settings.stall_timeout;
        let parked = last.and_then(Self::take_driver);
        let resumed_header = last.and_then(Self::header_in_force);
        let driver = drive(settings, shared.clone(), parked, connector, milestones);
        Ok(Self {
            driver: Mutex::new(Some(runtime.spawn(driver.with_current_subscriber()))),
            shared,
            stall_timeout,
            header_written: AtomicBool::new(false),
            resumed_header,
        })
    }

    /// Returns the last header that the server has received.
    fn header_in_force(&self) -> Option<FileHeader> {
        self.shared
            .on_air
            .header()
            .or_else(|| self.resumed_header.clone())
    }

    fn take_driver(&self) -> Option<Parked> {
        self.driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// `IWMWriterPushSink::Disconnect`: closes the connection without `$E`. Returns at once.
    /// [`WmtStatus::Closed`](super::WmtStatus::Closed) is the last report.
    ///
    /// Returns false, and does nothing, if the push has ended, has failed or was disconnected before.
    pub fn disconnect(&self) -> bool {
        self.shared.disconnect()
    }

    /// `IWMWriterPushSink::EndSession`: sends the queued content and `$E` (S_OK), then closes. Returns at once; false
    /// if the push is over.
    ///
    /// If not everything is sent within `timeout`, the push ends with [`WmtStatus::Closed`](super::WmtStatus::Closed)
    /// and a failure in it. If nothing was ever sent or the connection was lost meanwhile, the push fails instead.
    pub fn end_session(&self, timeout: Duration) -> bool {
        self.shared.announce_end(HResult::S_OK, timeout)
    }

    /// Fails the push with an error that its owner found. The callback receives it like any other failure.
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

    /// Counts a data packet as dropped that the owner has omitted.
    pub fn skip_data_unit(&self) {
        self.shared.counters.skipped(1);
    }

    /// Discards unsent data packets.
    pub fn flush(&self) {
        self.shared.flush();
    }

    /// Sets whether upstream is live, which decides for [`Leaky::Auto`](super::Leaky::Auto).
    pub fn set_live(&self, live: bool) {
        self.shared.queue.set_live(live);
    }

    /// Sets whether data units are handed over in real time: each at its Send Time, or as a live upstream delivers it.
    /// Data units that wait are late then, which is [reported](StatusCallback::on_falling_behind).
    pub fn set_real_time(&self, real_time: bool) {
        self.shared.queue.set_real_time(real_time);
    }

    /// Makes blocked calls return at once until it is called with `false`.
    pub fn interrupt(&self, interrupted: bool) {
        self.shared.interrupt(interrupted);
    }

    /// Returns whether the push is not over: connecting, connected or reconnecting.
    pub fn is_alive(&self) -> bool {
        self.shared.lifecycle.is_alive()
    }

    /// Returns whether the push is over without a failure.
    pub fn has_ended(&self) -> bool {
        self.shared.lifecycle.has_ended()
    }

    /// Returns whether the application [disconnected](Self::disconnect) before the push was over.
    pub fn was_disconnected(&self) -> bool {
        self.shared.lifecycle.was_disconnected()
    }

    /// Returns the session state.
    pub fn state(&self) -> SessionState {
        self.shared.lifecycle.session_state()
    }

    /// Returns the statistics.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Returns the facts that the connection knows about its server; `None` unless it is open or reconnecting.
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

    /// Returns the header and Send Time that viewers should see, for [`verify`](super::verify()). The returned value
    /// follows the push.
    pub fn on_air(&self) -> OnAir {
        self.shared.on_air.clone()
    }

    /// `OnDataUnit` for a batch, with one lock and one wake-up.
    ///
    /// Removes queued and dropped data units from `batch`. After an interruption the rest is still in it.
    ///
    /// # Errors
    ///
    /// [`WriteError`]
    pub fn on_data_units(&self, batch: &mut DataUnits) -> Result<(), WriteError> {
        self.shared.push(&mut batch.0, self.stall_timeout)
    }

    /// Returns the header as its packet can carry it: `$H`, `$C`, or none if a resumed session has it already.
    fn shed(&self, header: &FileHeader) -> Result<(FileHeader, Vec<ShedObject>), asf::Error> {
        if !self.header_written.load(Ordering::Relaxed) {
            let resumed = self.resumed_header.as_ref();
            let first = header.shed_for(HeaderPacket::Header);
            match first {
                Ok((first, _)) if resumed.is_some_and(|resumed| *resumed != first) => {}
                first => return first,
            }
        }
        header.shed_for(HeaderPacket::StreamChange)
    }

    /// Hands content to the driver.
    fn write(&self, content: Content) -> Result<(), WriteError> {
        let mut batch = VecDeque::from([content]);
        self.shared.push(&mut batch, self.stall_timeout)
    }
}

/// The server of a connection.
#[derive(Clone, Debug)]
pub struct KnownServer {
    /// Facts from its response to PushSetup.
    pub server: Probe,
    /// The failure that ended the last connection, while no other one stands.
    pub lost: Option<Arc<Failure>>,
}

/// A batch of ASF data packets for [`Connection::on_data_units`]. Reuse an emptied batch: it keeps its memory.
#[derive(Default)]
pub struct DataUnits(VecDeque<Content>);

impl DataUnits {
    /// Appends a data packet.
    pub fn push(&mut self, packet: DataPacket) {
        self.0.push_back(Content::DataUnit(packet));
    }

    /// Returns whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all data packets.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl WriterSink for Connection {
    fn on_header(&self, header: &FileHeader) -> Result<Vec<ShedObject>, WriteError> {
        let shed = self.shed(header);
        let (header, shed) = shed.map_err(|error| self.fail(Error::Input(error)))?;
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
