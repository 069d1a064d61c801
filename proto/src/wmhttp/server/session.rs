// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::{BadBody, Reply, Timeouts, Violation};
use crate::asf::{DataPacket, FileHeader};
use crate::wmhttp::packet::{FRAMING_HEADER_SIZE, MAX_PAYLOAD};
use crate::wmhttp::{HResult, MAX_STREAM_CHANGE_PAYLOAD, Packet, PushId, least_content_length};

/// Violations kept until [`ReceivingSession::take_violations`], at most.
const MAX_VIOLATIONS: usize = 64;

/// Identifies a session without its push-id, which is secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub(super) u64);

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Time of the last packet of a session that is handed out, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<AtomicU64>);

impl Heard {
    fn note(&self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.0.store(now, Ordering::Relaxed);
    }

    pub(super) fn is_stale(&self, now: Duration, after: Duration) -> bool {
        let last = Duration::from_millis(self.0.load(Ordering::Relaxed));
        now.saturating_sub(last) >= after
    }
}

/// The content of a packet (3.2.5 Message Processing Events and Sequencing Rules).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// 3.2.5.3 Receiving an $H Packet: the ASF file header.
    Header(Bytes),
    /// 3.2.5.6 Receiving a $C Packet: the ASF file header of the next playlist entry.
    StreamChange(Bytes),
    /// 3.2.5.4 Receiving a $D Packet: an ASF data packet, usually without its padding.
    Data(Bytes),
    /// 3.2.5.5 Receiving an $E Packet: the end of a playlist entry (S_FALSE) or of the session (anything else).
    EndOfStream(HResult),
    /// 3.2.5.7 Receiving an $F Packet: this number of filler bytes, to be ignored.
    Filler(usize),
}

/// The state of a session in figure 7.
///
/// ```text
/// Configured --PushStart--> Start
/// Start --$H--> Entry                      Entry --$D, $F--> Entry
/// Entry --$E (S_FALSE)--> BetweenEntries   BetweenEntries --$F, $E (S_FALSE)--> BetweenEntries
/// BetweenEntries --$C--> Entry             Entry, BetweenEntries --any other $E--> Ended
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// There was no PushStart yet.
    Configured,
    Start,
    Entry,
    BetweenEntries,
    Ended,
}

/// A session whose PushStart body is being received: 3.2.5.2 Receiving a PushStart Request, and the sections of its
/// packets after that.
///
/// [`Sessions::push_start`](super::Sessions::push_start) hands it out, and
/// [`complete`](super::Sessions::complete), [`lost`](super::Sessions::lost) or [`end`](super::Sessions::end) takes it
/// back. The next PushStart continues in the same state.
pub struct ReceivingSession {
    pub(super) key: SessionKey,
    pub(super) push_id: PushId,
    pub(super) point: String,
    pub(super) auto_destroy: bool,
    /// Time at which the Idle-Timeout or, between requests, the Inactivity-Timeout expires (3.2.2 Timers).
    pub(super) deadline: Duration,
    pub(super) heard: Heard,
    timeouts: Timeouts,
    order: Order,
    /// True if `$H` may be repeated: after a connection loss the client cannot know whether it was received.
    header_may_repeat: bool,
    content_length: u64,
    remaining: u64,
    /// Size of the data packets in bytes, by the last file header; 0 if unknown.
    packet_size: usize,
    /// True once padding was noted, which is in every packet or in none.
    padding_noted: bool,
    violations: VecDeque<Violation>,
}

impl ReceivingSession {
    pub(super) fn new(
        key: SessionKey,
        push_id: PushId,
        point: String,
        timeouts: Timeouts,
        now: Duration,
    ) -> Self {
        Self {
            key,
            push_id,
            point,
            auto_destroy: false,
            deadline: now.saturating_add(timeouts.inactivity),
            heard: Heard::default(),
            timeouts,
            order: Order::Configured,
            header_may_repeat: false,
            content_length: 0,
            remaining: 0,
            packet_size: 0,
            padding_noted: false,
            violations: VecDeque::new(),
        }
    }

    /// 3.2.5.2 Receiving a PushStart Request: begins a body of `content_length` bytes.
    pub(super) fn begin(&mut self, content_length: u64, now: Duration) {
        if self.order == Order::Configured {
            self.order = Order::Start;
        }
        self.content_length = content_length;
        self.remaining = content_length;
        self.restart_idle_timeout(now);
    }

