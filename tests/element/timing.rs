// SPDX-License-Identifier: MPL-2.0

use std::time::{Duration, Instant};

use gst::prelude::*;
use gstwmspush::asf::{Item, Reader};
use gstwmspush::publishing_point::{Event, Fault, MidBody, Settings, When};

use crate::rig::{LONG, Pipeline, Point, fixture, fixture_bytes, long_file};

/// The time from the first packet to the last, by their Send Times.
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

/// From the first data packet to the last, as the server gets them.
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

/// A stored file leaves in real time, wherever its Send Times begin and whatever the buffers' timestamps say.
#[test]
fn a_stored_file_is_paced_by_its_send_times() {
    let names = [
        "av_index_ffmpeg_p3200.asf",
        "audio_ffmpeg_p3200.asf",
        "av_asfmux_p1500_streamable.asf",
        "video_1000h_asfmux_p1500_streamable.asf",
    ];
    let pushes: Vec<_> = names
        .into_iter()
        .map(|name| {
            std::thread::spawn(move || {
                let point = Point::new();
                let (path, location) = (fixture(name), point.location());
                let pipeline = Pipeline::new(&format!(
                    "filesrc location={path} ! wmspushsink name=sink location={location}"
                ));
                pipeline.play();
                (name, span(name), taken(&point))
            })
        })
        .collect();
    for push in pushes {
        let (name, span, taken) = push.join().unwrap();
        assert!(span > Duration::from_secs(2), "{name}: {span:?}");
        let ratio = taken.as_secs_f64() / span.as_secs_f64();
        assert!(
            (0.9..1.1).contains(&ratio),
            "{name}: {taken:?} for {span:?}"
        );
    }
}

#[test]
fn without_sync_a_file_goes_as_fast_as_it_can() {
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

/// What is live comes at its time: a packet that a muxer has filled early is not held back.
#[test]
fn live_input_gains_no_delay() {
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

/// A writer is blocked for no longer than `stall-timeout`.
#[test]
fn a_server_that_takes_nothing_is_an_error_in_time() {
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

/// EOS does not wait for ever for a server that takes nothing: it comes with a WARNING that says so.
#[test]
fn an_end_that_does_not_go_out_is_a_warning_in_time() {
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

/// An end before anything could be sent is an error, not an end.
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
        "ERROR RESOURCE/OpenWrite setup drain-timeout NS_E_NET_WRITE"
    );
}

/// A server that takes too little slows the stream down before it blocks it: in between, a source can still be ended.
#[test]
fn an_end_is_taken_while_the_queue_fills() {
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
