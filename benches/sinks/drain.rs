// SPDX-License-Identifier: MPL-2.0

//! The peer: it responds to requests that need it, and reads.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Outcome;

/// Size of one `read` in bytes.
const READ: usize = 256 * 1024;

/// The figures of a connection that sent a body.
#[derive(Debug, Default)]
pub struct Drained {
    /// The time at which its last byte was read.
    pub last: Option<Instant>,
    /// Bytes of the body.
    pub bytes: u64,
    /// The byte count at each read, if requested.
    pub marks: Vec<(u64, Instant)>,
}

/// The receiver of a sink's data.
pub struct Drain {
    pub address: SocketAddr,
    drained: mpsc::Receiver<Drained>,
}

impl Drain {
    /// Starts reading on a thread of its own, for as long as the process lives. With `marks`, records the time of each
    /// read.
    pub fn start(marks: bool) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (sender, drained) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    let sender = sender.clone();
                    tokio::spawn(async move {
                        // Data that was read before an error counts.
                        let _ = sender.send(read(stream, marks).await);
                    });
                }
            });
        });
        Ok(Self { address, drained })
    }

    /// Waits for the next connection that is closed.
    pub fn next(&self) -> Outcome<Drained> {
        Ok(self.drained.recv()?)
    }
}

async fn read(mut stream: TcpStream, marks: bool) -> Drained {
    let mut drained = Drained::default();
    let mut requests = Requests::default();
    let mut buffer = vec![0; READ];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let now = Instant::now();
        drained.last = Some(now);
        drained.bytes += count as u64;
        if marks {
            drained.marks.push((drained.bytes, now));
        }
        if let Some(answer) = requests.answer(&buffer[..count])
            && stream.write_all(answer).await.is_err()
        {
            break;
        }
    }
    drained
}

/// The requests of a connection that need a response. Each head is at the beginning of a `read`.
#[derive(Default)]
struct Requests {
    /// Remaining bytes of the body of a PUT with a length.
    left: usize,
}

impl Requests {
    /// Returns the response that the client waits for before it sends more.
    fn answer(&mut self, read: &[u8]) -> Option<&'static [u8]> {
        const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\
            Server: Cougar/9.01.01.5000\r\nContent-Length: 0\r\nSet-Cookie: push-id=1\r\n\r\n";
        const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
        let head = read.split(|byte| *byte == 0).next().unwrap_or_default();
        if read.starts_with(b"POST ") && find(head, b"x-wms-pushsetup").is_some() {
            return Some(NO_CONTENT);
        }
        if read.starts_with(b"PUT ") {
            let body = find(read, b"\r\n\r\n").map_or(0, |end| read.len() - end - 4);
            self.left = length(head).saturating_sub(body);
            if find(head, b"100-continue").is_some() {
                return Some(CONTINUE);
            }
            return (self.left == 0 && length(head) > 0).then_some(OK);
        }
        if self.left > 0 {
            self.left = self.left.saturating_sub(read.len());
            return (self.left == 0).then_some(OK);
        }
        read.ends_with(LAST_CHUNK).then_some(OK)
    }
}

/// Returns the Content-Length of a head; 0 without one.
fn length(head: &[u8]) -> usize {
    const FIELD: &[u8] = b"Content-Length: ";
    let value = find(head, FIELD).map(|at| &head[at + FIELD.len()..]);
    let digits = value
        .into_iter()
        .flatten()
        .take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let head = &bytes[..bytes.len().min(2048)];
    head.windows(text.len()).position(|window| window == text)
}
