// SPDX-License-Identifier: MPL-2.0

//! The thread that syncs recordings to disk, for which no push waits.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// Interval between two syncs of a recording, which a crash of the machine loses at most if the disk keeps up.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// Files waiting to be synced, at most. A file that finds the queue full is synced at its next interval.
const MAX_WAITING: usize = 1024;

/// A thread that calls `fsync`, which may block. The default has no thread and syncs nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Syncer(Option<SyncSender<Arc<File>>>);

impl Syncer {
    /// Starts the thread, which ends with the last clone. If it cannot be started, nothing is synced.
    pub(super) fn start() -> Self {
        let (sender, files) = sync_channel::<Arc<File>>(MAX_WAITING);
        let thread = std::thread::Builder::new().name("recordings".to_owned());
        let started = thread.spawn(move || {
            for file in files {
                // A lasting error is reported by the next write.
                let _ = file.sync_data();
            }
        });
        Self(started.is_ok().then_some(sender))
    }

    /// Requests a sync of the file. Never waits.
    pub(super) fn sync(&self, file: &Arc<File>) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(file.clone());
        }
    }
}
