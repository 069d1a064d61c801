// SPDX-License-Identifier: MPL-2.0

//! Truncated files that are followed by another file, as from `cat` and `multifilesrc`.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

use super::chunks::Framing;
use super::{Expect, Reader, State, Step};
use crate::asf::file_header::{HEADER_HEAD, file_header_size};
use crate::asf::guid::Guid;
use crate::asf::item::{Item, SkipReason, Skipped};
use crate::asf::object::ObjectHead;

static HEADER: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(Guid::HEADER.as_bytes()).into_owned());

/// Bytes that may be the start of a header, but are too few to tell.
const PART: u64 = HEADER_HEAD as u64 - 1;

/// Returns the offset of an ASF file header in `bytes`.
fn header_within(bytes: &[u8]) -> Option<usize> {
    let mut starts = HEADER.find_iter(bytes);
    starts.find(|&at| bytes.get(at..).is_some_and(is_header))
}

/// Returns whether `bytes` start with a plausible ASF 3.1 Header Object: its size and its two reserved bytes.
fn is_header(bytes: &[u8]) -> bool {
    let size = ObjectHead::parse(bytes).map(file_header_size);
    let reserved = bytes.get(HEADER_HEAD.saturating_sub(2)..HEADER_HEAD);
    matches!(size, Some(Ok(_))) && reserved == Some(&[1, 2])
}

impl Reader {
    /// Returns whether `bytes`, expected to be one packet or header, contain the start of another file. If so, skips
    /// the bytes before its header.
    pub(super) fn is_cut(&mut self, bytes: &Bytes, reason: SkipReason) -> bool {
        // `bytes` may themselves begin with a header, so the search starts at the second byte.
        let behind = header_within(bytes.get(1..).unwrap_or_default());
        let Some(at) = behind.and_then(|at| at.checked_add(1)) else {
            return false;
        };
        self.leave_out(at as u64, reason);
        self.queue.put_back(bytes.slice(at..));
        self.begin_file();
        true
    }

    /// Skips the announced bytes, but stops at a header among them.
    pub(super) fn step_skip(&mut self) -> Step {
        let State::Skip { reason, seen, left } = self.state else {
            return Step::Go;
        };
        let (skipped, found) = self.skip_to_header(left);
        let (seen, left) = (seen.saturating_add(skipped), left.saturating_sub(skipped));
        if found {
            self.leave_out(seen, reason);
            self.begin_file();
        } else if left > 0 {
            self.state = State::Skip { reason, seen, left };
            return Step::NeedMore;
        } else {
            self.leave_out(seen, reason);
            self.state = State::Boundary;
        }
        Step::Go
    }

    /// Drops unrecognised input up to the next header.
    pub(super) fn step_discard(&mut self) -> Step {
        let State::Discard { reason, seen } = self.state else {
            return Step::Go;
        };
        if reason == SkipReason::RewrittenHeader {
            let seen = seen.saturating_add(self.queue.clear());
            self.state = State::Discard { reason, seen };
            return Step::NeedMore;
        }
        let (skipped, found) = self.skip_to_header(u64::MAX);
        let seen = seen.saturating_add(skipped);
        self.state = State::Discard { reason, seen };
        if !found {
            return Step::NeedMore;
        }
        self.leave_out(seen, reason);
        self.begin_file();
        Step::Go
    }

    /// Skips up to `left` bytes. Returns the number of bytes skipped, and whether a header is next.
    fn skip_to_header(&mut self, left: u64) -> (u64, bool) {
        let there = self.queue.len().min(left);
        let len = usize::try_from(there).unwrap_or(usize::MAX);
        let Some(bytes) = self.queue.take(len).filter(|bytes| !bytes.is_empty()) else {
            return (0, false);
        };
        if let Some(at) = header_within(&bytes) {
            self.queue.put_back(bytes.slice(at..));
            return (at as u64, true);
        }
        // The last bytes may be the start of a header.
        let part = if there < left { there.min(PART) } else { 0 };
        let skipped = there.saturating_sub(part);
        let at = usize::try_from(skipped).unwrap_or(usize::MAX);
        if part > 0 {
            self.queue.put_back(bytes.slice(at..));
        }
        (skipped, false)
    }

    fn leave_out(&mut self, bytes: u64, reason: SkipReason) {
        if bytes > 0 {
            let skipped = Skipped { bytes, reason };
            self.output.push_back(Item::Skipped(skipped));
        }
    }

    fn begin_file(&mut self) {
        self.state = State::Boundary;
        self.expect = Expect::PacketsOrObjects;
        self.framing = Framing::Unknown;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{items, live, packet, push, skipped, started, unit};
    use super::*;
    use crate::asf::FileHeader;
    use crate::asf::testing::{header, object};

    /// Returns the header of another file.
    fn other() -> FileHeader {
        header(100, 50 + 200, &[])
    }

    /// Reads `start` followed by another file, in pieces of `size` bytes.
    fn items_of(start: &[u8], size: usize) -> Vec<Item> {
        let mut reader = started(&live());
        let whole = [start, other().as_bytes(), &packet(8), &packet(9)].concat();
        for piece in whole.chunks(size) {
            push(&mut reader, &[piece]);
        }
        items(&mut reader)
    }

    #[test]
    fn a_file_after_half_a_packet_is_another_entry() {
        let half = packet(3)[..60].to_vec();
        for size in [1, 7, 100, 10_000] {
            let items = items_of(&[&packet(2)[..], &half].concat(), size);
            let expected = [
                unit(2),
                skipped(60, SkipReason::PartialPacket),
                Item::Header(other()),
                unit(8),
                unit(9),
            ];
            assert_eq!(items, expected, "{size}");
        }
    }

    #[test]
    fn a_file_after_half_an_index_is_another_entry() {
        let index = object(Guid::SIMPLE_INDEX, &[0; 5000]);
        for size in [1, 7, 100, 10_000] {
            let items = items_of(&[&packet(2), &index[..3000]].concat(), size);
            let index = skipped(3000, SkipReason::TopLevelObject(Guid::SIMPLE_INDEX));
            let expected = [unit(2), index, Item::Header(other()), unit(8), unit(9)];
            assert_eq!(items, expected, "{size}");
        }
    }

    #[test]
    fn a_file_after_half_a_header_is_an_entry() {
        let half = live().as_bytes()[..90].to_vec();
        let items = items_of(&half, 10_000);
        let half = skipped(90, SkipReason::PartialHeader);
        assert_eq!(items, [half, Item::Header(other()), unit(8), unit(9)]);
    }

    #[test]
    fn a_packet_that_contains_the_guid_is_whole() {
        let mut bytes = packet(2);
        bytes[30..46].copy_from_slice(Guid::HEADER.as_bytes());
        let mut reader = started(&live());
        push(&mut reader, &[&bytes]);
        let [Item::DataUnit(packet)] = &items(&mut reader)[..] else {
            panic!("no packet");
        };
        assert_eq!(packet.as_bytes()[..], bytes[..]);
    }
}
