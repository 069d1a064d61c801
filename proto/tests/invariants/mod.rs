// SPDX-License-Identifier: MPL-2.0

//! What holds for every input: the property tests make inputs by rules, the fuzz targets without any.

pub mod header;
pub mod packet;
pub mod payloads;
pub mod reader;
