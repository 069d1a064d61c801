// SPDX-License-Identifier: MPL-2.0

//! What holds for every input: splits do not matter, payloads outlive their padding, and nothing panics or hangs.

mod crowded;
mod hostile;
#[path = "../invariants/mod.rs"]
mod invariants;
mod layouts;
mod packets;
mod splits;
