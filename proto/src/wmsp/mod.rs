// SPDX-License-Identifier: MPL-2.0

//! MS-WMSP, the Windows Media HTTP Streaming Protocol, as plain state: both sides, for broadcast content.
//!
//! What is pushed by MS-WMHTTP is watched by this. Nothing here knows a socket, a clock or a source of randomness:
//! [`PlayerRequest`] tells what the head of a request asks for, [`Players`] is the table of its sessions, [`reply`] makes the
//! head of the answer, and a [`Framer`] writes what goes in front of each ASF packet. [`client`] is a player that looks
//! whether there is something to see.
//!
//! ```text
//!   GET                    ──▶ 200, application/vnd.ms.wms-hdr.asfv1     $M $H            Describe
//!   GET, xPlayStrm=1       ──▶ 200, application/x-mms-framed             $M $H $D … $E    Play
//!   POST, OPTIONS          ──▶ 200 or 204, and no body                                    KeepAlive, Log, …
//!   GET of any other agent ──▶ 200, video/x-ms-asf                       an ASF file      no WMSP at all
//! ```
//!
//! # What the specification leaves to the server, and where practice differs
//!
//! | | |
//! |---|---|
//! | 2.2.3.1.1 | The B flag is never set: players compare the whole byte. |
//! | 2.2.3.3 | Padding is left out, but for `NSServer` before 5.0. A packet over 65,527 bytes fits into no `$D` and is left out. |
//! | 2.2.3.4, 3.2.4.2 | `$C` comes without `$E` (S_FALSE), as it may: players end at any `$E`. |
//! | 2.2.3.6 | `$M` goes to players of version 9.0 and later alone, as it must, and has no content description. |
//! | 3.2.5.4 | Neither pipelined mode nor `$P` are offered, and so nobody may ask for them. |
//! | 3.2.5.6 | Who selects no stream gets all of them. Streams are never thinned, and not switched while they play. A Play response has no end that is known, and is never chunked. |

// What comes in is anyone's bytes: nothing here may panic on them.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod client;
mod packet;
mod players;
mod pragma;
pub mod reply;
mod request;
mod selection;

pub use packet::{Framer, MAX_DATA};
pub use players::{Opened, Players};
pub use request::{Agent, PlayerKind, PlayerRequest, Refusal};
pub use selection::Selection;
