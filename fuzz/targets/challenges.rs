// SPDX-License-Identifier: MPL-2.0

//! See `targets::challenges`.

#![no_main]

use gst_plugin_wmspush_fuzz::targets::challenges;

libfuzzer_sys::fuzz_target!(|input: &[u8]| challenges::run(input));
