// SPDX-License-Identifier: MPL-2.0

//! MS-WMSP, the Windows Media HTTP Streaming Protocol, sans-IO: both halves, for broadcast content.
//!
//! Players watch with this protocol what an encoder pushes with MS-WMHTTP. The caller owns the sockets, and passes in
//! time and randomness. [`PlayerRequest`] parses the head of a request, [`Players`] is the table of sessions, [`reply`]
//! creates the heads of responses, and [`Framer`] the framing of ASF packets. [`client`] is a player that checks
//! whether a stream can be watched.
//!
//! ```text
//!   GET                    ──▶ 200, application/vnd.ms.wms-hdr.asfv1     $M $H            Describe
//!   GET, xPlayStrm=1       ──▶ 200, application/x-mms-framed             $M $H $D … $E    Play
//!   POST, OPTIONS          ──▶ 200 or 204, and no body                                    KeepAlive, Log, …
//!   GET of any other agent ──▶ 200, video/x-ms-asf                       an ASF file      plain HTTP
//! ```
//!
//! # Decisions of the server half, and differences in practice
//!
//! | | |
//! |---|---|
//! | 2.2.3.1.1 Framing Header | The B flag is never set, because players compare the whole byte. |
//! | 2.2.3.3 $D (Data) | Padding is removed, except for `NSServer` before 5.0. A packet over 65,527 bytes does not fit into `$D` and is dropped. |
//! | 2.2.3.4 $E (End-of-Stream Notification), 3.2.4.2 Notification That a New ASF Header Is Available | `$C` comes without `$E` (S_FALSE), as the specification permits, because players end at any `$E`. |
//! | 2.2.3.6 $M (Metadata) | `$M` is sent only to players of version 9.0 and later, as required, and has no content description. |
//! | 3.2.5.4 Receiving a Describe Request | The server offers neither pipelined mode nor `$P`, so a request for them is refused. |
//! | 3.2.5.6 Receiving a Play Request | A player that selects no stream gets all streams. Streams are never thinned, and not switched during play. A Play response has no known length, and is never chunked. |

pub mod client;
mod packet;
mod players;
mod pragma;
pub mod reply;
mod request;
mod selection;

pub use packet::{Framer, MAX_DATA};
pub use players::{Opened, Players};
pub use request::{Agent, PlayerKind, PlayerRequest, Refusal};
pub use selection::Selection;
