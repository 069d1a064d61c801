// SPDX-License-Identifier: MPL-2.0

//! 3.1 Client Details: a player that watches for a moment, as plain state.
//!
//! A [`Player`] makes the fields of its requests. A [`Body`] makes what a player sees of the bytes that come back: packets
//! of 2.2.3, or a plain ASF file from a server that does not speak this protocol.
//!
//! ```text
//!   Player::describe ──▶ GET ──▶ 200 ──▶ Body ──▶ Seen::Header
//!   Player::play     ──▶ GET ──▶ 200 ──▶ Body ──▶ Seen::Header, Seen::Data, …, Seen::End
//!   Player::plain    ──▶ GET ──▶ 200 ──▶ Body ──▶ the same, out of a file without an end
//! ```
//!
//! The player sends no Log and no KeepAlive: it leaves after seconds, as a player does whose window is closed.

mod body;
mod framing;
mod player;

pub use body::{Body, Form, Seen};
pub use framing::{Framed, Unframer, Unreadable};
pub use player::Player;
