// SPDX-License-Identifier: MPL-2.0

//! The recordings of sessions: a file for each playlist entry, and another one after a failure.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;

use super::Event;
use super::lock::lock;
use super::recorder::{Failure, Recorder};
use super::shared::PointState;
use wmspush_proto::asf::{DataPacket, FileHeader, KeyFrameGate};
use wmspush_proto::wmhttp::server::{Received, SessionKey};

/// Time after which recording is tried again, such as on a full disk.
const RETRY: Duration = Duration::from_secs(60);

/// Span of Send Times in milliseconds after which a file begins without a key frame, because some streams mark none.
const LONGEST_WAIT: u32 = 30_000;

/// The recording of one session.
#[derive(Default)]
pub(super) struct Recording {
    recorder: Option<Recorder>,
    /// The header of the current playlist entry.
    header: Bytes,
    /// Closed after a failure, because the next file has to begin where decoding can begin.
    gate: Option<KeyFrameGate>,
    /// Time at which a file is created for the rest of the entry; `None`: there is one, or it would fail again.
    retry: Option<Duration>,
}

impl Recording {
    /// Returns whether the current file begins with this header, which a reconnecting client may send again.
    fn continues(&self, header: &Bytes) -> bool {
        let recorder = self.recorder.as_ref();
        recorder.is_some_and(|recorder| recorder.has_header(header))
    }

    /// Returns the packet that begins another file, if it is time for one and decoding can begin there.
    fn begin_again(&mut self, packet: &Bytes, now: Duration) -> Option<Bytes> {
        self.retry.filter(|retry| *retry <= now)?;
        let gate = self.gate.as_mut()?;
        let packet = DataPacket::parse(packet.clone());
        let admits = gate.admit(&packet);
        admits.then(|| gate.key_frames().join_at(&packet))
    }

    /// Discards the file that failed, except for its usable part, and schedules another one.
    fn failed(&mut self, failure: &Failure, now: Duration) {
        let recorder = self.recorder.take();
        self.gate = FileHeader::parse(self.header.clone())
            .ok()
            .map(|header| KeyFrameGate::of(&header).with_longest_wait(LONGEST_WAIT));
        if let Some(gate) = &mut self.gate {
            gate.close();
        }
        self.retry = match failure.error.kind() {
            // The stream cannot be recorded.
            ErrorKind::InvalidData => None,
            // The file was moved away or deleted.
            ErrorKind::NotFound if recorder.is_some() => Some(now),
            _ => now.checked_add(RETRY),
        };
        if let Some(recorder) = recorder {
            recorder.abandon();
        }
    }
}

impl PointState {
    /// Records a received packet.
    pub(super) fn record(
        &self,
        session: SessionKey,
        point: &str,
        recording: &mut Recording,
        received: &Received,
    ) {
        if self.settings.record.is_none() {
            return;
        }
        let recorded = match received {
            Received::Header(header) if recording.continues(header) => Ok(()),
            Received::Header(header) | Received::StreamChange(header) => {
                let complete = std::mem::take(recording);
                self.recorded(session, point, complete);
                recording.header = header.clone();
                self.begin_file(session, point, recording)
            }
            Received::Data(packet) => self.record_packet(session, point, recording, packet),
            Received::EndOfStream(_) | Received::Filler(_) => Ok(()),
        };
        if let Err(failure) = recorded {
            recording.failed(&failure, self.now());
            self.recording_failed(session, point, failure);
        }
    }

    /// Writes a packet, if necessary to another file.
    fn record_packet(
        &self,
        session: SessionKey,
        point: &str,
        recording: &mut Recording,
        packet: &Bytes,
    ) -> Result<(), Failure> {
        if let Some(recorder) = &mut recording.recorder {
            return recorder.write(packet);
        }
        let Some(first) = recording.begin_again(packet, self.now()) else {
            return Ok(());
        };
        self.begin_file(session, point, recording)?;
        match &mut recording.recorder {
            Some(recorder) => recorder.write(&first),
            None => Ok(()),
        }
    }

    fn begin_file(
        &self,
        session: SessionKey,
        point: &str,
        recording: &mut Recording,
    ) -> Result<(), Failure> {
        let Some(directory) = &self.settings.record else {
            return Ok(());
        };
        let header = recording.header.clone();
        let recorder = Recorder::create(directory, point, header, &self.syncer)?;
        recording.retry = None;
        let recorder = recording.recorder.insert(recorder);
        self.tell(Event::Recording {
            session,
            point: point.to_owned(),
            path: recorder.path().to_owned(),
        });
        Ok(())
    }

    /// Removes and returns the recording of a session that continues.
    pub(super) fn take_recording(&self, session: SessionKey) -> Recording {
        lock(&self.recordings).remove(&session).unwrap_or_default()
    }

    /// Keeps the recording of a waiting session. Completes its file, because the client may not reconnect.
    pub(super) fn keep_recording(
        &self,
        session: SessionKey,
        point: &str,
        mut recording: Recording,
    ) {
        let finished = match &mut recording.recorder {
            Some(recorder) => recorder.finish(),
            None if recording.retry.is_none() => return,
            None => Ok(()),
        };
        if let Err(failure) = finished {
            recording.failed(&failure, self.now());
            self.recording_failed(session, point, failure);
        }
        lock(&self.recordings).insert(session, recording);
    }

    /// Finishes a recording for good.
    pub(super) fn recorded(&self, session: SessionKey, point: &str, recording: Recording) {
        let Some(mut recorder) = recording.recorder else {
            return;
        };
        match recorder.finish() {
            Ok(()) => self.tell(Event::Recorded {
                session,
                point: point.to_owned(),
                path: recorder.path().to_owned(),
                packets: recorder.packets(),
            }),
            Err(failure) => self.recording_failed(session, point, failure),
        }
    }

    fn recording_failed(&self, session: SessionKey, point: &str, failure: Failure) {
        self.tell(Event::RecordingFailed {
            session,
            point: point.to_owned(),
            path: failure.path,
            error: failure.error.to_string(),
        });
    }

    /// Finishes the recordings of waiting sessions, because the publishing point stops.
    pub(super) fn finish_recordings(&self) {
        let recordings = std::mem::take(&mut *lock(&self.recordings));
        for (session, recording) in recordings {
            let point = lock(&self.pushes).entry(session).point.clone();
            self.recorded(session, &point, recording);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syncer::Syncer;
    use wmspush_proto::asf::testing::header;

    fn failure(kind: ErrorKind) -> Failure {
        Failure {
            path: "live.asf".into(),
            error: kind.into(),
        }
    }

    #[test]
    fn the_next_attempt_depends_on_the_failure() {
        let now = Duration::from_secs(100);
        let retry = |recorder: Option<Recorder>, kind| {
            let mut recording = Recording {
                recorder,
                ..Recording::default()
            };
            recording.failed(&failure(kind), now);
            recording.retry
        };
        let later = Some(now + RETRY);
        assert_eq!(retry(None, ErrorKind::StorageFull), later);
        assert_eq!(retry(None, ErrorKind::NotFound), later, "no directory");
        assert_eq!(retry(None, ErrorKind::InvalidData), None);
        let directory = std::env::temp_dir();
        let header = header(100, 50, &[]).as_bytes().clone();
        let name = format!("/retry-{}", std::process::id());
        let file = Recorder::create(&directory, &name, header, &Syncer::default()).unwrap();
        let path = file.path().to_owned();
        assert_eq!(retry(Some(file), ErrorKind::NotFound), Some(now));
        assert!(!path.exists(), "a file without packets is removed");
    }
}
