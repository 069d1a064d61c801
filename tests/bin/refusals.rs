// SPDX-License-Identifier: MPL-2.0

//! Streams that cannot be pushed: one ERROR, of the bin, that says what to do.

use gst::prelude::*;

use super::rig::{Pipeline, Point};

/// Pushes one buffer through `appsrc`, and returns the text of the only ERROR.
fn refused(name: &str, source: &str) -> String {
    let point = Point::new(name);
    let pipeline = Pipeline::new(
        &point,
        &format!("appsrc name=source format=time {source} ! wmspushbin name=bin"),
    );
    pipeline.play();
    let source = pipeline.element("source");
    let mut buffer = gst::Buffer::with_size(1024).unwrap();
    buffer.get_mut().unwrap().set_pts(gst::ClockTime::ZERO);
    let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
    assert_eq!(pushed, gst::FlowReturn::Ok);
    let ended = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    assert_eq!(ended, gst::FlowReturn::Ok);
    let message = pipeline.message(&[gst::MessageType::Error]);
    assert_eq!(message.src(), Some(pipeline.bin.upcast_ref()));
    pipeline.pipeline.set_state(gst::State::Ready).unwrap();
    let bus = pipeline.pipeline.bus().unwrap();
    assert!(bus.pop_filtered(&[gst::MessageType::Error]).is_none());
    let gst::MessageView::Error(error) = message.view() else {
        unreachable!("filtered")
    };
    assert!(error.error().matches(gst::StreamError::WrongType));
    error.error().message().to_owned()
}

#[test]
fn a_stream_that_cannot_be_converted_is_one_error() {
    for (name, caps, words) in [
        (
            "huge",
            "video/x-raw,format=I420,width=40000,height=40000,framerate=30/1",
            "width 40000, height 40000",
        ),
        (
            "channels-64",
            "audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=64,channel-mask=(bitmask)0",
            "channels 64",
        ),
        ("no-fields", "audio/x-raw", "audio/x-raw cannot"),
    ] {
        let text = refused(name, &format!("caps={caps}"));
        assert!(text.contains(words), "{text}");
        assert!(text.contains("Convert it first"), "{text}");
    }
}

#[test]
fn a_change_to_what_cannot_be_converted_is_an_error() {
    let point = Point::new("change");
    let few = "audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=2";
    let many = "audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=64,channel-mask=(bitmask)0";
    let pipeline = Pipeline::new(
        &point,
        "appsrc name=source format=time ! wmspushbin name=bin sync=false",
    );
    let source = pipeline.element("source");
    pipeline.play();
    for (second, caps) in [few, many].into_iter().enumerate() {
        source.set_property("caps", caps.parse::<gst::Caps>().unwrap());
        let mut buffer = gst::Buffer::with_size(48_000 * 128).unwrap();
        let time = gst::ClockTime::from_seconds(second as u64);
        buffer.get_mut().unwrap().set_pts(time);
        let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
        assert_eq!(pushed, gst::FlowReturn::Ok);
    }
    let message = pipeline.message(&[gst::MessageType::Error]);
    assert_eq!(message.src(), Some(pipeline.bin.upcast_ref()));
}

/// `videoscale` posts an ERROR of its own, which does not say what to do, and continues. That of GStreamer 1.28 scales such
/// pictures.
#[test]
fn an_error_of_a_converter_is_one_of_the_bin() {
    let point = Point::new("long-pixels");
    let pixels = "width=321,height=241,framerate=30/1,pixel-aspect-ratio=2147483647/1";
    let pipeline = Pipeline::new(
        &point,
        &format!("videotestsrc num-buffers=9 ! video/x-raw,{pixels} ! wmspushbin name=bin"),
    );
    pipeline.play();
    let message = pipeline.message(&[gst::MessageType::Error, gst::MessageType::Eos]);
    match message.type_() {
        gst::MessageType::Error => assert_eq!(message.src(), Some(pipeline.bin.upcast_ref())),
        _ => point.data(1),
    }
}
