// SPDX-License-Identifier: MPL-2.0

//! The faults, and their phases.

use std::time::Duration;

use http::header::SET_COOKIE;
use publishing_point::{Fault, Head, MidBody, Refuse, When};

use crate::scene::{Manner, Scene};

/// A fault in a phase.
pub struct Row {
    pub phase: &'static str,
    pub fault: String,
    /// The publishing point's name for the fault when it happens.
    pub strike: String,
    scene: Box<dyn Fn() -> Scene + Send + Sync>,
}

impl Row {
    fn new(
        phase: &'static str,
        fault: impl ToString,
        scene: impl Fn() -> Scene + Send + Sync + 'static,
    ) -> Self {
        Self {
            phase,
            strike: fault.to_string(),
            fault: fault.to_string(),
            scene: Box::new(scene),
        }
    }

    /// Sets another name for the fault.
    fn called(mut self, strike: impl ToString) -> Self {
        self.strike = strike.to_string();
        self
    }

    /// Returns the scene with the fault.
    pub fn scene(&self) -> Scene {
        (self.scene)()
    }
}

/// Returns all rows.
pub fn rows() -> Vec<Row> {
    [
        strangers(),
        proxies(),
        requests("setup", &[], When::PushSetup(0)),
        requests("authenticate", &[challenge()], When::PushSetup(1)),
        challenges(),
        requests("start", &[challenge()], When::PushStart(0)),
        requests("next start", &[challenge()], When::PushStart(1)),
        requests("resume", &[challenge(), loss()], When::PushStart(1)),
        requests(
            "restart",
            &[challenge(), loss(), forgotten()],
            When::PushSetup(2),
        ),
        bodies(),
        ends(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

type Script = (When, Fault);

fn challenge() -> Script {
    let basic = r#"Basic realm="media""#.to_owned();
    (When::PushSetup(0), Fault::Challenge(vec![basic]))
}

/// Returns a loss in the middle of the body, after all sent data was read.
fn loss() -> Script {
    (When::PushStart(0), Fault::AfterPackets(9, MidBody::Reset))
}

fn forgotten() -> Script {
    (When::PushStart(1), Fault::Refuse(Refuse::new(404)))
}

fn strangers() -> Vec<Row> {
    vec![
        Row::new("resolve", "has no address", || {
            Scene::nowhere("http://media.invalid/live")
        }),
        Row::new("connect", "is not there", || {
            Scene::nowhere("http://127.0.0.1:1/live")
        }),
        Row::new("connect", "is behind a black hole", Scene::black_hole),
        Row::new("tls", "says nothing", || {
            Scene::stranger("https", Manner::Silent)
        }),
        Row::new("tls", "closes", || Scene::stranger("https", Manner::Close)),
        Row::new("tls", "resets", || Scene::stranger("https", Manner::Reset)),
        Row::new("tls", "speaks plainly", || {
            Scene::stranger("https", Manner::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        }),
    ]
}

fn proxies() -> Vec<Row> {
    let answers: [(&str, Manner); 6] = [
        ("says nothing", Manner::Silent),
        ("closes", Manner::Close),
        ("resets", Manner::Reset),
        (
            "answers 407",
            Manner::Say(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
        ),
        (
            "answers 502",
            Manner::Say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        ),
        (
            "answers with garbage",
            Manner::Say(b"SSH-2.0-OpenSSH\r\n\r\n"),
        ),
    ];
    let answers = answers.into_iter().map(|(fault, manner)| {
        Row::new("proxy", fault, move || {
            Scene::stranger("http", manner).behind_it()
        })
    });
    let nowhere = [
        Row::new("proxy", "has no address", || {
            Scene::nowhere("http://media.invalid/live").behind_it()
        }),
        Row::new("proxy", "is not there", || {
            Scene::nowhere("http://127.0.0.1:1/live").behind_it()
        }),
        Row::new("proxy", "is behind a black hole", || {
            Scene::black_hole().behind_it()
        }),
    ];
    let dies = [MidBody::Close, MidBody::Reset, MidBody::Stall].map(|fault| {
        let script = vec![
            challenge(),
            (When::PushStart(0), Fault::AfterPackets(9, fault.clone())),
        ];
        Row::new("proxy", format!("{fault} in the middle"), move || {
            Scene::point(script.clone()).behind_it()
        })
    });
    answers.chain(nowhere).chain(dies).collect()
}

/// Returns the faults of a request, which `when` selects.
fn requests(phase: &'static str, before: &[Script], when: When) -> Vec<Row> {
    let refusals = [400, 401, 403, 404, 408, 409, 410, 423, 429, 500, 503]
        .map(|status| Fault::Refuse(Refuse::new(status)));
    let breaks = [
        MidBody::Close,
        MidBody::Reset,
        MidBody::Stall,
        MidBody::Garbage,
        MidBody::Success,
        MidBody::Answer(Head::Trickle(Duration::from_millis(20))),
        MidBody::Answer(Head::Unfinished),
        MidBody::Answer(Head::Long(2_000_000)),
        MidBody::Answer(Head::Endless),
    ];
    let answers = [
        Fault::Announcement,
        Fault::Server("nginx".to_owned()),
        Fault::Without(SET_COOKIE),
        Fault::PushId("4711".to_owned()),
        Fault::Redirect {
            status: 302,
            location: "/live".to_owned(),
        },
    ];
    // A PushStart gets no response before its body is complete.
    let is_setup = matches!(when, When::PushSetup(_));
    let answers = answers.into_iter().filter(|fault| {
        is_setup
            || !matches!(
                fault,
                Fault::Server(_) | Fault::Without(_) | Fault::PushId(_)
            )
    });
    let faults = refusals
        .into_iter()
        .chain(breaks.map(Fault::AtOnce))
        .chain(answers);
    faults
        .map(|fault| {
            let script: Vec<_> = before
                .iter()
                .cloned()
                .chain([(when, fault.clone())])
                .collect();
            let loops = matches!(fault, Fault::Redirect { .. }) && before.len() <= 1 && is_setup;
            Row::new(phase, &fault, move || {
                let scene = Scene::point(script.clone());
                let scene = if loops { scene.with_loop() } else { scene };
                if phase == "next start" {
                    scene.with("content-length", 20_000)
                } else {
                    scene
                }
            })
        })
        .collect()
}

/// Returns the rows of a server that accepts no credentials.
fn challenges() -> Vec<Row> {
    let challenges = [
        ("Basic", r#"Basic realm="media""#),
        (
            "Digest",
            r#"Digest realm="media", nonce="dcd98b7102dd2f0e", qop="auth""#,
        ),
        ("NTLM", "NTLM"),
        ("Negotiate", "Negotiate"),
    ];
    challenges
        .map(|(scheme, challenge)| {
            let fault = format!("wants {scheme} for ever");
            Row::new("authenticate", fault, move || {
                let challenge = Fault::Challenge(vec![challenge.to_owned()]);
                Scene::point(vec![(When::EveryPushSetup, challenge)])
            })
            .called("wants credentials")
        })
        .into()
}

fn bodies() -> Vec<Row> {
    let refusals = [400, 401, 403, 404, 408, 409, 410, 423, 429, 500, 502, 503]
        .map(|status| MidBody::Respond(Refuse::new(status)));
    let breaks = [
        MidBody::Close,
        MidBody::Reset,
        MidBody::Stall,
        MidBody::Success,
        MidBody::Garbage,
        MidBody::HalfClose,
        MidBody::Slow(Duration::from_millis(50)),
        MidBody::Answer(Head::Trickle(Duration::from_millis(5))),
        MidBody::Answer(Head::Unfinished),
        MidBody::Answer(Head::Long(2_000_000)),
        MidBody::Answer(Head::Endless),
    ];
    refusals
        .into_iter()
        .chain(breaks)
        .map(|fault| {
            let script = vec![
                challenge(),
                (When::PushStart(0), Fault::AfterPackets(9, fault.clone())),
            ];
            let strike = format!("{fault} in the middle");
            Row::new("push", fault, move || Scene::point(script.clone())).called(strike)
        })
        .collect()
}

fn ends() -> Vec<Row> {
    let breaks = [
        MidBody::Respond(Refuse::new(401)),
        MidBody::Respond(Refuse::new(408)),
        MidBody::Respond(Refuse::new(422)),
        MidBody::Respond(Refuse::new(500)),
        MidBody::Success,
        MidBody::Close,
        MidBody::Reset,
        MidBody::Stall,
        MidBody::Garbage,
        MidBody::Answer(Head::Trickle(Duration::from_millis(5))),
        MidBody::Answer(Head::Unfinished),
        MidBody::Answer(Head::Endless),
    ];
    breaks
        .into_iter()
        .map(|fault| {
            let script = vec![
                challenge(),
                (When::PushStart(0), Fault::AtEnd(fault.clone())),
            ];
            let strike = Fault::AtEnd(fault.clone());
            Row::new("end", fault, move || Scene::point(script.clone())).called(strike)
        })
        .collect()
}
