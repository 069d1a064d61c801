// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;

use bytes::Bytes;

use super::byte_queue::ByteQueue;
use super::data_packet::DataPacket;
use super::error::Error;
use super::file_header::FileHeader;
use super::item::{Item, SkipReason, Skipped};
use chunks::{Chunk, Framing};
use entries::Pending;
use expect::Expect;
use timeline::Timeline;

mod boundary;
mod chunks;
mod cut;
mod entries;
mod expect;
mod timeline;

/// Finds ASF file headers and data packets in bytes that arrive in any split.
///
/// Feed it with [`push`](Reader::push), [`stream_header`](Reader::stream_header), [`restart`](Reader::restart) and
/// [`rewind`](Reader::rewind) in the order of the stream. Call [`next_item`](Reader::next_item) until it returns
/// `None`, and at the end of the input [`finish`](Reader::finish) after that.
///
/// ```text
///            ┌──────────── Header Object's GUID ◄────────────┐
///            ▼                                               │
///  Boundary ──► Header ──► Boundary ──► Packet ──► … ──► Boundary ──► Object ──► Boundary
///     │                                                      │
///     └─ first bytes are no header: error                    ├─ well-formed packet: goes on, see `exceeded_count`
///                                                            └─ no object: Discard, until restart
/// ```
///
/// A stream may also arrive in the chunks of a pulled stream, with `$H` first. Boundaries are then those between
/// chunks.
///
/// A header is recognised at packet boundaries only, because no legal packet looks like one there. The first header is
/// an item at once. A later one becomes an item just before its first packet, and is dropped if none follows. A header
/// equal to the last one becomes an item only if Send Times restart after it: the same file once more.
#[derive(Debug, Default)]
pub struct Reader {
    /// Input events in order; bytes bypass it while it is empty, and go to the byte queue
    input: VecDeque<Input>,
    queue: ByteQueue,
    /// Items to return before the result of the next step
    output: VecDeque<Item>,
    state: State,
    expect: Expect,
    framing: Framing,
    /// A file header that is assembled from several chunks
    pieces: ByteQueue,
    current: Option<FileHeader>,
    /// The current header came from caps, and not in the stream as well
    beside: bool,
    pending: Option<Pending>,
    /// The current header was repeated, and no packet with a Send Time has followed yet
    repeated: bool,
    /// The stream has more packets than the current header announces
    exceeded: bool,
    /// Send Times of the packets after the current header
    timeline: Timeline,
}

/// An input event that waits for its turn
#[derive(Debug)]
enum Input {
    Data(Bytes),
    StreamHeader(FileHeader),
    Restart,
    Rewind(u64),
    Join(u64),
}

/// The structure that the next bytes belong to
#[derive(Debug, Default)]
enum State {
    /// None yet: they start one
    #[default]
    Boundary,
    /// An ASF file header of this size in bytes
    Header(usize),
    /// A data packet of this size in bytes
    Packet(usize),
    /// After the last announced packet: another data packet of this size in bytes, or an object
    MorePackets(usize),
    /// A chunk with a piece of a file header, or with a data packet
    Chunk(Chunk),
    /// Bytes to skip
    Skip {
        reason: SkipReason,
        seen: u64,
        left: u64,
    },
    /// None: all input is dropped until the next stream start or file header. `seen` bytes are not reported yet.
    Discard { seen: u64, reason: SkipReason },
    /// None: the reader failed with this error
    Failed(Error),
}

/// The outcome of a step
enum Step {
    /// The state changed: take another step
    Go,
    /// A complete packet, to be returned after `output`
    Packet(DataPacket),
    /// More bytes are needed
    NeedMore,
}

impl Reader {
    /// Creates a reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes. A packet that lies within `data` stays a slice of it.
    pub fn push(&mut self, data: Bytes) {
        if self.input.is_empty() {
            self.queue.push(data);
        } else {
            self.input.push_back(Input::Data(data));
        }
    }

    /// Takes a header from outside the stream, such as the buffers of `streamheader` in caps, concatenated.
    ///
    /// The same header in the stream afterwards changes nothing. A header other than the last one starts over: the rest
    /// of an incomplete packet is dropped, and the next packets belong to the new header.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not an ASF file header. The reader then continues as if the call had not happened.
    pub fn stream_header(&mut self, header: Bytes) -> Result<(), Error> {
        self.input
            .push_back(Input::StreamHeader(FileHeader::parse(header)?));
        Ok(())
    }

