// SPDX-License-Identifier: MPL-2.0

use std::task::Waker;

use super::*;
use crate::asf::{Item, Reader, testing};
use crate::wmhttp::{self, PushSession};

/// A connection whose peer is a script.
struct Scripted<W> {
    /// The results of poll_read, in order; then it is pending.
    reads: VecDeque<io::Result<&'static [u8]>>,
    write: W,
    written: u64,
    unread: &'static [u8],
}

impl<W> Link for Scripted<W>
where
    W: FnMut(&[IoSlice<'_>]) -> Poll<io::Result<usize>> + Send + 'static,
{
    fn poll_read(&mut self, _: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.written == 0 {
            return Poll::Pending;
        }
        match self.reads.pop_front() {
            None => Poll::Pending,
            Some(read) => Poll::Ready(read.map(|read| {
                bytes[..read.len()].copy_from_slice(read);
                read.len()
            })),
        }
    }

    fn poll_write(
        &mut self,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!((self.write)(pieces))?;
        self.written += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn unread(&mut self) -> Vec<u8> {
        self.unread.to_vec()
    }

    fn is_idle(&mut self) -> bool {
        true
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn acknowledged(&mut self) -> u64 {
        self.written
    }

    fn has_unacknowledged(&self) -> bool {
        false
    }

    fn was_reset(&self) -> bool {
        false
    }

    fn round_trip_time(&self) -> Option<Duration> {
        None
    }

    fn close(&mut self) {}
}

/// A connection that accepts everything.
fn all(pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
}

fn scripted<W>(write: W) -> Scripted<W> {
    Scripted {
        reads: VecDeque::new(),
        write,
        written: 0,
        unread: b"",
    }
}

fn poll<L: Link>(exchange: &mut Exchange<L>) -> Poll<Result<Progress, Error>> {
    exchange.poll(&mut Context::from_waker(Waker::noop()))
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

/// The pieces that the session makes of them, as the driver passes them on.
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
    let url = "http://media/live".parse().unwrap();
    let config = wmhttp::SessionConfig {
        remove_padding: true,
        ..wmhttp::SessionConfig::new(url, "WMEncoder/12.0")
    };
    let mut session = PushSession::new(config, crate::push::entropy::SystemEntropy);
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
        secrets: Secrets::default(),
    }
}

/// From the mapped buffer to `writev` no payload is copied: the addresses are the same.
#[test]
fn a_payload_is_written_without_a_copy() {
    let buffers = buffers(200);
    let chunks = chunks(&buffers);
    let size = chunks.iter().map(Bytes::len).sum::<usize>() as u64;
    let (tell, told) = std::sync::mpsc::channel();
    let link = scripted(move |pieces: &[IoSlice<'_>]| {
        let ends = pieces.iter().map(|piece| piece.as_ptr_range());
        let places: Vec<_> = ends
            .map(|piece| piece.start.addr()..piece.end.addr())
            .collect();
        tell.send(places).unwrap();
        all(pieces)
    });
    let mut exchange = Exchange::over(link, &push_start(size));
    chunks.into_iter().for_each(|chunk| exchange.push(chunk));
    assert!(poll(&mut exchange).is_pending());
    assert!(exchange.is_complete());
    assert_eq!((exchange.waiting(), exchange.written()), (0, size));
    let writes: Vec<_> = told.try_iter().collect();
    let places: Vec<_> = writes.iter().flatten().collect();
    for packet in &buffers[1..] {
        // Behind the Padding Length, which is rewritten, and in front of the padding.
        let payload = packet.as_ptr().addr() + 3..packet.as_ptr().addr() + 75;
        let written = places.iter().filter(|place| ***place == payload);
        assert_eq!(written.count(), 1, "{payload:x?} in {places:x?}");
    }
    assert_eq!(writes.len(), places.len().div_ceil(MAX_PIECES));
}

#[test]
fn partial_writes_send_the_same_bytes() {
    for most in [1, 2, 7, 100, 1000] {
        let request = push_start(9);
        let (tell, told) = std::sync::mpsc::channel();
        let mut room = true;
        let link = scripted(move |pieces: &[IoSlice<'_>]| {
            room = !room;
            if room {
                return Poll::Pending;
            }
            let bytes = pieces.iter().flat_map(|piece| piece.iter()).take(most);
            Poll::Ready(Ok(bytes.map(|byte| tell.send(*byte).unwrap()).count()))
        });
        let mut exchange = Exchange::over(link, &request);
        for piece in ["$D\x00\x00", "", "12", "345"] {
            assert!(!exchange.is_complete());
            exchange.push(piece.into());
            for _ in 0..1000 {
                assert!(poll(&mut exchange).is_pending());
            }
        }
        assert!(exchange.is_complete());
        let expected = [&request.head()[..], b"$D\x00\x0012345"].concat();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), expected, "{most}");
    }
}

#[test]
fn an_empty_push_setup_is_its_head() {
    let request = Request {
        body: Body::PushSetup(Bytes::new()),
        ..push_start(0)
    };
    let link = scripted(|pieces: &[IoSlice<'_>]| {
        assert_eq!(pieces.len(), 1);
        assert_eq!(
            &pieces[0][..],
            b"POST /live?a=b HTTP/1.1\r\nHost: media\r\n\r\n"
        );
        all(pieces)
    });
    let mut exchange = Exchange::over(link, &request);
    assert!(poll(&mut exchange).is_pending());
    assert!(exchange.is_complete() && !exchange.is_push_start());
}

#[test]
fn a_failed_write_after_a_response_is_no_error() {
    let broken = |_: &[IoSlice<'_>]| Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
    let mut exchange = Exchange::over(scripted(broken), &push_start(9));
    assert_eq!(poll(&mut exchange), Poll::Ready(Err(Error::Reset)));
    let link = Scripted {
        unread: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nFor",
        ..scripted(broken)
    };
    let mut exchange = Exchange::over(link, &push_start(9));
    let Poll::Ready(Ok(Progress::Response(response))) = poll(&mut exchange) else {
        panic!("a response");
    };
    assert_eq!(response.status, 403);
    assert!(exchange.into_idle().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_response_without_its_body_is_waited_for_briefly() {
    let request = Request {
        body: Body::PushSetup(Bytes::new()),
        ..push_start(0)
    };
    let mut link = scripted(all);
    link.reads
        .push_back(Ok(b"HTTP/1.1 204 No\r\nServer: Cougar/9\r\n\r\n"));
    let mut exchange = Exchange::over(link, &request);
    assert!(poll(&mut exchange).is_pending());
    assert!(exchange.progress_or_room(None).await.is_ok());
    assert!(exchange.into_idle().is_some());
    let mut link = scripted(all);
    link.reads
        .push_back(Ok(b"HTTP/1.1 200 OK\r\nServer: Cougar/9\r\n\r\n"));
    let mut exchange = Exchange::over(link, &request);
    assert!(poll(&mut exchange).is_pending());
    let begun = tokio::time::Instant::now();
    assert!(exchange.progress_or_room(None).await.is_ok());
    assert_eq!(begun.elapsed(), RESPONSE_BODY_TIMEOUT);
    assert!(exchange.into_idle().is_none());
}

/// The driver's timeouts, and the other pushes of the thread, take turns with a peer that never stops sending.
#[test]
fn a_poll_ends_while_interim_responses_arrive() {
    let request = Request {
        body: Body::PushSetup(Bytes::new()),
        ..push_start(0)
    };
    let mut link = scripted(all);
    let interim = || Ok(&b"HTTP/1.1 102 Processing\r\n\r\n"[..]);
    link.reads.extend((0..3 * MAX_READS).map(|_| interim()));
    link.reads
        .push_back(Ok(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"));
    let mut exchange = Exchange::over(link, &request);
    let polls = (0..10).position(|_| poll(&mut exchange).is_ready());
    // The first one sends the request.
    assert_eq!(polls, Some(4));
}
