// SPDX-License-Identifier: MPL-2.0

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstwmspush::asf::{DataPacket, Item, Reader};
use publishing_point::{Event, Fault, MidBody, Settings, When};

use crate::rig::{LONG, Pipeline, Point, fixture, fixture_bytes, init, long_file};

/// Returns the time from the first packet to the last, by their Send Times.
fn span(name: &str) -> Duration {
    let mut reader = Reader::new();
    reader.push(fixture_bytes(name).into());
    let mut times = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::DataUnit(packet) = item {
            times.push(packet.send_time().unwrap());
        }
    }
    Duration::from_millis((times.last().unwrap() - times.first().unwrap()).into())
}

/// Returns the time from the first data packet to the last, as the server receives them.
fn taken(point: &Point) -> Duration {
    let data = |event: &Event| matches!(event, Event::Data { .. } | Event::EndOfStream { .. });
    let mut first = None;
    let mut last = Instant::now();
    loop {
        match point
            .handle
            .wait_for(data, LONG)
            .expect("data until the end")
        {
            Event::Data { .. } => {
                last = Instant::now();
                first.get_or_insert(last);
            }
            _ => return last - first.expect("data before the end"),
        }
    }
}

/// Pushes a file. Returns the ratio of the time that it takes at the server to its own.
fn pace(name: &str) -> f64 {
    let span = span(name);
    assert!(span > Duration::from_secs(2), "{name}: {span:?}");
    let point = Point::new();
    let (path, location) = (fixture(name), point.location());
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} ! wmspushsink name=sink location={location}"
    ));
    pipeline.play();
    taken(&point).as_secs_f64() / span.as_secs_f64()
}

/// A stored file is sent in real time, for any first Send Time and any buffer timestamps.
#[test]
fn a_stored_file_is_paced_by_its_send_times() {
    let names = [
        "av_index_ffmpeg_p3200.asf",
        "audio_ffmpeg_p3200.asf",
        "av_asfmux_p1500_streamable.asf",
        "video_1000h_asfmux_p1500_streamable.asf",
    ];
    let is_real_time = |ratio: &f64| (0.9..1.1).contains(ratio);
    // On a busy machine the first or the last packet may be late, but not in each of three pushes.
    let tries = |name| {
        move || {
            let mut ratios = vec![pace(name)];
            while ratios.len() < 3 && !ratios.last().is_some_and(is_real_time) {
                ratios.push(pace(name));
            }
            (name, ratios)
        }
    };
    let pushes = names.map(|name| std::thread::spawn(tries(name)));
    for push in pushes {
        let (name, ratios) = push.join().unwrap();
        assert!(
            ratios.last().is_some_and(is_real_time),
            "{name}: {ratios:?}"
        );
    }
}

#[test]
fn without_sync_a_file_is_not_paced() {
    let point = Point::new();
    let pipeline = Pipeline::file("av_index_ffmpeg_p3200.asf", &point.location(), "");
    let begun = Instant::now();
    pipeline.run();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}

/// Six packets fit: the writer waits for each acknowledgement, and not for the driver's timer.
#[test]
fn a_small_queue_does_not_throttle_a_fast_source() {
    const PACKETS: usize = 600;
    const TIMER: Duration = Duration::from_millis(100);
    let path = long_file(PACKETS * 1500);
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} ! wmspushsink name=sink sync=false max-size-bytes=15000 location={}",
        point.location()
    ));
    let begun = Instant::now();
    pipeline.run();
    let took = begun.elapsed();
    assert!(took < TIMER * (PACKETS / 7) as u32 / 2, "{took:?}");
}

/// Live input is delivered in time: a packet that a muxer has filled early is not delayed.
#[test]
fn live_input_is_not_delayed() {
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "appsrc name=source is-live=true format=time ! wmspushsink name=sink location={}",
        point.location()
    ));
    pipeline.play();
    let source = pipeline.pipeline.by_name("source").unwrap();
    // The header and the packets of three seconds at once.
    let begun = Instant::now();
    for chunk in fixture_bytes("av_index_ffmpeg_p3200.asf").chunks(3200) {
        let buffer = gst::Buffer::from_slice(chunk.to_vec());
        let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
        assert_eq!(pushed, gst::FlowReturn::Ok);
    }
    let _ = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    pipeline.messages_until("EOS");
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(point.ended().data_packets, 21);
}

