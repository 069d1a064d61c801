// SPDX-License-Identifier: MPL-2.0

//! Recordings get to the disk now and then, by a thread that no push waits for.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// At most this much of a recording is lost when the machine crashes, on a disk that keeps pace.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// Most files that wait. One that finds no place is synced at its next interval.
const MAX_WAITING: usize = 1024;

/// A thread that calls `fsync`, which may take long. By default there is none, and nothing is synced.
#[derive(Clone, Debug, Default)]
pub(super) struct Syncer(Option<SyncSender<Arc<File>>>);

impl Syncer {
    /// Starts the thread, which ends with the last clone. Without a thread nothing is synced.
    pub(super) fn start() -> Self {
        let (sender, files) = sync_channel::<Arc<File>>(MAX_WAITING);
        let thread = std::thread::Builder::new().name("recordings".to_owned());
        let started = thread.spawn(move || {
            for file in files {
                // The next write meets the same error if it lasts.
                let _ = file.sync_data();
            }
        });
        Self(started.is_ok().then_some(sender))
    }

    /// Asks for the file to be on the disk. Never waits.
    pub(super) fn sync(&self, file: &Arc<File>) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(file.clone());
        }
    }
}
