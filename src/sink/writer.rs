// SPDX-License-Identifier: MPL-2.0

//! The way of a buffer: from its bytes to header and data units, each at its time.

use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;

use super::bitrates::TaggedBitrates;
use super::bus;
use super::clock_wait::Woken;
use super::imp::WmsPushSink;
use super::log::CAT;
use super::pacing::Pacer;
use crate::asf::{DataPacket, FileHeader, Item, KeyFrames, Reader, Skipped};
use crate::push::{self, Connection, DataUnits, Error, WriteError, WriterSink};

/// What the input has come to.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) reader: Reader,
    pub(super) pacer: Pacer,
    /// Upstream delivers in real time by itself; not asked yet: `None`.
    live: Option<bool>,
    /// Bytes since the stream started or was flushed.
    pub(super) position: u64,
    /// What the header's streams may begin with, as long as none of its data packets was sent.
    entry: Option<Entry>,
    /// Bit rates of tag lists since the last header.
    pub(super) tags: TaggedBitrates,
    /// Data packets of a buffer that go together.
    batch: DataUnits,
}

/// Where the data packets of a header may begin.
///
/// A branch that is linked to a running tee, or a selector's other input, has its header in the caps alone and begins
/// wherever the stream is. No player can decode what comes before the first key frame.
struct Entry {
    key_frames: KeyFrames,
    /// Send Time of the first data packet that was dropped, in milliseconds.
    since: Option<u32>,
    dropped: u64,
}

impl Entry {
    /// The longest wait for a key frame, in milliseconds of Send Time: well over the 8 to 10 s between two key frames of
    /// common encoders. Without a bound, a stream that never marks one would never begin.
    const LONGEST_WAIT: u32 = 30_000;

    fn begins_in(&mut self, packet: &DataPacket) -> bool {
        if self.key_frames.begins_in(packet) {
            return true;
        }
        let Some(send_time) = packet.send_time() else {
            return false;
        };
        let since = *self.since.get_or_insert(send_time);
        send_time.wrapping_sub(since) > Self::LONGEST_WAIT
    }
}

impl Stream {
    /// Whether a data packet is to be sent; otherwise it is one of those in front of the first key frame.
    fn begins_in(&mut self, packet: &DataPacket) -> bool {
        let joined = self.reader.is_joined();
        let Some(entry) = self.entry.as_mut().filter(|_| joined) else {
            self.entry = None;
            return true;
        };
        if !entry.begins_in(packet) {
            entry.dropped += 1;
            return false;
        }
        if entry.dropped > 0 {
            gst::info!(
                CAT,
                "The stream was joined in its middle: {} data packets in front of a key frame are not sent",
                entry.dropped
            );
        }
        self.entry = None;
        true
    }
}

impl WmsPushSink {
    /// Writes all that the reader has.
    pub(super) fn write(
        &self,
        connection: &Connection,
        stream: &mut Stream,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        loop {
            match stream.reader.next_item() {
                Ok(Some(Item::Header(header))) => {
                    self.flush(connection, stream)?;
                    self.write_header(connection, stream, &header)?
                }
                Ok(Some(Item::DataUnit(packet))) => {
                    self.write_data_unit(connection, stream, packet)?
                }
                Ok(Some(Item::Skipped(skipped))) => self.report_skipped(skipped),
                Ok(None) => {
                    self.flush(connection, stream)?;
                    return Ok(gst::FlowSuccess::Ok);
                }
                // Nobody wants what comes after the application has ended the push.
                Err(_) if connection.has_ended() => return Ok(gst::FlowSuccess::Ok),
                Err(error) => {
                    self.flush(connection, stream)?;
                    connection.fail(Error::Input(error));
                    return Err(gst::FlowError::Error);
                }
            }
        }
    }

    /// Hands over what waits for the end of its buffer.
    fn flush(&self, connection: &Connection, stream: &mut Stream) -> Result<(), gst::FlowError> {
        let batch = &mut stream.batch;
        if batch.is_empty() {
            return Ok(());
        }
        let flushed = self.uninterrupted(|| connection.on_data_units(batch));
        if flushed != Err(gst::FlowError::Flushing) {
            batch.clear();
        }
        flushed
    }

    fn write_header(
        &self,
        connection: &Connection,
        stream: &mut Stream,
        header: &FileHeader,
    ) -> Result<(), gst::FlowError> {
        gst::info!(CAT, imp = self, "File header: {header:?}");
        let (live_header, bitrate) = {
            let settings = self.settings();
            (settings.live_header, settings.bitrate)
        };
        let bitrates = self.tagged_bitrates(stream).of(header, bitrate);
        let live = live_header.then(|| header.to_live_with(&bitrates));
        let shed = self.uninterrupted(|| connection.on_header(live.as_ref().unwrap_or(header)))?;
        for object in shed {
            let text = format!(
                "The ASF file header is too large: its {} of {} bytes is left out.",
                object.name, object.bytes
            );
            bus::post_input_warning(self, self.session_state(), &text);
        }
        stream.pacer.restart();
        stream.live = None;
        stream.entry = Some(Entry {
            key_frames: KeyFrames::of(header),
            since: None,
            dropped: 0,
        });
        Ok(())
    }

