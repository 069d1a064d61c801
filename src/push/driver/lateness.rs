// SPDX-License-Identifier: MPL-2.0

//! Reports of data that is late although the connection stands: the network or the server is slower than the stream.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use crate::push::notifier::Report;
use crate::push::queue::Queue;
use crate::push::shared::Shared;

/// Delay from which data is reported as late.
const LATE: Duration = Duration::from_secs(2);

/// Minimum interval between two reports.
const INTERVAL: Duration = Duration::from_secs(10);

/// Reports data that waits for [`LATE`] or longer while the connection stands: at once, then at most every [`INTERVAL`].
///
/// A lost connection has its own report.
pub(super) async fn report_lateness(shared: &Shared) -> Infallible {
    let lifecycle = &shared.lifecycle;
    loop {
        lifecycle.takes_data(true).await;
        tokio::select! {
            biased;
            () = lifecycle.takes_data(false) => {}
            behind = late(&shared.queue) => {
                lifecycle.notifier().queue(Report::Behind(behind));
                lifecycle.notifier().spawn();
                sleep(INTERVAL - LATE).await;
            }
        }
    }
}

/// Waits until data is late, and returns its delay. A connection whose delay falls by at least half a second per second
/// is catching up, and is not reported.
async fn late(queue: &Queue) -> Duration {
    let mut before = queue.behind();
    let mut waited = LATE;
    loop {
        sleep(waited).await;
        let behind = queue.behind();
        let catches_up = behind + waited / 2 <= before;
        if behind >= LATE && !catches_up && queue.is_real_time() {
            return behind;
        }
        before = behind;
        // While a backlog shrinks, its delay is sampled every second: it fluctuates too much over shorter intervals.
        waited = if catches_up || behind >= LATE {
            LATE / 2
        } else {
            LATE - behind
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use tokio::time::{interval, timeout};

    use super::*;
    use crate::asf::DataPacket;
    use crate::push::queue::Content;
    use crate::push::{Leaky, Limits};

    const TENTH: Duration = Duration::from_millis(100);

    fn push(queue: &Queue) {
        let packet = DataPacket::parse(Bytes::from_static(&[0; 10]));
        let mut batch = VecDeque::from([Content::DataUnit(packet)]);
        let pushed = queue.push(&mut batch, Duration::ZERO, || Ok(()));
        assert_eq!(pushed, Ok(0));
    }

    /// Fills a queue with data of ten seconds. Then data is queued at the same rate and taken at `taken` times that
    /// rate. Returns whether data is late in the next ten seconds.
    async fn is_late_when(taken: usize) -> bool {
        let queue = Queue::new(Limits {
            bytes: 0,
            time: Duration::ZERO,
            leaky: Leaky::No,
        });
        queue.set_real_time(true);
        let mut ticks = interval(TENTH);
        for _ in 0..100 {
            ticks.tick().await;
            push(&queue);
        }
        let flow = async {
            loop {
                ticks.tick().await;
                push(&queue);
                queue.take(10 * taken, &mut VecDeque::new());
            }
        };
        let watched = timeout(Duration::from_secs(10), late(&queue));
        tokio::select! {
            late = watched => late.is_ok(),
            () = flow => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_catches_up_is_not_reported() {
        assert!(is_late_when(1).await);
        assert!(!is_late_when(2).await);
    }
}
