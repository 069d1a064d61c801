// SPDX-License-Identifier: MPL-2.0

//! The pipelines of the README with real encoders and muxers: the server receives what a file receives.

use std::path::PathBuf;
use std::time::Duration;

use gst::prelude::*;
use gstwmspush::asf::{Item, Reader};
use gstwmspush::wmhttp::HResult;
use publishing_point::{Event, PublishingPoint, Push, Settings};

const LONG: Duration = Duration::from_secs(60);

struct Outcome {
    push: Push,
    /// The output of the filesink beside the element.
    file: PathBuf,
    violations: Vec<String>,
    recording: PathBuf,
    warnings: usize,
}

/// Runs `producer`, which ends in an element called `m`, through a tee into a file and into the element.
fn run(name: &str, producer: &str) -> Outcome {
    gst::init().unwrap();
    gstwmspush::plugin_register_static().unwrap();
    let directory =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("pushed.asf");
    let settings = Settings {
        keep: true,
        record: Some(directory.clone()),
        ..Settings::default()
    };
    let point = PublishingPoint::bind(settings).unwrap().spawn().unwrap();
    let description = format!(
        "{producer} m. ! tee name=t  t. ! queue ! wmspushsink location={}  t. ! queue ! filesink location={}",
        point.url("live"),
        file.display()
    );
    let pipeline = gst::parse::launch(&description).unwrap();
    let warnings = play(&pipeline);
    let over = |pushes: &[&Push]| pushes.iter().any(|push| push.over);
    let push = point
        .wait_for_pushes(over, LONG)
        .expect("a push that ends")
        .remove(0);
    let recorded = point.wait_for(|event| matches!(event, Event::Recorded { .. }), LONG);
    let Some(Event::Recorded {
        path: recording, ..
    }) = recorded
    else {
        panic!("no recording")
    };
    let mut violations = Vec::new();
    while let Some(Event::Violation { violation, .. }) = point.wait_for(
        |event| matches!(event, Event::Violation { .. }),
        Duration::ZERO,
    ) {
        violations.push(violation.to_string());
    }
    Outcome {
        push,
        file,
        violations,
        recording,
        warnings,
    }
}

/// Plays to EOS, and returns the number of warnings.
fn play(pipeline: &gst::Element) -> usize {
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let types = [
        gst::MessageType::Eos,
        gst::MessageType::Error,
        gst::MessageType::Warning,
    ];
    let mut warnings = 0;
    loop {
        let message = bus
            .timed_pop_filtered(gst::ClockTime::from_seconds(60), &types)
            .expect("EOS in time");
        match message.view() {
            gst::MessageView::Error(error) => panic!("{}: {:?}", error.error(), error.debug()),
            gst::MessageView::Warning(_) => warnings += 1,
            _ => break,
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    warnings
}

/// Asserts that the push has every packet of the file, without padding, and nothing else.
fn assert_same_packets(outcome: &Outcome, at_least: usize) {
    let mut reader = Reader::new();
    reader.push(std::fs::read(&outcome.file).unwrap().into());
    let mut packets = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::DataUnit(packet) = item {
            let unpadded = packet.without_padding();
            packets.push([unpadded.head.as_slice(), &unpadded.body].concat());
        }
    }
    assert!(packets.len() >= at_least, "only {} packets", packets.len());
    let data: Vec<_> = outcome.push.data().map(|packet| packet.to_vec()).collect();
    assert_eq!(data, packets);
    assert_eq!(outcome.push.headers().count(), 1);
    assert_eq!(outcome.push.end, Some(HResult::S_OK));
    assert_eq!(outcome.violations, [""; 0]);
    assert_eq!(outcome.warnings, 0);
}

/// Decodes a recording, and returns the numbers of pictures and of sound buffers.
fn decode(recording: &std::path::Path) -> (usize, usize) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let description = format!(
        "filesrc location={} ! asfdemux name=d  d.video_0 ! queue ! avdec_wmv2 ! fakesink name=video sync=false \
         d.audio_0 ! queue ! avdec_wmav2 ! fakesink name=audio sync=false",
        recording.display()
    );
    let pipeline = gst::parse::launch(&description)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    let counts = ["video", "audio"].map(|name| {
        let count = Arc::new(AtomicUsize::new(0));
        let pad = pipeline.by_name(name).unwrap().static_pad("sink").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, {
            let count = count.clone();
            move |_, _| {
                count.fetch_add(1, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            }
        });
        count
    });
    play(pipeline.upcast_ref());
    let [video, audio] = counts.map(|count| count.load(Ordering::Relaxed));
    (video, audio)
}

/// The pipeline of the README: all of the live picture and tone is received and can be decoded.
/// C-043, C-044
#[test]
fn live_picture_and_tone_through_asfmux() {
    let outcome = run(
        "asfmux",
        "videotestsrc is-live=true num-buffers=90 ! avenc_wmv2 ! identity single-segment=true ! asfmux name=m streamable=true \
         audiotestsrc is-live=true num-buffers=130 ! avenc_wmav2 ! m.",
    );
    assert_same_packets(&outcome, 20);
    let (video, audio) = decode(&outcome.recording);
    // The muxer omits the same data in both at its end.
    assert_eq!((video, audio), decode(&outcome.file));
    assert!(video > 80 && audio > 50, "{video}, {audio}");
}

/// avmux_asf sends no caps, reports that it is not live, and writes its header again at the end.
#[test]
fn live_picture_through_avmux_asf() {
    let outcome = run(
        "avmux",
        "videotestsrc is-live=true num-buffers=60 ! avenc_wmv2 ! identity single-segment=true ! avmux_asf name=m",
    );
    assert_same_packets(&outcome, 10);
}

/// Without `streamable`, asfmux queries whether it can seek; the answer makes it stream.
#[test]
fn tone_through_asfmux_that_asks_whether_it_can_seek() {
    let outcome = run(
        "asking",
        "audiotestsrc num-buffers=100 ! avenc_wmav2 ! asfmux name=m",
    );
    let header = outcome.push.headers().next().unwrap();
    let header = gstwmspush::asf::FileHeader::parse(header.clone()).unwrap();
    assert!(header.is_broadcast());
    assert_eq!(outcome.push.end, Some(HResult::S_OK));
    assert!(outcome.push.data_packets > 5);
}

/// Every `gst-launch-1.0` of the README and the recipes is split by a shell's rules and parsed as that program does.
#[test]
fn the_pipelines_of_the_documentation_are_pipelines() {
    gst::init().unwrap();
    gstwmspush::plugin_register_static().unwrap();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let pages = ["README.md", "docs/recipes.md"]
        .map(|page| std::fs::read_to_string(root.join(page)).unwrap());
    let pages = pages.concat().replace("\\\n", " ");
    let commands = pages
        .lines()
        .filter_map(|line| line.strip_prefix("$ gst-launch-1.0 "));
    let mut pipelines = 0;
    for command in commands {
        let arguments = glib::shell_parse_argv(command).unwrap();
        let arguments = arguments.iter().map(|argument| argument.to_str().unwrap());
        let is_option = |argument: &&str| argument.starts_with('-');
        let arguments: Vec<_> = arguments.skip_while(is_option).collect();
        if let Err(error) = gst::parse::launchv(&arguments) {
            panic!("{command}: {error}");
        }
        pipelines += 1;
    }
    assert!(pipelines >= 15, "{pipelines}");
}
