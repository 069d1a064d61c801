// SPDX-License-Identifier: MPL-2.0

//! The cost of a data packet before the socket: reading, padding, framing.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gstwmspush::asf::{DataPacket, Item, Reader};
use gstwmspush::wmhttp::{PushSession, Response};

#[path = "../proto/tests/pair/messages.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod messages;
#[path = "sinks/packets.rs"]
mod streams;

const PACKETS: usize = 64;

/// Returns a header and packets, in separate buffers.
fn buffers(size: usize) -> Vec<Bytes> {
    let packets = (0..PACKETS).map(|number| streams::packet(size, number, false));
    std::iter::once(streams::header(size))
        .chain(packets)
        .map(Bytes::from)
        .collect()
}

fn reader(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reader");
    group.throughput(Throughput::Elements(PACKETS as u64));
    for size in [1400, 8000] {
        let whole = Bytes::from(buffers(size).concat());
        for (name, buffers) in [
            ("packets", buffers(size)),
            ("pieces of 4096", pieces(&whole, 4096)),
            ("one buffer", vec![whole.clone()]),
        ] {
            group.bench_function(format!("{size}/{name}"), |bencher| {
                bencher.iter_batched(
                    || buffers.clone(),
                    |buffers| {
                        let mut reader = Reader::new();
                        for buffer in buffers {
                            reader.push(buffer);
                            while let Ok(Some(item)) = reader.next_item() {
                                black_box(item);
                            }
                        }
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

fn pieces(whole: &Bytes, size: usize) -> Vec<Bytes> {
    whole
        .chunks(size)
        .map(|piece| whole.slice_ref(piece))
        .collect()
}

fn padding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("padding");
    group.throughput(Throughput::Elements(1));
    for padded in [false, true] {
        let packet = DataPacket::parse(streams::packet(1400, 1, padded).into());
        group.bench_function(if padded { "removed" } else { "none" }, |bencher| {
            bencher.iter(|| black_box(&packet).without_padding());
        });
    }
}

fn framing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framing");
    group.throughput(Throughput::Elements(PACKETS as u64));
    let mut reader = Reader::new();
    buffers(1400)
        .into_iter()
        .for_each(|buffer| reader.push(buffer));
    let items: Vec<Item> = std::iter::from_fn(|| reader.next_item().ok().flatten()).collect();
    group.bench_function("1400", |bencher| {
        bencher.iter_batched(
            || (session(&items), items.clone()),
            |(mut session, items)| {
                for item in items {
                    if let Item::DataUnit(packet) = item {
                        let _ = session.data_unit(packet);
                    }
                    while let Some(transmit) = session.poll_transmit() {
                        black_box(transmit);
                    }
                }
            },
            BatchSize::SmallInput,
        );
    });
}

/// Returns a session that is streaming.
fn session(items: &[Item]) -> PushSession {
    let mut session = PushSession::new(messages::config(), messages::Fixed);
    session.configure_server();
    let _ = session.poll_transmit();
    let accepted = Response {
        status: http::StatusCode::NO_CONTENT,
        reason: String::new(),
        headers: [("server", "Cougar/9.01"), ("set-cookie", "push-id=1")]
            .into_iter()
            .map(|(name, value)| {
                (
                    name.parse().expect("a name"),
                    value.parse().expect("a value"),
                )
            })
            .collect(),
        body: Bytes::new(),
    };
    session.handle_response(&accepted).expect("a session");
    if let Some(Item::Header(header)) = items.first() {
        let _ = session.start_streaming(header.clone());
    }
    while session.poll_transmit().is_some() {}
    assert!(session.is_streaming());
    session
}

criterion_group!(benches, reader, padding, framing);
criterion_main!(benches);
