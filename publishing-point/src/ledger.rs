// SPDX-License-Identifier: MPL-2.0

//! The history behind the status: events, errors, and the totals of each publishing point.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use super::history::History;
use super::journal::{Journal, Kind, Notice};
use super::meter::Meter;
use super::{Closer, Event};
use wmspush_proto::wmhttp::server::SessionKey;

/// Errors to keep, at most.
const MAX_ERRORS: usize = 32;

/// Events to keep, at most.
const MAX_EVENTS: usize = 100;

/// Publishing points with a history, at most.
const MAX_POINTS: usize = 1024;

/// The start and the bit rate of one session.
#[derive(Default)]
pub(super) struct Source {
    pub(super) since: Option<SystemTime>,
    pub(super) meter: Meter,
}

/// The totals of one publishing point over all of its sessions.
#[derive(Clone)]
pub(super) struct Total {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) history: History,
    last: Duration,
}

pub(super) struct Ledger {
    pub(super) since: SystemTime,
    sources: BTreeMap<SessionKey, Source>,
    totals: HashMap<String, Total>,
    pub(super) errors: Journal,
    pub(super) events: Journal,
    /// Requests refused.
    pub(super) refusals: u64,
}

impl Total {
    /// Returns the time since the last packet.
    pub(super) fn silent_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last)
    }
}

impl Ledger {
    pub(super) fn new(since: SystemTime) -> Self {
        Self {
            since,
            sources: BTreeMap::new(),
            totals: HashMap::new(),
            errors: Journal::new(MAX_ERRORS),
            events: Journal::new(MAX_EVENTS),
            refusals: 0,
        }
    }

    /// Records an event.
    pub(super) fn see(&mut self, event: &Event, now: SystemTime) {
        let point = event.point();
        match event {
            Event::PushStarted { session, .. } => {
                let source = self.sources.entry(*session).or_default();
                source.since.get_or_insert(now);
                self.errors.resolve(point, |_| true);
            }
            Event::Recording { .. } => {
                self.errors.resolve(point, |kind| kind == Kind::Failure);
            }
            Event::ViewerJoined { .. } => {
                self.errors.resolve(point, |kind| kind == Kind::Refusal);
            }
            Event::SessionDeleted { session, .. } => drop(self.sources.remove(session)),
            Event::Refused { .. } => self.refusals += 1,
            _ => {}
        }
        let (kind, text) = (kind(event), event.text().to_string());
        if kind != Kind::Information {
            self.errors.note(kind, point, &text, now);
        }
        if !matches!(event, Event::Data { .. } | Event::Header { .. }) {
            self.events.note(kind, point, &text, now);
        }
    }

    /// Counts a data packet.
    pub(super) fn data(&mut self, session: SessionKey, point: &str, bytes: usize, now: Duration) {
        let source = self.sources.entry(session).or_default();
        source.meter.add(bytes, now);
        if !self.totals.contains_key(point) {
            self.add_point(point, now);
        }
        if let Some(total) = self.totals.get_mut(point) {
            total.packets += 1;
            total.bytes += bytes as u64;
            total.history.add(bytes, now);
            total.last = now;
        }
    }

    fn add_point(&mut self, point: &str, now: Duration) {
        if self.totals.len() >= MAX_POINTS {
            let oldest = self.totals.iter().min_by_key(|(_, total)| total.last);
            if let Some(oldest) = oldest.map(|(point, _)| point.clone()) {
                self.totals.remove(&oldest);
            }
        }
        let total = Total {
            packets: 0,
            bytes: 0,
            history: History::new(now),
            last: now,
        };
        self.totals.insert(point.to_owned(), total);
    }

    pub(super) fn source(&self, session: SessionKey) -> Option<&Source> {
        self.sources.get(&session)
    }

    /// Returns the totals of all publishing points, by name.
    pub(super) fn totals(&self) -> BTreeMap<&str, &Total> {
        let totals = self.totals.iter();
        totals
            .map(|(point, total)| (point.as_str(), total))
            .collect()
    }

    /// Returns the latest unresolved error of a point.
    pub(super) fn last_error(&self, point: &str) -> Option<Notice> {
        self.errors.unresolved(point).cloned()
    }
}

fn kind(event: &Event) -> Kind {
    match event {
        Event::Refused { .. } => Kind::Refusal,
        Event::RecordingFailed { .. } => Kind::Failure,
        Event::Closed { by, .. } if *by != Closer::EndOfStream => Kind::Failure,
        _ => Kind::Information,
    }
}
