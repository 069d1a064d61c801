// SPDX-License-Identifier: MPL-2.0

//! The state of a queue behind its lock: its contents, its level against the limits, and dropping.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Content;
use crate::asf::KeyFrameGate;
use crate::push::handover::Handovers;
use crate::push::settings::NO_LIMIT;
use crate::push::{Leaky, Limits};

/// Longest wait of a writer, per call, while the queue is more than [three quarters](Inner::is_crowded) full.
/// Back-pressure slows the writer down before it blocks it.
pub(super) const EASING: Duration = Duration::from_millis(150);

#[derive(Default)]
pub(super) struct Inner {
    pub(super) contents: VecDeque<Content>,
    pub(super) handovers: Handovers,
    /// Bytes of the stream in `contents`.
    pub(super) bytes: usize,
    /// Their [cost](Content::cost).
    pub(super) cost: usize,
    /// Cost of the content that the driver has taken and not released.
    pub(super) outstanding: usize,
    /// Number of times that content was taken or released.
    pub(super) taken: u64,
    /// Data packets in `contents`.
    pub(super) packets: usize,
    /// The gate of the playlist entry of the oldest data packet.
    pub(super) oldest: KeyFrameGate,
    /// The gate of the playlist entry of the newest data packet: closed while packets in front of a key frame are
    /// dropped.
    pub(super) newest: KeyFrameGate,
    /// Upstream is live.
    pub(super) live: bool,
    /// Acknowledged buffers, to be freed on the writer's thread.
    pub(super) returned: Vec<Bytes>,
    /// The condition for waking a blocked writer. A wake-up is a system call, so the writer is not woken for less.
    pub(super) wanted: Option<Wanted>,
    /// Bytes of content for which the driver waits.
    pub(super) awaited: Option<usize>,
    /// The end of the stream is in `contents`, or was.
    pub(super) ended: bool,
}

/// The condition for waking a blocked writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Some space was freed.
    Space,
    /// The queue is at most half full. For less, a writer would be woken for each packet.
    Half,
}

/// The deadlines of one call of [`Queue::push`].
#[derive(Default)]
pub(super) struct Deadlines {
    /// The deadline for a crowded queue; `eased` once it has passed.
    pub(super) easing: Option<Instant>,
    pub(super) eased: bool,
    /// The deadline for a full queue, and the count of `taken` for which it holds: it is renewed when content is taken,
    /// not when a packet is dropped.
    pub(super) full: Option<(Instant, u64)>,
}

impl Inner {
    /// Returns whether there is content to take: at least `least` bytes if more may follow.
    pub(super) fn has(&self, least: usize) -> bool {
        let comes = self.wanted.is_none() && !self.ended;
        !self.contents.is_empty() && (self.bytes >= least || !comes)
    }

    fn leaky(&self, limits: &Limits) -> Leaky {
        match limits.leaky {
            Leaky::Auto if self.live => Leaky::Downstream,
            Leaky::Auto => Leaky::No,
            leaky => leaky,
        }
    }

    /// Returns the condition that a writer of `content` waits for, and its longest wait; `None` if it does not wait, or
    /// no longer.
    pub(super) fn wait_for(
        &self,
        content: &Content,
        limits: &Limits,
        deadlines: &mut Deadlines,
        timeout: Duration,
    ) -> Option<(Wanted, Duration)> {
        if self.leaky(limits) != Leaky::No || !content.is_packet() {
            return None;
        }
        let (wanted, deadline) = if !self.fits(content, limits) {
            let known = deadlines.full.filter(|(_, taken)| *taken == self.taken);
            let (deadline, _) = *deadlines.full.insert(
                known.unwrap_or_else(|| (Instant::now() + timeout.min(NO_LIMIT), self.taken)),
            );
            (Wanted::Space, deadline)
        } else if !deadlines.eased && self.is_crowded(limits, deadlines) {
            let deadline = deadlines
                .easing
                .get_or_insert_with(|| Instant::now() + EASING.min(timeout));
            (Wanted::Half, *deadline)
        } else {
            return None;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            deadlines.eased |= wanted == Wanted::Half;
            return None;
        }
        Some((wanted, left))
    }

    /// Returns whether the queue is at most half full with `content`, so that no wait is needed.
    pub(super) fn is_roomy(&self, content: &Content, limits: &Limits) -> bool {
        let Content::DataUnit(packet) = content else {
            return true;
        };
        let bytes = limits.bytes == 0 || self.held() + content.cost() <= limits.bytes / 2;
        bytes && (limits.time.is_zero() || self.time(packet.send_time()) <= limits.time / 2)
    }

    /// Returns whether the queue is more than three quarters full, or, for a writer that waits already, more than half.
    pub(super) fn is_crowded(&self, limits: &Limits, deadlines: &Deadlines) -> bool {
        match deadlines.easing {
            None => self.is_over(limits, 3),
            Some(_) => self.is_over(limits, 2),
        }
    }

    /// Returns whether the queue holds more than `quarters` quarters of its limits.
    pub(super) fn is_over(&self, limits: &Limits, quarters: u32) -> bool {
        let bytes = limits.bytes / 4 * quarters as usize;
        let time = limits.time / 4 * quarters;
        (limits.bytes > 0 && self.held() > bytes)
            || (!limits.time.is_zero() && self.time(None) > time)
    }

