// SPDX-License-Identifier: MPL-2.0

//! Verification of a push: pulls the stream as a player does, and compares it with the pushed one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::instrument::WithSubscriber;

use super::{Error, Failure, OnAir, Phase, Settings, answer, runtime};
use crate::auth::Credentials;
use crate::wmhttp::CredentialsWanted;
use sight::Sight;

#[cfg(feature = "verify")]
mod access;
mod not_on_air;
#[cfg_attr(not(feature = "verify"), path = "absent.rs")]
mod player;
#[cfg_attr(
    not(feature = "verify"),
    allow(dead_code, reason = "the player that sees something is not built")
)]
mod sight;
#[cfg(all(test, feature = "verify"))]
mod tests;
#[cfg(feature = "verify")]
mod transport;

pub use not_on_air::{Cause, NotOnAir, Place};

/// Upper bound on the timeout of the settings.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Time by which the network thread may miss the deadline before the caller gives up on it.
const GRACE: Duration = Duration::from_secs(1);

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The header describes the streams of the last pushed header, and the packets fit its packet size.
    pub header_matches: bool,
    /// Time from the first request to the first data packet; `None`: none was received.
    pub first_packet: Option<Duration>,
    /// Data packets received.
    pub packets: u32,
    /// Delay of the last received data packet behind the last pushed one, by their Send Times.
    pub behind: Duration,
    /// The reason for which viewers do not see the push; `None`: they see it.
    pub fault: Option<NotOnAir>,
}

/// Cancels running verifications.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<watch::Sender<u64>>);

impl Default for Cancel {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Cancel {
    /// Makes all running verifications with this value return at once, with [`Cause::Cancelled`].
    pub fn cancel(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// The application's callback for the credentials of viewers, or of a proxy.
type Ask = Arc<dyn Fn(&CredentialsWanted) -> Option<Credentials> + Send + Sync>;

/// Pulls the URL of the session as a player does: Describe and Play of MS-WMSP, or a plain GET if the server does not
/// speak that. Compares the stream with `on_air`, from [`Connection::on_air`](super::Connection::on_air).
///
/// Blocks for at most twice [`Settings::timeout`] or twice 60 s, whichever is less. Buffers at most 2 MiB of the
/// stream. The credentials in the settings are the encoder's and are not used, except those for the proxy. `ask` is
/// called for other credentials, on a thread of its own.
pub fn verify(
    settings: Settings,
    on_air: Option<OnAir>,
    ask: impl Fn(&CredentialsWanted) -> Option<Credentials> + Send + Sync + 'static,
    cancel: &Cancel,
) -> Verified {
    let place = Place::of(&settings);
    let runtime = match runtime::handle() {
        Ok(runtime) => runtime,
        Err(error) => {
            return failed(place, Phase::Resolve, Error::NoResources(error.to_string()));
        }
    };
    let settings = Arc::new(settings);
    let limit = settings.timeout.min(LONGEST_TIMEOUT).saturating_mul(2);
    let mut cancelled = cancel.0.subscribe();
    let (sender, receiver) = answer::channel();
    let watching = async move {
        let watched = tokio::select! {
            biased;
            // Fails only if the sender was dropped, which cancels as well.
            _ = cancelled.changed() => Verified::not_on_air(NotOnAir::new(Cause::Cancelled, place)),
            watched = watch(settings, on_air, Arc::new(ask), limit) => watched,
        };
        sender.send(watched);
    };
    let task = runtime.spawn(watching.with_current_subscriber());
    match receiver.wait_for(limit.saturating_add(GRACE)) {
        Some(verified) => verified,
        None => {
            task.abort();
            Verified::not_on_air(NotOnAir::new(Cause::Cancelled, Place::default()))
        }
    }
}

/// Watches for at most `limit`, and returns the verdict.
async fn watch(
    settings: Arc<Settings>,
    on_air: Option<OnAir>,
    ask: Ask,
    limit: Duration,
) -> Verified {
    let deadline = Instant::now() + limit;
    let mut sight = Sight::new(&settings, on_air);
    let pulled = timeout_at(deadline, player::pull(settings, ask, &mut sight)).await;
    let verified = sight.judge(pulled.unwrap_or(Ok(())), limit);
    tracing::debug!(?verified, "Verified");
    verified
}

fn failed(place: Place, phase: Phase, error: Error) -> Verified {
    let failure = Failure {
        phase,
        error,
        circumstances: place.circumstances.clone(),
    };
    Verified::not_on_air(NotOnAir::new(Cause::Failed(failure), place))
}

impl Verified {
    fn not_on_air(fault: NotOnAir) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// Returns whether viewers see the push.
    pub fn is_on_air(&self) -> bool {
        self.fault.is_none()
    }
}
