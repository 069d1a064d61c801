// SPDX-License-Identifier: MPL-2.0

//! The receiver's side of a connection: requests, responses, packets.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::line::Line;
use crate::receiver::{Packet, ReceiverState, Record, Request};

/// 2.2.3.1.1: `$`, PacketID, PacketLength.
const FRAMING_HEADER_SIZE: usize = 4;

pub struct Connection {
    /// `None` after it was closed.
    line: Option<Line>,
    /// Number of earlier connections.
    pub number: usize,
    shared: Arc<ReceiverState>,
    /// Bytes that were read and are not yet part of a request or packet.
    buffer: Vec<u8>,
}

impl Connection {
    pub fn new(line: Line, number: usize, shared: Arc<ReceiverState>) -> Self {
        Self {
            line: Some(line),
            number,
            shared,
            buffer: Vec::new(),
        }
    }

    fn line(&mut self) -> &mut Line {
        self.line.as_mut().unwrap()
    }

    fn record(&self, record: impl FnOnce(&mut Record)) {
        self.shared
            .change(|state| record(&mut state.records[self.number]));
    }

    /// Reads at most `most` bytes into the buffer. The end of the connection is an error.
    fn read(&mut self, most: usize) -> io::Result<usize> {
        let mut bytes = vec![0; most];
        let count = self.line().read(&mut bytes)?;
        self.buffer.extend_from_slice(&bytes[..count]);
        match count {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }

    /// The next request, and the body of a PushSetup.
    pub fn request(&mut self) -> io::Result<Request> {
        let end = |bytes: &[u8]| bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = loop {
            match end(&self.buffer) {
                Some(end) => break end + 4,
                None => self.read(4096)?,
            };
        };
        let head: Vec<_> = self.buffer.drain(..end).collect();
        let request = Request {
            at: Instant::now(),
            head: String::from_utf8_lossy(&head).into_owned(),
        };
        if request.is_setup() {
            let length = request.field("Content-Length").unwrap_or("0");
            let length: usize = length.parse().unwrap();
            while self.buffer.len() < length {
                self.read(length - self.buffer.len())?;
            }
            self.buffer.drain(..length);
        }
        self.record(|record| record.requests.push(request.clone()));
        Ok(request)
    }

    /// Answers with a status, such as `404 Not Found`, and more header fields, each with its line end.
    pub fn answer(&mut self, status: &str, fields: &str) -> io::Result<()> {
        let server = "Server: Cougar/9.01.01.3814\r\n";
        let response = format!("HTTP/1.1 {status}\r\n{server}{fields}\r\n");
        self.line().write_all(response.as_bytes())?;
        self.line().flush()
    }

    /// Answers with a status and an empty body, and closes the connection.
    pub fn refuse(mut self, status: &str) -> io::Result<()> {
        self.answer(status, "Content-Length: 0\r\nConnection: close\r\n")
    }

    /// Answers a PushSetup with 204 and a push-id that follows from the connection's number.
    pub fn accept_setup(&mut self) -> io::Result<()> {
        let cookie = format!("Set-Cookie: push-id={}\r\n", 4711 + self.number);
        self.answer("204 No Content", &cookie)
    }

    /// Accepts a PushSetup, if there is one, and reads the PushStart.
    pub fn let_in(&mut self) -> io::Result<Request> {
        loop {
            let request = self.request()?;
            if !request.is_setup() {
                return Ok(request);
            }
            self.accept_setup()?;
        }
    }

    /// The next packet.
    pub fn packet(&mut self) -> io::Result<Packet> {
        loop {
            if let Some(packet) = self.take_packet()? {
                self.record(|record| record.packets.push(packet));
                return Ok(packet);
            }
            self.read(4096)?;
        }
    }

    /// Reads this many packets, `$H` included.
    pub fn packets(&mut self, count: usize) -> io::Result<()> {
        (0..count).try_for_each(|_| self.packet().map(drop))
    }

    /// Reads exactly this many bytes, and records the packets that are complete.
    pub fn bytes(&mut self, count: usize) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            left -= self.read(left)?;
        }
        while let Some(packet) = self.take_packet()? {
            self.record(|record| record.packets.push(packet));
        }
        Ok(())
    }

    /// Takes the first packet off the buffer; `None` if it is incomplete.
    fn take_packet(&mut self) -> io::Result<Option<Packet>> {
        let Some(framing) = self.buffer.first_chunk::<FRAMING_HEADER_SIZE>() else {
            return Ok(None);
        };
        let [frame, letter, low, high] = *framing;
        if frame != b'$' {
            let violation = format!("connection {}: no packet: {framing:x?}", self.number);
            self.shared.change(|state| state.violations.push(violation));
            return Err(ErrorKind::InvalidData.into());
        }
        let end = FRAMING_HEADER_SIZE + usize::from(u16::from_le_bytes([low, high]));
        let Some(payload) = self.buffer.get(FRAMING_HEADER_SIZE..end) else {
            return Ok(None);
        };
        let packet = Packet::of(letter, payload);
        self.buffer.drain(..end);
        Ok(Some(packet))
    }

    /// Reads packets up to `$E` with S_OK.
    pub fn read_to_end(&mut self) -> io::Result<()> {
        while !self.packet()?.is_end {}
        Ok(())
    }

    /// Receives a push without a fault: requests, packets, end of the connection.
    pub fn serve(mut self) -> io::Result<()> {
        self.let_in()?;
        self.serve_data()
    }

    /// Receives the packets of a push that was let in, and the end of the connection.
    pub fn serve_data(mut self) -> io::Result<()> {
        self.read_to_end()?;
        self.until_it_leaves()
    }

    /// Discards bytes until the client closes the connection.
    pub fn until_it_leaves(mut self) -> io::Result<()> {
        while self.read(65_536).is_ok() {}
        Ok(())
    }

    /// Reads nothing for `time`, or until the client has reset the connection.
    pub fn stall(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && self.line().socket().take_error().is_ok_and(|e| e.is_none()) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Bytes that the kernel has acknowledged and the script has not read.
    fn peek(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 4 << 20];
        let socket = self.line().socket();
        socket.set_nonblocking(true).unwrap();
        let count = socket.peek(&mut bytes).unwrap_or(0);
        socket.set_nonblocking(false).unwrap();
        bytes.truncate(count);
        bytes
    }

    /// Number of bytes that the kernel has acknowledged and the script has not read.
    pub fn acknowledged(&mut self) -> usize {
        self.peek().len()
    }

    /// Waits until the kernel's receive buffer is full, or at most 1 s.
    pub fn settle(&mut self) {
        const QUIET: Duration = Duration::from_millis(50);
        let mut before = 0;
        for _ in 0..20 {
            std::thread::sleep(QUIET);
            let now = self.acknowledged();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// Closes the listening socket for `absence`: clients get "connection refused".
    pub fn stop_listening(&self, absence: Duration) {
        self.shared.stop_listening(absence);
    }

    pub fn close_notify(&mut self) -> io::Result<()> {
        self.line().close_notify()
    }

    /// Resets the connection.
    pub fn reset(mut self) -> io::Result<()> {
        self.record_unread();
        self.line().set_reset();
        Ok(())
    }

    /// Closes the connection. Unread data makes the kernel reset it.
    pub fn close(mut self) -> io::Result<()> {
        self.record_unread();
        Ok(())
    }

    /// Records the packets that the kernel has acknowledged and the script will not read. Does not look into TLS.
    fn record_unread(&mut self) {
        let unread = self.peek();
        self.buffer.extend(unread);
        let packets = std::iter::from_fn(|| self.take_packet().ok().flatten());
        let numbers = packets.filter_map(|packet| packet.number).collect();
        self.record(|record| record.unread = numbers);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.line.take());
        self.record(|record| record.closed = Some(Instant::now()));
    }
}
