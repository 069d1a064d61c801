// SPDX-License-Identifier: MPL-2.0

//! A stream that is late, silent or ends early does not block the other.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use gst::prelude::*;

use super::recording::decode;
use super::rig::{Pipeline, Point};

/// Returns a pipeline of ten seconds of live picture and sound; frames and buffers can be dropped behind the identities
/// `video` and `audio`.
fn pipeline(point: &Point, seconds: u32) -> Pipeline {
    let pictures = 20 * seconds;
    let buffers = 40 * seconds;
    Pipeline::new(
        point,
        &format!(
            "videotestsrc is-live=true num-buffers={pictures} ! video/x-raw,width=160,height=120,framerate=20/1 \
             ! identity name=video ! wmspushbin name=bin \
             audiotestsrc is-live=true num-buffers={buffers} samplesperbuffer=1200 ! audio/x-raw,rate=48000,channels=2 \
             ! identity name=audio ! bin."
        ),
    )
}

/// Drops the buffers of these milliseconds.
fn silence(pipeline: &Pipeline, name: &str, times: Range<u64>) {
    let pad = pipeline.element(name).static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let time = info.buffer().and_then(|buffer| buffer.pts());
        match time.is_some_and(|time| times.contains(&time.mseconds())) {
            true => gst::PadProbeReturn::Handled,
            false => gst::PadProbeReturn::Ok,
        }
    });
}

#[test]
fn a_stream_that_ends_early_does_not_end_the_other() {
    for (name, ends) in [("video", "audio"), ("audio", "video")] {
        let point = Point::new(&format!("early-{name}"));
        let pipeline = pipeline(&point, 4);
        let pad = pipeline.element(name).static_pad("src").unwrap();
        let begun = OnceLock::new();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            // A live source begins late on a busy machine.
            let time = info.buffer().unwrap().pts().unwrap();
            if time < *begun.get_or_init(|| time) + gst::ClockTime::SECOND {
                return gst::PadProbeReturn::Ok;
            }
            pad.push_event(gst::event::Eos::new());
            gst::PadProbeReturn::Remove
        });
        assert_eq!(pipeline.run(), [""; 0]);
        let (video, audio) = decode(&point.recording());
        let (short, long) = match ends {
            "audio" => (&video[0], &audio[0]),
            _ => (&audio[0], &video[0]),
        };
        let length = short.last() - short.first();
        assert!((900..1200).contains(&length), "{length}");
        assert!(long.last() > 3800, "{}", long.last());
        assert!(long.longest_gap() < 100, "{}", long.longest_gap());
    }
}

/// The end of the silence of [`late`].
struct Late {
    /// The first data packet has arrived.
    data_arrived: AtomicBool,
    /// Milliseconds of the first and of the last buffer of the other stream.
    first: OnceLock<u64>,
    last: AtomicU64,
    /// Milliseconds of the first buffer, and of `last` then.
    begun: OnceLock<(u64, u64)>,
}

/// Drops the buffers of one stream for three seconds, and until data has arrived.
fn late(pipeline: &Pipeline, name: &str, other: &str) -> Arc<Late> {
    let late = Arc::new(Late {
        data_arrived: AtomicBool::new(false),
        first: OnceLock::new(),
        last: AtomicU64::new(0),
        begun: OnceLock::new(),
    });
    let probe = |name, each: fn(&Late, u64) -> gst::PadProbeReturn| {
        let (pad, late) = (pipeline.element(name).static_pad("src"), late.clone());
        pad.unwrap()
            .add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                each(&late, info.buffer().unwrap().pts().unwrap().mseconds())
            });
    };
    probe(other, |late, time| {
        late.first.get_or_init(|| time);
        late.last.store(time, Ordering::SeqCst);
        gst::PadProbeReturn::Ok
    });
    probe(name, |late, time| {
        if time < 3000 || !late.data_arrived.load(Ordering::SeqCst) {
            return gst::PadProbeReturn::Handled;
        }
        let last = || late.last.load(Ordering::SeqCst);
        late.begun.get_or_init(|| (time, last()));
        gst::PadProbeReturn::Ok
    });
    late
}

/// The first header has one stream, the second has both.
#[test]
fn a_late_stream_begins_with_its_own_header() {
    for (name, other) in [("video", "audio"), ("audio", "video")] {
        let point = Point::new(&format!("late-{name}"));
        let pipeline = pipeline(&point, 5);
        let late = late(&pipeline, name, other);
        pipeline.play();
        point.data(1);
        late.data_arrived.store(true, Ordering::SeqCst);
        pipeline.wait_for_eos();
        // On a busy machine live sources begin late, and one is ahead of the other.
        let first = late.first.get().unwrap();
        let (begun, last) = late.begun.get().expect("a late stream");
        let (begun, skew) = (begun - first, begun.abs_diff(*last));
        let (video, audio) = decode(&point.recording());
        assert_eq!(video.len() + audio.len(), 1);
        let alone = video.iter().chain(&audio).next().unwrap();
        let early = begun.abs_diff(alone.last());
        assert!(early < 300 + skew, "{early} ms, {skew} ms");
        let (video, audio) = decode(&point.recording());
        let apart = video[0].first().abs_diff(audio[0].first());
        assert!(apart < 150 + skew, "{apart} ms, {skew} ms");
        let rest = 4700_u64.saturating_sub(begun);
        assert!(
            video[0].last() > rest && audio[0].last() > rest,
            "{rest} ms"
        );
    }
}

