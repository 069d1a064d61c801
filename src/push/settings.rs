// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

use super::Trust;
use crate::wmhttp::SessionConfig;

/// Longer than any push, for deadlines: an `Instant` plus [`Duration::MAX`] would overflow.
pub const NO_LIMIT: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The server, the credentials, the limits and the timeouts of a push.
#[derive(Clone, Debug)]
pub struct Settings {
    /// URL, access, PushSetup body and other settings of the protocol.
    pub session: SessionConfig,
    /// The interface, by name or index, over which an IPv6 link-local address in the session's URL is reached.
    pub zone: Option<String>,
    /// The interface for a link-local address of the proxy.
    pub proxy_zone: Option<String>,
    /// The setting that names the proxy of the session, if there is one.
    pub proxy_source: Option<ProxySource>,
    /// Limit on resolving and connecting together, and on the wait for each response.
    pub timeout: Duration,
    /// Limit on the time in which the peer acknowledges nothing while data is unsent or unacknowledged.
    pub stall_timeout: Duration,
    /// Limit on reconnecting after a loss: zero disables reconnecting, [`Duration::MAX`] removes the limit.
    pub reconnect_timeout: Duration,
    /// Retries a first connection that fails, like a lost one.
    pub retry_first_connect: bool,
    /// Resumes the session after a loss. If false, each connection begins a new session.
    pub resume: bool,
    /// Time from [`Connection::connect`](super::Connection::connect) before which no failure is reported; zero: none.
    pub earliest_failure: Duration,
    /// Bounds on the memory that the push holds, and on the unsent part of the stream.
    pub limits: Limits,
    /// The trust anchors for `https` locations.
    pub trust: Trust,
}

impl Settings {
    /// Settings that wait 10 s for a response and 15 s for progress, hold at most 8 MiB, and give up at the first loss.
    pub fn new(session: SessionConfig) -> Self {
        Self {
            session,
            zone: None,
            proxy_zone: None,
            proxy_source: None,
            timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(15),
            reconnect_timeout: Duration::ZERO,
            retry_first_connect: false,
            resume: true,
            earliest_failure: Duration::ZERO,
            limits: Limits {
                bytes: 8 * 1024 * 1024,
                time: Duration::ZERO,
                leaky: Leaky::No,
            },
            trust: Trust::default(),
        }
    }
}

/// The setting that names a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxySource {
    /// The element's property.
    Property,
    /// The environment variable with this name.
    Environment(&'static str),
}

/// Bounds on unsent and unacknowledged content, and the policy when one is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Approximate bytes of memory, unsent and unacknowledged; 0: no limit.
    pub bytes: usize,
    /// Duration of the unsent content, by its Send Times; zero: no limit.
    pub time: Duration,
    /// The policy when a limit is reached.
    pub leaky: Leaky,
}

/// The policy when the [`Limits`] are reached.
///
/// Whole data packets are dropped, and always up to a key frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaky {
    /// Blocks the writer. After `stall_timeout` without progress, drops the oldest packets.
    #[default]
    No,
    /// [`Downstream`](Self::Downstream) where [upstream is live](super::Connection::set_live), and otherwise [`No`](Self::No).
    Auto,
    /// Drops new packets.
    Upstream,
    /// Drops the oldest packets.
    Downstream,
}
