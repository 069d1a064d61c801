// SPDX-License-Identifier: MPL-2.0

//! The client of MS-WMHTTP section 3.1 Client Details.

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

/// The settings of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// The publishing point: an `http` or `https` URL without user information.
    pub url: Url,
    /// Directives about the publishing point in PushSetup.
    pub setup: SetupBody,
    /// 2.2.1.8 User-Agent. The field is left out if the text is no valid field value (RFC 9110 section 5.5 Field
    /// Values).
    pub user_agent: String,
    /// Fields for each request to the origin of `url`. They are not sent after a redirection to another origin, or in
    /// CONNECT. [`is_extra_header`](crate::wmhttp::is_extra_header) returns whether a field is allowed here.
    pub extra_headers: HeaderMap,
    /// Size of each PushStart body in bytes, raised to the minimum of 3.1.4.2.1 Sending the PushStart Request
    /// ([`least_content_length`](crate::wmhttp::least_content_length)), and lowered to
    /// [`UNKNOWN_CONTENT_LENGTH`](crate::wmhttp::UNKNOWN_CONTENT_LENGTH). `None` for the default of that section: a
    /// minute of the stream through a proxy, otherwise an unknown length.
    pub content_length: Option<u64>,
    /// True to remove ASF Padding Data from `$D` (2.2.3.3 $D).
    pub remove_padding: bool,
    /// Proxy and authentication.
    pub access: AccessConfig,
}

impl SessionConfig {
    /// Returns settings without directives about the publishing point, without removal of padding, and without proxy or
    /// credentials.
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

/// Bytes to allocate at a time for framing headers.
const HEADS: usize = 1024;

/// The client half of one push session.
///
/// It is sans-IO. Its methods are of five kinds:
///
/// * events from the higher layer (3.1.4 Higher-Layer Triggered Events): [`configure_server`](Self::configure_server),
///   [`start_streaming`](Self::start_streaming), [`data_unit`](Self::data_unit), [`new_header`](Self::new_header),
///   [`end_of_stream`](Self::end_of_stream);
/// * events from the network and the application (3.1.5 Message Processing Events and Sequencing Rules):
///   [`handle_response`](Self::handle_response), [`handle_silence`](Self::handle_silence),
///   [`connection_lost`](Self::connection_lost), [`provide`](Self::provide), [`computed`](Self::computed);
/// * a new connection after a loss (3.2.7.1 TCP Connection Is Disconnected): [`resume`](Self::resume),
///   [`restart`](Self::restart);
/// * outputs: [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event). Poll both until they return
///   `None` after each call of the methods above;
/// * getters.
///
/// Content that cannot be sent now is returned as [`Offer::Held`]. Offer it again after the next response (3.1.4.3 ASF
/// Packet Is Available to Send: "queue it").
pub struct PushSession {
    config: SessionConfig,
    state: State,
    cookies: Cookies,
    access: Access,
    entropy: Box<dyn Entropy>,
    using_proxy: bool,
    length_remaining: LengthRemaining,
    /// The current header.
    header: Option<FileHeader>,
    /// The largest header and data packet so far, for which every body has room.
    largest: Largest,
    /// The start of the current PushStart.
    start: Start,
    /// True if the server does not respond to complete bodies.
    silent: bool,
    /// True if the session was resumed, and the server has not replaced it.
    resumed: bool,
    /// Time for which the server keeps a session without a connection (3.2.2 Timers).
    idle_timeout: Duration,
    counters: SessionCounters,
    /// Buffer from which framing headers are split off.
    heads: BytesMut,
    queued: VecDeque<Queued>,
    events: VecDeque<Event>,
}

/// 4.7 Client Push State Diagram
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    PushSetupSent {
        /// The next step, if the session had a PushStart before.
        then: Then,
        handshake: Handshake,
    },
    PushSetupComplete,
    PushStartInProgress {
        last: Last,
    },
    AwaitingPushStartResponse {
        last: Last,
    },
    /// The application is asked for credentials. Then the challenged request is sent again.
    AwaitingCredentials {
        request: ChallengedRequest,
    },
    /// The final `$E` was sent. A challenge that crosses it can still be answered.
    Ending,
    End,
}

/// The form of a PushSetup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handshake {
    /// The PushSetup opened a handshake of the authentication, and had no body.
    Opening,
    /// The PushSetup has its body, sent or not.
    No,
}

/// The step after a successful PushSetup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Wait for the higher layer.
    Wait,
    /// PushStart with the current header.
    Header,
    /// PushStart that continues the last one.
    GoOn(Last),
}

/// The request that was challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChallengedRequest {
    PushSetup(Then),
    PushStart,
}

/// The start of a PushStart, for its repetition.
#[derive(Default)]
struct Start {
    /// The header at that time.
    header: Option<FileHeader>,
    /// The state that it continued; `None`: it began with `$H`.
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

/// An output that waits to be polled.
enum Queued {
    /// A request. Its authorization is computed when it is polled.
    Request {
        body: Body,
        fresh: bool,
    },
    Body(Bytes),
    Close(Bytes),
}

/// 4.7.1 Expanded PushState_InProgress Diagram: the last packet other than `$F`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Header,
    Data,
    EndOfEntry,
}

