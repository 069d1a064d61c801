// SPDX-License-Identifier: MPL-2.0

//! The client of MS-WMHTTP section 3.1.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use url::Url;

use super::budget::{LengthRemaining, UNKNOWN_CONTENT_LENGTH, least_content_length};
use super::header::{Cookies, has_via, windows_media_server};
use super::message::{Body, Request, Response};
use super::packet::{MAX_PAYLOAD, PacketId, put_framing_header};
use super::{Error, HResult, SetupBody};
use crate::asf::{DataPacket, FileHeader};

/// What the higher layer asks for in one session.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The publishing point: an `http` or `https` URL without user information.
    pub url: Url,
    /// What PushSetup says about the publishing point.
    pub setup: SetupBody,
    /// 2.2.1.8 User-Agent
    pub user_agent: String,
    /// Bytes of each PushStart body; `None`: as 3.1.4.2.1 says. Never less than what it demands.
    pub content_length: Option<u64>,
    /// Whether ASF Padding Data is taken out of `$D` (2.2.3.3).
    pub remove_padding: bool,
}

/// One push session, from the client's side.
///
/// It does nothing by itself. Its methods are of four kinds:
///
/// * events from the higher layer (3.1.4): [`configure_server`](Self::configure_server),
///   [`start_streaming`](Self::start_streaming), [`data_unit`](Self::data_unit), [`new_header`](Self::new_header),
///   [`end_of_stream`](Self::end_of_stream);
/// * what comes from the network (3.1.5): [`handle_response`](Self::handle_response);
/// * outputs: [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event), to be emptied after each
///   of the above;
/// * getters.
///
/// A content event that cannot be taken now comes back as [`Offer::Held`], to be offered again after the next response
/// (3.1.4.3: "queue it").
#[derive(Debug)]
pub struct PushSession {
    config: SessionConfig,
    state: State,
    cookies: Cookies,
    using_proxy: bool,
    length_remaining: LengthRemaining,
    /// The header in force, for the next PushStart's least size.
    header: Option<FileHeader>,
    counters: Counters,
    /// Framing headers are cut out of this, many from one allocation.
    heads: BytesMut,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

/// 4.7 Client Push State Diagram
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    PushSetupSent,
    PushSetupComplete,
    PushStartInProgress { last: Last },
    AwaitingPushStartResponse { last: Last },
    End,
}

/// 4.7.1 Expanded PushState_InProgress Diagram: the last packet that is no `$F`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Header,
    Data,
    EndOfEntry,
}

/// Where a session stands, as far as errors are told apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No PushSetup has been answered with success.
    Setup,
    /// PushSetup is done; no data packet has been sent.
    Start,
    /// Data packets flow.
    Push,
    /// The session is over.
    End,
}

/// Whether content was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Offer<T> {
    /// It is in the transmits.
    Taken,
    /// It cannot go now: offer it again after the next response.
    Held(T),
}

/// What is to be sent.
#[derive(Debug)]
pub enum Transmit {
    /// A new request, on the connection of the last one if that still stands. A PushStart's body follows.
    Request(Request),
    /// The next bytes of the PushStart body.
    Body(Bytes),
    /// The last bytes of the session, if any; when they are on the wire, the connection closes.
    Close(Bytes),
}

/// What the higher layer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// PushSetup succeeded: streaming may start (3.1.5.1).
    ServerConfigured {
        /// The Server field.
        server: String,
    },
    /// A PushStart was sent (3.1.4.2.1).
    PushStartSent,
    /// A PushStart whose body was complete was answered with success (3.1.5.2).
    PushStartCompleted,
    /// `$E` was sent and the session is over (3.1.4.4).
    SessionEnded,
}

/// What a session has handed out so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// PushStart requests.
    pub push_starts: u32,
    /// `$D` packets.
    pub packets: u64,
    /// Bytes of padding that stayed behind.
    pub padding_removed: u64,
}

