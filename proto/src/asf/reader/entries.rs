// SPDX-License-Identifier: MPL-2.0

//! Headers that begin a playlist entry.

use super::timeline::Timeline;
use super::{Expect, Reader};
use crate::asf::file_header::FileHeader;
use crate::asf::item::{Item, SkipReason, Skipped};

/// A header that waits for its first packet
#[derive(Debug)]
pub(super) struct Pending {
    pub header: FileHeader,
    /// True if it came from caps, which outlive a flush
    pub from_caps: bool,
    /// As [`Reader::beside`]
    pub beside: bool,
}

impl Reader {
    /// Takes a complete header.
    pub(super) fn adopt(&mut self, header: FileHeader, from_caps: bool) {
        self.expect = Expect::packets_of(&header);
        if let Some(pending) = self.pending.as_mut().filter(|old| old.header == header) {
            pending.beside &= from_caps;
            return;
        }
        self.drop_pending();
        if self.current.is_none() {
            self.beside = from_caps;
            self.current = Some(header.clone());
            self.output.push_back(Item::Header(header));
        } else if self.current.as_ref() == Some(&header) {
            self.beside &= from_caps;
            self.repeated = true;
        } else {
            self.pending = Some(Pending {
                header,
                from_caps,
                beside: from_caps,
            });
        }
    }

    /// Yields the header of a packet with this Send Time, if the header is new.
    #[inline]
    pub(super) fn start_entry(&mut self, send_time: Option<u32>) {
        if self.pending.is_some() || self.repeated {
            self.start_new_entry(send_time);
        }
        if let Some(send_time) = send_time {
            self.timeline.add(send_time);
        }
    }

    #[cold]
    fn start_new_entry(&mut self, send_time: Option<u32>) {
        let next = match self.pending.take() {
            Some(Pending { header, beside, .. }) => {
                self.beside = beside;
                Some(header)
            }
            None => self.repeated_header(send_time),
        };
        if let Some(header) = next {
            self.repeated = false;
            self.exceeded = false;
            self.timeline = Timeline::default();
            self.current = Some(header.clone());
            self.output.push_back(Item::Header(header));
        }
    }

    /// Returns the repeated current header, if Send Times restart after it. A packet without a Send Time decides
    /// nothing.
    fn repeated_header(&mut self, send_time: Option<u32>) -> Option<FileHeader> {
        let send_time = send_time?;
        self.repeated = false;
        let restarted = self.timeline.is_restarted_by(send_time);
        self.current.clone().filter(|_| restarted)
    }

    /// Drops the pending header, because no packet follows it.
    pub(super) fn drop_pending(&mut self) {
        if let Some(Pending { header, .. }) = self.pending.take() {
            let bytes = header.as_bytes().len() as u64;
            self.output.push_back(Item::Skipped(Skipped {
                bytes,
                reason: SkipReason::RewrittenHeader,
            }));
        }
    }
}
