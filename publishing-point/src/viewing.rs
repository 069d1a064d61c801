// SPDX-License-Identifier: MPL-2.0

//! Requests of viewers.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode};

use super::admission::Use;
use super::connection::{Connection, Next};
use super::delivery::{Delivery, Form, Playing};
use super::documents::Document;
use super::lock::lock;
use super::presence::Presence;
use super::relay::Relay;
use super::wire::{self, has_body, point_of};
use wmspush_proto::wmhttp::server::{Reply, user_agent};
use wmspush_proto::wmsp::{Framer, Opened, PlayerKind, PlayerRequest, Refusal, reply};

/// Largest body of a player's request in bytes, mostly a log.
const MAX_BODY: u64 = 64 * 1024;

/// Paths that browsers request on their own, beside a document. A refusal is no news.
const OF_BROWSERS: [&str; 3] = [
    "/favicon.ico",
    "/apple-touch-icon.png",
    "/apple-touch-icon-precomposed.png",
];

/// Characters to show of a method, at most.
const MAX_METHOD: usize = 20;

/// Characters to keep of a player's User-Agent, at most.
const MAX_USER_AGENT: usize = 200;

impl Connection {
    /// Serves a request of a player; `None` for any other request.
    pub(super) async fn watch(&mut self, request: &Request<()>) -> io::Result<Option<Next>> {
        // MS-WMSP has no HEAD, so that it is the same for all clients.
        let player = match *request.method() {
            Method::HEAD => None,
            _ => PlayerRequest::new(request),
        };
        let next = match player {
            Some(Ok(player)) => self.player(request, &player).await?,
            Some(Err(refusal)) => self.turn_away(request, refusal).await?,
            None => match *request.method() {
                Method::GET | Method::HEAD => match Document::at(request.uri().path()) {
                    Some(document) => self.document(request, document).await?,
                    None => self.file(request).await?,
                },
                Method::OPTIONS => self.options(request).await?,
                Method::POST => return Ok(None),
                _ => {
                    let status = StatusCode::METHOD_NOT_ALLOWED;
                    let method = shortened(request.method().as_str(), MAX_METHOD);
                    let reason = format!("the method {method} is not supported");
                    self.shared.refused(&point_of(request), status, reason);
                    self.reply_last(request, reply::method_not_allowed())
                        .await?
                }
            },
        };
        Ok(Some(next))
    }

    /// Serves a request of MS-WMSP (3.2.5.1 Receiving a Request and following).
    async fn player(&mut self, request: &Request<()>, player: &PlayerRequest) -> io::Result<Next> {
        let now = self.shared.now();
        let session =
            lock(&self.shared.audience.players).receive(player, &mut random_client_id, now);
        let session = match session {
            Ok(session) => session,
            Err(refusal) => return self.turn_away(request, refusal).await,
        };
        match (player.kind, session) {
            (PlayerKind::Play, Some(session)) => self.play(request, player, session).await,
            (PlayerKind::Describe, Some(session)) => self.describe(request, player, &session).await,
            (_, session) => {
                if !self.skip_body(request).await? {
                    let status = StatusCode::PAYLOAD_TOO_LARGE;
                    let reason = "the body of a player's request is too large or too slow";
                    return self.refuse_with(request, status, reason).await;
                }
                let done = Reply {
                    response: reply::done(session.as_ref()),
                    close: false,
                };
                self.respond(request, "", done).await
            }
        }
    }

    /// 3.2.5.4 Receiving a Describe Request
    async fn describe(
        &mut self,
        request: &Request<()>,
        player: &PlayerRequest,
        session: &Opened,
    ) -> io::Result<Next> {
        let Some(relay) = self.relay(request) else {
            return self.turn_away(request, Refusal::NoSource).await;
        };
        let entry = relay.entry();
        let body = framed(player).header(&entry);
        let described = Reply {
            response: reply::description(session, entry.number, body),
            close: false,
        };
        self.respond(request, "", described).await
    }

    /// 3.2.5.6 Receiving a Play Request
    async fn play(
        &mut self,
        request: &Request<()>,
        player: &PlayerRequest,
        session: Opened,
    ) -> io::Result<Next> {
        let playing = Playing::new(self.shared.clone(), session.client_id);
        let Some(relay) = self.relay(request) else {
            return self.turn_away(request, Refusal::NoSource).await;
        };
        let head = reply::playing(&session, relay.entry().number);
        let next = self.show(request, relay, framed(player), head).await;
        drop(playing);
        next
    }