/// Tells whether content was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Offer<T> {
    /// It was accepted, and is in the transmits.
    Taken,
    /// It cannot be sent now: offer it again after the next response.
    Held(T),
}

/// An output to the network.
#[derive(Debug)]
pub enum Transmit {
    /// A new request, on the last connection if that is still open. The body of a PushStart follows.
    ///
    /// [`Body::Connect`] is for the proxy, outside TLS with the server. The next request uses the same connection,
    /// inside TLS with the server.
    Request(Box<Request>),
    /// The next bytes of the PushStart body.
    Body(Bytes),
    /// The last bytes of the session, possibly none. Close the connection after them.
    Close(Bytes),
    /// No bytes yet: run this step on a thread that may block, and pass its result to [`PushSession::computed`].
    Compute(Role, BlockingStep),
}

/// An output to the higher layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer requires credentials: answer with [`PushSession::provide`].
    CredentialsWanted(CredentialsWanted),
    /// The session answers a challenge.
    Authenticating,
    /// PushSetup succeeded: streaming may start (3.1.5.1 Receiving a PushSetup Response).
    ServerConfigured {
        /// The Server field.
        server: String,
    },
    /// A PushStart was sent (3.1.4.2.1 Sending the PushStart Request).
    PushStartSent {
        /// Total size of earlier bodies in bytes, as [`SessionCounters::body_bytes`] counts them.
        begins_at: u64,
        /// The header in `$H`, if it begins with one.
        header: Option<FileHeader>,
    },
    /// The last PushStart was refused and is sent again. Offer all content again that was accepted since it was sent.
    PushStartRepeated,
    /// The server answered a complete PushStart body with success (3.1.5.2 Receiving a PushStart Response).
    PushStartCompleted,
    /// `$E` was sent and the session is over (3.1.4.4 Notification of the Last Packet).
    SessionEnded,
}

/// Totals of a session's outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounters {
    /// PushStart requests sent.
    pub push_starts: u32,
    /// `$D` packets sent.
    pub packets: u64,
    /// Bytes of padding removed.
    pub padding_removed: u64,
    /// Bytes of PushStart bodies sent.
    pub body_bytes: u64,
}

impl SessionCounters {
    fn add_padding(&mut self, bytes: usize) {
        self.padding_removed = self.padding_removed.saturating_add(bytes as u64);
    }

    fn add_body(&mut self, bytes: usize) {
        self.body_bytes = self.body_bytes.saturating_add(bytes as u64);
    }
}

impl PushSession {
    /// Creates a session that has sent nothing (3.1.3 Initialization).
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
            counters: SessionCounters::default(),
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

    /// Handles the loss of the last connection, and drops the state that was bound to it.
    pub fn connection_lost(&mut self) {
        self.access.connection_lost();
    }

    /// Takes the result of [`Transmit::Compute`].
    pub fn computed(&mut self, role: Role, result: StepResult) {
        self.access.computed(role, result);
    }

    /// Returns the next output to the network.
    ///
    /// With an `https` URL and a proxy, [`Body::Connect`] precedes the first request of each connection. That request
    /// follows on the same connection once a 2xx response has opened the tunnel; until then the result is `None`.
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

    /// Returns the next output to the higher layer.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns whether content may be offered now.
    pub fn is_ready(&self) -> bool {
        let takes_content = matches!(
            self.state,
            State::PushSetupComplete | State::PushStartInProgress { .. }
        );
        takes_content && !self.awaits_tunnel()
    }

    /// Returns whether a PushStart is in progress.
    pub fn is_streaming(&self) -> bool {
        let has_started = matches!(
            self.state,
            State::PushStartInProgress { .. } | State::AwaitingPushStartResponse { .. }
        );
        has_started && !self.awaits_tunnel()
    }

    /// Returns whether the session waits for a response.
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

    /// 3.1.1 Abstract Data Model UsingProxy: returns whether there is a proxy, by the settings or by the Via field of a
    /// response.
    pub fn is_using_proxy(&self) -> bool {
        self.using_proxy
    }

    /// Returns the scheme that authenticates the requests to the server, if any.
    pub fn authentication(&self) -> Option<Scheme> {
        self.access.scheme()
    }

    /// Returns whether [`poll_transmit`](Self::poll_transmit) has an output.
    pub fn has_transmits(&self) -> bool {
        !self.queued.is_empty() && !self.awaits_tunnel()
    }

    /// Returns whether the next output is a part of a body that is not the last.
    pub fn owes_body(&self) -> bool {
        matches!(self.queued.front(), Some(Queued::Body(_)))
    }

    /// Returns whether the next output is a request, CONNECT included.
    pub fn owes_request(&self) -> bool {
        matches!(self.queued.front(), Some(Queued::Request { .. })) && !self.awaits_tunnel()
    }

    /// Returns the totals of the session's outputs.
    pub fn counters(&self) -> SessionCounters {
        self.counters
    }

    /// Returns the bytes of the current PushStart body that are still to be sent.
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
