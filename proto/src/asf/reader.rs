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

/// Finds ASF file headers and data packets in bytes that come in any split.
///
/// Feed it with [`push`](Reader::push) and, as they happen, [`stream_header`](Reader::stream_header),
/// [`restart`](Reader::restart) and [`rewind`](Reader::rewind): all of them are kept in their order. Call
/// [`next_item`](Reader::next_item) until it gives `None`; at the end of the input,
/// [`finish`](Reader::finish) after that.
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
/// A stream may also come in the chunks of a pulled one, with `$H` first: then a boundary is one between two chunks.
///
/// A header is recognised at packet boundaries only, where no legal packet can be taken for one. The first one is
/// an item at once; a later one becomes an item just before its first packet, and is dropped when none follows. A
/// header equal to the last one becomes an item only if Send Times start again behind it: the same file once more.
/// Otherwise it says nothing new.
#[derive(Debug, Default)]
pub struct Reader {
    /// What happened and is not dealt with; bytes are in the queue at once when nothing stands before them
    input: VecDeque<Input>,
    queue: ByteQueue,
    /// Items that come before what the next step finds
    output: VecDeque<Item>,
    state: State,
    expect: Expect,
    framing: Framing,
    /// A file header that is put together from several chunks
    pieces: ByteQueue,
    current: Option<FileHeader>,
    /// The current header came from caps, and not in the stream as well
    beside: bool,
    pending: Option<Pending>,
    /// The current header has come again, and no packet with a Send Time since
    repeated: bool,
    /// More packets have come than the current header announces
    exceeded: bool,
    /// That of the packets behind the current header
    timeline: Timeline,
}

/// What happened to the reader, and is not dealt with yet
#[derive(Debug)]
enum Input {
    Data(Bytes),
    StreamHeader(FileHeader),
    Restart,
    Rewind(u64),
    Join(u64),
}

/// What the next bytes belong to
#[derive(Debug, Default)]
enum State {
    /// Not decided: they start something
    #[default]
    Boundary,
    /// An ASF file header of this size
    Header(usize),
    /// A data packet of this size
    Packet(usize),
    /// A data packet of this size behind the last one that was announced, or an object
    MorePackets(usize),
    /// A chunk with a piece of a file header, or with a data packet
    Chunk(Chunk),
    /// Something that is counted down
    Skip {
        reason: SkipReason,
        seen: u64,
        left: u64,
    },
    /// Nothing, until the next start or file header. `seen` bytes of it are not reported yet.
    Discard { seen: u64, reason: SkipReason },
    /// An error was found
    Failed(Error),
}

/// What a step came to
enum Step {
    /// Something changed: look again
    Go,
    /// A packet is whole; it comes behind what is in `output`
    Packet(DataPacket),
    /// There are too few bytes
    NeedMore,
}

impl Reader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes. Packets that lie whole in `data` stay slices of it.
    pub fn push(&mut self, data: Bytes) {
        if self.input.is_empty() {
            self.queue.push(data);
        } else {
            self.input.push_back(Input::Data(data));
        }
    }

    /// Takes a header that came beside the stream, as `streamheader` caps do: the bytes of all its buffers.
    ///
    /// The same header in the stream afterwards is no change. A header other than the last one starts over: what the
    /// stream has left of a packet is dropped, and packets are the new header's.
    ///
    /// # Errors
    ///
    /// When the bytes are not an ASF file header. The reader then goes on as if it had not been called.
    pub fn stream_header(&mut self, header: Bytes) -> Result<(), Error> {
        self.input
            .push_back(Input::StreamHeader(FileHeader::parse(header)?));
        Ok(())
    }

    /// A stream starts over: STREAM_START, or the end of a flush.
    ///
    /// What is left of a packet is dropped. Packets without a header in front are taken for the last header's.
    pub fn restart(&mut self) {
        self.input.push_back(Input::Restart);
    }

    /// The stream goes on at byte `to`, which it was past already, without a new start.
    ///
    /// At 0 it is written again from its header on. Anywhere else, fields are corrected in what was there already,
    /// which is too late: all input is dropped until the next start.
    pub fn rewind(&mut self, to: u64) {
        self.input.push_back(Input::Rewind(to));
    }

    /// Behind a [restart](Reader::restart), the stream goes on at byte `at` of a file with the last header: what is left of a
    /// packet there is left out.
    pub fn join(&mut self, at: u64) {
        self.input.push_back(Input::Join(at));
    }

    /// The next item; `None` when it takes more bytes.
    ///
    /// # Errors
    ///
    /// When a header is malformed or its packets cannot be sent, or when the stream does not start with one. From then
    /// on the same error is returned, and all input dropped.
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

    /// The input has ended. Returns what it left over, if anything; further calls, if there is more of it.
    ///
    /// # Errors
    ///
    /// When there never was a whole ASF file header, or [`next_item`](Reader::next_item) had failed.
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

    /// The last header that was an item.
    pub fn header(&self) -> Option<&FileHeader> {
        self.current.as_ref()
    }

    /// Whether the last header that was an item came beside the stream and, so far, not in it: then the stream may have
    /// been joined in its middle.
    pub fn is_joined(&self) -> bool {
        self.beside
    }

    /// The number of data packets that the last header announces, if more have come. They are items like the others.
    pub fn exceeded_count(&self) -> Option<u64> {
        self.header()?.data_packets().filter(|_| self.exceeded)
    }

    /// The header that the next packets belong to.
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

    /// Leaves out what is left of a packet, or of the header, at byte `at` of a file.
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

    /// Expects a start at the next byte. A header from caps stays in force.
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
        match &mut self.state {
            State::Boundary => return self.step_boundary(),
            State::Header(size) => {
                let Some(bytes) = self.queue.take(*size) else {
                    return Ok(Step::NeedMore);
                };
                if self.is_cut(&bytes, SkipReason::PartialHeader) {
                    return Ok(Step::Go);
                }
                self.state = State::Boundary;
                self.adopt(FileHeader::parse(bytes)?, false);
            }
            State::Packet(size) => {
                let Some(bytes) = self.queue.take(*size) else {
                    return Ok(Step::NeedMore);
                };
                if self.is_cut(&bytes, SkipReason::PartialPacket) {
                    return Ok(Step::Go);
                }
                self.state = State::Boundary;
                return Ok(self.yield_packet(DataPacket::parse(bytes)));
            }
            State::MorePackets(size) => {
                let Some(bytes) = self.queue.take(*size) else {
                    return Ok(Step::NeedMore);
                };
                return Ok(self.step_behind_count(bytes));
            }
            State::Chunk(chunk) => {
                let chunk = *chunk;
                let Some(bytes) = self.queue.take(chunk.size()) else {
                    return Ok(Step::NeedMore);
                };
                self.state = State::Boundary;
                return self.take_chunk(chunk, bytes);
            }
            State::Skip { .. } => return Ok(self.step_skip()),
            State::Discard { .. } => return Ok(self.step_discard()),
            State::Failed(error) => return Err(error.clone()),
        }
        Ok(Step::Go)
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

    /// A packet that is opaque or damaged, or several in its place.
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

    /// What was begun does not go on.
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