/// Silence and the last picture fill gaps, and nothing stops.
#[test]
fn a_gap_is_filled_and_reported() {
    for name in ["video", "audio"] {
        let point = Point::new(&format!("gap-{name}"));
        let pipeline = pipeline(&point, 7);
        silence(&pipeline, name, 1000..5000);
        let warnings = pipeline.run();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(&format!("{name}_0")), "{warnings:?}");
        let (video, audio) = decode(&point.recording());
        assert_eq!(point.running.pushes()[0].headers().count(), 1);
        for stream in [&video[0], &audio[0]] {
            assert!(stream.longest_gap() < 2000, "{}", stream.longest_gap());
            assert!(stream.last() > 6700, "{}", stream.last());
        }
    }
}

/// Before its first data, appsrc announces no caps, so the bin has no elements for it.
#[test]
fn a_live_source_without_any_data_is_reported() {
    let point = Point::new("no-data");
    let source =
        "appsrc is-live=true caps=video/x-raw,format=I420,width=320,height=240,framerate=25/1";
    let pipeline = Pipeline::new(&point, &format!("{source} ! wmspushbin name=bin"));
    pipeline.play();
    let types = [gst::MessageType::Warning, gst::MessageType::Error];
    match pipeline.message(&types).view() {
        gst::MessageView::Warning(warning) => {
            let details = warning.details().unwrap();
            assert_eq!(details.get::<String>("reason").unwrap(), "no-input");
        }
        other => panic!("{other:?}"),
    }
}

/// Upstream has nothing, and says so: a filling does not wait.
#[test]
fn gap_events_are_filled_at_once() {
    for name in ["video", "audio"] {
        let point = Point::new(&format!("gap-event-{name}"));
        let pipeline = pipeline(&point, 4);
        let pad = pipeline.element(name).static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| {
            let buffer = info.buffer().unwrap();
            let start = buffer.pts().unwrap();
            if !(1000..3500).contains(&start.mseconds()) {
                return gst::PadProbeReturn::Ok;
            }
            let gap = gst::event::Gap::builder(start).duration(buffer.duration());
            pad.push_event(gap.build());
            gst::PadProbeReturn::Handled
        });
        assert_eq!(pipeline.run(), [""; 0]);
        let (video, audio) = decode(&point.recording());
        for stream in [&video[0], &audio[0]] {
            assert!(stream.longest_gap() <= 100, "{}", stream.longest_gap());
            assert!(stream.last() > 3700, "{}", stream.last());
        }
    }
}

/// An encoded stream cannot be filled: it leaves the header, and returns with a new one.
#[test]
fn a_gap_in_an_encoded_stream_makes_new_headers() {
    let point = Point::new("gap-encoded");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc is-live=true num-buffers=100 ! video/x-raw,width=160,height=120,framerate=20/1 ! wmspushbin name=bin \
         audiotestsrc is-live=true num-buffers=200 samplesperbuffer=1200 ! audio/x-raw,rate=48000,channels=2 \
         ! identity name=audio ! avenc_wmav2 ! bin.",
    );
    silence(&pipeline, "audio", 1000..4000);
    let warnings = pipeline.run();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let (video, audio) = decode(&point.recording());
    assert!(audio[0].last() < 1200 && video[0].last() > 3500);
    let (video, audio) = decode(&point.recording());
    assert!(audio[0].last() > 700 && video[0].last() > 700);
}

/// A demuxer delivers both streams from one thread, which asfmux alone would block.
#[test]
fn one_thread_may_deliver_both_streams() {
    let point = Point::new("one-thread");
    let file = format!(
        "{}/one-thread-{}.mkv",
        env!("CARGO_TARGET_TMPDIR"),
        std::process::id()
    );
    let make = format!(
        "videotestsrc num-buffers=60 ! video/x-raw,width=64,height=64 ! matroskamux name=m ! filesink location={file} \
         audiotestsrc num-buffers=90 ! audio/x-raw,format=S16LE ! m."
    );
    let make = gst::parse::launch(&make).unwrap();
    make.set_state(gst::State::Playing).unwrap();
    let eos = make.bus().unwrap();
    eos.timed_pop_filtered(gst::ClockTime::from_seconds(30), &[gst::MessageType::Eos])
        .unwrap();
    make.set_state(gst::State::Null).unwrap();
    let pipeline = Pipeline::new(
        &point,
        &format!(
            "filesrc location={file} ! matroskademux name=d  d.video_0 ! wmspushbin name=bin sync=false  d.audio_0 ! bin."
        ),
    );
    assert_eq!(pipeline.run(), [""; 0]);
    std::fs::remove_file(file).unwrap();
    let (video, audio) = decode(&point.recording());
    assert_eq!(video[0].buffers.len(), 60);
    assert!(audio[0].last() > 1900);
}