impl PushSession {
    /// A session that has sent nothing (3.1.3).
    pub fn new(config: SessionConfig) -> Self {
        Self {
            config,
            state: State::Idle,
            cookies: Cookies::default(),
            using_proxy: false,
            length_remaining: LengthRemaining::default(),
            header: None,
            counters: Counters::default(),
            heads: BytesMut::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// 3.1.4.1 Request to Configure the Server
    pub fn configure_server(&mut self) {
        if self.state == State::Idle {
            let body = Body::PushSetup(self.config.setup.to_bytes());
            self.send_request(body);
            self.state = State::PushSetupSent;
        }
    }

    /// 3.1.4.2 Request to Start Streaming Content
    ///
    /// Held until the server is configured. Once streaming has started, a header is for
    /// [`new_header`](Self::new_header), which is where it then goes.
    pub fn start_streaming(&mut self, header: FileHeader) -> Offer<FileHeader> {
        match self.state {
            State::PushSetupComplete => {
                self.header = Some(header.clone());
                self.send_push_start();
                let taken = self.send_packet(PacketId::Header, None, header.as_bytes().clone());
                debug_assert!(taken, "a PushStart has room for its header");
                self.state = State::PushStartInProgress { last: Last::Header };
                Offer::Taken
            }
            State::PushStartInProgress { .. } => self.new_header(header),
            _ => Offer::Held(header),
        }
    }

    /// 3.1.4.3 ASF Packet Is Available to Send
    pub fn data_unit(&mut self, packet: DataPacket) -> Offer<DataPacket> {
        let State::PushStartInProgress {
            last: Last::Header | Last::Data,
        } = self.state
        else {
            return Offer::Held(packet);
        };
        let mut size = packet.len();
        let unpadded = self.config.remove_padding.then(|| packet.without_padding());
        if let Some(unpadded) = &unpadded {
            size = unpadded.head.as_slice().len() + unpadded.body.len();
        }
        if !self
            .length_remaining
            .debit(PacketId::Data.overhead() + size)
        {
            self.fill();
            return Offer::Held(packet);
        }
        put_framing_header(&mut self.heads, PacketId::Data, None, size);
        match unpadded {
            Some(unpadded) => {
                self.counters.padding_removed += unpadded.removed as u64;
                self.heads.extend_from_slice(unpadded.head.as_slice());
                self.send_body(unpadded.body);
            }
            None => self.send_body(packet.as_bytes().clone()),
        }
        self.counters.packets += 1;
        self.state = State::PushStartInProgress { last: Last::Data };
        Offer::Taken
    }

    /// 3.1.4.5 Notification of New ASF Header File, and the end of the entry before it (3.1.4.4 with S_FALSE)
    pub fn new_header(&mut self, header: FileHeader) -> Offer<FileHeader> {
        let State::PushStartInProgress { last } = self.state else {
            return Offer::Held(header);
        };
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
            State::PushStartInProgress { .. } if self.length_remaining.debit_end_of_stream() => {
                put_framing_header(&mut self.heads, PacketId::EndOfStream, Some(reason), 0);
                let last = self.heads.split().freeze();
                self.end(Transmit::Close(last))
            }
            State::PushStartInProgress { .. } => {
                self.fill();
                Offer::Held(reason)
            }
            State::PushSetupComplete | State::Idle => self.end(Transmit::Close(Bytes::new())),
            State::PushSetupSent | State::AwaitingPushStartResponse { .. } => Offer::Held(reason),
            State::End => Offer::Taken,
        }
    }

    /// 3.1.5.1 Receiving a PushSetup Response, 3.1.5.2 Receiving a PushStart Response
    ///
    /// # Errors
    ///
    /// The session is over when the response is a refusal, comes from something that is no Windows Media server, or
    /// comes with success although the body is not complete.
    pub fn handle_response(&mut self, response: &Response) -> Result<(), Error> {
        let handled = match self.state {
            State::PushSetupSent => self.handle_push_setup_response(response),
            State::AwaitingPushStartResponse { last } => {
                self.handle_push_start_response(response, last)
            }
            State::PushStartInProgress { .. } => Err(early_response(response)),
            // After the final $E any answer, or none, is fine (receivers close, stay silent, say 200 or 422).
            State::Idle | State::PushSetupComplete | State::End => Ok(()),
        };
        if handled.is_err() {
            self.state = State::End;
        }
        handled
    }

    /// The next thing to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to tell the higher layer.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether content may be offered now.
    pub fn is_ready(&self) -> bool {
        matches!(
            self.state,
            State::PushSetupComplete | State::PushStartInProgress { .. }
        )
    }

    /// Whether a response has to come before anything else can happen.
    pub fn awaits_response(&self) -> bool {
        matches!(
            self.state,
            State::PushSetupSent | State::AwaitingPushStartResponse { .. }
        )
    }

    /// Where the session stands.
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Idle | State::PushSetupSent => Stage::Setup,
            State::PushSetupComplete | State::PushStartInProgress { last: Last::Header } => {
                Stage::Start
            }
            State::PushStartInProgress { .. } | State::AwaitingPushStartResponse { .. } => {
                Stage::Push
            }
            State::End => Stage::End,
        }
    }

    /// What has been handed out so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes that the current PushStart body still owes.
    pub fn length_remaining(&self) -> u64 {
        self.length_remaining.get()
    }

    fn handle_push_setup_response(&mut self, response: &Response) -> Result<(), Error> {
        // 300–305, 401 and 407 will be followed here; until then they are refusals like any other status.
        if !response.status.is_success() {
            return Err(response.refusal());
        }
        let server = windows_media_server(&response.headers)?;
        if response.body.trim_ascii_start().starts_with(b"<") {
            return Err(Error::NotAnEncoder);
        }
        self.accept(response);
        self.state = State::PushSetupComplete;
        self.events.push_back(Event::ServerConfigured { server });
        Ok(())
    }

    fn handle_push_start_response(&mut self, response: &Response, last: Last) -> Result<(), Error> {
        if !response.status.is_success() {
            return Err(response.refusal());
        }
        windows_media_server(&response.headers)?;
        self.accept(response);
        self.events.push_back(Event::PushStartCompleted);
        self.send_push_start();
        self.state = State::PushStartInProgress { last };
        Ok(())
    }

    /// What both responses change in the session.
    fn accept(&mut self, response: &Response) {
        self.cookies.update(&response.headers);
        self.using_proxy |= has_via(&response.headers);
    }

    /// 3.1.4.2.1 Sending the PushStart Request
    fn send_push_start(&mut self) {
        let content_length = self.content_length();
        self.length_remaining = LengthRemaining::new(content_length);
        self.counters.push_starts += 1;
        self.send_request(Body::PushStart { content_length });
        self.events.push_back(Event::PushStartSent);
    }

    fn content_length(&self) -> u64 {
        let Some(header) = &self.header else {
            return UNKNOWN_CONTENT_LENGTH;
        };
        let least = least_content_length(header.packet_size(), header.as_bytes().len());
        let minute = u64::from(header.maximum_bitrate()) * 60 / 8;
        let wanted = match self.config.content_length {
            Some(length) => length,
            None if self.using_proxy && minute > 0 => minute,
            None => UNKNOWN_CONTENT_LENGTH,
        };
        wanted.clamp(least, UNKNOWN_CONTENT_LENGTH)
    }

    fn send_request(&mut self, body: Body) {
        let request = Request::new(
            &self.config.url,
            &self.config.user_agent,
            &self.cookies,
            body,
        );
        self.transmits.push_back(Transmit::Request(request));
    }

    /// Sends a packet whose payload is `payload`, if there is room for it.
    fn send_packet(&mut self, id: PacketId, reason: Option<HResult>, payload: Bytes) -> bool {
        if !self.length_remaining.debit(id.overhead() + payload.len()) {
            return false;
        }
        put_framing_header(&mut self.heads, id, reason, payload.len());
        self.send_body(payload);
        true
    }

    /// Sends what was put into `heads`, and `rest` behind it.
    fn send_body(&mut self, rest: Bytes) {
        self.transmits
            .push_back(Transmit::Body(self.heads.split().freeze()));
        if !rest.is_empty() {
            self.transmits.push_back(Transmit::Body(rest));
        }
    }

    /// Fills the body with `$F` and waits for the response (3.1.4.3).
    fn fill(&mut self) {
        static ZEROS: [u8; MAX_PAYLOAD] = [0; MAX_PAYLOAD];
        for payload in self.length_remaining.fill() {
            put_framing_header(&mut self.heads, PacketId::Filler, None, payload);
            self.send_body(Bytes::from_static(&ZEROS).slice(..payload));
        }
        if let State::PushStartInProgress { last } = self.state {
            self.state = State::AwaitingPushStartResponse { last };
        }
    }

    fn end(&mut self, close: Transmit) -> Offer<HResult> {
        self.transmits.push_back(close);
        self.events.push_back(Event::SessionEnded);
        self.state = State::End;
        Offer::Taken
    }
}

/// What a response means that comes while the body still flows.
fn early_response(response: &Response) -> Error {
    if response.status.is_success() {
        Error::EndedEarly
    } else {
        response.refusal()
    }
}