    /// Restarts the stream: after STREAM_START, or at the end of a flush.
    ///
    /// The rest of an incomplete packet is dropped. Packets without a header before them belong to the last header.
    pub fn restart(&mut self) {
        self.input.push_back(Input::Restart);
    }

    /// Moves the write position back to byte `to` of the stream, without a restart.
    ///
    /// At 0 the stream is written again from its header on. Any other position means that a muxer corrects fields of
    /// data already read. That is too late, so all input is dropped until the next start.
    pub fn rewind(&mut self, to: u64) {
        self.input.push_back(Input::Rewind(to));
    }

    /// Continues after a [restart](Reader::restart) at byte `at` of a file with the last header. The rest of a packet
    /// that begins before `at` is skipped.
    pub fn join(&mut self, at: u64) {
        self.input.push_back(Input::Join(at));
    }

    /// Returns the next item; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// Fails if a header is malformed, if its packets cannot be sent, or if the stream does not start with a header.
    /// All later calls return the same error, and all input is dropped.
    pub fn next_item(&mut self) -> Result<Option<Item>, Error> {
        loop {
            if let Some(item) = self.output.pop_front() {
                return Ok(Some(item));
            }
            match self.step() {
                Ok(Step::Go) => {}
                Ok(Step::Packet(packet)) if self.output.is_empty() => {
                    return Ok(Some(Item::DataUnit(packet)));
                }
                Ok(Step::Packet(packet)) => self.output.push_back(Item::DataUnit(packet)),
                Ok(Step::NeedMore) => match self.input.pop_front() {
                    Some(input) => self.handle(input),
                    None => return Ok(None),
                },
                Err(error) => {
                    self.queue.clear();
                    self.pieces.clear();
                    self.input.clear();
                    self.state = State::Failed(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Ends the input. Returns incomplete input that is left, if any; call it again until it returns `None`.
    ///
    /// # Errors
    ///
    /// Fails if the input had no complete ASF file header, or if [`next_item`](Reader::next_item) has failed.
    pub fn finish(&mut self) -> Result<Option<Skipped>, Error> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        if self.current.is_none() {
            let bytes = self.queue.len().saturating_add(self.pieces.len());
            return Err(self.foreign().unwrap_or(Error::Incomplete { bytes }));
        }
        self.drop_tail();
        self.drop_pending();
        Ok(self
            .output
            .iter()
            .position(|item| matches!(item, Item::Skipped(_)))
            .and_then(|at| match self.output.remove(at) {
                Some(Item::Skipped(skipped)) => Some(skipped),
                _ => None,
            }))
    }

    /// Returns the last header that was an item.
    pub fn header(&self) -> Option<&FileHeader> {
        self.current.as_ref()
    }

    /// Returns whether the last header that was an item has come only from outside the stream so far. Then the stream
    /// may have been joined in its middle.
    pub fn is_joined(&self) -> bool {
        self.beside
    }

    /// Returns the number of data packets that the last header announces, if the stream has more. All of them are
    /// items.
    pub fn exceeded_count(&self) -> Option<u64> {
        self.header()?.data_packets().filter(|_| self.exceeded)
    }

    /// Returns the header of the next packets.
    fn active(&self) -> Option<&FileHeader> {
        self.pending
            .as_ref()
            .map(|pending| &pending.header)
            .or(self.current.as_ref())
    }

    fn handle(&mut self, input: Input) {
        let foreign = match input {
            Input::Data(_) => None,
            _ => self.foreign(),
        };
        if let Some(error) = foreign {
            self.state = State::Failed(error);
            return;
        }
        match input {
            Input::Data(data) => self.queue.push(data),
            Input::StreamHeader(header) => {
                if self.active() != Some(&header) {
                    self.drop_tail();
                    self.adopt(header, true);
                } else if self.pending.is_none() {
                    self.repeated = true;
                }
            }
            Input::Restart | Input::Rewind(0) => self.start_over(),
            Input::Join(at) => self.align(at),
            Input::Rewind(_) => {
                self.drop_tail();
                self.state = State::Discard {
                    seen: 0,
                    reason: SkipReason::RewrittenHeader,
                };
            }
        }
    }

    /// Skips the rest of the packet or the header at byte `at` of a file.
    fn align(&mut self, at: u64) {
        let Some(header) = self.active() else {
            return;
        };
        let (data, packet) = (header.as_bytes().len() as u64, header.packet_size() as u64);
        let left = match at.checked_sub(data) {
            Some(behind) => behind
                .next_multiple_of(packet.max(1))
                .saturating_sub(behind),
            None => data.saturating_sub(at),
        };
        if left > 0 {
            let reason = SkipReason::Unaligned;
            self.state = State::Skip {
                reason,
                seen: 0,
                left,
            };
        }
    }

    /// Expects a stream start at the next byte. A header from caps stays valid.
    fn start_over(&mut self) {
        self.drop_tail();
        let pending = self.pending.as_ref();
        if pending.is_some_and(|pending| !pending.from_caps) {
            self.drop_pending();
        }
        self.expect = if self.active().is_some() {
            Expect::PacketsOrObjects
        } else {
            Expect::Start
        };
        self.framing = Framing::Unknown;
    }

    fn step(&mut self) -> Result<Step, Error> {
        match &self.state {
            State::Boundary => self.step_boundary(),
            State::Header(size) => self.step_header(*size),
            State::Packet(size) => Ok(self.step_packet(*size)),
            State::MorePackets(size) => match self.queue.take(*size) {
                Some(bytes) => Ok(self.step_behind_count(bytes)),
                None => Ok(Step::NeedMore),
            },
            State::Chunk(chunk) => {
                let chunk = *chunk;
                let Some(bytes) = self.queue.take(chunk.size()) else {
                    return Ok(Step::NeedMore);
                };
                self.state = State::Boundary;
                self.take_chunk(chunk, bytes)
            }
            State::Skip { .. } => Ok(self.step_skip()),
            State::Discard { .. } => Ok(self.step_discard()),
            State::Failed(error) => Err(error.clone()),
        }
    }

    fn step_header(&mut self, size: usize) -> Result<Step, Error> {
        let Some(bytes) = self.queue.take(size) else {
            return Ok(Step::NeedMore);
        };
        if !self.is_cut(&bytes, SkipReason::PartialHeader) {
            self.state = State::Boundary;
            self.adopt(FileHeader::parse(bytes)?, false);
        }
        Ok(Step::Go)
    }

    #[inline]
    fn step_packet(&mut self, size: usize) -> Step {
        let Some(bytes) = self.queue.take(size) else {
            return Step::NeedMore;
        };
        if self.is_cut(&bytes, SkipReason::PartialPacket) {
            return Step::Go;
        }
        self.state = State::Boundary;
        self.yield_packet(DataPacket::parse(bytes))
    }

    #[inline]
    fn yield_packet(&mut self, packet: DataPacket) -> Step {
        if let Expect::Packets { left, remainder } = self.expect {
            self.expect = Expect::after_packets(left.saturating_sub(1), remainder);
        }
        let Some(send_time) = packet.send_time() else {
            return self.yield_unreadable(packet);
        };
        self.start_entry(Some(send_time));
        Step::Packet(packet)
    }

    /// Yields an opaque or damaged packet, or the packets that it splits into.
    #[cold]
    fn yield_unreadable(&mut self, packet: DataPacket) -> Step {
        let Some(parts) = packet.split() else {
            self.start_entry(None);
            return Step::Packet(packet);
        };
        self.start_entry(parts.first().and_then(DataPacket::send_time));
        self.output.extend(parts.into_iter().map(Item::DataUnit));
        Step::Go
    }

    /// Drops an incomplete structure.
    fn drop_tail(&mut self) {
        self.drop_pieces();
        let rest = self.queue.clear();
        let (bytes, reason) = match std::mem::take(&mut self.state) {
            State::Boundary => match self.expect {
                Expect::Start => (rest, SkipReason::PartialHeader),
                Expect::PacketsOrObjects | Expect::Packets { .. } | Expect::Remainder(_) => {
                    (rest, SkipReason::PartialPacket)
                }
                Expect::Objects => (rest, SkipReason::TrailingData),
            },
            State::MorePackets(_) => (rest, SkipReason::TrailingData),
            State::Header(_) => (rest, SkipReason::PartialHeader),
            State::Packet(_) => (rest, SkipReason::PartialPacket),
            State::Chunk(chunk) => (rest, chunk.partial()),
            State::Skip { reason, seen, .. } => (seen.saturating_add(rest), reason),
            State::Discard { reason, seen } => (seen.saturating_add(rest), reason),
            State::Failed(error) => {
                self.state = State::Failed(error);
                return;
            }
        };
        if bytes > 0 {
            self.output
                .push_back(Item::Skipped(Skipped { bytes, reason }));
        }
    }
}

#[cfg(test)]
mod tests;
