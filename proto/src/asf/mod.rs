// SPDX-License-Identifier: MPL-2.0

//! ASF, as much of it as a sender of data packets needs: bytes in any split become [`Item`]s.
//!
//! ```text
//!  Header Object │ Data Object: 50 bytes │ data packet × n, of P bytes each │ index objects
//!  └──────── ASF file header ────────────┘ └────────── data units ─────────┘ └─ skipped ─┘
//!             Item::Header                         Item::DataUnit             Item::Skipped
//! ```
//!
//! [`Reader`] is plain state: it knows no clock, no socket and no thread.
//!
//! * a header is taken apart by [`FileHeader`], which also makes the header of a live stream of it
//!   ([`FileHeader::to_live`], with bit rates [`FileHeader::to_live_with`]), one that fits its packet ([`FileHeader::shed_for`]) and that of a recorded file
//!   ([`FileHeader::for_recording`]);
//!   [`FileHeader::has_streams_of`] compares what a decoder needs of two headers;
//! * a packet is taken apart by [`DataPacket`], which also leaves its padding out ([`DataPacket::without_padding`]), or
//!   whole streams ([`DataPacket::with_streams`]), and fills up to its full size ([`DataPacket::filled_to`]);
//! * [`KeyFrames`] tells at which packets decoding can begin, and what to leave out of the first; [`KeyFrameGate`] drops
//!   packets until one of those;
//! * [`TimeWatch`] tells when times jump further than any player can follow.
//!
//! Section numbers are those of the *Advanced Systems Format (ASF) Specification*, revision 01.20.
//!
//! # Where readers differ
//!
//! * Objects are found by their sizes. Child counts are not trusted: asfmux counts too few.
//! * A Data Object of 0 or 50 bytes has an unknown number of packets, whether or not the Broadcast Flag is set:
//!   avmux_asf leaves it clear. With the flag, no size says how many there are.
//! * More packets than the Data Object's size announces are packets all the same: [`Reader::exceeded_count`].
//! * avmux_asf_stream puts its stream in the chunks of a pulled one, with `$H` first: they are unwrapped.
//! * A packet has at most 63 payloads. asfmux puts 64 into one, which no reader finds any of: it becomes two packets,
//!   [`DataPacket::split`].
//! * Packet Length may count the padding or not: asfmux leaves it out, everyone else counts it.
//! * A header is one more entry only if a packet follows it: avmux_asf ends with a rewritten copy of its header.
//! * The same header again is one more entry only if Send Times start again behind it: a file in a loop.

// What comes in is anyone's bytes: nothing here may panic on them.
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

mod bitrates;
mod byte_queue;
mod data_packet;
mod defect;
mod error;
mod fields;
mod file_header;
mod format;
mod guid;
mod header_tree;
mod item;
mod joining;
mod key_frames;
mod live_header;
mod object;
mod packing;
mod padding;
mod payload;
mod reader;
mod selecting;
mod shed;
mod splitting;
mod stream_formats;
mod stream_properties;
mod stream_set;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time_watch;

pub use bitrates::Bitrates;
pub use data_packet::DataPacket;
pub use defect::Defect;
pub use error::Error;
pub use file_header::FileHeader;
pub use format::{FirstBytes, Format};
pub use guid::Guid;
pub use header_tree::ShedObject;
pub use item::{Item, SkipReason, Skipped};
pub use key_frames::{KeyFrameGate, KeyFrames};
pub use padding::{PacketHead, Unpadded};
pub use reader::Reader;
pub use shed::HeaderPacket;
pub use stream_properties::{StreamProperties, StreamType};
pub use time_watch::{AbsurdTimes, StreamTime, TimeWatch};

/// Largest ASF file header in bytes that a `$H` packet can carry
pub const MAX_HEADER_IN_H: usize = 65_531;
/// Largest ASF file header in bytes that a `$C` packet can carry
pub const MAX_HEADER_IN_C: usize = 65_527;
/// Largest ASF data packet in bytes that a `$D` packet can carry
pub const MAX_PACKET_SIZE: usize = 65_531;
/// Smallest ASF data packet in bytes: room for its payload parsing information, and for a payload
pub const MIN_PACKET_SIZE: usize = 24;
