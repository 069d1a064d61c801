// SPDX-License-Identifier: MPL-2.0

//! The subset of ASF that a sender of data packets needs: a [`Reader`] turns bytes in any split into [`Item`]s.
//!
//! ```text
//!  Header Object │ Data Object: 50 bytes │ data packet × n, of P bytes each │ index objects
//!  └──────── ASF file header ────────────┘ └────────── data units ─────────┘ └─ skipped ─┘
//!             Item::Header                         Item::DataUnit             Item::Skipped
//! ```
//!
//! [`Reader`] is sans-IO: it uses no clock, no socket and no thread.
//!
//! * [`FileHeader`] parses a header. It derives the header of a live stream ([`FileHeader::to_live`], with bit rates
//!   [`FileHeader::to_live_with`]), one that fits its packet ([`FileHeader::shed_for`]) and that of a recorded file
//!   ([`FileHeader::for_recording`]). [`FileHeader::has_streams_of`] compares the decoder settings of two headers.
//! * [`DataPacket`] parses a packet. It removes padding ([`DataPacket::without_padding`]) or whole streams
//!   ([`DataPacket::with_streams`]), and restores the full size ([`DataPacket::filled_to`]).
//! * [`KeyFrames`] finds the packets at which decoding can begin, and trims the first one for a late joiner.
//!   [`KeyFrameGate`] drops packets until then.
//! * [`TimeWatch`] detects jumps in time that no player can follow.
//!
//! Section numbers are those of the *Advanced Systems Format (ASF) Specification*, revision 01.20.
//!
//! # Where readers differ
//!
//! * Objects are found by their sizes. Child counts are ignored, because asfmux counts too few.
//! * A Data Object of 0 or 50 bytes has an unknown number of packets, whether or not the Broadcast Flag is set:
//!   avmux_asf leaves it clear. With the flag set, the size is ignored.
//! * Packets beyond the number that the Data Object's size announces are data: [`Reader::exceeded_count`].
//! * avmux_asf_stream writes the chunks of a pulled stream, with `$H` first. The reader unwraps them.
//! * A packet has at most 63 payloads. asfmux writes up to 64, and then readers find none of them.
//!   [`DataPacket::split`] makes two packets of it.
//! * Packet Length may include the padding or not: asfmux excludes it, other muxers include it.
//! * A later header starts a playlist entry only if a packet follows it, because avmux_asf ends with a rewritten copy
//!   of its header.
//! * A repeated header starts a playlist entry only if Send Times restart after it: a file in a loop.

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
/// Smallest ASF data packet in bytes: room for its payload parsing information and a payload
pub const MIN_PACKET_SIZE: usize = 24;
