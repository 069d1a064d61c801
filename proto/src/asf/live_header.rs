// SPDX-License-Identifier: MPL-2.0

//! Conversion of a file header to that of a live stream, and to that of a recorded file.

use super::bitrates::clear_unknown;
use super::file_header::{DATA_HEAD, FileHeader, data_object, file_properties};
use super::guid::Guid;
use super::header_tree::HeaderTree;
use super::object::{put, u32_at};

/// ASF 3.2 File Properties Object, ASF 5.1 Data Object: File ID
type FileId = [u8; 16];

/// Units of 100 ns, in which ASF counts durations, per millisecond
const UNITS_PER_MS: u64 = 10_000;

impl FileHeader {
    /// Returns the header of a live stream.
    ///
    /// The Broadcast Flag is set, the Seekable Flag cleared. File Size, packet counts and durations are 0. The Data
    /// Object has 50 bytes. The child count is correct. The File ID is the same in both places, neither all zero nor
    /// with a last byte of zero; a missing one is derived from the header's bytes. Bit rates of 0xFFFFFFFF, which means
    /// "unknown", become 0. A change removes the Digital Signature.
    ///
    /// A header that is live already is returned as a shared copy.
    pub fn to_live(&self) -> FileHeader {
        self.finish_unsigned(self.live_tree())
    }

    /// Returns the objects of the live header.
    pub(super) fn live_tree(&self) -> HeaderTree {
        let mut tree = HeaderTree::of(self);
        let file_id = self.usable_file_id(&tree);
        tree.edit(Guid::FILE_PROPERTIES, |bytes| {
            use file_properties::{
                BROADCAST, DATA_PACKETS, FILE_ID, FILE_SIZE, PLAY_DURATION, SEEKABLE, SEND_DURATION,
            };
            put(bytes, FILE_ID, &file_id);
            for offset in [FILE_SIZE, DATA_PACKETS, PLAY_DURATION, SEND_DURATION] {
                put(bytes, offset, &0u64.to_le_bytes());
            }
            edit_flags(bytes, |flags| (flags | BROADCAST) & !SEEKABLE);
        });
        tree.edit_data_head(|bytes| {
            put(bytes, data_object::SIZE, &(DATA_HEAD as u64).to_le_bytes());
            put(bytes, data_object::FILE_ID, &file_id);
            put(bytes, data_object::TOTAL_PACKETS, &0u64.to_le_bytes());
        });
        clear_unknown(&mut tree);
        tree
    }

    /// Returns the header of a finished file that consists of `packets` data packets of full size.
    ///
    /// The Broadcast Flag is cleared. File Size, packet counts and the size of the Data Object are exact. Send Duration
    /// is `send_duration_ms` milliseconds, Play Duration the sum of that and the preroll. The child count is correct. A
    /// change removes the Digital Signature.
    pub fn for_recording(&self, packets: u64, send_duration_ms: u64) -> FileHeader {
        let data_bytes = packets.saturating_mul(self.packet_size() as u64);
        let send_duration = send_duration_ms.saturating_mul(UNITS_PER_MS);
        let play_duration =
            send_duration.saturating_add(self.preroll().saturating_mul(UNITS_PER_MS));
        let mut tree = HeaderTree::of(self);
        let edit = |tree: &mut HeaderTree| {
            let file_size = data_bytes.saturating_add(tree.len() as u64);
            tree.edit(Guid::FILE_PROPERTIES, |bytes| {
                use file_properties::{
                    BROADCAST, DATA_PACKETS, FILE_SIZE, PLAY_DURATION, SEND_DURATION,
                };
                put(bytes, FILE_SIZE, &file_size.to_le_bytes());
                put(bytes, DATA_PACKETS, &packets.to_le_bytes());
                put(bytes, PLAY_DURATION, &play_duration.to_le_bytes());
                put(bytes, SEND_DURATION, &send_duration.to_le_bytes());
                edit_flags(bytes, |flags| flags & !BROADCAST);
            });
        };
        edit(&mut tree);
        tree.edit_data_head(|bytes| {
            put(
                bytes,
                data_object::SIZE,
                &data_bytes.saturating_add(DATA_HEAD as u64).to_le_bytes(),
            );
            put(bytes, data_object::TOTAL_PACKETS, &packets.to_le_bytes());
        });
        if tree.write() != self.as_bytes() {
            tree.remove(Guid::DIGITAL_SIGNATURE);
            edit(&mut tree);
        }
        tree.finish(self)
    }

