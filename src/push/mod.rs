// SPDX-License-Identifier: MPL-2.0

//! Pushing: the Windows Media Format SDK's writer push sink in Rust.
//!
//! [`Connection`] is `IWMWriterPushSink`, [`WriterSink`] the `IWMWriterSink` in it, [`StatusCallback`] the
//! `IWMStatusCallback` that it reports to. One task per connection, the driver, moves content through a
//! [`PushSession`](crate::wmhttp::PushSession), on one thread for the whole process:
//!
//! ```text
//!  writer's thread           │ network thread
//!  WriterSink ──▶ queue ─────┼──▶ driver ──▶ PushSession ──▶ exchange ──▶ line ──▶ socket
//!  (blocks here, bounded)    │      │ │
//!                            │      │ └──▶ replay: sent, and not acknowledged
//!  application's thread      │      ├────▶ reconnect: what follows a loss
//!  StatusCallback ◀──────────┼──────┘ notifier, lifecycle
//! ```
//!
//! No payload is copied on this path: a packet stays a slice of its buffer until it is written. `lifecycle` alone holds
//! the state of the push. `ARCHITECTURE.md` lists the invariants.

mod answer;
mod backoff;
mod blocking;
mod client;
mod connect;
mod connection;
mod connector;
mod driver;
mod entropy;
mod error;
mod exchange;
mod handover;
mod lifecycle;
mod line;
mod notifier;
mod on_air;
mod parked;
mod probe;
mod queue;
mod reconnect;
mod replay;
mod runtime;
mod settings;
mod shared;
mod socket;
mod stats;
mod status;
#[cfg_attr(not(feature = "tls"), path = "tls/absent.rs")]
mod tls;
mod verify;
mod writer_sink;

pub use connection::{Connection, DataUnits, KnownServer};
pub use error::{Circumstances, Error, Failure, Peer, Proxy, TlsError};
pub use on_air::OnAir;
pub use probe::{Probe, probe};
pub use settings::{Leaky, Limits, NO_LIMIT, ProxySource, Settings};
pub use stats::Stats;
pub use status::{Phase, SessionState, Status, StatusCallback, WmtStatus};
pub use tls::Trust;
pub use verify::{Cancel, Cause, NotOnAir, Place, Verified, verify};
pub use writer_sink::{WriteError, WriterSink};
