// SPDX-License-Identifier: MPL-2.0

//! The client of MS-WMHTTP section 3.1.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http::header::CONNECTION;
use url::Url;

use crate::asf::{DataPacket, FileHeader};
use crate::auth::{BlockingStep, Credentials, Role, StepResult};
use crate::wmhttp::budget::{LengthRemaining, UNKNOWN_CONTENT_LENGTH, least_content_length};
use crate::wmhttp::header::{Cookies, has_via, windows_media_server};
use crate::wmhttp::message::{Body, Request, Response};
use crate::wmhttp::packet::{MAX_PAYLOAD, PacketId, put_framing_header};
use crate::wmhttp::{Error, HResult, SetupBody};

mod access;

use access::{Access, Answer, Authorized};
pub use access::{AccessConfig, CredentialsWanted, Entropy};

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
    /// Proxy and authentication.
    pub access: AccessConfig,
}

/// One push session, from the client's side.
///
/// It does nothing by itself. Its methods are of four kinds:
///
/// * events from the higher layer (3.1.4): [`configure_server`](Self::configure_server),
///   [`start_streaming`](Self::start_streaming), [`data_unit`](Self::data_unit), [`new_header`](Self::new_header),
///   [`end_of_stream`](Self::end_of_stream);
/// * what comes from elsewhere (3.1.5): [`handle_response`](Self::handle_response),
///   [`handle_silence`](Self::handle_silence), [`connection_lost`](Self::connection_lost),
///   [`provide`](Self::provide), [`resume`](Self::resume);
/// * outputs: [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event), to be emptied after each
///   of the above;
/// * getters.
///
/// A content event that cannot be taken now comes back as [`Offer::Held`], to be offered again after the next response
/// (3.1.4.3: "queue it").
pub struct PushSession {
    config: SessionConfig,
    state: State,
    cookies: Cookies,
    access: Access,
    entropy: Box<dyn Entropy>,
    using_proxy: bool,
    length_remaining: LengthRemaining,
    /// The header in force.
    header: Option<FileHeader>,
    /// The largest header and data packet that were to be sent so far: every body has room for them.
    largest: Largest,
    /// How the current PushStart began.
    start: Start,
    /// The server does not answer bodies that are complete.
    silent: bool,
    /// The last request opened a handshake: its body stayed behind.
    handshake: bool,
    counters: Counters,
    /// Framing headers are cut out of this, many from one allocation.
    heads: BytesMut,
    queued: VecDeque<Queued>,
    events: VecDeque<Event>,
}

/// 4.7 Client Push State Diagram
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// What to start with where the session did not come to its first PushStart, but back.
    PushSetupSent {
        then: Then,
    },
    PushSetupComplete,
    PushStartInProgress {
        last: Last,
    },
    AwaitingPushStartResponse {
        last: Last,
    },
    /// The application is asked, and then one of the two requests goes again.
    AwaitingCredentials {
        request: Asked,
    },
    /// The final `$E` was sent. A challenge that crosses it can still be answered.
    Ending,
    End,
}

/// What comes after a successful PushSetup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// What the higher layer asks for.
    Wait,
    /// PushStart with the header in force.
    Header,
    /// PushStart, going on where the last one stopped.
    GoOn(Last),
}

/// The request that credentials are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    PushSetup(Then),
    PushStart,
}

/// How a PushStart began, and has to begin if it goes again.
#[derive(Default)]
struct Start {
    /// The header in force.
    header: Option<FileHeader>,
    /// Where it went on; `None`: it began with `$H`.
    goes_on: Option<Last>,
}

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Largest {
    header: usize,
    packet: usize,
}

impl Largest {
    fn include(&mut self, header: &FileHeader) {
        self.header = self.header.max(header.as_bytes().len());
        self.packet = self.packet.max(header.packet_size());
    }
}

/// What waits to be polled.
enum Queued {
    /// A request; what authorises it is decided when it goes.
    Request {
        body: Body,
        fresh: bool,
    },
    Body(Bytes),
    Close(Bytes),
}

/// 4.7.1 Expanded PushState_InProgress Diagram: the last packet that is no `$F`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Header,
    Data,
    EndOfEntry,
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
    Request(Box<Request>),
    /// The next bytes of the PushStart body.
    Body(Bytes),
    /// The last bytes of the session, if any; when they are on the wire, the connection closes.
    Close(Bytes),
    /// Nothing yet: this comes first, on a thread that may block, and its result goes to [`PushSession::resume`].
    Compute(Role, BlockingStep),
}

