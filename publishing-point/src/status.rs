// SPDX-License-Identifier: MPL-2.0

//! How the publishing points fare, for people and for programs.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};

use super::date::rfc3339;
use super::handle::lock;
use super::meter::Meter;
use super::shared::Shared;
use super::{Closer, Event, Viewer};
use wmspush_proto::wmhttp::server::SessionKey;

/// Most errors that are remembered.
const MAX_ERRORS: usize = 32;

/// How one publishing point fares to which somebody pushes.
#[derive(Clone, Debug, PartialEq)]
pub struct PointStatus {
    /// Its path.
    pub point: String,
    /// The session that pushes.
    pub session: SessionKey,
    /// What its client calls itself.
    pub user_agent: String,
    /// Since when it has been pushing; `None` before its first PushStart.
    pub since: Option<SystemTime>,
    /// Whether a PushStart is in progress; otherwise the next one is awaited.
    pub receiving: bool,
    /// Bits per second over the last ten seconds.
    pub bitrate: u64,
    /// Data packets that came.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Who watches.
    pub viewers: Vec<Viewer>,
    /// The last thing that went wrong there.
    pub last_error: Option<ErrorSeen>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorSeen {
    /// When.
    pub time: SystemTime,
    /// At which publishing point; empty when that is not known.
    pub point: String,
    /// What.
    pub text: String,
}

/// How everything fares.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Since when the publishing point has been there.
    pub since: SystemTime,
    /// Publishing points to which somebody pushes.
    pub points: Vec<PointStatus>,
    /// What went wrong lately, the latest last.
    pub errors: Vec<ErrorSeen>,
}

/// What is known of a session beside what it has pushed.
#[derive(Default)]
struct Source {
    since: Option<SystemTime>,
    meter: Meter,
}

/// What is written down for the status.
pub(super) struct Ledger {
    since: SystemTime,
    sources: BTreeMap<SessionKey, Source>,
    errors: VecDeque<ErrorSeen>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            since: SystemTime::now(),
            sources: BTreeMap::new(),
            errors: VecDeque::new(),
        }
    }

    /// Something happened.
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::PushStarted { session, .. } => {
                let source = self.sources.entry(*session).or_default();
                source.since.get_or_insert_with(SystemTime::now);
            }
            Event::SessionDeleted { session, .. } => drop(self.sources.remove(session)),
            _ => {}
        }
        if let Some(text) = error(event) {
            if self.errors.len() >= MAX_ERRORS {
                self.errors.pop_front();
            }
            self.errors.push_back(ErrorSeen {
                time: SystemTime::now(),
                point: event.point().to_owned(),
                text,
            });
        }
    }

    /// A data packet came.
    pub(super) fn data(&mut self, session: SessionKey, bytes: usize, now: Duration) {
        let source = self.sources.entry(session).or_default();
        source.meter.add(bytes, now);
    }
}

/// What of an event is an error.
fn error(event: &Event) -> Option<String> {
    match event {
        Event::Refused { status, reason, .. } => Some(format!("refused with {status}: {reason}")),
        Event::RecordingFailed { error, .. } => Some(format!("cannot record: {error}")),
        Event::Closed { by, .. } if *by != Closer::EndOfStream => Some(by.to_string()),
        _ => None,
    }
}

impl Shared {
    /// How everything fares.
    pub(super) fn status(&self) -> Status {
        let viewers = self.audience.viewers();
        let pushes: Vec<_> = lock(&self.pushes).present().cloned().collect();
        let ledger = lock(&self.ledger);
        let now = self.now();
        let points = pushes.into_iter().map(|push| {
            let source = ledger.sources.get(&push.session);
            let watch_it = viewers.iter().filter(|viewer| viewer.point == push.point);
            let mut latest_first = ledger.errors.iter().rev();
            PointStatus {
                session: push.session,
                user_agent: push.user_agent,
                since: source.and_then(|source| source.since),
                receiving: push.receiving,
                bitrate: source.map_or(0, |source| source.meter.bitrate(now)),
                packets: push.data_packets,
                bytes: push.data_bytes,
                viewers: watch_it.cloned().collect(),
                last_error: latest_first
                    .find(|error| error.point == push.point)
                    .cloned(),
                point: push.point,
            }
        });
        Status {
            since: ledger.since,
            points: points.collect(),
            errors: ledger.errors.iter().cloned().collect(),
        }
    }
}

impl Status {
    /// As JSON, with URLs for a server at this address.
    pub(super) fn to_json(&self, address: SocketAddr) -> Bytes {
        let points = self.points.iter().map(|point| point.to_json(address));
        let errors = self.errors.iter().map(ErrorSeen::to_json);
        let json = json!({
            "server": concat!("publishing-point/", env!("CARGO_PKG_VERSION")),
            "address": format!("http://{address}/"),
            "since": rfc3339(self.since),
            "points": points.collect::<Vec<_>>(),
            "errors": errors.collect::<Vec<_>>(),
        });
        format!("{json:#}\n").into()
    }
}

impl PointStatus {
    fn to_json(&self, address: SocketAddr) -> Value {
        let viewers = self.viewers.iter().map(|viewer| {
            json!({
                "id": viewer.id,
                "player": viewer.user_agent,
                "protocol": if viewer.framed { "MS-WMSP" } else { "HTTP" },
                "since": rfc3339(viewer.since),
                "packets": viewer.packets,
            })
        });
        json!({
            "point": self.point,
            "watch": format!("mmsh://{address}{}", self.point),
            "state": if self.receiving { "receiving" } else { "waiting" },
            "session": self.session.to_string(),
            "pusher": self.user_agent,
            "since": self.since.map(rfc3339),
            "bitrate": self.bitrate,
            "packets": self.packets,
            "bytes": self.bytes,
            "viewers": viewers.collect::<Vec<_>>(),
            "last_error": self.last_error.as_ref().map(ErrorSeen::to_json),
        })
    }
}

impl ErrorSeen {
    fn to_json(&self) -> Value {
        json!({
            "time": rfc3339(self.time),
            "point": self.point,
            "error": self.text,
        })
    }
}
