// SPDX-License-Identifier: MPL-2.0

//! What the fuzz targets do with their input. `cargo xtask fuzz` runs them; `tests/fuzz_corpus.rs` runs the same on
//! the inputs that are kept.

use std::alloc::System;

use cap::Cap;

#[path = "../../proto/tests/invariants/mod.rs"]
mod invariants;
pub mod targets;

/// More than any input needs. A length that is believed before its bytes have come goes beyond it.
const MOST_MEMORY: usize = 64 * 1024 * 1024;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, MOST_MEMORY);
