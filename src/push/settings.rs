// SPDX-License-Identifier: MPL-2.0

use std::time::Duration;

use super::Trust;
use crate::wmhttp::SessionConfig;

/// How to connect and how long to wait.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the protocol needs to know.
    pub session: SessionConfig,
    /// The longest wait for resolving and connecting, and for each response.
    pub timeout: Duration,
    /// The longest time without any progress while data waits.
    pub stall_timeout: Duration,
    /// Bytes that may wait unsent.
    pub max_bytes: usize,
    /// Whom to trust behind an `https` location.
    pub trust: Trust,
}
