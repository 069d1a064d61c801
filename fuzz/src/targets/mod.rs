// SPDX-License-Identifier: MPL-2.0

//! One module for each target. Their invariants are in `proto/tests/invariants`.

use super::invariants;

#[path = "../../../proto/tests/pair/messages.rs"]
mod messages;

pub mod asf_reader;
pub mod challenges;
pub mod locations;
pub mod pair;
pub mod player_responses;
pub mod response_heads;
pub mod responses;
pub mod server_packets;
