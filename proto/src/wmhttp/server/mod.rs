// SPDX-License-Identifier: MPL-2.0

//! 3.2 Server Details: the receiving half.
//!
//! [`Sessions`] is the table of all sessions, between their requests. A PushStart borrows its [`ReceivingSession`] out
//! of it for as long as the body comes:
//!
//! ```text
//! (nothing) --push_setup--> waiting
//! waiting   --push_setup--> waiting
//! waiting   --push_start--> receiving
//! waiting   --handle_timeout: Inactivity-Timeout; Idle-Timeout after a loss--> deleted
//! receiving --complete: the body is, and is answered--> waiting
//! receiving --lost: the connection is, the body is not complete--> waiting
//! receiving --end: final $E, Idle-Timeout, bad packet, disconnection--> deleted
//! ```
//!
//! Time comes in as what has passed since any start of the caller's choosing, new push-ids as what a closure yields.
//! Who may push, and where, is what [`Rules`] say.
//!
//! # What the specification leaves to the server
//!
//! | | |
//! |---|---|
//! | 3.2.2 | The least Idle-Timeout of ten seconds is not enforced: tests want shorter ones. |
//! | 3.2.5.1 | User-Agent has to begin with `WMEncoder/`. Whoever has another one gets 200 and a playlist, as note <8> says. |
//! | 3.2.5.1 | A publishing point has one source: while it receives, PushSetup and PushStart of other sessions get 409; but from one that has been silent for [`Rules::stale`], another source takes it over. |
//! | 3.2.5.1 | AutoDestroy removes a publishing point that a client has created, and never a configured one. |
//! | 3.2.5.1 | A table that is full can shed its waiting sessions: [`Sessions::shed_waiting`]. |
//! | 3.2.5.1 | Accounts are asked for by Digest and Basic. NTLM is bound to connections, which nobody here knows. |
//! | 3.2.5.2 | A challenge to PushStart leaves the connection open: its body goes by unread. |
//! | 3.2.5.2 | An unknown push-id gets 400, and never a new session as in note <13>. |
//! | 3.2.5.2 | `$H` may come a second time as the first packet after a loss or another PushSetup, and nowhere else. |
//! | 3.2.5.3 | A body that is no sequence of packets in the order of figure 7 gets 400, and the session is over. |
//! | 3.2.5.5 | A body that `$E` (S_FALSE) completes is answered, unlike in note <14>. |

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{PushId, SetupBody};

mod points;
mod refusal;
mod reply;
mod request;
mod rules;
mod session;
mod violation;

use points::Existing;
pub use points::Points;
pub use refusal::{Redirect, Refusal};
pub use reply::{Reply, SERVER_NAME};
pub use request::{Access, PushRequest, RequestKind};
pub use rules::Rules;
use session::Heard;
pub use session::{Received, ReceivingSession, SessionKey};
pub use violation::{Violation, Weight, violations};

/// 3.2.2 Timers
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Idle-Timeout: without `$H`, `$D` or `$C` for so long, a PushStart is over. The specification wants at least ten
    /// seconds; shorter ones are for tests.
    pub idle: Duration,
    /// Inactivity-Timeout: how long a session lives between two requests.
    pub inactivity: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            inactivity: Duration::from_secs(120),
        }
    }
}

/// A successful PushSetup.
#[derive(Clone, Debug)]
pub struct SetupAccepted {
    /// The session, new or not.
    pub key: SessionKey,
    /// What to answer.
    pub reply: Reply,
}

/// A session that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The session.
    pub key: SessionKey,
    /// Its publishing point.
    pub point: String,
    /// Whether the publishing point went with it (AutoDestroy).
    pub point_removed: bool,
}

enum Slot {
    Waiting(Box<ReceivingSession>),
    /// Lent out to the connection whose PushStart is in progress.
    Receiving {
        key: SessionKey,
        point: String,
        heard: Heard,
    },
}

/// 3.2.1 Abstract Data Model, for any number of sessions.
pub struct Sessions {
    timeouts: Timeouts,
    points: Existing,
    rules: Rules,
    slots: HashMap<PushId, Slot>,
    /// Sessions that receive and are to end, since others have taken their places.
    displaced: HashSet<SessionKey>,
    next_key: u64,
}

impl Sessions {
    /// Most sessions at a time.
    pub const MAX: usize = 1024;

    /// No session yet.
    pub fn new(timeouts: Timeouts, points: Points) -> Self {
        Self {
            timeouts,
            points: Existing::new(points),
            rules: Rules::default(),
            slots: HashMap::new(),
            displaced: HashSet::new(),
            next_key: 1,
        }
    }