fn stalling() -> Point {
    let faults = vec![(When::EveryPushStart, Fault::AfterPackets(3, MidBody::Stall))];
    Point::with(Settings {
        faults,
        ..Settings::default()
    })
}

/// A writer is blocked for at most `stall-timeout`.
#[test]
fn a_stalled_server_is_an_error_within_the_timeout() {
    let point = stalling();
    let path = long_file(40_000_000);
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} blocksize=65536 ! wmspushsink name=sink sync=false stall-timeout=1000 reconnect-timeout=0 location={}",
        point.location()
    ));
    let begun = Instant::now();
    let (_, messages) = pipeline.fail();
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/Write push stalled NS_E_NET_WRITE"
    );
    let took = begun.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_secs(4)).contains(&took),
        "{took:?}"
    );
}

/// EOS does not wait forever for a stalled server: a WARNING reports it.
#[test]
fn an_unsent_end_is_a_warning_within_the_timeout() {
    let point = stalling();
    let path = long_file(8_000_000);
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} blocksize=65536 ! wmspushsink name=sink sync=false max-size-time=0 max-size-bytes=20000000 eos-timeout=500 location={}",
        point.location()
    ));
    let begun = Instant::now();
    let messages = pipeline.run();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let warnings: Vec<_> = messages
        .iter()
        .filter(|line| line.starts_with("WARNING"))
        .collect();
    assert_eq!(
        warnings,
        [
            "WARNING RESOURCE/Write push packets-dropped NS_E_NET_WRITE",
            "WARNING RESOURCE/Write end drain-timeout NS_E_NET_WRITE"
        ]
    );
    assert_eq!(
        messages[messages.len() - 2],
        "WMT_CLOSED ending→disconnected NS_E_NET_WRITE".to_owned(),
        "{messages:#?}"
    );
}

/// An end before any data was sent is an error, not an end.
#[test]
fn an_end_without_a_connection_is_an_error() {
    let faults = vec![(When::EveryPushSetup, Fault::Silent)];
    let point = Point::with(Settings {
        faults,
        ..Settings::default()
    });
    let pipeline = Pipeline::file(
        "audio_ffmpeg_p3200.asf",
        &point.location(),
        "eos-timeout=300",
    );
    let begun = Instant::now();
    let (_, messages) = pipeline.fail();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        messages.last().unwrap(),
        "ERROR RESOURCE/OpenWrite setup response-timeout NS_E_TIMEOUT"
    );
}

/// A slow server slows the stream down before it blocks it, so that a source can still be ended.
#[test]
fn eos_is_accepted_while_the_queue_fills() {
    let point = stalling();
    let path = long_file(40_000_000);
    let pipeline = Pipeline::new(&format!(
        "filesrc location={path} blocksize=65536 ! wmspushsink name=sink sync=false max-size-bytes=4000000 max-size-time=0 eos-timeout=200 location={}",
        point.location()
    ));
    pipeline.play();
    let queued = || {
        let stats = pipeline.sink.property::<gst::Structure>("stats");
        stats.get::<u32>("queued-bytes").unwrap()
    };
    let begun = Instant::now();
    while queued() <= 3_000_000 {
        assert!(begun.elapsed() < LONG, "{} bytes wait", queued());
        std::thread::yield_now();
    }
    let begun = Instant::now();
    assert!(pipeline.pipeline.send_event(gst::event::Eos::new()));
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert!(queued() <= 4_000_000, "{} bytes wait", queued());
    pipeline.messages_until("EOS");
}

/// A sink with a clock that stops while there is no wait.
struct Paced {
    harness: gst_check::Harness,
    clock: gst_check::TestClock,
    /// The answer to the latency query.
    is_live: Arc<AtomicBool>,
    sink: gst::Element,
    point: Point,
}

