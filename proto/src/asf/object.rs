// SPDX-License-Identifier: MPL-2.0

use bytes::Bytes;

use super::error::Error;
use super::guid::Guid;

/// ASF 2.1 ASF object definition: the GUID and size that every object starts with
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectHead {
    pub guid: Guid,
    /// Size of the whole object in bytes, including the 24 bytes of the head
    pub size: u64,
}

impl ObjectHead {
    /// Size of the head in bytes
    pub const LEN: usize = 16 /* GUID */ + 8 /* size */;

    /// Parses a head; `None` if `bytes` has fewer than 24 bytes.
    pub fn parse(bytes: &[u8]) -> Option<ObjectHead> {
        let (guid, rest) = bytes.split_first_chunk()?;
        let (size, _) = rest.split_first_chunk()?;
        Some(ObjectHead {
            guid: Guid::from_bytes(*guid),
            size: u64::from_le_bytes(*size),
        })
    }
}

/// One whole object, its head included
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub guid: Guid,
    /// Offset in bytes from the start of the Header Object
    pub offset: usize,
    pub bytes: Bytes,
}

/// Iterates over the objects in `bytes` by their sizes.
///
/// `base` is the offset of `bytes` in the Header Object. Ends after the first error.
pub(crate) fn walk(bytes: Bytes, base: usize) -> impl Iterator<Item = Result<Object, Error>> {
    let mut rest = Some((bytes, base));
    std::iter::from_fn(move || {
        let (mut bytes, offset) = rest.take()?;
        if bytes.is_empty() {
            return None;
        }
        let head = ObjectHead::parse(&bytes);
        let fitting = head.and_then(|head| {
            let size = usize::try_from(head.size).ok()?;
            (ObjectHead::LEN..=bytes.len())
                .contains(&size)
                .then_some((head.guid, size))
        });
        let Some((guid, size)) = fitting else {
            let size = head.map(|head| head.size);
            return Some(Err(Error::ObjectSize {
                offset: offset as u64,
                size,
                room: bytes.len() as u64,
            }));
        };
        let object = Object {
            guid,
            offset,
            bytes: bytes.split_to(size),
        };
        rest = Some((bytes, offset.saturating_add(size)));
        Some(Ok(object))
    })
}

/// Returns the little-endian u16 at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// Returns the little-endian u32 at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// Returns the little-endian u64 at `offset`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// Writes `value` at `offset`; does nothing if it does not fit.
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    if let Some(place) = bytes
        .get_mut(offset..)
        .and_then(|rest| rest.get_mut(..value.len()))
    {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(guid: Guid, size: u64, body: usize) -> Vec<u8> {
        let mut bytes = guid.as_bytes().to_vec();
        bytes.extend(size.to_le_bytes());
        bytes.resize(24 + body, 0xAB);
        bytes
    }

    #[test]
    fn objects_are_walked_by_their_sizes() {
        let bytes = [object(Guid::PADDING, 30, 6), object(Guid::MARKER, 24, 0)].concat();
        let objects: Vec<_> = walk(bytes.into(), 30).map(Result::unwrap).collect();
        let seen: Vec<_> = objects
            .iter()
            .map(|o| (o.guid, o.offset, o.bytes.len()))
            .collect();
        assert_eq!(seen, [(Guid::PADDING, 30, 30), (Guid::MARKER, 60, 24)]);
    }

    #[test]
    fn sizes_below_24_or_beyond_the_end_stop_the_walk() {
        for size in [0, 23, 31, u64::MAX] {
            let bytes = object(Guid::PADDING, size, 6);
            let walked: Vec<_> = walk(bytes.into(), 0).collect();
            assert_eq!(
                walked,
                [Err(Error::ObjectSize {
                    offset: 0,
                    size: Some(size),
                    room: 30
                })]
            );
        }
    }

    #[test]
    fn a_truncated_head_is_an_error() {
        let walked: Vec<_> = walk(Bytes::from_static(&[0; 23]), 7).collect();
        assert_eq!(
            walked,
            [Err(Error::ObjectSize {
                offset: 7,
                size: None,
                room: 23
            })]
        );
    }
}
