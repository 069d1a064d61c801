// SPDX-License-Identifier: MPL-2.0

use wmspush_proto::asf::DataPacket;
use wmspush_proto::wmhttp::server::Received;
use wmspush_proto::wmhttp::{
    Event, HResult, Offer, SessionConfig, SetupBody, Transmit, UNKNOWN_CONTENT_LENGTH,
};

use super::harness::{Offered, Pair, config, fixture};

const AUDIO_VIDEO: &str = "av_asfmux_p1500_streamable.asf";
const AUDIO: &str = "audio_ffmpeg_p3200.asf";

fn with_content_length(content_length: u64) -> SessionConfig {
    SessionConfig {
        content_length: Some(content_length),
        ..config()
    }
}

/// Returns the packets without padding, as the server has to receive them.
fn unpadded(content: &[Offered]) -> Vec<Vec<u8>> {
    let unpadded = |packet: &DataPacket| {
        let unpadded = packet.without_padding();
        [unpadded.head.as_slice(), &unpadded.body].concat()
    };
    let data = content.iter().filter_map(|content| match content {
        Offered::Data(packet) => Some(unpadded(packet)),
        _ => None,
    });
    data.collect()
}

/// 4.1 General Push Distribution Sequence
/// C-043, C-044, C-119, C-131, C-170, C-172, C-211, C-218
#[test]
fn a_session_runs_from_push_setup_to_the_final_end() {
    let content = fixture(AUDIO_VIDEO);
    let pair = Pair::run(config(), content.clone());
    assert_eq!(pair.letters(), "HD0");
    assert!(pair.closed);
    assert_eq!(pair.violations, [""; 0]);
    let [
        Event::ServerConfigured { server },
        Event::PushStartSent {
            begins_at: 0,
            header: Some(_),
        },
        Event::SessionEnded,
    ] = &pair.events[..]
    else {
        panic!("{:?}", pair.events);
    };
    assert!(server.starts_with("Cougar/"), "{server}");
    let Some(Received::Header(header)) = pair.received.first() else {
        panic!("no $H")
    };
    assert!(matches!(&content[0], Offered::Header(sent) if sent.as_bytes() == header));
    assert_eq!(pair.data(), unpadded(&content));
    assert_eq!(pair.bodies.len(), 1);
    assert_eq!(pair.bodies[0].1, UNKNOWN_CONTENT_LENGTH);
    assert_eq!(pair.client.counters().packets as usize, content.len() - 1);
}

/// 2.2.3.3 $D (Data): padding SHOULD be removed, so that it may stay.
#[test]
fn padding_may_stay() {
    let content = fixture(AUDIO);
    let pair = Pair::run(
        SessionConfig {
            remove_padding: false,
            ..config()
        },
        content.clone(),
    );
    let Offered::Data(last) = &content[content.len() - 1] else {
        panic!("no data")
    };
    assert_eq!(pair.data().last(), Some(last.as_bytes()));
    assert_eq!(pair.client.counters().padding_removed, 0);
    assert_eq!(
        pair.violations.len(),
        1,
        "the server says so, once: {:?}",
        pair.violations
    );
}

/// 3.1.4.3 ASF Packet Is Available to Send: "choosing the size of each $F packet such that the sum … equal[s] the value
/// of Length-Remaining"
/// C-030, C-122, C-142, C-146, C-150, C-237, C-243
#[test]
fn a_full_body_is_followed_by_one_of_data() {
    let content = fixture(AUDIO_VIDEO);
    for length in [3 * 1504, 5000, 6011, 65_536, 70_001] {
        // The fixture is shorter than the longest of these bodies.
        let mut pair = Pair::new(with_content_length(length));
        pair.push(content.clone());
        pair.push(content[1..].to_vec());
        pair.push([Offered::End]);
        let (last, filled) = pair.bodies.split_last().unwrap();
        assert!(!filled.is_empty(), "{length}");
        for (sent, announced) in filled {
            assert_eq!((*sent, *announced), (length, length));
        }
        assert!(last.0 <= length);
        assert_eq!(pair.violations, [""; 0], "{length}");
        assert_eq!(pair.letters().matches('H').count(), 1, "{length}");
        assert_eq!(
            pair.data(),
            [unpadded(&content), unpadded(&content)].concat(),
            "{length}"
        );
    }
}