    /// Writes `tree` as a header. Removes the signature if anything changed.
    pub(super) fn finish_unsigned(&self, mut tree: HeaderTree) -> FileHeader {
        if tree.write() != self.as_bytes() {
            tree.remove(Guid::DIGITAL_SIGNATURE);
        }
        tree.finish(self)
    }

    /// Returns the usable File ID of the two places, else one derived from the header's bytes.
    fn usable_file_id(&self, tree: &HeaderTree) -> FileId {
        let usable = |bytes: &[u8], offset: usize| {
            let id: FileId = bytes.get(offset..)?.first_chunk().copied()?;
            (id.last() != Some(&0)).then_some(id)
        };
        let properties = tree.get(Guid::FILE_PROPERTIES);
        properties
            .and_then(|bytes| usable(bytes, file_properties::FILE_ID))
            .or_else(|| usable(tree.data_head(), data_object::FILE_ID))
            .unwrap_or_else(|| derived_file_id(self.as_bytes()))
    }
}

fn edit_flags(file_properties: &mut [u8], change: impl FnOnce(u32) -> u32) {
    let at = file_properties::FLAGS;
    if let Some(flags) = u32_at(file_properties, at) {
        put(file_properties, at, &change(flags).to_le_bytes());
    }
}

/// Returns 128 bits of FNV-1a over the bytes, with a last byte that is not zero.
fn derived_file_id(bytes: &[u8]) -> FileId {
    const OFFSET_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = bytes.iter().fold(OFFSET_BASIS, |hash, &byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    let [first @ .., last] = hash.to_be_bytes();
    let mut id = [0; 16];
    put(&mut id, 0, &first);
    put(&mut id, first.len(), &[last.max(1)]);
    id
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::object::{u16_at, u64_at};
    use super::super::testing::{
        file_properties as stored, guids, header, header_bytes, object, stream_properties,
    };
    use super::*;

    fn field(header: &FileHeader, offset: usize) -> u64 {
        u64_at(
            HeaderTree::of(header).get(Guid::FILE_PROPERTIES).unwrap(),
            offset,
        )
        .unwrap()
    }

    fn flags(header: &FileHeader) -> u32 {
        u32_at(
            HeaderTree::of(header).get(Guid::FILE_PROPERTIES).unwrap(),
            file_properties::FLAGS,
        )
        .unwrap()
    }

    fn ids(header: &FileHeader) -> (FileId, FileId) {
        let bytes = header.as_bytes();
        let data = header.header_object_size() + 24;
        (
            bytes[30 + 24..30 + 40].try_into().unwrap(),
            bytes[data..data + 16].try_into().unwrap(),
        )
    }

    fn with_ids(properties: FileId, data: FileId) -> FileHeader {
        let mut bytes = header(100, 50, &[]).as_bytes().to_vec();
        let at = bytes.len() - 50 + 24;
        put(&mut bytes, 30 + 24, &properties);
        put(&mut bytes, at, &data);
        FileHeader::parse(bytes.into()).unwrap()
    }

    #[test]
    fn a_stored_header_becomes_a_live_header() {
        let live = header(1500, 50 + 3 * 1500, &[object(Guid::MARKER, &[0; 40])]).to_live();
        assert!(live.is_broadcast());
        assert_eq!(flags(&live), 1);
        for offset in [
            file_properties::FILE_SIZE,
            file_properties::DATA_PACKETS,
            file_properties::PLAY_DURATION,
            file_properties::SEND_DURATION,
        ] {
            assert_eq!(field(&live, offset), 0);
        }
        assert_eq!(live.preroll(), 3000);
        assert_eq!(live.data_packets(), None);
        let data = live.as_bytes().slice(live.header_object_size()..);
        assert_eq!(
            (u64_at(&data, 16), u64_at(&data, 40), u16_at(&data, 48)),
            (Some(50), Some(0), Some(0x0101))
        );
        assert_eq!(
            guids(&live).0,
            [Guid::FILE_PROPERTIES, Guid::STREAM_PROPERTIES, Guid::MARKER]
        );
    }

    #[test]
    fn reserved_flags_stay() {
        let mut properties = stored(100);
        put(
            &mut properties,
            file_properties::FLAGS,
            &0xFFu32.to_le_bytes(),
        );
        let bytes = header_bytes(&[properties, stream_properties()], 50);
        assert_eq!(
            flags(&FileHeader::parse(bytes.into()).unwrap().to_live()),
            0xFD
        );
    }

    #[test]
    fn a_live_header_is_returned_unchanged_and_shared() {
        let live = header(1500, 50, &[]).to_live();
        let again = live.to_live();
        assert_eq!(again, live);
        assert_eq!(again.as_bytes().as_ptr(), live.as_bytes().as_ptr());
    }

    #[test]
    fn only_a_change_removes_the_digital_signature() {
        let signature = [object(Guid::DIGITAL_SIGNATURE, &[7; 20])];
        let live = header(1500, 50, &signature).to_live();
        assert_eq!(
            guids(&live).0,
            [Guid::FILE_PROPERTIES, Guid::STREAM_PROPERTIES]
        );
        assert_eq!(live.as_bytes()[24..28], 2u32.to_le_bytes());
        let children = [
            live.as_bytes()[30..live.header_object_size()].to_vec(),
            signature[0].clone(),
        ];
        let mut bytes = header_bytes(&children, 50);
        put(&mut bytes, 24, &3u32.to_le_bytes());
        let signed = FileHeader::parse(bytes.into()).unwrap();
        assert_eq!(signed.to_live(), signed);
    }

    #[test]
    fn a_wrong_child_count_is_corrected() {
        let mut bytes = header(1500, 50, &[]).to_live().as_bytes().to_vec();
        bytes[24] = 1;
        let live = FileHeader::parse(bytes.into()).unwrap().to_live();
        assert_eq!(live.as_bytes()[24..28], 2u32.to_le_bytes());
    }

    #[test]
    fn both_file_ids_are_equal_without_a_final_zero() {
        let (good, other, zero) = ([9; 16], [8; 16], [0; 16]);
        let mut ends_in_zero = good;
        ends_in_zero[15] = 0;
        assert_eq!(ids(&with_ids(good, other).to_live()), (good, good));
        assert_eq!(ids(&with_ids(zero, good).to_live()), (good, good));
        for (properties, data) in [(zero, zero), (ends_in_zero, ends_in_zero)] {
            let header = with_ids(properties, data);
            let (made, copy) = ids(&header.to_live());
            assert_eq!(made, copy);
            assert_ne!(made[15], 0);
            assert_eq!(ids(&header.to_live()), (made, made));
            assert_ne!(
                ids(
                    &with_ids(properties, [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
                        .to_live()
                )
                .0,
                made
            );
        }
    }

    #[test]
    fn a_recording_has_exact_sizes_and_durations() {
        let signature = object(Guid::DIGITAL_SIGNATURE, &[7; 20]);
        let live = header(1500, 50, &[]).to_live();
        let recorded = live.for_recording(4, 2500);
        assert!(!recorded.is_broadcast());
        assert_eq!(recorded.data_packets(), Some(4));
        assert_eq!(field(&recorded, file_properties::DATA_PACKETS), 4);
        assert_eq!(
            field(&recorded, file_properties::FILE_SIZE),
            recorded.as_bytes().len() as u64 + 6000
        );
        assert_eq!(field(&recorded, file_properties::SEND_DURATION), 25_000_000);
        assert_eq!(field(&recorded, file_properties::PLAY_DURATION), 55_000_000);
        assert_eq!(recorded.to_live(), live);
        let signed = header(1500, 50, &[signature]).for_recording(4, 2500);
        assert_eq!(
            guids(&signed).0,
            [Guid::FILE_PROPERTIES, Guid::STREAM_PROPERTIES]
        );
        assert_eq!(
            field(&signed, file_properties::FILE_SIZE),
            signed.as_bytes().len() as u64 + 6000
        );
    }

    #[test]
    fn numbers_of_a_recording_saturate() {
        let header = header(1500, 50, &[]).for_recording(u64::MAX, u64::MAX);
        assert_eq!(field(&header, file_properties::FILE_SIZE), u64::MAX);
        assert_eq!(
            FileHeader::parse(Bytes::clone(header.as_bytes())),
            Ok(header)
        );
    }
}
