// SPDX-License-Identifier: MPL-2.0

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Notify;

use super::faults::{Fault, When};
use super::shared::Shared;
use super::{Control, Event, Status, Viewer};
use wmspush_proto::wmhttp::HResult;
use wmspush_proto::wmhttp::server::{Received, SessionKey};

/// Most events that wait to be looked at; the oldest gives way, data first.
const MAX_EVENTS: usize = 16 * 1024;

/// Most pushes that are remembered after their end.
const MAX_PUSHES: usize = 256;

/// A publishing point from outside: what happened at it, and how to make it do something else.
///
/// Clones show the same publishing point. None of the methods needs a runtime except [`Handle::next_event`].
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) address: SocketAddr,
}

impl Handle {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the publishing point `name`.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Waits for the next event that `wanted` accepts, and takes it out; the others stay. `None` after `timeout`.
    pub fn wait_for(&self, wanted: impl FnMut(&Event) -> bool, timeout: Duration) -> Option<Event> {
        self.shared.events.wait_for(wanted, timeout)
    }

    /// The next event, whatever it is.
    pub async fn next_event(&self) -> Event {
        self.shared.events.next().await
    }

    /// Everything that was pushed so far, by session.
    pub fn pushes(&self) -> Vec<Push> {
        lock(&self.shared.pushes).0.values().cloned().collect()
    }

    /// How everything fares right now.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Everybody who watches, in the order in which they came.
    pub fn viewers(&self) -> Vec<Viewer> {
        self.shared.audience.viewers()
    }

    /// Waits until what was pushed is as `wanted` wants it. `None` after `timeout`.
    pub fn wait_for_pushes(
        &self,
        mut wanted: impl FnMut(&[&Push]) -> bool,
        timeout: Duration,
    ) -> Option<Vec<Push>> {
        let deadline = Instant::now().checked_add(timeout);
        let pushes = &self.shared.pushes;
        let mut guard = lock(pushes);
        loop {
            let all: Vec<_> = guard.0.values().collect();
            if wanted(&all) {
                return Some(all.into_iter().cloned().collect());
            }
            let left = time_left(deadline)?;
            let waited = self.shared.pushes_changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The requests so far, in the order in which they came; empty unless [`Settings::keep`](super::Settings::keep).
    pub fn requests(&self) -> Vec<RequestSeen> {
        lock(&self.shared.requests).clone()
    }

    /// Another script; the numbers of [`When`] begin anew.
    pub fn set_faults(&self, faults: Vec<(When, Fault)>) {
        lock(&self.shared.script).replace(faults);
    }

    /// 3.2.4.1 Administrative Disconnect of every client that is streaming.
    pub fn disconnect(&self, status: StatusCode) {
        self.shared.control.send_modify(|control| {
            *control = Control { status, ..*control };
        });
    }

    /// Stops serving: clients are disconnected with 503, recordings finished.
    pub fn stop(&self) {
        self.shared.control.send_modify(|control| {
            *control = Control {
                status: StatusCode::SERVICE_UNAVAILABLE,
                stopping: true,
            };
        });
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// A request as it came. `Debug` does not show it, since a push-id and credentials are in it.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestSeen {
    /// Request line and header fields, to the empty line.
    pub head: Bytes,
    /// The body of a PushSetup; empty for a PushStart.
    pub body: Bytes,
}

impl RequestSeen {
    /// The value of a header field, by its name in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.head).ok()?;
        let fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }
}

impl fmt::Debug for RequestSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSeen")
            .field("head", &format_args!("{} bytes", self.head.len()))
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

/// What one session has pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The session.
    pub session: SessionKey,
    /// Its publishing point.
    pub point: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// PushStarts that were granted.
    pub push_starts: u64,
    /// Data packets that came.
    pub data_packets: u64,
    /// Their bytes, as sent.
    pub data_bytes: u64,
    /// Bytes of filler that came.
    pub filler_bytes: u64,
    /// The Reason of the last `$E`.
    pub end: Option<HResult>,
    /// Whether a PushStart is in progress.
    pub receiving: bool,
    /// Whether the session is no more.
    pub over: bool,
    /// Every packet in order; empty unless [`Settings::keep`](super::Settings::keep).
    pub received: Vec<Received>,
}

impl Push {
    pub(super) fn new(session: SessionKey) -> Self {
        Self {
            session,
            point: String::new(),
            user_agent: String::new(),
            push_starts: 0,
            data_packets: 0,
            data_bytes: 0,
            filler_bytes: 0,
            end: None,
            receiving: false,
            over: false,
            received: Vec::new(),
        }
    }

