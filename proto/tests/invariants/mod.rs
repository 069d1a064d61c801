// SPDX-License-Identifier: MPL-2.0

//! Invariants of all inputs. Property tests generate inputs by rules, fuzz targets generate any.

pub mod header;
pub mod packet;
pub mod payloads;
pub mod reader;
