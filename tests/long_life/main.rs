// SPDX-License-Identifier: MPL-2.0

//! Months of running, in minutes: what is started and stopped, lost and made again, leaves nothing behind in the process.
//!
//! Memory, threads and descriptors are those of the whole process. So this is a test binary of its own, and its tests
//! run one after the other.
#![cfg(target_os = "linux")]

mod bodies;
mod cycles;
mod process;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Nothing takes longer, whatever else the machine does.
const LONG: Duration = Duration::from_secs(30);

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// The process for one test alone, with the element in it.
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
