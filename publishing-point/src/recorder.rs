// SPDX-License-Identifier: MPL-2.0

//! Recordings of pushes as `.asf` files.
//!
//! Packets are written as they arrive, without a buffer, so that each is in the page cache at once. Until the push ends
//! the file has the header of a live stream, so that players open it even if the server was killed. A crash of the
//! machine loses at most the last seconds, because the file is synced every [`syncer::INTERVAL`].

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::syncer::{self, Syncer};
use wmspush_proto::asf::{DataPacket, FileHeader};

/// Characters of a file name without number and extension, at most.
const MAX_NAME: usize = 100;

/// Highest number in a file name.
const MAX_NUMBER: u32 = 100_000;

/// A file with the packets of one playlist entry.
pub(super) struct Recorder {
    file: Arc<File>,
    syncer: Syncer,
    /// The time of the last sync.
    synced: Instant,
    path: PathBuf,
    /// The header that was pushed.
    header: FileHeader,
    /// The header in the file during the push: a broadcast, without counts and durations.
    live_header: FileHeader,
    /// True if the file has the header of a finished file.
    finished: bool,
    packets: u64,
    first_send_time: Option<u32>,
    last_send_time: u32,
    /// The longest time between two packets in milliseconds, which is the assumed duration of the last packet.
    longest_step: u32,
}

impl Recorder {
    /// Creates a new file in `directory` for `point`. If the name exists, a number is added to it.
    ///
    /// # Errors
    ///
    /// Fails if `header` is not an ASF file header, or if the file cannot be written.
    pub(super) fn create(
        directory: &Path,
        point: &str,
        header: Bytes,
        syncer: &Syncer,
    ) -> io::Result<Self> {
        let header = FileHeader::parse(header).map_err(invalid)?;
        let live_header = without_numbers(&header);
        let (mut file, path) = new_file(directory, &file_name(point))?;
        file.write_all(live_header.as_bytes())?;
        let file = Arc::new(file);
        syncer.sync(&file);
        // Makes the name of the file durable.
        if let Ok(directory) = File::open(directory) {
            syncer.sync(&Arc::new(directory));
        }
        Ok(Self {
            file,
            syncer: syncer.clone(),
            synced: Instant::now(),
            path,
            header,
            live_header,
            finished: false,
            packets: 0,
            first_send_time: None,
            last_send_time: 0,
            longest_step: 0,
        })
    }

    /// Returns whether the file begins with `header`, which a reconnecting client may send again.
    pub(super) fn has_header(&self, header: &Bytes) -> bool {
        self.header.as_bytes() == header
    }

    /// Writes a packet, extended to its full size.
    pub(super) fn write(&mut self, packet: &Bytes) -> io::Result<()> {
        let size = self.header.packet_size();
        if packet.len() > size {
            return Err(invalid("a data packet larger than its header allows"));
        }
        if self.finished {
            self.write_header(&self.live_header.clone())?;
            self.finished = false;
        }
        let packet = DataPacket::parse(packet.clone());
        (&*self.file).write_all(&packet.filled_to(size))?;
        self.packets += 1;
        if self.synced.elapsed() >= syncer::INTERVAL {
            self.synced = Instant::now();
            self.syncer.sync(&self.file);
        }
        if let Some(send_time) = packet.send_time() {
            if self.first_send_time.is_some() {
                let step = send_time.saturating_sub(self.last_send_time);
                self.longest_step = self.longest_step.max(step);
            }
            self.first_send_time.get_or_insert(send_time);
            self.last_send_time = self.last_send_time.max(send_time);
        }
        Ok(())
    }

    /// Completes the file with the packets so far. More packets may follow.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let first = self.first_send_time.unwrap_or_default();
        let duration =
            u64::from(self.last_send_time.saturating_sub(first)) + u64::from(self.longest_step);
        let header = self.live_header.for_recording(self.packets, duration);
        self.write_header(&header)?;
        self.syncer.sync(&self.file);
        self.finished = true;
        Ok(())
    }

    /// Overwrites the header with one of the same size.
    fn write_header(&mut self, header: &FileHeader) -> io::Result<()> {
        if header.as_bytes().len() != self.live_header.as_bytes().len() {
            return Err(invalid("the finished header has another size"));
        }
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(header.as_bytes())?;
        file.seek(SeekFrom::End(0)).map(drop)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets
    }
}

/// Returns the header of a live stream without its signature, which would be invalid after the final rewrite.
fn without_numbers(header: &FileHeader) -> FileHeader {
    // One of these calls changes the header, which removes the signature.
    let changed = header.for_recording(1, 0).for_recording(0, 0);
    changed.to_live()
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// Creates the first file of `live.asf`, `live-2.asf`, … that does not exist.
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

/// Converts a path to a file name without separators and without a leading dot.
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
    use wmspush_proto::asf::Guid;

    /// A header without changes would keep its signature, which a finished file cannot have.
    #[test]
    fn the_header_keeps_its_size_to_the_end() {
        use wmspush_proto::asf::testing::{header, object};
        let signature = object(Guid::DIGITAL_SIGNATURE, &[7; 20]);
        let plain = header(100, 50, &[]);
        let signed = header(100, 50, &[signature]);
        let kept = without_numbers(&plain);
        assert_eq!(without_numbers(&signed), kept);
        assert_eq!(kept, plain.to_live());
        let finished = kept.for_recording(7, 3000);
        assert_eq!(finished.as_bytes().len(), kept.as_bytes().len());
        assert_eq!(finished.to_live(), kept);
    }

    /// A path never leaves the directory.
    #[test]
    fn file_names_stay_in_the_directory() {
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
