// SPDX-License-Identifier: MPL-2.0

//! The streaming thread's half of the element: hands a stream to a connection, each data unit at its time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gst::prelude::*;
use gst_base::prelude::*;

use super::bitrates::TaggedBitrates;
use super::bus::InputFault;
use super::clock_wait::{ClockWait, Woken};
use super::log::CAT;
use super::malformed::Malformed;
use super::mapped::Intake;
use super::pacing::Now;
use super::stream::{Step, Stream};
use crate::asf::{self, DataPacket, FileHeader, Skipped};
use crate::push::{self, Connection, DataUnits, Error, WriteError, WriterSink};

/// The stream of an element, and its streaming thread's wait for the clock.
///
/// Holds no lock while it logs, posts, queries or waits, because log functions, bus handlers and pad probes may call the
/// element.
#[derive(Default)]
pub(super) struct Writer {
    stream: Mutex<Stream>,
    clock_wait: ClockWait,
    workspace: Mutex<Workspace>,
}

/// Memory that is reused from one buffer to the next.
#[derive(Default)]
struct Workspace {
    intake: Intake,
    batch: DataUnits,
}

/// The parts of an element that its writer uses.
pub(super) struct Outlet<'a> {
    /// For its clock, its pad and its preroll.
    pub(super) sink: &'a gst_base::BaseSink,
    /// The connection for headers and data units.
    pub(super) connection: &'a Connection,
    pub(super) header: HeaderSettings,
    /// Posts a WARNING about the input.
    pub(super) warn: &'a dyn Fn(&InputFault),
}

/// The properties that a header depends on.
#[derive(Clone, Copy)]
pub(super) struct HeaderSettings {
    pub(super) live_header: bool,
    /// Total bits per second; 0: not known.
    pub(super) bitrate: u32,
}

impl Writer {
    /// Writes the bytes of a buffer.
    pub(super) fn write(
        &self,
        outlet: &Outlet<'_>,
        buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut workspace = std::mem::take(&mut *self.workspace());
        let taken = workspace.intake.take(buffer);
        let written = match taken {
            Some(bytes) => {
                self.stream().push(bytes);
                self.write_steps(outlet, &mut workspace.batch)
            }
            None => {
                gst::element_error!(
                    outlet.sink,
                    gst::ResourceError::Read,
                    ["Cannot map a buffer"]
                );
                Err(gst::FlowError::Error)
            }
        };
        workspace.batch.clear();
        *self.workspace() = workspace;
        written.map(|()| gst::FlowSuccess::Ok)
    }

    /// Ends the stream at EOS. Returns when all data and `$E` were sent.
    pub(super) fn end(&self, outlet: &Outlet<'_>, timeout: Duration) -> Result<(), gst::FlowError> {
        let connection = outlet.connection;
        if connection.state() == push::SessionState::Failed {
            return Err(gst::FlowError::Error);
        }
        if connection.has_ended() {
            return Ok(());
        }
        self.finish_reading(outlet)?;
        self.stream().ended = true;
        let report = self.stream().finish_malformed();
        outlet.report_malformed(report);
        outlet.uninterrupted(|| connection.on_end_writing(timeout))
    }

    /// Adds a header from caps.
    ///
    /// # Errors
    ///
    /// The bytes are not an ASF file header.
    pub(super) fn push_header(&self, header: Bytes) -> Result<(), asf::Error> {
        self.stream().push_header(header)
    }

    /// Adds the bit rates of a tag list.
    pub(super) fn push_tags(&self, tags: &gst::TagListRef) {
        self.stream().push_tags(tags);
    }

    /// Starts over, with another stream.
    pub(super) fn restart(&self) {
        self.stream().restart();
    }

    /// Discards data that was delivered before a flush.
    pub(super) fn flush(&self, sink: &gst_base::BaseSink) {
        let discarded = self.stream().flush();
        gst::debug!(CAT, obj = sink, "Flushed {discarded} data packets");
    }

    /// Begins another session if upstream has ended the last one. Returns whether it has.
    pub(super) fn begin_session(&self) -> bool {
        let mut stream = self.stream();
        let ended = stream.ended;
        if ended {
            stream.begin_session();
        }
        ended
    }

    /// Has upstream queried again, with the next data, whether it is live, because its latency has changed.
    pub(super) fn reconfigure(&self) {
        self.stream().live = None;
    }

    /// Continues with a segment.
    pub(super) fn begin_segment(&self, sink: &gst_base::BaseSink, segment: &gst::Segment) {
        self.reconfigure();
        let Some(bytes) = segment.downcast_ref::<gst::format::Bytes>() else {
            return;
        };
        let start = bytes.start().map_or(0, |start| *start);
        let back = self.stream().go_back(start);
        if let Some(from) = back {
            gst::debug!(
                CAT,
                obj = sink,
                "Byte position goes back from {from} to {start}"
            );
        }
    }

    /// Forgets the stream.
    pub(super) fn reset(&self) {
        let old = std::mem::take(&mut *self.stream());
        // Freeing its buffers may run code outside the plugin, so no lock is held.
        drop(old);
    }