    /// By other rules than [`Rules::default`].
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// 3.2.5.1 Receiving a PushSetup Request
    ///
    /// `new_push_id` yields random push-ids (3.2.3).
    ///
    /// # Errors
    ///
    /// A point that is elsewhere, no account, a body that does not parse, an unknown push-id, a publishing point that neither exists nor has a template, or
    /// one that somebody pushes to, and too many sessions.
    pub fn push_setup(
        &mut self,
        request: &PushRequest,
        body: &[u8],
        new_push_id: &mut dyn FnMut() -> PushId,
        now: Duration,
    ) -> Result<SetupAccepted, Refusal> {
        self.check_here(request, now)?;
        self.check_access(request, now, self.timeouts.inactivity)?;
        let body = SetupBody::parse(body).map_err(Refusal::Malformed)?;
        let push_id = match request.push_id.clone().filter(|id| !id.is_new_session()) {
            Some(push_id) if !self.slots.contains_key(&push_id) => {
                return Err(Refusal::UnknownSession);
            }
            known => known,
        };
        self.check_free(&request.point, now)?;
        let template = body.template_url.as_deref();
        if !self.points.create(&request.point, template) {
            return Err(Refusal::UnknownPoint);
        }
        let push_id = match push_id {
            Some(push_id) => push_id,
            None => self.create(&request.point, new_push_id, now)?,
        };
        let Some(Slot::Waiting(session)) = self.slots.get_mut(&push_id) else {
            return Err(Refusal::Busy);
        };
        session.point.clone_from(&request.point);
        session.auto_destroy = body.auto_destroy;
        session.allow_repeated_header();
        session.wait_for_request(now);
        Ok(SetupAccepted {
            key: session.key,
            reply: session.success(),
        })
    }

    /// 3.2.5.2 Receiving a PushStart Request
    ///
    /// To be called as soon as the head of the request is there. The session comes back by
    /// [`complete`](Self::complete), [`lost`](Self::lost) or [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// No account, a missing or unknown push-id, another publishing point than the session's or one that is gone, a session or
    /// publishing point that already receives. The answer does not wait for the body.
    pub fn push_start(
        &mut self,
        request: &PushRequest,
        now: Duration,
    ) -> Result<ReceivingSession, Refusal> {
        self.check_access(request, now, self.timeouts.idle)?;
        let slot = request.push_id.as_ref().and_then(|id| self.slots.get(id));
        let (Some(push_id), Some(slot)) = (&request.push_id, slot) else {
            return Err(Refusal::UnknownSession);
        };
        let Slot::Waiting(session) = slot else {
            return Err(Refusal::Busy);
        };
        if session.point != request.point || !self.points.contains(&request.point) {
            return Err(Refusal::UnknownPoint);
        }
        let (key, heard) = (session.key, session.heard.clone());
        self.check_free(&request.point, now)?;
        let receiving = Slot::Receiving {
            key,
            point: request.point.clone(),
            heard,
        };
        match self.slots.insert(push_id.clone(), receiving) {
            Some(Slot::Waiting(mut session)) => {
                session.begin(request.content_length, now);
                Ok(*session)
            }
            _ => Err(Refusal::Busy),
        }
    }

    /// 3.2.5.2.1 Sending a PushStart Response, when the body is complete: the session waits for the next request.
    pub fn complete(&mut self, mut session: ReceivingSession, now: Duration) -> Reply {
        session.wait_for_request(now);
        let reply = session.success();
        self.put_back(session);
        reply
    }

    /// 3.2.7.1 TCP Connection Is Disconnected, before the body was complete: until the Idle-Timeout expires the client
    /// may go on with another PushStart.
    pub fn lost(&mut self, mut session: ReceivingSession) {
        session.allow_repeated_header();
        self.put_back(session);
    }

    /// The final `$E` (3.2.5.5), the Idle-Timeout (3.2.6.1) or a disconnection by the server (3.2.4.1).
    #[expect(clippy::needless_pass_by_value, reason = "the session is over")]
    pub fn end(&mut self, session: ReceivingSession) -> Deleted {
        self.slots.remove(&session.push_id);
        self.displaced.remove(&session.key);
        self.delete(&session)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.waiting().map(|session| session.deadline).min()
    }

    /// 3.2.6.2 Inactivity-Timeout Timer Expires, and 3.2.6.1 for sessions whose connection is lost.
    pub fn handle_timeout(&mut self, now: Duration) -> Vec<Deleted> {
        let expired: Vec<_> = self
            .slots
            .extract_if(|_, slot| matches!(slot, Slot::Waiting(session) if session.deadline <= now))
            .collect();
        let delete = |(_, slot)| match slot {
            Slot::Waiting(session) => Some(self.delete(&session)),
            Slot::Receiving { .. } => None,
        };
        expired.into_iter().filter_map(delete).collect()
    }

    /// Returns whether the table has no room for another session.
    pub fn is_full(&self) -> bool {
        self.slots.len() >= Self::MAX
    }

