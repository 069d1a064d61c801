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

/// Bytes of a file name without number and extension, at most. Most file systems allow 255 in total.
const MAX_NAME: usize = 200;

/// An error with the path that it concerns.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

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
    /// Fails if `header` is not an ASF file header, or if the file cannot be written. It leaves no file then.
    pub(super) fn create(
        directory: &Path,
        point: &str,
        header: Bytes,
        syncer: &Syncer,
    ) -> Result<Self, Failure> {
        let of = |path: &Path, error| Failure {
            path: path.to_owned(),
            error,
        };
        let header = FileHeader::parse(header).map_err(|error| of(directory, invalid(error)))?;
        let live_header = without_numbers(&header);
        let created = new_file(directory, &file_name(point));
        let (mut file, path) = created.map_err(|error| of(directory, error))?;
        if let Err(error) = file.write_all(live_header.as_bytes()) {
            let _ = std::fs::remove_file(&path);
            return Err(of(&path, error));
        }
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

    /// Writes a packet, extended to its full size. Skips one that is larger, behind which no reader would find the next.
    pub(super) fn write(&mut self, packet: &Bytes) -> Result<(), Failure> {
        self.try_write(packet).map_err(|error| self.failure(error))
    }

    /// Completes the file with the packets so far. More packets may follow.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.try_finish().map_err(|error| self.failure(error))
    }

    /// Keeps the whole packets of a file that cannot be continued. Without packets, removes it.
    pub(super) fn abandon(mut self) {
        if check_exists(&self.file).is_err() {
            return;
        }
        // What failed may fail here as well.
        if self.packets == 0 {
            let _ = std::fs::remove_file(&self.path);
            return;
        }
        let packets = self
            .packets
            .saturating_mul(self.header.packet_size() as u64);
        let size = packets.saturating_add(self.live_header.as_bytes().len() as u64);
        let _ = self.file.set_len(size);
        let _ = self.try_finish();
    }

    fn failure(&self, error: io::Error) -> Failure {
        Failure {
            path: self.path.clone(),
            error,
        }
    }

    fn try_write(&mut self, packet: &Bytes) -> io::Result<()> {
        let size = self.header.packet_size();
        if packet.len() > size {
            return Ok(());
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
            check_exists(&self.file)?;
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

    fn try_finish(&mut self) -> io::Result<()> {
        check_exists(&self.file)?;
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

/// Fails if the file was deleted, as by a move to another disk. What is written then reaches no file.
#[cfg(unix)]
fn check_exists(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    match file.metadata()?.nlink() {
        0 => Err(io::Error::new(
            ErrorKind::NotFound,
            "the file was deleted during the recording",
        )),
        _ => Ok(()),
    }
}

/// Elsewhere an open file cannot be deleted.
#[cfg(not(unix))]
fn check_exists(_: &File) -> io::Result<()> {
    Ok(())
}

/// Creates a file of `live.asf`, `live-2.asf`, … that does not exist.
fn new_file(directory: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let numbered = |number: u64| {
        directory.join(match number {
            1 => format!("{name}.asf"),
            _ => format!("{name}-{number}.asf"),
        })
    };
    let mut number = free_number(|number| numbered(number).exists());
    loop {
        let path = numbered(number);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Returns a number that is not taken: the first one if the taken ones have no gaps. Calls `taken` twice for each binary
/// digit of the number, because a directory may have many recordings.
fn free_number(taken: impl Fn(u64) -> bool) -> u64 {
    let mut free = 1;
    while taken(free) {
        free *= 2;
    }
    let mut last_taken = free / 2;
    while free - last_taken > 1 {
        let middle = last_taken.midpoint(free);
        if taken(middle) {
            last_taken = middle;
        } else {
            free = middle;
        }
    }
    free
}

/// Converts a path to a file name without separators and without a leading dot.
fn file_name(point: &str) -> String {
    let allowed = |character: char| character.is_alphanumeric() || ".-_".contains(character);
    let kept = point
        .trim_start_matches('/')
        .chars()
        .map(|character| if allowed(character) { character } else { '_' });
    let mut name = String::new();
    for character in kept.skip_while(|kept| *kept == '.') {
        if name.len() + character.len_utf8() > MAX_NAME {
            break;
        }
        name.push(character);
    }
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

    #[test]
    fn a_free_number_is_found_in_few_steps() {
        for taken in [0, 1, 2, 3, 7, 8, 9, 999_999] {
            let steps = std::cell::Cell::new(0);
            let is_taken = |number| {
                steps.set(steps.get() + 1);
                number <= taken
            };
            assert_eq!(free_number(is_taken), taken + 1);
            assert!(steps.get() <= 41, "{taken}: {}", steps.get());
        }
        let with_gap = free_number(|number| number != 3 && number < 10);
        assert!(with_gap == 3 || with_gap == 10);
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
            ("/\u{e4}", "\u{e4}"),
            ("/a\u{2028}b", "a_b"),
        ] {
            assert_eq!(file_name(point), name, "{point}");
        }
        assert_eq!(file_name(&"x".repeat(1000)).len(), MAX_NAME);
        assert_eq!(file_name(&"生".repeat(1000)).len(), 198);
    }
}
