// SPDX-License-Identifier: MPL-2.0

//! The bytes of buffers, copied or mapped for as long as the peer may not have acknowledged them.
//!
//! GStreamer counts the maps of a memory in eight bits, and all sinks behind a tee receive the same memory. All sinks
//! of the process therefore share one map of it.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use gst::MappedBuffer;
use gst::buffer::Readable;

use super::bindings::is_pooled;

/// The maps in use, by the address of the mapped bytes.
type Maps = HashMap<usize, Weak<SharedMap>, BuildHasherDefault<DefaultHasher>>;

/// Sharded, so that streaming threads rarely contend.
static MAPS: [Mutex<Maps>; 16] =
    [const { Mutex::new(Maps::with_hasher(BuildHasherDefault::new())) }; 16];

/// Size in bytes below which a buffer is copied, because keeping a buffer and its map takes about as much memory.
const SMALLEST_KEPT: usize = 512;

/// Size in bytes of the blocks that small copies share.
const BLOCK: usize = 16 * 1024;

/// The type of memory that GStreamer allocates on the heap.
const SYSTEM_MEMORY: &glib::GStr = glib::gstr!("SystemMemory");

/// Takes the bytes of buffers for as long as the peer may not have acknowledged them.
///
/// Copies buffers of upstream's own memory, because a pool or a shared memory that runs empty stops upstream. Copies
/// small buffers, because mapping them costs more memory than their bytes. Maps all others.
#[derive(Default)]
pub(super) struct Intake {
    /// The block for further copies. Earlier copies share it.
    block: BytesMut,
}

impl Intake {
    /// Returns the bytes of a buffer; `None` if it cannot be mapped.
    pub(super) fn take(&mut self, buffer: &gst::Buffer) -> Option<Bytes> {
        if buffer.size() < SMALLEST_KEPT || is_upstream_s(buffer) {
            self.copy(buffer)
        } else {
            keep(buffer)
        }
    }

    fn copy(&mut self, buffer: &gst::BufferRef) -> Option<Bytes> {
        let len = buffer.size();
        let mut own = BytesMut::new();
        let into = if len > BLOCK / 4 {
            // A large buffer would leave little room in a block.
            own.reserve(len);
            &mut own
        } else {
            if self.block.capacity() < len {
                self.block.reserve(BLOCK);
            }
            &mut self.block
        };
        for memory in buffer.iter_memories() {
            let Ok(map) = memory.map_readable() else {
                into.clear();
                return None;
            };
            into.extend_from_slice(&map);
        }
        Some(into.split().freeze())
    }
}

/// Returns whether upstream may be waiting for the memory of a buffer.
fn is_upstream_s(buffer: &gst::BufferRef) -> bool {
    let is_plain = |memory: &gst::MemoryRef| {
        let whole = whole(memory);
        // Memory that was wrapped as read-only, such as the shared memory of shmsrc.
        let is_wrapped = whole.flags().contains(gst::MemoryFlags::READONLY);
        whole.is_type(SYSTEM_MEMORY) && !is_wrapped
    };
    is_pooled(buffer) || !buffer.iter_memories().all(is_plain)
}

/// Returns the memory of which `memory` is a part. Parts are always read-only.
fn whole(memory: &gst::MemoryRef) -> &gst::MemoryRef {
    memory.parent().map_or(memory, whole)
}

/// Maps a buffer for as long as its bytes are referenced.
fn keep(buffer: &gst::Buffer) -> Option<Bytes> {
    // Memory that another buffer shares is not writable, nor is that of a buffer with several references.
    if buffer.is_all_memory_writable() {
        return map(buffer).map(Bytes::from_owner);
    }
    SharedMap::of(buffer).map(|map| Bytes::from_owner(Mapped(map)))
}

fn map(buffer: &gst::Buffer) -> Option<MappedBuffer<Readable>> {
    buffer.clone().into_mapped_buffer_readable().ok()
}

/// A reference to a shared map.
struct Mapped(Arc<SharedMap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0.map
    }
}

/// A map that all users of these bytes share.
struct SharedMap {
    address: usize,
    map: MappedBuffer<Readable>,
}

impl SharedMap {
    fn of(buffer: &gst::Buffer) -> Option<Arc<Self>> {
        let address = address(buffer);
        let mut maps = maps(address);
        if let Some(shared) = maps.get(&address).and_then(Weak::upgrade) {
            return Some(shared);
        }
        let map = map(buffer)?;
        let shared = Arc::new(Self { address, map });
        maps.insert(address, Arc::downgrade(&shared));
        Some(shared)
    }
}

