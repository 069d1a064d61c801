// SPDX-License-Identifier: MPL-2.0

//! A receiver that handles each connection by a script, and records the received requests and packets.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::asf::Stream;
use crate::connection::Connection;
use crate::line::{Line, Security};
use crate::{LONG, asf};

/// Requests and packets of one connection.
#[derive(Clone, Debug)]
pub struct Record {
    /// The time at which the receiver had closed it.
    pub closed: Option<Instant>,
    pub requests: Vec<Request>,
    pub packets: Vec<Packet>,
    /// Numbers of packets that the kernel had acknowledged and the receiver did not read.
    pub unread: Vec<u32>,
}

impl Record {
    fn new() -> Self {
        Self {
            closed: None,
            requests: Vec::new(),
            packets: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// The letters of the packets, without repetitions: `HDE`.
    pub fn letters(&self) -> String {
        let mut letters: Vec<_> = self.packets.iter().map(|packet| packet.letter).collect();
        letters.dedup();
        letters.into_iter().collect()
    }
}

/// A request, without its body.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: Instant,
    pub head: String,
}

impl Request {
    pub fn is_setup(&self) -> bool {
        self.head.contains("application/x-wms-pushsetup")
    }

    /// True if it names a session: its push-id is not 0.
    pub fn has_push_id(&self) -> bool {
        self.field("Cookie")
            .is_some_and(|cookie| !cookie.contains("push-id=0"))
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self
            .head
            .split("\r\n")
            .filter_map(|line| line.split_once(": "));
        fields
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// A packet of 2.2.3, without its payload.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub at: Instant,
    /// PacketID.
    pub letter: char,
    /// The number in a `$D`.
    pub number: Option<u32>,
    /// True for the `$E` that ends the stream, and not an entry of it: S_OK.
    pub is_end: bool,
}

impl Packet {
    pub fn of(letter: u8, payload: &[u8]) -> Self {
        Self {
            at: Instant::now(),
            letter: letter.into(),
            number: asf::number(payload),
            is_end: letter == b'E' && payload.iter().all(|byte| *byte == 0),
        }
    }
}

#[derive(Default)]
pub struct State {
    pub records: Vec<Record>,
    /// The time for which the receiver shall stop listening.
    absence: Option<Duration>,
    listens: bool,
    stopped: bool,
    /// Bytes that are not MS-WMHTTP.
    pub violations: Vec<String>,
}

/// State that the receiver's threads and the test share.
pub struct ReceiverState {
    pub address: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

impl ReceiverState {
    /// Changes the state, and wakes up waiting threads.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_all();
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that fails during a wait poisons the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `until` is true. Returns false after `timeout`.
    fn wait(&self, timeout: Duration, mut until: impl FnMut(&State) -> bool) -> bool {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, timeout, |state| !until(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Closes the listening socket for `absence`. Connections stay. Returns when nothing listens.
    pub fn stop_listening(&self, absence: Duration) {
        self.change(|state| state.absence = Some(absence));
        let _ = TcpStream::connect(self.address);
        assert!(self.wait(LONG, |state| !state.listens));
    }
}

/// A receiver that listens on a port of its own.
pub struct Receiver {
    shared: Arc<ReceiverState>,
    location: String,
}

impl Receiver {
    pub fn new(script: impl Fn(Connection) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::on(own_address(), Sockets::default(), script)
    }

    /// A receiver with a socket buffer of this many bytes. `segment` bounds TCP segments, in bytes, and so the sender's
    /// socket buffer.
    pub fn narrow(
        bytes: usize,
        segment: Option<u32>,
        script: impl Fn(Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let sockets = Sockets {
            receive_buffer: Some(bytes),
            segment,
            security: None,
        };
        Self::on(own_address(), sockets, script)
    }

    /// A receiver that speaks TLS, as `localhost`.
    pub fn tls(
        security: Security,
        script: impl Fn(Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let sockets = Sockets {
            security: Some(security),
            ..Sockets::default()
        };
        Self::on(([127, 0, 0, 1], 0).into(), sockets, script)
    }

    fn on(
        address: SocketAddr,
        sockets: Sockets,
        script: impl Fn(Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = sockets.listen(address);
        let address = listener.local_addr().unwrap();
        let location = match sockets.security {
            Some(_) => format!("https://localhost:{}/live", address.port()),
            None => format!("http://{address}/live"),
        };
        let state = State {
            listens: true,
            ..State::default()
        };
        let shared = Arc::new(ReceiverState {
            address,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let (accepting, script) = (Arc::clone(&shared), Arc::new(script));
        std::thread::spawn(move || accept(listener, &sockets, &accepting, &script));
        Self { shared, location }
    }

    pub fn location(&self) -> String {
        self.location.clone()
    }

    /// All connections so far.
    pub fn records(&self) -> Vec<Record> {
        self.shared.lock().records.clone()
    }

    /// Waits until `until` is true. `what` names that in the failure.
    pub fn wait(&self, what: &str, mut until: impl FnMut(&[Record]) -> bool) {
        let waited = self.shared.wait(LONG, |state| until(&state.records));
        assert!(waited, "{what} does not come: {:#?}", self.requests());
    }

    /// Waits until this many packets have been read over all connections.
    pub fn wait_for_packets(&self, count: usize) {
        let packets = |record: &Record| record.packets.len();
        self.wait("data", |records| {
            records.iter().map(packets).sum::<usize>() >= count
        });
    }

    /// Closes the listening socket for `absence`: clients get "connection refused".
    pub fn stop_listening(&self, absence: Duration) {
        self.shared.stop_listening(absence);
    }

    /// Returns a line for each request: `setup new`, `start known`.
    pub fn requests(&self) -> Vec<String> {
        let records = self.records();
        let requests = records.iter().flat_map(|record| &record.requests);
        let kind = |request: &Request| {
            let kind = if request.is_setup() { "setup" } else { "start" };
            let session = if request.has_push_id() {
                "known"
            } else {
                "new"
            };
            format!("{kind} {session}")
        };
        requests.map(kind).collect()
    }

    /// Numbers of the packets that were read, over all connections.
    pub fn numbers(&self) -> BTreeSet<u32> {
        let records = self.records();
        let packets = records.iter().flat_map(|record| &record.packets);
        packets.filter_map(|packet| packet.number).collect()
    }

    /// Numbers of the packets that were acknowledged and never read.
    pub fn unread(&self) -> BTreeSet<u32> {
        let records = self.records();
        let unread = records.iter().flat_map(|record| record.unread.clone());
        unread
            .collect::<BTreeSet<_>>()
            .difference(&self.numbers())
            .copied()
            .collect()
    }

    /// Numbers of the stream's packets that were never read.
    pub fn missing(&self, stream: &Stream) -> BTreeSet<u32> {
        let all = stream.first..stream.first + stream.packets;
        let numbers = self.numbers();
        all.filter(|number| !numbers.contains(number)).collect()
    }

    /// Number of packets with this letter that were read.
    pub fn count(&self, letter: char) -> usize {
        let records = self.records();
        let packets = records.iter().flat_map(|record| &record.packets);
        packets.filter(|packet| packet.letter == letter).count()
    }

    /// The time when the receiver closed its first connection.
    pub fn first_loss(&self) -> Instant {
        let closed =
            |records: &[Record]| records.first().is_some_and(|first| first.closed.is_some());
        self.wait("a loss", closed);
        self.records()[0].closed.unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let violations = self.shared.change(|state| {
            state.stopped = true;
            std::mem::take(&mut state.violations)
        });
        let _ = TcpStream::connect(self.shared.address);
        assert!(
            std::thread::panicking() || violations.is_empty(),
            "{violations:#?}"
        );
    }
}

/// A loopback address that no other receiver has, so that its port stays free while nothing listens on it.
fn own_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id().to_le_bytes()[0];
    let host = NEXT.fetch_add(1, Ordering::Relaxed);
    ([127, 7, process, host], 0).into()
}

/// Options of a receiver's sockets.
#[derive(Default)]
struct Sockets {
    /// Bytes.
    receive_buffer: Option<usize>,
    /// Bytes.
    segment: Option<u32>,
    security: Option<Security>,
}

impl Sockets {
    fn listen(&self, address: SocketAddr) -> TcpListener {
        let listener = TcpListener::bind(address).unwrap();
        let socket = socket2::SockRef::from(&listener);
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        if let Some(segment) = self.segment {
            socket.set_tcp_mss(segment).unwrap();
        }
        listener
    }
}

/// Runs the script for each connection, in a thread each.
fn accept<S>(
    mut listener: TcpListener,
    sockets: &Sockets,
    shared: &Arc<ReceiverState>,
    script: &Arc<S>,
) where
    S: Fn(Connection) -> io::Result<()> + Send + Sync + 'static,
{
    loop {
        let (stream, _) = listener.accept().unwrap();
        let (stopped, absence) = shared.change(|state| (state.stopped, state.absence.take()));
        if stopped {
            return;
        }
        if let Some(absence) = absence {
            drop((stream, listener));
            shared.change(|state| state.listens = false);
            if shared.wait(absence, |state| state.stopped) {
                return;
            }
            listener = sockets.listen(shared.address);
            shared.change(|state| state.listens = true);
            continue;
        }
        let number = shared.change(|state| {
            state.records.push(Record::new());
            state.records.len() - 1
        });
        let line = Line::new(stream, sockets.security.as_ref());
        let connection = Connection::new(line, number, Arc::clone(shared));
        let script = Arc::clone(script);
        std::thread::spawn(move || script(connection));
    }
}
