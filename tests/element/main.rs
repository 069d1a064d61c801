// SPDX-License-Identifier: MPL-2.0

//! The element with the embedded publishing point and with misbehaving servers: bytes on the wire, messages on the bus,
//! and durations.

mod access;
mod actions;
mod answers;
mod branches;
mod connections;
mod failures;
mod harness;
mod input;
mod memory;
mod messages;
mod probe;
mod properties;
mod queries;
mod recovery;
mod rig;
mod sessions;
mod settings;
mod states;
mod statistics;
mod streams;
mod timing;
mod warnings;
mod wire;
