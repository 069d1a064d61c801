// SPDX-License-Identifier: MPL-2.0

//! The formats and protocols of a push to a Windows Media server, as plain state: bytes in, bytes out.
//!
//! ```text
//!  wmsp ──▶ wmhttp ─┬──▶ asf     Advanced Systems Format
//!                   └──▶ auth    HTTP authentication
//! ```
//!
//! Nothing here has a clock or a socket: times come in as arguments, and the tests run both halves of a protocol against
//! each other in memory.

pub mod asf;
pub mod auth;
pub mod wmhttp;
pub mod wmsp;
