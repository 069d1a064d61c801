// SPDX-License-Identifier: MPL-2.0

//! Pushing: the Windows Media Format SDK's writer push sink in Rust.
//!
//! [`Connection`] is `IWMWriterPushSink`, [`WriterSink`] the `IWMWriterSink` in it, [`StatusCallback`] the
//! `IWMStatusCallback` that it reports to. Behind them one task per connection drives a
//! [`PushSession`](crate::wmhttp::PushSession), on one thread for the whole process:
//!
//! ```text
//!  writer's thread            │ shared thread
//!  WriterSink ──▶ queue ──────┼──▶ driver ──▶ PushSession ──▶ driver ──▶ transport ──▶ socket
//!  (blocks here, bounded)     │      └──▶ StatusCallback
//! ```
//!
//! A payload is never copied on this way: a packet is a slice of the buffer that it came in until it is written. What goes
//! to `http` URLs goes straight onto a socket of its own; what is encrypted goes by reqwest.

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
mod lifecycle;
mod line;
mod notifier;
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
#[cfg(feature = "tls")]
mod tls;
mod writer_sink;

pub use connection::{Connection, DataUnits};
pub use error::{Error, Failure};
pub use probe::{Probe, probe};
pub use settings::{Leaky, Limits, NO_LIMIT, ProxySource, Settings};
pub use stats::Stats;
pub use status::{Phase, SessionState, Status, StatusCallback, WmtStatus};
#[cfg(feature = "tls")]
pub use tls::Trust;
pub use writer_sink::{WriteError, WriterSink};
