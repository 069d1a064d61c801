// SPDX-License-Identifier: MPL-2.0

use std::task::Waker;

use super::*;
use crate::asf::{Item, Reader, testing};
use crate::wmhttp::{self, PushSession};

/// Header and packets, each in a buffer of its own, as `render` hands them to the reader.
fn buffers(packets: u8) -> Vec<Bytes> {
    let header = testing::header(100, 50, &[]).as_bytes().clone();
    let packet = |number| {
        // A payload of 60 bytes, and padding that stays behind.
        let mut packet = vec![0x08, 0x5D, 25, number, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.resize(100, number);
        Bytes::from(packet)
    };
    std::iter::once(header)
        .chain((0..packets).map(packet))
        .collect()
}

/// What the session makes of them, as the driver hands it on.
fn chunks(buffers: &[Bytes]) -> Vec<Bytes> {
    let mut session = testing_session();
    let mut reader = Reader::new();
    let mut chunks = Vec::new();
    for buffer in buffers {
        reader.push(buffer.clone());
        while let Some(item) = reader.next_item().unwrap() {
            match item {
                Item::Header(header) => drop(session.start_streaming(header)),
                Item::DataUnit(packet) => drop(session.data_unit(packet)),
                Item::Skipped(skipped) => panic!("{skipped}"),
            }
            while let Some(transmit) = session.poll_transmit() {
                if let wmhttp::Transmit::Body(chunk) = transmit {
                    chunks.push(chunk);
                }
            }
        }
    }
    chunks
}

fn testing_session() -> PushSession {
    let config = wmhttp::SessionConfig {
        url: "http://media/live".parse().unwrap(),
        setup: wmhttp::SetupBody::default(),
        user_agent: "WMEncoder/12.0".to_owned(),
        extra_headers: http::HeaderMap::new(),
        content_length: None,
        remove_padding: true,
        access: wmhttp::AccessConfig::default(),
    };
    let mut session = PushSession::new(config, super::super::entropy::SystemEntropy);
    session.configure_server();
    assert!(session.poll_transmit().is_some());
    let fields = [("server", "Cougar/9.01"), ("set-cookie", "push-id=1")];
    let accepted = Response {
        status: http::StatusCode::NO_CONTENT,
        reason: String::new(),
        headers: fields
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect(),
        body: Bytes::new(),
    };
    session.handle_response(&accepted).unwrap();
    session
}

fn push_start(content_length: u64) -> Request {
    Request {
        url: "http://media/live?a=b".parse().unwrap(),
        proxy: None,
        fresh: false,
        headers: http::HeaderMap::new(),
        body: Body::PushStart { content_length },
    }
}

/// Polls once, and tells what is written.
fn send(
    sending: &mut Sending,
    mut write: impl FnMut(&[IoSlice<'_>]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<()>> {
    let mut cx = Context::from_waker(Waker::noop());
    sending.poll_send(&mut cx, |_, pieces| write(pieces))
}

/// From the mapped buffer to `writev` no payload is copied: the addresses are the same.
#[test]
fn a_payload_is_written_from_where_upstream_has_put_it() {
    let buffers = buffers(200);
    let mut chunks = VecDeque::from(chunks(&buffers));
    let size = chunks.iter().map(Bytes::len).sum::<usize>() as u64;
    let (mut sending, body) = Sending::new(&push_start(size));
    assert_eq!(body.unwrap().send(&mut chunks, usize::MAX) as u64, size);
    let (mut places, mut writes) = (Vec::new(), 0);
    let sent = send(&mut sending, |pieces| {
        let ends = pieces.iter().map(|piece| piece.as_ptr_range());
        places.extend(ends.map(|piece| piece.start.addr()..piece.end.addr()));
        writes += 1;
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    });
    assert!(sent.is_pending() && sending.is_complete());
    for packet in &buffers[1..] {
        // Behind the Padding Length, which is rewritten, and in front of the padding.
        let payload = packet.as_ptr().addr() + 3..packet.as_ptr().addr() + 75;
        let written = places.iter().filter(|place| **place == payload);
        assert_eq!(written.count(), 1, "{payload:x?} in {places:x?}");
    }
    assert_eq!(writes, places.len().div_ceil(MOST_PIECES));
}

/// The system takes as much as it has room for, wherever that ends.
#[test]
fn what_goes_in_little_by_little_is_the_same() {
    for most in [1, 2, 7, 100, 1000] {
        let request = push_start(9);
        let (mut sending, body) = Sending::new(&request);
        let body = body.unwrap();
        let mut written = Vec::new();
        let mut room = true;
        let mut write = |pieces: &[IoSlice<'_>]| {
            room = !room;
            if room {
                return Poll::Pending;
            }
            let bytes = pieces.iter().flat_map(|piece| piece.iter()).take(most);
            let before = written.len();
            written.extend(bytes.copied());
            Poll::Ready(Ok(written.len() - before))
        };
        for piece in ["$D\x00\x00", "", "12", "345"] {
            assert!(!sending.is_complete());
            body.send(&mut VecDeque::from([piece.into()]), usize::MAX);
            for _ in 0..1000 {
                assert!(send(&mut sending, &mut write).is_pending());
            }
        }
        assert!(sending.is_complete());
        let expected = [&request.head()[..], b"$D\x00\x0012345"].concat();
        assert_eq!(written, expected, "{most}");
    }
}

#[test]
fn an_empty_push_setup_is_its_head() {
    let request = Request {
        body: Body::PushSetup(Bytes::new()),
        ..push_start(0)
    };
    let (mut sending, body) = Sending::new(&request);
    assert!(body.is_none());
    let sent = send(&mut sending, |pieces| {
        assert_eq!(pieces.len(), 1);
        assert_eq!(
            &pieces[0][..],
            b"POST /live?a=b HTTP/1.1\r\nHost: media\r\n\r\n"
        );
        Poll::Ready(Ok(pieces[0].len()))
    });
    assert!(sent.is_pending() && sending.is_complete());
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let (mut sending, _) = Sending::new(&push_start(9));
    let sent = send(&mut sending, |_| {
        Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
    });
    assert!(matches!(sent, Poll::Ready(Err(error)) if error.kind() == ErrorKind::BrokenPipe));
}
