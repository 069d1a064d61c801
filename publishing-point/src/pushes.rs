// SPDX-License-Identifier: MPL-2.0

use std::collections::BTreeMap;

use bytes::Bytes;

use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{Received, SessionKey};

/// Pushes to keep after their end, at most.
const MAX_PUSHES: usize = 256;

/// The pushed content and the counters of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The session.
    pub session: SessionKey,
    /// The publishing point.
    pub point: String,
    /// The User-Agent of the encoder.
    pub user_agent: String,
    /// PushStarts accepted.
    pub push_starts: u64,
    /// Data packets received.
    pub data_packets: u64,
    /// Bytes of the data packets, as sent.
    pub data_bytes: u64,
    /// Bytes of filler received.
    pub filler_bytes: u64,
    /// The Reason of the last `$E`.
    pub end: Option<HResult>,
    /// True while a PushStart is in progress.
    pub receiving: bool,
    /// True once the session is deleted.
    pub over: bool,
    /// All packets in order; empty without [`Settings::keep`](super::Settings::keep).
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

    /// Returns the counters without the packets.
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

    /// Iterates over the ASF file headers in [`Self::received`].
    pub fn headers(&self) -> impl Iterator<Item = &Bytes> {
        self.received.iter().filter_map(|received| match received {
            Received::Header(header) | Received::StreamChange(header) => Some(header),
            _ => None,
        })
    }

    /// Iterates over the ASF data packets in [`Self::received`].
    pub fn data(&self) -> impl Iterator<Item = &Bytes> {
        self.received.iter().filter_map(|received| match received {
            Received::Data(packet) => Some(packet),
            _ => None,
        })
    }
}

/// All current pushes, and the latest ones that have ended.
#[derive(Default)]
pub(super) struct Pushes(BTreeMap<SessionKey, Push>);

impl Pushes {
    pub(super) fn all(&self) -> impl Iterator<Item = &Push> {
        self.0.values()
    }

    /// Iterates over the pushes with a session.
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
