// SPDX-License-Identifier: MPL-2.0

//! `cargo xtask faults`: the table of faults and phases, and what becomes of a push in each.

use crate::run::{self, Result};
use crate::setup;
use crate::workspace::Workspace;

/// The test that makes the table, with what it prints.
const TABLE: &[&str] = &[
    "test",
    "--quiet",
    "--test",
    "faults",
    "--",
    "--exact",
    "every_fault_in_every_phase",
    "--nocapture",
];

/// Builds what is needed and prints the table.
pub fn run() -> Result {
    setup::ensure(true)?;
    let workspace = Workspace::find()?;
    let mut command = workspace.cargo(TABLE);
    println!("==> {}", run::shown(&command));
    run::through(&mut command)
}
