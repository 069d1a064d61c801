// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use super::queue::Content;
use crate::asf::FileHeader;

/// How long a server may take to refuse a PushStart for want of authentication, and how much may be on its way by then.
const LONGEST: Duration = Duration::from_secs(5);
const MOST: usize = 4 * 1024 * 1024;

/// What was sent: as far as the peer may lack it, or may still refuse it.
///
/// Positions are bytes of PushStart bodies since the session began, as
/// [`Counters::body_bytes`](crate::wmhttp::Counters::body_bytes) counts them.
#[derive(Default)]
pub(super) struct Ledger {
    /// In order. What has arrived is at the front, and only there while the PushStart may be refused.
    sent: VecDeque<Sent>,
    /// So many of `sent` have arrived.
    arrived: usize,
    /// What goes again, before anything new.
    repeating: VecDeque<Again>,
    /// When the current PushStart was sent, for as long as it may be refused.
    refusable: Option<Instant>,
    /// Where its body begins.
    begins_at: u64,
    /// Bytes of data in `sent`.
    bytes: usize,
    /// What the peer has: the last header, and whether data of that entry.
    peer: Peer,
    /// The same before the current PushStart.
    before: Peer,
}

/// Content that waits, and whether it was sent before.
type Again = (Content, bool);

struct Sent {
    content: Content,
    /// Behind its last byte.
    ends_at: u64,
    /// `$H`, which its PushStart brings by itself.
    opens: bool,
}

/// What has arrived of the current playlist entry.
#[derive(Clone, Debug, Default)]
struct Peer {
    header: Option<FileHeader>,
    data: bool,
}

impl Ledger {
    /// A PushStart was sent, with `$H` if there is a header, which ends at `ends_at`. All before it has arrived.
    pub(super) fn push_start(&mut self, begins_at: u64, header: Option<(FileHeader, u64)>) {
        self.arrive(self.sent.len());
        self.sent.clear();
        self.arrived = 0;
        self.bytes = 0;
        self.begins_at = begins_at;
        self.before = self.peer.clone();
        self.refusable = Some(Instant::now());
        if let Some((header, ends_at)) = header {
            self.sent.push_back(Sent {
                content: Content::Header(header),
                ends_at,
                opens: true,
            });
        }
    }

    /// Keeps content that the session has taken, and that ends at `ends_at`.
    pub(super) fn keep(&mut self, content: Content, ends_at: u64) {
        self.bytes += content.bytes();
        self.sent.push_back(Sent {
            content,
            ends_at,
            opens: false,
        });
        if let Some(since) = self.refusable
            && (self.bytes > MOST || since.elapsed() > LONGEST)
        {
            self.refusable = None;
            self.forget_arrived();
        }
    }

    /// So many bytes of the current body have arrived; `None`: that cannot be known, and nothing is sent twice.
    ///
    /// Returns whether anything has arrived since it was last called.
    pub(super) fn acknowledge(&mut self, body_bytes: Option<u64>) -> bool {
        let position = body_bytes.map_or(u64::MAX, |bytes| self.begins_at.saturating_add(bytes));
        let on_the_way = self.sent.iter().skip(self.arrived);
        let more = on_the_way
            .take_while(|sent| sent.ends_at <= position)
            .count();
        self.arrive(self.arrived + more);
        if self.refusable.is_none() {
            self.forget_arrived();
        }
        more > 0
    }

    /// Where the body of the current PushStart begins.
    pub(super) fn begins_at(&self) -> u64 {
        self.begins_at
    }

    /// Whether something is on its way.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.arrived < self.sent.len()
    }

    /// The PushStart goes again, and brings its `$H` along: so does all else behind it, and then `held`.
    ///
    /// # Errors
    ///
    /// When that is not there any more.
    pub(super) fn repeat(&mut self, held: Option<Again>) -> Result<(), Error> {
        if self.refusable.is_none() {
            let text = "the server refuses a stream that it has taken for long";
            return Err(Error::Lost(text.to_owned()));
        }
        self.peer = self.before.clone();
        self.take_back(held, |sent| !sent.opens);
        Ok(())
    }

    /// The current PushStart was refused: all of it goes again, as far as it is still there, and then `held`.
    pub(super) fn refuse(&mut self, held: Option<Again>) {
        if self.refusable.is_none() {
            return self.lose_connection(held);
        }
        self.peer = self.before.clone();
        self.take_back(held, |_| true);
    }

    /// The connection is lost: what has not arrived goes again, and then `held`.
    pub(super) fn lose_connection(&mut self, held: Option<Again>) {
        self.forget_arrived();
        self.refusable = None;
        self.take_back(held, |_| true);
    }

    /// Puts what was sent in front of `held` and what was to go again anyway.
    fn take_back(&mut self, held: Option<Again>, again: impl Fn(&Sent) -> bool) {
        let sent = std::mem::take(&mut self.sent).into_iter().filter(again);
        let mut repeating: VecDeque<_> = sent.map(|sent| (sent.content, true)).collect();
        repeating.extend(held);
        repeating.append(&mut self.repeating);
        self.repeating = repeating;
        (self.arrived, self.bytes) = (0, 0);
    }

    /// The next content to go again, or for the first time; whether it was sent before.
    pub(super) fn next(&mut self) -> Option<Again> {
        self.repeating.pop_front()
    }

    /// The session is one that was left behind this header.
    pub(super) fn take_up(&mut self, header: Option<FileHeader>) {
        self.peer = Peer { header, data: true };
    }

    /// Whether something waits to go again.
    pub(super) fn waits(&self) -> bool {
        !self.repeating.is_empty()
    }

    /// Whether what goes again begins with a header.
    pub(super) fn begins_with_header(&self) -> bool {
        matches!(self.repeating.front(), Some((Content::Header(_), _)))
    }

    /// The last header that the peer has.
    pub(super) fn header(&self) -> Option<&FileHeader> {
        self.peer.header.as_ref()
    }

    /// Whether the peer has data that a new session would not get again.
    pub(super) fn has_gap(&self) -> bool {
        self.peer.data
    }

    /// The first `count` of what was sent have arrived.
    fn arrive(&mut self, count: usize) {
        for sent in self.sent.range(self.arrived..count) {
            match &sent.content {
                Content::Header(header) => {
                    self.peer = Peer {
                        header: Some(header.clone()),
                        data: false,
                    };
                }
                Content::DataUnit(_) => self.peer.data = true,
                Content::EndOfStream(_) => {}
            }
        }
        self.arrived = count;
    }

    fn forget_arrived(&mut self) {
        for sent in self.sent.drain(..self.arrived) {
            self.bytes = self.bytes.saturating_sub(sent.content.bytes());
        }
        self.arrived = 0;
    }
}
