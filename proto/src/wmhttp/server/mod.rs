// SPDX-License-Identifier: MPL-2.0

//! 3.2 Server Details: the server half.
//!
//! [`Sessions`] is the table of all sessions between their requests. [`Sessions::push_start`] hands out a
//! [`ReceivingSession`], which reads the body and is then given back:
//!
//! ```text
//! (nothing) --push_setup--> waiting
//! waiting   --push_setup--> waiting
//! waiting   --push_start--> receiving
//! waiting   --handle_timeout: Inactivity-Timeout; Idle-Timeout after a loss--> deleted
//! receiving --complete: the body is complete and answered--> waiting
//! receiving --lost: connection lost, body incomplete--> waiting
//! receiving --end: final $E, Idle-Timeout, bad packet, disconnection--> deleted
//! ```
//!
//! Times are durations since a fixed start that the caller chooses. A closure of the caller generates push-ids.
//! [`Rules`] decide who may push to which publishing point.
//!
//! # Decisions of this server
//!
//! | | |
//! |---|---|
//! | 3.2.2 Timers | The minimum Idle-Timeout of ten seconds is not enforced, because tests need shorter ones. |
//! | 3.2.5.1 Receiving a PushSetup Request | User-Agent has to begin with `WMEncoder/`. Any other client gets 200 and a playlist (note <8>). |
//! | 3.2.5.1 Receiving a PushSetup Request | A publishing point has one source. While it receives, PushSetup and PushStart of other sessions get 409. A source without data for [`Rules::stale`] is displaced by the next one. |
//! | 3.2.5.1 Receiving a PushSetup Request | AutoDestroy removes a publishing point that a client has created, and never a configured one. |
//! | 3.2.5.1 Receiving a PushSetup Request | A full table can evict its waiting sessions: [`Sessions::shed_waiting`]. |
//! | 3.2.5.1 Receiving a PushSetup Request | Accounts are checked by Digest and Basic. NTLM is bound to connections, which this module does not know. |
//! | 3.2.5.2 Receiving a PushStart Request | A challenge to PushStart leaves the connection open, and its body is drained. |
//! | 3.2.5.2 Receiving a PushStart Request | An unknown push-id gets 400, never a new session as in note <13>. |
//! | 3.2.5.2 Receiving a PushStart Request | `$H` may be repeated as the first packet after a connection loss or another PushSetup only. |
//! | 3.2.5.3 Receiving an $H Packet | A body without the packet order of figure 7 gets 400 and ends the session. |
//! | 3.2.5.5 Receiving an $E Packet | A body that `$E` (S_FALSE) completes is answered, unlike in note <14>. |

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{PushId, SetupBody};

mod bad_body;
mod name;
mod points;
mod refusal;
mod reply;
mod request;
mod rules;
mod session;
mod violation;

pub use bad_body::BadBody;
pub use name::point_name;
use points::Existing;
pub use points::Points;
pub use refusal::{Redirect, Refusal};
pub use reply::{Reply, SERVER_NAME};
pub use request::{AccessRequest, PushRequest, RequestKind, user_agent};
pub use rules::Rules;
use session::Heard;
pub use session::{Received, ReceivingSession, SessionKey};
pub use violation::{Violation, Weight, violations};

/// 3.2.2 Timers
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Idle-Timeout: ends a PushStart after this time without `$H`, `$D` or `$C`. The specification requires at least
    /// ten seconds; tests use less.
    pub idle: Duration,
    /// Inactivity-Timeout: deletes a session after this time between two requests.
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

/// The result of a successful PushSetup.
#[derive(Clone, Debug)]
pub struct SetupAccepted {
    /// The new or existing session.
    pub key: SessionKey,
    /// The response to send.
    pub reply: Reply,
}

/// A deleted session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The session's key.
    pub key: SessionKey,
    /// Its publishing point.
    pub point: String,
    /// True if the publishing point was removed with it (AutoDestroy).
    pub point_removed: bool,
}

