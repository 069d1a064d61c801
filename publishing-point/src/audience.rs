// SPDX-License-Identifier: MPL-2.0

//! The viewers, and the streams that they watch.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::lock::lock;
use super::relay::Relay;
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{Received, SessionKey};
use wmspush_proto::wmsp::Players;

/// A client that watches a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Identifies the viewer.
    pub id: u64,
    /// The publishing point.
    pub point: String,
    /// The session whose stream it watches.
    pub session: SessionKey,
    /// The User-Agent of the player.
    pub user_agent: String,
    /// True if it uses MS-WMSP. Any other player gets an endless ASF file.
    pub framed: bool,
    /// Time at which it joined.
    pub since: SystemTime,
    /// Data packets sent to it.
    pub packets: u64,
    /// Data packets of the push that were not sent: they contain none of its selected streams, or are too large for their
    /// header or for a packet of MS-WMSP.
    pub skipped: u64,
}

/// The reason why a viewer left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leave {
    /// The push has ended.
    End,
    /// The player closed the connection.
    Gone,
    /// The player read too slowly for too long.
    TooSlow,
    /// The next playlist entry has begun, which an ASF file cannot express.
    Change,
    /// The publishing point was stopped.
    Server,
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "the push has ended",
            Self::Gone => "the player closed the connection",
            Self::TooSlow => "the player was too slow",
            Self::Change => "the next playlist entry has begun",
            Self::Server => "the publishing point was stopped",
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
    /// Returns the stream of a publishing point; `None` if no encoder pushes to it.
    pub(super) fn relay(&self, point: &str) -> Option<Arc<Relay>> {
        lock(&self.relays).get(point).cloned()
    }

    /// Returns all viewers.
    pub(super) fn viewers(&self) -> Vec<Viewer> {
        lock(&self.viewers).present.values().cloned().collect()
    }

    /// Passes a pushed packet on to the viewers.
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

    /// Ends the stream of a session.
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

    /// Counts a packet that was sent to a viewer, or skipped.
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

    /// Adds a viewer and returns its id; `None` if there are `most` already.
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
