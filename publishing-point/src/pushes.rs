// SPDX-License-Identifier: MPL-2.0

use std::collections::BTreeMap;

use bytes::Bytes;

use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{Received, SessionKey};

/// Most pushes that are remembered after their end.
const MAX_PUSHES: usize = 256;

/// What one session has pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The session.
    pub session: SessionKey,
    /// Its publishing point.
    pub point: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// PushStarts that were granted.
    pub push_starts: u64,
    /// Data packets that came.
    pub data_packets: u64,
    /// Their bytes, as sent.
    pub data_bytes: u64,
    /// Bytes of filler that came.
    pub filler_bytes: u64,
    /// The Reason of the last `$E`.
    pub end: Option<HResult>,
    /// Whether a PushStart is in progress.
    pub receiving: bool,
    /// Whether the session is no more.
    pub over: bool,
    /// Every packet in order; empty unless [`Settings::keep`](super::Settings::keep).
    pub received: Vec<Received>,
}

impl Push {
    pub(super) fn new(session: SessionKey) -> Self {
        Self {
            session,
            point: String::new(),
            user_agent: String::new(),
            push_starts: 0,
            data_packets: 0,
            data_bytes: 0,
            filler_bytes: 0,
            end: None,
            receiving: false,
            over: false,
            received: Vec::new(),
        }
    }

    /// The counters without the packets.
    pub(super) fn outline(&self) -> Self {
        Self {
            point: self.point.clone(),
            user_agent: self.user_agent.clone(),
            received: Vec::new(),
            ..*self
        }
    }

    pub(super) fn note(&mut self, received: &Received, keep: bool) {
        match received {
            Received::Data(packet) => {
                self.data_packets += 1;
                self.data_bytes += packet.len() as u64;
            }
            Received::EndOfStream(reason) => self.end = Some(*reason),
            Received::Filler(bytes) => self.filler_bytes += *bytes as u64,
            Received::Header(_) | Received::StreamChange(_) => {}
        }
        if keep {
            self.received.push(received.clone());
        }
    }

    /// The ASF file headers among [`Self::received`].
    pub fn headers(&self) -> impl Iterator<Item = &Bytes> {
        self.received.iter().filter_map(|received| match received {
            Received::Header(header) | Received::StreamChange(header) => Some(header),
            _ => None,
        })
    }

    /// The ASF data packets among [`Self::received`].
    pub fn data(&self) -> impl Iterator<Item = &Bytes> {
        self.received.iter().filter_map(|received| match received {
            Received::Data(packet) => Some(packet),
            _ => None,
        })
    }
}

/// All pushes that are remembered.
#[derive(Default)]
pub(super) struct Pushes(BTreeMap<SessionKey, Push>);

impl Pushes {
    pub(super) fn all(&self) -> impl Iterator<Item = &Push> {
        self.0.values()
    }

    /// Those whose session is not over.
    pub(super) fn present(&self) -> impl Iterator<Item = &Push> {
        self.0.values().filter(|push| !push.over)
    }

    pub(super) fn entry(&mut self, key: SessionKey) -> &mut Push {
        if self.0.len() >= MAX_PUSHES && !self.0.contains_key(&key) {
            let oldest = self.0.values().find(|push| push.over);
            if let Some(key) = oldest.map(|push| push.session) {
                self.0.remove(&key);
            }
        }
        self.0.entry(key).or_insert_with(|| Push::new(key))
    }
}