/// What the higher layer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Credentials are wanted: answer with [`PushSession::provide`].
    CredentialsWanted(CredentialsWanted),
    /// A challenge is being answered.
    Authenticating,
    /// PushSetup succeeded: streaming may start (3.1.5.1).
    ServerConfigured {
        /// The Server field.
        server: String,
    },
    /// A PushStart was sent (3.1.4.2.1).
    PushStartSent,
    /// The last PushStart was not taken and goes again: so must all content that was taken since it was sent.
    PushStartRepeated,
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
    pub fn new(config: SessionConfig, entropy: impl Entropy + 'static) -> Self {
        Self {
            state: State::Idle,
            cookies: Cookies::default(),
            access: Access::new(config.access.clone(), config.url.clone()),
            entropy: Box::new(entropy),
            using_proxy: config.access.proxy.is_some(),
            length_remaining: LengthRemaining::default(),
            header: None,
            largest: Largest::default(),
            start: Start::default(),
            silent: false,
            handshake: false,
            counters: Counters::default(),
            heads: BytesMut::new(),
            queued: VecDeque::new(),
            events: VecDeque::new(),
            config,
        }
    }

    /// 3.1.4.1 Request to Configure the Server
    pub fn configure_server(&mut self) {
        if self.state == State::Idle {
            self.send_push_setup(Then::Wait, false);
        }
    }

    /// 3.1.4.2 Request to Start Streaming Content
    ///
    /// Held until the server is configured. Once streaming has started, a header is for
    /// [`new_header`](Self::new_header), which is where it then goes.
    pub fn start_streaming(&mut self, header: FileHeader) -> Offer<FileHeader> {
        self.largest.include(&header);
        match self.state {
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
        self.largest.include(&header);
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

    /// 3.1.5.1 Receiving a PushSetup Response, 3.1.5.2 Receiving a PushStart Response
    ///
    /// # Errors
    ///
    /// The session is over when the response is a refusal, comes from something that is no Windows Media server, or
    /// comes with success although the body is not complete.
    pub fn handle_response(&mut self, response: &Response) -> Result<(), Error> {
        let handled = match self.state {
            State::PushSetupSent { then } => self.handle_push_setup_response(response, then),
            State::AwaitingPushStartResponse { last } => {
                self.handle_push_start_response(response, last)
            }
            State::PushStartInProgress { .. } => self.handle_early_response(response),
            State::Ending if matches!(response.status.as_u16(), 401 | 407) => {
                self.challenge(response, Asked::PushStart)
            }
            // After the final $E any other answer, or none, is fine (receivers close, stay silent, say 200 or 422).
            State::Idle
            | State::PushSetupComplete
            | State::AwaitingCredentials { .. }
            | State::Ending
            | State::End => Ok(()),
        };
        self.end_if_failed(handled)
    }

    /// The server gave no answer to a body that was complete: it closed, or its time is over.
    ///
    /// Many receivers do so. The session starts anew, and nothing is lost. FALSE when that is not the case at hand, as
    /// when there is still something of the body to be polled.
    pub fn handle_silence(&mut self) -> bool {
        let complete = matches!(self.state, State::AwaitingPushStartResponse { .. });
        if !complete || !self.queued.is_empty() {
            return false;
        }
        self.silent = true;
        self.cookies = Cookies::default();
        self.send_push_setup(Then::Header, true);
        true
    }

    /// The connection of the last request is gone, and with it what was bound to it.
    pub fn connection_lost(&mut self) {
        self.access.connection_lost();
    }

    /// The answer to [`Event::CredentialsWanted`]; `None` gives up.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`]: without credentials there is no way in.
    pub fn provide(&mut self, role: Role, credentials: Option<Credentials>) -> Result<(), Error> {
        let State::AwaitingCredentials { request } = self.state else {
            return Ok(());
        };
        let answer = self.access.provide(role, credentials);
        let handled = answer.map(|answer| self.follow(answer, request));
        self.end_if_failed(handled)
    }

    /// The result of [`Transmit::Compute`].
    pub fn resume(&mut self, role: Role, result: StepResult) {
        self.access.resume(role, result);
    }

    /// The next thing to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        Some(match self.queued.pop_front()? {
            Queued::Body(bytes) => Transmit::Body(bytes),
            Queued::Close(bytes) => Transmit::Close(bytes),
            Queued::Request { body, fresh } => self.request(body, fresh),
        })
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
            State::PushSetupSent { .. } | State::AwaitingPushStartResponse { .. }
        )
    }

    /// Whether the next thing to send is a request.
    pub fn owes_request(&self) -> bool {
        matches!(self.queued.front(), Some(Queued::Request { .. }))
    }

    /// What has been handed out so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes that the current PushStart body still owes.
    pub fn length_remaining(&self) -> u64 {
        self.length_remaining.get()
    }

    fn handle_push_setup_response(&mut self, response: &Response, then: Then) -> Result<(), Error> {
        match response.status.as_u16() {
            300..=305 => return self.redirect(response, then),
            401 | 407 => return self.challenge(response, Asked::PushSetup(then)),
            _ if !response.status.is_success() => return Err(response.refusal()),
            _ => {}
        }
        let server = windows_media_server(&response.headers)?;
        if response.body.trim_ascii_start().starts_with(b"<") {
            return Err(Error::NotAnEncoder);
        }
        self.accept(response);
        if self.handshake {
            // The server wants nothing: it has not seen what the body asks for.
            self.send_push_setup(then, false);
            return Ok(());
        }
        self.state = State::PushSetupComplete;
        self.events.push_back(Event::ServerConfigured { server });
        match then {
            Then::Wait => {}
            Then::Header => self.send_first_push_start(),
            Then::GoOn(last) => self.send_next_push_start(last),
        }
        Ok(())
    }

    fn handle_push_start_response(&mut self, response: &Response, last: Last) -> Result<(), Error> {
        match response.status.as_u16() {
            401 | 407 => return self.challenge(response, Asked::PushStart),
            _ if !response.status.is_success() => return Err(response.refusal()),
            _ => {}
        }
        windows_media_server(&response.headers)?;
        self.accept(response);
        self.events.push_back(Event::PushStartCompleted);
        self.send_next_push_start(last);
        Ok(())
    }

    /// What a response means that comes while the body still flows.
    fn handle_early_response(&mut self, response: &Response) -> Result<(), Error> {
        match response.status.as_u16() {
            401 | 407 => self.challenge(response, Asked::PushStart),
            _ if response.status.is_success() => Err(Error::EndedEarly),
            _ => Err(response.refusal()),
        }
    }

    /// 3.1.5.1, status 300 to 305
    fn redirect(&mut self, response: &Response, then: Then) -> Result<(), Error> {
        if self.access.redirect(response)? {
            self.cookies = Cookies::default();
        }
        self.using_proxy = self.access.uses_proxy();
        self.send_push_setup(then, true);
        Ok(())
    }

    /// Status 401 and 407
    fn challenge(&mut self, response: &Response, request: Asked) -> Result<(), Error> {
        // The server may assign the push-id here already, as in example 4.8.
        self.cookies.update(&response.headers);
        self.using_proxy |= has_via(&response.headers);
        let answer = self.access.challenged(response)?;
        self.events.push_back(Event::Authenticating);
        self.follow(answer, request);
        Ok(())
    }

    fn follow(&mut self, answer: Answer, request: Asked) {
        match (answer, request) {
            (Answer::Ask(wanted), _) => {
                self.queued.clear();
                self.state = State::AwaitingCredentials { request };
                self.events.push_back(Event::CredentialsWanted(wanted));
            }
            (Answer::Resubmit, Asked::PushSetup(then)) => self.send_push_setup(then, false),
            (Answer::RedoPushSetup, Asked::PushSetup(then)) => self.send_push_setup(then, true),
            (Answer::Resubmit, Asked::PushStart) => match self.repeat_push_start() {
                None => self.send_first_push_start(),
                Some(last) => self.send_next_push_start(last),
            },
            (Answer::RedoPushSetup, Asked::PushStart) => {
                let then = self.repeat_push_start().map_or(Then::Header, Then::GoOn);
                self.send_push_setup(then, true);
            }
        }
    }

    /// Nobody has taken what was sent of the current body: back to where it began, which is with `$H` if `None`.
    fn repeat_push_start(&mut self) -> Option<Last> {
        self.queued.clear();
        self.events.push_back(Event::PushStartRepeated);
        self.header.clone_from(&self.start.header);
        self.start.goes_on
    }

    /// What both successful responses change in the session.
    fn accept(&mut self, response: &Response) {
        self.access.accepted(response);
        self.cookies.update(&response.headers);
        self.using_proxy |= has_via(&response.headers);
    }

    fn end_if_failed(&mut self, handled: Result<(), Error>) -> Result<(), Error> {
        if handled.is_err() {
            self.state = State::End;
            self.queued.clear();
        }
        handled
    }

    /// 3.1.4.1.1 Sending the PushSetup Request
    fn send_push_setup(&mut self, then: Then, fresh: bool) {
        if fresh {
            self.access.connection_lost();
        }
        let body = Body::PushSetup(self.config.setup.to_bytes());
        self.queued.push_back(Queued::Request { body, fresh });
        self.state = State::PushSetupSent { then };
    }

    /// A PushStart that begins with the header in force.
    fn send_first_push_start(&mut self) {
        let Some(header) = self.header.clone() else {
            return;
        };
        self.send_push_start(None);
        let taken = self.send_packet(PacketId::Header, None, header.as_bytes().clone());
        debug_assert!(taken, "a PushStart has room for its header");
    }

    /// A PushStart that goes on where the last one stopped.
    fn send_next_push_start(&mut self, last: Last) {
        self.send_push_start(Some(last));
    }

    /// 3.1.4.2.1 Sending the PushStart Request
    fn send_push_start(&mut self, goes_on: Option<Last>) {
        let content_length = self.content_length();
        self.length_remaining = LengthRemaining::new(content_length);
        self.counters.push_starts += 1;
        let body = Body::PushStart { content_length };
        self.queued
            .push_back(Queued::Request { body, fresh: false });
        self.start = Start {
            header: self.header.clone(),
            goes_on,
        };
        self.state = State::PushStartInProgress {
            last: goes_on.unwrap_or(Last::Header),
        };
        self.events.push_back(Event::PushStartSent);
    }

    /// A request with what authorises it, or what has to be done first.
    fn request(&mut self, body: Body, fresh: bool) -> Transmit {
        if fresh {
            self.access.connection_lost();
        }
        match self.access.authorize(&body, &mut *self.entropy) {
            Authorized::Blocking(role, step) => {
                self.queued.push_front(Queued::Request { body, fresh });
                Transmit::Compute(role, step)
            }
            Authorized::Fields { fields, leg1 } => {
                self.handshake = leg1;
                let body = match body {
                    Body::PushSetup(_) if leg1 => Body::PushSetup(Bytes::new()),
                    body => body,
                };
                let target = self.access.target();
                let mut request =
                    Request::new(target, &self.config.user_agent, &self.cookies, body);
                if !fields.is_empty() {
                    // NTLM belongs to the connection, and HTTP/1.0 closes it otherwise (3.1.4.1.1).
                    request
                        .headers
                        .insert(CONNECTION, HeaderValue::from_static("Keep-Alive"));
                }
                request.headers.extend(fields);
                request.fresh = fresh;
                Transmit::Request(Box::new(request))
            }
        }
    }

    fn content_length(&self) -> u64 {
        let mut least = least_content_length(self.largest.packet, self.largest.header);
        if self.silent {
            // Each body begins with `$H`, and has to bring more than that: a packet, or the end of an entry and a `$C`.
            let header = PacketId::Header.overhead() + self.largest.header;
            least += (header + PacketId::EndOfStream.overhead()) as u64;
        }
        let bitrate = self.header.as_ref().map_or(0, FileHeader::maximum_bitrate);
        let minute = u64::from(bitrate) * 60 / 8;
        let wanted = match self.config.content_length {
            Some(length) => length,
            None if self.using_proxy && minute > 0 => minute,
            None => UNKNOWN_CONTENT_LENGTH,
        };
        wanted.clamp(least, UNKNOWN_CONTENT_LENGTH)
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
        self.queued
            .push_back(Queued::Body(self.heads.split().freeze()));
        if !rest.is_empty() {
            self.queued.push_back(Queued::Body(rest));
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

    fn end(&mut self, state: State, last: Bytes) -> Offer<HResult> {
        self.queued.push_back(Queued::Close(last));
        self.events.push_back(Event::SessionEnded);
        self.state = state;
        Offer::Taken
    }
}

impl fmt::Debug for PushSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushSession")
            .field("state", &self.state)
            .field("cookies", &self.cookies)
            .field("length_remaining", &self.length_remaining)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
