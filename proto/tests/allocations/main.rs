// SPDX-License-Identifier: MPL-2.0

//! Memory that a data packet costs on the streaming thread: none, once the reader is warm.

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use wmspush_proto::asf::{DataPacket, Item, Reader};

/// A file header, and data packets behind it
const STREAM: &[u8] = include_bytes!("../fixtures/av_asfmux_p1500_streamable.asf");
const PACKET: usize = 1500;
const HEADER: usize = STREAM.len() % PACKET;

/// Returns a reader that has read the header and two packets, and the rest of the stream.
fn warm() -> (Reader, Bytes) {
    let stream = Bytes::from_owner(STREAM);
    let mut reader = Reader::new();
    let (header, packets) = (stream.slice(..HEADER), stream.slice(HEADER..));
    reader.push(header);
    assert!(matches!(reader.next_item(), Ok(Some(Item::Header(_)))));
    assert_eq!(read(&mut reader, packets.slice(..2 * PACKET)), 2);
    (reader, packets.slice(2 * PACKET..))
}

/// Reads a buffer and drops the items. Returns the number of packets.
fn read(reader: &mut Reader, buffer: Bytes) -> usize {
    reader.push(buffer);
    let mut packets = 0;
    while let Some(item) = reader.next_item().expect("a stream") {
        let Item::DataUnit(packet) = item else {
            panic!("{item:?}");
        };
        assert_eq!((packet.len(), packet.defect()), (PACKET, None));
        packets += 1;
    }
    packets
}

/// Returns the allocations for reading the rest of the stream in buffers of `size` bytes, and its number of packets.
fn cost_of_buffers(size: usize) -> (AllocationInfo, usize) {
    let (mut reader, rest) = warm();
    let mut buffers: Vec<_> = (rest.chunks(size).map(|chunk| rest.slice_ref(chunk))).collect();
    let mut packets = 0;
    let cost = measure(|| {
        for buffer in &mut buffers {
            packets += read(&mut reader, std::mem::take(buffer));
        }
    });
    assert_eq!(packets, rest.len() / PACKET);
    (cost, packets)
}

#[test]
fn a_packet_within_a_buffer_allocates_nothing() {
    for packets in [1, 2, 5] {
        let (cost, read) = cost_of_buffers(packets * PACKET);
        assert!(read > packets);
        assert_eq!(cost.count_total, 0, "{packets} in a buffer: {cost:?}");
    }
}

/// The packets share a block, which is reused once they are dropped. The other allocation is its reference count.
#[test]
fn packets_across_buffers_share_one_block() {
    for size in [100, 400, 750] {
        let (cost, packets) = cost_of_buffers(size);
        assert!(packets > 20);
        assert_eq!(cost.count_total, 2, "{size}: {cost:?}");
        assert!(cost.bytes_total < 20_000, "{size}: {cost:?}");
    }
}

#[test]
fn removing_padding_allocates_nothing() {
    let (_, packets) = warm();
    let packets: Vec<_> = packets
        .chunks(PACKET)
        .map(|packet| DataPacket::parse(packets.slice_ref(packet)))
        .collect();
    let mut removed = 0;
    let cost = measure(|| {
        for packet in &packets {
            removed += packet.without_padding().removed;
        }
    });
    assert!(removed > 0);
    assert_eq!(cost.count_total, 0, "{cost:?}");
}
