// SPDX-License-Identifier: MPL-2.0

//! MS-WMHTTP, the Windows Media HTTP Push Distribution Protocol, as plain state.
//!
//! Nothing here knows a socket, a clock or a source of randomness: [`PushSession`] is the client of section 3.1,
//! [`server::ReceivingSession`] the server of section 3.2, and both are driven by whoever owns the connection. HTTP messages are
//! the [`http`] crate's; bodies are sequences of [`Packet`]s.
//!
//! ```text
//!            configure_server            2xx, Cougar or Rex           start_streaming
//!   Idle ──────────────────▶ PushSetupSent ───────────▶ PushSetupComplete ─────────┐
//!                                  │ anything else               ▲                 ▼
//!                                  ▼                             │ 2xx     PushStartInProgress ◀─┐
//!                                 End ◀── $E (≠ S_FALSE) ────────┼───────────  │ $H $D $C $E    │ next PushStart,
//!                                  ▲                             │             ▼ filled by $F   │ without $H
//!                                  └──────── refusal, loss ──────┴─ AwaitingPushStartResponse ──┘
//! ```
//!
//! # Where the specification is silent or contradicts itself
//!
//! | | |
//! |---|---|
//! | D-1 | A body may be `… $E (S_FALSE) $F`, and a later one may begin with `$C`: the prose and figure 9 count, not the grammar of 2.2.2.2. |
//! | D-2 | Requests carry no Pragma: none is defined for them. |
//! | D-3 | Requests carry `Cache-Control: no-cache`, as every capture does. |
//! | D-4 | After 401 or 407 the connection is kept if the server keeps it: NTLM cannot do without, and the rest need not. |
//! | D-5 | Responses without Set-Cookie, Pragma or Cache-Control are accepted; only a foreign Server on success is not. |
//! | D-6 | Server is matched by its first token alone, `Cougar/` or `Rex/`. |
//! | D-7 | User-Agent stays inside the grammar of 2.2.1.8; the receiving half accepts any `WMEncoder/`. |
//! | D-8 | Where fewer than eight bytes remain, `$F` has the payload that fills them, not four. |
//! | D-9, D-10 | `$E` (S_FALSE) needs twelve bytes: one that empties the body is never answered by Windows Media Services, and one to three bytes cannot be filled. |
//! | D-11 | `$D` that leaves exactly four bytes is sent. |
//! | D-12 | Several `$F` are cut so that no one to three bytes remain. |
//! | D-13 | Five redirections at most; 304, no usable Location, or one from https to http, is an error. Credentials, cookies and extra fields stay with the origin of the location. |
//! | D-14 | After 401 or 407 to a PushStart that began with `$H`, the next begins with it too. |
//! | D-15 | Template-URL stands in PushSetup only when the caller gave one. |
//! | D-16 | Between PushSetup and PushStart the receiving half runs the Inactivity-Timeout. |
//! | D-17 | NTLM never goes with a PushStart: where a server asks for it there, PushSetup goes first, on a connection of its own. |
//! | D-18 | `$D` holds at most 65,531 bytes, as `$H` and `$F` do. |
//! | D-20 | Padding is removed so that a receiver may fill up with zeros: see [`asf::DataPacket`](crate::asf::DataPacket). |
//! | D-21 | An https URL behind a proxy is reached by CONNECT, which carries nothing of 2.2.1 but User-Agent. |

mod budget;
mod client;
mod error;
mod header;
mod hresult;
mod message;
mod packet;
mod response;
mod secrets;
pub mod server;
mod setup;

pub use budget::{LengthRemaining, UNKNOWN_CONTENT_LENGTH, least_content_length};
pub use client::{
    AccessConfig, Counters, CredentialsWanted, Entropy, Event, Offer, PushSession, SessionConfig,
    Transmit,
};
pub use error::Error;
pub use header::{
    Cookies, PUSH_SETUP, PUSH_START, PushId, is_encoder_user_agent, is_extra_header,
    requested_push_id, title_case,
};
pub use hresult::HResult;
pub use message::{Body, Request, Response};
pub use packet::{MAX_PAYLOAD, MAX_STREAM_CHANGE_PAYLOAD, Packet, PacketId};
pub use response::{BadResponse, ResponseReader, Stage};
pub use secrets::Secrets;
pub use setup::SetupBody;
