// SPDX-License-Identifier: MPL-2.0

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

/// A queue of bytes: pieces of any size go in, pieces of other sizes come out
///
/// A piece inside one input chunk is a slice of it. A piece that spans chunks is copied once, as its bytes are pushed.
#[derive(Default)]
pub(super) struct ByteQueue {
    /// The start of a piece that [`ByteQueue::take`] is assembling; older than all of `chunks`
    begun: BytesMut,
    /// Never contains an empty chunk
    chunks: VecDeque<Bytes>,
}

/// Bytes to reserve for a piece before they have been pushed, at most
const MAX_RESERVED: usize = super::MAX_PACKET_SIZE;

/// Size in bytes of the blocks that assembled pieces share
const BLOCK: usize = 16 * 1024;

impl ByteQueue {
    pub fn push(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.chunks.push_back(data);
        }
    }

    /// Copies up to `N` of the next bytes into `into` without removing them. Returns the copied bytes.
    pub fn peek<'a, const N: usize>(&self, into: &'a mut [u8; N]) -> &'a [u8] {
        let front = self.chunks.front().filter(|_| self.begun.is_empty());
        // Fast path: nearly always one chunk has all of them.
        if let Some(bytes) = front.and_then(|chunk| chunk.first_chunk()) {
            *into = *bytes;
            return into;
        }
        let mut len = 0usize;
        let next = self.begun.iter().chain(self.chunks.iter().flatten());
        for (place, &byte) in into.iter_mut().zip(next) {
            *place = byte;
            len = len.saturating_add(1);
        }
        into.get(..len).unwrap_or_default()
    }

    /// Removes and returns the next `len` bytes, once all of them are there. After `None`, the next call has to ask for
    /// the same `len`.
    pub fn take(&mut self, len: usize) -> Option<Bytes> {
        if self.begun.is_empty()
            && let Some(front) = self.chunks.front_mut()
        {
            match front.len().cmp(&len) {
                Ordering::Equal => return self.chunks.pop_front(),
                Ordering::Greater => return Some(front.split_to(len)),
                Ordering::Less => {}
            }
        }
        while let Some(missing) = len
            .checked_sub(self.begun.len())
            .filter(|&missing| missing > 0)
        {
            let front = self.chunks.front_mut()?;
            if self.begun.is_empty() && self.begun.capacity() < len {
                self.begun.reserve(len.clamp(BLOCK, MAX_RESERVED));
            }
            let part = missing.min(front.len());
            self.begun.extend_from_slice(front.get(..part)?);
            front.advance(part);
            self.drop_empty_front();
        }
        let piece = self.begun.split().freeze();
        if len > BLOCK {
            // The rest of the block is useless, and would keep it allocated.
            self.begun = BytesMut::new();
        }
        Some(piece)
    }

    /// Puts back bytes that [`ByteQueue::take`] has just returned.
    pub fn put_back(&mut self, bytes: Bytes) {
        debug_assert!(self.begun.is_empty(), "no piece was begun since");
        self.chunks.push_front(bytes);
    }

    /// Drops up to `len` bytes. Returns the number of bytes dropped.
    pub fn skip(&mut self, len: u64) -> u64 {
        let mut left = len;
        let wanted =
            |left: u64, there: usize| usize::try_from(left).unwrap_or(usize::MAX).min(there);
        let begun = wanted(left, self.begun.len());
        self.begun.advance(begun);
        left = left.saturating_sub(begun as u64);
        while left > 0
            && let Some(front) = self.chunks.front_mut()
        {
            let part = wanted(left, front.len());
            front.advance(part);
            left = left.saturating_sub(part as u64);
            self.drop_empty_front();
        }
        len.saturating_sub(left)
    }

    /// Drops everything. Returns the number of bytes dropped.
    pub fn clear(&mut self) -> u64 {
        let len = self.len();
        *self = ByteQueue::default();
        len
    }

    pub fn len(&self) -> u64 {
        let chunks = self.chunks.iter().map(|chunk| chunk.len() as u64);
        chunks.fold(self.begun.len() as u64, u64::saturating_add)
    }

    fn drop_empty_front(&mut self) {
        if self.chunks.front().is_some_and(Bytes::is_empty) {
            self.chunks.pop_front();
        }
    }
}

