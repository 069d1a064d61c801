// SPDX-License-Identifier: MPL-2.0

#[cfg(target_os = "linux")]
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;

use super::*;

/// Both ends of a connection.
async fn pair() -> (TcpLine, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    (
        TcpLine::new(near.await.unwrap()),
        listener.accept().unwrap().0,
    )
}

/// Writes until the buffer is full, and returns the bytes written.
#[cfg(target_os = "linux")]
async fn write(line: &mut TcpLine, bytes: &[u8]) -> usize {
    std::future::poll_fn(|cx| Link::poll_write(line, cx, &[IoSlice::new(bytes)]))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_line_with_unread_bytes_is_not_idle() {
    let (mut line, mut far) = pair().await;
    assert_eq!(line.unread(), b"");
    assert!(line.is_idle());
    far.write_all(b"unread").unwrap();
    line.stream.readable().await.unwrap();
    assert!(!line.is_idle(), "the bytes are unread");
    assert_eq!(line.unread(), b"unread");
    assert!(line.is_idle());
    drop(far);
    assert_eq!(line.stream.peek(&mut [0]).await.unwrap(), 0);
    assert!(!line.is_idle());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn bytes_without_room_at_the_peer_are_unacknowledged() {
    let (mut line, mut far) = pair().await;
    let mut written = 0;
    loop {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match Link::poll_write(&mut line, &mut cx, &[IoSlice::new(&[0; 65_536])]) {
            Poll::Ready(count) => written += count.unwrap(),
            Poll::Pending => break,
        }
    }
    assert!(line.has_unacknowledged() && line.acknowledged() < written as u64);
    far.read_exact(&mut vec![0; written]).unwrap();
    while line.has_unacknowledged() {
        tokio::task::yield_now().await;
    }
    assert_eq!(line.acknowledged(), written as u64);
}

/// Acknowledgements that came before a reset can still be read after it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn acknowledgements_outlive_the_connection() {
    let (mut line, mut far) = pair().await;
    assert_eq!(line.acknowledged(), 0);
    assert_eq!(write(&mut line, &[0; 1000]).await, 1000);
    far.read_exact(&mut [0; 999]).unwrap();
    assert_eq!(line.acknowledged(), 1000);
    assert!(!line.was_reset());
    // With a byte unread, this is a reset.
    drop(far);
    assert!(line.stream.peek(&mut [0]).await.is_err());
    assert_eq!((line.acknowledged(), line.written()), (1000, 1000));
    assert!(line.was_reset());
}
