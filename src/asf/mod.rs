// SPDX-License-Identifier: MPL-2.0

//! ASF, as much of it as a sender of data packets needs.
//!
//! A packet is taken apart by [`DataPacket`], which also leaves its padding out ([`DataPacket::without_padding`]).
//!
//! Section numbers are those of the *Advanced Systems Format (ASF) Specification*, revision 01.20.

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

mod data_packet;
mod defect;
mod padding;
mod payload;

pub use data_packet::DataPacket;
pub use defect::Defect;
pub use padding::{PacketHead, Unpadded};
