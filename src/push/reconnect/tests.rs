// SPDX-License-Identifier: MPL-2.0

//! The policy in virtual time: every test sets its own clock.

use super::*;
use crate::auth::Role;

const POLICY: Policy = Policy {
    timeout: Duration::from_secs(5),
    retry_first: false,
    resume: true,
    proxied: false,
};

/// The policy and a clock.
struct Run {
    policy: Reconnect,
    now: Instant,
}

impl Run {
    fn new(policy: Policy) -> Self {
        Self {
            policy: Reconnect::new(policy),
            now: Instant::now(),
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// PushSetup and PushStart succeed, and the peer acknowledges data `milliseconds` later.
    fn stream(&mut self, milliseconds: u64) -> Option<u32> {
        self.policy.configured();
        self.policy.started(self.now);
        self.pass(milliseconds);
        self.policy.acknowledged(self.now)
    }

    /// Loses the connection, and begins the next one after the wait.
    fn lose(&mut self, error: &Error) -> Verdict {
        let verdict = self.policy.lost(error, false, self.now, 0);
        if let Some(attempt) = verdict.attempt {
            self.now += attempt.delay;
            self.policy.connecting(attempt.kind);
        }
        verdict
    }

    fn attempt(&mut self, error: &Error) -> Attempt {
        self.lose(error).attempt.unwrap()
    }
}

fn refused(status: u16, retry_after: Option<u64>) -> Error {
    Error::Protocol(wmhttp::Error::Refused {
        role: Role::Server,
        status: StatusCode::from_u16(status).unwrap(),
        reason: String::new(),
        server: String::new(),
        retry_after: retry_after.map(Duration::from_secs),
    })
}

/// A1: a server that reads some data and closes, again and again.
#[test]
fn short_connections_end_in_a_failure_at_the_timeout() {
    let mut run = Run::new(POLICY);
    run.stream(1000);
    let first = run.now;
    let mut waits = Vec::new();
    let mut recoveries = 0;
    loop {
        let verdict = run.lose(&Error::Closed);
        let Some(attempt) = verdict.attempt else {
            assert!(verdict.repeated, "the hint speaks of it");
            break;
        };
        waits.push(attempt.delay.as_millis());
        assert_eq!(attempt.number as usize, waits.len());
        run.stream(10);
        recoveries += u32::from(run.policy.recovered().is_some());
    }
    assert_eq!(waits[..4], [250, 500, 1000, 2000]);
    assert!(waits.len() <= 6, "{waits:?}");
    assert!(run.now - first <= POLICY.timeout + Duration::from_millis(100));
    assert_eq!(recoveries, 1);
}

/// A2: a refusal after a push was accepted is retried within the timeout.
#[test]
fn refusals_wait_longer_each_time() {
    for status in [403, 409, 503, 404, 410] {
        let mut run = Run::new(POLICY);
        run.stream(1000);
        run.lose(&Error::Reset);
        run.policy.started(run.now);
        let at_once = run.attempt(&refused(status, None));
        assert_eq!((at_once.delay, at_once.kind), (Duration::ZERO, Kind::New));
        let mut waits = Vec::new();
        while let Some(attempt) = run.lose(&refused(status, None)).attempt {
            waits.push(attempt.delay.as_millis());
            run.policy.started(run.now);
        }
        assert_eq!(waits[..3], [500, 1000, 2000], "{status}");
        assert!(waits.len() <= 4, "{waits:?}");
    }
}

/// A server without the method or the HTTP version of a push has no other answer later.
#[test]
fn statuses_about_the_request_itself_are_final() {
    let attempt = |status| {
        let mut run = Run::new(POLICY);
        run.stream(1000);
        run.lose(&Error::Reset);
        run.policy.started(run.now);
        run.lose(&refused(status, None))
            .attempt
            .map(|attempt| attempt.kind)
    };
    for status in [
        302, 400, 401, 405, 407, 411, 413, 414, 415, 422, 426, 501, 505,
    ] {
        // A resumption may be what the server refuses.
        assert_eq!(attempt(status), Some(Kind::New), "{status}");
        let mut run = Run::new(POLICY);
        run.stream(1000);
        assert_eq!(run.lose(&refused(status, None)).attempt, None, "{status}");
    }
}

/// A3: a server that closes on the first data of a session that it does not know.
#[test]
fn a_failed_resumption_is_followed_by_a_new_session_only() {
    let mut run = Run::new(Policy {
        timeout: Duration::from_secs(60),
        ..POLICY
    });
    run.stream(1000);
    assert_eq!(run.attempt(&Error::Reset).kind, Kind::Resumed);
    run.policy.push_start(true, run.now);
    run.policy.started(run.now);
    assert!(run.policy.holds_content());
    run.pass(250);
    run.policy.end_probation();
    assert!(!run.policy.holds_content());
    run.policy.acknowledged(run.now);
    run.pass(20);
    let verdict = run.lose(&Error::Closed);
    assert!(verdict.refused, "nothing of it was received");
    assert_eq!(verdict.attempt.unwrap().kind, Kind::New);
    run.stream(5000);
    assert_eq!(run.attempt(&Error::Reset).kind, Kind::New);
    run.stream(10_000);
    assert_eq!(
        run.attempt(&Error::Reset).kind,
        Kind::Resumed,
        "it was good"
    );
}

/// A4: for receivers that accept data without its header.
#[test]
fn without_resume_each_session_is_new() {
    let mut run = Run::new(Policy {
        resume: false,
        ..POLICY
    });
    run.stream(20_000);
    assert_eq!(run.attempt(&Error::Reset).kind, Kind::New);
}

/// A5: before a push was accepted, a missing publishing point is final.
#[test]
fn a_missing_point_is_final_until_a_push_was_accepted() {
    let mut run = Run::new(POLICY);
    run.policy.configured();
    run.policy.started(run.now);
    assert_eq!(run.lose(&refused(404, None)).attempt, None);
    run.stream(300);
    assert!(run.lose(&refused(404, None)).attempt.is_some());
}

/// A8: the delay is bounded by five minutes and by the timeout.
#[test]
fn retry_after_is_capped_by_five_minutes_and_the_timeout() {
    let year = refused(503, Some(31_536_000));
    let mut run = Run::new(Policy {
        timeout: Duration::MAX,
        ..POLICY
    });
    run.stream(1000);
    assert_eq!(run.attempt(&year).delay, LONGEST_RETRY_AFTER);
    let mut run = Run::new(POLICY);
    run.stream(1000);
    assert_eq!(run.attempt(&year).delay, POLICY.timeout);
    assert_eq!(run.lose(&year).attempt, None);
}

#[test]
fn a_first_connection_is_retried_on_demand() {
    let error = Error::ConnectTimeout(Duration::ZERO);
    assert_eq!(Run::new(POLICY).lose(&error).attempt, None);
    let mut run = Run::new(Policy {
        retry_first: true,
        ..POLICY
    });
    assert_eq!(run.attempt(&error).number, 1);
    assert_eq!(run.attempt(&error).number, 2);
}

#[test]
fn a_zero_timeout_never_reconnects() {
    let mut run = Run::new(Policy {
        timeout: Duration::ZERO,
        ..POLICY
    });
    run.stream(20_000);
    assert_eq!(run.lose(&Error::Reset).attempt, None);
}

#[test]
fn only_a_good_connection_ends_a_loss() {
    let mut run = Run::new(POLICY);
    run.stream(20_000);
    assert_eq!(run.attempt(&Error::Reset).number, 1);
    run.stream(3000);
    assert_eq!(run.policy.recovered(), Some(1));
    assert_eq!(run.policy.recovered(), None, "it is reported once");
    assert_eq!(run.attempt(&Error::Reset).number, 2);
    run.stream(1000);
    assert_eq!(run.policy.recovered(), None, "it stood before");
    assert_eq!(run.stream(9000), Some(2), "it is good by now");
    let attempt = run.attempt(&Error::Reset);
    assert_eq!((attempt.number, attempt.delay.as_millis()), (1, 250));
}

#[test]
fn a_pause_without_data_is_no_part_of_a_loss() {
    let mut run = Run::new(POLICY);
    run.stream(20_000);
    run.lose(&Error::Closed);
    run.pass(3_600_000);
    run.policy.idled(Duration::from_secs(3600));
    assert!(run.lose(&Error::Reset).attempt.is_some());
}

#[test]
fn a_refused_connection_means_a_restarted_server() {
    let refused = Error::CannotConnect {
        kind: ErrorKind::ConnectionRefused,
        message: String::new(),
    };
    for (proxied, kind) in [(false, Kind::New), (true, Kind::Resumed)] {
        let mut run = Run::new(Policy { proxied, ..POLICY });
        run.stream(20_000);
        run.lose(&Error::Reset);
        assert_eq!(run.attempt(&refused).kind, kind, "{proxied}");
    }
}

#[test]
fn other_statuses_are_final() {
    let final_errors = [
        refused(400, None),
        refused(405, None),
        Error::BadResponse(String::new()),
        Error::Protocol(wmhttp::Error::EndedEarly),
        Error::Protocol(wmhttp::Error::NotAnEncoder),
    ];
    for error in final_errors {
        let mut run = Run::new(POLICY);
        run.stream(20_000);
        assert_eq!(run.lose(&error).attempt, None, "{error:?}");
    }
}

#[test]
fn a_stall_is_shorter_while_a_loss_is_open() {
    let mut run = Run::new(POLICY);
    let minute = Duration::from_secs(60);
    run.stream(20_000);
    assert_eq!(run.policy.stall_limit(minute), minute);
    run.lose(&Error::Reset);
    run.stream(1000);
    assert_eq!(run.policy.stall_limit(minute), OVERTIME);
    run.stream(10_000);
    assert_eq!(run.policy.stall_limit(minute), minute);
}

/// A server that may not have read the header in force receives it again, with everything behind it.
#[test]
fn a_young_header_is_followed_by_a_new_session() {
    let mut run = Run::new(POLICY);
    run.stream(20_000);
    let verdict = run.policy.lost(&Error::Reset, true, run.now, 0);
    assert_eq!(verdict.attempt.unwrap().kind, Kind::New);
}
