// SPDX-License-Identifier: MPL-2.0

//! Decisions at packet boundaries.

use bytes::Bytes;

use super::chunks::Framing;
use super::{Expect, Reader, State, Step};
use crate::asf::MIN_PACKET_SIZE;
use crate::asf::data_packet::{DataPacket, may_start_with};
use crate::asf::error::Error;
use crate::asf::file_header::{DATA_HEAD, FileHeader, file_header_size};
use crate::asf::format::Format;
use crate::asf::guid::Guid;
use crate::asf::item::{Item, SkipReason, Skipped};
use crate::asf::object::ObjectHead;

impl Reader {
    /// Decides which structure the next bytes start, from as few of them as possible.
    pub(super) fn step_boundary(&mut self) -> Result<Step, Error> {
        let mut head = [0; ObjectHead::LEN];
        let head = self.queue.peek(&mut head);
        if head.is_empty() {
            return Ok(Step::NeedMore);
        }
        let is_new = matches!(self.expect, Expect::Start);
        if let Some(step) = self.step_framing(head, is_new)? {
            return Ok(step);
        }
        let guid = head.get(..16).unwrap_or(head);
        if is_new && Guid::HEADER.mismatch(guid).is_some() {
            return self.step_foreign();
        }
        if !self.expect.may_be_object(guid) {
            self.start_data();
            return Ok(Step::Go);
        }
        let Some(object) = ObjectHead::parse(head) else {
            return Ok(Step::NeedMore);
        };
        self.state = match object.guid {
            Guid::HEADER => State::Header(file_header_size(object)?),
            guid if Guid::TOP_LEVEL.contains(&guid) || !may_start_with(head) => {
                self.skip_object(object)
            }
            _ => State::MorePackets(self.packet_size()),
        };
        Ok(Step::Go)
    }

    /// Handles a stream that does not start with a header. Waits for enough bytes to name its format.
    #[cold]
    fn step_foreign(&self) -> Result<Step, Error> {
        if self.queue.len() < Format::START as u64 {
            return Ok(Step::NeedMore);
        }
        self.foreign().map_or(Ok(Step::Go), Err)
    }

    /// Returns the error for a stream that does not start with a header; `None` without a byte of it.
    pub(super) fn foreign(&self) -> Option<Error> {
        let (State::Boundary, Expect::Start, Framing::Bare) =
            (&self.state, self.expect, self.framing)
        else {
            return None;
        };
        let mut start = [0; Format::START];
        let start = self.queue.peek(&mut start);
        let guid = start.get(..16).unwrap_or(start);
        let (offset, found) = Guid::HEADER.mismatch(guid)?;
        Some(Error::NotAsf {
            offset,
            found,
            format: Format::of(start),
        })
    }

    /// Handles bytes beyond the Data Object's size: they are a data packet if they continue like earlier ones.
    pub(super) fn step_behind_count(&mut self, bytes: Bytes) -> Step {
        let packet = DataPacket::parse(bytes.clone());
        let goes_on = |time| self.pending.is_some() || self.timeline.continues_at(time);
        let first = |parts: Vec<DataPacket>| parts.first()?.send_time();
        let send_time = packet.send_time().or_else(|| first(packet.split()?));
        if send_time.is_some_and(goes_on) {
            self.exceeded = true;
            self.expect = Expect::PacketsOrObjects;
            self.state = State::Boundary;
            return self.yield_packet(packet);
        }
        let object = ObjectHead::parse(&bytes);
        self.queue.put_back(bytes);
        self.state = object.map_or(State::Boundary, |object| self.skip_object(object));
        Step::Go
    }

    /// Reads the next bytes as part of the Data Object, because they start no object.
    fn start_data(&mut self) {
        self.state = match self.expect {
            Expect::Remainder(left) => {
                self.expect = Expect::Objects;
                State::Skip {
                    reason: SkipReason::PartialPacket,
                    seen: 0,
                    left,
                }
            }
            _ => State::Packet(self.packet_size()),
        };
    }

    /// Returns the size of the next packets in bytes.
    fn packet_size(&self) -> usize {
        self.active()
            .map_or(MIN_PACKET_SIZE, FileHeader::packet_size)
    }

    fn skip_object(&mut self, object: ObjectHead) -> State {
        /// Bytes that look like an object of a larger size, in bytes, are not taken for one
        const MAX_OBJECT: u64 = 1 << 40;
        // A live stream's Data Object does not give its size. Only its head is skipped, because packets follow.
        let size = if object.guid == Guid::DATA {
            object.size.max(DATA_HEAD as u64)
        } else {
            object.size
        };
        if (ObjectHead::LEN as u64..=MAX_OBJECT).contains(&size) {
            return State::Skip {
                reason: SkipReason::TopLevelObject(object.guid),
                seen: 0,
                left: size,
            };
        }
        let reason = SkipReason::TrailingData;
        let seen = self.queue.skip(ObjectHead::LEN as u64);
        self.output.push_back(Item::Skipped(Skipped {
            bytes: seen,
            reason,
        }));
        State::Discard { seen: 0, reason }
    }
}
