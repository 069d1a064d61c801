// SPDX-License-Identifier: MPL-2.0

//! The end of a stream: 3.1.4.4, and what may cross it.

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

/// How long a server may take to refuse what it received before the end: a short stream is over before its response has
/// come.
const FAREWELL: Duration = Duration::from_millis(250);

/// How long a reset may follow the end of the server's side.
const RESET_GRACE: Duration = Duration::from_millis(20);

/// How often the kernel is asked for acknowledgements: it does not report them by itself.
const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(5);

impl<C: Connector> Driver<C> {
    /// Sends the last bytes, waits until the peer has acknowledged them, and closes the connection.
    ///
    /// FALSE when everything goes again because a challenge has crossed the end.
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
        if let Some(response) = farewell(exchange).await? {
            // What a server has not read resets the connection behind its response.
            let read = settle(exchange).await.is_ok();
            return self.handle_crossing(&response, read);
        }
        self.take_acknowledgements();
        self.client.close();
        Ok(true)
    }

    /// A response that has crossed the end of the stream; `ended` if the server has read everything, as far as can be known.
    fn handle_crossing(&mut self, response: &Response, ended: bool) -> Result<bool, Error> {
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                self.handle_response(response)?;
                Ok(false)
            }
            // Some receivers answer the end itself, and one of them with 422. What comes sooner is the PushStart's.
            StatusCode::UNPROCESSABLE_ENTITY if ended && self.has_streamed() => Ok(true),
            // Where a server just closes, which it may, its proxy makes 502 of that.
            StatusCode::BAD_GATEWAY if ended && self.session.is_using_proxy() => Ok(true),
            status if status.is_success() && ended => Ok(true),
            status if status.is_success() => Err(wmhttp::Error::EndedEarly.into()),
            _ => Err(response.refusal().into()),
        }
    }

    /// Returns whether the connection has streamed for long enough that a refusal of its PushStart would have come.
    fn has_streamed(&self) -> bool {
        let since = self.policy.streams_since();
        since.is_some_and(|since| since.elapsed() >= FAREWELL)
    }
}

/// Waits until everything is handed to the kernel, or returns the response that comes before.
async fn flush<L: Link>(exchange: &mut Exchange<L>) -> Result<Option<Response>, Error> {
    loop {
        match exchange.flush().await? {
            None => return Ok(None),
            Some(Progress::Response(response)) => return Ok(Some(response)),
            Some(Progress::Connected) => {}
        }
    }
}

/// Waits until the peer has acknowledged everything, and has had its time to refuse it or has closed its side.
async fn farewell<L: Link>(exchange: &mut Exchange<L>) -> Result<Option<Response>, Error> {
    loop {
        let acknowledged = !exchange.has_unacknowledged();
        let wait = if acknowledged {
            FAREWELL
        } else {
            ACKNOWLEDGEMENT_INTERVAL
        };
        tokio::select! {
            biased;
            progress = exchange.progress_or_room(None) => match progress {
                Ok(Some(Progress::Response(response))) => return Ok(Some(response)),
                Ok(_) => {}
                Err(Error::Closed) => return settle(exchange).await.map(|()| None),
                Err(error) => return Err(error),
            },
            () = sleep(wait), if acknowledged => {
                return if exchange.was_reset() { Err(Error::Reset) } else { Ok(None) };
            }
            () = sleep(wait) => {}
        }
    }
}

/// The peer has closed its side: it has received everything if it acknowledges that, and no reset follows. A reset
/// follows where the server has left something unread.
async fn settle<L: Link>(exchange: &mut Exchange<L>) -> Result<(), Error> {
    let deadline = Instant::now() + FAREWELL;
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
