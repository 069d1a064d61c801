// SPDX-License-Identifier: MPL-2.0

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::Bytes;

use super::inner::EASING;
use super::*;
use crate::asf::{DataPacket, Guid, testing};
use crate::push::Leaky;

impl Queue {
    fn push_one(&self, content: Content, timeout: Duration) -> Result<u64, Stop> {
        let pushed = self.push_all(&mut VecDeque::from([content]), timeout);
        pushed.map_err(|stopped| stopped.stop)
    }

    fn push_all(&self, batch: &mut VecDeque<Content>, timeout: Duration) -> Result<u64, Stopped> {
        self.push(batch, timeout, || Ok(()))
    }

    /// Returns the bytes of the stream in the queue.
    fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn try_pop(&self) -> Option<Content> {
        self.lock().take_oldest()
    }
}

fn queue(bytes: usize, leaky: Leaky) -> Queue {
    Queue::new(Limits {
        bytes,
        time: Duration::ZERO,
        leaky,
    })
}

/// Returns the cost of packets of this size.
fn cost(size: usize, packets: usize) -> usize {
    packet_cost(size) * packets
}

fn packet(size: usize) -> Content {
    Content::DataUnit(DataPacket::parse(Bytes::from(vec![0; size])))
}

/// A header with video in stream 2.
fn header() -> Content {
    let video = testing::stream_of(2, Guid::VIDEO_MEDIA, &[]);
    Content::Header(testing::header(100, 50, &[video]))
}

/// A packet of 100 bytes with the beginning of a video frame.
fn video(send_time: u32, key_frame: bool) -> Content {
    let stream = if key_frame { 0x82 } else { 0x02 };
    let head = [
        &[0x00, 0x5D][..],
        &send_time.to_le_bytes(),
        &[0, 0],
        &[stream, 1, 0, 0, 0, 0, 0],
    ];
    let mut bytes = head.concat();
    bytes.resize(100, 0xEE);
    Content::DataUnit(DataPacket::parse(bytes.into()))
}

/// Pushes a header, and a key frame at each multiple of 3. Returns the number of dropped packets.
fn fill(queue: &Queue, packets: u32) -> u64 {
    queue.push_one(header(), Duration::ZERO).unwrap();
    let dropped =
        (0..packets).map(|number| queue.push_one(video(number, number % 3 == 0), Duration::ZERO));
    dropped.map(Result::unwrap).sum()
}

/// Returns the Send Times of the queued packets.
fn drain(queue: &Queue) -> Vec<u32> {
    let send_time = |content| match content {
        Content::DataUnit(packet) => packet.send_time(),
        _ => None,
    };
    std::iter::from_fn(|| queue.try_pop())
        .filter_map(send_time)
        .collect()
}