    /// The number of sessions in `among` that wait for a PushStart.
    pub fn count_waiting(&self, among: impl Fn(SessionKey) -> bool) -> usize {
        self.waiting().filter(|session| among(session.key)).count()
    }

    /// Deletes the oldest of the sessions in `among` that wait, to make room for another one. Sessions that have not had
    /// a PushStart yet go before those that may be resumed.
    pub fn shed_waiting(&mut self, among: impl Fn(SessionKey) -> bool) -> Option<Deleted> {
        let among = self.waiting().filter(|session| among(session.key));
        let first = among.min_by_key(|session| (session.has_started(), session.key))?;
        let push_id = first.push_id.clone();
        match self.slots.remove(&push_id)? {
            Slot::Waiting(session) => Some(self.delete(&session)),
            Slot::Receiving { .. } => None,
        }
    }

    /// Whether whoever asks has an account, where one is needed (3.2.5.1).
    ///
    /// # Errors
    ///
    /// [`Refusal::Unauthorised`], with what to ask for.
    pub fn authorise(&mut self, access: &Access, now: Duration) -> Result<(), Refusal> {
        let checked = access.check(&mut self.rules.guard, now);
        checked.map_err(Refusal::Unauthorised)
    }

    /// Whether this session, which receives, has lost its publishing point to another one. It is to end.
    pub fn is_displaced(&self, key: SessionKey) -> bool {
        self.displaced.contains(&key)
    }

    /// As [`authorise`](Self::authorise). A challenge starts the timer of the session anew.
    fn check_access(
        &mut self,
        request: &PushRequest,
        now: Duration,
        timeout: Duration,
    ) -> Result<(), Refusal> {
        let checked = self.authorise(&request.access, now);
        if checked.is_err()
            && let Some(session) = self.waiting_for(request)
        {
            session.deadline = now.saturating_add(timeout);
        }
        checked
    }

    /// 3.2.5.1: who is sent elsewhere has no session here any more.
    fn check_here(&mut self, request: &PushRequest, now: Duration) -> Result<(), Refusal> {
        let Some(redirect) = self.rules.redirects.get(&request.point).cloned() else {
            return Ok(());
        };
        if let Some(session) = self.waiting_for(request) {
            session.deadline = now;
        }
        Err(Refusal::Redirected(redirect))
    }

    /// The session of a request, if it waits for one.
    fn waiting_for(&mut self, request: &PushRequest) -> Option<&mut ReceivingSession> {
        match self.slots.get_mut(request.push_id.as_ref()?)? {
            Slot::Waiting(session) => Some(session),
            Slot::Receiving { .. } => None,
        }
    }

    fn waiting(&self) -> impl Iterator<Item = &ReceivingSession> {
        self.slots.values().filter_map(|slot| match slot {
            Slot::Waiting(session) => Some(&**session),
            Slot::Receiving { .. } => None,
        })
    }

    /// Nobody pushes to the point right now, or who does is silent and gives way. The specification leaves a second
    /// source to the higher layer.
    fn check_free(&mut self, path: &str, now: Duration) -> Result<(), Refusal> {
        let taken = self.slots.values().find_map(|slot| match slot {
            Slot::Receiving { key, point, heard } if point == path => {
                (!self.displaced.contains(key)).then_some((*key, heard))
            }
            _ => None,
        });
        match taken {
            None => Ok(()),
            Some((key, heard)) if heard.is_stale(now, self.rules.stale) => {
                self.displaced.insert(key);
                Ok(())
            }
            Some(_) => Err(Refusal::Busy),
        }
    }

    /// 3.2.3 Initialization
    fn create(
        &mut self,
        point: &str,
        new_push_id: &mut dyn FnMut() -> PushId,
        now: Duration,
    ) -> Result<PushId, Refusal> {
        const ATTEMPTS: usize = 8;
        if self.is_full() {
            return Err(Refusal::TooManySessions);
        }
        let push_id = std::iter::repeat_with(new_push_id)
            .take(ATTEMPTS)
            .find(|id| !id.is_new_session() && !self.slots.contains_key(id))
            .ok_or(Refusal::TooManySessions)?;
        let key = SessionKey(self.next_key);
        self.next_key += 1;
        let session =
            ReceivingSession::new(key, push_id.clone(), point.to_owned(), self.timeouts, now);
        self.slots
            .insert(push_id.clone(), Slot::Waiting(Box::new(session)));
        Ok(push_id)
    }

    fn put_back(&mut self, session: ReceivingSession) {
        let push_id = session.push_id.clone();
        self.displaced.remove(&session.key);
        self.slots.insert(push_id, Slot::Waiting(Box::new(session)));
    }

    fn delete(&mut self, session: &ReceivingSession) -> Deleted {
        let point_removed = session.auto_destroy && self.points.remove(&session.point);
        Deleted {
            key: session.key,
            point: session.point.clone(),
            point_removed,
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