    /// Interrupts the wait for the clock, and every later one until it is called with `false`.
    pub(super) fn interrupt(&self, interrupted: bool) {
        self.clock_wait.interrupt(interrupted);
    }

    fn write_steps(
        &self,
        outlet: &Outlet<'_>,
        batch: &mut DataUnits,
    ) -> Result<(), gst::FlowError> {
        loop {
            let step = self.stream().next_step();
            match step {
                Ok(Some(Step::Header(header))) => {
                    outlet.deliver(batch)?;
                    self.write_header(outlet, &header)?;
                }
                Ok(Some(Step::DataUnit {
                    packet,
                    dropped,
                    absurd,
                })) => {
                    report_joined(outlet.sink, dropped);
                    if let Some(times) = absurd {
                        (outlet.warn)(&InputFault::AbsurdTimes(times));
                    }
                    self.write_data_unit(outlet, batch, packet)?;
                }
                Ok(Some(Step::Dropped)) => outlet.connection.skip_data_unit(),
                Ok(Some(Step::Skipped(skipped))) => outlet.report_skipped(skipped),
                Ok(Some(Step::Exceeded(count))) => report_exceeded(outlet.sink, count),
                Ok(None) => return outlet.deliver(batch),
                // The application has ended the push: data from upstream is discarded.
                Err(_) if outlet.connection.has_ended() => return Ok(()),
                Err(error) => {
                    outlet.deliver(batch)?;
                    outlet.connection.fail(Error::Input(error));
                    return Err(gst::FlowError::Error);
                }
            }
        }
    }

    fn write_header(&self, outlet: &Outlet<'_>, header: &FileHeader) -> Result<(), gst::FlowError> {
        let connection = outlet.connection;
        gst::info!(CAT, obj = outlet.sink, "File header: {header:?}");
        let settings = outlet.header;
        let tags = outlet.with_sticky_tags(self.stream().take_tags());
        let live = settings
            .live_header
            .then(|| header.to_live_with(&tags.of(header, settings.bitrate)));
        let sent = live.as_ref().unwrap_or(header);
        let shed = outlet.uninterrupted(|| connection.on_header(sent))?;
        self.stream().header_written();
        for object in shed {
            (outlet.warn)(&InputFault::Shed(object));
        }
        Ok(())
    }

    fn write_data_unit(
        &self,
        outlet: &Outlet<'_>,
        batch: &mut DataUnits,
        packet: DataPacket,
    ) -> Result<(), gst::FlowError> {
        let sink = outlet.sink;
        gst::log!(
            CAT,
            obj = sink,
            "Data unit of {} bytes, send time {:?}",
            packet.len(),
            packet.send_time()
        );
        if let Some(defect) = packet.defect() {
            gst::debug!(
                CAT,
                obj = sink,
                "Sending a malformed data packet unchanged: {defect}"
            );
            let report = self.stream().count_malformed(*defect);
            outlet.report_malformed(report);
        }
        let live = self.is_live(outlet);
        let paced = outlet.connection.is_real_time() && !live && sink.is_sync();
        outlet.connection.set_real_time(live || paced);
        if let Some(send_time) = packet.send_time().filter(|_| paced) {
            outlet.deliver(batch)?;
            self.wait_until_due(outlet, send_time)?;
        }
        batch.push(packet);
        Ok(())
    }

    /// Waits until a data unit is due. Does not wait without a clock.
    fn wait_until_due(&self, outlet: &Outlet<'_>, send_time: u32) -> Result<(), gst::FlowError> {
        let sink = outlet.sink;
        let Some((clock, base_time)) = outlet.clock() else {
            return Ok(());
        };
        let now = Now {
            running_time: clock.time().saturating_sub(base_time),
            offset: outlet.offset(),
        };
        let due = self.stream().pacer.schedule(send_time, now);
        while sink.is_sync() {
            // Clock and base time may have changed during a pause.
            let Some((clock, base_time)) = outlet.clock() else {
                break;
            };
            let time = base_time.saturating_add(due).nseconds();
            let time = gst::ClockTime::from_nseconds(time.saturating_add_signed(outlet.offset()));
            match self.clock_wait.until(&clock, time) {
                Woken::Due => break,
                Woken::Interrupted => sink.wait_preroll().map(drop)?,
            }
        }
        Ok(())
    }

    /// Returns whether upstream is live. Queries upstream if that is not known.
    pub(super) fn is_upstream_live(&self, sink: &gst_base::BaseSink) -> bool {
        let known = self.stream().live;
        known.unwrap_or_else(|| is_live(sink))
    }

    /// Returns whether upstream is live. Queries once a segment, and after [`reconfigure`](Self::reconfigure).
    fn is_live(&self, outlet: &Outlet<'_>) -> bool {
        let known = self.stream().live;
        known.unwrap_or_else(|| {
            let live = is_live(outlet.sink);
            outlet.connection.set_live(live);
            self.stream().live = Some(live);
            live
        })
    }

