// SPDX-License-Identifier: MPL-2.0

//! The kinds of streams: one kind alone, several, encoded ones, tags, and the application's elements.

#[cfg(unix)]
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Command;

use gst::prelude::*;

use super::recording::decode;
use super::rig::{LONG, Pipeline, Point};

#[test]
fn each_kind_of_stream_can_be_alone() {
    for (name, source, counts) in [
        ("video", "videotestsrc num-buffers=30", (1, 0)),
        ("audio", "audiotestsrc num-buffers=50", (0, 1)),
    ] {
        let point = Point::new(name);
        let pipeline = Pipeline::new(&point, &format!("{source} ! wmspushbin name=bin"));
        assert_eq!(pipeline.run(), [""; 0]);
        let (video, audio) = decode(&point.recording());
        assert_eq!((video.len(), audio.len()), counts);
    }
}

#[test]
fn several_audio_streams_can_accompany_a_picture() {
    let point = Point::new("several");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=30 ! wmspushbin name=bin sync=false \
         audiotestsrc num-buffers=50 ! bin.audio_0  audiotestsrc num-buffers=50 freq=880 ! bin.audio_1",
    );
    assert_eq!(pipeline.run(), [""; 0]);
    let (video, audio) = decode(&point.recording());
    assert_eq!((video.len(), audio.len()), (1, 2));
    assert!(audio.iter().all(|audio| audio.last() > 1000));
}

#[test]
fn encoded_streams_pass_through() {
    let point = Point::new("encoded");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=30 ! avenc_wmv1 ! wmspushbin name=bin sync=false \
         audiotestsrc num-buffers=50 ! avenc_wmav1 ! bin.",
    );
    assert_eq!(pipeline.run(), [""; 0]);
    let (video, audio) = decode(&point.recording());
    assert_eq!(video[0].buffers.len(), 30);
    assert!(audio[0].last() > 1000);
}

#[test]
fn a_stream_that_the_muxer_refuses_is_an_error() {
    let point = Point::new("refused");
    let source = "appsrc name=source format=time caps=video/x-h264,stream-format=avc,alignment=au";
    let pipeline = Pipeline::new(&point, &format!("{source} ! wmspushbin name=bin"));
    pipeline.play();
    let source = pipeline.element("source");
    let mut buffer = gst::Buffer::with_size(100).unwrap();
    buffer.get_mut().unwrap().set_pts(gst::ClockTime::ZERO);
    let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
    assert_eq!(pushed, gst::FlowReturn::Ok);
    let error = pipeline.error();
    assert!(error.matches(gst::StreamError::WrongType), "{error}");
    assert!(error.message().contains("video/x-h264"), "{error}");
}

/// The usual mistake: a file without `decodebin`.
#[test]
fn data_without_caps_is_one_error_with_a_pipeline() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, start, words) in [
        (
            "film.mkv",
            &b"\x1A\x45\xDF\xA3\x9F\x42\x86\x81"[..],
            "Matroska or WebM. Decode it",
        ),
        (
            "film.wmv",
            &[
                0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0, 0xAA, 0, 0x62, 0xCE,
                0x6C,
            ],
            "receives ASF",
        ),
        ("zeros.raw", &[0; 100], "Set the caps of the source"),
    ] {
        let path = folder.join(format!("{}-{name}", std::process::id()));
        std::fs::write(&path, start).unwrap();
        let point = Point::new(name);
        let pipeline = Pipeline::new(
            &point,
            &format!("filesrc location={} ! wmspushbin name=bin", path.display()),
        );
        pipeline.pipeline.set_auto_flush_bus(false);
        let (sender, at_end) = std::sync::mpsc::channel();
        let pad = pipeline.bin.static_pad("video_0").unwrap();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if info
                .event()
                .is_some_and(|event| event.type_() == gst::EventType::Eos)
            {
                let _ = sender.send(());
            }
            gst::PadProbeReturn::Ok
        });
        pipeline.play();
        let error = pipeline.error();
        assert!(error.matches(gst::StreamError::WrongType), "{error}");
        assert!(error.message().contains(words), "{error}");
        at_end.recv_timeout(LONG).unwrap();
        // NULL waits for the streaming thread, which is sending EOS.
        pipeline.stop();
        let bus = pipeline.pipeline.bus().unwrap();
        let second = bus.pop_filtered(&[gst::MessageType::Error]);
        assert!(second.is_none(), "{second:?}");
        std::fs::remove_file(&path).unwrap();
    }
}

