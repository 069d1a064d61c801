// SPDX-License-Identifier: MPL-2.0

//! The state of the publishing points at one moment.

use std::collections::HashMap;
use std::time::SystemTime;

use super::journal::{Journal, Notice};
use super::ledger::Ledger;
use super::lock::lock;
use super::pushes::Push;
use super::shared::PointState;
use super::{Settings, Viewer};
use wmspush_proto::wmhttp::server::{Points, SessionKey};

/// The state of one push session.
#[derive(Clone, Debug, PartialEq)]
pub struct PointStatus {
    /// Path of the publishing point.
    pub point: String,
    /// The session that pushes.
    pub session: SessionKey,
    /// The User-Agent of the encoder.
    pub user_agent: String,
    /// Time of the first PushStart; `None` before it.
    pub since: Option<SystemTime>,
    /// True while a PushStart is in progress. Otherwise the session waits for one.
    pub receiving: bool,
    /// Bit rate in bit/s over the last ten seconds.
    pub bitrate: u64,
    /// Data packets received.
    pub packets: u64,
    /// Bytes of the data packets.
    pub bytes: u64,
    /// The viewers of this session.
    pub viewers: Vec<Viewer>,
    /// The latest unresolved error of the publishing point.
    pub last_error: Option<Notice>,
}

/// The state of the publishing points.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// Start of the program.
    pub since: SystemTime,
    /// The push sessions, the oldest first.
    pub points: Vec<PointStatus>,
    /// The configured publishing points; empty if every path is one.
    pub configured: Vec<String>,
    /// The latest errors, the oldest first.
    pub errors: Vec<Notice>,
    /// The latest events, the oldest first.
    pub events: Vec<Notice>,
}

impl PointState {
    /// Returns the current state.
    pub(super) fn status(&self) -> Status {
        let shown = self.clock.shown();
        let mut viewers = self.viewers_by_session();
        let pushes: Vec<_> = lock(&self.pushes).present().map(Push::outline).collect();
        let ledger = lock(&self.ledger);
        let points = pushes.into_iter().map(|push| {
            let viewers = viewers.remove(&push.session).unwrap_or_default();
            self.point_status(&ledger, push, viewers, &shown)
        });
        Status {
            since: shown(ledger.since),
            points: points.collect(),
            configured: configured(&self.settings),
            errors: notices(&ledger.errors, &shown),
            events: notices(&ledger.events, &shown),
        }
    }

    fn point_status(
        &self,
        ledger: &Ledger,
        push: Push,
        viewers: Vec<Viewer>,
        shown: impl Fn(SystemTime) -> SystemTime,
    ) -> PointStatus {
        let source = ledger.source(push.session);
        let last_error = ledger.last_error(&push.point);
        PointStatus {
            session: push.session,
            user_agent: push.user_agent,
            since: source.and_then(|source| source.since).map(&shown),
            receiving: push.receiving,
            bitrate: source.map_or(0, |source| source.meter.bitrate(self.now())),
            packets: push.data_packets,
            bytes: push.data_bytes,
            viewers,
            last_error: last_error.map(|error| error.shown(&shown)),
            point: push.point,
        }
    }

    /// Returns all viewers in the order in which they joined.
    pub(super) fn viewers(&self) -> Vec<Viewer> {
        let shown = self.clock.shown();
        let viewers = self.audience.viewers().into_iter();
        viewers
            .map(|viewer| Viewer {
                since: shown(viewer.since),
                ..viewer
            })
            .collect()
    }

    /// Returns the viewers by session.
    fn viewers_by_session(&self) -> HashMap<SessionKey, Vec<Viewer>> {
        let mut sessions = HashMap::<_, Vec<_>>::new();
        for viewer in self.viewers() {
            sessions.entry(viewer.session).or_default().push(viewer);
        }
        sessions
    }
}

fn notices(journal: &Journal, shown: impl Fn(SystemTime) -> SystemTime) -> Vec<Notice> {
    let notices = journal.notices().cloned();
    notices.map(|notice| notice.shown(&shown)).collect()
}

fn configured(settings: &Settings) -> Vec<String> {
    match &settings.points {
        Points::Any => Vec::new(),
        Points::Listed(paths) => paths.iter().cloned().collect(),
    }
}
