// SPDX-License-Identifier: MPL-2.0

//! The resources of the process, as Linux reports them.

use std::fs;
use std::time::{Duration, Instant};

use crate::LONG;

/// Resources that must not grow.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Resident memory, in KiB.
    pub memory: u64,
    pub threads: usize,
    pub descriptors: usize,
}

impl Process {
    pub fn now() -> Self {
        Self {
            memory: resident(),
            threads: entries("/proc/self/task"),
            // The listing uses a descriptor itself.
            descriptors: entries("/proc/self/fd") - 1,
        }
    }

    /// Fails if any resource has grown, or memory by more than `tolerance` KiB.
    ///
    /// Threads and sockets are freed shortly after their owner was notified, without an event.
    pub fn assert_not_grown(self, tolerance: u64) {
        let deadline = Instant::now() + LONG;
        loop {
            let now = Self::now();
            let grown = now.threads > self.threads || now.descriptors > self.descriptors;
            if !grown || Instant::now() > deadline {
                println!("from {self:?} to {now:?}");
                assert!(!grown, "from {self:?} to {now:?}");
                let most = self.memory + tolerance;
                assert!(now.memory <= most, "from {self:?} to {now:?}");
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.unwrap().trim().strip_suffix(" kB").unwrap();
    size.parse().unwrap()
}
