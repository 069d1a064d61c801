// SPDX-License-Identifier: MPL-2.0

//! Invariants of all inputs: splits do not matter, payloads survive the removal of padding, nothing panics or hangs.

mod crowded;
mod hostile;
#[path = "../invariants/mod.rs"]
mod invariants;
mod layouts;
mod packets;
mod splits;
