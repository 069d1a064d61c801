// SPDX-License-Identifier: MPL-2.0

//! What is pushed to the embedded publishing point can be watched: by the letter of MS-WMSP, and by players that are not
//! the project's own.

#[cfg(target_os = "linux")]
mod browser;
#[cfg(target_os = "linux")]
mod page;
#[cfg(target_os = "linux")]
mod players;
mod protocol;
mod relaying;
mod status;
mod stream;
mod viewer;

// Another test target uses the rest of it.
#[allow(dead_code)]
#[path = "../publishing_point/client.rs"]
mod client;
