// SPDX-License-Identifier: MPL-2.0

//! The lower bound of the cost of framing and writing: a loop in C over packets in memory.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::drain::Drain;
use crate::packets;

/// The compiled program.
pub struct Floor(PathBuf);

impl Floor {
    /// Builds the program with the system's C compiler.
    pub fn build() -> Outcome<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sinks/floor.c");
        let program = std::env::temp_dir().join("wmspush-bench-floor");
        let built = Command::new("cc")
            .args(["-O2", "-Wall", "-Wextra", "-o"])
            .args([&program, &source])
            .status()?;
        if !built.success() {
            return Err("cc has failed".into());
        }
        Ok(Self(program))
    }

    /// Returns the CPU time in seconds for all packets of `file`.
    pub fn cpu(&self, file: &str, packet: usize) -> Outcome<f64> {
        let drain = Drain::start(false)?;
        let header = packets::header(packet).len().to_string();
        let port = drain.address.port().to_string();
        let output = Command::new(&self.0)
            .args([file, &header, &packet.to_string(), &port])
            .output()?;
        let nanoseconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
        drain.next()?;
        Ok(nanoseconds / 1e9)
    }
}
