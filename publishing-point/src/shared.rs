// SPDX-License-Identifier: MPL-2.0

//! The state that all connections of a publishing point share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{Notify, watch};

use super::admission::{Admission, Limits};
use super::audience::Audience;
use super::clock::Clock;
use super::events::Events;
use super::faults::Script;
use super::ledger::Ledger;
use super::lock::lock;
use super::pushes::Pushes;
use super::recording::Recording;
use super::requests::RequestSeen;
use super::syncer::Syncer;
use super::{Control, Event, Settings};
use wmspush_proto::wmhttp::server::{
    Deleted, Received, ReceivingSession, SessionKey, Sessions, Violation,
};
use wmspush_proto::wmhttp::{HResult, PushId};

/// Sessions of one peer that wait for a PushStart, at most: a gateway may start hundreds of pushes at once.
const MAX_WAITING_OF_PEER: usize = Sessions::MAX / 2;

pub(super) struct PointState {
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) sessions: Mutex<Sessions>,
    /// Signals a new waiting session, whose timeout the timer task does not know yet.
    pub(super) sessions_changed: Notify,
    pub(super) script: Mutex<Script>,
    pub(super) pushes: Mutex<Pushes>,
    pub(super) pushes_changed: Condvar,
    pub(super) requests: Mutex<Vec<RequestSeen>>,
    pub(super) events: Events,
    pub(super) control: watch::Sender<Control>,
    pub(super) audience: Audience,
    pub(super) admission: Arc<Admission>,
    /// Address of the peer of each session.
    peers: Mutex<HashMap<SessionKey, IpAddr>>,
    pub(super) ledger: Mutex<Ledger>,
    /// Signals that a source may have displaced another.
    displacements: watch::Sender<()>,
    /// Recordings of sessions without a PushStart in progress.
    pub(super) recordings: Mutex<HashMap<SessionKey, Recording>>,
    pub(super) syncer: Syncer,
}

impl PointState {
    pub(super) fn new(mut settings: Settings) -> Self {
        let clock = Clock::start();
        settings.points = settings.points.by_name();
        let script = Script::new(std::mem::take(&mut settings.faults));
        let sessions =
            Sessions::new(settings.timeouts, settings.points.clone()).with_rules(settings.rules());
        let syncer = match settings.record {
            Some(_) => Syncer::start(),
            None => Syncer::default(),
        };
        let admission = Arc::new(Admission::new(Limits {
            connections: settings.max_connections,
            per_peer: settings.max_per_peer,
        }));
        Self {
            ledger: Mutex::new(Ledger::new(clock.record())),
            clock,
            settings,
            sessions: Mutex::new(sessions),
            sessions_changed: Notify::new(),
            script: Mutex::new(script),
            pushes: Mutex::default(),
            pushes_changed: Condvar::new(),
            requests: Mutex::default(),
            events: Events::default(),
            control: watch::Sender::new(Control::default()),
            audience: Audience::default(),
            admission,
            peers: Mutex::default(),
            displacements: watch::Sender::new(()),
            recordings: Mutex::default(),
            syncer,
        }
    }