/// The text names the element that does not fit, and the property that sets it.
#[test]
fn an_element_that_does_not_fit_is_an_error() {
    for (property, factory, words) in [
        (
            "video-encoder",
            "jpegenc",
            ["image/jpeg, which jpegenc makes", "Set video-encoder"],
        ),
        (
            "video-encoder",
            "fakesink",
            [
                "encoder fakesink does not accept video/x-raw",
                "Set video-encoder",
            ],
        ),
        (
            "audio-encoder",
            "avenc_mp2",
            ["audio/mpeg, which avenc_mp2 makes", "Set audio-encoder"],
        ),
        (
            "muxer",
            "identity",
            ["muxer identity does not accept video/x-wmv", "Set muxer"],
        ),
    ] {
        let point = Point::new(&format!("unfit-{factory}"));
        let pipeline = Pipeline::new(
            &point,
            "videotestsrc ! wmspushbin name=bin sync=false  audiotestsrc ! bin.",
        );
        let element = gst::ElementFactory::make(factory).build().unwrap();
        pipeline.bin.set_property(property, &element);
        pipeline.play();
        let error = pipeline.error();
        assert!(error.matches(gst::StreamError::WrongType), "{error}");
        for word in words {
            assert!(error.message().contains(word), "{error}");
        }
    }
}

/// Applications build their output as a bin, and `playbin` its sink.
#[test]
fn a_description_of_a_bin_gets_a_pad_of_the_bin() {
    let point = Point::new("description");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=30 name=source wmspushbin name=bin",
    );
    pipeline.pipeline.remove(&pipeline.bin).unwrap();
    let description = "videoconvert ! queue ! wmspushbin name=inner sync=false";
    let output = gst::parse::bin_from_description(description, true).unwrap();
    let inner = output.by_name("inner").unwrap();
    inner.set_property("location", point.url());
    pipeline.pipeline.add(&output).unwrap();
    pipeline.element("source").link(&output).unwrap();
    for _ in 0..2 {
        assert_eq!(pipeline.run(), [""; 0]);
        pipeline.stop();
        let (video, _) = decode(&point.recording());
        assert_eq!(video[0].buffers.len(), 30);
        assert_eq!(output.find_unlinked_pad(gst::PadDirection::Sink), None);
    }
}

#[test]
fn elements_of_the_application_are_used() {
    let point = Point::new("application");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=30 ! wmspushbin name=bin sync=false  audiotestsrc num-buffers=50 ! bin.",
    );
    for (property, factory) in [
        ("video-encoder", "avenc_wmv1"),
        ("audio-encoder", "avenc_wmav1"),
        ("muxer", "asfmux"),
    ] {
        let element = gst::ElementFactory::make(factory).build().unwrap();
        pipeline.bin.set_property(property, &element);
        assert_eq!(
            pipeline.bin.property::<Option<gst::Element>>(property),
            Some(element)
        );
    }
    let muxer = pipeline.bin.property::<gst::Element>("muxer");
    muxer.set_property("packet-size", 1000u32);
    // asfmux cannot be reused.
    for _ in 0..2 {
        assert_eq!(pipeline.run(), [""; 0]);
        let (video, audio) = decode(&point.recording());
        assert_eq!(video[0].buffers.len(), 30);
        assert_eq!(audio[0].first(), 0);
        pipeline.stop();
    }
    for push in point.running.pushes() {
        assert!(push.data().all(|data| data.len() <= 1000));
    }
}

/// asfmux aborts the process at an emoji.
#[test]
fn tags_reach_the_header_without_emoji() {
    let point = Point::new("tags");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=30 name=source ! wmspushbin name=bin sync=false",
    );
    let pad = pipeline.element("source").static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, |pad, _| {
        let mut tags = gst::TagList::new();
        let writable = tags.make_mut();
        writable.add::<gst::tags::Title>(&"Film 🎬 eins", gst::TagMergeMode::Append);
        writable.add::<gst::tags::Artist>(&"Zoë 漢", gst::TagMergeMode::Append);
        pad.push_event(gst::event::Tag::new(tags));
        gst::PadProbeReturn::Remove
    });
    assert_eq!(pipeline.run(), [""; 0]);
    let recording = point.recording();
    for text in ["Film \u{FFFD} eins", "Zoë 漢"] {
        assert_holds_text(&recording, text);
    }
}

fn assert_holds_text(recording: &Path, text: &str) {
    let recording = std::fs::read(recording).unwrap();
    let bytes: Vec<_> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(
        recording.windows(bytes.len()).any(|window| window == bytes),
        "{text}"
    );
}

