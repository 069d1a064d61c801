// SPDX-License-Identifier: MPL-2.0

//! Many sinks with the same buffers.

use std::sync::Mutex;

use publishing_point::{Push, Settings};

use crate::harness::expected;
use crate::rig::{LONG, Pipeline, Point, fixture};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";

/// More maps of a memory than GStreamer can count.
const BRANCHES: usize = 300;

/// Critical warnings of GStreamer.
static CRITICAL: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note_what_is_critical() {
    glib::log_set_handler(
        Some("GStreamer"),
        glib::LogLevels::LEVEL_CRITICAL,
        false,
        false,
        |_, _, message| CRITICAL.lock().unwrap().push(message.to_owned()),
    );
}

/// Returns the number of data packets of all pushes.
fn total(pushes: &[&Push]) -> usize {
    let packets = pushes.iter().map(|push| push.data_packets);
    usize::try_from(packets.sum::<u64>()).unwrap()
}

#[test]
fn hundreds_of_branches_get_all_packets() {
    note_what_is_critical();
    let point = Point::with(Settings {
        max_connections: 2 * BRANCHES,
        max_per_peer: 2 * BRANCHES,
        ..Settings::default()
    });
    let branches: Vec<_> = (0..BRANCHES)
        .map(|number| {
            let location = point.handle.url(&format!("live{number}"));
            format!("tee. ! wmspushsink async=false sync=false location={location}")
        })
        .collect();
    let pipeline = Pipeline::new(&format!(
        "filesrc location={} blocksize=1500 ! tee name=tee {} name=sink",
        fixture(AUDIO_VIDEO),
        branches.join(" ")
    ));
    pipeline.play();
    // EOS is sent to one branch after the other: their ends would take 250 ms each.
    let mut expected = expected(AUDIO_VIDEO);
    expected.pop();
    let packets = expected.len() - 1;
    // A slow machine takes longer for all of them, but not for one of each.
    for each in 1..=packets {
        let some_there = |pushes: &[&Push]| total(pushes) >= each * BRANCHES;
        let pushes = point.handle.wait_for_pushes(some_there, LONG);
        assert!(pushes.is_some(), "{:#?}", pipeline.messages_left());
    }
    for push in point.handle.pushes() {
        assert_eq!(push.data_packets, packets as u64, "{}", push.point);
        assert!(push.received.starts_with(&expected), "{}", push.point);
    }
    drop(pipeline);
    let critical = CRITICAL.lock().unwrap();
    assert!(
        critical.is_empty(),
        "{} times {:?}",
        critical.len(),
        critical[0]
    );
}
