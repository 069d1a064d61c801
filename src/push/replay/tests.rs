// SPDX-License-Identifier: MPL-2.0

use super::*;
use crate::asf::testing;

fn data(number: u8) -> Content {
    Content::DataUnit(DataPacket::parse(vec![number; 100].into()))
}

/// A PushStart with `$H` of 10 bytes, and three packets of 100 bytes behind it.
fn sent() -> ReplayBuffer {
    let mut replay = ReplayBuffer::new(0);
    replay.push_start(0, Some((testing::header(100, 50, &[]), 10)));
    for number in 1..=3 {
        replay.keep(data(number), 10 + 100 * u64::from(number));
    }
    replay
}

/// Returns the content to be sent again: `H`, `E`, or the number of a packet.
fn again(replay: &mut ReplayBuffer) -> Vec<String> {
    let name = |content| match content {
        Content::Header(_) => "H".to_owned(),
        Content::DataUnit(packet) => packet.as_bytes()[0].to_string(),
        Content::EndOfStream(_) => "E".to_owned(),
    };
    std::iter::from_fn(|| replay.next()).map(name).collect()
}

#[test]
fn unacknowledged_content_is_sent_again() {
    for (acknowledged, expected) in [
        (0, &["H", "1", "2", "3"][..]),
        (10, &["1", "2", "3"]),
        (209, &["2", "3"]),
        (210, &["3"]),
        (1000, &[]),
    ] {
        let mut replay = sent();
        replay.acknowledge(acknowledged);
        replay.lose_connection(false);
        assert_eq!(replay.header().is_some(), acknowledged > 0);
        assert_eq!(replay.has_gap(), acknowledged > 10);
        assert_eq!(again(&mut replay), expected, "{acknowledged}");
    }
}

/// The session sends `$H` by itself when it repeats a PushStart, but not in a new session.
#[test]
fn a_refused_push_start_is_sent_again_from_its_beginning() {
    let mut replay = sent();
    replay.acknowledge(1000);
    replay.repeat().unwrap();
    assert_eq!(again(&mut replay), ["1", "2", "3"]);
    let mut replay = sent();
    replay.acknowledge(1000);
    replay.lose_connection(true);
    assert!(replay.begins_with_header() && !replay.has_gap());
    assert_eq!(again(&mut replay), ["H", "1", "2", "3"]);
}

#[test]
fn an_old_push_start_cannot_be_refused() {
    let mut replay = sent();
    for number in 4..=255u8 {
        let many = DataPacket::parse(vec![number; 65_000].into());
        replay.keep(
            Content::DataUnit(many),
            310 + 65_000 * u64::from(number - 3),
        );
    }
    assert!(replay.repeat().is_err());
    replay.acknowledge(310);
    replay.lose_connection(true);
    assert_eq!(again(&mut replay).first().map(String::as_str), Some("4"));
}

/// A server that ends the connection soon after a `$C` may not have read it.
#[test]
fn content_behind_a_young_header_is_sent_again() {
    for (acknowledged, young) in [(310, false), (320, true), (420, true)] {
        let mut replay = sent();
        replay.keep(Content::Header(testing::header(100, 50, &[])), 320);
        replay.keep(data(4), 420);
        replay.acknowledge(acknowledged);
        assert_eq!(replay.has_young_header(), young, "{acknowledged}");
        replay.lose_connection(false);
        assert_eq!(again(&mut replay), ["H", "4"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_is_young_for_five_seconds_of_acknowledged_data() {
    let mut replay = sent();
    replay.acknowledge(310);
    for number in 4..=20 {
        tokio::time::advance(Duration::from_secs(1)).await;
        replay.keep(data(number), 10 + 100 * u64::from(number));
    }
    assert!(replay.repeat().is_err());
    replay.keep(Content::Header(testing::header(100, 50, &[])), 2020);
    replay.keep(data(21), 2120);
    replay.acknowledge(2120);
    // The body before the header is no longer kept.
    assert!(replay.has_young_header() && replay.repeat().is_err());
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(replay.has_young_header(), "nothing was acknowledged since");
    replay.keep(data(22), 2220);
    replay.acknowledge(2220);
    assert!(!replay.has_young_header());
}

/// 3.2.5.2.1 Sending a PushStart Response: the response to a PushStart confirms its whole body.
#[test]
fn another_push_start_acknowledges_the_last_one() {
    let mut replay = sent();
    replay.push_start(310, None);
    assert!(replay.header().is_some() && replay.has_gap());
    replay.keep(data(4), 410);
    replay.acknowledge(99);
    assert!(replay.awaits_acknowledgement());
    replay.acknowledge(100);
    assert!(!replay.awaits_acknowledgement());
    replay.lose_connection(false);
    assert!(!replay.is_pending());
}

/// Each of many sinks keeps seconds of its stream.
#[test]
fn sent_content_takes_little_memory() {
    assert!(size_of::<Sent>() <= 48, "{}", size_of::<Sent>());
    let mut replay = sent();
    for number in 0..200u64 {
        replay.keep(data(1), 410 + 100 * number);
    }
    replay.refusable = None;
    replay.acknowledge(1_000_000);
    assert!(replay.sent.is_empty() && replay.sent.capacity() <= 2 * FEW);
}
