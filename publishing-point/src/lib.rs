// SPDX-License-Identifier: MPL-2.0

//! An embedded publishing point: enough of a Windows Media server to push to, for the demo, the tests and the benches.
//!
//! [`PublishingPoint`] listens, speaks HTTP/1.x with [`wmhttp::server`](wmspush_proto::wmhttp::server), records what comes as
//! `.asf` files, shows it to players with [`wmsp`](wmspush_proto::wmsp), and misbehaves when a script of [`Fault`]s says so. A
//! [`Handle`] shows what happened, from async code and from plain threads alike:
//!
//! ```
//! use std::time::Duration;
//! use publishing_point::{PublishingPoint, Settings};
//!
//! # fn main() -> std::io::Result<()> {
//! let point = PublishingPoint::bind(Settings::default())?.spawn()?;
//! assert!(point.url("live").ends_with("/live"));
//! // … push to it …
//! let event = point.wait_for(|_| true, Duration::ZERO);
//! assert_eq!(event, None);
//! point.shutdown();
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http::StatusCode;
use tokio::task::JoinSet;

use wmspush_proto::auth::{Credentials, Guard};
use wmspush_proto::wmhttp::server::{Points, Redirect, Rules, Timeouts};

mod admission;
mod audience;
mod connection;
mod delivery;
mod documents;
mod event;
mod events;
mod exchange;
mod faults;
mod handle;
mod history;
mod journal;
mod json;
mod ledger;
mod lock;
mod meter;
mod metrics;
mod misbehaviour;
mod presence;
mod pushes;
mod recorder;
mod relay;
mod requests;
mod shared;
mod status;
mod syncer;
mod viewing;
mod wire;

pub use audience::{Leave, Viewer};
pub use event::{Closer, Event};
pub use faults::{Fault, Head, MidBody, Refuse, When};
pub use handle::Handle;
pub use journal::Notice;
pub use pushes::Push;
pub use requests::RequestSeen;
pub use status::{PointStatus, Status};

use admission::Ticket;
use connection::Connection;
use lock::lock;
use shared::Shared;

/// For what accounts are good.
const REALM: &str = "publishing point";

/// How long connections have to say goodbye when the publishing point stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a [`PublishingPoint`] is to be like.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where to listen; by default on any free port of the loopback interface.
    pub listen: SocketAddr,
    /// Where to record, if at all. The directory must exist.
    pub record: Option<PathBuf>,
    /// Whether the [`Handle`] keeps everything that comes: for tests, since nothing limits it.
    pub keep: bool,
    /// 3.2.2 Timers
    pub timeouts: Timeouts,
    /// Which publishing points there are; by default every path is one.
    pub points: Points,
    /// Who may push; empty: everybody. Whoever may not cannot see the status either.
    pub accounts: Vec<Credentials>,
    /// Publishing points that are elsewhere (3.2.5.1).
    pub redirects: BTreeMap<String, Redirect>,
    /// After so long without a packet a source gives way to another one.
    pub stale: Duration,
    /// Most connections at a time. A new one takes the place of an idle one, or is closed.
    pub max_connections: usize,
    /// Most connections of one address at a time, or of one /64 network of IPv6.
    pub max_per_peer: usize,
    /// Most viewers at a time; others get 503. An eighth of the connections is never theirs.
    pub max_viewers: usize,
    /// The time that the head of a request may take, and the body of a PushSetup.
    pub head_timeout: Duration,
    /// What is to go wrong.
    pub faults: Vec<(When, Fault)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            record: None,
            keep: false,
            timeouts: Timeouts::default(),
            points: Points::default(),
            accounts: Vec::new(),
            redirects: BTreeMap::new(),
            stale: Rules::STALE,
            max_connections: 1024,
            max_per_peer: 256,
            max_viewers: 256,
            head_timeout: Duration::from_secs(10),
            faults: Vec::new(),
        }
    }
}

impl Settings {
    /// What the sessions have to know of this.
    fn rules(&self) -> Rules {
        let mut secret = [0; 32];
        // Without randomness there are no push-ids either, and nobody comes in.
        let _ = getrandom::fill(&mut secret);
        Rules {
            guard: Guard::new(REALM, self.accounts.clone(), secret),
            redirects: self.redirects.clone(),
            stale: self.stale,
        }
    }
}

/// What all connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Control {
    /// With which status whoever is streaming is disconnected.
    status: StatusCode,
    stopping: bool,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            stopping: false,
        }
    }
}

/// A publishing point that listens. Connections wait until it is served by one of the two ways.
#[derive(Debug)]
pub struct PublishingPoint {
    listener: TcpListener,
    handle: Handle,
}

impl PublishingPoint {
    /// Listens as `settings` say.
    ///
    /// # Errors
    ///
    /// Those of binding a socket.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen)?;
        listener.set_nonblocking(true)?;
        let handle = Handle {
            address: listener.local_addr()?,
            shared: Arc::new(Shared::new(settings)),
        };
        Ok(Self { listener, handle })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    /// What happens at it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves on the runtime of the caller until [`Handle::stop`]. Whoever drops the future before loses the ends of
    /// recordings.
    ///
    /// # Errors
    ///
    /// When the socket cannot be used.
    pub async fn serve(self) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let shared = self.handle.shared;
        let mut control = shared.control.subscribe();
        let mut connections = JoinSet::new();
        while !control.borrow_and_update().stopping {
            let deadline = lock(&shared.sessions).next_timeout();
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => admit(&shared, &mut connections, stream, peer.ip()),
                    // Out of descriptors, most likely.
                    Err(_) => {
                        shared.admission.make_room();
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = shared.sleep_until(deadline) => shared.handle_timeout(),
                () = shared.sessions_changed.notified() => {}
                Some(_) = connections.join_next() => {}
                _ = control.changed() => {}
            }
        }
        drop(listener);
        let farewell = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        connections.shutdown().await;
        shared.finish_recordings();
        Ok(())
    }

    /// Serves on a thread of its own until [`Running`] is dropped.
    ///
    /// # Errors
    ///
    /// When there is no thread or runtime to be had.
    pub fn spawn(self) -> io::Result<Running> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = self.handle();
        let thread = std::thread::Builder::new()
            .name("publishing-point".to_owned())
            .spawn(move || runtime.block_on(self.serve()))?;
        Ok(Running {
            handle,
            thread: Some(thread),
        })
    }
}

/// Serves a connection if there is room for it, and closes it otherwise.
fn admit(
    shared: &Arc<Shared>,
    connections: &mut JoinSet<()>,
    stream: tokio::net::TcpStream,
    peer: IpAddr,
) {
    if let Some(ticket) = Ticket::new(&shared.admission, peer) {
        let id = ticket.id();
        let connection = Connection::new(stream, shared.clone(), ticket);
        shared
            .admission
            .attach(id, connections.spawn(connection.run()));
    }
}

/// A publishing point on a thread of its own, which stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Stops it, and waits until recordings are finished.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Deref for Running {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
