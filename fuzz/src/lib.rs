// SPDX-License-Identifier: MPL-2.0

//! The fuzz targets as functions of their input. `cargo xtask fuzz` runs them; `tests/fuzz_corpus.rs` runs them on the
//! inputs in `fuzz/corpus`.

use std::alloc::System;

use cap::Cap;

#[path = "../../proto/tests/invariants/mod.rs"]
mod invariants;
pub mod targets;

/// Memory limit in bytes, more than any input needs. An allocation for a declared length that was not received exceeds
/// it.
const MOST_MEMORY: usize = 64 * 1024 * 1024;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, MOST_MEMORY);
