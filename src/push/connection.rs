// SPDX-License-Identifier: MPL-2.0

//! [`Connection`]: the Rust face of `IWMWriterPushSink`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::instrument::WithSubscriber;

use super::driver::drive;
use super::http::HttpTransport;
use super::queue::Content;
use super::shared::Shared;
use super::{
    Error, Failure, Phase, SessionState, Settings, Stats, StatusCallback, WriteError, WriterSink,
    runtime,
};
use crate::asf::{DataPacket, FileHeader, MAX_HEADER_IN_C, MAX_HEADER_IN_H, ShedObject};
use crate::wmhttp::HResult;

/// `IWMWriterPushSink`: one push to one publishing point.
///
/// Everything that waits for the network happens on a thread that all connections of the process share. `tracing`
/// events go to the subscriber that is current where [`connect`](Self::connect) is called. Dropping it disconnects.
///
/// The writer's half, [`WriterSink`], may be used before the connection stands: what comes is kept, up to
/// [`Settings::max_bytes`], and then the caller is blocked.
pub struct Connection {
    shared: Arc<Shared>,
    stall_timeout: Duration,
    header_written: AtomicBool,
    end_announced: AtomicBool,
}

impl Connection {
    /// `IWMWriterPushSink::Connect`: returns at once; how it goes is told by the callback.
    ///
    /// # Errors
    ///
    /// The system's, when it grants no thread or descriptor.
    pub fn connect(settings: Settings, callback: impl StatusCallback) -> io::Result<Self> {
        let runtime = runtime::handle()?;
        let shared = Arc::new(Shared::new(settings.max_bytes, callback));
        let connection = Self {
            shared: shared.clone(),
            stall_timeout: settings.stall_timeout,
            header_written: AtomicBool::new(false),
            end_announced: AtomicBool::new(false),
        };
        let (progress_sender, progress) = mpsc::unbounded_channel();
        let transport = HttpTransport::new(&settings, progress_sender).map_err(io::Error::other)?;
        runtime.spawn(drive(settings, shared, transport, progress).with_current_subscriber());
        Ok(connection)
    }

    /// `IWMWriterPushSink::Disconnect`: closes the connection without `$E`. Returns at once, and nothing is reported
    /// after the [`WmtStatus::Closed`](super::WmtStatus::Closed) that it causes. After the end, or a failure, it does nothing.
    pub fn disconnect(&self) {
        self.shared.disconnect();
    }

    /// `IWMWriterPushSink::EndSession`: sends what waits and `$E` (S_OK), then closes.
    ///
    /// Blocks until that is on the wire, but no longer than `timeout`. When it fails the connection still stands;
    /// [`disconnect`](Self::disconnect) ends it.
    ///
    /// # Errors
    ///
    /// [`WriteError::TimedOut`], [`WriteError::Interrupted`] by [`interrupt`](Self::interrupt), or
    /// [`WriteError::Failed`] when there is no connection any more.
    pub fn end_session(&self, timeout: Duration) -> Result<(), WriteError> {
        if !self.end_announced.load(Ordering::Relaxed) {
            self.shared
                .push(Content::EndOfStream(HResult::S_OK), timeout)?;
            self.end_announced.store(true, Ordering::Relaxed);
            self.shared.reporter.ending();
        }
        self.shared.wait_for_end(Instant::now() + timeout)
    }

    /// Ends the push because of something that its owner found. The callback gets it like any other failure.
    pub fn fail(&self, error: Error) -> WriteError {
        let phase = match self.state() {
            SessionState::Disconnected | SessionState::Connecting => Phase::Setup,
            SessionState::Connected => Phase::Start,
            SessionState::Streaming => Phase::Push,
            SessionState::Ending | SessionState::Ended | SessionState::Failed => Phase::End,
        };
        self.shared.fail(Failure { phase, error });
        self.shared.disconnect();
        WriteError::Failed(self.shared.failure())
    }

    /// Lets whatever blocks return at once, now and until it is called with `false`.
    pub fn interrupt(&self, interrupted: bool) {
        self.shared.interrupt(interrupted);
    }

    /// Where it stands.
    pub fn state(&self) -> SessionState {
        self.shared.reporter.state()
    }

    /// What has been sent and what waits.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.counters.stats();
        stats.state = self.state();
        (stats.queued_bytes, stats.queued_time) = self.shared.queue.level();
        stats
    }

    /// Hands content to the driver; no progress for `stall_timeout` while it waits is a failure.
    fn write(&self, content: Content) -> Result<(), WriteError> {
        match self.shared.push(content, self.stall_timeout) {
            Err(WriteError::TimedOut) => Err(self.fail(Error::Stalled(self.stall_timeout))),
            written => written,
        }
    }
}

impl WriterSink for Connection {
    fn on_header(&self, header: &FileHeader) -> Result<Vec<ShedObject>, WriteError> {
        let later = self.header_written.load(Ordering::Relaxed);
        let limit = if later {
            MAX_HEADER_IN_C
        } else {
            MAX_HEADER_IN_H
        };
        let (header, shed) = header
            .shed_to(limit)
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
        self.end_session(timeout)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.disconnect();
    }
}
