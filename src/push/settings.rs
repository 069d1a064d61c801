// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

use super::Trust;
use crate::wmhttp::SessionConfig;

/// Longer than any push. Added to a moment, a [`Duration::MAX`] would overflow.
pub const NO_LIMIT: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How to connect and how long to wait.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the protocol needs to know.
    pub session: SessionConfig,
    /// The interface, by name or number, that an IPv6 link-local address in the URL of the session is reached by.
    pub zone: Option<String>,
    /// The same for the address of the proxy.
    pub proxy_zone: Option<String>,
    /// The setting that names the proxy of the session, if there is one.
    pub proxy_source: Option<ProxySource>,
    /// The longest wait for resolving and connecting, and for each response.
    pub timeout: Duration,
    /// The longest time without any progress while data waits.
    pub stall_timeout: Duration,
    /// How long to try again after a loss: zero is never, [`Duration::MAX`] for ever.
    pub reconnect_timeout: Duration,
    /// Whether a first connection that cannot be made is tried again like a lost one.
    pub retry_first_connect: bool,
    /// Whether the session is resumed after a loss. Otherwise each connection begins a new one.
    pub resume: bool,
    /// How soon after its beginning a push may fail; 0: at once.
    pub earliest_failure: Duration,
    /// What may wait unsent.
    pub limits: Limits,
    /// Whom to trust behind an `https` location.
    pub trust: Trust,
}

/// The setting that names a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxySource {
    /// A property of the application's.
    Property,
    /// The variable of the environment with this name.
    Environment(&'static str),
}

/// What may wait unsent or unacknowledged, and what happens to what is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, about; 0: no limit.
    pub bytes: usize,
    /// Unsent time, by the Send Times; zero: no limit.
    pub time: Duration,
    /// What happens when one of them is reached.
    pub leaky: Leaky,
}

/// What happens when the [`Limits`] are reached. Whole data packets are dropped, and always up to a key frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaky {
    /// The writer is blocked; when that has lasted as long as `stall_timeout`, the oldest are dropped all the same.
    #[default]
    No,
    /// [`Downstream`](Self::Downstream) where [upstream is live](super::Connection::set_live), and otherwise [`No`](Self::No).
    Auto,
    /// New packets are dropped.
    Upstream,
    /// Old packets are dropped.
    Downstream,
}
