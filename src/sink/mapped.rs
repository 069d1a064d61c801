// SPDX-License-Identifier: MPL-2.0

//! The bytes of buffers, not copied, for as long as the peer may lack them.
//!
//! GStreamer counts in eight bits by how many a memory is mapped, and behind a tee all sinks get the same memory. So all
//! sinks of the process have one map of it together.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use gst::MappedBuffer;
use gst::buffer::Readable;

/// What is mapped, by its address, for as long as somebody has it.
type Maps = HashMap<usize, Weak<SharedMap>, BuildHasherDefault<DefaultHasher>>;

/// Streaming threads rarely wait for each other.
static MAPS: [Mutex<Maps>; 16] =
    [const { Mutex::new(Maps::with_hasher(BuildHasherDefault::new())) }; 16];

/// The bytes of a buffer; `None` when it cannot be mapped.
pub(super) fn bytes(buffer: &gst::Buffer) -> Option<Bytes> {
    // Memory that is in another buffer too is not writable, nor is that of a buffer that somebody else has.
    if buffer.is_all_memory_writable() {
        return map(buffer).map(Bytes::from_owner);
    }
    SharedMap::of(buffer).map(|map| Bytes::from_owner(Mapped(map)))
}

fn map(buffer: &gst::Buffer) -> Option<MappedBuffer<Readable>> {
    buffer.clone().into_mapped_buffer_readable().ok()
}

/// A share of a map.
struct Mapped(Arc<SharedMap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0.map
    }
}

/// A map that everybody has who wants these bytes.
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
        // By now it may have been mapped anew: nobody finds a map that is on its way here.
        if maps.get(&self.address).is_some_and(is_gone) {
            maps.remove(&self.address);
        }
    }
}

/// Where what is mapped for this buffer lies. It stays there, and stays what it is, as long as somebody has the map.
///
/// Buffers of one memory map that: elements that change timestamps make others of the same. Several memories are put
/// together by mapping, for each buffer anew.
fn address(buffer: &gst::BufferRef) -> usize {
    match buffer.n_memory() {
        1 => buffer.peek_memory(0).as_ptr().addr(),
        _ => buffer.as_ptr().addr(),
    }
}

fn maps(address: usize) -> MutexGuard<'static, Maps> {
    // What is allocated is at least 64 bytes apart, mostly.
    let maps = &MAPS[address / 64 % MAPS.len()];
    maps.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than GStreamer can count who has a memory mapped
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

    /// Nobody has it mapped, and GStreamer knows.
    fn assert_free(buffer: &mut gst::Buffer) {
        assert!(!is_known(buffer));
        let map = buffer.get_mut().unwrap().map_writable();
        assert!(map.is_ok());
    }

    #[test]
    fn many_have_one_map_of_what_they_share() {
        for pieces in [&[&b"abc"[..]][..], &[b"ab", b"c"]] {
            let mut ours = buffer(pieces);
            let theirs = ours.clone();
            let all: Vec<_> = (0..MANY).map(|_| bytes(&theirs).unwrap()).collect();
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
        let all: Vec<_> = copies.iter().map(|copy| bytes(copy).unwrap()).collect();
        drop(copies);
        assert!(all.iter().all(|bytes| bytes.as_ptr() == all[0].as_ptr()));
        assert!(!ours.is_all_memory_writable(), "somebody reads it");
        drop(all);
        assert_free(&mut ours);
    }

    /// The memory of the parts is one, and what is mapped is each part.
    #[test]
    fn parts_of_a_memory_are_different_bytes() {
        let mut ours = buffer(&[b"abcdef"]);
        let part = |at| ours.copy_region(gst::BufferCopyFlags::MEMORY, at..at + 2);
        let all: Vec<_> = (0..MANY)
            .map(|number| bytes(&part(number % 4).unwrap()).unwrap())
            .collect();
        for (number, bytes) in all.iter().enumerate() {
            assert_eq!(bytes, &b"abcdef"[number % 4..number % 4 + 2]);
        }
        drop(all);
        assert_free(&mut ours);
    }

    #[test]
    fn what_one_alone_has_is_not_looked_up() {
        let mut ours = buffer(&[b"abc"]);
        let mapped = bytes(&ours).unwrap();
        assert_eq!(mapped, "abc");
        assert!(!is_known(&ours) && !ours.is_writable());
        drop(mapped);
        assert_free(&mut ours);
        assert_eq!(bytes(&buffer(&[])).unwrap(), "");
    }

    #[test]
    fn it_is_mapped_anew_while_the_last_lets_go() {
        let mut ours = buffer(&[b"abc"]);
        let theirs = ours.clone();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..100_000 {
                        assert_eq!(bytes(&theirs).unwrap(), "abc");
                    }
                });
            }
        });
        drop(theirs);
        assert_free(&mut ours);
    }
}
