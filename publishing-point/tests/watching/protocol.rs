// SPDX-License-Identifier: MPL-2.0

//! MS-WMSP on the wire.

use publishing_point::Leave;
use wmspush_proto::asf::DataPacket;

use crate::client::serve;
use crate::stream::{AUDIO_VIDEO, Pusher, Stream};
use crate::viewer::{NEW, OLD, Packet, Viewer, joined, left, packets};

/// 2.2.2.1 Describe, 3.2.5.4 Receiving a Describe Request: example 2.2.2.1, to a broadcast
#[test]
fn a_describe_returns_the_file_header() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let _pusher = Pusher::start(&point, "/live", &stream.header);
    let mut viewer = Viewer::ask(
        &point,
        "GET /live HTTP/1.1
Accept: */*
User-Agent: NSPlayer/12.0.7680.0
Host: SampleServer
X-Accept-Authentication: Negotiate, NTLM, Digest, Basic
Pragma: version11-enabled=1
Pragma: no-cache,rate=1.000,stream-time=0,stream-offset=0:0,packet-num=4294967295,max-duration=0
Pragma: packet-pair-experiment=1
Pragma: pipeline-experiment=1
Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch
Pragma: xClientGUID={52CB2BDB-6925-4E19-8D1D-62D10E9E2705}",
    );
    assert_eq!(viewer.status(), 200);
    assert_eq!(
        viewer.fields("Content-Type"),
        ["application/vnd.ms.wms-hdr.asfv1"]
    );
    let pragmas = viewer.fields("Pragma");
    for token in [
        "no-cache",
        "features=\"broadcast\"",
        "timeout=55000",
        "playlist-gen-id=1",
    ] {
        assert!(pragmas.contains(&token), "{token}: {pragmas:?}");
    }
    assert!(!viewer.head.contains("experiment") && !viewer.head.contains("chunked"));
    let header = stream.header.as_bytes().to_vec();
    let metadata = b"playlist-gen-id=1, broadcast-id=1, features=\"broadcast\"\0".to_vec();
    assert!(packets(&viewer.body()) == [Packet::Metadata(metadata), Packet::Header(header)]);
}

/// 2.2.2.6 Play, 2.2.3 Packet Types, 3.2.4.1 Notification That the Last $D Packet Has Been Sent
#[test]
fn a_player_gets_every_numbered_packet_and_then_the_end() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let unpadded = stream.unpadded();
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let mut viewer = Viewer::play(&point, "/live", OLD);
    assert_eq!(viewer.fields("Content-Type"), ["application/x-mms-framed"]);
    assert_eq!(viewer.fields("Connection"), ["close"]);
    pusher.send(&unpadded);
    pusher.end();
    let mut expected = vec![Packet::Header(stream.header.as_bytes().to_vec())];
    for (number, bytes) in unpadded.iter().enumerate() {
        expected.push(Packet::Data {
            number: number as u32,
            sequence: number as u8,
            bytes: bytes.to_vec(),
        });
    }
    expected.push(Packet::End(0));
    assert!(viewer.packets() == expected);
    joined(&point);
    assert_eq!(left(&point), Leave::End);
    assert!(point.viewers().is_empty());
}

/// 2.2.3.3 $D (Data): padding is removed, except for an old server
#[test]
fn padding_is_sent_only_to_clients_that_need_it() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let mut player = Viewer::play(&point, "/live", OLD);
    let mut server = Viewer::play(&point, "/live", "NSServer/4.1.0.3856");
    let mut file = Viewer::ask(&point, "GET /live HTTP/1.1\nHost: a\nUser-Agent: a file");
    assert_eq!(file.fields("Content-Type"), ["video/x-ms-asf"]);
    // This encoder does not remove padding.
    let padded: Vec<_> = stream
        .packets
        .iter()
        .map(|packet| packet.as_bytes().clone())
        .collect();
    pusher.send(&padded);
    pusher.end();
    let sizes = |packets: Vec<Packet>| -> Vec<usize> {
        let sizes = packets.into_iter().filter_map(|packet| match packet {
            Packet::Data { bytes, .. } => Some(bytes.len()),
            _ => None,
        });
        sizes.collect()
    };
    let unpadded: Vec<_> = stream
        .unpadded()
        .iter()
        .map(|packet| packet.len())
        .collect();
    assert!(unpadded.iter().any(|size| *size < 3200));
    assert_eq!(sizes(player.packets()), unpadded);
    assert_eq!(sizes(server.packets()), vec![3200; unpadded.len()]);
    let mut expected = stream.header.as_bytes().to_vec();
    for packet in stream.unpadded() {
        let begin = expected.len();
        expected.extend_from_slice(&packet);
        expected.resize(begin + 3200, 0);
    }
    assert!(file.rest() == expected);
}

/// 2.2.2.3 to 2.2.2.10, 3.2.5.1 Receiving a Request
#[test]
fn other_requests_need_a_session() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let _pusher = Pusher::start(&point, "/live", &stream.header);
    let describe = format!("GET /live HTTP/1.1\nHost: a\nUser-Agent: {NEW}");
    let mut viewer = Viewer::ask(&point, &describe);
    viewer.body();
    let id = viewer.client_id();
    for request in ["xKeepAliveInPause=1", "log-line=0.0.0.0", "xStopStrm=1"] {
        viewer.ask_again(&format!(
            "POST /live HTTP/1.1\nHost: a\nUser-Agent: {NEW}\nPragma: {request}\nPragma: {id}\nContent-Length: 0"
        ));
        assert_eq!(viewer.status(), 200, "{request}");
        assert_eq!(viewer.client_id(), id);
    }
    viewer.ask_again(&format!(
        "OPTIONS * HTTP/1.1\nHost: a\nUser-Agent: {NEW}\nPragma: {id}"
    ));
    assert_eq!(viewer.fields("Content-Length"), ["0"]);
    viewer.ask_again(&format!("POST /live HTTP/1.1\nHost: a\nUser-Agent: {NEW}\nContent-Type: application/x-wms-Logstats\nPragma: {id}\nContent-Length: 4\n\n<a/>").replace("\n\n<", "\n\n<"));
    assert_eq!(viewer.status(), 200);
    let strange = format!(
        "POST /live HTTP/1.1\nHost: a\nUser-Agent: {NEW}\nPragma: xKeepAliveInPause=1\nPragma: client-id=1\nContent-Length: 0"
    );
    assert_eq!(Viewer::ask(&point, &strange).status(), 400);
}

/// 2.2.1.4.37 xResetStrm, 3.2.5.6 Receiving a Play Request
#[test]
fn a_streaming_session_stays_and_a_lost_one_is_renewed() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let _pusher = Pusher::start(&point, "/live", &stream.header);
    let playing = Viewer::play(&point, "/live", OLD);
    let play = |id: &str| {
        format!("GET /live HTTP/1.0\nUser-Agent: {OLD}\nPragma: xPlayStrm=1\nPragma: {id}")
    };
    let id = playing.client_id();
    assert_eq!(Viewer::ask(&point, &play(&id)).status(), 409);
    drop(playing);
    joined(&point);
    left(&point);
    let again = Viewer::ask(&point, &play(&id));
    assert_eq!(again.client_id(), id);
    assert!(!again.head.contains("xResetStrm"));
    let lost = Viewer::ask(&point, &play("client-id=1"));
    assert!(lost.fields("Pragma").contains(&"xResetStrm=1"));
}

/// 3.2.5.1 Receiving a Request
#[test]
fn a_point_without_a_push_is_refused() {
    let point = serve(|settings| settings.max_viewers = 1);
    let stream = Stream::of(AUDIO_VIDEO);
    let play = format!("GET /live HTTP/1.0\nUser-Agent: {OLD}\nPragma: xPlayStrm=1");
    let describe = format!("GET /live HTTP/1.0\nUser-Agent: {OLD}");
    for request in [&play, &describe, "GET /live HTTP/1.1\nHost: a"] {
        assert_eq!(Viewer::ask(&point, request).status(), 404, "{request}");
    }
    let _pusher = Pusher::start(&point, "/live", &stream.header);
    assert_eq!(
        Viewer::ask(&point, &play.replace("live", "dead")).status(),
        404
    );
    let _viewer = Viewer::ask(&point, &play);
    assert_eq!(Viewer::ask(&point, &play).status(), 503);
    let pipelined = describe + "\nPragma: pipeline-request=1";
    assert_eq!(Viewer::ask(&point, &pipelined).status(), 400);
    let delete = Viewer::ask(&point, "DELETE /live HTTP/1.1\nHost: a");
    assert_eq!(delete.status(), 405);
    assert_eq!(delete.fields("Allow"), ["OPTIONS, GET, HEAD, POST"]);
}

/// 2.2.1.4.27 stream-switch-entry, 3.2.5.6 Receiving a Play Request: payloads of other streams are filtered out
#[test]
fn a_player_gets_the_streams_that_it_selects() {
    let point = serve(|_| {});
    let stream = Stream::of(AUDIO_VIDEO);
    let unpadded = stream.unpadded();
    let mut pusher = Pusher::start(&point, "/live", &stream.header);
    let play = format!("GET /live HTTP/1.0\nUser-Agent: {OLD}\nPragma: xPlayStrm=1");
    let all = format!("{play}\nPragma: stream-switch-entry=ffff:1:0 ffff:2:0");
    let one = format!("{play}\nPragma: stream-switch-entry=ffff:1:2 ffff:2:0");
    let mut all = Viewer::ask(&point, &all);
    let mut one = Viewer::ask(&point, &one);
    pusher.send(&unpadded);
    pusher.end();
    let data = |packets: Vec<Packet>| -> Vec<Vec<u8>> {
        let data = packets.into_iter().filter_map(|packet| match packet {
            Packet::Data { bytes, .. } => Some(bytes),
            _ => None,
        });
        data.collect()
    };
    assert!(data(all.packets()) == unpadded);
    let filtered: Vec<_> = unpadded
        .iter()
        .filter_map(|packet| DataPacket::parse(packet.clone()).with_streams(|number| number == 2))
        .collect();
    assert!(filtered.concat().len() < unpadded.concat().len() / 2);
    assert!(data(one.packets()) == filtered);
}