/// 3.1.4.2.1 Sending the PushStart Request: three of the largest $D, or the $H plus four
#[test]
fn a_content_length_is_never_below_the_least() {
    let pair = Pair::run(with_content_length(1), fixture(AUDIO_VIDEO));
    assert!(
        pair.bodies
            .iter()
            .all(|(_, announced)| *announced == 3 * 1504),
        "{:?}",
        pair.bodies
    );
    let content = fixture("audio_many_tags_ffmpeg_p3200.asf");
    let Offered::Header(header) = &content[0] else {
        panic!("no header")
    };
    let stream_change = 8 + header.as_bytes().len() as u64;
    let pair = Pair::run(with_content_length(1), content);
    assert_eq!(pair.bodies[0].1, stream_change + 4);
    assert_eq!(pair.violations, [""; 0]);
}

/// 4.4 General Push Distribution Sequence with $C Packet
/// C-102, C-167, C-180, C-184
#[test]
fn a_new_header_ends_an_entry_with_a_stream_change() {
    let (first, second) = (fixture(AUDIO_VIDEO), fixture(AUDIO));
    let pair = Pair::run(config(), [first.clone(), second.clone()].concat());
    assert_eq!(pair.letters(), "HD1CD0");
    assert_eq!(pair.violations, [""; 0]);
    assert_eq!(pair.data(), [unpadded(&first), unpadded(&second)].concat());
}

/// 3.1.4.4 Notification of the Last Packet, 3.1.4.5 Notification of New ASF Header File and decisions D-9 and D-10: for
/// any end of the body
/// C-150, C-166, C-180, C-185, C-189
#[test]
fn a_new_header_may_span_the_end_of_a_body() {
    let content = [fixture(AUDIO), fixture(AUDIO_VIDEO)].concat();
    let total: usize = unpadded(&fixture(AUDIO))
        .iter()
        .map(|packet| packet.len() + 4)
        .sum();
    let Offered::Header(header) = &content[0] else {
        panic!("no header")
    };
    let first_entry = (4 + header.as_bytes().len() + total) as u64;
    for length in first_entry..first_entry + 700 {
        let pair = Pair::run(with_content_length(length), content.clone());
        let mut letters: Vec<_> = pair
            .letters()
            .chars()
            .filter(|letter| *letter != 'F')
            .collect();
        letters.dedup();
        assert_eq!(String::from_iter(letters), "HD1CD0", "{length}");
        assert_eq!(pair.violations, [""; 0], "{length}");
        assert_eq!(pair.data(), unpadded(&content), "{length}");
    }
}

/// 3.1.4.4 Notification of the Last Packet: any Reason but S_FALSE ends the session.
/// C-048, C-167, C-170
#[test]
fn a_session_may_end_with_an_error() {
    let mut pair = Pair::new(config());
    pair.push(fixture(AUDIO));
    let _ = pair.client.end_of_stream(HResult::E_ABORT);
    pair.push([]);
    assert_eq!(
        pair.received.last(),
        Some(&Received::EndOfStream(HResult::E_ABORT))
    );
    assert!(pair.closed);
}

#[test]
fn a_session_that_never_streamed_ends_without_a_packet() {
    let pair = Pair::run(config(), []);
    assert!(pair.closed && pair.received.is_empty() && pair.bodies.is_empty());
    assert_eq!(pair.events.last(), Some(&Event::SessionEnded));
}

/// 4.3 Push Distribution with AutoDestroy and Template-URL
#[test]
fn push_setup_has_the_options_of_the_publishing_point() {
    let setup = SetupBody {
        template_url: Some("/template".to_owned()),
        auto_destroy: true,
    };
    let pair = Pair::run(SessionConfig { setup, ..config() }, fixture(AUDIO));
    assert_eq!(pair.letters(), "HD0");
    assert_eq!(pair.violations, [""; 0]);
}

/// The sent payload shares the memory of the input.
#[test]
fn payloads_are_not_copied() {
    let mut pair = Pair::new(config());
    pair.push(fixture(AUDIO).into_iter().take(1));
    let Some(Offered::Data(packet)) = fixture(AUDIO).into_iter().nth(1) else {
        panic!("no data")
    };
    let source = packet.as_bytes().as_ptr_range();
    assert_eq!(pair.client.data_unit(packet.clone()), Offer::Taken);
    let chunks: Vec<_> = std::iter::from_fn(|| match pair.client.poll_transmit() {
        Some(Transmit::Body(chunk)) => Some(chunk),
        _ => None,
    })
    .collect();
    let [head, payload] = &chunks[..] else {
        panic!("{chunks:?}")
    };
    assert!(head.len() < 40, "{}", head.len());
    assert!(source.contains(&payload.as_ptr()));
    assert!(payload.as_ptr_range().end <= source.end);
}
