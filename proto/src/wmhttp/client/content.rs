// SPDX-License-Identifier: MPL-2.0

//! Content from the higher layer: 3.1.4 Higher-Layer Triggered Events.

use bytes::Bytes;

use super::{Last, Offer, PushSession, Queued, State};
use crate::asf::{DataPacket, FileHeader};
use crate::wmhttp::packet::{MAX_PAYLOAD, PacketId, put_framing_header};
use crate::wmhttp::{Event, HResult};

impl PushSession {
    /// 3.1.4.2 Request to Start Streaming Content
    ///
    /// Held until the server is configured. Once streaming has started, the call acts as
    /// [`new_header`](Self::new_header). The header has to fit `$H`, or then `$C`:
    /// [`FileHeader::shed_for`](crate::asf::FileHeader::shed_for) reduces one that does not.
    pub fn start_streaming(&mut self, header: FileHeader) -> Offer<FileHeader> {
        self.largest.include(&header);
        match self.state {
            _ if self.awaits_tunnel() => Offer::Held(header),
            State::PushSetupComplete => {
                self.header = Some(header);
                self.send_first_push_start();
                Offer::Taken
            }
            State::PushStartInProgress { .. } => self.new_header(header),
            _ => Offer::Held(header),
        }
    }

    /// 3.1.4.3 ASF Packet Is Available to Send
    ///
    /// The packet has at most [`MAX_PAYLOAD`](crate::wmhttp::MAX_PAYLOAD) bytes, as those of a
    /// [`Reader`](crate::asf::Reader) have. It is held after `$E` (S_FALSE) until the next header.
    pub fn data_unit(&mut self, packet: DataPacket) -> Offer<DataPacket> {
        let State::PushStartInProgress {
            last: Last::Header | Last::Data,
        } = self.state
        else {
            return Offer::Held(packet);
        };
        if self.awaits_tunnel() {
            return Offer::Held(packet);
        }
        let mut size = packet.len();
        let unpadded = self.config.remove_padding.then(|| packet.without_padding());
        if let Some(unpadded) = &unpadded {
            size = unpadded.len();
        }
        if !self.length_remaining.debit(PacketId::Data.size_with(size)) {
            self.fill();
            return Offer::Held(packet);
        }
        put_framing_header(&mut self.heads, PacketId::Data, None, size);
        match unpadded {
            Some(unpadded) => {
                self.counters.add_padding(unpadded.removed);
                self.heads.extend_from_slice(unpadded.head.as_slice());
                self.send_body(unpadded.body);
            }
            None => self.send_body(packet.as_bytes().clone()),
        }
        self.counters.packets = self.counters.packets.saturating_add(1);
        self.state = State::PushStartInProgress { last: Last::Data };
        Offer::Taken
    }

    /// 3.1.4.5 Notification of New ASF Header File, and the end of the entry before it (3.1.4.4 Notification of the
    /// Last Packet with S_FALSE)
    ///
    /// The header has to fit `$C`: see [`FileHeader::shed_for`](crate::asf::FileHeader::shed_for).
    pub fn new_header(&mut self, header: FileHeader) -> Offer<FileHeader> {
        self.largest.include(&header);
        let State::PushStartInProgress { last } = self.state else {
            return Offer::Held(header);
        };
        if self.awaits_tunnel() {
            return Offer::Held(header);
        }
        if last != Last::EndOfEntry {
            if !self.length_remaining.debit_end_of_entry() {
                self.fill();
                return Offer::Held(header);
            }
            put_framing_header(
                &mut self.heads,
                PacketId::EndOfStream,
                Some(HResult::S_FALSE),
                0,
            );
            self.send_body(Bytes::new());
            self.state = State::PushStartInProgress {
                last: Last::EndOfEntry,
            };
        }
        if !self.send_packet(
            PacketId::StreamChange,
            Some(HResult::S_OK),
            header.as_bytes().clone(),
        ) {
            self.fill();
            return Offer::Held(header);
        }
        self.header = Some(header);
        self.state = State::PushStartInProgress { last: Last::Header };
        Offer::Taken
    }

    /// 3.1.4.4 Notification of the Last Packet: `$E` with a Reason that ends the session.
    ///
    /// A session that never started streaming ends without `$E`.
    pub fn end_of_stream(&mut self, reason: HResult) -> Offer<HResult> {
        debug_assert!(
            reason != HResult::S_FALSE,
            "S_FALSE announces another header"
        );
        match self.state {
            _ if self.awaits_tunnel() => Offer::Held(reason),
            State::PushStartInProgress { .. } if self.length_remaining.debit_end_of_stream() => {
                put_framing_header(&mut self.heads, PacketId::EndOfStream, Some(reason), 0);
                let last = self.heads.split().freeze();
                self.end(State::Ending, last)
            }
            State::PushStartInProgress { .. } => {
                self.fill();
                Offer::Held(reason)
            }
            State::PushSetupComplete | State::Idle => self.end(State::End, Bytes::new()),
            State::PushSetupSent { .. }
            | State::AwaitingPushStartResponse { .. }
            | State::AwaitingCredentials { .. } => Offer::Held(reason),
            State::Ending | State::End => Offer::Taken,
        }
    }

    /// Returns whether `header` is the last one that was sent, including the current PushStart.
    pub fn is_in_force(&self, header: &FileHeader) -> bool {
        let known = self.header.as_ref();
        known.is_some_and(|known| known.as_bytes() == header.as_bytes())
    }

    /// Sends a packet with the payload `payload`, if there is room for it.
    pub(super) fn send_packet(
        &mut self,
        id: PacketId,
        reason: Option<HResult>,
        payload: Bytes,
    ) -> bool {
        if !self.length_remaining.debit(id.size_with(payload.len())) {
            return false;
        }
        put_framing_header(&mut self.heads, id, reason, payload.len());
        self.send_body(payload);
        true
    }

    /// Sends the contents of `heads`, then `rest`.
    pub(super) fn send_body(&mut self, rest: Bytes) {
        let heads = self.heads.split().freeze();
        self.counters.add_body(heads.len());
        self.counters.add_body(rest.len());
        self.queued.push_back(Queued::Body(heads));
        if !rest.is_empty() {
            self.queued.push_back(Queued::Body(rest));
        }
    }

    /// Fills the body with `$F` and waits for the response (3.1.4.3 ASF Packet Is Available to Send).
    fn fill(&mut self) {
        // Not a static: zeros that can be borrowed are 64 kB of the plugin's file.
        let zeros = Bytes::from(vec![0; MAX_PAYLOAD]);
        for payload in self.length_remaining.fill() {
            put_framing_header(&mut self.heads, PacketId::Filler, None, payload);
            self.send_body(zeros.slice(..payload));
        }
        if let State::PushStartInProgress { last } = self.state {
            self.state = State::AwaitingPushStartResponse { last };
        }
    }

    fn end(&mut self, state: State, last: Bytes) -> Offer<HResult> {
        self.counters.add_body(last.len());
        self.queued.push_back(Queued::Close(last));
        self.events.push_back(Event::SessionEnded);
        self.state = state;
        Offer::Taken
    }
}
