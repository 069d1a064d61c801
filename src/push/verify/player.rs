// SPDX-License-Identifier: MPL-2.0

//! A player: Describe and Play of MS-WMSP, and a plain GET for servers that do not speak it.

use std::sync::Arc;

use http::StatusCode;
use reqwest::Response;
use tokio::time::{Instant, sleep_until};

use super::access::Viewer;
use super::sight::Sight;
use super::transport::{failure, software};
use super::{Ask, Cause};
use crate::push::Settings;
use crate::wmsp::client::{BodyReader, Form, Player};

/// Limit on the bytes before a header: two of the largest headers.
const MAX_UNKNOWN: usize = 2 * 1024 * 1024;

/// Pulls the stream until `sight` is complete.
///
/// # Errors
///
/// [`Cause`] if the stream ends or fails before that.
pub(super) async fn pull(
    settings: Arc<Settings>,
    ask: Ask,
    sight: &mut Sight,
) -> Result<(), Cause> {
    let mut viewer = Viewer::new(settings, ask).await?;
    let refusal = match as_player(&mut viewer, sight).await {
        Err(cause) if allows_plain(&cause, sight) => cause,
        other => return other,
    };
    tracing::debug!("{refusal:?} as a player, trying a plain GET");
    match as_file(&mut viewer, sight).await {
        // The response to a player is the more specific one.
        Err(_) if !sight.has_header() => Err(refusal),
        other => other,
    }
}

/// Returns whether a server that rejects players may still serve a plain GET.
fn allows_plain(cause: &Cause, sight: &Sight) -> bool {
    let unknown = match cause {
        Cause::Refused { status, .. } => !matches!(status.as_u16(), 401 | 403 | 407),
        Cause::Unreadable(_) | Cause::Ended(_) => true,
        _ => false,
    };
    unknown && !sight.has_data()
}

/// Sends Describe and Play (MS-WMSP 3.1.4.2 Request to Retrieve Content Information and 3.1.4.3 Request to Start
/// Streaming Content). If the response to Describe is the stream itself, watches that.
async fn as_player(viewer: &mut Viewer, sight: &mut Sight) -> Result<(), Cause> {
    let mut player = Player::new(super::transport::random());
    let described = open(viewer, sight, player.describe()).await?;
    player.receive(described.headers());
    let mut stream = Stream::new(described);
    while !sight.has_header() {
        if stream.show(sight).await? {
            return Ok(());
        }
    }
    if stream.body.form() == Some(Form::File) || sight.has_data() {
        return stream.watch(sight).await;
    }
    drop(stream);
    let Some(play) = sight.header().map(|header| player.play(header)) else {
        return Ok(());
    };
    let played = open(viewer, sight, play).await?;
    Stream::new(played).watch(sight).await
}

async fn as_file(viewer: &mut Viewer, sight: &mut Sight) -> Result<(), Cause> {
    let response = open(viewer, sight, Player::plain()).await?;
    Stream::new(response).watch(sight).await
}

/// Sends a request. Returns the response if its status is 200.
async fn open(
    viewer: &mut Viewer,
    sight: &mut Sight,
    fields: http::HeaderMap,
) -> Result<Response, Cause> {
    let response = viewer.get(fields, sight).await?;
    sight.answered = true;
    match response.status() {
        StatusCode::OK => Ok(response),
        status => {
            let server = software(&response);
            Err(match viewer.take_denied() {
                Some(denied) => Cause::Denied {
                    status,
                    server,
                    denied,
                },
                None => Cause::Refused { status, server },
            })
        }
    }
}

/// The body of a response.
struct Stream {
    response: Response,
    body: BodyReader,
    /// Bytes received before a header.
    unknown: usize,
}

impl Stream {
    fn new(response: Response) -> Self {
        Self {
            response,
            body: BodyReader::new(),
            unknown: 0,
        }
    }

    /// Shows the stream to `sight` until that is complete.
    async fn watch(&mut self, sight: &mut Sight) -> Result<(), Cause> {
        while !self.show(sight).await? {}
        Ok(())
    }

    /// Shows the next bytes to `sight`. Returns whether that is complete.
    async fn show(&mut self, sight: &mut Sight) -> Result<bool, Cause> {
        let Some(bytes) = self.next_bytes(sight).await? else {
            return Ok(true);
        };
        if !sight.has_header() {
            self.unknown = self.unknown.saturating_add(bytes.len());
        }
        self.body.push(bytes);
        while let Some(seen) = self.body.next_seen().map_err(Cause::Unreadable)? {
            if sight.see(seen)? {
                return Ok(true);
            }
        }
        if self.unknown > MAX_UNKNOWN && !sight.has_header() {
            return Err(Cause::Ended(None));
        }
        Ok(false)
    }

    /// Returns the next bytes; `None` when the watching time is over, or the stream has ended behind data.
    ///
    /// # Errors
    ///
    /// [`Cause::Ended`] at the end of a stream without data.
    async fn next_bytes(&mut self, sight: &Sight) -> Result<Option<bytes::Bytes>, Cause> {
        let until = sight.until();
        let chunk = tokio::select! {
            chunk = self.response.chunk() => chunk,
            () = expiry(until) => return Ok(None),
        };
        match chunk {
            Ok(Some(bytes)) => Ok(Some(bytes)),
            Ok(None) if sight.has_data() => Ok(None),
            Ok(None) => Err(Cause::Ended(None)),
            Err(error) => Err(failure(&error, &sight.place)),
        }
    }
}

async fn expiry(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