    /// What tags have told since the last header, and what the pad's sticky ones tell: those are of this stream, whenever
    /// they came.
    fn tagged_bitrates(&self, stream: &mut Stream) -> TaggedBitrates {
        let mut told = std::mem::take(&mut stream.tags);
        if let Some(pad) = self.obj().static_pad("sink") {
            pad.sticky_events_foreach(|event| {
                if let gst::EventView::Tag(tag) = event.view() {
                    told.add(tag.tag());
                }
                std::ops::ControlFlow::Continue(gst::EventForeachAction::Keep)
            });
        }
        told
    }

    fn write_data_unit(
        &self,
        connection: &Connection,
        stream: &mut Stream,
        packet: DataPacket,
    ) -> Result<(), gst::FlowError> {
        gst::log!(
            CAT,
            imp = self,
            "Data unit of {} bytes, send time {:?}",
            packet.len(),
            packet.send_time()
        );
        if !stream.begins_in(&packet) {
            connection.skip_data_unit();
            return Ok(());
        }
        if let Some(defect) = packet.defect() {
            gst::warning!(
                CAT,
                imp = self,
                "A damaged data packet goes out whole: {defect}"
            );
        }
        let live = *stream.live.get_or_insert_with(|| self.upstream_is_live());
        let paced = connection.is_real_time() && !live && self.obj().is_sync();
        if let Some(send_time) = packet.send_time().filter(|_| paced) {
            self.flush(connection, stream)?;
            self.wait_until(stream, send_time)?;
        }
        stream.batch.push(packet);
        Ok(())
    }

    /// Waits until it is time, as far as `sync` and the clock say so.
    fn wait_until(&self, stream: &mut Stream, send_time: u32) -> Result<(), gst::FlowError> {
        let element = self.obj();
        let Some(now) = element.current_running_time() else {
            return Ok(());
        };
        let due = stream.pacer.schedule(send_time, now);
        while element.is_sync() {
            let (Some(clock), Some(base_time)) = (element.clock(), element.base_time()) else {
                break;
            };
            let latency = element.latency().saturating_sub(element.render_delay());
            let time = (base_time + due + latency)
                .nseconds()
                .saturating_add_signed(element.ts_offset());
            match self
                .clock_wait
                .until(&clock, gst::ClockTime::from_nseconds(time))
            {
                Woken::Due => break,
                // The base time is another one after a pause.
                Woken::Interrupted => element.wait_preroll().map(drop)?,
            }
        }
        Ok(())
    }

    /// EOS: sends what waits and `$E`, and returns when that is on the wire.
    pub(super) fn end(&self) -> Result<(), gst::FlowError> {
        let connection = self.connection().ok_or(gst::FlowError::Flushing)?;
        if connection.state() == push::SessionState::Failed {
            return Err(gst::FlowError::Error);
        }
        if connection.has_ended() {
            return Ok(());
        }
        self.finish_reading(&connection)?;
        let timeout = self.settings().eos_timeout();
        self.uninterrupted(|| connection.on_end_writing(timeout))
    }

    /// What the reader still has at EOS is nothing that can be sent.
    fn finish_reading(&self, connection: &Connection) -> Result<(), gst::FlowError> {
        let mut stream = self.stream();
        loop {
            match stream.reader.finish() {
                Ok(Some(skipped)) => self.report_skipped(skipped),
                Ok(None) => return Ok(()),
                Err(error) => {
                    connection.fail(Error::Input(error));
                    return Err(gst::FlowError::Error);
                }
            }
        }
    }

    /// Does something that blocks, again after each pause.
    ///
    /// When the application has ended the push by itself, what still comes is discarded.
    fn uninterrupted<T: Default>(
        &self,
        mut blocking: impl FnMut() -> Result<T, WriteError>,
    ) -> Result<T, gst::FlowError> {
        loop {
            match blocking() {
                Ok(done) => return Ok(done),
                Err(WriteError::Interrupted) => {
                    self.obj().wait_preroll()?;
                }
                Err(WriteError::Failed(None)) => return Ok(T::default()),
                Err(WriteError::Failed(Some(_))) => return Err(gst::FlowError::Error),
            }
        }
    }

    fn report_skipped(&self, skipped: Skipped) {
        if skipped.reason.is_loss() {
            bus::post_input_warning(
                self,
                self.session_state(),
                &format!("Input is not sent: {skipped}."),
            );
        } else {
            gst::debug!(CAT, imp = self, "Input is not sent: {skipped}");
        }
    }

    fn upstream_is_live(&self) -> bool {
        let mut latency = gst::query::Latency::new();
        let answered = self
            .obj()
            .static_pad("sink")
            .is_some_and(|pad| pad.peer_query(&mut latency));
        let (live, _, _) = latency.result();
        gst::debug!(CAT, imp = self, "Upstream is live: {}", answered && live);
        answered && live
    }
}