    /// Returns the current time of sessions.
    pub(super) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Sleeps until a time of sessions; without one, forever.
    pub(super) async fn sleep_until(&self, deadline: Option<Duration>) {
        match deadline.and_then(|deadline| self.clock.instant(deadline)) {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Publishes an event.
    pub(super) fn tell(&self, event: Event) {
        lock(&self.ledger).see(&event, self.clock.record());
        self.events.push(event);
    }

    pub(super) fn request_seen(&self, head: Bytes) {
        if self.settings.keep {
            let body = Bytes::new();
            lock(&self.requests).push(RequestSeen { head, body });
        }
    }

    /// Adds the body to the last request with this head.
    pub(super) fn body_seen(&self, head: &Bytes, body: &Bytes) {
        let mut requests = lock(&self.requests);
        let mut latest_first = requests.iter_mut().rev();
        if let Some(seen) = latest_first.find(|seen| seen.head == *head) {
            seen.body = body.clone();
        }
    }

    pub(super) fn refused(&self, point: &str, status: StatusCode, reason: impl ToString) {
        // A challenge or a redirection may have set the timer of a session.
        self.sessions_changed.notify_one();
        self.tell(Event::Refused {
            point: point.to_owned(),
            status: status.as_u16(),
            reason: reason.to_string(),
        });
    }

    /// Publishes the application of a scripted fault.
    pub(super) fn strikes(&self, point: &str, fault: impl ToString) {
        self.tell(Event::Fault {
            point: point.to_owned(),
            fault: fault.to_string(),
        });
    }

    pub(super) fn violations(&self, point: &str, violations: impl IntoIterator<Item = Violation>) {
        for violation in violations {
            let point = point.to_owned();
            self.tell(Event::Violation { point, violation });
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.admission.count()
    }

    /// Evicts the oldest waiting sessions if there are too many, of this peer or in total.
    pub(super) fn shed_sessions(&self, new: SessionKey, peer: IpAddr) {
        let mut peers = lock(&self.peers);
        peers.insert(new, peer);
        let of_peer = |key| key != new && peers.get(&key) == Some(&peer);
        let mut sessions = lock(&self.sessions);
        let mut deleted = Vec::new();
        if sessions.count_waiting(of_peer) >= MAX_WAITING_OF_PEER {
            deleted.extend(sessions.shed_waiting(of_peer));
        }
        if sessions.is_full() {
            deleted.extend(sessions.shed_waiting(|key| key != new));
        }
        drop((sessions, peers));
        for deleted in deleted {
            self.deleted(deleted);
        }
    }

    pub(super) fn setup_accepted(&self, session: SessionKey, point: &str, user_agent: &str) {
        let mut pushes = lock(&self.pushes);
        let push = pushes.entry(session);
        point.clone_into(&mut push.point);
        user_agent.clone_into(&mut push.user_agent);
        drop(pushes);
        self.pushes_changed.notify_all();
        self.sessions_changed.notify_one();
        self.displacements.send_replace(());
        self.tell(Event::SetupAccepted {
            session,
            point: point.to_owned(),
            user_agent: user_agent.to_owned(),
        });
    }

    pub(super) fn push_started(&self, session: &ReceivingSession) {
        let mut pushes = lock(&self.pushes);
        let push = pushes.entry(session.key());
        push.receiving = true;
        push.push_starts += 1;
        drop(pushes);
        self.pushes_changed.notify_all();
        self.displacements.send_replace(());
        self.tell(Event::PushStarted {
            session: session.key(),
            point: session.point().to_owned(),
        });
    }

    /// Counts, records and reports a received packet.
    pub(super) fn received(
        &self,
        session: &mut ReceivingSession,
        recording: &mut Recording,
        received: &Received,
    ) {
        let key = session.key();
        self.audience.publish(key, session.point(), received);
        if let Received::Data(packet) = received {
            lock(&self.ledger).data(key, session.point(), packet.len(), self.now());
        }
        self.record(key, session.point(), recording, received);
        lock(&self.pushes)
            .entry(key)
            .note(received, self.settings.keep);
        self.pushes_changed.notify_all();
        let violations = session.take_violations();
        self.violations(session.point(), violations);
        let point = || session.point().to_owned();
        self.tell(match received {
            Received::Header(header) | Received::StreamChange(header) => Event::Header {
                session: key,
                point: point(),
                bytes: header.len(),
            },
            Received::Data(packet) if self.settings.keep => Event::Data {
                session: key,
                point: point(),
                bytes: packet.len(),
            },
            Received::EndOfStream(reason) => Event::EndOfStream {
                session: key,
                point: point(),
                reason: *reason,
            },
            Received::Data(_) | Received::Filler(_) => return,
        });
    }

    /// Waits until another source displaces this session.
    pub(super) async fn displaced(&self, session: SessionKey) {
        let mut displacements = self.displacements.subscribe();
        while !lock(&self.sessions).is_displaced(session) {
            if displacements.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Notes the end of a PushStart.
    pub(super) fn push_stopped(&self, session: SessionKey, event: Event) {
        lock(&self.pushes).entry(session).receiving = false;
        self.pushes_changed.notify_all();
        self.sessions_changed.notify_one();
        self.tell(event);
    }

    /// Notes the deletion of a session.
    pub(super) fn deleted(&self, deleted: Deleted) {
        let Deleted {
            key,
            point,
            point_removed,
        } = deleted;
        lock(&self.peers).remove(&key);
        let recording = self.take_recording(key);
        self.recorded(key, &point, recording);
        let mut pushes = lock(&self.pushes);
        let push = pushes.entry(key);
        push.over = true;
        let reason = push.end.unwrap_or(HResult::E_ABORT);
        let packets = push.data_packets;
        drop(pushes);
        self.audience.end(key, &point, reason);
        self.pushes_changed.notify_all();
        self.tell(Event::SessionDeleted {
            session: key,
            point,
            packets,
            point_removed,
        });
    }

    /// 3.2.6 Timer Events: deletes sessions whose timeout has expired.
    pub(super) fn handle_timeout(&self) {
        let deleted = lock(&self.sessions).handle_timeout(self.now());
        for deleted in deleted {
            self.deleted(deleted);
        }
    }
}

/// 3.2.3 Initialization: returns a random alphanumeric push-id of 128 bits.
pub(super) fn random_push_id() -> PushId {
    let mut random = [0; 16];
    if getrandom::fill(&mut random).is_err() {
        // The caller rejects this value, tries again, and then refuses the request.
        return PushId::default();
    }
    let text = format!("{:032x}", u128::from_le_bytes(random));
    PushId::new(&text).unwrap_or_default()
}
