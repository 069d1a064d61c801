// SPDX-License-Identifier: MPL-2.0

//! 3.1 Client Details: a player that watches for a few seconds, sans-IO.
//!
//! A [`Player`] creates the fields of its requests. A [`BodyReader`] parses the response: packets of 2.2.3 Packet Types, or a
//! plain ASF file from a server without this protocol.
//!
//! ```text
//!   Player::describe ──▶ GET ──▶ 200 ──▶ BodyReader ──▶ Seen::Header
//!   Player::play     ──▶ GET ──▶ 200 ──▶ BodyReader ──▶ Seen::Header, Seen::Data, …, Seen::End
//!   Player::plain    ──▶ GET ──▶ 200 ──▶ BodyReader ──▶ the same, from an endless file
//! ```
//!
//! The player sends neither Log nor KeepAlive. It disconnects after seconds, like a player whose window is closed.

mod body;
mod framing;
mod player;

pub use body::{BodyReader, Form, Seen};
pub use framing::{Framed, Unframer, Unreadable};
pub use player::Player;
