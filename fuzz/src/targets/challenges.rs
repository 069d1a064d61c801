// SPDX-License-Identifier: MPL-2.0

//! Any challenges, and other events between them. The input is a script with one step per line:
//! | line | |
//! |---|---|
//! | first | letters: `P` for a proxy, `E` encrypted, `B` Basic without encryption, `C` with credentials |
//! | `w` … | a challenge field, for the next response |
//! | `c` … | a field Connection |
//! | `i` … | a field Authentication-Info |
//! | `!` | the response is a 401 (407) with these fields |
//! | `a` | the response is another one with these fields |
//! | `s`, `S` | PushSetup, PushStart goes out |
//! | `p` …, `n` | other credentials, or none |
//! | `l` | the connection is lost |

use std::time::SystemTime;

use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use wmspush_proto::auth::{
    Authenticator, Authorization, Credentials, Next, Policy, RequestLine, Role, Schemes,
};

/// May only occur in the answer to a challenge.
const PASSWORD: &str = "swordfish";

/// Successive answers to one challenge, at most: two legs and some broken handshakes of each scheme.
const MOST_ANSWERS: usize = 20;

/// Answers are marked sensitive, secrets stay hidden, and repeated challenges come to an end.
pub fn run(input: &[u8]) {
    let mut lines = input.split(|&byte| byte == b'\n');
    let Some(settings) = lines.next() else {
        return;
    };
    let mut script = Script::new(settings);
    for line in lines.take(64) {
        if let Some((&step, rest)) = line.split_first() {
            script.step(step, rest);
        }
    }
    script.comes_to_an_end();
}

struct Script {
    authenticator: Authenticator,
    /// Fields of the next response.
    fields: HeaderMap,
    /// Fields of the last challenge.
    challenge: HeaderMap,
}

impl Script {
    fn new(settings: &[u8]) -> Self {
        let says = |letter| settings.contains(&letter);
        let role = if says(b'P') {
            Role::Proxy
        } else {
            Role::Server
        };
        let policy = Policy {
            schemes: Schemes::ALL,
            encrypted: says(b'E'),
            cleartext_basic: says(b'B'),
        };
        let mut authenticator = Authenticator::new(role, "media", policy);
        if says(b'C') {
            let credentials = Credentials::new("STUDIO\\alice", PASSWORD.to_owned());
            authenticator.set_credentials(Some(credentials));
        }
        Self {
            authenticator,
            fields: HeaderMap::new(),
            challenge: HeaderMap::new(),
        }
    }

    fn step(&mut self, step: u8, rest: &[u8]) {
        let role = self.authenticator.role();
        match step {
            b'w' => self.field(role.challenge_header(), rest),
            b'c' => self.field(CONNECTION, rest),
            b'i' => self.field(role.info_header(), rest),
            b'!' => {
                self.challenge = std::mem::take(&mut self.fields);
                self.challenged();
            }
            b'a' => {
                let fields = std::mem::take(&mut self.fields);
                self.authenticator.accepted(&fields);
            }
            b's' => self.authorize(false),
            b'S' => self.authorize(true),
            b'p' => {
                let user = String::from_utf8_lossy(rest).into_owned();
                let _ = self
                    .authenticator
                    .provide(Some(Credentials::new(user, PASSWORD.to_owned())));
            }
            b'n' => drop(self.authenticator.provide(None)),
            b'l' => self.authenticator.connection_lost(),
            _ => {}
        }
    }

    fn field(&mut self, name: HeaderName, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.fields.append(name, value);
        }
    }

    /// Returns whether the request may be sent again.
    fn challenged(&mut self) -> bool {
        let next = self.authenticator.challenged(&self.challenge);
        matches!(next, Next::Resubmit { .. } | Next::RedoPushSetup)
    }

    fn authorize(&mut self, is_push_start: bool) {
        let line = RequestLine {
            method: &Method::POST,
            uri: "/live",
            is_push_start,
        };
        let mut random = |bytes: &mut [u8]| bytes.fill(7);
        for _ in 0..4 {
            let authorization =
                self.authenticator
                    .authorize(&line, SystemTime::UNIX_EPOCH, &mut random);
            let shown = format!("{:?} {authorization:?}", self.authenticator);
            assert!(!shown.contains(PASSWORD));
            match authorization {
                Authorization::Blocking(step) => self.authenticator.resume(step.run()),
                Authorization::Header(_, value) | Authorization::Leg1(_, value) => {
                    assert!(value.is_sensitive());
                    return;
                }
                Authorization::None => return,
            }
        }
        panic!("a step that may block is never the last");
    }

    /// Repeating the last challenge exhausts the answers to it.
    fn comes_to_an_end(&mut self) {
        let mut answers = 0;
        while self.challenged() {
            assert!(answers < MOST_ANSWERS, "for ever: {:?}", self.challenge);
            answers += 1;
            self.authorize(false);
        }
    }
}
