// SPDX-License-Identifier: MPL-2.0

//! The client of MS-WMHTTP section 3.1.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use url::Url;

use crate::asf::FileHeader;
use crate::auth::{BlockingStep, Role, Scheme, StepResult};
use crate::wmhttp::SetupBody;
use crate::wmhttp::budget::LengthRemaining;
use crate::wmhttp::header::{Cookies, idle_timeout};
use crate::wmhttp::message::{Body, Request};

mod access;
mod content;
mod requests;
mod responses;
mod resumption;
mod tunnel;

use access::{Access, Tunnel};
pub use access::{AccessConfig, CredentialsWanted, Entropy};

/// What the higher layer asks for in one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// The publishing point: an `http` or `https` URL without user information.
    pub url: Url,
    /// What PushSetup says about the publishing point.
    pub setup: SetupBody,
    /// 2.2.1.8 User-Agent
    pub user_agent: String,
    /// Fields of each request to the origin of `url`. They do not follow a redirection to another, and CONNECT has
    /// none. [`is_extra_header`](crate::wmhttp::is_extra_header) tells which can.
    pub extra_headers: HeaderMap,
    /// Bytes of each PushStart body; `None`: as 3.1.4.2.1 says. Never less than what it demands.
    pub content_length: Option<u64>,
    /// Whether ASF Padding Data is taken out of `$D` (2.2.3.3).
    pub remove_padding: bool,
    /// Proxy and authentication.
    pub access: AccessConfig,
}

impl SessionConfig {
    /// A session that says nothing about its publishing point, keeps padding, and has neither proxy nor credentials.
    pub fn new(url: Url, user_agent: &str) -> Self {
        Self {
            url,
            setup: SetupBody::default(),
            user_agent: user_agent.to_owned(),
            extra_headers: HeaderMap::new(),
            content_length: None,
            remove_padding: false,
            access: AccessConfig::default(),
        }
    }
}

/// Bytes of framing headers from one allocation: the next one is as large.
const HEADS: usize = 1024;

/// One push session, from the client's side.
///
/// It does nothing by itself. Its methods are of five kinds:
///
/// * events from the higher layer (3.1.4): [`configure_server`](Self::configure_server),
///   [`start_streaming`](Self::start_streaming), [`data_unit`](Self::data_unit), [`new_header`](Self::new_header),
///   [`end_of_stream`](Self::end_of_stream);
/// * what comes from elsewhere (3.1.5): [`handle_response`](Self::handle_response),
///   [`handle_silence`](Self::handle_silence), [`connection_lost`](Self::connection_lost),
///   [`provide`](Self::provide), [`computed`](Self::computed);
/// * another connection after the loss of one (3.2.7.1): [`resume`](Self::resume), [`restart`](Self::restart);
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
    /// The session was taken up again, and is the one that it was.
    resumed: bool,
    /// How long the server keeps a session whose connection is gone (3.2.2).
    idle_timeout: Duration,
    /// The last request opened a handshake: its body stayed behind.
    handshake: bool,
    counters: Counters,
    /// Framing headers are cut out of this.
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
    ///
    /// [`Body::Connect`] is for the proxy, outside TLS with the server. The next request uses the same connection,
    /// inside TLS with the server.
    Request(Box<Request>),
    /// The next bytes of the PushStart body.
    Body(Bytes),
    /// The last bytes of the session, if any; when they are on the wire, the connection closes.
    Close(Bytes),
    /// Nothing yet: this comes first, on a thread that may block, and its result goes to [`PushSession::computed`].
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
    PushStartSent {
        /// The bytes of bodies before it, as [`Counters::body_bytes`] counts them.
        begins_at: u64,
        /// It begins with `$H`, and this header in it.
        header: Option<FileHeader>,
    },
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
    /// Bytes of PushStart bodies.
    pub body_bytes: u64,
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
            resumed: false,
            idle_timeout: idle_timeout(&HeaderMap::new()),
            handshake: false,
            counters: Counters::default(),
            heads: BytesMut::with_capacity(HEADS),
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

    /// The connection of the last request is gone, and with it what was bound to it.
    pub fn connection_lost(&mut self) {
        self.access.connection_lost();
    }

    /// The result of [`Transmit::Compute`].
    pub fn computed(&mut self, role: Role, result: StepResult) {
        self.access.computed(role, result);
    }

    /// The next thing to send.
    ///
    /// With an `https` URL and a proxy, the first request of each connection is preceded by [`Body::Connect`]. It
    /// follows on the same connection after a 2xx response has opened the tunnel. Until then there is nothing to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.awaits_tunnel() {
            return None;
        }
        if self.owes_connect() {
            return Some(self.connect());
        }
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
        let takes_content = matches!(
            self.state,
            State::PushSetupComplete | State::PushStartInProgress { .. }
        );
        takes_content && !self.awaits_tunnel()
    }

    /// Whether a PushStart was sent that has not ended.
    pub fn is_streaming(&self) -> bool {
        let has_started = matches!(
            self.state,
            State::PushStartInProgress { .. } | State::AwaitingPushStartResponse { .. }
        );
        has_started && !self.awaits_tunnel()
    }

    /// Whether a response has to come before anything else can happen.
    pub fn awaits_response(&self) -> bool {
        match self.access.tunnel() {
            Some(Tunnel::Opening) => true,
            Some(Tunnel::AwaitingCredentials) => false,
            Some(Tunnel::Closed | Tunnel::Open) | None => matches!(
                self.state,
                State::PushSetupSent { .. } | State::AwaitingPushStartResponse { .. }
            ),
        }
    }

    /// 3.1.1 UsingProxy: whether a proxy stands before the server, by the settings or by the field Via of a response.
    pub fn is_using_proxy(&self) -> bool {
        self.using_proxy
    }

    /// The scheme that authenticates the requests to the server, if one does.
    pub fn authentication(&self) -> Option<Scheme> {
        self.access.scheme()
    }

    /// Whether something is to be polled.
    pub fn has_transmits(&self) -> bool {
        !self.queued.is_empty() && !self.awaits_tunnel()
    }

    /// Whether the next thing to send is a part of a body, and not the last.
    pub fn owes_body(&self) -> bool {
        matches!(self.queued.front(), Some(Queued::Body(_)))
    }

    /// Returns whether the next thing to send is a request, CONNECT included.
    pub fn owes_request(&self) -> bool {
        matches!(self.queued.front(), Some(Queued::Request { .. })) && !self.awaits_tunnel()
    }

    /// What has been handed out so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Bytes that the current PushStart body still owes.
    pub fn length_remaining(&self) -> u64 {
        self.length_remaining.get()
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
