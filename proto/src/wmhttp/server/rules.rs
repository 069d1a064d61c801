// SPDX-License-Identifier: MPL-2.0

use std::collections::BTreeMap;
use std::time::Duration;

use super::Redirect;
use crate::auth::Guard;

/// The settings of the server's operator.
#[derive(Debug)]
pub struct Rules {
    /// The accounts that may push.
    pub guard: Guard,
    /// Publishing points on other servers, by path.
    pub redirects: BTreeMap<String, Redirect>,
    /// Silence without `$H`, `$D` or `$C` after which another source displaces the current one.
    pub stale: Duration,
}

impl Rules {
    /// The default of [`stale`](Self::stale).
    pub const STALE: Duration = Duration::from_secs(20);
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            guard: Guard::new("", Vec::new(), [0; 32]),
            redirects: BTreeMap::new(),
            stale: Self::STALE,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::testing::request;
    use super::super::{Points, PushRequest, Refusal, Sessions, Timeouts};
    use super::*;
    use crate::auth::{Credentials, basic_authorization};
    use crate::wmhttp::{PUSH_SETUP, PUSH_START, PushId};

    const SECOND: Duration = Duration::from_secs(1);
    const ID: &str = "4711";

    fn guarded() -> Sessions {
        let alice = Credentials::new("alice", "s3cret");
        Sessions::new(Timeouts::default(), Points::Any).with_rules(Rules {
            guard: Guard::new("a realm", vec![alice], [1; 32]),
            ..Rules::default()
        })
    }

    fn setup(sessions: &mut Sessions, request: &Request<()>, now: Duration) -> Result<(), Refusal> {
        let request = PushRequest::new(request).unwrap();
        let mut push_id = || PushId::new(ID).unwrap();
        sessions
            .push_setup(&request, b"", &mut push_id, now)
            .map(drop)
    }

    fn authorised(mut request: Request<()>) -> Request<()> {
        let value = basic_authorization(&Credentials::new("alice", "s3cret")).unwrap();
        request.headers_mut().insert("authorization", value);
        request
    }

    /// S-013, S-014: a challenged session is kept for another Inactivity-Timeout
    #[test]
    fn a_challenge_to_push_setup_restarts_the_inactivity_timeout() {
        let mut sessions = guarded();
        let allowed = authorised(request(PUSH_SETUP, "0", 0));
        setup(&mut sessions, &allowed, Duration::ZERO).unwrap();
        let asked = setup(&mut sessions, &request(PUSH_SETUP, ID, 0), 100 * SECOND);
        assert!(matches!(asked, Err(Refusal::Unauthorised(_))));
        assert_eq!(sessions.next_timeout(), Some(220 * SECOND));
    }

    /// S-031: in PushStart the challenge restarts the Idle-Timeout
    #[test]
    fn a_challenge_to_push_start_restarts_the_idle_timeout() {
        let mut sessions = guarded();
        let allowed = authorised(request(PUSH_SETUP, "0", 0));
        setup(&mut sessions, &allowed, Duration::ZERO).unwrap();
        let start = PushRequest::new(&request(PUSH_START, ID, 100)).unwrap();
        let asked = sessions.push_start(&start, 100 * SECOND);
        assert!(matches!(asked, Err(Refusal::Unauthorised(_))));
        assert_eq!(sessions.next_timeout(), Some(160 * SECOND));
        let start = PushRequest::new(&authorised(request(PUSH_START, ID, 100))).unwrap();
        assert!(sessions.push_start(&start, 150 * SECOND).is_ok());
    }

    /// S-012
    #[test]
    fn a_redirected_request_leaves_no_session() {
        let redirect = Redirect {
            location: "http://other/live".to_owned(),
            is_proxy: false,
        };
        let mut sessions = Sessions::new(Timeouts::default(), Points::Any).with_rules(Rules {
            redirects: BTreeMap::from([("/old".to_owned(), redirect)]),
            ..Rules::default()
        });
        setup(&mut sessions, &request(PUSH_SETUP, "0", 0), Duration::ZERO).unwrap();
        let mut old = request(PUSH_SETUP, ID, 0);
        *old.uri_mut() = "/old".parse().unwrap();
        let refusal = setup(&mut sessions, &old, SECOND).unwrap_err();
        let reply = refusal.reply(&old);
        assert!(reply.close);
        assert_eq!(reply.response.headers()["location"], "http://other/live");
        assert_eq!(sessions.handle_timeout(SECOND).len(), 1);
    }

    #[test]
    fn only_a_silent_source_is_displaced() {
        let mut sessions = Sessions::new(Timeouts::default(), Points::Any);
        setup(&mut sessions, &request(PUSH_SETUP, "0", 0), Duration::ZERO).unwrap();
        let start = PushRequest::new(&request(PUSH_START, ID, 100)).unwrap();
        let silent = sessions.push_start(&start, SECOND).unwrap();
        let other = PushRequest::new(&request(PUSH_SETUP, "0", 0)).unwrap();
        let mut push_id = || PushId::new("4712").unwrap();
        let mut at = |now| sessions.push_setup(&other, b"", &mut push_id, now);
        let before = SECOND + Rules::STALE - Duration::from_millis(1);
        assert_eq!(at(before).unwrap_err(), Refusal::Busy);
        assert!(at(SECOND + Rules::STALE).is_ok());
        assert!(sessions.is_displaced(silent.key()));
        sessions.end(silent);
        assert_eq!(
            sessions.next_timeout(),
            Some(SECOND + Rules::STALE + 120 * SECOND)
        );
    }

    #[test]
    fn the_oldest_session_without_a_push_start_is_evicted_first() {
        let mut sessions = Sessions::new(Timeouts::default(), Points::Any);
        let mut ids = (0..).map(|number| PushId::new(&format!("id{number}")).unwrap());
        let setup = PushRequest::new(&request(PUSH_SETUP, "0", 0)).unwrap();
        let keys: Vec<_> = (0..Sessions::MAX)
            .map(|_| {
                let mut push_id = || ids.next().unwrap();
                let accepted = sessions.push_setup(&setup, b"", &mut push_id, SECOND);
                accepted.unwrap().key
            })
            .collect();
        assert!(sessions.is_full());
        let start = PushRequest::new(&request(PUSH_START, "id0", 100)).unwrap();
        let started = sessions.push_start(&start, SECOND).unwrap();
        sessions.lost(started);
        let mut shed = || sessions.shed_waiting(|_| true).map(|deleted| deleted.key);
        for key in &keys[1..] {
            assert_eq!(shed(), Some(*key));
        }
        assert_eq!(shed(), Some(keys[0]), "a resumable push is evicted last");
        assert_eq!(shed(), None);
    }
}
