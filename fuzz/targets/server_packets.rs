// SPDX-License-Identifier: MPL-2.0

//! See `targets::server_packets`.

#![no_main]

use gst_plugin_wmspush_fuzz::targets::server_packets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| server_packets::run(input));
