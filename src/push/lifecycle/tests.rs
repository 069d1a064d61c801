// SPDX-License-Identifier: MPL-2.0

use std::sync::Mutex;

use super::*;
use crate::push::{Error, Phase, StatusCallback};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl StatusCallback for Log {
    fn on_phase(&self, _: Phase) {}

    fn on_status(&self, status: &Status) {
        let line = format!(
            "{} {:?}→{:?}",
            status.status.name(),
            status.previous_state,
            status.state
        );
        self.0.lock().unwrap().push(line);
    }
}

fn lifecycle() -> (Lifecycle, Log) {
    let log = Log::default();
    let notifier = Notifier::new(log.clone(), None);
    (Lifecycle::new(Arc::default(), notifier), log)
}

/// The reports since the last call.
fn reports(lifecycle: &Lifecycle, log: &Log) -> Vec<String> {
    lifecycle.notifier().deliver();
    std::mem::take(&mut log.0.lock().unwrap())
}

fn failure(error: Error) -> Failure {
    Failure::new(Phase::Push, error)
}

#[test]
fn a_push_is_reported_from_its_beginning_to_its_end() {
    let (lifecycle, log) = lifecycle();
    lifecycle.begin();
    lifecycle.connecting();
    lifecycle.connecting();
    lifecycle.opened(false);
    lifecycle.started();
    assert!(lifecycle.announce_end(Duration::from_secs(5)));
    lifecycle.ending();
    lifecycle.ending();
    lifecycle.ended();
    assert!(!lifecycle.disconnect());
    assert_eq!(
        reports(&lifecycle, &log),
        [
            "WMT_LOCATING Disconnected→Connecting",
            "WMT_CONNECTING Connecting→Connecting",
            "WMT_OPENED Connecting→Connected",
            "WMT_STARTED Connected→Streaming",
            "WMT_END_OF_STREAMING Streaming→Ending",
            "WMT_STOPPED Ending→Ended",
            "WMT_CLOSED Ended→Ended",
        ]
    );
    assert!(lifecycle.has_ended() && !lifecycle.was_disconnected() && !lifecycle.is_alive());
}

#[test]
fn a_loss_keeps_the_progress_of_the_stream() {
    let (lifecycle, log) = lifecycle();
    lifecycle.begin();
    lifecycle.opened(false);
    lifecycle.started();
    lifecycle.lost(failure(Error::Reset), 1, Duration::from_secs(60), false);
    let retry = lifecycle.retry();
    assert_eq!(retry.attempt, 1);
    assert!(retry.retry_in > Duration::from_secs(50));
    lifecycle.announce_end(Duration::from_secs(5));
    lifecycle.ending();
    lifecycle.lost(failure(Error::Closed), 2, Duration::ZERO, false);
    lifecycle.recovered(2, true);
    assert_eq!(lifecycle.session_state(), SessionState::Ending);
    let retry = lifecycle.retry();
    assert_eq!((retry.attempt, retry.retry_in), (0, Duration::ZERO));
    assert_eq!(retry.last_loss.unwrap().error, Error::Closed);
    assert_eq!(
        reports(&lifecycle, &log)[3..],
        [
            "WMT_RECONNECT_START Streaming→Reconnecting",
            "WMT_END_OF_STREAMING Reconnecting→Reconnecting",
            "WMT_RECONNECT_START Reconnecting→Reconnecting",
            "WMT_RECONNECT_END Reconnecting→Ending",
        ]
    );
}

#[test]
fn a_first_connection_that_is_tried_again_opens_later() {
    let (lifecycle, log) = lifecycle();
    lifecycle.begin();
    lifecycle.lost(failure(Error::Reset), 1, Duration::ZERO, false);
    assert!(!lifecycle.was_opened());
    lifecycle.recovered(1, false);
    lifecycle.opened(false);
    assert_eq!(
        reports(&lifecycle, &log)[1..],
        [
            "WMT_RECONNECT_START Connecting→Reconnecting",
            "WMT_RECONNECT_END Reconnecting→Connected",
            "WMT_OPENED Connected→Connected",
        ]
    );
}

#[test]
fn nothing_follows_a_failure() {
    let (lifecycle, log) = lifecycle();
    lifecycle.begin();
    lifecycle.fail(failure(Error::Reset));
    lifecycle.fail(failure(Error::Closed));
    lifecycle.opened(false);
    lifecycle.started();
    lifecycle.ended();
    assert!(!lifecycle.disconnect());
    assert!(!lifecycle.announce_end(Duration::ZERO));
    assert_eq!(lifecycle.failure().unwrap().error, Error::Reset);
    assert!(!lifecycle.is_alive() && !lifecycle.has_ended());
    assert_eq!(
        reports(&lifecycle, &log)[1..],
        ["WMT_OPENED Connecting→Failed"]
    );
}

#[test]
fn a_resumed_session_streams_without_a_header() {
    let (lifecycle, log) = lifecycle();
    lifecycle.begin();
    lifecycle.opened(true);
    lifecycle.started();
    assert_eq!(
        reports(&lifecycle, &log)[1..],
        ["WMT_OPENED Connecting→Streaming"]
    );
}

#[test]
fn writers_stop_at_the_end_and_when_interrupted() {
    let (lifecycle, _) = lifecycle();
    assert_eq!(lifecycle.check_writer(), Ok(()));
    lifecycle.interrupt(true);
    assert_eq!(lifecycle.check_writer(), Err(Stop::Interrupted));
    lifecycle.announce_end(Duration::ZERO);
    assert_eq!(lifecycle.check_writer(), Err(Stop::Closed));
    lifecycle.interrupt(false);
    assert_eq!(lifecycle.check_writer(), Err(Stop::Closed));
}