    /// Returns whether the session has had a PushStart.
    pub(super) fn has_started(&self) -> bool {
        self.order != Order::Configured
    }

    /// 3.2.2 Timers: restarts the Idle-Timeout at the start of a PushStart, and at `$H`, `$D` and `$C`.
    fn restart_idle_timeout(&mut self, now: Duration) {
        self.deadline = now.saturating_add(self.timeouts.idle);
        self.heard.note(now);
    }

    /// Allows a repeated `$H`, because the client cannot know which part of an incomplete body was received.
    pub(super) fn allow_repeated_header(&mut self) {
        self.header_may_repeat = true;
    }

    /// 3.2.5.2.1 Sending a PushStart Response: starts the Inactivity-Timeout, which runs between requests.
    pub(super) fn wait_for_request(&mut self, now: Duration) {
        self.deadline = now.saturating_add(self.timeouts.inactivity);
    }

    /// Removes the next packet from `input`; `None` if more bytes are needed, or the body is complete.
    ///
    /// Bytes after the body stay in `input`, because they belong to the next request.
    ///
    /// # Errors
    ///
    /// [`BadBody`]. End the session then.
    pub fn receive(
        &mut self,
        input: &mut BytesMut,
        now: Duration,
    ) -> Result<Option<Received>, BadBody> {
        if self.is_complete() || self.has_ended() {
            return Ok(None);
        }
        self.check_length(input)?;
        let Some(packet) = Packet::decode(input)? else {
            return Ok(None);
        };
        let first = self.remaining == self.content_length;
        self.remaining = self.remaining.saturating_sub(packet.size() as u64);
        check_size(&packet)?;
        self.step(&packet, first)?;
        self.header_may_repeat = false;
        self.note_violations(&packet);
        if !matches!(packet, Packet::Filler(_) | Packet::EndOfStream(_)) {
            self.restart_idle_timeout(now);
        }
        Ok(Some(match packet {
            Packet::Header(header) => Received::Header(header),
            Packet::StreamChange(header) => Received::StreamChange(header),
            Packet::Data(packet) => Received::Data(packet),
            Packet::EndOfStream(reason) => Received::EndOfStream(reason),
            Packet::Filler(filler) => Received::Filler(filler.len()),
        }))
    }

    /// Checks that the packet ends within the body, and that the body is not too short for a packet.
    fn check_length(&self, input: &[u8]) -> Result<(), BadBody> {
        let room = self.remaining;
        if room < FRAMING_HEADER_SIZE as u64 {
            return Err(BadBody::Remainder { bytes: room });
        }
        let [_, _, low, high, ..] = input else {
            return Ok(());
        };
        let length = u16::from_le_bytes([*low, *high]);
        let size = u64::from(length).saturating_add(FRAMING_HEADER_SIZE as u64);
        match size > room {
            true => Err(BadBody::Excess { size, room }),
            false => Ok(()),
        }
    }

    /// Moves in the diagram of 4.6.1 Expanded Streaming State Diagram (figure 7).
    fn step(&mut self, packet: &Packet, first: bool) -> Result<(), BadBody> {
        let may_repeat = first && self.header_may_repeat;
        self.order = match (self.order, packet) {
            (Order::Configured | Order::Start, Packet::Header(_)) => Order::Entry,
            (Order::Configured | Order::Start, other) => {
                return Err(BadBody::NoHeader(other.id()));
            }
            // `receive` reads nothing after the final $E.
            (Order::Ended, _) => Order::Ended,
            (Order::Entry | Order::BetweenEntries, Packet::Header(_)) if may_repeat => Order::Entry,
            (Order::Entry | Order::BetweenEntries, Packet::Header(_)) => {
                return Err(BadBody::SecondHeader);
            }
            (Order::Entry, Packet::Data(_)) => Order::Entry,
            (Order::BetweenEntries, Packet::Data(_)) => return Err(BadBody::DataBetweenEntries),
            (order @ (Order::Entry | Order::BetweenEntries), Packet::Filler(_)) => order,
            (Order::Entry | Order::BetweenEntries, Packet::EndOfStream(HResult::S_FALSE)) => {
                Order::BetweenEntries
            }
            (Order::Entry | Order::BetweenEntries, Packet::EndOfStream(_)) => Order::Ended,
            (Order::BetweenEntries, Packet::StreamChange(_)) => Order::Entry,
            (Order::Entry, Packet::StreamChange(_)) => {
                return Err(BadBody::StreamChangeWithinEntry);
            }
        };
        Ok(())
    }