impl Paced {
    /// Creates a sink that has the header, with a base time of `base_time` ms.
    fn new(base_time: u64) -> Self {
        init();
        let point = Point::new();
        let sink = gst::ElementFactory::make("wmspushsink");
        let sink = sink.property("location", point.location());
        let sink = sink.build().unwrap();
        let mut harness = gst_check::Harness::with_element(&sink, Some("sink"), None);
        sink.set_property("sync", true);
        harness.use_testclock();
        let source = harness.srcpad().unwrap();
        let is_live = Arc::<AtomicBool>::default();
        let answer = is_live.clone();
        source.add_probe(gst::PadProbeType::QUERY_UPSTREAM, move |_, info| {
            answer_latency(info, answer.load(Ordering::Acquire))
        });
        drop(source);
        sink.set_base_time(gst::ClockTime::from_mseconds(base_time));
        harness.play();
        harness.push_event(gst::event::StreamStart::new("test"));
        let clock = harness.testclock().unwrap();
        let mut paced = Self {
            harness,
            clock,
            is_live,
            sink,
            point,
        };
        paced.segment();
        let header = fixture_bytes(AUDIO_VIDEO);
        let header = header[..header.len() % 1500].to_vec();
        paced.harness.push(gst::Buffer::from_slice(header)).unwrap();
        paced
    }

    fn segment(&mut self) {
        let segment = gst::FormattedSegment::<gst::format::Time>::new();
        self.harness.push_event(gst::event::Segment::new(&segment));
    }

    /// Pushes packets with these Send Times in ms, and returns the clock times in ms for which the sink waits.
    fn waits(&mut self, send_times: impl IntoIterator<Item = u32>) -> Vec<u64> {
        let packets: Vec<_> = send_times.into_iter().map(packet_at).collect();
        let (harness, clock) = (&mut self.harness, &self.clock);
        let end = clock.new_single_shot_id(gst::ClockTime::from_seconds(1_000_000));
        let mut waits = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for packet in packets {
                    harness.push(packet).unwrap();
                }
                end.wait_async(|_, _, _| ()).unwrap();
            });
            loop {
                let next = clock.wait_for_next_pending_id();
                if next.time() == end.time() {
                    break;
                }
                waits.push(next.time().mseconds());
                clock.crank();
            }
        });
        end.unschedule();
        waits
    }
}

fn answer_latency(info: &mut gst::PadProbeInfo, is_live: bool) -> gst::PadProbeReturn {
    let latency = info.query_mut().map(gst::QueryRef::view_mut);
    let Some(gst::QueryViewMut::Latency(latency)) = latency else {
        return gst::PadProbeReturn::Ok;
    };
    latency.set(is_live, gst::ClockTime::ZERO, None);
    gst::PadProbeReturn::Handled
}

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// Returns a packet of the fixture with another Send Time, which follows its flags and two lengths of two bytes.
fn packet_bytes(send_time: u32) -> Vec<u8> {
    let bytes = fixture_bytes(AUDIO_VIDEO);
    let mut packet = bytes[bytes.len() % 1500..][..1500].to_vec();
    packet[6..10].copy_from_slice(&send_time.to_le_bytes());
    packet
}

fn packet_at(send_time: u32) -> gst::Buffer {
    gst::Buffer::from_slice(packet_bytes(send_time))
}

#[test]
fn a_base_time_in_the_future_is_waited_for() {
    let mut paced = Paced::new(3000);
    assert_eq!(paced.waits([7000, 7040, 7100]), [3000, 3040, 3100]);
}

/// After a flush the running time restarts: a pipeline sets another base time.
#[test]
fn after_a_flush_a_stream_continues_at_once() {
    let mut paced = Paced::new(0);
    let sent = [0, 2000, 4000, 6000];
    assert_eq!(paced.waits(sent), [0, 2000, 4000, 6000]);
    paced.harness.push_event(gst::event::FlushStart::new());
    paced.sink.set_base_time(paced.clock.time());
    paced.harness.push_event(gst::event::FlushStop::new(true));
    paced.segment();
    assert_eq!(paced.waits(sent), [6000, 8000, 10_000, 12_000]);
}

/// `multifilesrc loop=true`, `concat`: a stream shorter than the largest step back, among others.
#[test]
fn a_restarted_stream_continues_the_schedule() {
    let mut paced = Paced::new(0);
    assert_eq!(paced.waits([0, 2000]), [0, 2000]);
    paced.harness.push_event(gst::event::StreamStart::new("2"));
    paced.segment();
    assert_eq!(paced.waits([0, 2000]), [2000, 4000]);
}

