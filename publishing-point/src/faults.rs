// SPDX-License-Identifier: MPL-2.0

//! Scripted misbehaviour: what real servers, proxies and networks do to a client.

use std::fmt;
use std::time::Duration;

use http::header::{
    CONNECTION, HeaderName, HeaderValue, LOCATION, SERVER, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{Request, StatusCode};

use wmspush_proto::wmhttp::server::{Reply, RequestKind};

/// Which requests a [`Fault`] strikes. Numbers count from 0, from the start of the publishing point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every request.
    Always,
    /// The request with this number.
    Request(usize),
    /// Every PushSetup.
    EveryPushSetup,
    /// The PushSetup with this number.
    PushSetup(usize),
    /// Every PushStart.
    EveryPushStart,
    /// The PushStart with this number.
    PushStart(usize),
}

/// Something that a well-behaved server does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Refuses the request with a status, instead of serving it.
    Refuse(Refuse),
    /// Sends the client to another URL: 302 or 305 with Location (3.2.5.1).
    Redirect {
        /// 302 for another server, 305 for a proxy.
        status: u16,
        /// The Location field.
        location: String,
    },
    /// Asks for credentials with these WWW-Authenticate fields: 401.
    Challenge(Vec<String>),
    /// Never answers.
    Silent,
    /// Answers with something that is no HTTP.
    Garbage,
    /// Goes wrong at once, as in the middle of a body, instead of serving the request.
    AtOnce(MidBody),
    /// Answers as to a player: 200 with an ASX playlist (note <8>).
    Announcement,
    /// Serves the request, but calls itself something else; empty: nothing at all.
    Server(String),
    /// Serves the request, but with 200 where 204 should be.
    Status200,
    /// Serves the request, but leaves a field out of the response.
    Without(HeaderName),
    /// Serves the request, and closes with `Connection: close`.
    CloseAfterResponse,
    /// Goes wrong inside a PushStart body, when so many packets have come.
    AfterPackets(u64, MidBody),
    /// After the final `$E`, answers this where a server may simply close; `None`: stays open and silent.
    AfterEnd(Option<Refuse>),
    /// After the final `$E`, goes wrong as in the middle of a body.
    AtEnd(MidBody),
    /// Serves a PushSetup, but gives out another push-id than the session has.
    PushId(String),
}

/// How to refuse a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuse {
    /// The status code.
    pub status: u16,
    /// The reason phrase; empty for the usual one.
    pub reason: String,
    /// Whether the connection closes after it.
    pub close: bool,
}

/// What happens in the middle of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MidBody {
    /// An early response. The connection closes after it.
    Respond(Refuse),
    /// An early 204, as if the body had ended.
    Success,
    /// The connection is closed.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing is read any more, until the client or the publishing point goes away.
    Stall,
    /// Something that is no HTTP comes back, and the connection is closed.
    Garbage,
    /// A response comes back that takes its time or has no end.
    Answer(Head),
    /// The body is read on, but this pause comes before each read.
    Slow(Duration),
    /// The server's end is closed; the body is read on.
    HalfClose,
}

/// The head of a response, 503, that no server means to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Head {
    /// A good one, with this pause after each byte.
    Trickle(Duration),
    /// It breaks off, and the connection stays.
    Unfinished,
    /// One field has so many bytes.
    Long(usize),
    /// There is always another field.
    Endless,
}

impl Refuse {
    /// With the usual reason phrase, on a connection that stays open.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            reason: String::new(),
            close: false,
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::IM_A_TEAPOT);
        let mut reply = Reply::last(status);
        reply.close = self.close;
        reply
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse(refuse) => write!(f, "answers {}", refuse.status),
            Self::Redirect { status, .. } => write!(f, "redirects with {status}"),
            Self::Challenge(_) => f.write_str("wants credentials"),
            Self::Silent => f.write_str("never answers"),
            Self::Garbage => f.write_str("answers with garbage"),
            Self::AtOnce(fault) => fmt::Display::fmt(fault, f),
            Self::Announcement => f.write_str("answers a player"),
            Self::Server(_) => f.write_str("is another server"),
            Self::Status200 => f.write_str("answers 200 instead of 204"),
            Self::Without(name) => write!(f, "leaves out {name}"),
            Self::CloseAfterResponse => f.write_str("closes after the answer"),
            Self::AfterPackets(packets, fault) => write!(f, "{fault} after {packets} packets"),
            Self::AfterEnd(Some(refuse)) => write!(f, "answers {} at the end", refuse.status),
            Self::AfterEnd(None) => f.write_str("stays open at the end"),
            Self::AtEnd(fault) => write!(f, "{fault} at the end"),
            Self::PushId(_) => f.write_str("gives out a wrong push-id"),
        }
    }
}

impl fmt::Display for MidBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(refuse) => write!(f, "answers {}", refuse.status),
            Self::Success => f.write_str("answers 204"),
            Self::Close => f.write_str("closes"),
            Self::Reset => f.write_str("resets"),
            Self::Stall => f.write_str("reads nothing more"),
            Self::Garbage => f.write_str("answers with garbage"),
            Self::Answer(Head::Trickle(_)) => f.write_str("answers byte by byte"),
            Self::Answer(Head::Unfinished) => f.write_str("answers with half a head"),
            Self::Answer(Head::Long(_)) => f.write_str("answers with a huge head"),
            Self::Answer(Head::Endless) => f.write_str("answers with an endless head"),
            Self::Slow(_) => f.write_str("reads slowly"),
            Self::HalfClose => f.write_str("closes its half"),
        }
    }
}

/// The script of one publishing point and how far it has come.
#[derive(Debug, Default)]
pub(super) struct Script {
    faults: Vec<(When, Fault)>,
    requests: usize,
    setups: usize,
    starts: usize,
}

