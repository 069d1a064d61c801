// SPDX-License-Identifier: MPL-2.0

//! Players can watch a push to the embedded publishing point: by the specification MS-WMSP, and with independent
//! programs.

#[cfg(target_os = "linux")]
mod browser;
mod http;
#[cfg(target_os = "linux")]
mod page;
#[cfg(target_os = "linux")]
mod players;
mod protocol;
mod relaying;
mod status;
mod stream;
mod viewer;

// This target uses a part of it, another one the rest.
#[allow(dead_code)]
#[path = "../publishing_point/client.rs"]
mod client;