    /// Sends the stream as a file, to clients without MS-WMSP. A client that asks for the head only is not a viewer.
    async fn file(&mut self, request: &Request<()>) -> io::Result<Next> {
        let Some(relay) = self.relay(request) else {
            return self.not_there(request).await;
        };
        if request.method() == Method::HEAD {
            return self.reply_last(request, reply::file()).await;
        }
        self.show(request, relay, Form::File, reply::file()).await
    }

    /// Sends the response, from its head to the end of the stream.
    async fn show(
        &mut self,
        request: &Request<()>,
        relay: Arc<Relay>,
        form: Form,
        mut head: Response<Bytes>,
    ) -> io::Result<Next> {
        if !self.ticket.change(Use::Viewer) {
            return self.turn_away(request, Refusal::TooMany).await;
        }
        let framed = matches!(form, Form::Framed { .. });
        let agent = user_agent(request.headers(), MAX_USER_AGENT);
        let agent = agent.unwrap_or_else(|| "a player without User-Agent".to_owned());
        let presence = Presence::new(
            &self.shared,
            &point_of(request),
            relay.session(),
            &agent,
            framed,
        );
        let Some(presence) = presence else {
            return self.turn_away(request, Refusal::TooMany).await;
        };
        let (cursor, entry) = relay.join();
        *head.body_mut() = form.header(&entry);
        let close = HeaderValue::from_static("close");
        head.headers_mut().insert(CONNECTION, close);
        let bytes = wire::response_bytes(request.version(), "", &head, SystemTime::now());
        let full_size = entry.header.packet_size();
        let delivery = Delivery {
            relay,
            cursor,
            form,
            full_size,
        };
        self.deliver(bytes, delivery, presence).await;
        Ok(Next::Close)
    }

    /// Answers OPTIONS of clients without MS-WMSP.
    async fn options(&mut self, request: &Request<()>) -> io::Result<Next> {
        let reply = Reply {
            response: reply::options(),
            close: has_body(request),
        };
        self.respond(request, "", reply).await
    }

    /// Returns the stream that a request is about.
    fn relay(&self, request: &Request<()>) -> Option<Arc<Relay>> {
        self.shared.audience.relay(&point_of(request))
    }

    /// Sends 404 with a text, because browsers show nothing otherwise.
    async fn not_there(&mut self, request: &Request<()>) -> io::Result<Next> {
        const TEXT: &[u8] =
            b"No encoder pushes to this publishing point at present. See / for those that do.\n";
        let refusal = Refusal::NoSource;
        let point = point_of(request);
        if !OF_BROWSERS.contains(&point.as_str()) {
            self.shared.refused(&point, refusal.status(), refusal);
        }
        let mut response = reply::document("text/plain; charset=utf-8", TEXT.into());
        *response.status_mut() = refusal.status();
        self.reply_last(request, response).await
    }

    async fn turn_away(&mut self, request: &Request<()>, refusal: Refusal) -> io::Result<Next> {
        self.shared
            .refused(&point_of(request), refusal.status(), refusal);
        self.reply_last(request, reply::refused(refusal)).await
    }

    async fn reply_last(
        &mut self,
        request: &Request<()>,
        response: Response<Bytes>,
    ) -> io::Result<Next> {
        let reply = Reply {
            response,
            close: true,
        };
        self.respond(request, "", reply).await
    }

    /// Drains a body. Returns whether it was drained.
    async fn skip_body(&mut self, request: &Request<()>) -> io::Result<bool> {
        if request.headers().contains_key(TRANSFER_ENCODING) {
            return Ok(false);
        }
        let length = match request.headers().get(CONTENT_LENGTH) {
            None => Some(0),
            Some(length) => length.to_str().ok().and_then(|length| length.parse().ok()),
        };
        match length {
            Some(length @ ..=MAX_BODY) => {
                let timeout = self.shared.settings.head_timeout;
                let skipped = tokio::time::timeout(timeout, self.discard(length)).await;
                skipped.map_or(Ok(false), |skipped| skipped.map(|()| true))
            }
            _ => Ok(false),
        }
    }
}

fn framed(player: &PlayerRequest) -> Form {
    Form::Framed {
        agent: player.agent,
        selection: player.selection,
        framer: Framer::new(),
    }
}

fn shortened(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

/// 3.2.3 Initialization of MS-WMSP: returns a random Client-ID. 0 means that there is no randomness, and is not
/// accepted.
fn random_client_id() -> u32 {
    let mut random = [0; 4];
    match getrandom::fill(&mut random) {
        Ok(()) => u32::from_le_bytes(random),
        Err(_) => 0,
    }
}
