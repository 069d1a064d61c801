// SPDX-License-Identifier: MPL-2.0

//! An embedded publishing point: the part of a Windows Media server that receives pushes, for the demo, tests and
//! benches.
//!
//! [`PublishingPoint`] speaks HTTP/1.x with [`wmhttp::server`](wmspush_proto::wmhttp::server), records pushes as `.asf`
//! files, and serves them to players with [`wmsp`](wmspush_proto::wmsp). A script of [`Fault`]s makes it misbehave. A
//! [`Handle`] reports its events to async code and to plain threads:
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
mod clock;
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
mod recording;
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
use shared::PointState;

/// The realm of the accounts.
const REALM: &str = "publishing point";

/// Time for connections to end when the publishing point stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The settings of a [`PublishingPoint`].
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Address to listen on; by default a free port of the loopback interface.
    pub listen: SocketAddr,
    /// Directory for recordings, which has to exist; `None` to record nothing.
    pub record: Option<PathBuf>,
    /// True to keep all packets and requests for the [`Handle`]. Memory is then unbounded, so this is for tests.
    pub keep: bool,
    /// 3.2.2 Timers
    pub timeouts: Timeouts,
    /// The publishing points; by default every path is one.
    pub points: Points,
    /// Accounts that may push and read the status. Without accounts every client may.
    pub accounts: Vec<Credentials>,
    /// Publishing points on other servers (3.2.5.1 Receiving a PushSetup Request), by path.
    pub redirects: BTreeMap<String, Redirect>,
    /// Silence after which another source may displace the current one.
    pub stale: Duration,
    /// Connections, at most. At the limit a new one displaces an idle one, or is closed.
    pub max_connections: usize,
    /// Connections from one address, or from one /64 network of IPv6, at most.
    pub max_per_peer: usize,
    /// Viewers, at most; further ones get 503. An eighth of the connections is reserved for pushes.
    pub max_viewers: usize,
    /// Time limit for the head of a request, and for the body of a PushSetup.
    pub head_timeout: Duration,
    /// The scripted faults.
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
    /// Returns the part of the settings that sessions need.
    fn rules(&self) -> Rules {
        let mut secret = [0; 32];
        // Without randomness the server cannot create push-ids, so that it accepts no push in any case.
        let _ = getrandom::fill(&mut secret);
        Rules {
            guard: Guard::new(REALM, self.accounts.clone(), secret),
            redirects: self.redirects.clone(),
            stale: self.stale,
        }
    }
}

/// The command to all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Control {
    /// The status with which pushing clients are disconnected.
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

/// A publishing point that listens. Connections wait until [`serve`](Self::serve) or [`spawn`](Self::spawn) is called.
#[derive(Debug)]
pub struct PublishingPoint {
    listener: TcpListener,
    handle: Handle,
}

impl PublishingPoint {
    /// Listens according to `settings`.
    ///
    /// # Errors
    ///
    /// Fails if the socket cannot be bound.
    pub fn bind(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen)?;
        listener.set_nonblocking(true)?;
        let handle = Handle {
            address: listener.local_addr()?,
            shared: Arc::new(PointState::new(settings)),
        };
        Ok(Self { listener, handle })
    }

    /// Returns the address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    /// Returns a handle to its events.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves on the caller's runtime until [`Handle::stop`]. Dropping the future earlier leaves recordings unfinished.
    ///
    /// # Errors
    ///
    /// Fails if the socket cannot be used.
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
                    // The process has most likely run out of descriptors.
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
    /// Fails if the thread or its runtime cannot be created.
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
    shared: &Arc<PointState>,
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

/// A publishing point on a thread of its own. Dropping it stops the publishing point.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Stops the publishing point, and waits until recordings are finished.
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
