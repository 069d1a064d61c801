// SPDX-License-Identifier: MPL-2.0

//! The element against the embedded publishing point and against servers that misbehave: what goes over the wire, what
//! comes on the bus, and how long it takes.

mod access;
mod actions;
mod answers;
mod branches;
mod connections;
mod failures;
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
