// SPDX-License-Identifier: MPL-2.0

//! The verdict on what a player has seen, without a network.

use std::time::Duration;

use bytes::Bytes;

use super::sight::Sight;
use super::{Cause, Verified};
use crate::asf::testing::{AUDIO_VIDEO, header};
use crate::asf::{DataPacket, FileHeader, Item, Reader};
use crate::push::{OnAir, Settings};
use crate::wmhttp::{HResult, SessionConfig};
use crate::wmsp::client::Seen;

const LIMIT: Duration = Duration::from_secs(20);

fn settings() -> Settings {
    let url = "http://media:8080/live".parse().unwrap();
    Settings::new(SessionConfig::new(url, "WMEncoder/12.0 test/1"))
}

/// The header and the data packets of the fixture.
fn fixture() -> (FileHeader, Vec<DataPacket>) {
    let mut reader = Reader::new();
    reader.push(Bytes::from_static(AUDIO_VIDEO));
    let mut header = None;
    let mut packets = Vec::new();
    while let Ok(Some(item)) = reader.next_item() {
        match item {
            Item::Header(found) => header = Some(found),
            Item::DataUnit(packet) => packets.push(packet),
            Item::Skipped(_) => {}
        }
    }
    (header.unwrap(), packets)
}

/// A push that has sent all of the fixture, and a player that looks for it.
fn pushed() -> (Sight, FileHeader, Vec<DataPacket>) {
    let (header, packets) = fixture();
    let on_air = OnAir::default();
    on_air.sent_header(&header);
    packets.iter().for_each(|packet| on_air.sent_packet(packet));
    let sight = Sight::new(&settings(), Some(on_air));
    (sight, header, packets)
}

fn cause(verified: &Verified) -> Option<&Cause> {
    verified.fault.as_ref().map(|fault| &fault.cause)
}

#[tokio::test]
async fn data_behind_the_pushed_header_is_on_air() {
    let (mut sight, header, packets) = pushed();
    assert_eq!(sight.see(Seen::Header(header)), Ok(false));
    let times = packets.iter().map(|packet| packet.send_time().unwrap());
    let behind = times.clone().max().unwrap() - times.clone().min().unwrap();
    assert_eq!(sight.see(Seen::Data(packets[0].clone())), Ok(false));
    let last = packets.last().unwrap();
    let mut see_last = || sight.see(Seen::Data(last.clone()));
    let enough: Vec<_> = (0..4).map(|_| see_last().unwrap()).collect();
    assert_eq!(enough, [false, false, false, true]);
    let verified = sight.judge(Ok(()), LIMIT);
    assert!(verified.is_on_air(), "{verified:?}");
    assert!(verified.header_matches);
    assert_eq!((verified.packets, verified.behind), (5, Duration::ZERO));
    let (mut sight, header, packets) = pushed();
    sight.see(Seen::Header(header)).unwrap();
    sight.see(Seen::Data(packets[0].clone())).unwrap();
    let verified = sight.judge(Ok(()), LIMIT);
    assert_eq!(verified.behind, Duration::from_millis(behind.into()));
}

#[tokio::test]
async fn each_missing_part_has_its_own_cause() {
    let (sight, own, packets) = pushed();
    let verified = sight.judge(Ok(()), LIMIT);
    assert!(
        matches!(cause(&verified), Some(Cause::Failed(_))),
        "no response"
    );
    let (mut sight, ..) = pushed();
    sight.answered = true;
    assert_eq!(
        cause(&sight.judge(Ok(()), LIMIT)),
        Some(&Cause::NoHeader(LIMIT))
    );
    let (mut sight, ..) = pushed();
    sight.see(Seen::Header(own)).unwrap();
    let no_data = Cause::NoData {
        limit: LIMIT,
        packet_size: 1500,
    };
    let verified = sight.judge(Ok(()), LIMIT);
    assert_eq!(cause(&verified), Some(&no_data));
    assert!(verified.header_matches);
    let (mut sight, ..) = pushed();
    sight.see(Seen::Header(header(1500, 50, &[]))).unwrap();
    sight.see(Seen::Data(packets[0].clone())).unwrap();
    let verified = sight.judge(Ok(()), LIMIT);
    assert_eq!(cause(&verified), Some(&Cause::OtherHeader));
    let (mut sight, ..) = pushed();
    assert_eq!(
        sight.see(Seen::End(HResult::S_OK)),
        Err(Cause::Ended(Some(HResult::S_OK)))
    );
}

#[tokio::test]
async fn packets_over_the_packet_size_do_not_match_the_header() {
    let (mut sight, header, packets) = pushed();
    let large = [packets[0].as_bytes(), &[0; 100][..]].concat();
    sight.see(Seen::Header(header)).unwrap();
    let large = DataPacket::parse(large.into());
    sight.see(Seen::Data(large)).unwrap();
    let verified = sight.judge(Ok(()), LIMIT);
    assert_eq!(cause(&verified), Some(&Cause::OtherHeader));
    assert!(!verified.header_matches);
}

#[tokio::test]
async fn without_a_push_there_is_nothing_to_compare_with() {
    let (own, packets) = fixture();
    let mut sight = Sight::new(&settings(), None);
    sight.see(Seen::Header(own)).unwrap();
    sight.see(Seen::Data(packets[0].clone())).unwrap();
    let verified = sight.judge(Ok(()), LIMIT);
    assert_eq!(cause(&verified), Some(&Cause::NothingPushed));
    assert_eq!(verified.packets, 1);
    let refused = |status| Cause::Refused {
        status: http::StatusCode::from_u16(status).unwrap(),
        server: String::new(),
    };
    for (status, expected) in [(404, Cause::NothingPushed), (403, refused(403))] {
        let sight = Sight::new(&settings(), None);
        let verified = sight.judge(Err(refused(status)), LIMIT);
        assert_eq!(cause(&verified), Some(&expected));
    }
}

/// A relay that closes in the middle shows viewers the push all the same.
#[tokio::test]
async fn a_loss_behind_data_is_no_fault() {
    let (mut sight, header, packets) = pushed();
    sight.see(Seen::Header(header)).unwrap();
    sight.see(Seen::Data(packets[0].clone())).unwrap();
    assert!(sight.judge(Err(Cause::Ended(None)), LIMIT).is_on_air());
}
