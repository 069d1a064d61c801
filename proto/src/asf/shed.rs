// SPDX-License-Identifier: MPL-2.0

//! Reduction of a file header that is too large.

use bytes::Bytes;

use super::error::Error;
use super::file_header::{FileHeader, file_properties};
use super::guid::Guid;
use super::header_tree::{HeaderTree, ShedObject};
use super::object::{put, u16_at, u64_at};
use super::{MAX_HEADER_IN_C, MAX_HEADER_IN_H};

/// A packet of MS-WMHTTP that carries a complete ASF file header
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderPacket {
    /// 2.2.3.6 $H (Header): the first header of a new session
    Header,
    /// 2.2.3.2 $C (Stream Change Notification): a later header, or the first one of a connection that resumes a session
    StreamChange,
}

/// One step of the reduction
enum Shed {
    /// All objects with this GUID, on both levels
    Objects(Guid),
    /// Large attributes of the Extended Content Description, such as pictures
    LargeAttributes,
}

/// The order of removal: padding, then objects that no player needs, then metadata that players show. Objects that
/// decoding or other objects depend on stay.
const ORDER: [Shed; 12] = [
    Shed::Objects(Guid::PADDING),
    Shed::Objects(Guid::METADATA_LIBRARY),
    Shed::LargeAttributes,
    Shed::Objects(Guid::EXTENDED_CONTENT_DESCRIPTION),
    Shed::Objects(Guid::CONTENT_BRANDING),
    Shed::Objects(Guid::MARKER),
    Shed::Objects(Guid::SCRIPT_COMMAND),
    Shed::Objects(Guid::INDEX_PARAMETERS),
    Shed::Objects(Guid::INDEX_PARAMETERS_PLACEHOLDER),
    Shed::Objects(Guid::CONTENT_DESCRIPTION),
    Shed::Objects(Guid::CODEC_LIST),
    Shed::Objects(Guid::METADATA),
];

/// Number of steps at the start of [`ORDER`] that remove padding, which is never kept
const PADDING_STEPS: usize = 1;

/// Size in bytes from which a value makes its attribute large: longer than a title, shorter than a picture
const LARGE_VALUE: usize = 1024;

impl HeaderPacket {
    /// Returns the size in bytes of the largest header that the packet can carry.
    pub const fn limit(self) -> usize {
        match self {
            HeaderPacket::Header => MAX_HEADER_IN_H,
            HeaderPacket::StreamChange => MAX_HEADER_IN_C,
        }
    }
}

impl FileHeader {
    /// Returns the header in a size that `packet` can carry: see [`shed_to`](FileHeader::shed_to).
    ///
    /// # Errors
    ///
    /// [`Error::HeaderTooLarge`]
    pub fn shed_for(&self, packet: HeaderPacket) -> Result<(FileHeader, Vec<ShedObject>), Error> {
        self.shed_to(packet.limit())
    }

    /// Removes optional objects until the header has at most `limit` bytes. Returns the header, and the removed objects
    /// in the order of their removal.
    ///
    /// Padding is removed first. Any other object is kept if the header fits with it, because a larger object that had
    /// to be removed makes room. Sizes, the child count and a known File Size are corrected. The first removal also
    /// removes the Digital Signature. A header that fits is returned unchanged.
    ///
    /// # Errors
    ///
    /// [`Error::HeaderTooLarge`] if the header does not fit without all optional objects. Objects are never truncated.
    pub fn shed_to(&self, limit: usize) -> Result<(FileHeader, Vec<ShedObject>), Error> {
        if self.as_bytes().len() <= limit {
            return Ok((self.clone(), Vec::new()));
        }
        let (mut tree, shed) = self.without(&self.needed_steps(limit)?, limit);
        let removed = self.as_bytes().len().saturating_sub(tree.len()) as u64;
        tree.edit(Guid::FILE_PROPERTIES, |bytes| {
            let size = u64_at(bytes, file_properties::FILE_SIZE)
                .unwrap_or(0)
                .saturating_sub(removed);
            put(bytes, file_properties::FILE_SIZE, &size.to_le_bytes());
        });
        Ok((tree.finish(self), shed))
    }

