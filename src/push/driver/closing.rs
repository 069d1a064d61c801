// SPDX-License-Identifier: MPL-2.0

//! The end of a stream: 3.1.4.4, and what may cross it.

use std::collections::VecDeque;
use std::future::{pending, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::sleep;

use super::{Driver, response};
use crate::push::Error;
use crate::push::body::notify_when_written;
use crate::push::transport::Transport;
use crate::wmhttp::{self, Response};

/// How long a server may take to refuse what it has got before the end: a short stream is over before its answer is
/// there.
const FAREWELL: Duration = Duration::from_millis(250);

/// How often the system is asked what is on its way: nothing tells when that has arrived.
const ACKNOWLEDGEMENT_INTERVAL: Duration = Duration::from_millis(10);

impl<T: Transport> Driver<T> {
    /// Sends the last bytes; when they have arrived, or there are none, the connection may go.
    ///
    /// FALSE when it all has to go again: a challenge has crossed the end.
    pub(super) async fn close(&mut self, last: Bytes) -> Result<bool, Error> {
        let body = self
            .exchange
            .as_ref()
            .and_then(|exchange| exchange.body.clone());
        let Some(body) = body.filter(|_| !last.is_empty()) else {
            return Ok(true);
        };
        let size = last.len();
        let (last, written) = notify_when_written(last);
        let sent = async {
            body.room(1).await;
            if body.send(&mut VecDeque::from([last]), 1) == 0 {
                pending::<()>().await;
            }
            written.await;
        };
        tokio::pin!(sent);
        // When the connection is lost, the bytes are dropped unwritten: then the response tells, and is asked first.
        let crossing = tokio::select! {
            biased;
            response = response(&mut self.exchange) => Some(response),
            () = &mut sent => None,
        };
        let outcome = match crossing {
            None => tokio::select! {
                biased;
                response = response(&mut self.exchange) => Some(response),
                () = farewell(&self.transport) => None,
            },
            // A server that is fast has closed before anybody could hear that the last byte was on the wire.
            Some(Err(Error::Closed)) if is_over(sent).await => Some(Err(Error::Closed)),
            Some(response) => return self.handle_crossing(response?, false),
        };
        self.shared.counters.sent(size);
        match outcome {
            None if self.transport.was_reset(self.body_bytes()) => Err(Error::Reset),
            None => Ok(true),
            Some(Err(Error::Closed)) if has_arrived(&self.transport, self.body_bytes()).await => {
                Ok(true)
            }
            Some(Err(error)) => Err(error),
            Some(Ok(response)) => self.handle_crossing(response, true),
        }
    }

    /// A response that has crossed the end of the stream; `ended` if the last byte was on the wire before.
    fn handle_crossing(&mut self, response: Response, ended: bool) -> Result<bool, Error> {
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                self.handle_outcome(Ok(response))?;
                Ok(false)
            }
            // Some receivers answer the end itself, and one of them with 422.
            StatusCode::UNPROCESSABLE_ENTITY if ended => Ok(true),
            // Where a server just closes, which it may, its proxy makes 502 of that.
            StatusCode::BAD_GATEWAY if ended && self.session.is_using_proxy() => Ok(true),
            status if status.is_success() && ended => Ok(true),
            status if status.is_success() => Err(wmhttp::Error::EndedEarly.into()),
            _ => Err(response.refusal().into()),
        }
    }
}

/// Whether something is over by now.
async fn is_over(future: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = ready(()) => false,
    }
}

/// Whether the peer had everything when it closed, as far as can be known: where it left something unread, a reset
/// follows.
async fn has_arrived(transport: &impl Transport, body_bytes: u64) -> bool {
    sleep(FAREWELL).await;
    // The client's own end of the stream counts as one byte.
    let lost = transport.unacknowledged().is_some_and(|bytes| bytes > 1);
    !lost && !transport.was_reset(body_bytes)
}

/// Until the peer has acknowledged everything, as far as can be known, and has had its time to refuse it.
async fn farewell(transport: &impl Transport) {
    while transport.unacknowledged().is_some_and(|bytes| bytes > 0) {
        sleep(ACKNOWLEDGEMENT_INTERVAL).await;
    }
    sleep(FAREWELL).await;
}