#[test]
fn content_is_taken_in_its_order() {
    let queue = queue(0, Leaky::No);
    for size in [10, 20, 30] {
        queue.push_one(packet(size), Duration::ZERO).unwrap();
    }
    assert_eq!(queue.bytes(), 60);
    let sizes: Vec<_> = std::iter::from_fn(|| queue.try_pop())
        .map(|content| content.bytes())
        .collect();
    assert_eq!(sizes, [10, 20, 30]);
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn a_full_queue_blocks_for_a_bounded_time() {
    let queue = queue(cost(100, 1), Leaky::No);
    let one = queue.push_one(packet(500), Duration::ZERO);
    assert_eq!(one, Ok(0), "one piece always fits");
    let begun = Instant::now();
    let timeout = Duration::from_millis(20);
    assert_eq!(
        queue.push_one(packet(1), timeout),
        Ok(1),
        "the old one goes"
    );
    assert!(begun.elapsed() >= timeout);
    assert_eq!(queue.try_pop().unwrap().bytes(), 1);
}

#[test]
fn old_packets_are_dropped_up_to_a_key_frame() {
    for leaky in [Leaky::Downstream, Leaky::No] {
        let queue = queue(cost(100, 5), leaky);
        assert_eq!(fill(&queue, 8), 3, "{leaky:?}");
        assert!(matches!(queue.try_pop(), Some(Content::Header(_))));
        assert_eq!(drain(&queue), [3, 4, 5, 6, 7], "{leaky:?}");
    }
}

#[test]
fn new_packets_are_dropped_up_to_a_key_frame() {
    let queue = queue(cost(100, 5), Leaky::Upstream);
    assert_eq!(fill(&queue, 8), 3);
    assert!(matches!(queue.try_pop(), Some(Content::Header(_))));
    assert_eq!(drain(&queue), [0, 1, 2, 3, 4]);
    assert_eq!(queue.push_one(video(8, false), Duration::ZERO), Ok(1));
    assert_eq!(queue.push_one(video(9, true), Duration::ZERO), Ok(0));
    assert_eq!(queue.push_one(video(10, false), Duration::ZERO), Ok(0));
    assert_eq!(drain(&queue), [9, 10]);
}

/// If a whole group of pictures was dropped, the packets of that group that follow are useless.
#[test]
fn the_rest_of_a_dropped_group_is_dropped() {
    let queue = queue(cost(100, 2), Leaky::Downstream);
    assert_eq!(fill(&queue, 3), 3);
    assert_eq!(queue.push_one(video(3, true), Duration::ZERO), Ok(0));
    assert!(matches!(queue.try_pop(), Some(Content::Header(_))));
    assert_eq!(drain(&queue), [3]);
}

#[test]
fn time_is_a_limit_too() {
    let queue = Queue::new(Limits {
        bytes: 0,
        time: Duration::from_millis(4),
        leaky: Leaky::Upstream,
    });
    assert_eq!(fill(&queue, 8), 3);
    assert_eq!(queue.level().1, Duration::from_millis(4));
}

/// The result of a writer's `check`.
#[derive(Default)]
struct StopSign(Mutex<Option<Stop>>);

impl StopSign {
    fn check(&self) -> Result<(), Stop> {
        self.0.lock().unwrap().map_or(Ok(()), Err)
    }

    fn set(&self, queue: &Queue, stop: Stop) {
        *self.0.lock().unwrap() = Some(stop);
        queue.wake();
    }
}

#[test]
fn space_and_a_stop_wake_a_blocked_writer() {
    type Action = fn(&Queue, &StopSign);
    let cases: [(Action, Result<u64, Stop>); 4] = [
        (
            |queue, _| {
                assert_eq!(queue.take(1, &mut VecDeque::new()), 1);
                queue.release(cost(1, 1));
            },
            Ok(0),
        ),
        (|queue, _| assert_eq!(queue.flush(), 1), Ok(0)),
        (
            |queue, stop| stop.set(queue, Stop::Interrupted),
            Err(Stop::Interrupted),
        ),
        (
            |queue, stop| stop.set(queue, Stop::Closed),
            Err(Stop::Closed),
        ),
    ];
    for (wake, outcome) in cases {
        let shared = Arc::new((queue(cost(1, 1), Leaky::No), StopSign::default()));
        shared.0.push_one(packet(1), Duration::ZERO).unwrap();
        let writer = thread::spawn({
            let shared = shared.clone();
            move || {
                let (queue, stop) = &*shared;
                let mut batch = VecDeque::from([packet(1)]);
                let pushed = queue.push(&mut batch, Duration::from_secs(60), || stop.check());
                pushed.map_err(|stopped| stopped.stop)
            }
        });
        wake(&shared.0, &shared.1);
        assert_eq!(writer.join().unwrap(), outcome);
    }
}

#[tokio::test]
async fn the_reader_awaits_content() {
    let queue = Arc::new(queue(0, Leaky::No));
    let writer = thread::spawn({
        let queue = queue.clone();
        move || queue.push_one(packet(7), Duration::ZERO)
    });
    queue.filled(1).await;
    assert_eq!(queue.try_pop().unwrap().bytes(), 7);
    writer.join().unwrap().unwrap();
}

fn batch(sizes: &[usize]) -> VecDeque<Content> {
    sizes.iter().map(|size| packet(*size)).collect()
}

#[test]
fn a_crowded_queue_slows_the_writer_and_keeps_its_limit() {
    let queue = queue(cost(5, 19), Leaky::No);
    let begun = Instant::now();
    assert_eq!(
        queue.push_all(&mut batch(&[5; 15]), Duration::MAX / 4),
        Ok(0)
    );
    assert!(begun.elapsed() < EASING, "up to three quarters it is fast");
    let begun = Instant::now();
    let timeout = Duration::from_secs(10);
    assert_eq!(queue.push_all(&mut batch(&[5; 4]), timeout), Ok(0));
    let took = begun.elapsed();
    assert!(
        took >= EASING && took < 2 * EASING,
        "once a batch: {took:?}"
    );
    assert_eq!(queue.bytes(), 95);
    let begun = Instant::now();
    let timeout = 2 * EASING;
    assert_eq!(
        queue.push_all(&mut batch(&[5]), timeout),
        Ok(1),
        "the limit"
    );
    assert!(begun.elapsed() >= timeout);
    assert!(queue.bytes() <= 95);
}

#[test]
fn content_that_was_not_queued_stays_in_its_batch() {
    let queue = Arc::new(queue(cost(5, 2), Leaky::No));
    let stop = Arc::new(StopSign::default());
    let writer = thread::spawn({
        let (queue, stop) = (queue.clone(), stop.clone());
        move || {
            let mut batch = batch(&[5, 5, 5]);
            let pushed = queue.push(&mut batch, Duration::from_secs(60), || stop.check());
            (pushed, batch.len())
        }
    });
    while queue.bytes() < 10 {
        thread::yield_now();
    }
    stop.set(&queue, Stop::Interrupted);
    let stopped = Stopped {
        stop: Stop::Interrupted,
        dropped: 0,
    };
    assert_eq!(writer.join().unwrap(), (Err(stopped), 1));
}

#[test]
fn any_space_wakes_a_full_queue_half_a_crowded_one() {
    let queue = Arc::new(queue(cost(10, 10), Leaky::No));
    queue
        .push_all(&mut batch(&[10; 8]), Duration::ZERO)
        .unwrap();
    let writer = thread::spawn({
        let queue = queue.clone();
        move || {
            let begun = Instant::now();
            let pushed = queue.push_all(&mut batch(&[10]), Duration::from_secs(60));
            (pushed, begun.elapsed() < EASING)
        }
    });
    queue.take(30, &mut VecDeque::new());
    queue.release(cost(10, 4));
    assert_eq!(writer.join().unwrap(), (Ok(0), true));
}

/// The writer frees it, unless no writer calls again.
#[test]
fn the_next_writer_or_the_driver_frees_returned_buffers() {
    let queue = queue(0, Leaky::No);
    let memory = Bytes::from(vec![0; 100]);
    let give_back = || {
        let mut released = vec![memory.clone()];
        queue.give_back(&mut released);
        assert!(!memory.is_unique());
    };
    give_back();
    queue.push_one(packet(1), Duration::ZERO).unwrap();
    assert!(memory.is_unique());
    give_back();
    queue.free_returned();
    assert!(memory.is_unique());
    give_back();
    queue.clear();
    assert!(memory.is_unique());
}

#[tokio::test]
async fn the_reader_awaits_as_many_bytes_as_it_asks_for() {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    let queue = queue(0, Leaky::No);
    let mut filled = pin!(queue.filled(20));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(filled.as_mut().poll(&mut cx).is_pending());
    queue.push_one(packet(10), Duration::ZERO).unwrap();
    assert!(filled.as_mut().poll(&mut cx).is_pending());
    queue.push_one(packet(10), Duration::ZERO).unwrap();
    assert!(filled.as_mut().poll(&mut cx).is_ready());
    while queue.try_pop().is_some() {}
    queue.push_one(packet(1), Duration::ZERO).unwrap();
    queue.end(HResult::S_OK);
    queue.filled(20).await;
}

/// The limit on taken bytes counts bytes, not packets.
#[test]
fn no_more_bytes_are_taken_than_asked_for() {
    let queue = queue(0, Leaky::No);
    queue
        .push_all(&mut batch(&[10; 9]), Duration::ZERO)
        .unwrap();
    let mut taken = VecDeque::new();
    assert_eq!(queue.take(40, &mut taken), 40);
    assert_eq!((queue.take(30, &mut taken), taken.len()), (30, 7));
    taken.clear();
    assert_eq!((queue.take(20, &mut taken), taken.len()), (20, 2));
    assert_eq!(queue.bytes(), 0);
    assert_eq!((queue.take(10, &mut taken), taken.len()), (0, 2));
}

/// A buffer of many packets does not multiply the longest wait.
#[test]
fn a_batch_waits_once_if_nothing_is_taken() {
    let queue = queue(cost(10, 1), Leaky::No);
    queue.push_one(packet(10), Duration::ZERO).unwrap();
    let begun = Instant::now();
    let timeout = Duration::from_millis(200);
    assert_eq!(queue.push_all(&mut batch(&[10; 10]), timeout), Ok(10));
    let took = begun.elapsed();
    assert!(took >= timeout && took < 2 * timeout, "{took:?}");
}

/// Content that the driver has taken counts until the peer has acknowledged it.
#[test]
fn taken_packets_count_until_they_are_released() {
    let queue = queue(cost(10, 4), Leaky::Upstream);
    let mut taken = VecDeque::new();
    queue
        .push_all(&mut batch(&[10; 4]), Duration::ZERO)
        .unwrap();
    queue.take(20, &mut taken);
    assert_eq!(queue.push_one(packet(10), Duration::ZERO), Ok(1));
    queue.release(cost(10, 1));
    assert_eq!(queue.push_one(packet(10), Duration::ZERO), Ok(0));
    queue.put_back(&mut taken);
    assert_eq!(queue.bytes(), 50);
    assert_eq!(queue.push_one(packet(10), Duration::ZERO), Ok(1));
}

#[test]
fn a_flush_keeps_headers_and_discards_packets() {
    let queue = queue(0, Leaky::No);
    fill(&queue, 8);
    assert_eq!(queue.flush(), 8);
    assert_eq!(queue.push_one(video(9, true), Duration::ZERO), Ok(0));
    assert!(matches!(queue.try_pop(), Some(Content::Header(_))));
    assert_eq!(drain(&queue), [9]);
}

#[test]
fn auto_drops_old_packets_if_upstream_is_live() {
    let queue = queue(cost(100, 2), Leaky::Auto);
    queue.set_live(true);
    let begun = Instant::now();
    let timeout = Duration::from_secs(10);
    queue.push_all(&mut batch(&[100; 3]), timeout).unwrap();
    assert!(begun.elapsed() < EASING);
    assert_eq!(queue.bytes(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_packet_that_waits_is_behind() {
    let pass = || tokio::time::advance(Duration::from_secs(1));
    let seconds = |queue: &Queue| queue.behind().as_secs();
    let queue = queue(0, Leaky::No);
    queue.push_one(header(), Duration::ZERO).unwrap();
    pass().await;
    assert_eq!(seconds(&queue), 0, "a header is not late");
    for _ in 0..3 {
        queue.push_one(packet(10), Duration::ZERO).unwrap();
        pass().await;
    }
    let mut taken = VecDeque::new();
    queue.take(1, &mut taken);
    taken.clear();
    assert_eq!(queue.take(10, &mut taken), 10);
    assert_eq!(seconds(&queue), 2);
    queue.put_back(&mut taken);
    assert_eq!(seconds(&queue), 3);
    queue.take(usize::MAX, &mut taken);
    assert_eq!(seconds(&queue), 0);
    queue.put_back(&mut taken);
    queue.flush();
    queue.push_one(video(9, true), Duration::ZERO).unwrap();
    assert_eq!((seconds(&queue), drain(&queue)), (0, vec![9]));
}

/// A queue that drops old packets for hours does not accumulate their times.
#[tokio::test(start_paused = true)]
async fn dropped_packets_are_not_behind() {
    let queue = queue(cost(10, 5), Leaky::Downstream);
    for _ in 0..1000 {
        queue.push_one(packet(10), Duration::ZERO).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(queue.behind(), Duration::from_secs(5));
}