impl Drop for SharedMap {
    fn drop(&mut self) {
        let mut maps = maps(self.address);
        let is_gone = |map: &Weak<Self>| map.strong_count() == 0;
        // Another map may have replaced this one: a map that is being dropped is not found.
        if maps.get(&self.address).is_some_and(is_gone) {
            maps.remove(&self.address);
        }
    }
}

/// Returns the address of the mapped bytes of a buffer. It is valid as long as the map exists.
///
/// Buffers with a single memory map it in place, so copies of a buffer with other timestamps have the same address.
/// Several memories are merged by mapping, separately for each buffer.
fn address(buffer: &gst::BufferRef) -> usize {
    match buffer.n_memory() {
        1 => buffer.peek_memory(0).as_ptr().addr(),
        _ => buffer.as_ptr().addr(),
    }
}

fn maps(address: usize) -> MutexGuard<'static, Maps> {
    // Allocations are mostly at least 64 bytes apart.
    let maps = &MAPS[address / 64 % MAPS.len()];
    maps.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use gst::prelude::*;

    use super::super::bindings::wrapped_to_be_read;
    use super::*;

    /// More maps of a memory than GStreamer can count.
    const MANY: usize = 300;

    fn buffer(pieces: &[&[u8]]) -> gst::Buffer {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        for piece in pieces {
            let memory = gst::Memory::from_mut_slice(piece.to_vec());
            buffer.make_mut().append_memory(memory);
        }
        buffer
    }

    fn is_known(buffer: &gst::Buffer) -> bool {
        let address = address(buffer);
        maps(address).contains_key(&address)
    }

    /// Asserts that no map is left, here and in GStreamer.
    fn assert_free(buffer: &mut gst::Buffer) {
        assert!(!is_known(buffer));
        let map = buffer.get_mut().unwrap().map_writable();
        assert!(map.is_ok());
    }

    /// A buffer of the memory that GStreamer allocates
    fn system(size: usize) -> gst::Buffer {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::with_size(size).unwrap();
        let bytes: Vec<_> = (0..size).map(|at| at as u8).collect();
        buffer.make_mut().copy_from_slice(0, &bytes).unwrap();
        buffer
    }

    fn pool(size: u32) -> gst::BufferPool {
        gst::init().unwrap();
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        config.set_params(None, size, 1, 1);
        pool.set_config(config).unwrap();
        pool.set_active(true).unwrap();
        pool
    }

    /// The only buffer of a pool
    fn acquire(pool: &gst::BufferPool) -> gst::Buffer {
        let at_once =
            gst::BufferPoolAcquireParams::with_flags(gst::BufferPoolAcquireFlags::DONTWAIT);
        pool.acquire_buffer(Some(&at_once)).unwrap()
    }

    /// Takes the bytes of a buffer; returns whether they lie in it.
    fn is_kept(buffer: &gst::Buffer) -> bool {
        let bytes = Intake::default().take(buffer).unwrap();
        let map = buffer.map_readable().unwrap();
        assert_eq!(bytes, map.as_slice());
        bytes.as_ptr() == map.as_ptr()
    }

    #[test]
    fn plain_memory_is_kept() {
        assert!(is_kept(&system(SMALLEST_KEPT)));
        assert!(is_kept(&system(100_000)));
        let ours = system(2000);
        assert!(is_kept(&ours.copy()), "another buffer of the same memory");
        let part = ours.copy_region(gst::BufferCopyFlags::MEMORY, 1000..);
        assert!(is_kept(&part.unwrap()), "a part of it, which is read-only");
    }

    #[test]
    fn memory_of_upstream_is_copied() {
        static SHARED: [u8; 5000] = [7; 5000];
        let shared = wrapped_to_be_read(&SHARED);
        assert!(!is_kept(&shared));
        assert!(!is_kept(
            &shared
                .copy_region(gst::BufferCopyFlags::MEMORY, ..1000)
                .unwrap()
        ));
        assert!(!is_kept(&buffer(&[&SHARED])), "of another allocator");
        let mut mixed = system(1000);
        let memory = shared.memory(0).unwrap();
        mixed.make_mut().append_memory(memory);
        assert!(!is_kept(&mixed));
    }

    #[test]
    fn a_buffer_of_a_pool_is_returned_at_once() {
        for size in [100, 1400, 100_000] {
            let pool = pool(size);
            let mut intake = Intake::default();
            let mut taken = Vec::new();
            for _ in 0..20 {
                let buffer = acquire(&pool);
                taken.push(intake.take(&buffer).unwrap());
                // Elements make such buffers, some with a reference to the first.
                let mut copy = buffer.copy();
                taken.push(intake.take(&copy).unwrap());
                let memory = gst::Memory::with_size(size as usize);
                copy.make_mut().replace_all_memory(memory);
                gst::ParentBufferMeta::add(copy.make_mut(), &buffer);
                taken.push(intake.take(&copy).unwrap());
            }
            assert!(taken.iter().all(|bytes| bytes.len() == size as usize));
            drop(taken);
            pool.set_active(false).unwrap();
        }
    }

    #[test]
    fn small_buffers_share_a_block() {
        const LEN: usize = 100;
        let ours = system(LEN);
        let mut intake = Intake::default();
        let copies = (0..2 * BLOCK / LEN).map(|_| intake.take(&ours).unwrap());
        let copies: Vec<_> = copies.collect();
        let map = ours.map_readable().unwrap();
        assert!(copies.iter().all(|copy| copy == map.as_slice()));
        let ends = copies.iter().map(|copy| copy.as_ptr_range().end);
        let neighbours = copies[1..]
            .iter()
            .zip(ends)
            .filter(|(copy, end)| copy.as_ptr() == *end);
        assert_eq!(neighbours.count(), copies.len() - 3, "three blocks");
    }

    #[test]
    fn the_pieces_of_a_small_buffer_are_put_together() {
        let mut intake = Intake::default();
        assert_eq!(intake.take(&buffer(&[b"ab", b"c"])).unwrap(), "abc");
        assert_eq!(intake.take(&buffer(&[])).unwrap(), "");
    }

    #[test]
    fn many_users_share_one_map() {
        for pieces in [&[&b"abc"[..]][..], &[b"ab", b"c"]] {
            let mut ours = buffer(pieces);
            let theirs = ours.clone();
            let all: Vec<_> = (0..MANY).map(|_| keep(&theirs).unwrap()).collect();
            assert!(is_known(&ours));
            for bytes in &all {
                assert_eq!((&bytes[..], bytes.as_ptr()), (&b"abc"[..], all[0].as_ptr()));
            }
            drop((theirs, all));
            assert_free(&mut ours);
        }
    }

    /// Elements that change timestamps make such copies.
    #[test]
    fn many_buffers_of_one_memory_have_one_map() {
        let mut ours = buffer(&[b"abc"]);
        let copies: Vec<_> = (0..MANY).map(|_| ours.copy()).collect();
        let all: Vec<_> = copies.iter().map(|copy| keep(copy).unwrap()).collect();
        drop(copies);
        assert!(all.iter().all(|bytes| bytes.as_ptr() == all[0].as_ptr()));
        assert!(!ours.is_all_memory_writable(), "it is mapped");
        drop(all);
        assert_free(&mut ours);
    }

    /// The memory of the parts is one, and what is mapped is each part.
    #[test]
    fn parts_of_a_memory_are_different_bytes() {
        let mut ours = buffer(&[b"abcdef"]);
        let part = |at| ours.copy_region(gst::BufferCopyFlags::MEMORY, at..at + 2);
        let all: Vec<_> = (0..MANY)
            .map(|number| keep(&part(number % 4).unwrap()).unwrap())
            .collect();
        for (number, bytes) in all.iter().enumerate() {
            assert_eq!(bytes, &b"abcdef"[number % 4..number % 4 + 2]);
        }
        drop(all);
        assert_free(&mut ours);
    }

    #[test]
    fn an_unshared_buffer_is_not_looked_up() {
        let mut ours = buffer(&[b"abc"]);
        let mapped = keep(&ours).unwrap();
        assert_eq!(mapped, "abc");
        assert!(!is_known(&ours) && !ours.is_writable());
        drop(mapped);
        assert_free(&mut ours);
        assert_eq!(keep(&buffer(&[])).unwrap(), "");
    }

    #[test]
    fn a_buffer_can_be_mapped_while_its_map_is_dropped() {
        let mut ours = buffer(&[b"abc"]);
        let theirs = ours.clone();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..100_000 {
                        assert_eq!(keep(&theirs).unwrap(), "abc");
                    }
                });
            }
        });
        drop(theirs);
        assert_free(&mut ours);
    }
}
