// SPDX-License-Identifier: MPL-2.0

//! Months of operation in minutes: starts, stops, losses and recoveries leave nothing behind in the process.
//!
//! Memory, threads and descriptors belong to the whole process. Therefore this is a test binary of its own, and its
//! tests run one after the other.
#![cfg(target_os = "linux")]

mod bodies;
mod cycles;
mod process;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bound on any wait, even on a loaded machine.
const LONG: Duration = Duration::from_secs(30);

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// Returns exclusive use of the process, with the element registered.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    gst::init().unwrap();
    gstwmspush::plugin_register_static().unwrap();
    guard
}

fn fixture(name: &str) -> String {
    format!("{}/proto/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}
