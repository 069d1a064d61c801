// SPDX-License-Identifier: MPL-2.0

//! The formats and protocols for pushing to a Windows Media server, sans-IO.
//!
//! ```text
//!  wmsp ──▶ wmhttp ─┬──▶ asf     Advanced Systems Format
//!                   └──▶ auth    HTTP authentication
//! ```
//!
//! * [`asf`] turns a byte stream into file headers and data packets, and edits both.
//! * [`auth`] answers challenges by Negotiate, NTLM, Digest and Basic, and checks answers by Digest and Basic.
//! * [`wmhttp`] is the push protocol MS-WMHTTP: [`wmhttp::PushSession`] is the client half,
//!   [`wmhttp::server::Sessions`] the server half.
//! * [`wmsp`] is the protocol of players, MS-WMSP, with both halves.
//!
//! The caller passes in time and randomness, and owns the sockets. The tests run both halves of a protocol against each
//! other in memory.
//!
//! # Pushing a file
//!
//! A push needs two requests. PushSetup asks for a session, and PushStart carries the stream in its body. The caller
//! offers the parts of the stream, sends each [`Transmit`](wmhttp::Transmit), and returns each response.
//!
//! ```
//! use std::time::SystemTime;
//!
//! use bytes::Bytes;
//! use wmspush_proto::asf::{Item, Reader};
//! use wmspush_proto::wmhttp::{
//!     AccessConfig, Entropy, Event, HResult, Offer, PushSession, ResponseReader, SessionConfig,
//!     SetupBody, Stage, Transmit,
//! };
//!
//! /// Randomness for NTLM and Digest, which this example does not use.
//! struct System;
//!
//! impl Entropy for System {
//!     fn now(&self) -> SystemTime {
//!         SystemTime::now()
//!     }
//!
//!     fn random(&mut self, _: &mut [u8]) {
//!         unimplemented!("fill with cryptographically secure bytes")
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # const FILE: &[u8] = include_bytes!(concat!(
//! #     env!("CARGO_MANIFEST_DIR"),
//! #     "/tests/fixtures/audio_ffmpeg_p3200.asf"
//! # ));
//! let mut session = PushSession::new(
//!     SessionConfig {
//!         url: "http://media.example/live".parse()?,
//!         setup: SetupBody::default(),
//!         user_agent: "WMEncoder/12.0".to_owned(),
//!         extra_headers: http::HeaderMap::new(),
//!         content_length: None,
//!         remove_padding: true,
//!         access: AccessConfig::default(),
//!     },
//!     System,
//! );
//!
//! // PushSetup, and the server's response to it.
//! session.configure_server();
//! let Some(Transmit::Request(request)) = session.poll_transmit() else {
//!     panic!("no request");
//! };
//! assert!(request.head().starts_with(b"POST /live HTTP/1.1\r\n"));
//! let mut reader = ResponseReader::new();
//! let stage = reader.push(
//!     b"HTTP/1.1 204 No Content\r\n\
//!     Server: Cougar/9.6.7600.16564\r\n\
//!     Set-Cookie: push-id=4124758405\r\n\r\n",
//! )?;
//! assert_eq!(stage, Stage::Complete);
//! let (response, reusable) = reader.finish().expect("the head is complete");
//! assert!(reusable);
//! session.handle_response(&response)?;
//! assert!(matches!(session.poll_event(), Some(Event::ServerConfigured { .. })));
//!
//! // PushStart, and the stream in its body.
//! let mut input = Reader::new();
//! input.push(Bytes::from_static(FILE));
//! while let Some(item) = input.next_item()? {
//!     let accepted = match item {
//!         Item::Header(header) => session.start_streaming(header) == Offer::Taken,
//!         Item::DataUnit(packet) => session.data_unit(packet) == Offer::Taken,
//!         Item::Skipped(_) => continue,
//!     };
//!     assert!(accepted, "a full body: offer the rest after the response");
//! }
//! assert_eq!(session.end_of_stream(HResult::S_OK), Offer::Taken);
//!
//! let mut body = 0;
//! while let Some(transmit) = session.poll_transmit() {
//!     match transmit {
//!         Transmit::Request(request) => assert!(request.head().ends_with(b"\r\n\r\n")),
//!         Transmit::Body(bytes) => body += bytes.len(),
//!         // The connection closes after the final $E.
//!         Transmit::Close(bytes) => body += bytes.len(),
//!         Transmit::Compute(..) => unreachable!("only Kerberos needs a blocking step"),
//!     }
//! }
//! assert!(body > 0 && session.counters().push_starts == 1);
//! # Ok(())
//! # }
//! ```

// Input is untrusted: nothing here may panic on it.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod asf;
pub mod auth;
pub mod wmhttp;
pub mod wmsp;
