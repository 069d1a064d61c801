// SPDX-License-Identifier: MPL-2.0

//! WARNINGs about input that is sent, but that players cannot use.

use gst::prelude::*;
use gstwmspush::asf::{Item, Reader};

use publishing_point::Push;

use crate::rig::{LONG, Pipeline, Point, fixture_bytes, long_file, text};

/// Returns the reasons and texts of the WARNINGs of a file.
fn warnings(name: &str) -> Vec<(String, String)> {
    let point = Point::new();
    let pipeline = Pipeline::file(name, &point.location(), "");
    pipeline.play();
    warnings_until_eos(&pipeline)
}

fn warnings_until_eos(pipeline: &Pipeline) -> Vec<(String, String)> {
    let bus = pipeline.pipeline.bus().unwrap();
    let wanted = [gst::MessageType::Warning, gst::MessageType::Eos];
    let timeout = gst::ClockTime::try_from(LONG).unwrap();
    let mut warnings = Vec::new();
    loop {
        let message = bus.timed_pop_filtered(timeout, &wanted).expect("EOS");
        let gst::MessageView::Warning(warning) = message.view() else {
            return warnings;
        };
        let reason = text(warning.details().unwrap(), "reason").to_owned();
        let hint = text(warning.details().unwrap(), "hint");
        warnings.push((reason, format!("{} {hint}", warning.error().message())));
    }
}

/// B10: video at 1,000 hours beside audio at 0, and alone.
#[test]
fn absurd_times_are_reported_with_their_cure() {
    for (name, expected) in [
        (
            "av_1000h_asfmux_p1500_streamable.asf",
            &["absurd-times"][..],
        ),
        ("video_1000h_asfmux_p1500_streamable.asf", &["absurd-times"]),
        ("concat_same_file_ffmpeg_p3200.bin", &[]),
    ] {
        let warnings = warnings(name);
        let reasons: Vec<_> = warnings.iter().map(|(reason, _)| reason).collect();
        assert_eq!(reasons, expected, "{name}: {warnings:?}");
        let has_cure = |(_, text): &(_, String)| text.contains("identity single-segment=true");
        assert!(warnings.iter().all(has_cure), "{warnings:?}");
        let has_fact = |(_, text): &(_, String)| text.contains(", and players cannot follow. ");
        assert!(warnings.iter().all(has_fact), "{warnings:?}");
    }
}

/// A file that the application ends in the middle of a packet is not cut off; one that ends there is.
#[test]
fn only_a_file_ending_in_a_packet_is_cut_off() {
    // Blocks of two packets: each one ends in a packet, by as much as the header has.
    let path = long_file(3_000_000);
    let push = |path: &str| {
        let point = Point::new();
        let pipeline = Pipeline::new(&format!(
            "filesrc location={path} blocksize=3000 ! wmspushsink name=sink location={}",
            point.location()
        ));
        (point, pipeline)
    };
    let (point, pipeline) = push(&path);
    pipeline.play();
    let streams = |pushes: &[&Push]| pushes.iter().any(|push| push.data_packets > 2);
    point.handle.wait_for_pushes(streams, LONG).expect("data");
    pipeline.pipeline.send_event(gst::event::Eos::new());
    assert_eq!(warnings_until_eos(&pipeline), []);

    let bytes = fixture_bytes("av_asfmux_p1500_streamable.asf");
    let cut = format!("{path}.cut");
    std::fs::write(&cut, &bytes[..bytes.len() - 700]).unwrap();
    let (_point, pipeline) = push(&cut);
    pipeline.play();
    let warnings = warnings_until_eos(&pipeline);
    let [(_, text)] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(
        text.starts_with("Left out 800 bytes, a part of a data packet"),
        "{text}"
    );
    std::fs::remove_file(cut).unwrap();
}

/// B9: asfmux puts 64 payloads into a packet.
#[test]
fn packets_that_are_split_are_not_malformed() {
    assert_eq!(warnings("audio_64_payloads_asfmux_p20000.asf"), []);
}

/// Returns the bytes of a header and of an unreadable packet.
fn malformed() -> [Vec<u8>; 2] {
    let mut reader = Reader::new();
    reader.push(fixture_bytes("malformed_packet2_prop_flags_00_ffmpeg.asf").into());
    let mut header = None;
    loop {
        match reader.next_item().unwrap().expect("a malformed packet") {
            Item::Header(found) => header = Some(found.as_bytes().to_vec()),
            Item::DataUnit(packet) if packet.defect().is_some() => {
                return [header.unwrap(), packet.as_bytes().to_vec()];
            }
            _ => {}
        }
    }
}

/// B9
#[test]
fn many_malformed_packets_are_two_warnings() {
    /// Data packets that the header announces.
    const ANNOUNCED: usize = 7;
    let point = Point::new();
    let pipeline = Pipeline::new(&format!(
        "appsrc name=source max-bytes=0 ! wmspushsink name=sink sync=false location={}",
        point.location()
    ));
    pipeline.play();
    let source = pipeline.pipeline.by_name("source").unwrap();
    let [header, packet] = malformed();
    for bytes in std::iter::once(&header).chain(std::iter::repeat_n(&packet, ANNOUNCED)) {
        let buffer = gst::Buffer::from_slice(bytes.clone());
        let pushed = source.emit_by_name::<gst::FlowReturn>("push-buffer", &[&buffer]);
        assert_eq!(pushed, gst::FlowReturn::Ok);
    }
    let _ = source.emit_by_name::<gst::FlowReturn>("end-of-stream", &[]);
    let messages = pipeline.messages_until("EOS");
    let reported = messages
        .iter()
        .filter(|line| line.contains("malformed-packet"));
    assert_eq!(reported.count(), 2, "the first and the last: {messages:#?}");
    assert_eq!(point.ended().data_packets, ANNOUNCED as u64);
}