enum Slot {
    Waiting(Box<ReceivingSession>),
    /// Handed out to the connection of its PushStart.
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
    /// Receiving sessions that have to end, because other sources have displaced them.
    displaced: HashSet<SessionKey>,
    next_key: u64,
}

impl Sessions {
    /// Sessions in the table, at most.
    pub const MAX: usize = 1024;

    /// Creates an empty table.
    pub fn new(timeouts: Timeouts, points: Points) -> Self {
        Self {
            timeouts,
            points: Existing::new(points.by_name()),
            rules: Rules::default(),
            slots: HashMap::new(),
            displaced: HashSet::new(),
            next_key: 1,
        }
    }

    /// Replaces the default rules.
    #[must_use]
    pub fn with_rules(self, mut rules: Rules) -> Self {
        let redirects = rules.redirects.into_iter();
        rules.redirects = redirects
            .map(|(path, redirect)| (point_name(&path), redirect))
            .collect();
        Self { rules, ..self }
    }

    /// 3.2.5.1 Receiving a PushSetup Request
    ///
    /// `new_push_id` yields random push-ids (3.2.3 Initialization). A refused request creates no publishing point, and
    /// displaces no source.
    ///
    /// # Errors
    ///
    /// Refuses the request if it is not a PushSetup; if the publishing point is on another server, does not exist and
    /// has no existing template, or already receives; if the credentials match no account; if the body is malformed or
    /// the push-id unknown; and if the table is full.
    pub fn push_setup(
        &mut self,
        request: &PushRequest,
        body: &[u8],
        new_push_id: &mut dyn FnMut() -> PushId,
        now: Duration,
    ) -> Result<SetupAccepted, Refusal> {
        request.check_kind(RequestKind::PushSetup)?;
        self.check_here(request, now)?;
        self.check_access(request, now, self.timeouts.inactivity)?;
        let body = SetupBody::parse(body).map_err(Refusal::SetupBody)?;
        let push_id = match request.push_id.clone().filter(|id| !id.is_new_session()) {
            Some(push_id) if !self.slots.contains_key(&push_id) => {
                return Err(Refusal::UnknownSession);
            }
            known => known,
        };
        let silent = self.check_free(&request.point, now)?;
        let template = body.template_url.as_deref().map(point_name);
        if !self.points.accepts(&request.point, template.as_deref()) {
            return Err(Refusal::UnknownPoint);
        }
        let push_id = match push_id {
            Some(push_id) => push_id,
            None => self.create(&request.point, new_push_id, now)?,
        };
        let Some(Slot::Waiting(session)) = self.slots.get_mut(&push_id) else {
            return Err(Refusal::Busy);
        };
        self.points.create(&request.point);
        self.displaced.extend(silent);
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
    /// Call it as soon as the head of the request is complete. Give the session back by [`complete`](Self::complete),
    /// [`lost`](Self::lost) or [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// Refuses the request if it is not a PushStart, if the credentials match no account, if the push-id is missing or
    /// unknown, if the publishing point is not the session's or no longer exists, and if session or publishing point
    /// already receive. The response does not wait for the body.
    pub fn push_start(
        &mut self,
        request: &PushRequest,
        now: Duration,
    ) -> Result<ReceivingSession, Refusal> {
        request.check_kind(RequestKind::PushStart)?;
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
        let silent = self.check_free(&request.point, now)?;
        self.displaced.extend(silent);
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

    /// 3.2.5.2.1 Sending a PushStart Response: takes the session back after a complete body. It waits for the next
    /// request.
    pub fn complete(&mut self, mut session: ReceivingSession, now: Duration) -> Reply {
        session.wait_for_request(now);
        let reply = session.success();
        self.put_back(session);
        reply
    }

    /// 3.2.7.1 TCP Connection Is Disconnected: takes the session back after an incomplete body. The client may continue
    /// with another PushStart until the Idle-Timeout expires.
    pub fn lost(&mut self, mut session: ReceivingSession) {
        session.allow_repeated_header();
        self.put_back(session);
    }

    /// Deletes the session: after the final `$E` (3.2.5.5 Receiving an $E Packet), the Idle-Timeout (3.2.6.1
    /// Idle-Timeout Timer Expires) or a disconnection by the server (3.2.4.1 Administrative Disconnect).
    #[expect(clippy::needless_pass_by_value, reason = "the session is over")]
    pub fn end(&mut self, session: ReceivingSession) -> Deleted {
        self.slots.remove(&session.push_id);
        self.displaced.remove(&session.key);
        self.delete(&session)
    }

    /// Returns the time at which [`handle_timeout`](Self::handle_timeout) has to be called; `None` without a waiting
    /// session.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.waiting().map(|session| session.deadline).min()
    }

    /// 3.2.6.2 Inactivity-Timeout Timer Expires, and 3.2.6.1 Idle-Timeout Timer Expires for sessions whose connection
    /// is lost. Returns the deleted sessions.
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

    /// Returns whether the table is full.
    pub fn is_full(&self) -> bool {
        self.slots.len() >= Self::MAX
    }

    /// Returns the number of sessions in `among` that wait for a PushStart.
    pub fn count_waiting(&self, among: impl Fn(SessionKey) -> bool) -> usize {
        self.waiting().filter(|session| among(session.key)).count()
    }

    /// Evicts the oldest waiting session in `among` to make room for another. Sessions that never had a PushStart are
    /// evicted before those that the client may resume.
    pub fn shed_waiting(&mut self, among: impl Fn(SessionKey) -> bool) -> Option<Deleted> {
        let among = self.waiting().filter(|session| among(session.key));
        let first = among.min_by_key(|session| (session.has_started(), session.key))?;
        let push_id = first.push_id.clone();
        match self.slots.remove(&push_id)? {
            Slot::Waiting(session) => Some(self.delete(&session)),
            Slot::Receiving { .. } => None,
        }
    }

    /// Checks the credentials of a request (3.2.5.1 Receiving a PushSetup Request).
    ///
    /// # Errors
    ///
    /// [`Refusal::Unauthorised`] with the challenges to send, if they match no account.
    pub fn authorise(&mut self, access: &AccessRequest, now: Duration) -> Result<(), Refusal> {
        let checked = access.check(&mut self.rules.guard, now);
        checked.map_err(Refusal::Unauthorised)
    }

    /// Returns whether another source has displaced this receiving session. If so, end it.
    pub fn is_displaced(&self, key: SessionKey) -> bool {
        self.displaced.contains(&key)
    }

    /// Does the same as [`authorise`](Self::authorise). A challenge also restarts the timer of the session.
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

    /// 3.2.5.1 Receiving a PushSetup Request: redirects a request. Its session is deleted here.
    fn check_here(&mut self, request: &PushRequest, now: Duration) -> Result<(), Refusal> {
        let Some(redirect) = self.rules.redirects.get(&request.point).cloned() else {
            return Ok(());
        };
        if let Some(session) = self.waiting_for(request) {
            session.deadline = now;
        }
        Err(Refusal::Redirected(redirect))
    }

    /// Returns the session of a request, if it waits for one.
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

    /// Checks that no other source pushes to the point. Returns the source to displace, if it is silent. The
    /// specification leaves a second source to the higher layer.
    fn check_free(&self, path: &str, now: Duration) -> Result<Option<SessionKey>, Refusal> {
        let source = self.slots.values().find_map(|slot| match slot {
            Slot::Receiving { key, point, heard } if point == path => {
                (!self.displaced.contains(key)).then_some((*key, heard))
            }
            _ => None,
        });
        match source {
            None => Ok(None),
            Some((key, heard)) if heard.is_stale(now, self.rules.stale) => Ok(Some(key)),
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
        self.next_key = self.next_key.saturating_add(1);
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
