// SPDX-License-Identifier: MPL-2.0

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

use super::*;
use crate::asf::{Item, Reader, testing};
use crate::wmhttp::PushSession;

/// A connection that notes where in memory what is written lies.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Vec<Range<usize>>>>);

impl Read for Places {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Write for Places {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let places = slices.iter().map(|slice| {
            let begin = slice.as_ptr().addr();
            begin..begin + slice.len()
        });
        self.0.lock().unwrap().extend(places);
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

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

/// From the mapped buffer to `writev` no payload is copied: the addresses are the same.
#[tokio::test]
async fn a_payload_is_written_from_where_upstream_has_put_it() {
    let buffers = buffers(40);
    let chunks = chunks(&buffers);
    let places = Places::default();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(places.clone())
        .await
        .unwrap();
    tokio::spawn(connection);
    let (gate_progress, _progress) = mpsc::unbounded_channel();
    let size = chunks.iter().map(Bytes::len).sum::<usize>() as u64;
    let (body, source) = Source::new(
        &Body::PushStart {
            content_length: size,
        },
        &Gate::new(gate_progress),
    );
    let request = http::Request::post("http://media/live").body(body.to_body());
    tokio::spawn(sender.send_request(request.unwrap()));
    let source = source.unwrap();
    let mut chunks = VecDeque::from(chunks);
    assert_eq!(source.send(&mut chunks, usize::MAX) as u64, size);
    while !source.is_empty() {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    let places = places.0.lock().unwrap();
    for packet in &buffers[1..] {
        // Behind the Padding Length, which is rewritten, and in front of the padding.
        let payload = packet.as_ptr().addr() + 3..packet.as_ptr().addr() + 75;
        let written = places.iter().filter(|place| **place == payload);
        assert_eq!(written.count(), 1, "{payload:x?} in {places:x?}");
    }
}