    /// The counters without the packets.
    pub(super) fn outline(&self) -> Self {
        Self {
            point: self.point.clone(),
            user_agent: self.user_agent.clone(),
            received: Vec::new(),
            ..*self
        }
    }

    pub(super) fn note(&mut self, received: &Received, keep: bool) {
        match received {
            Received::Data(packet) => {
                self.data_packets += 1;
                self.data_bytes += packet.len() as u64;
            }
            Received::EndOfStream(reason) => self.end = Some(*reason),
            Received::Filler(bytes) => self.filler_bytes += *bytes as u64,
            Received::Header(_) | Received::StreamChange(_) => {}
        }
        if keep {
            self.received.push(received.clone());
        }
    }

    /// The ASF file headers among [`Self::received`].
    pub fn headers(&self) -> impl Iterator<Item = &Bytes> {
        self.received.iter().filter_map(|received| match received {
            Received::Header(header) | Received::StreamChange(header) => Some(header),
            _ => None,
        })
    }

    /// The ASF data packets among [`Self::received`].
    pub fn data(&self) -> impl Iterator<Item = &Bytes> {
        self.received.iter().filter_map(|received| match received {
            Received::Data(packet) => Some(packet),
            _ => None,
        })
    }
}

/// All pushes that are remembered.
#[derive(Default)]
pub(super) struct Pushes(BTreeMap<SessionKey, Push>);

impl Pushes {
    /// Those whose session is not over.
    pub(super) fn present(&self) -> impl Iterator<Item = &Push> {
        self.0.values().filter(|push| !push.over)
    }

    pub(super) fn entry(&mut self, key: SessionKey) -> &mut Push {
        if self.0.len() >= MAX_PUSHES && !self.0.contains_key(&key) {
            let oldest = self.0.values().find(|push| push.over);
            if let Some(key) = oldest.map(|push| push.session) {
                self.0.remove(&key);
            }
        }
        self.0.entry(key).or_insert_with(|| Push::new(key))
    }
}

/// Events that nobody has looked at yet.
#[derive(Default)]
pub(super) struct Events {
    queue: Mutex<VecDeque<Event>>,
    arrived: Condvar,
    notify: Notify,
}

impl Events {
    pub(super) fn push(&self, event: Event) {
        let mut queue = lock(&self.queue);
        if queue.len() >= MAX_EVENTS {
            let data = |event: &Event| matches!(event, Event::Data { .. });
            let oldest = queue.iter().position(data).unwrap_or(0);
            queue.remove(oldest);
        }
        queue.push_back(event);
        drop(queue);
        self.arrived.notify_all();
        self.notify.notify_one();
    }

    fn wait_for(&self, mut wanted: impl FnMut(&Event) -> bool, timeout: Duration) -> Option<Event> {
        let deadline = Instant::now().checked_add(timeout);
        let mut queue = lock(&self.queue);
        loop {
            if let Some(place) = queue.iter().position(&mut wanted) {
                return queue.remove(place);
            }
            let left = time_left(deadline)?;
            let waited = self.arrived.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    async fn next(&self) -> Event {
        loop {
            // One permit is kept when the event comes between the look and the wait.
            let arrived = self.notify.notified();
            if let Some(event) = lock(&self.queue).pop_front() {
                return event;
            }
            arrived.await;
        }
    }
}

/// `None` when there is none left; without a deadline an hour, to look again after it.
fn time_left(deadline: Option<Instant>) -> Option<Duration> {
    match deadline {
        Some(deadline) => deadline.checked_duration_since(Instant::now()),
        None => Some(Duration::from_secs(3600)),
    }
}

/// A panic elsewhere leaves counters and queues usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