    /// Returns the steps that are needed for a header of at most `limit` bytes: the first ones of [`ORDER`], without those
    /// that a later one makes needless.
    fn needed_steps(&self, limit: usize) -> Result<Vec<&'static Shed>, Error> {
        let size = |steps: &[&Shed]| self.without(steps, limit).0.len();
        let mut steps = Vec::new();
        for step in &ORDER {
            steps.push(step);
            if size(&steps) <= limit {
                break;
            }
        }
        if size(&steps) > limit {
            return Err(Error::HeaderTooLarge {
                size: size(&steps) as u64,
                limit: limit as u64,
            });
        }
        for step in ORDER.iter().skip(PADDING_STEPS).rev() {
            let mut fewer = steps.clone();
            fewer.retain(|other| !std::ptr::eq(*other, step));
            if size(&fewer) <= limit {
                steps = fewer;
            }
        }
        Ok(steps)
    }

    /// Returns its objects after these steps, and the removed ones.
    fn without(&self, steps: &[&Shed], limit: usize) -> (HeaderTree, Vec<ShedObject>) {
        let mut tree = HeaderTree::of(self);
        let mut shed = Vec::new();
        for step in steps {
            let unchanged = shed.is_empty();
            shed.extend(step.take_from(&mut tree, limit));
            if unchanged && !shed.is_empty() {
                shed.extend(tree.remove(Guid::DIGITAL_SIGNATURE));
            }
        }
        (tree, shed)
    }
}

impl Shed {
    fn take_from(&self, tree: &mut HeaderTree, limit: usize) -> Vec<ShedObject> {
        match *self {
            Shed::Objects(Guid::PADDING) => tree.remove(Guid::PADDING),
            Shed::Objects(guid) => tree.remove_down_to(guid, limit),
            Shed::LargeAttributes => {
                let mut shed = Vec::new();
                tree.replace(Guid::EXTENDED_CONTENT_DESCRIPTION, |bytes| {
                    without_large_attributes(bytes, &mut shed)
                });
                shed
            }
        }
    }
}

/// ASF 3.11 Extended Content Description Object without its large attributes; `None` if it has none, or is damaged
fn without_large_attributes(object: &Bytes, shed: &mut Vec<ShedObject>) -> Option<Bytes> {
    const COUNT: usize = 24;
    const HEAD: usize = COUNT + 2;
    let mut kept = object.get(..HEAD)?.to_vec();
    let mut rest = object.get(HEAD..)?;
    let mut count: u16 = 0;
    let mut gone = Vec::new();
    for _ in 0..u16_at(object, COUNT)? {
        let (attribute, value) = attribute_size(rest)?;
        let (bytes, behind) = rest.split_at_checked(attribute)?;
        rest = behind;
        if value >= LARGE_VALUE {
            gone.push(ShedObject {
                name: "Extended Content Description attribute",
                bytes: attribute,
            });
        } else {
            kept.extend_from_slice(bytes);
            count = count.saturating_add(1);
        }
    }
    if gone.is_empty() {
        return None;
    }
    shed.append(&mut gone);
    put(&mut kept, COUNT, &count.to_le_bytes());
    let size = kept.len() as u64;
    put(&mut kept, 16, &size.to_le_bytes());
    Some(kept.into())
}

