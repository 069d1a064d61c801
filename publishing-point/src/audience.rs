// SPDX-License-Identifier: MPL-2.0

//! Who watches, and what there is to watch.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::lock::lock;
use super::relay::Relay;
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{Received, SessionKey};
use wmspush_proto::wmsp::Players;

/// Somebody who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Tells viewers apart.
    pub id: u64,
    /// The publishing point.
    pub point: String,
    /// The session that it watches.
    pub session: SessionKey,
    /// What the player calls itself.
    pub user_agent: String,
    /// Whether it speaks MS-WMSP; otherwise it gets an ASF file without an end.
    pub framed: bool,
    /// Since when.
    pub since: SystemTime,
    /// Data packets that it was sent.
    pub packets: u64,
    /// Data packets of the push that it was not sent: they have nothing of the streams that it has selected, or fit
    /// into no packet of MS-WMSP.
    pub skipped: u64,
}

/// Why somebody watches no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leave {
    /// The push is over.
    End,
    /// The player has gone.
    Gone,
    /// The player took too little for too long.
    TooSlow,
    /// Another playlist entry has begun, for which the ASF file that the player reads has no place.
    Change,
    /// The publishing point stops.
    Server,
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "the push is over",
            Self::Gone => "the player hung up",
            Self::TooSlow => "the player was too slow",
            Self::Change => "another playlist entry has begun",
            Self::Server => "the publishing point stops",
        })
    }
}

/// All viewers and all streams.
#[derive(Default)]
pub(super) struct Audience {
    relays: Mutex<HashMap<String, Arc<Relay>>>,
    viewers: Mutex<Viewers>,
    pub(super) players: Mutex<Players>,
}

#[derive(Default)]
struct Viewers {
    present: BTreeMap<u64, Viewer>,
    last_id: u64,
}

impl Audience {
    /// The stream at a publishing point, if somebody pushes one.
    pub(super) fn relay(&self, point: &str) -> Option<Arc<Relay>> {
        lock(&self.relays).get(point).cloned()
    }

    /// Everybody who watches.
    pub(super) fn viewers(&self) -> Vec<Viewer> {
        lock(&self.viewers).present.values().cloned().collect()
    }

    /// What was pushed, for those who watch.
    pub(super) fn publish(&self, session: SessionKey, point: &str, received: &Received) {
        let relay = self.relay(point);
        match (relay, received) {
            (Some(relay), _) if relay.session() == session => relay.publish(received),
            (other, Received::Header(header) | Received::StreamChange(header)) => {
                if let Some(other) = other {
                    other.end(HResult::E_ABORT);
                }
                if let Some(relay) = Relay::new(session, header) {
                    lock(&self.relays).insert(point.to_owned(), Arc::new(relay));
                }
            }
            _ => {}
        }
    }

    /// The session is over.
    pub(super) fn end(&self, session: SessionKey, point: &str, reason: HResult) {
        let mut relays = lock(&self.relays);
        if relays
            .get(point)
            .is_some_and(|relay| relay.session() == session)
            && let Some(relay) = relays.remove(point)
        {
            relay.end(reason);
        }
    }

    /// A packet was sent, or skipped.
    pub(super) fn sent(&self, viewer: u64, skipped: bool) {
        if let Some(viewer) = lock(&self.viewers).present.get_mut(&viewer) {
            let counter = if skipped {
                &mut viewer.skipped
            } else {
                &mut viewer.packets
            };
            *counter += 1;
        }
    }

    /// Adds a viewer, and returns its id; `None` if there are `most` already.
    pub(super) fn join(&self, most: usize, viewer: impl FnOnce(u64) -> Viewer) -> Option<u64> {
        let mut viewers = lock(&self.viewers);
        if viewers.present.len() >= most {
            return None;
        }
        viewers.last_id += 1;
        let id = viewers.last_id;
        viewers.present.insert(id, viewer(id));
        Some(id)
    }

    /// Removes a viewer.
    pub(super) fn leave(&self, viewer: u64) -> Option<Viewer> {
        lock(&self.viewers).present.remove(&viewer)
    }
}
