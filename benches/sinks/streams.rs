// SPDX-License-Identifier: MPL-2.0

//! Files of ASF.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use crate::Outcome;
use crate::packets::{header, packet};

/// Returns a file of at least `size` bytes, which is kept for later runs.
pub fn file(packet_size: usize, padded: bool, size: usize) -> Outcome<PathBuf> {
    let name = format!("{packet_size}_{padded}_{size}.asf");
    let path = std::env::temp_dir().join(format!("wmspush-bench-{name}"));
    if path.exists() {
        return Ok(path);
    }
    let unfinished = path.with_extension("part");
    let mut out = BufWriter::new(File::create(&unfinished)?);
    out.write_all(&header(packet_size))?;
    for number in 0..size.div_ceil(packet_size) {
        out.write_all(&packet(packet_size, number, padded))?;
    }
    out.into_inner()?.sync_all()?;
    fs::rename(unfinished, &path)?;
    Ok(path)
}