    /// Notes departures from the specification in a packet that the server can accept.
    fn note_violations(&mut self, packet: &Packet) {
        match packet {
            Packet::Header(header) => self.note_header(header, "2.2.3.6"),
            Packet::StreamChange(header) => self.note_header(header, "2.2.3.2"),
            Packet::Data(packet) => self.note_data(packet),
            Packet::Filler(filler) if filler.iter().any(|byte| *byte != 0) => {
                self.note(Violation::should("2.2.3.5", "$F has bytes other than 0x00"));
            }
            Packet::EndOfStream(HResult::S_FALSE) if self.is_complete() => {
                let text = "$E (S_FALSE) ends a body, which Windows Media Services never answer";
                self.note(Violation::interoperability("note <14>", text));
            }
            Packet::Filler(_) | Packet::EndOfStream(_) => {}
        }
    }

    fn note_header(&mut self, header: &Bytes, section: &'static str) {
        match FileHeader::parse(header.clone()) {
            Ok(parsed) => {
                self.packet_size = parsed.packet_size();
                let least = least_content_length(self.packet_size, header.len());
                if self.content_length < least {
                    let text = format!("Content-Length is below {least}");
                    self.note(Violation::must("3.1.4.2.1", text));
                }
            }
            Err(error) => {
                self.packet_size = 0;
                let text = format!("the payload is not an ASF file header: {error}");
                self.note(Violation::must(section, text));
            }
        }
    }

    fn note_data(&mut self, packet: &Bytes) {
        if self.packet_size != 0 && packet.len() > self.packet_size {
            let text = "$D is larger than the packets of the ASF file header";
            self.note(Violation::must("2.2.3.3", text));
        } else if !self.padding_noted
            && DataPacket::parse(packet.clone()).without_padding().removed != 0
        {
            self.padding_noted = true;
            self.note(Violation::should("2.2.3.3", "$D still has its padding"));
        }
    }

    /// Keeps a violation, unless [`MAX_VIOLATIONS`] are kept already.
    fn note(&mut self, violation: Violation) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push_back(violation);
        }
    }

    /// Returns whether the whole body was received, so that the response is due.
    pub fn is_complete(&self) -> bool {
        self.remaining == 0
    }

    /// Returns whether the final `$E` was received. The server may then close without a response (3.2.5.5 Receiving an
    /// $E Packet).
    pub fn has_ended(&self) -> bool {
        self.order == Order::Ended
    }

    /// Returns the client's departures from the specification since the last call, and forgets them.
    pub fn take_violations(&mut self) -> impl Iterator<Item = Violation> + use<> {
        std::mem::take(&mut self.violations).into_iter()
    }

    /// Returns the time at which the Idle-Timeout expires.
    pub fn next_timeout(&self) -> Duration {
        self.deadline
    }

    /// 3.2.6.1 Idle-Timeout Timer Expires: returns the response to send; `None` before that time.
    #[must_use]
    pub fn handle_timeout(&self, now: Duration) -> Option<Reply> {
        (now >= self.deadline).then(|| Reply::last(StatusCode::REQUEST_TIMEOUT))
    }

    /// Returns the session's key.
    pub fn key(&self) -> SessionKey {
        self.key
    }

    /// Returns the path of the publishing point.
    pub fn point(&self) -> &str {
        &self.point
    }

    /// Returns the success response to the session's PushStart. The session stays.
    pub fn success(&self) -> Reply {
        Reply::success(&self.push_id, self.timeouts.idle)
    }
}

/// Checks the limits of 2.2.3.2 $C (Stream Change Notification), 2.2.3.5 $F (Filler) and 2.2.3.6 $H (Header); for `$D`
/// that of decision D-18.
fn check_size(packet: &Packet) -> Result<(), BadBody> {
    let (size, limit) = match packet {
        Packet::StreamChange(payload) => (payload.len(), MAX_STREAM_CHANGE_PAYLOAD),
        Packet::Header(payload) | Packet::Data(payload) | Packet::Filler(payload) => {
            (payload.len(), MAX_PAYLOAD)
        }
        Packet::EndOfStream(_) => return Ok(()),
    };
    let id = packet.id();
    match size > limit {
        true => Err(BadBody::PayloadSize { id, size, limit }),
        false => Ok(()),
    }
}

impl fmt::Debug for ReceivingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivingSession")
            .field("key", &self.key)
            .field("point", &self.point)
            .field("order", &self.order)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}