/// An upstream element has become live: the pipeline distributes its latency again.
#[test]
fn upstream_is_queried_again_when_its_latency_changes() {
    let mut paced = Paced::new(0);
    assert_eq!(paced.waits([0, 2000]), [0, 2000]);
    paced.is_live.store(true, Ordering::Release);
    assert_eq!(paced.waits([3000]), [3000]);
    let latency = gst::event::Latency::new(gst::ClockTime::ZERO);
    paced.sink.send_event(latency);
    assert_eq!(paced.waits([9000, 12_000]), [] as [u64; 0]);
    paced.is_live.store(false, Ordering::Release);
    paced.segment();
    assert_eq!(paced.waits([12_000, 13_000]), [12_000, 13_000]);
}

/// The rest of a buffer is discarded, and so is a packet that is not due.
#[test]
fn a_flush_discards_data_that_is_not_due() {
    let mut paced = Paced::new(0);
    let packets = [0, 1000, 2000, 3000].map(packet_bytes);
    let buffer = gst::Buffer::from_slice(packets.concat());
    let pad = paced.sink.static_pad("sink").unwrap();
    std::thread::scope(|scope| {
        let pushed = scope.spawn(|| paced.harness.push(buffer));
        paced.clock.crank();
        let next = paced.clock.wait_for_next_pending_id();
        assert_eq!(next.time(), gst::ClockTime::from_seconds(1));
        let data = |event: &Event| matches!(event, Event::Data { .. });
        paced.point.handle.wait_for(data, LONG).expect("data");
        assert!(pad.send_event(gst::event::FlushStart::new()));
        assert_eq!(pushed.join().unwrap(), Err(gst::FlowError::Flushing));
    });
    assert!(pad.send_event(gst::event::FlushStop::new(true)));
    paced.segment();
    assert_eq!(paced.waits([4000]), [0]);
    paced.harness.push_event(gst::event::Eos::new());
    let push = paced.point.ended();
    let send_time = |packet: &bytes::Bytes| DataPacket::parse(packet.clone()).send_time();
    let sent: Vec<_> = push.data().map(send_time).collect();
    assert_eq!(sent, [Some(0), Some(4000)]);
}

/// In a pipeline, which sets another base time: after the seek, the push takes as long as the file.
#[test]
fn after_a_flushing_seek_a_file_takes_its_own_time() {
    let name = "av_index_ffmpeg_p3200.asf";
    let point = Point::new();
    let pipeline = Pipeline::paced(name, &point.location());
    pipeline.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        point.handle.wait_for(data, LONG).expect("data");
    }
    let start = gst::format::Bytes::from_u64(0);
    let begun = Instant::now();
    let flush = gst::SeekFlags::FLUSH;
    pipeline.pipeline.seek_simple(flush, start).unwrap();
    pipeline.messages_until("EOS");
    let (span, taken) = (span(name), begun.elapsed());
    let ratio = taken.as_secs_f64() / span.as_secs_f64();
    assert!((0.9..1.3).contains(&ratio), "{taken:?} for {span:?}");
}

#[test]
fn steps_back_in_every_other_packet_stretch_nothing() {
    let mut paced = Paced::new(0);
    let send_times = (0..20).map(|number| 1000 + 100 * number - 160 * (number % 2));
    let expected: Vec<_> = (0..20).map(|number| 200 * (number / 2)).collect();
    assert_eq!(paced.waits(send_times), expected);
}

/// `GstPipeline:delay`
#[test]
fn a_delayed_pipeline_begins_late() {
    let point = Point::new();
    let pipeline = Pipeline::paced(AUDIO_VIDEO, &point.location());
    pipeline.pipeline.set_property("delay", 1_000_000_000u64);
    pipeline.play();
    let data = |event: &Event| matches!(event, Event::Data { .. });
    let begun = Instant::now();
    point.handle.wait_for(data, LONG).expect("data");
    let waited = begun.elapsed();
    assert!(waited > Duration::from_millis(900), "{waited:?}");
    let (span, taken) = (span(AUDIO_VIDEO), taken(&point));
    assert!(taken > span / 2, "{taken:?} for {span:?}");
}
