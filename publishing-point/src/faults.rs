// SPDX-License-Identifier: MPL-2.0

//! Scripted faults: the misbehaviour of real servers, proxies and networks.

use std::fmt;
use std::time::Duration;

use http::header::{
    CONNECTION, HeaderName, HeaderValue, LOCATION, SERVER, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{Request, StatusCode};

use wmspush_proto::wmhttp::server::{Reply, RequestKind};

/// The requests that a [`Fault`] applies to. Numbers count from 0, since the start of the publishing point.
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

/// A behaviour that a correct server does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Refuses the request with a status.
    Refuse(Refuse),
    /// Redirects the client: 302 or 305 with Location (3.2.5.1 Receiving a PushSetup Request).
    Redirect {
        /// 302 for another server, 305 for a proxy.
        status: u16,
        /// The Location field.
        location: String,
    },
    /// Demands credentials: 401 with these WWW-Authenticate fields.
    Challenge(Vec<String>),
    /// Never answers.
    Silent,
    /// Answers with bytes that are not HTTP.
    Garbage,
    /// Fails at once as in the middle of a body.
    AtOnce(MidBody),
    /// Answers as if to a player: 200 with an ASX playlist (note <8>).
    Announcement,
    /// Serves the request with this Server field; empty for none.
    Server(String),
    /// Serves the request with 200 instead of 204.
    Status200,
    /// Serves the request without this response field.
    Without(HeaderName),
    /// Serves the request with `Connection: close`, and closes.
    CloseAfterResponse,
    /// Fails inside a PushStart body after this number of packets.
    AfterPackets(u64, MidBody),
    /// Sends this response after the final `$E`, where a server may simply close; `None`: stays open and silent.
    AfterEnd(Option<Refuse>),
    /// Fails after the final `$E` as in the middle of a body.
    AtEnd(MidBody),
    /// Serves a PushSetup with another push-id than that of the session.
    PushId(String),
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuse {
    /// The status code.
    pub status: u16,
    /// The reason phrase; empty for the standard one.
    pub reason: String,
    /// True if the connection closes after it.
    pub close: bool,
}

/// A failure in the middle of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MidBody {
    /// Sends an early response, and closes the connection.
    Respond(Refuse),
    /// Sends an early 204, as if the body were complete.
    Success,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Stops reading until the client or the publishing point closes the connection.
    Stall,
    /// Sends bytes that are not HTTP, and closes the connection.
    Garbage,
    /// Sends a response that is slow or endless.
    Answer(Head),
    /// Pauses for this time before each read.
    Slow(Duration),
    /// Closes the sending half, and continues to read the body.
    HalfClose,
}

/// The malformed or slow head of a 503 response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Head {
    /// Complete, with this pause after each byte.
    Trickle(Duration),
    /// Truncated, on a connection that stays open.
    Unfinished,
    /// With one field of this many bytes.
    Long(usize),
    /// With an endless number of fields.
    Endless,
}

impl Refuse {
    /// Creates a refusal with the standard reason phrase, on a connection that stays open.
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

/// The script of one publishing point, and its progress.
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

    /// Replaces the script. The numbers of [`When`] restart at 0.
    pub(super) fn replace(&mut self, faults: Vec<(When, Fault)>) {
        *self = Self::new(faults);
    }

    /// Counts a request, and returns the faults that apply to it.
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

/// The behaviour of a fault that replaces serving the request.
pub(super) enum Instead {
    Reply(Reply, String),
    Break(MidBody),
    Nothing,
}

/// Returns the first of `faults` that replaces serving the request.
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

/// Applies `faults` to a successful response. Returns those that have changed it.
pub(super) fn spoil<'a>(faults: &'a [Fault], reply: &mut Reply) -> Vec<&'a Fault> {
    let mut spoils = |fault: &&Fault| spoil_by(fault, reply);
    faults.iter().filter(|fault| spoils(fault)).collect()
}

/// Applies a fault; false if it does not concern the response.
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

/// Returns the failure in the middle of the body, and the number of packets before it.
pub(super) fn mid_body(faults: &[Fault]) -> Option<(u64, MidBody)> {
    faults.iter().find_map(|fault| match fault {
        Fault::AfterPackets(packets, what) => Some((*packets, what.clone())),
        _ => None,
    })
}

/// Returns the fault after the final `$E`.
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
    fn a_fault_applies_to_its_requests_only() {
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
