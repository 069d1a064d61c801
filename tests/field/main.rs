// SPDX-License-Identifier: MPL-2.0

//! Failures that users reported, each with a receiver that behaves like theirs. `A1` to `D12` number the reports.
#![cfg(all(target_os = "linux", feature = "tls"))]

mod alone;
mod asf;
mod connection;
mod ends;
mod line;
mod losses;
#[path = "../plugin/mod.rs"]
mod plugin;
mod probe;
mod process;
mod push;
mod random;
mod receiver;
mod refusals;
mod secrets;
mod stream;
mod tls;
mod watch;

use std::time::Duration;

/// Upper bound on any wait.
pub const LONG: Duration = Duration::from_secs(30);