impl Script {
    pub(super) fn new(faults: Vec<(When, Fault)>) -> Self {
        Self {
            faults,
            ..Self::default()
        }
    }

    /// Another script. The numbers of [`When`] begin anew.
    pub(super) fn replace(&mut self, faults: Vec<(When, Fault)>) {
        *self = Self::new(faults);
    }

    /// Counts a request, and tells what is to go wrong with it.
    pub(super) fn next(&mut self, kind: RequestKind) -> Vec<Fault> {
        let (request, same_kind) = (self.requests, self.count(kind));
        self.requests += 1;
        let is_setup = kind == RequestKind::PushSetup;
        let strikes = |when: &When| match *when {
            When::Always => true,
            When::Request(number) => number == request,
            When::EveryPushSetup => is_setup,
            When::PushSetup(number) => is_setup && number == same_kind,
            When::EveryPushStart => !is_setup,
            When::PushStart(number) => !is_setup && number == same_kind,
        };
        let struck = self.faults.iter().filter(|(when, _)| strikes(when));
        struck.map(|(_, fault)| fault.clone()).collect()
    }

    fn count(&mut self, kind: RequestKind) -> usize {
        let count = match kind {
            RequestKind::PushSetup => &mut self.setups,
            RequestKind::PushStart => &mut self.starts,
        };
        *count += 1;
        *count - 1
    }
}

/// What a fault answers instead of serving the request.
pub(super) enum Instead {
    Reply(Reply, String),
    Break(MidBody),
    Nothing,
}

/// The first of `faults` that keeps the request from being served.
pub(super) fn instead<'a>(
    faults: &'a [Fault],
    request: &Request<()>,
) -> Option<(&'a Fault, Instead)> {
    let mut instead = faults
        .iter()
        .map(|fault| (fault, instead_by(fault, request)));
    instead.find_map(|(fault, instead)| Some((fault, instead?)))
}

fn instead_by(fault: &Fault, request: &Request<()>) -> Option<Instead> {
    match fault {
        Fault::Refuse(refuse) => Some(Instead::Reply(refuse.reply(), refuse.reason.clone())),
        Fault::Redirect { status, location } => {
            let refuse = Refuse {
                close: true,
                ..Refuse::new(*status)
            };
            let mut reply = refuse.reply();
            insert(&mut reply, LOCATION, location);
            Some(Instead::Reply(reply, String::new()))
        }
        Fault::Challenge(challenges) => {
            let mut reply = Refuse::new(401).reply();
            for challenge in challenges {
                if let Ok(value) = HeaderValue::from_str(challenge) {
                    reply.response.headers_mut().append(WWW_AUTHENTICATE, value);
                }
            }
            Some(Instead::Reply(reply, String::new()))
        }
        Fault::Silent => Some(Instead::Nothing),
        Fault::Garbage => Some(Instead::Break(MidBody::Garbage)),
        Fault::AtOnce(fault) => Some(Instead::Break(fault.clone())),
        Fault::Announcement => Some(Instead::Reply(Reply::announcement(request), String::new())),
        _ => None,
    }
}

/// What `faults` make of a good response; returns those that make something of it.
pub(super) fn spoil<'a>(faults: &'a [Fault], reply: &mut Reply) -> Vec<&'a Fault> {
    let mut spoils = |fault: &&Fault| spoil_by(fault, reply);
    faults.iter().filter(|fault| spoils(fault)).collect()
}

/// FALSE when the fault has nothing to do with the response.
fn spoil_by(fault: &Fault, reply: &mut Reply) -> bool {
    match fault {
        Fault::Server(name) if name.is_empty() => {
            reply.response.headers_mut().remove(SERVER);
        }
        Fault::Server(name) => insert(reply, SERVER, name),
        Fault::PushId(push_id) => insert(reply, SET_COOKIE, &format!("push-id={push_id}")),
        Fault::Status200 => *reply.response.status_mut() = StatusCode::OK,
        Fault::Without(name) => {
            reply.response.headers_mut().remove(name);
        }
        Fault::CloseAfterResponse => {
            insert(reply, CONNECTION, "close");
            reply.close = true;
        }
        _ => return false,
    }
    true
}

/// What is to happen inside the body, and after how many packets.
pub(super) fn mid_body(faults: &[Fault]) -> Option<(u64, MidBody)> {
    faults.iter().find_map(|fault| match fault {
        Fault::AfterPackets(packets, what) => Some((*packets, what.clone())),
        _ => None,
    })
}

/// What is to happen after the final `$E`.
pub(super) fn after_end(faults: &[Fault]) -> Option<Fault> {
    let at_end = |fault: &&Fault| matches!(fault, Fault::AfterEnd(_) | Fault::AtEnd(_));
    faults.iter().find(at_end).cloned()
}

fn insert(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_requests_it_is_meant_for() {
        let faults = [
            (When::Always, "always"),
            (When::Request(2), "the third"),
            (When::EveryPushSetup, "every setup"),
            (When::PushStart(1), "the second start"),
        ];
        let script = faults.map(|(when, name)| (when, Fault::Server(name.to_owned())));
        let mut script = Script::new(script.to_vec());
        let mut next = |kind| {
            let name = |fault| match fault {
                Fault::Server(name) => name,
                other => panic!("{other:?}"),
            };
            let struck = script.next(kind).into_iter();
            struck.map(name).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(next(RequestKind::PushSetup), "always, every setup");
        assert_eq!(next(RequestKind::PushStart), "always");
        assert_eq!(
            next(RequestKind::PushStart),
            "always, the third, the second start"
        );
        assert_eq!(next(RequestKind::PushStart), "always");
    }
}