    /// Reports the input at EOS that cannot be sent.
    fn finish_reading(&self, outlet: &Outlet<'_>) -> Result<(), gst::FlowError> {
        loop {
            let left = self.stream().finish();
            match left {
                Ok(Some(skipped)) if skipped.reason.is_cut() && ends_early(outlet.sink) => {
                    gst::info!(
                        CAT,
                        obj = outlet.sink,
                        "The application's EOS leaves out {skipped}"
                    );
                }
                Ok(Some(skipped)) => outlet.report_skipped(skipped),
                Ok(None) => return Ok(()),
                Err(error) => {
                    outlet.connection.fail(Error::Input(error));
                    return Err(gst::FlowError::Error);
                }
            }
        }
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workspace(&self) -> MutexGuard<'_, Workspace> {
        self.workspace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet<'_> {
    /// Hands over a batch. Discards a batch that a flush interrupts.
    fn deliver(&self, batch: &mut DataUnits) -> Result<(), gst::FlowError> {
        if batch.is_empty() {
            return Ok(());
        }
        let delivered = self.uninterrupted(|| self.connection.on_data_units(batch));
        batch.clear();
        delivered
    }

    /// Calls `blocking` until no pause interrupts it. Succeeds without a call once the application has ended the push,
    /// because data from upstream is discarded then.
    fn uninterrupted<T: Default>(
        &self,
        mut blocking: impl FnMut() -> Result<T, WriteError>,
    ) -> Result<T, gst::FlowError> {
        loop {
            match blocking() {
                Ok(done) => return Ok(done),
                Err(WriteError::Interrupted) => {
                    self.sink.wait_preroll()?;
                }
                Err(WriteError::Failed(None)) => return Ok(T::default()),
                Err(WriteError::Failed(Some(_))) => return Err(gst::FlowError::Error),
            }
        }
    }

    /// Returns the clock and the base time; `None` outside of a running pipeline.
    fn clock(&self) -> Option<(gst::Clock, gst::ClockTime)> {
        self.sink.clock().zip(self.sink.base_time())
    }

    /// Returns the nanoseconds from the time at which a packet is due until it is sent.
    fn offset(&self) -> i64 {
        let latency = self.sink.latency().saturating_sub(self.sink.render_delay());
        let latency = i64::try_from(latency.nseconds()).unwrap_or(i64::MAX);
        latency.saturating_add(self.sink.ts_offset())
    }

    /// Adds the pad's sticky tags, which also belong to this stream.
    fn with_sticky_tags(&self, mut tags: TaggedBitrates) -> TaggedBitrates {
        if let Some(pad) = self.sink.static_pad("sink") {
            pad.sticky_events_foreach(|event| {
                if let gst::EventView::Tag(tag) = event.view() {
                    tags.add(tag.tag());
                }
                std::ops::ControlFlow::Continue(gst::EventForeachAction::Keep)
            });
        }
        tags
    }

    fn report_skipped(&self, skipped: Skipped) {
        if skipped.reason.is_loss() {
            (self.warn)(&InputFault::LeftOut(skipped));
        } else {
            gst::debug!(CAT, obj = self.sink, "Skipped input: {skipped}");
        }
    }

    fn report_malformed(&self, report: Option<Malformed>) {
        if let Some(malformed) = report {
            (self.warn)(&InputFault::Malformed(malformed));
        }
    }
}

/// Queries upstream whether it is live.
fn is_live(sink: &gst_base::BaseSink) -> bool {
    let mut latency = gst::query::Latency::new();
    let pad = sink.static_pad("sink");
    let answered = pad.is_some_and(|pad| pad.peer_query(&mut latency));
    let live = answered && latency.result().0;
    gst::debug!(CAT, obj = sink, "Upstream is live: {live}");
    live
}

/// Returns whether upstream has more data than it has sent. Then the EOS is the application's, and the input is not cut off.
fn ends_early(sink: &gst_base::BaseSink) -> bool {
    let Some(pad) = sink.static_pad("sink") else {
        return false;
    };
    let position = pad.peer_query_position::<gst::format::Bytes>();
    let size = pad.peer_query_duration::<gst::format::Bytes>();
    position
        .zip(size)
        .is_some_and(|(position, size)| position < size)
}

/// Only logged, because the packets are sent like the others.
fn report_exceeded(sink: &gst_base::BaseSink, count: u64) {
    gst::info!(
        CAT,
        obj = sink,
        "Upstream has delivered more data packets than the {count} that the header announces"
    );
}

fn report_joined(sink: &gst_base::BaseSink, dropped: u64) {
    if dropped > 0 {
        gst::info!(
            CAT,
            obj = sink,
            "The stream was joined in its middle: {dropped} data packets in front of a key frame are not sent"
        );
    }
}

/// Returns the header in `streamheader` caps, with its buffers concatenated.
pub(super) fn stream_header(caps: &gst::Caps) -> Option<Bytes> {
    let buffers = caps
        .structure(0)?
        .get::<gst::ArrayRef<'_>>("streamheader")
        .ok()?;
    let mut header = Vec::new();
    for buffer in buffers.iter() {
        let buffer = buffer.get::<gst::Buffer>().ok()?;
        header.extend_from_slice(&buffer.map_readable().ok()?);
    }
    (!header.is_empty()).then(|| header.into())
}