impl fmt::Debug for ByteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByteQueue({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(chunks: &[&'static [u8]]) -> ByteQueue {
        let mut queue = ByteQueue::default();
        chunks
            .iter()
            .for_each(|chunk| queue.push(Bytes::from_static(chunk)));
        queue
    }

    #[test]
    fn a_piece_inside_a_chunk_is_a_slice_of_it() {
        let chunk = Bytes::from_static(b"abcdef");
        let mut queue = ByteQueue::default();
        queue.push(chunk.clone());
        assert_eq!(queue.take(2).unwrap().as_ptr(), chunk.as_ptr());
        assert_eq!(queue.take(4).unwrap().as_ptr(), chunk.slice(2..).as_ptr());
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_piece_that_was_put_back_is_returned_again() {
        let mut queue = queue(&[b"ab", b"cd"]);
        let piece = queue.take(3).unwrap();
        queue.put_back(piece);
        assert_eq!(queue.len(), 4);
        assert_eq!(queue.take(4).unwrap(), "abcd");
    }

    #[test]
    fn a_piece_that_spans_chunks_is_assembled() {
        let mut queue = queue(&[b"ab", b"", b"c"]);
        assert_eq!(queue.take(5), None);
        queue.push(Bytes::from_static(b"defg"));
        assert_eq!(queue.take(5).unwrap(), "abcde");
        assert_eq!(queue.take(2).unwrap(), "fg");
    }

    /// An allocation per piece costs more than its copy.
    #[test]
    fn assembled_pieces_share_a_block() {
        const LEN: usize = 1400;
        let chunk = Bytes::from((0..LEN + 1).map(|at| at as u8).collect::<Vec<_>>());
        let mut queue = ByteQueue::default();
        let mut pieces = Vec::new();
        for _ in 0..2 * BLOCK / LEN {
            queue.push(chunk.clone());
            pieces.extend(queue.take(LEN));
        }
        let copied = |piece: &&Bytes| !chunk.as_ptr_range().contains(&piece.as_ptr());
        let addresses: Vec<_> = pieces
            .iter()
            .filter(copied)
            .map(|piece| piece.as_ptr().addr())
            .collect();
        let neighbours = addresses.windows(2).filter(|two| two[0] + LEN == two[1]);
        assert_eq!(neighbours.count(), addresses.len() - 2, "two blocks");
        let all = chunk.repeat(pieces.len());
        assert!(all.starts_with(&pieces.concat()));
    }

    #[test]
    fn a_large_piece_keeps_no_block() {
        let chunk = Bytes::from(vec![1; BLOCK]);
        let mut queue = ByteQueue::default();
        queue.push(chunk.clone());
        queue.push(chunk);
        assert_eq!(queue.take(BLOCK + 1).unwrap().len(), BLOCK + 1);
        assert_eq!(queue.begun.capacity(), 0);
    }

    #[test]
    fn peeking_across_chunks_removes_nothing() {
        for chunks in [&[&b"abcd"[..]][..], &[b"abc"], &[b"a", b"b", b"cd"]] {
            let mut queue = queue(chunks);
            assert_eq!(queue.peek(&mut [0; 3]), b"abc");
            assert_eq!(queue.take(3).unwrap(), "abc");
            assert_eq!(queue.peek(&mut [0; 3]), &b"d"[..queue.len() as usize]);
        }
    }

    #[test]
    fn a_begun_piece_can_be_peeked_and_skipped() {
        let mut queue = queue(&[b"ab", b"c"]);
        assert_eq!(queue.take(5), None);
        queue.push(Bytes::from_static(b"de"));
        assert_eq!(queue.peek(&mut [0; 4]), b"abcd");
        assert_eq!(queue.len(), 5);
        assert_eq!(queue.skip(4), 4);
        assert_eq!(queue.skip(4), 1);
        assert_eq!(queue.clear(), 0);
    }

    #[test]
    fn many_small_chunks_are_merged() {
        let mut queue = ByteQueue::default();
        for _ in 0..1000 {
            queue.push(Bytes::from_static(b"x"));
            assert_eq!(queue.take(1001), None);
            assert!(queue.chunks.is_empty());
        }
    }
}
