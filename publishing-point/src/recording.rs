// SPDX-License-Identifier: MPL-2.0

//! The recordings of sessions: a file for each playlist entry, and another one after a failure.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::Event;
use super::lock::lock;
use super::recorder::{Failure, Recorder};
use super::shared::PointState;
use wmspush_proto::wmhttp::server::{Received, SessionKey};

/// Time after which recording is tried again, such as on a full disk.
const RETRY: Duration = Duration::from_secs(60);

/// The recording of one session.
#[derive(Default)]
pub(super) struct Recording {
    recorder: Option<Recorder>,
    /// The header of the current playlist entry.
    header: Bytes,
    /// Time at which a file is created for the rest of the entry; `None`: there is one, or it would fail again.
    retry: Option<Duration>,
}

impl Recording {
    /// Returns whether the current file begins with this header, which a reconnecting client may send again.
    fn continues(&self, header: &Bytes) -> bool {
        let recorder = self.recorder.as_ref();
        recorder.is_some_and(|recorder| recorder.has_header(header))
    }

    /// Discards the file that failed, except for its usable part, and schedules another one.
    fn failed(&mut self, failure: &Failure, now: Duration) {
        let recorder = self.recorder.take();
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
        let Some(directory) = &self.settings.record else {
            return;
        };
        let recorded = match received {
            Received::Header(header) if recording.continues(header) => Ok(()),
            Received::Header(header) | Received::StreamChange(header) => {
                let complete = std::mem::take(recording);
                self.recorded(session, point, complete);
                recording.header = header.clone();
                self.begin_file(session, point, recording, directory)
            }
            Received::Data(packet) => {
                self.retry(session, point, recording, directory)
                    .and_then(|()| match &mut recording.recorder {
                        Some(recorder) => recorder.write(packet),
                        None => Ok(()),
                    })
            }
            Received::EndOfStream(_) | Received::Filler(_) => Ok(()),
        };
        if let Err(failure) = recorded {
            recording.failed(&failure, self.now());
            self.recording_failed(session, point, failure);
        }
    }

    /// Creates another file if it is time for that.
    fn retry(
        &self,
        session: SessionKey,
        point: &str,
        recording: &mut Recording,
        directory: &Path,
    ) -> Result<(), Failure> {
        match recording.retry {
            Some(retry) if retry <= self.now() => {
                self.begin_file(session, point, recording, directory)
            }
            _ => Ok(()),
        }
    }

    fn begin_file(
        &self,
        session: SessionKey,
        point: &str,
        recording: &mut Recording,
        directory: &Path,
    ) -> Result<(), Failure> {
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
