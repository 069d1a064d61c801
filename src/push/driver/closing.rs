// SPDX-License-Identifier: MPL-2.0

//! The end of a stream (3.1.4.4 Notification of the Last Packet), and responses that cross it.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::{Instant, sleep};

use super::Driver;
use crate::push::Error;
use crate::push::client::Connector;
use crate::push::exchange::{Exchange, Progress};
use crate::push::line::Link;
use crate::wmhttp::{self, Response};

/// Time in which a server may still refuse a stream after its end was acknowledged. The response to a short stream is
/// sent after its end.
const REFUSAL_WINDOW: Duration = Duration::from_millis(250);

/// Time in which a reset may follow the peer's FIN.
const RESET_GRACE: Duration = Duration::from_millis(20);

/// Interval between two queries of the kernel, which does not report acknowledgements by itself.
const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(5);

impl<C: Connector> Driver<C> {
    /// Sends the last bytes, waits until the peer has acknowledged them, and closes the connection.
    ///
    /// Returns false if a challenge has crossed the end, so that the PushStart is sent again.
    pub(super) async fn close(&mut self, last: Bytes) -> Result<bool, Error> {
        let Some(exchange) = self.client.exchange_mut().filter(|_| !last.is_empty()) else {
            self.client.abandon();
            return Ok(true);
        };
        exchange.push(last);
        if let Some(response) = flush(exchange).await? {
            return self.handle_crossing(&response, false);
        }
        self.take_acknowledgements();
        let Some(exchange) = self.client.exchange_mut() else {
            return Ok(true);
        };
        if let Some(response) = await_refusal(exchange).await? {
            // A server that closes with unread data resets the connection after its response.
            let read = await_reset(exchange).await.is_ok();
            return self.handle_crossing(&response, read);
        }
        self.take_acknowledgements();
        self.client.close();
        Ok(true)
    }

    /// Handles a response that has crossed the end of the stream. `ended` is true if the server has read everything, as
    /// far as the connection shows.
    fn handle_crossing(&mut self, response: &Response, ended: bool) -> Result<bool, Error> {
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                self.handle_response(response)?;
                Ok(false)
            }
            // Some receivers respond to the end itself, one of them with 422. An earlier response belongs to the
            // PushStart.
            StatusCode::UNPROCESSABLE_ENTITY if ended && self.has_streamed() => Ok(true),
            // A server may close without a response; its proxy then responds with 502.
            StatusCode::BAD_GATEWAY if ended && self.session.is_using_proxy() => Ok(true),
            status if status.is_success() && ended => Ok(true),
            status if status.is_success() => Err(wmhttp::Error::EndedEarly.into()),
            _ => Err(response.refusal().into()),
        }
    }

    /// Returns whether the connection has streamed for long enough that a refusal of its PushStart would have been
    /// received.
    fn has_streamed(&self) -> bool {
        let since = self.policy.streams_since();
        since.is_some_and(|since| since.elapsed() >= REFUSAL_WINDOW)
    }
}

/// Waits until the kernel has accepted everything. Returns a response that is received before that.
async fn flush<L: Link>(exchange: &mut Exchange<L>) -> Result<Option<Response>, Error> {
    loop {
        match exchange.flush().await? {
            None => return Ok(None),
            Some(Progress::Response(response)) => return Ok(Some(response)),
            Some(Progress::Connected) => {}
        }
    }
}

/// Waits until the peer has acknowledged everything and either [`REFUSAL_WINDOW`] has passed or the peer has closed its side.
/// Returns a response that is received before that.
async fn await_refusal<L: Link>(exchange: &mut Exchange<L>) -> Result<Option<Response>, Error> {
    loop {
        let acknowledged = !exchange.has_unacknowledged();
        let wait = if acknowledged {
            REFUSAL_WINDOW
        } else {
            ACKNOWLEDGEMENT_INTERVAL
        };
        tokio::select! {
            biased;
            progress = exchange.progress_or_room(None) => match progress {
                Ok(Some(Progress::Response(response))) => return Ok(Some(response)),
                Ok(_) => {}
                Err(Error::Closed) => return await_reset(exchange).await.map(|()| None),
                Err(error) => return Err(error),
            },
            () = sleep(wait), if acknowledged => {
                return if exchange.was_reset() { Err(Error::Reset) } else { Ok(None) };
            }
            () = sleep(wait) => {}
        }
    }
}

/// Checks, after the peer has closed its side, that it has acknowledged everything and that no reset follows. A reset
/// follows if the server has left data unread.
async fn await_reset<L: Link>(exchange: &mut Exchange<L>) -> Result<(), Error> {
    let deadline = Instant::now() + REFUSAL_WINDOW;
    let mut reset = exchange.was_reset();
    while !reset && exchange.has_unacknowledged() && Instant::now() < deadline {
        sleep(ACKNOWLEDGEMENT_INTERVAL).await;
        reset = exchange.was_reset();
    }
    if !reset {
        sleep(RESET_GRACE).await;
        reset = exchange.was_reset();
    }
    if reset || exchange.has_unacknowledged() {
        return Err(Error::Closed);
    }
    Ok(())
}