    /// Returns whether most of the held memory is of content that was sent and is not acknowledged.
    pub(super) fn is_mostly_outstanding(&self) -> bool {
        self.outstanding >= self.cost
    }

    /// Returns the cost of everything that the push holds.
    pub(super) fn held(&self) -> usize {
        self.cost + self.outstanding
    }

    /// Returns whether `content` can be added within `limits`. Only data packets can be too much.
    pub(super) fn fits(&self, content: &Content, limits: &Limits) -> bool {
        let Content::DataUnit(packet) = content else {
            return true;
        };
        let bytes = limits.bytes == 0 || self.held() + content.cost() <= limits.bytes;
        let time = limits.time.is_zero() || self.time(packet.send_time()) <= limits.time;
        self.held() == 0 || (bytes && (time || self.packets == 0))
    }

    /// Returns the time from the oldest Send Time to `newest`, or to the newest in the queue; zero if Send Times go
    /// back.
    pub(super) fn time(&self, newest: Option<u32>) -> Duration {
        let send_time = |content: &Content| match content {
            Content::DataUnit(packet) => packet.send_time(),
            _ => None,
        };
        let first = self.contents.iter().find_map(send_time);
        let last = newest.or_else(|| self.contents.iter().rev().find_map(send_time));
        let span = first
            .zip(last)
            .map_or(0, |(first, last)| last.wrapping_sub(first).cast_signed());
        Duration::from_millis(u64::try_from(span).unwrap_or(0))
    }

    /// Appends `content` unless it precedes the key frame at which decoding can continue. Returns the number of dropped
    /// data packets.
    pub(super) fn append_useful(&mut self, content: Content) -> u64 {
        if let Content::DataUnit(packet) = &content
            && !self.newest.admit(packet)
        {
            return 1;
        }
        self.append(content);
        0
    }

    /// Appends `content` within `limits`: makes room by their policy, or drops it. Returns the number of dropped data
    /// packets.
    pub(super) fn append_within(&mut self, limits: &Limits, content: Content) -> u64 {
        if self.fits(&content, limits) {
            return self.append_useful(content);
        }
        let dropped = self.make_room(&content, limits);
        if self.fits(&content, limits) {
            return dropped + self.append_useful(content);
        }
        self.newest.close();
        dropped + 1
    }

    pub(super) fn append(&mut self, content: Content) {
        if let Content::Header(header) = &content {
            self.newest = KeyFrameGate::of(header);
        }
        self.count(&content);
        self.handovers.append();
        self.contents.push_back(content);
    }

    pub(super) fn prepend(&mut self, content: Content) {
        self.count(&content);
        self.contents.push_front(content);
    }

    fn count(&mut self, content: &Content) {
        self.bytes += content.bytes();
        self.cost += content.cost();
        self.packets += usize::from(content.is_packet());
    }

    pub(super) fn move_oldest(&mut self, most: usize, taken: &mut VecDeque<Content>) -> usize {
        self.handovers.forget_taken(self.contents.len());
        if taken.is_empty() && self.bytes <= most {
            // Takes everything without looking at each unit, so that the writer waits less for the lock.
            std::mem::swap(&mut self.contents, taken);
            self.oldest = self.newest;
            self.packets = 0;
            self.outstanding += std::mem::take(&mut self.cost);
            return std::mem::take(&mut self.bytes);
        }
        let mut bytes = 0;
        while bytes < most
            && let Some(content) = self.take_oldest()
        {
            bytes += content.bytes();
            self.outstanding += content.cost();
            taken.push_back(content);
        }
        bytes
    }

    pub(super) fn take_oldest(&mut self) -> Option<Content> {
        let content = self.contents.pop_front()?;
        if let Content::Header(header) = &content {
            self.oldest = KeyFrameGate::of(header);
        }
        self.bytes -= content.bytes();
        self.cost -= content.cost();
        self.packets -= usize::from(content.is_packet());
        Some(content)
    }

    /// Makes room for `content` by the policy of `limits`, and returns the number of dropped data packets.
    pub(super) fn make_room(&mut self, content: &Content, limits: &Limits) -> u64 {
        match self.leaky(limits) {
            Leaky::Upstream => 0,
            Leaky::No | Leaky::Auto | Leaky::Downstream => self.drop_oldest(content, limits),
        }
    }

    /// Drops the oldest data packets until `content` fits and decoding can begin at the oldest that remains, whose
    /// header stays.
    fn drop_oldest(&mut self, content: &Content, limits: &Limits) -> u64 {
        let mut dropped = 0;
        let mut headers = VecDeque::new();
        self.oldest.close();
        self.handovers.forget_taken(self.contents.len());
        while let Some(oldest) = self.contents.front() {
            match oldest {
                Content::DataUnit(packet)
                    if self.fits(content, limits) && self.oldest.admit(packet) =>
                {
                    break;
                }
                Content::DataUnit(_) => {
                    self.take_oldest();
                    dropped += 1;
                }
                Content::Header(_) => {
                    // The header is needed, unless another one follows.
                    headers.clear();
                    headers.extend(self.take_oldest());
                    self.oldest.close();
                }
                Content::EndOfStream(_) => break,
            }
        }
        if self.contents.is_empty() {
            self.newest.close();
        }
        headers.into_iter().for_each(|header| self.prepend(header));
        dropped
    }
}
