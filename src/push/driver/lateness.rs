// SPDX-License-Identifier: MPL-2.0

//! Data that waits although the connection stands: the line or the server is slower than the stream.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use crate::push::notifier::Report;
use crate::push::queue::Queue;
use crate::push::shared::Shared;

/// Longest time that data waits without a report.
const LATE: Duration = Duration::from_secs(2);

/// Shortest time between two reports.
const INTERVAL: Duration = Duration::from_secs(10);

/// Reports data that waits for [`LATE`] or longer while the connection stands: at once, then at most every [`INTERVAL`].
///
/// A lost connection is reported by itself.
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

/// Waits until data is late, and returns how late. A connection that catches up with what has waited for it by half a
/// second each second is given the time for it.
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
        // What is caught up is looked at over a second, in which the data that waits comes and goes many times.
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

    /// A queue with data of ten seconds, after which data comes as before and `taken` times as much is taken. Returns
    /// whether data is late in the next ten seconds.
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
    async fn a_connection_that_catches_up_is_given_the_time() {
        assert!(is_late_when(1).await);
        assert!(!is_late_when(2).await);
    }
}
