// SPDX-License-Identifier: MPL-2.0

//! What starts between two packets.

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
    /// Decides what the next bytes start, by as few of them as it takes.
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

    /// The stream does not start with a header: waits until it can tell what it is.
    #[cold]
    fn step_foreign(&self) -> Result<Step, Error> {
        if self.queue.len() < Format::START as u64 {
            return Ok(Step::NeedMore);
        }
        self.foreign().map_or(Ok(Step::Go), Err)
    }

    /// What is wrong with a stream that has begun, and not with a header.
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

    /// More bytes than the Data Object has by its size: they are a data packet if they go on like the ones before.
    pub(super) fn step_behind_count(&mut self, bytes: Bytes) -> Step {
        let packet = DataPacket::parse(bytes.clone());
        let goes_on = |time| self.pending.is_some() || self.timeline.goes_on_at(time);
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

    /// The next bytes start no object, so they are the Data Object's.
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

    /// That of the next packets.
    fn packet_size(&self) -> usize {
        self.active()
            .map_or(MIN_PACKET_SIZE, FileHeader::packet_size)
    }

    fn skip_object(&mut self, object: ObjectHead) -> State {
        /// Over this size, in bytes, what looks like an object is none
        const MAX_OBJECT: u64 = 1 << 40;
        // A Data Object of a live stream does not say its size; its head is skipped, and packets follow.
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