/// An application sets tags on the bin, or on its muxer, also some that abort asfmux.
#[test]
fn tags_set_on_elements_reach_the_header() {
    let point = Point::new("tag-setters");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc num-buffers=30 ! wmspushbin name=bin sync=false",
    );
    let muxer = gst::ElementFactory::make("asfmux").build().unwrap();
    let tagged = |element: &gst::Element, title: &str, artist: &str| {
        let setter = element.dynamic_cast_ref::<gst::TagSetter>().unwrap();
        let mode = gst::TagMergeMode::Replace;
        setter.add_tag::<gst::tags::Title>(&title, mode);
        setter.add_tag::<gst::tags::Artist>(&artist, mode);
    };
    let long = "x".repeat(70_000);
    tagged(&muxer, "Muxer 🎬", &long);
    pipeline.bin.set_property("muxer", &muxer);
    // The second run has a muxer of its own.
    for _ in 0..2 {
        assert_eq!(pipeline.run(), [""; 0]);
        assert_holds_text(&point.recording(), "Muxer \u{FFFD}");
        pipeline.stop();
    }
    tagged(&pipeline.bin, "Bin 🎬", "Zoë");
    assert_eq!(pipeline.run(), [""; 0]);
    let recording = point.recording();
    assert_holds_text(&recording, "Bin \u{FFFD}");
    assert_holds_text(&recording, "Zoë");
    decode(&recording);
}

/// A tiny static picture makes frames of a few bytes. In packets with room for more than 63 of them, asfmux writes
/// unreadable packets.
#[test]
fn small_frames_fit_their_packets() {
    let point = Point::new("small");
    let pipeline = Pipeline::new(
        &point,
        "videotestsrc pattern=black num-buffers=500 ! video/x-raw,width=16,height=16,framerate=50/1 \
         ! wmspushbin name=bin sync=false key-frame-interval=60000",
    );
    assert_eq!(pipeline.run(), [""; 0], "no malformed-packet");
    let (video, _) = decode(&point.recording());
    assert_eq!(video[0].buffers.len(), 500);
}

/// Returns a folder with links to the plugins that `wmspushbin` needs, except the encoders.
#[cfg(unix)]
fn plugins_without_encoders() -> PathBuf {
    let name = format!("plugins-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for feature in [
        "queue",
        "videotestsrc",
        "videoconvert",
        "videoscale",
        "asfmux",
    ] {
        let factory = gst::ElementFactory::find(feature).unwrap();
        let file = factory.plugin().unwrap().filename().unwrap();
        // Fails if two elements are in one plugin.
        let _ = std::os::unix::fs::symlink(&file, folder.join(file.file_name().unwrap()));
    }
    folder
}

/// Runs the pipeline in its argument, and prints each message of its elements up to an ERROR.
#[cfg(unix)]
const SHOW_MESSAGES: &str = r#"
import sys, gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
pipeline = Gst.parse_launch(sys.argv[1])
pipeline.set_state(Gst.State.PLAYING)
bus, wanted = pipeline.get_bus(), Gst.MessageType.ELEMENT | Gst.MessageType.ERROR
seconds = 30
while seconds and (message := bus.timed_pop_filtered(seconds * Gst.SECOND, wanted)):
    if message.type == Gst.MessageType.ERROR:
        print("ERROR: from", message.src.get_name(), message.parse_error().gerror.message)
        seconds = 1
    else:
        print(message.get_structure().to_string())
pipeline.set_state(Gst.State.NULL)
"#;

/// Runs in another process, with plugins but without encoders.
#[cfg(unix)]
#[test]
fn a_missing_encoder_is_named_with_its_package() {
    let point = Point::new("missing");
    let folder = plugins_without_encoders();
    let pipeline = format!(
        "videotestsrc is-live=true ! wmspushbin location={}",
        point.url()
    );
    // The system's Python has GStreamer's bindings. gst-launch-1.0 drops messages that come before an ERROR.
    let output = Command::new("timeout")
        .args(["60", "/usr/bin/python3", "-c", SHOW_MESSAGES, &pipeline])
        .env("GST_PLUGIN_PATH", crate::plugin::directory())
        .env("GST_PLUGIN_SYSTEM_PATH", &folder)
        .env("GST_REGISTRY", folder.join("registry.bin"))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let told = format!("{shown}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("missing-plugin"), "{told}");
    assert!(told.contains("detail=(string)avenc_wmv2"), "{told}");
    let is_error = |line: &&str| line.starts_with("ERROR: from");
    let errors: Vec<_> = told.lines().filter(is_error).collect();
    assert_eq!(errors.len(), 1, "{told}");
    for word in ["avenc_wmv2", "gstreamer1.0-libav"] {
        assert!(errors[0].contains(word), "{told}");
    }
}