/// Returns the size in bytes of the first attribute in `bytes`, and that of its value.
fn attribute_size(bytes: &[u8]) -> Option<(usize, usize)> {
    let name = 2usize.checked_add(usize::from(u16_at(bytes, 0)?))?;
    let value_length = name.checked_add(2 /* type */)?;
    let value = usize::from(u16_at(bytes, value_length)?);
    Some((value_length.checked_add(2)?.checked_add(value)?, value))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{guids, header, header_extension, object};
    use super::*;

    /// Returns an attribute with a name of two characters and a value of `len` bytes.
    fn attribute(len: u16) -> Vec<u8> {
        [
            &6u16.to_le_bytes()[..],
            b"A\0B\0\0\0",
            &1u16.to_le_bytes(),
            &len.to_le_bytes(),
            &vec![0x41; len.into()],
        ]
        .concat()
    }

    fn attributes(lens: &[u16]) -> Vec<u8> {
        let count = (lens.len() as u16).to_le_bytes().to_vec();
        let all: Vec<_> = lens.iter().flat_map(|&len| attribute(len)).collect();
        object(Guid::EXTENDED_CONTENT_DESCRIPTION, &[count, all].concat())
    }

    /// Returns a header with all optional objects, of 124 bytes each unless the code differs.
    fn full() -> FileHeader {
        let of = |guid| object(guid, &[0x77; 100]);
        let inner = [
            Guid::PADDING,
            Guid::METADATA_LIBRARY,
            Guid::INDEX_PARAMETERS,
            Guid::INDEX_PARAMETERS_PLACEHOLDER,
            Guid::METADATA,
        ];
        let languages = object(
            Guid::new(0x7C4346A9, 0xEFE0, 0x4BFC, 0xB229393EDE415C85),
            &[1; 10],
        );
        let inner = [inner.map(of).as_slice(), &[languages]].concat();
        let outer = [
            Guid::PADDING,
            Guid::DIGITAL_SIGNATURE,
            Guid::CODEC_LIST,
            Guid::CONTENT_DESCRIPTION,
            Guid::SCRIPT_COMMAND,
            Guid::MARKER,
            Guid::CONTENT_BRANDING,
        ];
        let outer = [
            outer.map(of).as_slice(),
            &[attributes(&[10, 2000, 20]), header_extension(&inner)],
        ]
        .concat();
        header(1500, 50, &outer)
    }

    /// MS-WMHTTP 2.2.3.2 $C (Stream Change Notification), 2.2.3.6 $H (Header)
    #[test]
    fn a_stream_change_carries_four_bytes_less() {
        let rest = header(1500, 50, &[object(Guid::PADDING, &[])]);
        let of = |size: usize| {
            let padding = vec![0; size - rest.as_bytes().len()];
            header(1500, 50, &[object(Guid::PADDING, &padding)])
        };
        for (size, header, change) in [
            (65_527, false, false),
            (65_528, false, true),
            (65_531, false, true),
            (65_532, true, true),
        ] {
            let sheds = |packet| !of(size).shed_for(packet).unwrap().1.is_empty();
            assert_eq!(sheds(HeaderPacket::Header), header, "{size}");
            assert_eq!(sheds(HeaderPacket::StreamChange), change, "{size}");
        }
    }

    #[test]
    fn a_header_that_fits_is_returned_unchanged_and_shared() {
        let header = full();
        let (same, shed) = header.shed_to(header.as_bytes().len()).unwrap();
        assert_eq!(shed, []);
        assert_eq!(same.as_bytes().as_ptr(), header.as_bytes().as_ptr());
    }

    #[test]
    fn padding_and_the_signature_are_removed_first() {
        let header = full();
        let (less, shed) = header.shed_to(header.as_bytes().len() - 1).unwrap();
        let names: Vec<_> = shed
            .iter()
            .map(|object| (object.name, object.bytes))
            .collect();
        assert_eq!(
            names,
            [
                ("Padding", 124),
                ("Padding", 124),
                ("Digital Signature", 124)
            ]
        );
        assert_eq!(less.as_bytes().len(), header.as_bytes().len() - 3 * 124);
        let (outer, inner) = guids(&less);
        assert!(!outer.contains(&Guid::PADDING) && !inner.contains(&Guid::PADDING));
        assert_eq!(less.as_bytes()[24..28], (outer.len() as u32).to_le_bytes());
    }

    /// Names of the removed objects, in order.
    const NAMES: [&str; 14] = [
        "Padding",
        "Padding",
        "Digital Signature",
        "Metadata Library",
        "Extended Content Description attribute",
        "Extended Content Description",
        "Content Branding",
        "Marker",
        "Script Command",
        "Index Parameters",
        "Index Parameters Placeholder",
        "Content Description",
        "Codec List",
        "Metadata",
    ];

    #[test]
    fn only_needed_objects_are_removed_in_order() {
        let header = full();
        let mut seen = 0;
        for limit in (0..header.as_bytes().len()).rev().step_by(7) {
            let Ok((less, shed)) = header.shed_to(limit) else {
                break;
            };
            assert!(less.as_bytes().len() <= limit);
            let bytes: usize = shed.iter().map(|object| object.bytes).sum();
            assert_eq!(less.as_bytes().len() + bytes, header.as_bytes().len());
            let names: Vec<_> = shed.iter().map(|object| object.name).collect();
            let mut rest = NAMES.iter();
            assert!(
                names.iter().all(|name| rest.any(|other| other == name)),
                "{names:?}"
            );
            assert!(names.is_empty() || names[..3] == NAMES[..3], "{names:?}");
            for object in shed.iter().skip(3) {
                assert!(
                    less.as_bytes().len() + object.bytes > limit,
                    "{limit} {object:?}"
                );
            }
            guids(&less);
            seen = seen.max(names.len());
        }
        // The Extended Content Description is removed with its large attributes.
        assert_eq!(seen, NAMES.len() - 1);
    }

    #[test]
    fn a_limit_below_the_required_objects_is_an_error() {
        let header = full();
        let smallest = 30 + 104 + 78 + 46 + 34 + 50;
        let (less, _) = header.shed_to(smallest).unwrap();
        assert_eq!(
            guids(&less).0,
            [
                Guid::FILE_PROPERTIES,
                Guid::STREAM_PROPERTIES,
                Guid::HEADER_EXTENSION
            ]
        );
        assert_eq!(guids(&less).1.len(), 1);
        let error = Error::HeaderTooLarge {
            size: smallest as u64,
            limit: smallest as u64 - 1,
        };
        assert_eq!(header.shed_to(smallest - 1), Err(error));
    }

    #[test]
    fn small_attributes_survive_a_picture() {
        let header = header(1500, 50, &[attributes(&[10, 60_000, 20, 30_000])]);
        let (less, shed) = header.shed_to(super::super::MAX_HEADER_IN_H).unwrap();
        assert_eq!(shed.len(), 2);
        let kept = HeaderTree::of(&less)
            .get(Guid::EXTENDED_CONTENT_DESCRIPTION)
            .cloned();
        assert_eq!(kept.as_deref(), Some(&attributes(&[10, 20])[..]));
    }

    #[test]
    fn a_large_object_is_removed_before_small_ones() {
        let names = |objects: &[Vec<u8>]| {
            let header = header(1500, 50, objects);
            let (less, shed) = header.shed_for(HeaderPacket::Header).unwrap();
            assert!(less.as_bytes().len() <= super::super::MAX_HEADER_IN_H);
            shed.iter()
                .map(|object| (object.name, object.bytes))
                .collect::<Vec<_>>()
        };
        let description = attributes(&[10, 20]);
        let titles = object(Guid::CONTENT_DESCRIPTION, &[1; 100]);
        let script = object(Guid::SCRIPT_COMMAND, &[2; 69_000]);
        let expected = [("Script Command", 69_024)];
        assert_eq!(names(&[description.clone(), titles, script]), expected);
        let large = attributes(&[1000; 69]);
        let expected = [("Extended Content Description", large.len())];
        assert_eq!(names(&[description.clone(), large]), expected);
        let picture = attributes(&[10, 65_000, 20]);
        let expected = [("Extended Content Description attribute", 65_012)];
        assert_eq!(names(&[description, attributes(&[700]), picture]), expected);
    }

    #[test]
    fn a_damaged_attribute_list_is_removed_whole() {
        let mut list = attributes(&[10, 2000]);
        list[24] = 9;
        let header = header(1500, 50, &[list]);
        let (_, shed) = header.shed_to(header.as_bytes().len() - 1).unwrap();
        assert_eq!(
            shed.iter().map(|object| object.name).collect::<Vec<_>>(),
            ["Extended Content Description"]
        );
    }

    #[test]
    fn an_inconsistent_header_extension_is_not_opened() {
        let mut extension = header_extension(&[object(Guid::PADDING, &[0; 100])]);
        extension[42] ^= 1;
        let header = header(1500, 50, &[extension]);
        let size = header.as_bytes().len() as u64;
        assert_eq!(
            header.shed_to(100),
            Err(Error::HeaderTooLarge { size, limit: 100 })
        );
    }

    #[test]
    fn a_known_file_size_is_corrected() {
        let (less, shed) = full().shed_to(2000).unwrap();
        let bytes: usize = shed.iter().map(|object| object.bytes).sum();
        let properties = HeaderTree::of(&less)
            .get(Guid::FILE_PROPERTIES)
            .cloned()
            .unwrap();
        assert_eq!(
            u64_at(&properties, file_properties::FILE_SIZE),
            Some(100_000 - bytes as u64)
        );
    }
}
