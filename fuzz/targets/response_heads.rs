// SPDX-License-Identifier: MPL-2.0

//! See `targets::response_heads`.

#![no_main]

use gst_plugin_wmspush_fuzz::targets::response_heads;

libfuzzer_sys::fuzz_target!(|input: &[u8]| response_heads::run(input));
