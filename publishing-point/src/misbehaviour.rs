// SPDX-License-Identifier: MPL-2.0

//! The effects of scripted faults on a connection.

use std::io;

use http::{Request, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::connection::{Connection, Next};
use super::faults::{self, Fault, Head, Instead, MidBody, Refuse};
use super::wire::point_of;
use wmspush_proto::wmhttp::server::{PushRequest, Reply, RequestKind};

/// A response that is not HTTP.
const GARBAGE: &[u8] = b"\x16\x03\x01 this is not HTTP\r\n\r\n";

/// The start of a response that is very long or endless.
const STATUS_LINE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nServer: Cougar/9.5\r\n";

impl Connection {
    /// Sends another response than the request asks for, or none.
    pub(super) async fn do_instead(
        &mut self,
        request: &Request<()>,
        parsed: &PushRequest,
        instead: Instead,
    ) -> io::Result<Next> {
        let (reply, reason) = match instead {
            Instead::Nothing => return self.silence().await,
            Instead::Break(fault) => {
                let success = Reply::last(StatusCode::NO_CONTENT);
                return self.break_off(request, fault, success).await;
            }
            Instead::Reply(reply, reason) => (reply, reason),
        };
        let status = reply.response.status();
        self.shared
            .refused(parsed.point(), status, "a scripted fault");
        if parsed.kind() == RequestKind::PushSetup {
            self.setup_body(parsed.content_length()).await?;
            return self.respond(request, &reason, reply).await;
        }
        // A client that still sends the body of a PushStart sends it after the response.
        let next = self.respond(request, &reason, reply).await?;
        if next == Next::Request {
            self.discard(parsed.content_length()).await?;
        }
        Ok(next)
    }

    /// Applies the faults to a successful response.
    pub(super) fn spoil(&self, point: &str, faults: &[Fault], reply: &mut Reply) {
        for fault in faults::spoil(faults, reply) {
            self.shared.strikes(point, fault);
        }
    }

    /// Ends the connection as the fault specifies. `success` is the normal response.
    pub(super) async fn break_off(
        &mut self,
        request: &Request<()>,
        fault: MidBody,
        success: Reply,
    ) -> io::Result<Next> {
        match fault {
            MidBody::Respond(refuse) => {
                let refuse = Refuse {
                    close: true,
                    ..refuse
                };
                let reply = refuse.reply();
                self.respond(request, &refuse.reason, reply).await
            }
            MidBody::Success => {
                let reply = Reply {
                    close: true,
                    ..success
                };
                self.respond(request, "", reply).await
            }
            MidBody::Close => {
                self.linger().await;
                Ok(Next::Close)
            }
            MidBody::Reset => {
                self.stream.set_zero_linger()?;
                Ok(Next::Close)
            }
            MidBody::Stall => {
                self.stopped().await;
                Ok(Next::Close)
            }
            MidBody::Garbage => {
                self.stream.write_all(GARBAGE).await?;
                self.linger().await;
                Ok(Next::Close)
            }
            MidBody::Answer(head) => self.answer(head).await,
            // The reception of the body applies these. Without a body they have no effect.
            MidBody::Slow(_) | MidBody::HalfClose => self.silence().await,
        }
    }

    async fn answer(&mut self, head: Head) -> io::Result<Next> {
        match head {
            Head::Trickle(pause) => {
                for byte in [STATUS_LINE, b"Content-Length: 0\r\n\r\n"].concat() {
                    self.stream.write_all(&[byte]).await?;
                    sleep(pause).await;
                }
            }
            Head::Unfinished => {
                self.stream.write_all(STATUS_LINE).await?;
                return self.silence().await;
            }
            Head::Long(bytes) => {
                self.stream.write_all(STATUS_LINE).await?;
                self.stream.write_all(b"X-Long: ").await?;
                self.stream.write_all(&vec![b'x'; bytes]).await?;
                self.stream.write_all(b"\r\n\r\n").await?;
            }
            // Lasts until the client closes the connection.
            Head::Endless => {
                self.stream.write_all(STATUS_LINE).await?;
                loop {
                    self.stream.write_all(b"X-More: and more\r\n").await?;
                }
            }
        }
        self.linger().await;
        Ok(Next::Close)
    }

    /// 3.2.5.5 Receiving an $E Packet: after the final `$E` no response is required. Sends one if a fault specifies it.
    pub(super) async fn after_end(
        &mut self,
        request: &Request<()>,
        faults: &[Fault],
        success: Reply,
    ) -> io::Result<Next> {
        let fault = faults::after_end(faults);
        if let Some(fault) = &fault {
            self.shared.strikes(&point_of(request), fault);
        }
        match fault {
            None => Ok(Next::Close),
            Some(Fault::AfterEnd(Some(refuse))) => {
                let reply = refuse.reply();
                self.respond(request, &refuse.reason, reply).await?;
                self.silence().await
            }
            Some(Fault::AtEnd(fault)) => self.break_off(request, fault, success).await,
            Some(_) => self.silence().await,
        }
    }
}
