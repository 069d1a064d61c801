// SPDX-License-Identifier: MPL-2.0

//! MS-WMHTTP, the Windows Media HTTP Push Distribution Protocol, sans-IO.
//!
//! [`PushSession`] is the client of section 3.1, [`server::ReceivingSession`] the server of section 3.2. The owner of
//! the connection drives them, and passes in time and randomness. HTTP messages are those of the [`http`] crate; bodies
//! are sequences of [`Packet`]s.
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
//! # Decisions where the specification is silent or contradicts itself
//!
//! | | |
//! |---|---|
//! | D-1 | A body may be `… $E (S_FALSE) $F`, and a later one may begin with `$C`: the prose and figure 9 count, not the grammar of 2.2.2.2 PushStart Request. |
//! | D-2 | Requests carry no Pragma, because none is defined for them. |
//! | D-3 | Requests carry `Cache-Control: no-cache`, as every capture does. |
//! | D-4 | After 401 or 407 the connection is kept if the server keeps it: NTLM requires that, and the other schemes allow it. |
//! | D-5 | Responses without Set-Cookie, Pragma or Cache-Control are accepted. Only a foreign Server field on success is refused. |
//! | D-6 | Server is matched by its first token only, `Cougar/` or `Rex/`. |
//! | D-7 | User-Agent follows the grammar of 2.2.1.8. The server half accepts any `WMEncoder/`. |
//! | D-8 | If fewer than eight bytes remain, the payload of `$F` fills them exactly instead of having four bytes. |
//! | D-9, D-10 | `$E` (S_FALSE) needs twelve bytes: Windows Media Services never answer a body that it empties, and a rest of one to three bytes cannot be filled. |
//! | D-11 | `$D` that leaves exactly four bytes is sent. |
//! | D-12 | The sizes of several `$F` never leave one to three bytes. |
//! | D-13 | The client follows at most five redirections. 304, an unusable Location, and one from https to http are errors. Credentials, cookies and extra fields stay with the origin of the configured URL. |
//! | D-14 | After 401 or 407 to a PushStart that began with `$H`, the next one begins with `$H` too. |
//! | D-15 | PushSetup has a Template-URL only if the caller gave one. |
//! | D-16 | Between PushSetup and PushStart the server half runs the Inactivity-Timeout. |
//! | D-17 | PushStart never carries NTLM. If a server requires it there, the client sends PushSetup first, on a new connection. |
//! | D-18 | `$D` holds at most 65,531 bytes, as `$H` and `$F` do. |
//! | D-20 | Padding is removed so that a receiver may restore it with zeros: see [`asf::DataPacket`](crate::asf::DataPacket). |
//! | D-21 | An https URL behind a proxy is reached by CONNECT. Of the fields in 2.2.1 HTTP Header Fields, CONNECT carries only User-Agent. |

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
    AccessConfig, CredentialsWanted, Entropy, Event, Offer, PushSession, SessionConfig,
    SessionCounters, Transmit,
};
pub use error::Error;
pub use header::{
    BadPushId, Cookies, PUSH_SETUP, PUSH_START, PushId, is_encoder_user_agent, is_extra_header,
    requested_push_id, title_case,
};
pub use hresult::HResult;
pub use message::{Body, Request, Response};
pub use packet::{BadPacket, MAX_PAYLOAD, MAX_STREAM_CHANGE_PAYLOAD, Packet, PacketId};
pub use response::{BadResponse, ResponseReader, Stage};
pub use secrets::Secrets;
pub use setup::{BadSetupBody, SetupBody};
