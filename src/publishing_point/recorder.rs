// SPDX-License-Identifier: MPL-2.0

//! Pushes as `.asf` files.
//!
//! Files are written where the packets arrive, without another thread: writes go through a buffer into the page cache,
//! and a publishing point of this size has a thread of its own anyway.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::asf::{DataPacket, FileHeader};

/// Most characters of a file name, without number and extension.
const MAX_NAME: usize = 100;

/// Highest number that is tried for a file name.
const MAX_NUMBER: u32 = 100_000;

/// Bytes that are written at a time.
const BUFFER: usize = 64 * 1024;

/// A file that grows with the packets of one playlist entry.
pub(super) struct Recorder {
    file: BufWriter<File>,
    path: PathBuf,
    header: FileHeader,
    /// Bytes of the header in the file.
    header_size: usize,
    packets: u64,
    first_send_time: Option<u32>,
    last_send_time: u32,
    /// The longest time from one packet to the next, in milliseconds: as long may the last one play.
    longest_step: u32,
}

impl Recorder {
    /// A new file in `directory` for `point`. Files that exist are never touched: a number is added.
    ///
    /// # Errors
    ///
    /// When `header` is no ASF file header, or the file cannot be written.
    pub(super) fn create(directory: &Path, point: &str, header: Bytes) -> io::Result<Self> {
        let header = FileHeader::parse(header).map_err(invalid)?;
        let empty = header.for_recording(0, 0);
        let (file, path) = new_file(directory, &file_name(point))?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        file.write_all(empty.as_bytes())?;
        Ok(Self {
            file,
            path,
            header_size: empty.as_bytes().len(),
            header,
            packets: 0,
            first_send_time: None,
            last_send_time: 0,
            longest_step: 0,
        })
    }

    /// Whether `header` is the one that the file began with: a client that comes back may send it again.
    pub(super) fn has_header(&self, header: &Bytes) -> bool {
        self.header.as_bytes() == header
    }

    /// Adds a packet, with zeros where its padding was.
    pub(super) fn write(&mut self, packet: &Bytes) -> io::Result<()> {
        let Some(missing) = self.header.packet_size().checked_sub(packet.len()) else {
            return Err(invalid("a data packet larger than the header says"));
        };
        self.file.write_all(packet)?;
        io::copy(
            &mut io::Read::take(io::repeat(0), missing as u64),
            &mut self.file,
        )?;
        self.packets += 1;
        if let Some(send_time) = DataPacket::parse(packet.clone()).send_time() {
            if self.first_send_time.is_some() {
                let step = send_time.saturating_sub(self.last_send_time);
                self.longest_step = self.longest_step.max(step);
            }
            self.first_send_time.get_or_insert(send_time);
            self.last_send_time = self.last_send_time.max(send_time);
        }
        Ok(())
    }

    /// Makes the file complete as it is now. More packets may follow.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let first = self.first_send_time.unwrap_or_default();
        let duration =
            u64::from(self.last_send_time.saturating_sub(first)) + u64::from(self.longest_step);
        let header = self.header.for_recording(self.packets, duration);
        if header.as_bytes().len() != self.header_size {
            return Err(invalid("the finished header has another size"));
        }
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(header.as_bytes())?;
        self.file.seek(SeekFrom::End(0))?;
        self.file.flush()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// `live.asf`, `live-2.asf`, …: the first that is free.
fn new_file(directory: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    for number in 1..=MAX_NUMBER {
        let path = directory.join(match number {
            1 => format!("{name}.asf"),
            _ => format!("{name}-{number}.asf"),
        });
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        ErrorKind::AlreadyExists,
        "all file names are taken",
    ))
}

/// What of the path may be in a file name: never a separator, never a leading dot.
fn file_name(point: &str) -> String {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let kept = point
        .trim_start_matches('/')
        .bytes()
        .map(|byte| if allowed(byte) { char::from(byte) } else { '_' });
    let name: String = kept
        .skip_while(|kept| *kept == '.')
        .take(MAX_NAME)
        .collect();
    let name = name.strip_suffix(".asf").unwrap_or(&name);
    if name.is_empty() {
        "push".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path never leaves the directory.
    #[test]
    fn file_names_are_harmless() {
        for (point, name) in [
            ("/live", "live"),
            ("/live.asf", "live"),
            ("/a/b", "a_b"),
            ("/../../etc/passwd", "_.._etc_passwd"),
            ("/.hidden", "hidden"),
            ("/a%20b;c", "a_20b_c"),
            ("//", "push"),
            ("/...", "push"),
            ("/\u{e4}", "__"),
        ] {
            assert_eq!(file_name(point), name, "{point}");
        }
        assert_eq!(file_name(&"x".repeat(1000)).len(), MAX_NAME);
    }
}
